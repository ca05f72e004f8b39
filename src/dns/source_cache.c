#include "dns/source_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "dns/name.h"
#include "dns/source_channel.h"

/* Entries that a cache begins with; it doubles from there. */
#define ENTRIES_FIRST 16u

/* Who is to be told when all is answered. Loop thread only. */
struct waiter {
    size_t batches; /* without a reply */
    void (*ready)(void *context);
    void *context;
};

/* Questions that went out in one packet. Belongs to the cache and to the reply that will come. */
struct batch {
    pthread_mutex_t mutex;
    pthread_cond_t done_cond;
    unsigned references;
    bool done;
    int64_t deadline_ms;       /* what has no reply then will have none */
    struct ipc_message *reply; /* NULL: there is none, and will be none once it is done */
    struct waiter *waiter;     /* loop thread only; NULL: nobody waits */
    struct batch *next;        /* of the cache; its thread only */
};

enum entry_state {
    ENTRY_NOTED,    /* by prefetch, not asked yet */
    ENTRY_ASKED,    /* its answer is in a batch, or will be */
    ENTRY_ANSWERED, /* `answer` */
    ENTRY_ALONE,    /* to be asked by itself */
};

struct entry {
    struct str name; /* normal form, in the cache's arena */
    uint16_t type;
    enum entry_state state;
    struct batch *batch;
    size_t index; /* in the batch */
    struct dns_answer answer;
};

struct dns_cache {
    struct dns_cache_settings settings;
    struct arena *arena;
    struct entry *entries; /* owned */
    size_t count;
    size_t room;
    size_t noted;
    struct batch *batches;
    struct dns_cache_counts counts;
};

/* ---- batches */

static struct batch *
batch_create(void)
{
    struct batch *batch = calloc(1, sizeof *batch);
    pthread_condattr_t attributes;
    if (batch == NULL) {
        abort();
    }
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&batch->mutex, NULL);
    pthread_cond_init(&batch->done_cond, &attributes);
    pthread_condattr_destroy(&attributes);
    batch->references = 1;
    return batch;
}

static void
batch_unref(struct batch *batch)
{
    pthread_mutex_lock(&batch->mutex);
    bool last = --batch->references == 0;
    pthread_mutex_unlock(&batch->mutex);
    if (!last) {
        return;
    }
    ipc_message_free(&batch->reply);
    pthread_cond_destroy(&batch->done_cond);
    pthread_mutex_destroy(&batch->mutex);
    free(batch);
}

static void
waiter_count_down(struct waiter *waiter)
{
    if (waiter != NULL && --waiter->batches == 0) {
        waiter->ready(waiter->context);
        free(waiter);
    }
}

/* In the loop's thread. */
static void
on_batch_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct batch *batch = context;
    if (status == STATUS_OK && reply->type != MSG_RESOLVE_BATCH_REPLY) {
        ipc_message_free(&reply);
    }
    pthread_mutex_lock(&batch->mutex);
    batch->reply = reply;
    batch->done = true;
    pthread_cond_signal(&batch->done_cond);
    pthread_mutex_unlock(&batch->mutex);
    waiter_count_down(batch->waiter);
    batch_unref(batch);
}

static struct timespec
in_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

enum batch_result {
    BATCH_ANSWER,
    BATCH_NO_ANSWER, /* the resolver is still at it, or went away: ask again */
    BATCH_TIMED_OUT, /* it said nothing in all the time that there was */
};

/* Waits at most `ms` for the answer at `index`, which lives as long as the batch. */
static enum batch_result
batch_wait(struct batch *batch, size_t index, int64_t ms, const struct record_answer **answer_out)
{
    struct timespec until = in_ms(ms);
    int failed = 0;
    pthread_mutex_lock(&batch->mutex);
    while (!batch->done && failed == 0) {
        failed = pthread_cond_timedwait(&batch->done_cond, &batch->mutex, &until);
    }
    bool done = batch->done;
    struct ipc_message *reply = done ? batch->reply : NULL;
    pthread_mutex_unlock(&batch->mutex);
    if (reply == NULL) {
        bool late = !done || clock_monotonic_ms() >= batch->deadline_ms;
        return late ? BATCH_TIMED_OUT : BATCH_NO_ANSWER;
    }
    const struct msg_resolve_batch_reply *fields = MSG_BODY(reply, resolve_batch_reply);
    if (index >= fields->answers.n ||
        fields->answers.items[index].outcome == DNS_BATCH_UNANSWERED) {
        return BATCH_NO_ANSWER;
    }
    *answer_out = &fields->answers.items[index];
    return BATCH_ANSWER;
}

/* ---- entries */

static struct entry *
entry_find(struct dns_cache *cache, struct str name, uint16_t type)
{
    for (size_t i = 0; i < cache->count; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->type == type && str_eq(entry->name, name)) {
            return entry;
        }
    }
    return NULL;
}

