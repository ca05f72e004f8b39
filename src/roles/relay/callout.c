#include "roles/relay/callout.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/clock.h"

/* Octets of an answer's text that are kept. */
#define TEXT_MAX 160u

struct entry {
    char *address;
    int64_t until_ms;
    uint16_t code;
    uint8_t enhanced_n, text_n;
    char enhanced[12];
    char text[TEXT_MAX];
    UT_hash_handle hh;
};

struct relay_callout_cache {
    pthread_mutex_t mutex;
    struct entry *entries; /* hash, oldest first */
};

/* ---- the cache */

struct relay_callout_cache *
relay_callout_cache_create(void)
{
    struct relay_callout_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        abort();
    }
    pthread_mutex_init(&cache->mutex, NULL);
    return cache;
}

/* With the mutex held. */
static void
entry_remove(struct relay_callout_cache *cache, struct entry *entry)
{
    HASH_DEL(cache->entries, entry);
    free(entry->address);
    free(entry);
}

void
relay_callout_cache_clear(struct relay_callout_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    while (cache->entries != NULL) {
        entry_remove(cache, cache->entries);
    }
    pthread_mutex_unlock(&cache->mutex);
}

void
relay_callout_cache_destroy(struct relay_callout_cache **cache)
{
    if (*cache == NULL) {
        return;
    }
    relay_callout_cache_clear(*cache);
    pthread_mutex_destroy(&(*cache)->mutex);
    free(*cache);
    *cache = NULL;
}

size_t
relay_callout_cache_count(struct relay_callout_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    size_t count = HASH_COUNT(cache->entries);
    pthread_mutex_unlock(&cache->mutex);
    return count;
}

bool
relay_callout_find(struct relay_callout_cache *cache, struct arena *arena, struct str address,
                   int64_t now_ms, struct relay_callout_answer *answer_out)
{
    struct entry *entry;
    pthread_mutex_lock(&cache->mutex);
    HASH_FIND(hh, cache->entries, address.p, address.n, entry);
    if (entry != NULL && entry->until_ms <= now_ms) {
        entry_remove(cache, entry);
        entry = NULL;
    }
    if (entry != NULL) {
        *answer_out = (struct relay_callout_answer){
            .code = entry->code,
            .enhanced = arena_str_dup(arena, str_make(entry->enhanced, entry->enhanced_n)),
            .text = arena_str_dup(arena, str_make(entry->text, entry->text_n)),
        };
    }
    pthread_mutex_unlock(&cache->mutex);
    return entry != NULL;
}

static uint8_t
keep_text(char *to, size_t size, struct str s)
{
    s = str_head(s, size);
    if (s.n > 0) {
        memcpy(to, s.p, s.n);
    }
    return (uint8_t)s.n;
}

static int64_t
lifetime_ms(const struct config *config, uint16_t code)
{
    if (code >= 200 && code < 300) {
        return config->callout.positive_cache_ms;
    }
    return code >= 500 ? config->callout.negative_cache_ms : 0;
}

/* The entry of this address, made if there is none; NULL when memory is out. Mutex held. */
static struct entry *
entry_get(struct relay_callout_cache *cache, struct str address)
{
    struct entry *entry;
    HASH_FIND(hh, cache->entries, address.p, address.n, entry);
    if (entry != NULL) {
        return entry;
    }
    entry = calloc(1, sizeof *entry);
    if (entry == NULL || (entry->address = strndup(address.p, address.n)) == NULL) {
        free(entry);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, cache->entries, entry->address, address.n, entry);
    if (HASH_COUNT(cache->entries) > RELAY_CALLOUT_CACHE_MAX) {
        entry_remove(cache, cache->entries);
    }
    return entry;
}

void
relay_callout_keep(struct relay_callout_cache *cache, const struct config *config,
                   struct str address, int64_t now_ms, const struct relay_callout_answer *answer)
{
    int64_t lifetime = lifetime_ms(config, answer->code);
    if (lifetime <= 0) {
        return;
    }
    pthread_mutex_lock(&cache->mutex);
    struct entry *entry = entry_get(cache, address);
    if (entry != NULL) {
        entry->until_ms = now_ms + lifetime;
        entry->code = answer->code;
        entry->enhanced_n = keep_text(entry->enhanced, sizeof entry->enhanced, answer->enhanced);
        entry->text_n = keep_text(entry->text, sizeof entry->text, answer->text);
    }
    pthread_mutex_unlock(&cache->mutex);
}

/* ---- asking */

struct question {
    struct relay_world *world;
    const struct config *config;
    struct tls_client *tls;
    struct arena *arena;
    struct str address;
    struct next_hop hop;
    int64_t deadline_ms;
    bool utf8;   /* nothing but what the server offers is asked */
    bool unseen; /* there is a host of which it is not known what it offers */
    struct relay_callout_answer answer;
};

static void
not_asked(struct question *q, const struct smtp_reply *reply)
{
    q->answer = (struct relay_callout_answer){.enhanced = relay_enhanced_text(q->arena, reply),
                                              .text = relay_reply_text(q->arena, reply)};
}

/* What the probe's result says about the recipient. */
static void
take_result(struct question *q, const struct smtp_client_result *result)
{
    not_asked(q, &result->reply);
    /* A server that refuses the null sender has said nothing about the recipient. */
    if (result->stage == SMTP_CLIENT_STAGE_RCPT) {
        q->answer.code = result->reply.code;
    } else if (result->outcome == SMTP_CLIENT_FAILED && result->reply.code == 0) {
        q->answer.code = 553; /* it can never be said to this server: no SMTPUTF8 */
    }
}

