/*
 * source_channel.h - answers from the resolver role, for worker threads (channel_call waits).
 */
#ifndef POSTERN_DNS_SOURCE_CHANNEL_H
#define POSTERN_DNS_SOURCE_CHANNEL_H

#include "dns/table.h"
#include "ipc/channel.h"

/* The outcome in a resolve_batch_reply of a question that has no answer yet. */
#define DNS_BATCH_UNANSWERED 255u

struct dns_source_channel {
    struct channel *resolver; /* borrowed; used from any thread but the loop's */
    struct dns_view *view;    /* borrowed; looked at before it is asked; may be NULL */
    int timeout_ms;           /* for one question; above the resolver's own limit */
};

/* A source over *channel, which must outlive it; may be shared by threads. */
struct dns_source dns_source_from_channel(struct dns_source_channel *channel);

/* Takes a MSG_DNS_TABLE: the view looks at that table from now on. Frees the message. */
void dns_view_take(struct dns_view *view, struct ipc_message *message);

/*
 * Turns a MSG_RESOLVE_REPLY into an answer whose octets are copied into the arena; for callers that
 * use channel_request themselves. Numbers that no enum has make it SERVFAIL. STATUS_LIMIT: the
 * arena is full.
 */
[[nodiscard]] enum status dns_answer_from_reply(struct arena *arena,
                                                const struct msg_resolve_reply *reply,
                                                struct dns_answer *answer_out);
/* The same for one answer of a MSG_RESOLVE_BATCH_REPLY that is not DNS_BATCH_UNANSWERED. */
[[nodiscard]] enum status dns_answer_from_record(struct arena *arena,
                                                 const struct record_answer *record,
                                                 struct dns_answer *answer_out);

#endif
