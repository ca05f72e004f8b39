/*
 * ledger_summary.h - what the ledger's index knows of a message or a session: the facts by which
 * people look for one, and how it stands, read out of its events as they arrive. Pure.
 *
 * Events come in parts, from several roles, in any order and perhaps days apart; each part is taken
 * once. How a message stands is said by its latest event that says so.
 */
#ifndef POSTERN_STORE_LEDGER_SUMMARY_H
#define POSTERN_STORE_LEDGER_SUMMARY_H

#include "base/random.h"
#include "trace/trace.h"

/* Octets that are kept of a text in the index; the events have more. */
#define SUMMARY_ADDRESS_MAX    320u
#define SUMMARY_TEXT_MAX       400u
/* Of the list of recipients; more are counted and can be searched. */
#define SUMMARY_RECIPIENTS_MAX 1024u

/* In databases and messages: never renumbered. */
enum trace_row_kind {
    TRACE_ROW_SESSION = 0, /* a connection; what it brought has rows of its own */
    TRACE_ROW_MESSAGE = 1,
    TRACE_ROW_NOTICE = 2, /* a delivery status notification of our own */
};

enum trace_row_state {
    TRACE_STATE_OPEN = 0,      /* connected, or coming in */
    TRACE_STATE_CLOSED = 1,    /* the session has ended; for messages: given up by the client */
    TRACE_STATE_REFUSED = 2,   /* for good (5yz) */
    TRACE_STATE_TRY_LATER = 3, /* the client was told to come back (4yz) */
    TRACE_STATE_QUEUED = 4,
    TRACE_STATE_HELD = 5,
    TRACE_STATE_DEFERRED = 6, /* tried, will be tried again */
    TRACE_STATE_DELIVERED = 7,
    TRACE_STATE_PARTLY = 8, /* some recipients have it, others never will */
    TRACE_STATE_FAILED = 9,
    TRACE_STATE_REMOVED = 10,
    TRACE_STATE_DISCARDED = 11,
    TRACE_STATE_TURNED_AWAY = 12, /* of a session: the gateway ended it, before any mail */
};

/* "delivered", "try later"; static, never NULL. */
const char *trace_row_state_name(enum trace_row_state state);
const char *trace_row_kind_name(enum trace_row_kind kind);

/* A text of bounded size, in place: summaries are many, and short-lived. */
struct summary_text {
    uint16_t n;
    char p[SUMMARY_TEXT_MAX];
};

struct summary {
    int64_t change; /* of the newest part; 0: none yet */
    char id[ID_LENGTH + 1];
    char session[ID_LENGTH + 1];
    int64_t first_ms; /* 0: no event yet */
    int64_t last_ms;
    int64_t state_ms; /* of the event that set the state */
    enum trace_row_kind kind;
    enum trace_row_state state;
    struct ip_address client; /* all zero: not known */
    struct summary_text sender;
    struct summary_text subject;
    struct summary_text message_id;
    uint32_t recipient_count; /* accepted and refused */
    uint32_t expected;        /* recipients in the queue */
    uint32_t delivered;
    uint32_t failed;
    struct {
        uint16_t n;
        char p[SUMMARY_RECIPIENTS_MAX];
    } recipients; /* the first ones, ", " between */
};

static inline struct str
summary_str(const struct summary_text *text)
{
    return str_make(text->p, text->n);
}

/* Called for each recipient that the events name, in the form in which they name it. */
typedef void summary_on_recipient(void *context, struct str address);

/*
 * Takes one part. STATUS_SYNTAX when its events are malformed (the summary is then half changed:
 * drop it). on_recipient may be NULL.
 */
[[nodiscard]] enum status summary_add(struct summary *summary, struct str events,
                                      summary_on_recipient *on_recipient, void *context);

#endif