static bool
make_room(struct dns_cache *cache)
{
    if (cache->count < cache->room) {
        return true;
    }
    size_t room = cache->room > 0 ? 2 * cache->room : ENTRIES_FIRST;
    struct entry *entries =
        room <= DNS_CACHE_QUESTIONS_MAX ? realloc(cache->entries, room * sizeof *entries) : NULL;
    if (entries == NULL) {
        return false;
    }
    cache->entries = entries;
    cache->room = room;
    return true;
}

/* NULL when there is no room for another one. Other entries may move. */
static struct entry *
entry_add(struct dns_cache *cache, struct str name, uint16_t type, enum entry_state state)
{
    if (!make_room(cache)) {
        return NULL;
    }
    struct str kept = arena_str_dup(cache->arena, name);
    if (kept.p == NULL) {
        return NULL;
    }
    struct entry *entry = &cache->entries[cache->count++];
    *entry = (struct entry){.name = kept, .type = type, .state = state};
    return entry;
}

/* ---- asking up front */

static bool
may_ask(struct dns_cache *cache)
{
    bool may = cache->settings.budget == NULL || dns_budget_take(cache->settings.budget);
    cache->counts.refused += !may;
    return may;
}

/* How long a question that goes out now may take. */
static int64_t
wait_ms(const struct dns_cache *cache)
{
    int64_t ms = cache->settings.timeout_ms;
    if (cache->settings.budget != NULL && dns_budget_left_ms(cache->settings.budget) < ms) {
        ms = dns_budget_left_ms(cache->settings.budget);
    }
    return ms;
}

/* Takes out what was noted, at most a batch: that is sent as soon as it is full. */
static size_t
gather_noted(struct dns_cache *cache, struct entry *entries_out[static DNS_BATCH_MAX])
{
    size_t n = 0;
    for (size_t i = 0; n < cache->noted && i < cache->count; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->state == ENTRY_NOTED) {
            entry->state = ENTRY_ALONE;
            entries_out[n++] = entry;
        }
    }
    cache->noted = 0;
    return n;
}

static void
cache_prefetch_send(void *ctx)
{
    struct dns_cache *cache = ctx;
    struct record_question questions[DNS_BATCH_MAX];
    struct entry *asked[DNS_BATCH_MAX];
    size_t const n = gather_noted(cache, asked);
    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        questions[i] = (struct record_question){asked[i]->name, asked[i]->type};
    }
    struct msg_resolve_batch fields = {.questions = {questions, n},
                                       .patient = cache->settings.patient};
    struct batch *batch = batch_create();
    batch->references = 2; /* the reply may come before channel_request returns */
    int const timeout_ms = (int)wait_ms(cache);
    batch->deadline_ms = clock_monotonic_ms() + timeout_ms;
    if (channel_request(cache->settings.resolver, MSG_RESOLVE_BATCH, &fields, timeout_ms,
                        on_batch_reply, batch) != STATUS_OK) {
        batch->references = 1; /* there will be no reply */
        batch_unref(batch);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        asked[i]->state = ENTRY_ASKED;
        asked[i]->batch = batch;
        asked[i]->index = i;
    }
    batch->next = cache->batches;
    cache->batches = batch;
    cache->counts.prefetched += n;
}

static void
cache_prefetch(void *ctx, struct str name, uint16_t type)
{
    struct dns_cache *cache = ctx;
    struct str normal;
    if (cache->settings.resolver == NULL ||
        dns_name_normalize(cache->arena, name, &normal) != STATUS_OK ||
        entry_find(cache, normal, type) != NULL || cache->count >= DNS_CACHE_QUESTIONS_MAX ||
        !may_ask(cache)) {
        return;
    }
    struct entry *entry = entry_add(cache, normal, type, ENTRY_NOTED);
    if (entry == NULL) {
        return;
    }
    if (dns_view_find(cache->settings.view, cache->arena, normal, type, clock_monotonic_ms(),
                      &entry->answer) == STATUS_OK) {
        entry->state = ENTRY_ANSWERED;
        cache->counts.known++;
    } else if (++cache->noted == DNS_BATCH_MAX) {
        cache_prefetch_send(cache);
    }
}

/* ---- resolving */

static bool
time_is_up(const struct dns_cache *cache)
{
    return cache->settings.budget != NULL && dns_budget_left_ms(cache->settings.budget) == 0;
}

/*
 * Takes an entry's answer out of its batch. STATUS_NOT_FOUND: there is none, it has to be asked by
 * itself (which the budget refuses when its time is up).
 */
static enum status
take_from_batch(struct dns_cache *cache, struct arena *arena, struct entry *entry,
                struct dns_answer *out)
{
    const struct record_answer *record;
    enum batch_result result = batch_wait(entry->batch, entry->index, wait_ms(cache), &record);
    if (result == BATCH_NO_ANSWER || (result == BATCH_TIMED_OUT && time_is_up(cache))) {
        entry->state = ENTRY_ALONE;
        return STATUS_NOT_FOUND;
    }
    cache->counts.reused++;
    if (result == BATCH_TIMED_OUT) {
        entry->state = ENTRY_ANSWERED;
        entry->answer = (struct dns_answer){.outcome = DNS_OUTCOME_TIMEOUT,
                                            .canonical = entry->name,
                                            .detail = STR("the resolver did not answer in time")};
        return dns_answer_copy(arena, &entry->answer, out);
    }
    return dns_answer_from_record(arena, record, out);
}

