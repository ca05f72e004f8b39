#include "roles/signer/keys.h"

#include <pthread.h>
#include <stdlib.h>

/* Retired keys that are kept at the most, whatever is reloaded how often. */
#define RETIRED_MAX (2 * KEYS_MAX)

struct entry {
    struct tls_signing_key *key; /* one reference */
    int64_t until_ms;            /* of a retired one */
};

struct set {
    struct entry *items; /* owned */
    size_t count;
};

struct key_store {
    pthread_mutex_t mutex; /* for all but `offered`, which the loop's thread alone has */
    struct set current;
    struct set retired; /* by age, the oldest first */
    struct set offered;
};

struct key_store *
key_store_create(void)
{
    struct key_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        abort();
    }
    pthread_mutex_init(&store->mutex, NULL);
    return store;
}

/* ---- sets */

static void
set_clear(struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        tls_signing_key_unref(&set->items[i].key);
    }
    free(set->items);
    *set = (struct set){.items = NULL};
}

static void
set_add(struct set *set, struct entry entry)
{
    struct entry *items = realloc(set->items, (set->count + 1) * sizeof *items);
    if (items == NULL) {
        abort();
    }
    set->items = items;
    items[set->count++] = entry;
}

static struct tls_signing_key *
set_find(const struct set *set, const struct tls_key_id *id)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct tls_key_id *own = tls_signing_key_id(set->items[i].key);
        if (memcmp(own->octets, id->octets, sizeof id->octets) == 0) {
            return set->items[i].key;
        }
    }
    return NULL;
}

/* Drops the first `count`. */
static void
set_drop(struct set *set, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tls_signing_key_unref(&set->items[i].key);
    }
    set->count -= count;
    memmove(set->items, set->items + count, set->count * sizeof *set->items);
}

/* ---- the store */

void
key_store_destroy(struct key_store **store)
{
    struct key_store *s = *store;
    *store = NULL;
    if (s == NULL) {
        return;
    }
    set_clear(&s->current);
    set_clear(&s->retired);
    set_clear(&s->offered);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

enum status
key_store_offer(struct key_store *store, struct tls_signing_key *key)
{
    if (store->offered.count == KEYS_MAX) {
        tls_signing_key_unref(&key);
        return STATUS_LIMIT;
    }
    set_add(&store->offered, (struct entry){.key = key});
    return STATUS_OK;
}

static void
store_retire(struct key_store *store, const struct set *old, int64_t now_ms)
{
    for (size_t i = 0; i < old->count; i++) {
        struct tls_signing_key *key = old->items[i].key;
        if (set_find(&store->current, tls_signing_key_id(key)) == NULL) {
            set_add(&store->retired,
                    (struct entry){tls_signing_key_ref(key), now_ms + KEYS_RETIRED_MS});
        }
    }
    if (store->retired.count > RETIRED_MAX) {
        set_drop(&store->retired, store->retired.count - RETIRED_MAX);
    }
}

void
key_store_adopt(struct key_store *store, int64_t now_ms)
{
    pthread_mutex_lock(&store->mutex);
    struct set old = store->current;
    store->current = store->offered;
    store->offered = (struct set){.items = NULL};
    store_retire(store, &old, now_ms);
    pthread_mutex_unlock(&store->mutex);
    set_clear(&old);
}

void
key_store_expire(struct key_store *store, int64_t now_ms)
{
    size_t count = 0;
    pthread_mutex_lock(&store->mutex);
    while (count < store->retired.count && store->retired.items[count].until_ms <= now_ms) {
        count++;
    }
    if (count > 0) {
        set_drop(&store->retired, count);
    }
    pthread_mutex_unlock(&store->mutex);
}

struct tls_signing_key *
key_store_find(struct key_store *store, const struct tls_key_id *id)
{
    pthread_mutex_lock(&store->mutex);
    struct tls_signing_key *key = set_find(&store->current, id);
    if (key == NULL) {
        key = set_find(&store->retired, id);
    }
    if (key != NULL) {
        tls_signing_key_ref(key);
    }
    pthread_mutex_unlock(&store->mutex);
    return key;
}

size_t
key_store_count(struct key_store *store)
{
    pthread_mutex_lock(&store->mutex);
    size_t count = store->current.count;
    pthread_mutex_unlock(&store->mutex);
    return count;
}
