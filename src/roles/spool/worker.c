#include "roles/spool/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* How often free space is looked at. */
#define SPACE_INTERVAL_MS 500
/*
 * Results of deliveries wait for new messages, to share their sync, but no longer than this: nobody
 * waits for them, and what a crash makes of it is a second delivery of what was delivered within
 * that time.
 */
#define RESULTS_WAIT_MS   3
/* And after so much was written. */
#define SPACE_OCTETS      (4u * 1024u * 1024u)

struct job_list {
    struct job *head;
    struct job **tail;
};

/* One of the two threads. */
struct crew {
    struct worker *worker;
    pthread_t thread;
    pthread_cond_t wake;
    struct job_list queue; /* this and what follows under worker->mutex */
    size_t urgent;         /* jobs of the queue for which somebody waits */
    bool stopping;
};

struct worker {
    struct spool *spool;
    struct queue_clock clock;
    int event_fd;
    struct event *event;
    size_t pending;     /* loop thread only, and the next */
    uint64_t submitted; /* octets */
    pthread_mutex_t mutex;
    struct crew database;
    struct crew files;
    struct job_list done;
    struct worker_counts counts;
    uint64_t finished; /* octets of jobs that are done */
    /* the database thread's own */
    struct job_list retry;
    int64_t retry_at_ms;
    int64_t space_at_ms;
    bool failing; /* the last batch could not be written: said once */
    bool damage_told;
    bool last_chance; /* the end: nothing is tried again */
};

/* ---- lists */

static void
list_init(struct job_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

static void
list_add(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->tail = job;
    list->tail = &job->next;
}

static struct job *
list_take(struct job_list *list)
{
    struct job *job = list->head;
    if (job != NULL) {
        list->head = job->next;
        if (list->head == NULL) {
            list->tail = &list->head;
        }
    }
    return job;
}

/* ---- back to the loop */

/* Gives finished jobs to the loop; `list` is empty afterwards. */
static void
give_back(struct worker *worker, struct job_list *list)
{
    uint64_t one = 1;
    if (list->head == NULL) {
        return;
    }
    pthread_mutex_lock(&worker->mutex);
    for (const struct job *job = list->head; job != NULL; job = job->next) {
        worker->finished += job->octets;
    }
    *worker->done.tail = list->head;
    worker->done.tail = list->tail;
    pthread_mutex_unlock(&worker->mutex);
    list_init(list);
    ssize_t ignored = write(worker->event_fd, &one, sizeof one);
    (void)ignored; /* it is full only when the loop has been woken already */
}

static void
run_done(struct worker *worker)
{
    struct job_list list;
    struct job *job;
    pthread_mutex_lock(&worker->mutex);
    list = worker->done;
    if (list.head == NULL) {
        list_init(&list);
    }
    list_init(&worker->done);
    pthread_mutex_unlock(&worker->mutex);
    while ((job = list_take(&list)) != NULL) {
        worker->pending--;
        job->done(job);
    }
}

static void
on_event(evutil_socket_t fd, short what, void *context)
{
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored;
    (void)what;
    run_done(context);
}

/* ---- batches */

static bool
writes(const struct job *job)
{
    return job->kind == JOB_COMMIT || job->kind == JOB_MUST;
}

/* Only a job that is wrong in itself is given up; everything else may succeed later. */
static bool
must_be_retried(const struct job *job, enum status status)
{
    return job->kind == JOB_MUST && status != STATUS_BUG;
}

/* All writes of the list in one transaction. */
static enum status
run_together(struct worker *worker, struct job *head)
{
    enum status status = spool_begin(worker->spool);
    for (struct job *job = head; status == STATUS_OK && job != NULL; job = job->next) {
        if (writes(job)) {
            status = job->run(job, worker->spool);
            job->status = status;
        }
    }
    if (status == STATUS_OK) {
        status = spool_commit(worker->spool, queue_clock_now(&worker->clock));
    }
    if (status != STATUS_OK) {
        spool_rollback(worker->spool);
    }
    return status;
}

static enum status
run_alone(struct worker *worker, struct job *job)
{
    struct job *next = job->next;
    job->next = NULL;
    enum status status = run_together(worker, job);
    job->next = next;
    return status;
}

static void
count_batch(struct worker *worker, bool failed)
{
    int64_t const oldest_ms = spool_oldest_ms(worker->spool);
    pthread_mutex_lock(&worker->mutex);
    worker->counts.oldest_ms = oldest_ms;
    worker->counts.batches++;
    worker->counts.failed_batches += failed;
    worker->counts.queue = spool_counts(worker->spool);
    pthread_mutex_unlock(&worker->mutex);
}

/* Damage may be met by any reading or writing: it is told once, and new mail is refused from then
 * on. */
static void
look_for_damage(struct worker *worker)
{
    if (!spool_is_damaged(worker->spool) || worker->damage_told) {
        return;
    }
    worker->damage_told = true;
    spool_rollback(worker->spool); /* leaves a mark for the next start */
    LOG_ERROR("the mail queue is damaged; no new mail is taken. Restart Postern: it will check all "
              "of the queue and say what to do");
    pthread_mutex_lock(&worker->mutex);
    worker->counts.damaged = true;
    pthread_mutex_unlock(&worker->mutex);
}

/* One by one after a failed batch. */
static void
run_each(struct worker *worker, struct job *head)
{
    for (struct job *job = head; job != NULL; job = job->next) {
        if (writes(job)) {
            job->status = run_alone(worker, job);
        }
    }
}

static void
note_outcome(struct worker *worker, enum status status)
{
    if (status != STATUS_OK && !worker->failing) {
        LOG_ERROR("the queue cannot be written", LOG_CSTR("status", status_name(status)),
                  LOG_CSTR("error", spool_error(worker->spool)));
    } else if (status == STATUS_OK && worker->failing) {
        LOG_INFO("the queue can be written again");
    }
    worker->failing = status != STATUS_OK;
}

static void
run_writes(struct worker *worker, struct job *head)
{
    bool any = false;
    for (struct job *job = head; job != NULL; job = job->next) {
        any = any || writes(job);
    }
    if (!any) {
        return;
    }
    enum status status = run_together(worker, head);
    note_outcome(worker, status);
    if (status != STATUS_OK) {
        run_each(worker, head);
    }
    count_batch(worker, status != STATUS_OK);
}

/* Sorts the jobs of a batch into those that are done and those that must be tried again. */
static void
sort_out(struct worker *worker, struct job_list *batch, struct job_list *done)
{
    struct job *job;
    while ((job = list_take(batch)) != NULL) {
        if (writes(job) && job->status != STATUS_OK && must_be_retried(job, job->status) &&
            !worker->last_chance) {
            list_add(&worker->retry, job);
            worker->retry_at_ms = clock_monotonic_ms() + WORKER_RETRY_MS;
        } else {
            list_add(done, job);
        }
    }
}

static void
run_reads(struct worker *worker, struct job *head)
{
    for (struct job *job = head; job != NULL; job = job->next) {
        if (job->kind == JOB_READ) {
            job->status = job->run(job, worker->spool);
        }
    }
}

static void
look_at_space(struct worker *worker)
{
    int64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&worker->mutex);
    uint64_t finished = worker->finished;
    uint64_t unseen = finished - worker->counts.seen;
    pthread_mutex_unlock(&worker->mutex);
    if (now < worker->space_at_ms && unseen < SPACE_OCTETS) {
        return;
    }
    worker->space_at_ms = now + SPACE_INTERVAL_MS;
    uint64_t size = spool_size(worker->spool);
    uint64_t disk_free = spool_disk_free(worker->spool);
    pthread_mutex_lock(&worker->mutex);
    worker->counts.size = size;
    worker->counts.disk_free = disk_free;
    worker->counts.seen = finished;
    pthread_mutex_unlock(&worker->mutex);
}

