/*
 * end.h - how a recipient of a message ends, and who is told of it.
 *
 * After 250 no way leads to silence (RFC 5321 6.1): each end is a row of end.def, and each row says
 * who is told. What a sender may not be told (RFC 5321 6.2, RFC 3834 2) the postmaster is told;
 * what even the postmaster cannot be told stays in the queue until an administrator has seen it.
 * The one exception is a sender who asked for it (NOTIFY=NEVER, RFC 3461 4.1). The spool decides
 * each end with this function and does what the row says. Pure; any thread.
 */
#ifndef POSTERN_POLICY_END_H
#define POSTERN_POLICY_END_H

#include "policy/notice.h"

enum end {
#define END(NAME, name, TOLD, text) END_##NAME,
#include "policy/end.def"
#undef END
    END_COUNT_, /* not an end */
};

enum end_told {
    END_TOLD_SENDER,          /* by a notice of failure */
    END_TOLD_SENDER_IF_ASKED, /* by a notice of success, when NOTIFY says so */
    END_TOLD_NEXT_HOP,        /* the server that took it tells */
    END_TOLD_POSTMASTER,      /* by a notice that says why the sender is not told */
    END_TOLD_ADMINISTRATOR,   /* who asked for it sees the answer of the command */
    END_TOLD_NOBODY_AS_ASKED, /* the sender wanted that */
    END_TOLD_KEPT,            /* it stays in the queue, held */
};

/* What is known of a recipient that failed or expired. */
struct end_failure {
    bool null_sender;   /* the message is a notice, of ours or of others */
    bool to_postmaster; /* it is a notice of ours to the postmaster (SMTP_MESSAGE_TO_POSTMASTER) */
    bool altered;       /* its envelope is not what was stored: the sender is nobody */
    bool by_command;    /* an administrator gave it up */
    uint8_t notify;     /* set of enum smtp_dsn_notify */
    enum notice_extent extent;
};

enum end end_of_failure(const struct end_failure *failure);

enum end_told end_told(enum end end);
/* "failed_null_sender", ...; static, never NULL. */
const char *end_name(enum end end);
/* What happened, in words that follow "because"; static, never NULL. */
const char *end_text(enum end end);

#endif
