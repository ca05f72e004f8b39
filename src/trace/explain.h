/*
 * explain.h - the story of a message or a session in plain words: who, what, how it ended, then
 * everything that happened in order, with the section of the standard where one decided.
 *
 * The wording is in explain.def, one row an event. Pure: events in, text or JSON out.
 */
#ifndef POSTERN_TRACE_EXPLAIN_H
#define POSTERN_TRACE_EXPLAIN_H

#include "trace/timeline.h"

/* Columns of the text when nothing else is known. */
#define EXPLAIN_WIDTH     96u
/* Recipients whose end is told one by one; more are counted. */
#define EXPLAIN_ENDS_MAX  2000u
/* Hosts whose last attempt is told at the top. */
#define EXPLAIN_HOSTS_MAX 8u

/* How a recipient ended, or stands. */
enum explain_end {
    EXPLAIN_END_OPEN,     /* accepted; nothing known yet */
    EXPLAIN_END_REFUSED,  /* at RCPT, or with the whole message */
    EXPLAIN_END_EXPANDED, /* an alias: others are in its place */
    EXPLAIN_END_WAITING,  /* queued or deferred */
    EXPLAIN_END_HELD,
    EXPLAIN_END_DELIVERED,
    EXPLAIN_END_FAILED,
    EXPLAIN_END_REMOVED,
    EXPLAIN_END_COPIED, /* goes on in a copy that has an id and a story of its own */
};

struct explain_recipient {
    struct str address;
    struct str original; /* the alias that brought it; empty: none */
    enum explain_end end;
    const struct trace_event *event;    /* that said so last */
    const struct trace_event *deferred; /* the latest attempt that failed for now; NULL: none */
};

/* What the summary at the top says. Texts are borrowed from the timeline. */
struct explain_summary {
    struct str id;
    bool is_session; /* a connection as a whole; otherwise one message */
    bool has_mail;   /* a message was begun, whatever became of it */
    struct str sender;
    struct str from; /* the header field */
    struct str subject;
    struct str message_id;
    struct str helo;
    struct str user;
    struct str tls;
    struct ip_address client; /* all zero: not known */
    struct str about;         /* of a notice: the message that it speaks of */
    int64_t first_ms;
    int64_t last_ms;
    int64_t answered_ms; /* when its transaction ended; last_ms where that is not known */
    struct explain_recipient *recipients; /* owned */
    size_t recipient_count;
    size_t recipients_left_out;
    const struct trace_event *verdict; /* the event that refused or ended the whole */
    /* The last attempt at each host, the latest host first; of a message that somebody lacks. */
    const struct timeline_event *attempts[EXPLAIN_HOSTS_MAX];
    size_t attempt_count;
};

/*
 * Reads a timeline. `id`: what was asked for. STATUS_LIMIT: no memory. End with
 * explain_summary_fini; the timeline must outlive it.
 */
[[nodiscard]] enum status explain_summarise(const struct timeline *timeline, struct str id,
                                            struct explain_summary *summary_out);
void explain_summary_fini(struct explain_summary *summary);

/* How a message stands as a whole, or a session. */
enum explain_result {
    EXPLAIN_RESULT_DELIVERED, /* everybody has it, or gets a copy; a session that ended in peace */
    EXPLAIN_RESULT_MISSED,    /* somebody does not get it */
    EXPLAIN_RESULT_WAITING,   /* somebody does not have it yet */
};
enum explain_result explain_result(const struct explain_summary *summary);

/* Whether the story of the summary's id has this event. */
bool explain_is_told(const struct explain_summary *summary, const struct timeline_event *item);

/* One sentence of the outcome: "Delivered to both recipients in 1.3 s." STATUS_LIMIT: out is full.
 */
[[nodiscard]] enum status explain_outcome(const struct explain_summary *summary, struct buf *out);

/* The sentence of one event, without time and section. STATUS_LIMIT: out is full. */
[[nodiscard]] enum status explain_event(const struct trace_event *event, struct buf *out);

/* The section that decided, "RFC 5321 4.1.1.3"; "" when the event decided nothing. */
const char *explain_section(const struct trace_event *event);

/*
 * The whole story as text, at most `width` columns wide (0: lines are not broken). A session's
 * messages are only listed with their outcomes.
 */
[[nodiscard]] enum status explain_text(const struct timeline *timeline, struct str id,
                                       unsigned width, struct buf *out);

/* The same as JSON: summary, recipients, events with their sentences. NULL: no memory. */
[[nodiscard]] json_t *explain_json(const struct timeline *timeline, struct str id);

#endif
