#include "roles/relay/idle.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

/* Sessions of one key. */
struct shelf {
    char *key;
    struct relay_session *newest;
    size_t count;
    UT_hash_handle hh;
};

struct relay_idle {
    pthread_mutex_t mutex;
    struct shelf *shelves;
    size_t count;
    size_t most;
    int64_t wait_ms;
    /* Leaving: QUIT was said. Chained by `older`. */
    struct relay_session *leaving;
};

struct relay_idle *
relay_idle_create(void)
{
    struct relay_idle *idle = calloc(1, sizeof *idle);
    if (idle == NULL) {
        abort();
    }
    pthread_mutex_init(&idle->mutex, NULL);
    return idle;
}

void
relay_idle_set(struct relay_idle *idle, size_t most, int64_t wait_ms)
{
    pthread_mutex_lock(&idle->mutex);
    idle->most = wait_ms > 0 ? most : 0;
    idle->wait_ms = wait_ms;
    pthread_mutex_unlock(&idle->mutex);
}

/* ---- shelves; with the mutex held */

static struct shelf *
shelf_find(struct relay_idle *idle, struct str key)
{
    struct shelf *shelf;
    HASH_FIND(hh, idle->shelves, key.p, key.n, shelf);
    return shelf;
}

static struct shelf *
shelf_get(struct relay_idle *idle, struct str key)
{
    struct shelf *shelf = shelf_find(idle, key);
    if (shelf == NULL) {
        shelf = calloc(1, sizeof *shelf);
        char *copy = strndup(key.p, key.n);
        if (shelf == NULL || copy == NULL) {
            abort();
        }
        shelf->key = copy;
        HASH_ADD_KEYPTR(hh, idle->shelves, shelf->key, key.n, shelf);
    }
    return shelf;
}

static void
shelf_free_if_empty(struct relay_idle *idle, struct shelf *shelf)
{
    if (shelf->count == 0) {
        HASH_DEL(idle->shelves, shelf);
        free(shelf->key);
        free(shelf);
    }
}

/* Takes a session off its shelf; the caller looks after an empty shelf. */
static void
shelf_remove(struct relay_idle *idle, struct shelf *shelf, struct relay_session *session)
{
    if (session->newer != NULL) {
        session->newer->older = session->older;
    } else {
        shelf->newest = session->older;
    }
    if (session->older != NULL) {
        session->older->newer = session->newer;
    }
    session->older = session->newer = NULL;
    shelf->count--;
    idle->count--;
}

static void
shelf_put(struct relay_idle *idle, struct shelf *shelf, struct relay_session *session)
{
    session->older = shelf->newest;
    session->newer = NULL;
    if (shelf->newest != NULL) {
        shelf->newest->newer = session;
    }
    shelf->newest = session;
    shelf->count++;
    idle->count++;
}

/* ---- */

struct relay_session *
relay_idle_take(struct relay_idle *idle, struct str key, const struct config *config)
{
    struct relay_session *session = NULL;
    pthread_mutex_lock(&idle->mutex);
    struct shelf *shelf = shelf_find(idle, key);
    if (shelf != NULL) {
        session = shelf->newest;
        shelf_remove(idle, shelf, session);
        shelf_free_if_empty(idle, shelf);
    }
    pthread_mutex_unlock(&idle->mutex);
    if (session != NULL && (session->config != config || !relay_session_is_quiet(session))) {
        relay_session_close(&session);
        return relay_idle_take(idle, key, config);
    }
    return session;
}

static bool
is_worth_keeping(const struct relay_session *session)
{
    uint32_t mail_max = smtp_client_offers(session->client)->mail_max;
    return smtp_client_stage(session->client) == SMTP_CLIENT_STAGE_READY &&
           session->deadline_ms == 0 && !session->spent &&
           session->transactions < session->config->queue.reuse_messages &&
           (mail_max == 0 || session->transactions < mail_max);
}

static void
leave(struct relay_idle *idle, struct relay_session *session, int64_t now_ms)
{
    if (smtp_client_stage(session->client) != SMTP_CLIENT_STAGE_READY) {
        relay_session_close(&session);
        return;
    }
    relay_session_leave(session);
    session->idle_since_ms = now_ms;
    pthread_mutex_lock(&idle->mutex);
    session->older = idle->leaving;
    idle->leaving = session;
    pthread_mutex_unlock(&idle->mutex);
}