static void
run_batch(struct worker *worker, struct job_list *batch)
{
    struct job_list done;
    struct job *head = batch->head;
    list_init(&done);
    run_writes(worker, head);
    run_reads(worker, head);
    look_for_damage(worker);
    sort_out(worker, batch, &done);
    give_back(worker, &done);
    spool_tidy(worker->spool); /* after the answers: it may take a while */
    look_at_space(worker);
}

/* ---- the threads */

static struct timespec
moment_in(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return until;
}

/* With the mutex held: waits until there is something to do. False: the end. */
static bool
wait_for_work(struct crew *crew)
{
    struct worker *worker = crew->worker;
    while (crew->queue.head == NULL) {
        bool retrying = crew == &worker->database && worker->retry.head != NULL;
        if (crew->stopping) {
            return retrying;
        }
        struct timespec until = moment_in(SPACE_INTERVAL_MS);
        pthread_cond_timedwait(&crew->wake, &worker->mutex, &until);
        if (crew == &worker->database) {
            return true; /* free space, and what must be tried again */
        }
    }
    return true;
}

/* With the mutex held: results alone wait a little for somebody in a hurry. */
static void
wait_for_company(struct crew *crew)
{
    struct timespec until = moment_in(RESULTS_WAIT_MS);
    int code = 0;
    while (code == 0 && crew->queue.head != NULL && crew->urgent == 0 && !crew->stopping) {
        code = pthread_cond_timedwait(&crew->wake, &crew->worker->mutex, &until);
    }
}

static void
take_batch(struct crew *crew, struct job_list *batch)
{
    size_t count = 0;
    size_t octets = 0;
    list_init(batch);
    while (crew->queue.head != NULL && count < WORKER_BATCH_JOBS && octets < WORKER_BATCH_OCTETS) {
        struct job *job = list_take(&crew->queue);
        octets += job->octets;
        count++;
        crew->urgent -= job->kind != JOB_MUST;
        list_add(batch, job);
    }
}

