/*
 * pool.h - worker threads that take jobs from one queue.
 *
 * As many messages are in the checks at once as there are workers; a check that waits for an answer
 * keeps its worker, so there are more workers than processor cores. Jobs leave in no fixed order.
 */
#ifndef POSTERN_ROLES_FILTER_POOL_H
#define POSTERN_ROLES_FILTER_POOL_H

#include "base/arena.h"

struct filter_job;
struct pool;

/* Called in a worker thread; owns the job. The arena is empty, and is emptied afterwards. */
typedef void pool_work(struct filter_job *job, struct arena *arena);

/* Starts the threads. NULL with a log line when the system has none to give. */
[[nodiscard]] struct pool *pool_create(size_t threads, size_t arena_ceiling, pool_work *work);
/* Works off the queue, ends the threads, frees, sets *pool to NULL. NULL is allowed. */
void pool_destroy(struct pool **pool);
/* Hands a job over; from any thread. */
void pool_add(struct pool *pool, struct filter_job *job);

#endif
