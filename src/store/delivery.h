/*
 * delivery.h - the words that filter, spool and relay use about a queued message: what stands in
 * the numeric fields of MSG_COMMIT, MSG_COMMIT_REPLY and MSG_DELIVERY_REPORT.
 *
 * These numbers are also written into the spool's database: they are never changed or reused.
 */
#ifndef POSTERN_STORE_DELIVERY_H
#define POSTERN_STORE_DELIVERY_H

/* How long the relay works on one delivery: what has no result by then is deferred. Its looking up
 * of names does not end at once. */
#define DELIVERY_TIME_MS  (90 * 60 * 1000)
/* How long the spool waits for the report before it asks for the same delivery again. */
#define DELIVERY_LEASE_MS (DELIVERY_TIME_MS + 30 * 60 * 1000)

/* MSG_COMMIT_REPLY.outcome: may the client be told 250? */
enum spool_outcome {
    SPOOL_COMMITTED = 0, /* on disk: 250 */
    SPOOL_DUPLICATE = 1, /* this id was committed before: 250 as well */
    SPOOL_FULL = 2,      /* disk or queue limit: 452 4.3.1 */
    SPOOL_UNAVAILABLE =
        3,             /* the disk or the database failed, or the spool is stopping: 451 4.3.0 */
    SPOOL_REFUSED = 4, /* the commit itself is wrong (no recipients, bad id): 451 4.3.0, a bug */
};

/* MSG_DELIVERY_REPORT: delivery_result.outcome, one for each recipient of the lease. */
enum delivery_outcome {
    DELIVERY_DELIVERED = 0, /* in its mailbox (LMTP 2yz): final; a DSN says "delivered" */
    DELIVERY_RELAYED = 1,   /* the next hop took it and offered DSN: it tells the sender */
    DELIVERY_RELAYED_WITHOUT_DSN = 2, /* took it, without DSN: the sender is told "relayed" */
    DELIVERY_DEFERRED = 3,            /* 4yz or no answer: it will be tried again */
    DELIVERY_FAILED = 4,              /* 5yz or no way to ever get there: it bounces */
};

/* MSG_COMMIT.priority; anything else counts as normal. */
enum spool_priority {
    SPOOL_PRIORITY_NORMAL = 0,
    SPOOL_PRIORITY_HIGH = 1, /* notices, passwords: 8 of these for 4 normal and 1 bulk */
    SPOOL_PRIORITY_BULK = 2,
};

#endif