/* What must be written comes before what is new. */
static void
retry_waiting(struct worker *worker)
{
    struct job_list batch = worker->retry;
    uint64_t waiting = 0;
    if (batch.head == NULL ||
        (!worker->last_chance && clock_monotonic_ms() < worker->retry_at_ms)) {
        return;
    }
    list_init(&worker->retry);
    run_batch(worker, &batch);
    for (const struct job *job = worker->retry.head; job != NULL; job = job->next) {
        waiting++;
    }
    pthread_mutex_lock(&worker->mutex);
    worker->counts.waiting = waiting;
    pthread_mutex_unlock(&worker->mutex);
}

static void *
database_main(void *context)
{
    struct crew *crew = context;
    struct worker *worker = crew->worker;
    struct job_list batch;
    pthread_mutex_lock(&worker->mutex);
    while (wait_for_work(crew)) {
        wait_for_company(crew);
        worker->last_chance = crew->stopping;
        take_batch(crew, &batch);
        pthread_mutex_unlock(&worker->mutex);
        retry_waiting(worker);
        run_batch(worker, &batch);
        pthread_mutex_lock(&worker->mutex);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

static void *
files_main(void *context)
{
    struct crew *crew = context;
    struct worker *worker = crew->worker;
    pthread_mutex_lock(&worker->mutex);
    while (wait_for_work(crew)) {
        struct job_list done;
        struct job *job = list_take(&crew->queue);
        pthread_mutex_unlock(&worker->mutex);
        list_init(&done);
        job->status = job->run(job, NULL);
        list_add(&done, job);
        give_back(worker, &done);
        pthread_mutex_lock(&worker->mutex);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

static bool
crew_start(struct worker *worker, struct crew *crew, void *(*main)(void *))
{
    pthread_condattr_t attributes;
    crew->worker = worker;
    list_init(&crew->queue);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return pthread_create(&crew->thread, NULL, main, crew) == 0;
}

struct worker *
worker_start(struct event_base *loop, struct spool *spool, const struct queue_clock *clock)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        abort();
    }
    worker->spool = spool;
    worker->clock = *clock;
    worker->counts.queue = spool_counts(spool);
    worker->counts.oldest_ms = spool_oldest_ms(spool);
    pthread_mutex_init(&worker->mutex, NULL);
    list_init(&worker->done);
    list_init(&worker->retry);
    look_at_space(worker);
    worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    worker->event = event_new(loop, worker->event_fd, EV_READ | EV_PERSIST, on_event, worker);
    if (worker->event_fd < 0 || worker->event == NULL || event_add(worker->event, NULL) != 0 ||
        !crew_start(worker, &worker->database, database_main) ||
        !crew_start(worker, &worker->files, files_main)) {
        LOG_ERROR("the threads of the spool cannot be started",
                  LOG_CSTR("reason", strerror(errno)));
        abort();
    }
    return worker;
}

void
worker_submit(struct worker *worker, struct job *job)
{
    struct crew *crew = job->kind == JOB_FILE ? &worker->files : &worker->database;
    worker->pending++;
    worker->submitted += job->octets;
    pthread_mutex_lock(&worker->mutex);
    bool urgent = job->kind != JOB_MUST && crew->urgent == 0;
    bool wakes = urgent || crew->queue.head == NULL;
    crew->urgent += job->kind != JOB_MUST;
    list_add(&crew->queue, job);
    if (wakes) {
        pthread_cond_signal(&crew->wake);
    }
    pthread_mutex_unlock(&worker->mutex);
}

size_t
worker_pending(const struct worker *worker)
{
    return worker->pending;
}

uint64_t
worker_submitted(const struct worker *worker)
{
    return worker->submitted;
}

struct worker_counts
worker_counts(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    struct worker_counts counts = worker->counts;
    pthread_mutex_unlock(&worker->mutex);
    return counts;
}

static void
crew_stop(struct worker *worker, struct crew *crew)
{
    pthread_mutex_lock(&worker->mutex);
    crew->stopping = true;
    pthread_cond_signal(&crew->wake);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(crew->thread, NULL);
    pthread_cond_destroy(&crew->wake);
}

/* Gives back what came too late to be done. */
static void
refuse_rest(struct worker *worker, struct crew *crew)
{
    struct job *job;
    while ((job = list_take(&crew->queue)) != NULL) {
        worker->pending--;
        job->status = STATUS_TEMPORARY;
        job->done(job);
    }
}

void
worker_stop(struct worker **worker)
{
    struct worker *w = *worker;
    if (w == NULL) {
        return;
    }
    crew_stop(w, &w->files);
    run_done(w); /* may hand over more to the database */
    crew_stop(w, &w->database);
    run_done(w);
    refuse_rest(w, &w->files);
    refuse_rest(w, &w->database);
    event_free(w->event);
    close(w->event_fd);
    pthread_mutex_destroy(&w->mutex);
    free(w);
    *worker = NULL;
}
