#include "roles/relay/crew.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/log.h"

/* Ample for the deepest call with its buffers (two TLS records); hundreds of threads stay cheap. */
#define STACK_SIZE (512u * 1024u)

/*
 * A thread. One that has nothing to do waits on its own semaphore, so that waking it disturbs no
 * other; the last that began to wait is woken first, its caches are warm.
 */
struct worker {
    struct relay_crew *crew;
    sem_t wake;
    struct relay_task *task; /* given by whoever wakes it; NULL: the crew ends */
    struct worker *next;     /* of those that wait */
};

struct relay_crew {
    size_t arena_ceiling;
    pthread_mutex_t mutex; /* everything below */
    pthread_cond_t ended;  /* a thread has ended */
    struct relay_task *first;
    struct relay_task **last;
    struct worker *idle;
    struct relay_crew_counts counts;
    size_t most;
    bool closing;
};

struct relay_crew *
relay_crew_create(size_t most, size_t arena_ceiling)
{
    struct relay_crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL) {
        abort();
    }
    crew->arena_ceiling = arena_ceiling;
    crew->most = most;
    crew->last = &crew->first;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->ended, NULL);
    return crew;
}

void
relay_crew_set_most(struct relay_crew *crew, size_t most)
{
    pthread_mutex_lock(&crew->mutex);
    crew->most = most;
    pthread_mutex_unlock(&crew->mutex);
}

/* The task that has waited longest; NULL: there is none. With the mutex held. */
static struct relay_task *
take_waiting(struct relay_crew *crew)
{
    struct relay_task *task = crew->first;
    if (task != NULL) {
        crew->first = task->next;
        if (crew->first == NULL) {
            crew->last = &crew->first;
        }
        crew->counts.waiting--;
    }
    return task;
}

/* The worker's next task; NULL when the crew ends. */
static struct relay_task *
next_task(struct worker *worker)
{
    struct relay_crew *crew = worker->crew;
    pthread_mutex_lock(&crew->mutex);
    struct relay_task *task = take_waiting(crew);
    bool waits = task == NULL && !crew->closing;
    if (waits) {
        worker->next = crew->idle;
        crew->idle = worker;
        crew->counts.working--;
    }
    pthread_mutex_unlock(&crew->mutex);
    if (waits) {
        while (sem_wait(&worker->wake) != 0) {
        }
        task = worker->task; /* the waker has counted it as working */
    }
    return task;
}

static void
worker_end(struct worker *worker)
{
    struct relay_crew *crew = worker->crew;
    sem_destroy(&worker->wake);
    free(worker);
    pthread_mutex_lock(&crew->mutex);
    crew->counts.threads--;
    crew->counts.working--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->mutex);
}

static void *
worker_main(void *context)
{
    struct worker *worker = context;
    struct arena *arena = arena_create(worker->crew->arena_ceiling);
    struct relay_task *task;
    while ((task = next_task(worker)) != NULL) {
        task->run(task, arena);
        arena_reset(arena);
    }
    arena_destroy(&arena);
    worker_end(worker);
    return NULL;
}

/* With the mutex held. A thread that cannot be started now is no loss while there are others. */
static void
start_thread(struct relay_crew *crew)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        abort();
    }
    worker->crew = crew;
    sem_init(&worker->wake, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, worker_main, worker);
    pthread_attr_destroy(&attributes);
    if (error == 0) {
        crew->counts.threads++;
        crew->counts.working++; /* until it finds that there is nothing to do */
        return;
    }
    LOG_ERROR("a worker thread cannot be started", LOG_CSTR("reason", strerror(error)),
              LOG_INT("threads", crew->counts.threads));
    sem_destroy(&worker->wake);
    free(worker);
}

/* Takes out a worker that waits, for `task`; NULL: there is none. With the mutex held. */
static struct worker *
take_idle(struct relay_crew *crew, struct relay_task *task)
{
    struct worker *worker = crew->idle;
    if (worker != NULL) {
        crew->idle = worker->next;
        crew->counts.working++;
        worker->task = task;
    }
    return worker;
}

void
relay_crew_add(struct relay_crew *crew, struct relay_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&crew->mutex);
    struct worker *worker = take_idle(crew, task);
    if (worker == NULL) {
        *crew->last = task;
        crew->last = &task->next;
        crew->counts.waiting++;
        if (crew->counts.threads < crew->most) {
            start_thread(crew);
        }
    }
    pthread_mutex_unlock(&crew->mutex);
    /* Behind the lock, or the thread that wakes would soon wait for it. */
    if (worker != NULL) {
        sem_post(&worker->wake);
    }
}

void
relay_crew_drop_waiting(struct relay_crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    struct relay_task *task = crew->first;
    crew->first = NULL;
    crew->last = &crew->first;
    crew->counts.waiting = 0;
    pthread_mutex_unlock(&crew->mutex);
    while (task != NULL) {
        struct relay_task *next = task->next;
        task->run(task, NULL);
        task = next;
    }
}

void
relay_crew_destroy(struct relay_crew **crew)
{
    struct relay_crew *c = *crew;
    if (c == NULL) {
        return;
    }
    struct worker *worker;
    relay_crew_drop_waiting(c);
    pthread_mutex_lock(&c->mutex);
    c->closing = true;
    while ((worker = take_idle(c, NULL)) != NULL) {
        sem_post(&worker->wake);
    }
    while (c->counts.threads > 0) {
        pthread_cond_wait(&c->ended, &c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    pthread_cond_destroy(&c->ended);
    pthread_mutex_destroy(&c->mutex);
    free(c);
    *crew = NULL;
}

struct relay_crew_counts
relay_crew_counts(struct relay_crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    struct relay_crew_counts counts = crew->counts;
    pthread_mutex_unlock(&crew->mutex);
    return counts;
}
