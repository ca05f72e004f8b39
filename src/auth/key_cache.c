/* Public keys of the texts of records, and a bounded table of them. See crypto.h. */
#include <pthread.h>
#include <stdlib.h>

#include "auth/crypto_internal.h"
#include "auth/tag_list.h"
#include "base/hash.h"

/* What is looked up: the algorithm and the text, in one piece of memory. */
#define ID_SIZE       (1 + CRYPTO_TEXT_CACHED_MAX)
/* Octets of the text that its place is computed from. */
#define HASHED        64u
/* For the octets of one key, and its text without blanks. */
#define ARENA_CEILING 16384u

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

enum crypto_key_result
public_key_load_text(enum crypto_algorithm algorithm, struct str text, struct public_key **key_out,
                     unsigned *bits_out)
{
    struct str octets;
    enum crypto_key_result result = CRYPTO_KEY_MALFORMED;
    if (bits_out != NULL) {
        *bits_out = 0;
    }
    if (text.n > CRYPTO_TEXT_MAX) {
        return CRYPTO_KEY_LARGE;
    }
    struct arena *arena = arena_create(ARENA_CEILING);
    if (tag_value_base64(arena, text, &octets) == STATUS_OK) {
        result = public_key_load(algorithm, octets, key_out, bits_out);
    }
    arena_destroy(&arena);
    return result;
}

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

/*
 * Of the end of the text: keys begin alike. Whoever makes keys that end alike makes a list of them
 * that is as long as the table at most.
 */
static unsigned
id_hash(const char *id, size_t id_size)
{
    size_t n = id_size < HASHED ? id_size : HASHED;
    unsigned hash;
    HASH_VALUE(id + id_size - n, n, hash);
    return hash;
}

/* The entry, which becomes the newest; NULL when it is not there. The lock is held. */
static struct entry *
find(struct key_cache *cache, const char *id, size_t id_size)
{
    struct entry *entry;
    unsigned hash = id_hash(id, id_size);
    HASH_FIND_BYHASHVALUE(hh, cache->entries, id, id_size, hash, entry);
    if (entry != NULL && entry->hh.next != NULL) {
        HASH_DELETE(hh, cache->entries, entry);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, cache->entries, entry->id, (unsigned)entry->id_size, hash,
                                    entry);
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
    unsigned hash = id_hash(id, id_size);
    memcpy(entry->id, id, id_size);
    entry->id_size = id_size;
    entry->key = public_key_retain(key);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, cache->entries, entry->id, (unsigned)entry->id_size, hash,
                                entry);
    if (HASH_COUNT(cache->entries) > cache->capacity) {
        entry_remove(cache, cache->entries);
    }
}

enum crypto_key_result
key_cache_load(struct key_cache *cache, enum crypto_algorithm algorithm, struct str text,
               struct public_key **key_out, unsigned *bits_out)
{
    char id[ID_SIZE];
    if (cache == NULL || text.n > CRYPTO_TEXT_CACHED_MAX) {
        return public_key_load_text(algorithm, text, key_out, bits_out);
    }
    id[0] = (char)algorithm;
    memcpy(id + 1, text.p, text.n);
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, id, text.n + 1);
    struct public_key *key = entry != NULL ? public_key_retain(entry->key) : NULL;
    pthread_mutex_unlock(&cache->lock);
    if (key == NULL) {
        enum crypto_key_result result = public_key_load_text(algorithm, text, &key, bits_out);
        if (result != CRYPTO_KEY_OK) {
            return result;
        }
        pthread_mutex_lock(&cache->lock);
        keep(cache, id, text.n + 1, key);
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
