/*
 * worker.h - the spool's two threads beside its loop: one owns the database, one writes and reads
 * the files of large messages.
 *
 * Why a thread for the database: a commit waits for the disk (1 ms and more), and the loop must go
 * on reading meanwhile. So the loop hands over jobs; the thread takes all that have gathered, makes
 * their changes in one transaction, commits, and gives them back to the loop. While one commit
 * waits for the disk the next batch gathers by itself: no artificial delay, and the busier, the
 * larger the batches. Reading is done by the same thread between the commits, so that what it reads
 * is always what is on disk, and everything happens in the order in which it was asked for. Only
 * results of deliveries, for which nobody waits, wait a few milliseconds for others to come.
 *
 * When a batch fails it is rolled back and its jobs are tried one by one, so that one bad job harms
 * no other. JOB_COMMIT jobs (new messages) that fail are given back with the reason; JOB_MUST jobs
 * (results of deliveries) are kept and tried again until they succeed, since what they say has
 * happened and must not be forgotten; only a job that is itself wrong (STATUS_BUG) is given up.
 */
#ifndef POSTERN_ROLES_SPOOL_WORKER_H
#define POSTERN_ROLES_SPOOL_WORKER_H

#include "roles/spool/queue_clock.h"
#include "store/spool.h"

/* Most jobs, and about most octets, of one commit. */
#define WORKER_BATCH_JOBS   512u
#define WORKER_BATCH_OCTETS (32u * 1024u * 1024u)
/* Between attempts to write what must be written. */
#define WORKER_RETRY_MS     1000

struct event_base;
struct worker;

enum job_kind {
    JOB_COMMIT, /* writes; may fail */
    JOB_MUST,   /* writes; is tried until it succeeds */
    JOB_READ,   /* only reads; after the writes of its batch */
    JOB_FILE,   /* for the file thread; `spool` is NULL */
};

/* The first member of each kind of job. */
struct job {
    struct job *next;
    enum job_kind kind;
    size_t octets; /* how much it writes, about */
    enum status status;
    /* In the worker's thread; may be called again after a rollback. */
    enum status (*run)(struct job *job, struct spool *spool);
    /* In the loop's thread, once, with job->status; frees the job. */
    void (*done)(struct job *job);
};

struct worker_counts {
    uint64_t batches; /* transactions */
    uint64_t failed_batches;
    uint64_t waiting; /* jobs that must be written and could not be */
    struct spool_counts queue;
    int64_t oldest_ms;  /* when the oldest message was queued; 0: none */
    uint64_t size;      /* octets of queue data on disk */
    uint64_t disk_free; /* octets; UINT64_MAX: not known */
    uint64_t seen;      /* octets of jobs that were done when it was looked at */
    bool damaged;
};

/* Starts the threads. `spool` belongs to the worker's thread from here until worker_stop. */
[[nodiscard]] struct worker *worker_start(struct event_base *loop, struct spool *spool,
                                          const struct queue_clock *clock);
/* Hands over a job; loop thread. */
void worker_submit(struct worker *worker, struct job *job);
/* Jobs that were handed over and are not done. */
size_t worker_pending(const struct worker *worker);
/* Octets of all jobs that were handed over, ever; less counts.seen, what size and disk_free do not
 * show yet. */
uint64_t worker_submitted(const struct worker *worker);
/* As of the last batch; any thread. */
struct worker_counts worker_counts(struct worker *worker);
/* Finishes what was handed over (what must be written is tried once more), ends the threads and
 * calls the jobs' `done`. */
void worker_stop(struct worker **worker);

#endif