/* Asks, and waits no longer than the budget lasts. */
static enum status
ask_source(const struct dns_cache *cache, struct arena *arena, struct str name, uint16_t type,
           struct dns_answer *out)
{
    if (cache->settings.resolver == NULL) {
        return dns_resolve(cache->settings.source, arena, name, type, out);
    }
    struct dns_source_channel channel = {cache->settings.resolver, cache->settings.view,
                                         (int)wait_ms(cache)};
    struct dns_source source = dns_source_from_channel(&channel);
    return dns_resolve(&source, arena, name, type, out);
}

static enum status
ask_alone(struct dns_cache *cache, struct arena *arena, struct entry *entry, struct str name,
          uint16_t type, struct dns_answer *out)
{
    if (!may_ask(cache)) {
        struct dns_answer refusal = dns_budget_refusal(name);
        return dns_answer_copy(arena, &refusal, out);
    }
    cache->counts.asked++;
    enum status status = ask_source(cache, arena, name, type, out);
    if (status != STATUS_OK) {
        return status;
    }
    if (entry == NULL) {
        entry = entry_add(cache, name, type, ENTRY_ALONE);
    }
    if (entry != NULL && dns_answer_copy(cache->arena, out, &entry->answer) == STATUS_OK) {
        entry->state = ENTRY_ANSWERED;
    }
    return STATUS_OK;
}

static enum status
cache_resolve(void *ctx, struct arena *arena, struct str name, uint16_t type,
              struct dns_answer *out)
{
    struct dns_cache *cache = ctx;
    struct str normal;
    enum status status = dns_name_normalize(arena, name, &normal);
    if (status != STATUS_OK) {
        return status;
    }
    cache_prefetch_send(cache);
    struct entry *entry = entry_find(cache, normal, type);
    if (entry != NULL && entry->state == ENTRY_ANSWERED) {
        cache->counts.reused++;
        return dns_answer_copy(arena, &entry->answer, out);
    }
    if (entry != NULL && entry->state == ENTRY_ASKED) {
        status = take_from_batch(cache, arena, entry, out);
        if (status != STATUS_NOT_FOUND) {
            return status;
        }
    }
    return ask_alone(cache, arena, entry, normal, type, out);
}

/* ---- the cache itself */

struct dns_cache *
dns_cache_create(const struct dns_cache_settings *settings)
{
    struct dns_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        abort();
    }
    cache->settings = *settings;
    cache->arena = arena_create(DNS_CACHE_OCTETS_MAX);
    return cache;
}

void
dns_cache_destroy(struct dns_cache **cache)
{
    if (*cache == NULL) {
        return;
    }
    for (struct batch *batch = (*cache)->batches; batch != NULL;) {
        struct batch *next = batch->next;
        batch_unref(batch);
        batch = next;
    }
    arena_destroy(&(*cache)->arena);
    free((*cache)->entries);
    free(*cache);
    *cache = NULL;
}

enum status
dns_cache_peek(struct dns_cache *cache, struct arena *arena, struct str name, uint16_t type,
               struct dns_answer *answer_out)
{
    struct str normal;
    enum status status = dns_name_normalize(arena, name, &normal);
    const struct entry *entry = status == STATUS_OK ? entry_find(cache, normal, type) : NULL;
    if (entry != NULL && entry->state == ENTRY_ANSWERED) {
        return dns_answer_copy(arena, &entry->answer, answer_out);
    }
    if (entry == NULL || entry->state != ENTRY_ASKED) {
        return status == STATUS_LIMIT ? status : STATUS_NOT_FOUND;
    }
    const struct record_answer *record;
    return batch_wait(entry->batch, entry->index, 0, &record) == BATCH_ANSWER
               ? dns_answer_from_record(arena, record, answer_out)
               : STATUS_NOT_FOUND;
}

void
dns_cache_when_ready(struct dns_cache *cache, void (*ready)(void *context), void *context)
{
    struct waiter *waiter = cache->batches != NULL ? calloc(1, sizeof *waiter) : NULL;
    if (waiter == NULL) {
        ready(context); /* whoever goes on waits for what is left */
        return;
    }
    *waiter = (struct waiter){.ready = ready, .context = context};
    for (struct batch *batch = cache->batches; batch != NULL; batch = batch->next) {
        pthread_mutex_lock(&batch->mutex);
        bool done = batch->done;
        pthread_mutex_unlock(&batch->mutex);
        if (!done) {
            batch->waiter = waiter;
            waiter->batches++;
        }
    }
    if (waiter->batches == 0) {
        free(waiter);
        ready(context);
    }
}

struct dns_source
dns_source_from_cache(struct dns_cache *cache)
{
    return (struct dns_source){.resolve = cache_resolve,
                               .ctx = cache,
                               .prefetch = cache_prefetch,
                               .prefetch_send = cache_prefetch_send};
}

struct dns_cache_counts
dns_cache_count(const struct dns_cache *cache)
{
    return cache->counts;
}
