#include "roles/relay/quirks.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

struct entry {
    char *host;
    int64_t until_ms;
    UT_hash_handle hh;
};

struct relay_quirks {
    pthread_mutex_t mutex;
    struct entry *entries; /* hash, oldest first */
};

struct relay_quirks *
relay_quirks_create(void)
{
    struct relay_quirks *quirks = calloc(1, sizeof *quirks);
    if (quirks == NULL) {
        abort();
    }
    pthread_mutex_init(&quirks->mutex, NULL);
    return quirks;
}

/* With the mutex held. */
static void
entry_remove(struct relay_quirks *quirks, struct entry *entry)
{
    HASH_DEL(quirks->entries, entry);
    free(entry->host);
    free(entry);
}

void
relay_quirks_destroy(struct relay_quirks **quirks)
{
    if (*quirks == NULL) {
        return;
    }
    while ((*quirks)->entries != NULL) {
        entry_remove(*quirks, (*quirks)->entries);
    }
    pthread_mutex_destroy(&(*quirks)->mutex);
    free(*quirks);
    *quirks = NULL;
}

/* The entry of a host that is still believed; NULL: none. With the mutex held. */
static struct entry *
entry_find(struct relay_quirks *quirks, struct str host, int64_t now_ms)
{
    struct entry *entry;
    HASH_FIND(hh, quirks->entries, host.p, host.n, entry);
    if (entry != NULL && entry->until_ms <= now_ms) {
        entry_remove(quirks, entry);
        entry = NULL;
    }
    return entry;
}

/* With the mutex held; false without memory. */
static bool
entry_add(struct relay_quirks *quirks, struct str host, int64_t now_ms)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL || (entry->host = strndup(host.p, host.n)) == NULL) {
        free(entry);
        return false;
    }
    entry->until_ms = now_ms + QUIRK_MS;
    HASH_ADD_KEYPTR(hh, quirks->entries, entry->host, host.n, entry);
    if (HASH_COUNT(quirks->entries) > QUIRKS_MAX) {
        entry_remove(quirks, quirks->entries);
    }
    return true;
}

bool
relay_quirks_add(struct relay_quirks *quirks, struct str host, int64_t now_ms)
{
    pthread_mutex_lock(&quirks->mutex);
    bool added = entry_find(quirks, host, now_ms) == NULL && entry_add(quirks, host, now_ms);
    pthread_mutex_unlock(&quirks->mutex);
    return added;
}

bool
relay_quirks_has(struct relay_quirks *quirks, struct str host, int64_t now_ms)
{
    pthread_mutex_lock(&quirks->mutex);
    bool known = entry_find(quirks, host, now_ms) != NULL;
    pthread_mutex_unlock(&quirks->mutex);
    return known;
}
