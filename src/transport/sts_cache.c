#include "transport/sts_cache.h"

#include <stdio.h>

#include "base/hash.h"
#include "dns/name.h"
#include "transport/sts_cache_internal.h"

/* Entries without a policy that are looked for before one with a policy has to go. */
#define EVICT_LOOK 64u

struct sts_cache {
    struct sts_cached *entries; /* the one that was used longest ago first */
    size_t entries_max;
    size_t octets_max;
    size_t octets;
};

struct sts_cache *
sts_cache_create(size_t entries_max, size_t octets_max)
{
    struct sts_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL) {
        cache->entries_max = entries_max;
        cache->octets_max = octets_max;
    }
    return cache;
}

static size_t
size_of(const struct sts_cached *cached)
{
    return sizeof *cached + cached->entry.policy.n;
}

static void
forget(struct sts_cache *cache, struct sts_cached *cached)
{
    cache->octets -= size_of(cached);
    HASH_DEL(cache->entries, cached); /* NOLINT(clang-analyzer-core.NullDereference) */
    free((void *)(uintptr_t)cached->entry.policy.p);
    free(cached);
}

void
sts_cache_destroy(struct sts_cache **cache)
{
    if (*cache != NULL) {
        while ((*cache)->entries != NULL) {
            forget(*cache, (*cache)->entries);
        }
        free(*cache);
        *cache = NULL;
    }
}

static struct sts_cached *
find(const struct sts_cache *cache, struct str domain)
{
    struct sts_cached *cached = NULL;
    if (domain.n > 0) {
        HASH_FIND(hh, cache->entries, domain.p, domain.n, cached);
    }
    return cached;
}

const struct sts_entry *
sts_cache_find(const struct sts_cache *cache, struct str domain)
{
    const struct sts_cached *cached = find(cache, domain);
    return cached != NULL ? &cached->entry : NULL;
}

static void
link_last(struct sts_cache *cache, struct sts_cached *cached)
{
    HASH_ADD_KEYPTR(hh, cache->entries, cached->entry.domain, strlen(cached->entry.domain), cached);
}

const struct sts_entry *
sts_cache_use(struct sts_cache *cache, struct str domain, int64_t now_s)
{
    struct sts_cached *cached = find(cache, domain);
    if (cached == NULL) {
        return NULL;
    }
    cached->entry.used_s = now_s;
    HASH_DEL(cache->entries, cached);
    link_last(cache, cached);
    return &cached->entry;
}

/* ---- room */

/* What is least worth; NULL: every other entry is being fetched. */
static struct sts_cached *
least(struct sts_cache *cache, const struct sts_cached *but)
{
    struct sts_cached *oldest = NULL;
    size_t looked = 0;
    for (struct sts_cached *c = cache->entries; c != NULL && looked < EVICT_LOOK; c = c->hh.next) {
        if (c == but || c->entry.is_fetching) {
            continue;
        }
        if (c->entry.policy.n == 0) {
            return c;
        }
        oldest = oldest != NULL ? oldest : c;
        looked++;
    }
    return oldest;
}

static bool
is_over(const struct sts_cache *cache, size_t entries, size_t octets)
{
    /* What the analyzer does not see: HASH_DEL of the last entry empties the table. */
    size_t count = HASH_COUNT(cache->entries); /* NOLINT(clang-analyzer-unix.Malloc) */
    return count + entries > cache->entries_max || cache->octets + octets > cache->octets_max;
}

static bool
make_room(struct sts_cache *cache, const struct sts_cached *but, size_t entries, size_t octets)
{
    while (is_over(cache, entries, octets)) {
        struct sts_cached *victim = least(cache, but);
        if (victim == NULL) {
            return false;
        }
        forget(cache, victim);
    }
    return true;
}

static struct sts_cached *
add(struct sts_cache *cache, struct str domain)
{
    if (domain.n > STS_DOMAIN_MAX || !dns_name_is_host(domain) ||
        !make_room(cache, NULL, 1, sizeof(struct sts_cached))) {
        return NULL;
    }
    struct sts_cached *cached = calloc(1, sizeof *cached);
    if (cached == NULL) {
        return NULL;
    }
    memcpy(cached->entry.domain, domain.p, domain.n);
    link_last(cache, cached);
    cache->octets += size_of(cached);
    return cached;
}

/* Takes the place of the policy that is there. False: there is no room; nothing has changed. */
static bool
set_policy(struct sts_cache *cache, struct sts_cached *cached, struct str text)
{
    size_t before = cached->entry.policy.n;
    size_t more = text.n > before ? text.n - before : 0;
    char *copy = text.n > 0 && make_room(cache, cached, 0, more) ? malloc(text.n) : NULL;
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    free((void *)(uintptr_t)cached->entry.policy.p);
    cached->entry.policy = str_make(copy, text.n);
    cache->octets = cache->octets - before + text.n;
    return true;
}

/* ---- fetches */

static void
set_id(char id[static STS_ID_MAX + 1], struct str text)
{
    snprintf(id, STS_ID_MAX + 1, "%.*s", STR_ARG(text));
}

bool
sts_cache_begin(struct sts_cache *cache, struct str domain, int64_t now_s)
{
    struct sts_cached *cached = find(cache, domain);
    if (cached == NULL) {
        cached = add(cache, domain);
        if (cached == NULL) {
            return false;
        }
        cached->entry.used_s = now_s;
    }
    if (cached->entry.is_fetching) {
        return false;
    }
    cached->entry.is_fetching = true;
    cached->entry.attempted_s = now_s;
    return true;
}

