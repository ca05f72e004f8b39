/*
 * work.h - threads that do what the loop must not wait for, and bring the results back to it.
 *
 * A job is given by the loop, run by one of the queue's threads, and finished in the loop again. A
 * thread takes up to `batch` waiting jobs at one time: the database's writer commits them together,
 * so that while one commit runs the next group gathers by itself.
 */
#ifndef POSTERN_ROLES_WORK_H
#define POSTERN_ROLES_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct event_base;
struct work_queue;

/* The first member of each kind of job; the job belongs to the queue from work_add to `finish`. */
struct work_job {
    struct work_job *next;
    /* Does the work, in a thread of the queue. `context`: the queue's. */
    void (*run)(struct work_job *job, void *context);
    /* Takes the result, in the loop, and frees the job. */
    void (*finish)(struct work_job *job);
    size_t cost; /* octets, counted against the queue's `most_octets` */
};

struct work_settings {
    struct event_base *loop;
    unsigned threads;
    size_t batch;       /* jobs that a thread takes at once, 1 at least */
    size_t most_jobs;   /* that may wait; then work_add refuses */
    size_t most_octets; /* the sum of their cost */
    void *context;      /* for run, before and after */
    /* Around the jobs of a batch, in the thread; may be NULL. */
    void (*before)(void *context);
    void (*after)(void *context);
};

/* NULL when threads or memory are missing. */
[[nodiscard]] struct work_queue *work_create(const struct work_settings *settings);
/* Waits for the jobs that are under way, finishes all (those that never ran too), frees. */
void work_destroy(struct work_queue **queue);
/* False when the queue is full: the job stays the caller's. Loop thread. */
[[nodiscard]] bool work_add(struct work_queue *queue, struct work_job *job);
/* Jobs that wait or run. */
size_t work_pending(struct work_queue *queue);

#endif
