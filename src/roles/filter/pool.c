#include "roles/filter/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "roles/filter/job.h"

/* A thread, and what it sleeps on. */
struct worker {
    struct pool *pool;
    pthread_t thread;
    pthread_cond_t wake;
    struct filter_job *job; /* given to it while it slept; NULL: the pool closes */
    struct worker *next;    /* below it among those that sleep */
};

struct pool {
    pool_work *work;
    size_t arena_ceiling;
    struct worker *workers;
    size_t worker_count;
    pthread_mutex_t mutex; /* everything below */
    struct filter_job *first;
    struct filter_job **end;
    /*
     * Who fell asleep last is woken first: his memory is still warm, and as many threads are at
     * work as there are messages, not as there are threads.
     */
    struct worker *asleep;
    bool closing;
};

/* The next job; NULL when the pool closes and the queue is empty. */
static struct filter_job *
pool_take(struct worker *worker)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->mutex);
    struct filter_job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        if (pool->first == NULL) {
            pool->end = &pool->first;
        }
    } else if (!pool->closing) {
        worker->next = pool->asleep;
        pool->asleep = worker;
        while (worker->job == NULL && !pool->closing) {
            pthread_cond_wait(&worker->wake, &pool->mutex);
        }
        job = worker->job;
        worker->job = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

static void *
worker_main(void *context)
{
    struct worker *worker = context;
    struct pool *pool = worker->pool;
    struct arena *arena = arena_create(pool->arena_ceiling);
    struct filter_job *job;
    while ((job = pool_take(worker)) != NULL) {
        pool->work(job, arena);
        arena_reset(arena);
    }
    arena_destroy(&arena);
    return NULL;
}

static bool
pool_start(struct pool *pool, size_t threads)
{
    pool->workers = calloc(threads, sizeof *pool->workers);
    for (size_t i = 0; pool->workers != NULL && i < threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        pthread_cond_init(&worker->wake, NULL);
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            pthread_cond_destroy(&worker->wake);
            return false;
        }
        pool->worker_count++;
    }
    return pool->worker_count == threads;
}

struct pool *
pool_create(size_t threads, size_t arena_ceiling, pool_work *work)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->work = work;
    pool->arena_ceiling = arena_ceiling;
    pool->end = &pool->first;
    pthread_mutex_init(&pool->mutex, NULL);
    if (!pool_start(pool, threads)) {
        LOG_ERROR("the worker threads cannot be started", LOG_INT("threads", threads),
                  LOG_INT("started", pool->worker_count));
        pool_destroy(&pool);
    }
    return pool;
}

void
pool_destroy(struct pool **pool)
{
    struct pool *p = *pool;
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->mutex);
    p->closing = true;
    for (size_t i = 0; i < p->worker_count; i++) {
        pthread_cond_signal(&p->workers[i].wake);
    }
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->worker_count; i++) {
        pthread_join(p->workers[i].thread, NULL);
        pthread_cond_destroy(&p->workers[i].wake);
    }
    pthread_mutex_destroy(&p->mutex);
    free(p->workers);
    free(p);
    *pool = NULL;
}

void
pool_add(struct pool *pool, struct filter_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&pool->mutex);
    struct worker *worker = pool->asleep;
    if (worker != NULL) {
        pool->asleep = worker->next;
        worker->job = job;
    } else {
        *pool->end = job;
        pool->end = &job->next;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (worker != NULL) {
        pthread_cond_signal(&worker->wake);
    }
}
