#include "roles/relay/crew.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"

/* Ample for the deepest call with its buffers (two TLS records); hundreds of threads stay cheap. */
#define STACK_SIZE (512u * 1024u)

struct relay_crew {
    size_t arena_ceiling;
    pthread_mutex_t mutex; /* everything below */
    pthread_cond_t work;   /* a task has come, or the end */
    pthread_cond_t ended;  /* a thread has ended */
    struct relay_task *first;
    struct relay_task **last;
    struct relay_crew_counts counts;
    size_t idle; /* threads that wait and have not been promised a task */
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
    pthread_cond_init(&crew->work, NULL);
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

/* The next task, with the mutex held; NULL when the crew ends. */
static struct relay_task *
take_task(struct relay_crew *crew)
{
    while (crew->first == NULL && !crew->closing) {
        crew->idle++;
        pthread_cond_wait(&crew->work, &crew->mutex);
        crew->idle -= crew->idle > 0;
    }
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

static void *
worker_main(void *context)
{
    struct relay_crew *crew = context;
    struct arena *arena = arena_create(crew->arena_ceiling);
    struct relay_task *task;
    pthread_mutex_lock(&crew->mutex);
    while ((task = take_task(crew)) != NULL) {
        crew->counts.working++;
        pthread_mutex_unlock(&crew->mutex);
        task->run(task, arena);
        arena_reset(arena);
        pthread_mutex_lock(&crew->mutex);
        crew->counts.working--;
    }
    crew->counts.threads--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->mutex);
    arena_destroy(&arena);
    return NULL;
}

/* With the mutex held. A thread that cannot be started now is no loss while there are others. */
static void
start_thread(struct relay_crew *crew)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, worker_main, crew);
    pthread_attr_destroy(&attributes);
    if (error == 0) {
        crew->counts.threads++;
    } else {
        LOG_ERROR("a worker thread cannot be started", LOG_INT("errno", error),
                  LOG_INT("threads", crew->counts.threads));
    }
}

void
relay_crew_add(struct relay_crew *crew, struct relay_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&crew->mutex);
    *crew->last = task;
    crew->last = &task->next;
    crew->counts.waiting++;
    if (crew->counts.waiting > crew->idle && crew->counts.threads < crew->most) {
        start_thread(crew);
    }
    pthread_cond_signal(&crew->work);
    pthread_mutex_unlock(&crew->mutex);
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
    relay_crew_drop_waiting(c);
    pthread_mutex_lock(&c->mutex);
    c->closing = true;
    pthread_cond_broadcast(&c->work);
    while (c->counts.threads > 0) {
        pthread_cond_wait(&c->ended, &c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    pthread_cond_destroy(&c->work);
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
