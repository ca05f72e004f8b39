/*
 * internal.h - the state of the resolver role, and what its files offer each other. Everything runs
 * in the loop's thread.
 */
#ifndef POSTERN_ROLES_RESOLVER_INTERNAL_H
#define POSTERN_ROLES_RESOLVER_INTERNAL_H

#include "dns/table.h"
#include "roles/resolver/anchors.h"
#include "roles/resolver/context.h"
#include "roles/role.h"

/* Questions that libunbound holds; more are answered SERVFAIL at once. */
#define QUERIES_MAX          4096u
/* Of those, from one peer: none may take the place of all others. */
#define QUERIES_PER_PEER_MAX 2048u
#define PEERS_MAX            (ROLE_INSTANCES_MAX + 8u)
/* Octets of the records of one reply; what is over is no answer, as a truncated one is none. */
#define REPLY_OCTETS_MAX     (300u * 1024u)
/* How long a batch waits for its slowest question before it goes without. */
#define BATCH_HOLD_MS        100
/* Questions past the cache share a context for so long. */
#define FRESH_MS             1000
/* How often deadlines are looked at. */
#define SWEEP_MS             50

struct query;
struct batch;

/* What the role has found out about its own validation. */
enum self_test_result {
    SELF_TEST_UNKNOWN, /* not asked yet */
    SELF_TEST_OFF,     /* resolver.dnssec is off */
    SELF_TEST_WORKS,
    SELF_TEST_FAILS,
};

struct self_test {
    struct event *timer;
    struct context *context; /* of the question under way; NULL: none */
    size_t zone;             /* which name is asked */
    int64_t asked_ms;
    unsigned failures; /* in a row; what the next interval depends on */
    enum self_test_result result;
    char reason[400];
};

struct watch {
    struct event *timer;
    struct ub_ctx *ub; /* of the probe under way; NULL: none */
    bool finished;     /* it has its answer, `ub` is to be deleted */
    bool failed;
    char path[PATH_MAX]; /* of its zone's state file */
    int64_t probes;
    int64_t probe_failures;
    int64_t changes;
    int64_t not_before_s[ANCHOR_ZONES_MAX]; /* wall clock */
};

struct peer_load {
    struct channel *channel;
    size_t queries;
};

struct resolver {
    struct role_runtime *runtime;
    struct anchors *anchors;
    struct context *current;
    struct dns_table *table; /* answers of the current context, for others to read */
    struct context *fresh;   /* for questions past the cache; NULL: none lately. It holds one use */
    int64_t fresh_ms;        /* when it was made */
    struct context *retired;
    struct event *clean_up;
    struct event *sweep;
    struct self_test self_test;
    struct watch watch;
    struct query *queries; /* that libunbound holds */
    size_t query_count;
    struct batch *batches; /* not answered yet */
    struct peer_load peers[PEERS_MAX];
    struct arena *scratch; /* for reading one answer */
    int64_t asked;
    int64_t batches_asked;
    int64_t answered[DNS_OUTCOME_COUNT];
    int64_t secure;
    int64_t bogus;
    int64_t refused; /* over a limit */
};

/* query.c: MSG_RESOLVE and MSG_RESOLVE_BATCH; both free the message. */
void query_ask(struct resolver *resolver, struct channel *channel, struct ipc_message *message);
void query_ask_batch(struct resolver *resolver, struct channel *channel,
                     struct ipc_message *message);
/* Answers what has waited too long. */
void query_sweep(struct resolver *resolver);

/* batch.c: questions that came together. */
[[nodiscard]] struct batch *batch_create(struct resolver *resolver, struct channel *channel,
                                         uint64_t request, const struct msg_resolve_batch *fields);
/* Puts in the answer of one question; what has no room stays unanswered. */
void batch_put(struct batch *batch, size_t index, const struct dns_answer *answer);
/* Remembers who works on a question, so that it can be told when the batch goes without it. */
void batch_attach(struct batch *batch, size_t index, struct query *query);
/* All questions have been asked: from now on it is sent as soon as it is complete. */
void batch_close(struct batch *batch);
/* Sends the batches that have waited long enough. */
void batch_sweep(struct resolver *resolver, int64_t now_ms);
/* query.c: the batch has gone, its late answer is nobody's. */
void query_detach(struct query *query);

/* role.c */
/* Counts an answer that is sent. */
void resolver_count(struct resolver *resolver, const struct dns_answer *answer);
/* Gives back one use of a context. */
void resolver_release(struct resolver *resolver, struct context *context);
/* A context that knows nothing yet, or nothing older than FRESH_MS; the current one when there is
 * no room for another. */
struct context *resolver_fresh_context(struct resolver *resolver);
/* Makes a new context of what is configured and trusted now; false: the old one stays. */
bool resolver_renew_context(struct resolver *resolver);

/* self_test.c: does validation work? Begins at once, goes on by itself. */
[[nodiscard]] enum status self_test_start(struct resolver *resolver);
void self_test_restart(struct resolver *resolver);
void self_test_metrics(struct resolver *resolver, struct role_metrics *metrics);

/* watch.c: RFC 5011, active refresh of the trust anchors' keys. */
[[nodiscard]] enum status watch_start(struct resolver *resolver);
/* Other zones may have come. */
void watch_restart(struct resolver *resolver);
void watch_metrics(struct resolver *resolver, struct role_metrics *metrics);

#endif
