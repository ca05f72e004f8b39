/*
 * outcome_line.h - the log line of one recipient and what became of it: `event=delivered id=...
 * from=... to=... relay=... delay=... code=... reply=...`. One line a recipient and outcome, the
 * same fields in the same order whichever role writes it; doc/logging.md describes them.
 *
 * The edge writes what it refuses, the spool what it delivers, defers, gives up, holds, removes.
 * Texts are borrowed for the call.
 */
#ifndef POSTERN_TRACE_OUTCOME_LINE_H
#define POSTERN_TRACE_OUTCOME_LINE_H

#include "base/log.h"

/* Octets of an address and of a reply in the line; the rest is cut off. */
#define OUTCOME_LINE_ADDRESS_MAX 512u
#define OUTCOME_LINE_REPLY_MAX   400u

struct outcome_line {
    const char *event; /* static: "delivered", "deferred", "rejected", ... */
    struct str id;     /* of the message; of the session where no message was begun */
    struct str from;   /* empty: the null path, written as <> */
    struct str to;     /* where it goes; empty: refused before there was a recipient */
    struct str orig;   /* as RCPT named it; left out when it is `to` */
    struct str relay;  /* the server that answered; empty: none was asked, written as "none" */
    int64_t delay_ms;  /* since the message came in; of a refusal since the client connected */
    unsigned code;     /* the reply; 0: there was none */
    struct str enhanced;
    struct str reply;
    /* The rest is left out where it is empty. */
    struct str client; /* who is refused */
    struct str helo;
    struct str user;
    const char *stage;  /* MAIL, RCPT, DATA; static */
    const char *reason; /* why, in one word; static or borrowed */
    struct str by;      /* the administrator, or "policy" */
    int64_t attempts;
    int64_t next_ms; /* until the next attempt */
};

/* Writes the line at LOG_LEVEL_INFO. */
void outcome_line_write(const struct outcome_line *line);

#endif