static void
note_policy(struct sts_entry *entry, struct str id, const struct sts_policy *policy, int64_t now_s)
{
    if (id.n > 0) {
        set_id(entry->id, id);
    }
    entry->failed_id[0] = '\0';
    entry->mode = policy->mode;
    entry->max_age = policy->max_age;
    entry->fetched_s = now_s;
    entry->expires_s = now_s + policy->max_age;
    entry->failures = 0;
    entry->failure = TLS_RESULT_SUCCESS;
}

const struct sts_entry *
sts_cache_fetched(struct sts_cache *cache, struct str domain, struct str id,
                  const struct sts_policy *policy, int64_t now_s)
{
    struct sts_cached *cached = find(cache, domain);
    if (cached == NULL) {
        return NULL;
    }
    struct arena *arena = arena_create(STS_POLICY_ARENA);
    bool kept = set_policy(cache, cached, sts_policy_text(arena, policy));
    arena_destroy(&arena);
    if (!kept) {
        (void)sts_cache_failed(cache, domain, id, TLS_RESULT_STS_POLICY_FETCH_ERROR, now_s);
        return NULL;
    }
    cached->entry.is_fetching = false;
    note_policy(&cached->entry, id, policy, now_s);
    return &cached->entry;
}

const struct sts_entry *
sts_cache_failed(struct sts_cache *cache, struct str domain, struct str id, enum tls_result why,
                 int64_t now_s)
{
    struct sts_cached *cached = find(cache, domain);
    if (cached == NULL) {
        return NULL;
    }
    struct sts_entry *entry = &cached->entry;
    set_id(entry->failed_id, id);
    entry->is_fetching = false;
    entry->attempted_s = now_s;
    entry->failures += entry->failures < STS_FAILURES_MAX;
    entry->failure = why;
    return entry;
}

/* ---- age */

static bool
is_due(const struct sts_entry *entry, int64_t now_s)
{
    return !entry->is_fetching && sts_entry_is_live(entry, now_s) &&
           now_s - entry->used_s < STS_UNUSED_MAX && now_s >= sts_entry_refresh_at(entry) &&
           now_s >= sts_entry_retry_at(entry, now_s);
}

const struct sts_entry *
sts_cache_due(const struct sts_cache *cache, int64_t now_s)
{
    for (const struct sts_cached *c = cache->entries; c != NULL; c = c->hh.next) {
        if (is_due(&c->entry, now_s)) {
            return &c->entry;
        }
    }
    return NULL;
}

void
sts_cache_expire(struct sts_cache *cache, int64_t now_s)
{
    struct sts_cached *next;
    for (struct sts_cached *c = cache->entries; c != NULL; c = next) {
        const struct sts_entry *entry = &c->entry;
        next = c->hh.next;
        /* What failed is remembered for as long again, so that the wait goes on to grow. */
        int64_t wait = sts_entry_retry_at(entry, now_s) - entry->attempted_s;
        bool waits = entry->failures > 0 && now_s - entry->attempted_s < 2 * wait;
        if (!entry->is_fetching && !sts_entry_is_live(entry, now_s) && !waits) {
            forget(cache, c);
        }
    }
}

size_t
sts_cache_count(const struct sts_cache *cache)
{
    return HASH_COUNT(cache->entries);
}

size_t
sts_cache_octets(const struct sts_cache *cache)
{
    return cache->octets;
}

void
sts_cache_each(const struct sts_cache *cache,
               void (*visit)(void *context, const struct sts_entry *entry), void *context)
{
    for (const struct sts_cached *c = cache->entries; c != NULL; c = c->hh.next) {
        visit(context, &c->entry);
    }
}

/* ---- rows */

/* What was read from a row, without its policy; the text of that is borrowed. */
static enum status
check_row(const struct sts_entry *entry, struct str text, struct sts_policy *policy_out,
          struct arena *arena)
{
    struct sts_problem problem;
    if (!dns_name_is_host(str_from_cstr(entry->domain))) {
        return STATUS_SYNTAX;
    }
    return text.n > 0 ? sts_policy_parse(arena, text, policy_out, &problem) : STATUS_OK;
}

static enum status
restore(struct sts_cache *cache, const struct sts_entry *entry, struct str text,
        const struct sts_policy *policy)
{
    struct str domain = str_from_cstr(entry->domain);
    if (find(cache, domain) != NULL) {
        return STATUS_OK;
    }
    struct sts_cached *cached = add(cache, domain);
    if (cached == NULL) {
        return STATUS_LIMIT;
    }
    cached->entry = *entry;
    if (text.n == 0) {
        return STATUS_OK;
    }
    cached->entry.mode = policy->mode;
    cached->entry.max_age = policy->max_age;
    if (!set_policy(cache, cached, text)) {
        forget(cache, cached);
        return STATUS_LIMIT;
    }
    return STATUS_OK;
}

enum status
sts_cache_restore(struct sts_cache *cache, struct str row)
{
    struct sts_entry entry;
    struct str text;
    struct sts_policy policy = {.mode = STS_MODE_NONE};
    if (!sts_row_read(row, &entry, &text)) {
        return STATUS_SYNTAX;
    }
    struct arena *arena = arena_create(STS_POLICY_ARENA);
    enum status status = check_row(&entry, text, &policy, arena);
    if (status == STATUS_OK) {
        status = restore(cache, &entry, text, &policy);
    }
    arena_destroy(&arena);
    return status;
}
