#include "roles/edge/admission.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <utlist.h>

#include "base/random.h"

#define CHAINS         16384u /* a power of two */
#define MINUTE_US      60000000
/* Idle entries looked at, from the oldest, each time a new one is made. */
#define SWEEP_PER_MAKE 2

struct admission_entry {
    struct admission_entry *next; /* of the chain */
    TAILQ_ENTRY(admission_entry) idle;
    struct ip_network key;
    uint32_t open;
    /* When each rate is back at rest ("theoretical arrival time"), microseconds. */
    int64_t connection_rest_us;
    int64_t message_rest_us;
};

struct admission {
    struct admission_entry *chains[CHAINS];
    TAILQ_HEAD(, admission_entry) idle; /* without open connections, the longest idle first */
    size_t open;
    size_t entries;
    uint64_t secret[3];
};

struct admission *
admission_create(void)
{
    struct admission *admission = calloc(1, sizeof *admission);
    if (admission != NULL) {
        TAILQ_INIT(&admission->idle);
        random_bytes(admission->secret, sizeof admission->secret);
    }
    return admission;
}

/* ---- the table */

/* Universal while the secret is one: the two halves are mixed by one wide multiplication. */
static size_t
chain_of(const struct admission *admission, const struct ip_network *key)
{
    uint64_t half[2];
    memcpy(half, key->base.octets, sizeof half);
    unsigned __int128 product =
        (unsigned __int128)(half[0] ^ admission->secret[0]) * (half[1] ^ admission->secret[1]);
    uint64_t mixed = ((uint64_t)product ^ (uint64_t)(product >> 64)) + key->prefix;
    return (size_t)(mixed * (admission->secret[2] | 1) >> 32) % CHAINS;
}

static struct admission_entry *
entry_find(const struct admission *admission, const struct ip_network *key)
{
    struct admission_entry *entry = admission->chains[chain_of(admission, key)];
    while (entry != NULL &&
           (entry->key.prefix != key->prefix || !ip_eq(&entry->key.base, &key->base))) {
        entry = entry->next;
    }
    return entry;
}

static void
entry_free(struct admission *admission, struct admission_entry *entry)
{
    TAILQ_REMOVE(&admission->idle, entry, idle);
    LL_DELETE(admission->chains[chain_of(admission, &entry->key)], entry);
    admission->entries--;
    free(entry);
}

static bool
entry_is_at_rest(const struct admission_entry *entry, int64_t now_us)
{
    return entry->connection_rest_us <= now_us && entry->message_rest_us <= now_us;
}

/* Frees the oldest idle entries that say nothing any more; when the table is full, any idle one. */
static void
admission_sweep(struct admission *admission, int64_t now_us)
{
    struct admission_entry *oldest = TAILQ_FIRST(&admission->idle);
    for (int i = 0; i < SWEEP_PER_MAKE && oldest != NULL; i++) {
        struct admission_entry *next = TAILQ_NEXT(oldest, idle);
        bool full = admission->entries >= ADMISSION_ENTRIES_MAX;
        if (!full && !entry_is_at_rest(oldest, now_us)) {
            return;
        }
        entry_free(admission, oldest);
        oldest = next;
    }
}

static struct admission_entry *
entry_make(struct admission *admission, const struct ip_network *key, int64_t now_us)
{
    admission_sweep(admission, now_us);
    struct admission_entry *entry =
        admission->entries < ADMISSION_ENTRIES_MAX ? calloc(1, sizeof *entry) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    entry->key = *key;
    LL_PREPEND(admission->chains[chain_of(admission, key)], entry);
    TAILQ_INSERT_TAIL(&admission->idle, entry, idle);
    admission->entries++;
    return entry;
}

static struct admission_entry *
entry_get(struct admission *admission, const struct ip_network *key, int64_t now_us)
{
    struct admission_entry *entry = entry_find(admission, key);
    return entry != NULL ? entry : entry_make(admission, key, now_us);
}

static void
entry_open(struct admission *admission, struct admission_entry *entry)
{
    if (entry->open++ == 0) {
        TAILQ_REMOVE(&admission->idle, entry, idle);
    }
}

static void
entry_close(struct admission *admission, struct admission_entry *entry)
{
    if (--entry->open == 0) {
        TAILQ_INSERT_TAIL(&admission->idle, entry, idle);
    }
}

void
admission_destroy(struct admission **admission)
{
    struct admission *a = *admission;
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < CHAINS; i++) {
        while (a->chains[i] != NULL) {
            struct admission_entry *entry = a->chains[i];
            a->chains[i] = entry->next;
            free(entry);
        }
    }
    free(a);
    *admission = NULL;
}

/* ---- rates */