void
relay_idle_give(struct relay_idle *idle, struct relay_session **session, struct str key,
                size_t most_of_key, int64_t now_ms)
{
    struct relay_session *s = *session;
    bool kept = false;
    *session = NULL;
    if (s == NULL) {
        return;
    }
    if (is_worth_keeping(s)) {
        pthread_mutex_lock(&idle->mutex);
        struct shelf *shelf = shelf_get(idle, key);
        if (idle->count < idle->most && shelf->count < most_of_key) {
            s->idle_since_ms = now_ms;
            shelf_put(idle, shelf, s);
            kept = true;
        }
        shelf_free_if_empty(idle, shelf);
        pthread_mutex_unlock(&idle->mutex);
    }
    if (!kept) {
        leave(idle, s, now_ms);
    }
}

/* Takes out the session that has waited longest, if it has waited since `before_ms` or earlier.
 * NULL: there is none. */
static struct relay_session *
take_oldest(struct relay_idle *idle, int64_t before_ms)
{
    struct relay_session *oldest = NULL;
    struct shelf *place = NULL;
    pthread_mutex_lock(&idle->mutex);
    for (struct shelf *shelf = idle->shelves; shelf != NULL; shelf = shelf->hh.next) {
        for (struct relay_session *s = shelf->newest; s != NULL; s = s->older) {
            if (s->idle_since_ms <= before_ms &&
                (oldest == NULL || s->idle_since_ms < oldest->idle_since_ms)) {
                oldest = s;
                place = shelf;
            }
        }
    }
    if (oldest != NULL) {
        shelf_remove(idle, place, oldest);
        shelf_free_if_empty(idle, place);
    }
    pthread_mutex_unlock(&idle->mutex);
    return oldest;
}

bool
relay_idle_give_way(struct relay_idle *idle)
{
    struct relay_session *session = take_oldest(idle, INT64_MAX);
    if (session == NULL) {
        return false;
    }
    relay_session_leave(session);
    relay_session_close(&session);
    return true;
}

/* Closes sessions whose QUIT was answered or has waited for long enough. */
static void
close_left(struct relay_idle *idle, int64_t now_ms)
{
    pthread_mutex_lock(&idle->mutex);
    struct relay_session *rest = idle->leaving;
    idle->leaving = NULL;
    pthread_mutex_unlock(&idle->mutex);
    while (rest != NULL) {
        struct relay_session *session = rest;
        rest = session->older;
        session->older = NULL;
        int64_t waited_ms = now_ms - session->idle_since_ms;
        if (relay_session_may_close(session) ||
            waited_ms >= session->config->queue.timeouts.quit_ms) {
            relay_session_close(&session);
            continue;
        }
        pthread_mutex_lock(&idle->mutex);
        session->older = idle->leaving;
        idle->leaving = session;
        pthread_mutex_unlock(&idle->mutex);
    }
}

void
relay_idle_tick(struct relay_idle *idle, int64_t now_ms)
{
    struct relay_session *session;
    pthread_mutex_lock(&idle->mutex);
    int64_t wait_ms = idle->wait_ms;
    pthread_mutex_unlock(&idle->mutex);
    close_left(idle, now_ms);
    while ((session = take_oldest(idle, now_ms - wait_ms)) != NULL) {
        leave(idle, session, now_ms);
    }
}

void
relay_idle_leave_all(struct relay_idle *idle, int64_t now_ms)
{
    struct relay_session *session;
    while ((session = take_oldest(idle, INT64_MAX)) != NULL) {
        leave(idle, session, now_ms);
    }
}

size_t
relay_idle_count(struct relay_idle *idle)
{
    pthread_mutex_lock(&idle->mutex);
    size_t count = idle->count;
    for (const struct relay_session *s = idle->leaving; s != NULL; s = s->older) {
        count++;
    }
    pthread_mutex_unlock(&idle->mutex);
    return count;
}

void
relay_idle_destroy(struct relay_idle **idle)
{
    if (*idle == NULL) {
        return;
    }
    relay_idle_leave_all(*idle, 0);
    while ((*idle)->leaving != NULL) {
        struct relay_session *session = (*idle)->leaving;
        (*idle)->leaving = session->older;
        relay_session_close(&session);
    }
    pthread_mutex_destroy(&(*idle)->mutex);
    free(*idle);
    *idle = NULL;
}
