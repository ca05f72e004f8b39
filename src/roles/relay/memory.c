#include "roles/relay/memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"
#include "store/delivery.h"

struct memory_key {
    char id[ID_LENGTH];
    uint64_t number;
};

struct entry {
    struct memory_key key;
    uint8_t outcome;
    uint16_t code;
    uint8_t enhanced_n, text_n, remote_n, tls_n;
    char enhanced[12];
    char text[RELAY_MEMORY_TEXT_MAX];
    char remote[RELAY_MEMORY_TEXT_MAX];
    char tls[64];
    UT_hash_handle hh;
};

struct relay_memory {
    pthread_mutex_t mutex;
    struct entry *entries; /* hash, oldest first */
};

struct relay_memory *
relay_memory_create(void)
{
    struct relay_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        abort();
    }
    pthread_mutex_init(&memory->mutex, NULL);
    return memory;
}

void
relay_memory_destroy(struct relay_memory **memory)
{
    if (*memory == NULL) {
        return;
    }
    HASH_FREE_ALL((*memory)->entries);
    pthread_mutex_destroy(&(*memory)->mutex);
    free(*memory);
    *memory = NULL;
}

static struct memory_key
key_of(struct str id, uint64_t number)
{
    struct memory_key key;
    memset(&key, 0, sizeof key);
    struct str name = str_head(id, sizeof key.id);
    memcpy(key.id, name.p, name.n);
    key.number = number;
    return key;
}

static uint8_t
keep(char *to, size_t size, struct str s)
{
    s = str_head(s, size);
    if (s.n > 0) {
        memcpy(to, s.p, s.n);
    }
    return (uint8_t)s.n;
}

/* An entry to be filled: a new one, or the oldest. With the mutex held. */
static struct entry *
entry_get(struct relay_memory *memory, const struct memory_key *key)
{
    struct entry *entry;
    HASH_FIND(hh, memory->entries, key, sizeof *key, entry);
    if (entry == NULL && HASH_COUNT(memory->entries) >= RELAY_MEMORY_MAX) {
        entry = memory->entries;
    }
    if (entry != NULL) {
        HASH_DEL(memory->entries, entry);
    } else if ((entry = calloc(1, sizeof *entry)) == NULL) {
        return NULL;
    }
    entry->key = *key;
    HASH_ADD(hh, memory->entries, key, sizeof entry->key, entry);
    return entry;
}

void
relay_memory_add(struct relay_memory *memory, struct str id,
                 const struct record_delivery_result *result)
{
    struct memory_key key = key_of(id, result->number);
    if (result->outcome == DELIVERY_DEFERRED || id.n == 0) {
        return;
    }
    pthread_mutex_lock(&memory->mutex);
    struct entry *entry = entry_get(memory, &key);
    if (entry != NULL) {
        entry->outcome = result->outcome;
        entry->code = result->code;
        entry->enhanced_n = keep(entry->enhanced, sizeof entry->enhanced, result->enhanced);
        entry->text_n = keep(entry->text, sizeof entry->text, result->text);
        entry->remote_n = keep(entry->remote, sizeof entry->remote, result->remote);
        entry->tls_n = keep(entry->tls, sizeof entry->tls, result->tls);
    }
    pthread_mutex_unlock(&memory->mutex);
}

bool
relay_memory_find(struct relay_memory *memory, struct arena *arena, struct str id, uint64_t number,
                  struct record_delivery_result *result_out)
{
    struct memory_key key = key_of(id, number);
    struct entry *entry;
    pthread_mutex_lock(&memory->mutex);
    HASH_FIND(hh, memory->entries, &key, sizeof key, entry);
    if (entry != NULL) {
        *result_out = (struct record_delivery_result){
            .number = number,
            .outcome = entry->outcome,
            .code = entry->code,
            .enhanced = arena_str_dup(arena, str_make(entry->enhanced, entry->enhanced_n)),
            .text = arena_str_dup(arena, str_make(entry->text, entry->text_n)),
            .remote = arena_str_dup(arena, str_make(entry->remote, entry->remote_n)),
            .tls = arena_str_dup(arena, str_make(entry->tls, entry->tls_n)),
        };
    }
    pthread_mutex_unlock(&memory->mutex);
    return entry != NULL;
}