static bool
rate_allows(int64_t rest_us, uint32_t per_minute, int64_t now_us)
{
    if (per_minute == 0) {
        return true;
    }
    int64_t from = rest_us > now_us ? rest_us : now_us;
    return from + MINUTE_US / per_minute - now_us <= MINUTE_US;
}

static void
rate_count(int64_t *rest_us, uint32_t per_minute, int64_t now_us)
{
    if (per_minute > 0) {
        *rest_us = (*rest_us > now_us ? *rest_us : now_us) + MINUTE_US / per_minute;
    }
}

/* ---- connections */

static enum admission_verdict
admission_judge(const struct admission *admission, const struct admission_limits *limits,
                const struct admission_place *place, bool rated, int64_t now_us)
{
    if (place->address->open >= limits->connections_per_address) {
        return ADMISSION_ADDRESS;
    }
    if (place->network->open >= limits->connections_per_network) {
        return ADMISSION_NETWORK;
    }
    if (rated &&
        !rate_allows(place->address->connection_rest_us, limits->connection_rate, now_us)) {
        return ADMISSION_ADDRESS_RATE;
    }
    if (rated && !rate_allows(place->network->connection_rest_us,
                              limits->connection_rate_per_network, now_us)) {
        return ADMISSION_NETWORK_RATE;
    }
    return admission->open >= limits->connections ? ADMISSION_CONNECTIONS : ADMISSION_OK;
}

enum admission_verdict
admission_enter(struct admission *admission, const struct admission_limits *limits,
                const struct ip_address *ip, bool rated, int64_t now_ms,
                struct admission_place *place_out)
{
    int64_t const now_us = now_ms * 1000;
    struct ip_network const address = ip_network_of(ip, 32, 128);
    struct ip_network const network = ip_network_of(ip, ADMISSION_V4_PREFIX, ADMISSION_V6_PREFIX);
    struct admission_place place = {.network = entry_get(admission, &network, now_us)};
    if (place.network == NULL) {
        return ADMISSION_TABLE_FULL;
    }
    entry_open(admission, place.network); /* so that making the next does not free it */
    place.address = entry_get(admission, &address, now_us);
    entry_close(admission, place.network);
    if (place.address == NULL) {
        return ADMISSION_TABLE_FULL;
    }
    enum admission_verdict verdict = admission_judge(admission, limits, &place, rated, now_us);
    if (verdict != ADMISSION_OK) {
        return verdict;
    }
    entry_open(admission, place.address);
    entry_open(admission, place.network);
    admission->open++;
    if (rated) {
        rate_count(&place.address->connection_rest_us, limits->connection_rate, now_us);
        rate_count(&place.network->connection_rest_us, limits->connection_rate_per_network, now_us);
    }
    *place_out = place;
    return ADMISSION_OK;
}

void
admission_leave(struct admission *admission, struct admission_place *place)
{
    if (place->address == NULL) {
        return;
    }
    entry_close(admission, place->address);
    entry_close(admission, place->network);
    admission->open--;
    *place = (struct admission_place){NULL, NULL};
}

bool
admission_message(const struct admission_limits *limits, const struct admission_place *place,
                  int64_t now_ms)
{
    struct admission_entry *entry = place->address;
    if (!rate_allows(entry->message_rest_us, limits->message_rate, now_ms * 1000)) {
        return false;
    }
    rate_count(&entry->message_rest_us, limits->message_rate, now_ms * 1000);
    return true;
}

size_t
admission_open(const struct admission *admission)
{
    return admission->open;
}

size_t
admission_entries(const struct admission *admission)
{
    return admission->entries;
}

/* ---- names */

const char *
admission_limit_name(enum admission_verdict verdict)
{
    static const char *const names[ADMISSION_VERDICT_COUNT] = {
        [ADMISSION_OK] = "",
        [ADMISSION_CONNECTIONS] = "limits.connections",
        [ADMISSION_ADDRESS] = "limits.connections_per_address",
        [ADMISSION_NETWORK] = "limits.connections_per_network",
        [ADMISSION_ADDRESS_RATE] = "limits.connection_rate",
        [ADMISSION_NETWORK_RATE] = "limits.connection_rate_per_network",
        [ADMISSION_TABLE_FULL] = "admission table",
    };
    return names[verdict];
}

uint32_t
admission_limit_value(const struct admission_limits *limits, enum admission_verdict verdict)
{
    const uint32_t values[ADMISSION_VERDICT_COUNT] = {
        [ADMISSION_CONNECTIONS] = limits->connections,
        [ADMISSION_ADDRESS] = limits->connections_per_address,
        [ADMISSION_NETWORK] = limits->connections_per_network,
        [ADMISSION_ADDRESS_RATE] = limits->connection_rate,
        [ADMISSION_NETWORK_RATE] = limits->connection_rate_per_network,
        [ADMISSION_TABLE_FULL] = ADMISSION_ENTRIES_MAX,
    };
    return values[verdict];
}
