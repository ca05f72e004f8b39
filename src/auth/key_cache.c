/* A bounded table of public keys, found by the octets of their record. See crypto.h. */
#include <pthread.h>
#include <stdlib.h>

#include "auth/crypto_internal.h"
#include "base/hash.h"

/* What is looked up: the algorithm and the octets, in one piece of memory. */
#define ID_SIZE (1 + CRYPTO_PUBLIC_MAX)

struct entry {
    UT_hash_handle hh;
    struct public_key *key; /* one reference is ours */
    size_t id_size;
    char id[];
};

struct key_cache {
    pthread_mutex_t lock;
    struct entry *entries; /* in the order of their use, the oldest first */
    size_t capacity;
};

struct key_cache *
key_cache_create(size_t capacity)
{
    struct key_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        abort();
    }
    pthread_mutex_init(&cache->lock, NULL);
    cache->capacity = capacity;
    return cache;
}

static void
entry_remove(struct key_cache *cache, struct entry *entry)
{
    HASH_DELETE(hh, cache->entries, entry);
    public_key_release(&entry->key);
    free(entry);
}

void
key_cache_destroy(struct key_cache **cache)
{
    struct key_cache *c = *cache;
    *cache = NULL;
    if (c == NULL) {
        return;
    }
    while (c->entries != NULL) {
        entry_remove(c, c->entries);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* The entry, which becomes the newest; NULL when it is not there. The lock is held. */
static struct entry *
find(struct key_cache *cache, const char *id, size_t id_size)
{
    struct entry *entry;
    HASH_FIND(hh, cache->entries, id, id_size, entry);
    if (entry != NULL && entry->hh.next != NULL) {
        HASH_DELETE(hh, cache->entries, entry);
        HASH_ADD_KEYPTR(hh, cache->entries, entry->id, entry->id_size, entry);
    }
    return entry;
}

/* Keeps a key that another thread has not kept meanwhile. The lock is held. */
static void
keep(struct key_cache *cache, const char *id, size_t id_size, struct public_key *key)
{
    if (cache->capacity == 0 || find(cache, id, id_size) != NULL) {
        return;
    }
    struct entry *entry = calloc(1, sizeof *entry + id_size);
    if (entry == NULL) {
        abort();
    }
    memcpy(entry->id, id, id_size);
    entry->id_size = id_size;
    entry->key = public_key_retain(key);
    HASH_ADD_KEYPTR(hh, cache->entries, entry->id, entry->id_size, entry);
    if (HASH_COUNT(cache->entries) > cache->capacity) {
        entry_remove(cache, cache->entries);
    }
}

enum crypto_key_result
key_cache_load(struct key_cache *cache, enum crypto_algorithm algorithm, struct str octets,
               struct public_key **key_out, unsigned *bits_out)
{
    char id[ID_SIZE];
    if (cache == NULL || octets.n == 0 || octets.n > CRYPTO_PUBLIC_MAX) {
        return public_key_load(algorithm, octets, key_out, bits_out);
    }
    id[0] = (char)algorithm;
    memcpy(id + 1, octets.p, octets.n);
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, id, octets.n + 1);
    struct public_key *key = entry != NULL ? public_key_retain(entry->key) : NULL;
    pthread_mutex_unlock(&cache->lock);
    if (key == NULL) {
        enum crypto_key_result result = public_key_load(algorithm, octets, &key, bits_out);
        if (result != CRYPTO_KEY_OK) {
            return result;
        }
        pthread_mutex_lock(&cache->lock);
        keep(cache, id, octets.n + 1, key);
        pthread_mutex_unlock(&cache->lock);
    }
    if (bits_out != NULL) {
        *bits_out = public_key_bits(key);
    }
    *key_out = key;
    return CRYPTO_KEY_OK;
}

size_t
key_cache_count(struct key_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t count = HASH_COUNT(cache->entries);
    pthread_mutex_unlock(&cache->lock);
    return count;
}
