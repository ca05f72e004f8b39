#include "roles/work.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

struct work_list {
    struct work_job *head;
    struct work_job **tail;
};

struct work_queue {
    struct work_settings settings;
    struct event *results; /* there are finished jobs */
    pthread_t *threads;
    unsigned thread_count;
    pthread_mutex_t mutex; /* everything below */
    pthread_cond_t wake;
    struct work_list waiting;
    struct work_list done;
    size_t waiting_jobs;
    size_t waiting_octets;
    size_t pending; /* waiting, running, or not finished yet */
    bool ending;
};

/* ---- lists */

static void
list_init(struct work_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

static void
list_append(struct work_list *list, struct work_job *job)
{
    job->next = NULL;
    *list->tail = job;
    list->tail = &job->next;
}

static void
list_move(struct work_list *from, struct work_list *to)
{
    if (from->head != NULL) {
        *to->tail = from->head;
        to->tail = from->tail;
        list_init(from);
    }
}

/* ---- threads */

/* Takes the next batch, waiting for it; with the mutex held. Empty only when the queue ends. */
static struct work_list
take_batch(struct work_queue *queue)
{
    struct work_list batch;
    while (queue->waiting.head == NULL && !queue->ending) {
        pthread_cond_wait(&queue->wake, &queue->mutex);
    }
    list_init(&batch);
    /* What never ran is finished by work_destroy. */
    for (size_t i = 0; i < queue->settings.batch && queue->waiting.head != NULL && !queue->ending;
         i++) {
        struct work_job *job = queue->waiting.head;
        queue->waiting.head = job->next;
        queue->waiting_jobs--;
        queue->waiting_octets -= job->cost;
        list_append(&batch, job);
    }
    if (queue->waiting.head == NULL) {
        list_init(&queue->waiting);
    }
    return batch;
}

static void
run_batch(struct work_queue *queue, struct work_job *first)
{
    const struct work_settings *s = &queue->settings;
    if (s->before != NULL) {
        s->before(s->context);
    }
    for (struct work_job *job = first; job != NULL; job = job->next) {
        job->run(job, s->context);
    }
    if (s->after != NULL) {
        s->after(s->context);
    }
}

static void *
thread_main(void *context)
{
    struct work_queue *queue = context;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        struct work_list batch = take_batch(queue);
        if (batch.head == NULL) {
            break;
        }
        pthread_mutex_unlock(&queue->mutex);
        run_batch(queue, batch.head);
        pthread_mutex_lock(&queue->mutex);
        bool was_empty = queue->done.head == NULL;
        list_move(&batch, &queue->done);
        if (was_empty) {
            event_active(queue->results, EV_TIMEOUT, 0);
        }
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* ---- results, in the loop */

static void
finish_all(struct work_queue *queue, struct work_job *job)
{
    while (job != NULL) {
        struct work_job *next = job->next;
        job->finish(job);
        pthread_mutex_lock(&queue->mutex);
        queue->pending--;
        pthread_mutex_unlock(&queue->mutex);
        job = next;
    }
}

static void
on_results(evutil_socket_t fd, short what, void *context)
{
    struct work_queue *queue = context;
    (void)fd;
    (void)what;
    pthread_mutex_lock(&queue->mutex);
    struct work_job *job = queue->done.head;
    list_init(&queue->done);
    pthread_mutex_unlock(&queue->mutex);
    finish_all(queue, job);
}

/* ---- life */

struct work_queue *
work_create(const struct work_settings *settings)
{
    struct work_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL) {
        return NULL;
    }
    queue->settings = *settings;
    list_init(&queue->waiting);
    list_init(&queue->done);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->wake, NULL);
    queue->results = event_new(settings->loop, -1, 0, on_results, queue);
    queue->threads = calloc(settings->threads, sizeof *queue->threads);
    while (queue->results != NULL && queue->threads != NULL &&
           queue->thread_count < settings->threads &&
           pthread_create(&queue->threads[queue->thread_count], NULL, thread_main, queue) == 0) {
        queue->thread_count++;
    }
    if (queue->thread_count < settings->threads) {
        work_destroy(&queue);
    }
    return queue;
}

void
work_destroy(struct work_queue **queue_pointer)
{
    struct work_queue *queue = *queue_pointer;
    if (queue == NULL) {
        return;
    }
    pthread_mutex_lock(&queue->mutex);
    queue->ending = true;
    pthread_cond_broadcast(&queue->wake);
    pthread_mutex_unlock(&queue->mutex);
    for (unsigned i = 0; i < queue->thread_count; i++) {
        pthread_join(queue->threads[i], NULL);
    }
    list_move(&queue->waiting, &queue->done);
    finish_all(queue, queue->done.head);
    if (queue->results != NULL) {
        event_free(queue->results);
    }
    pthread_cond_destroy(&queue->wake);
    pthread_mutex_destroy(&queue->mutex);
    free(queue->threads);
    free(queue);
    *queue_pointer = NULL;
}

bool
work_add(struct work_queue *queue, struct work_job *job)
{
    const struct work_settings *s = &queue->settings;
    pthread_mutex_lock(&queue->mutex);
    bool room = !queue->ending && queue->waiting_jobs < s->most_jobs &&
                job->cost <= s->most_octets - queue->waiting_octets;
    if (room) {
        list_append(&queue->waiting, job);
        queue->waiting_jobs++;
        queue->waiting_octets += job->cost;
        queue->pending++;
        pthread_cond_signal(&queue->wake);
    }
    pthread_mutex_unlock(&queue->mutex);
    return room;
}

size_t
work_pending(struct work_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    size_t pending = queue->pending;
    pthread_mutex_unlock(&queue->mutex);
    return pending;
}