static void
take_offers(struct question *q, const struct relay_session *session)
{
    const struct smtp_reply missing =
        SMTP_REPLY(0, 5, 6, 7, "the next server does not offer SMTPUTF8");
    if (smtp_client_offers(session->client)->smtputf8) {
        q->answer = (struct relay_callout_answer){.code = 250};
    } else {
        not_asked(q, &missing);
        q->answer.code = 553;
    }
}

/* Reads what the server of this session offers; true when that is SMTPUTF8. */
static bool
look_at_offers(struct question *q, struct relay_session *session)
{
    take_offers(q, session);
    relay_idle_give(q->world->idle, &session, q->hop.key, q->config->queue.concurrency_first,
                    clock_monotonic_ms());
    return q->answer.code == 250;
}

/* Asks over this session and gives it back; false when it was dead before it answered. */
static bool
ask_session(struct question *q, struct relay_session *session)
{
    struct smtp_client_recipient recipient = {.address = q->address};
    struct smtp_client_message message = {.recipients = &recipient, .recipient_count = 1};
    session->deadline_ms = q->deadline_ms;
    smtp_client_probe(session->client, &message);
    bool ready = relay_session_run(session);
    bool answered = ready || smtp_client_was_answered(session->client);
    session->transactions++;
    session->deadline_ms = 0;
    take_result(q, &smtp_client_results(session->client)[0]);
    relay_idle_give(q->world->idle, &session, q->hop.key, q->config->queue.concurrency_first,
                    clock_monotonic_ms());
    return answered;
}

static void
ask_route(struct question *q, struct trace *trace)
{
    const struct relay_caller caller = {.world = q->world,
                                        .config = q->config,
                                        .tls = q->tls,
                                        .hop = &q->hop,
                                        .trace = trace,
                                        .deadline_ms = q->deadline_ms};
    struct relay_route route;
    struct relay_target target;
    struct relay_route_failure failure;
    struct relay_session_failure session_failure;
    enum relay_route_step step;
    relay_route_start(&route, q->arena, q->config, &q->world->route, &q->hop);
    while ((step = relay_route_next(&route, &target, &failure)) != ROUTE_END) {
        if (step == ROUTE_FAILURE) {
            q->unseen |= !failure.permanent;
            if (q->answer.code == 0) {
                not_asked(q, &failure.reply);
            }
            if (route.host_count == 0) {
                return;
            }
            continue;
        }
        struct relay_session *session = relay_call(&caller, &target, &session_failure);
        if (session != NULL && q->utf8) {
            if (look_at_offers(q, session)) {
                return;
            }
            continue; /* another host may */
        }
        if (session != NULL) {
            (void)ask_session(q, session);
            return;
        }
        if (session_failure.skip_host) {
            relay_route_skip_host(&route);
        }
        q->unseen |= session_failure.reply.code < 500;
        if (q->answer.code == 0) {
            not_asked(q, &session_failure.reply);
        }
        if (clock_monotonic_ms() >= q->deadline_ms) {
            return;
        }
    }
    q->unseen |= route.cut_short;
}

static void
ask(struct question *q)
{
    struct relay_session *session;
    bool asked = false;
    q->deadline_ms = clock_monotonic_ms() + q->config->callout.timeout_ms;
    q->answer = (struct relay_callout_answer){.enhanced = STR("4.4.0"),
                                              .text = STR("the next hop cannot be asked")};
    if (next_hop_find(q->arena, q->config, q->address, &q->hop) != STATUS_OK) {
        return;
    }
    while (!asked && (session = relay_idle_take(q->world->idle, q->hop.key, q->config)) != NULL) {
        asked = q->utf8 ? look_at_offers(q, session) : ask_session(q, session);
        if (q->utf8) {
            break;
        }
    }
    if (!asked) {
        struct trace trace; /* a call-out belongs to no message: what it records is not kept */
        trace_init(&trace, NULL);
        ask_route(q, &trace);
        trace_free(&trace);
    }
}

void
relay_callout_ask(struct relay_world *world, const struct config *config, struct tls_client *tls,
                  struct arena *arena, struct str address, struct relay_callout_answer *answer_out)
{
    struct question q = {
        .world = world, .config = config, .tls = tls, .arena = arena, .address = address};
    ask(&q);
    *answer_out = q.answer;
}

struct str
relay_callout_utf8_key(struct arena *arena, const struct config *config, struct str address)
{
    struct next_hop hop;
    if (next_hop_find(arena, config, address, &hop) != STATUS_OK) {
        return str_make(NULL, 0);
    }
    return arena_printf(arena, " smtputf8 %.*s", STR_ARG(hop.key)); /* no address begins so */
}

void
relay_callout_ask_utf8(struct relay_world *world, const struct config *config,
                       struct tls_client *tls, struct arena *arena, struct str address,
                       struct relay_callout_answer *answer_out)
{
    struct question q = {.world = world,
                         .config = config,
                         .tls = tls,
                         .arena = arena,
                         .address = address,
                         .utf8 = true};
    ask(&q);
    if (q.unseen && q.answer.code != 250) {
        q.answer.code = 0; /* the host that is down now may take it later */
    }
    *answer_out = q.answer;
}
