#include "roles/filter/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "roles/filter/job.h"

struct pool {
    pool_work *work;
    size_t arena_ceiling;
    pthread_t *threads;
    size_t thread_count;
    pthread_mutex_t mutex; /* everything below */
    pthread_cond_t wake;
    struct filter_job *first;
    struct filter_job **end;
    size_t idle; /* workers that wait */
    bool closing;
};

/* The next job; NULL when the pool closes and the queue is empty. */
static struct filter_job *
pool_take(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->first == NULL && !pool->closing) {
        pool->idle++;
        pthread_cond_wait(&pool->wake, &pool->mutex);
        pool->idle--;
    }
    struct filter_job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        if (pool->first == NULL) {
            pool->end = &pool->first;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

static void *
worker_main(void *context)
{
    struct pool *pool = context;
    struct arena *arena = arena_create(pool->arena_ceiling);
    struct filter_job *job;
    while ((job = pool_take(pool)) != NULL) {
        pool->work(job, arena);
        arena_reset(arena);
    }
    arena_destroy(&arena);
    return NULL;
}

static bool
pool_start(struct pool *pool, size_t threads)
{
    pool->threads = calloc(threads, sizeof *pool->threads);
    for (size_t i = 0; pool->threads != NULL && i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, worker_main, pool) != 0) {
            return false;
        }
        pool->thread_count++;
    }
    return pool->thread_count == threads;
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
    pthread_cond_init(&pool->wake, NULL);
    if (!pool_start(pool, threads)) {
        LOG_ERROR("the worker threads cannot be started", LOG_INT("threads", threads),
                  LOG_INT("started", pool->thread_count));
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
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->thread_count; i++) {
        pthread_join(p->threads[i], NULL);
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->mutex);
    free(p->threads);
    free(p);
    *pool = NULL;
}

void
pool_add(struct pool *pool, struct filter_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&pool->mutex);
    *pool->end = job;
    pool->end = &job->next;
    bool wake = pool->idle > 0;
    pthread_mutex_unlock(&pool->mutex);
    if (wake) {
        pthread_cond_signal(&pool->wake);
    }
}
