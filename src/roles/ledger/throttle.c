#include "roles/ledger/throttle.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"

#define KEY_OCTETS 16

/* What an entry counts. */
enum kind {
    KIND_USER = 'u',
    KIND_ADDRESS = 'a',
    KIND_KNOWN = 'k', /* this user has logged in from this address */
};

/* In the order of their last use, as the hash keeps them. */
struct entry {
    uint8_t key[KEY_OCTETS]; /* keyed hash of kind, user and address: fixed size, unguessable */
    uint32_t count;
    int64_t since_ms; /* when the window began */
    UT_hash_handle hh;
};

struct throttle {
    struct entry *entries;
    uint8_t secret[crypto_generichash_KEYBYTES];
};

struct throttle *
throttle_create(void)
{
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle != NULL) {
        random_bytes(throttle->secret, sizeof throttle->secret);
    }
    return throttle;
}

void
throttle_destroy(struct throttle **throttle)
{
    if (*throttle == NULL) {
        return;
    }
    HASH_FREE_ALL((*throttle)->entries);
    free(*throttle);
    *throttle = NULL;
}

size_t
throttle_entries(const struct throttle *throttle)
{
    return HASH_COUNT(throttle->entries);
}

/* ---- entries */

static void
make_key(const struct throttle *throttle, enum kind kind, struct str user,
         const struct ip_address *ip, uint8_t key_out[static KEY_OCTETS])
{
    crypto_generichash_state state;
    uint8_t first = (uint8_t)kind;
    crypto_generichash_init(&state, throttle->secret, sizeof throttle->secret, KEY_OCTETS);
    crypto_generichash_update(&state, &first, 1);
    if (kind != KIND_USER) {
        struct ip_network network = ip_network_of(ip, 32, 64);
        crypto_generichash_update(&state, network.base.octets, sizeof network.base.octets);
    }
    if (kind != KIND_ADDRESS && user.n > 0) {
        crypto_generichash_update(&state, (const unsigned char *)user.p, user.n);
    }
    crypto_generichash_final(&state, key_out, KEY_OCTETS);
}

static struct entry *
find(struct throttle *throttle, enum kind kind, struct str user, const struct ip_address *ip)
{
    uint8_t key[KEY_OCTETS];
    struct entry *entry;
    make_key(throttle, kind, user, ip, key);
    HASH_FIND(hh, throttle->entries, key, KEY_OCTETS, entry);
    return entry;
}

/* The entry, made if it is not there, as the one that was used last; NULL without memory. */
static struct entry *
touch(struct throttle *throttle, enum kind kind, struct str user, const struct ip_address *ip)
{
    struct entry *entry = find(throttle, kind, user, ip);
    if (entry != NULL) {
        HASH_DEL(throttle->entries, entry);
    } else {
        if (HASH_COUNT(throttle->entries) >= THROTTLE_ENTRIES_MAX) {
            entry = throttle->entries; /* the one that was used longest ago gives way */
            HASH_DEL(throttle->entries, entry);
            *entry = (struct entry){0};
        } else {
            entry = calloc(1, sizeof *entry);
        }
        if (entry == NULL) {
            return NULL;
        }
        make_key(throttle, kind, user, ip, entry->key);
    }
    HASH_ADD(hh, throttle->entries, key, KEY_OCTETS, entry);
    return entry;
}

/* Failures within the window. */
static uint32_t
failures(const struct entry *entry, int64_t window_ms, int64_t now_ms)
{
    return entry != NULL && now_ms - entry->since_ms < window_ms ? entry->count : 0;
}

static void
count_one(struct throttle *throttle, enum kind kind, struct str user, const struct ip_address *ip,
          int64_t window_ms, int64_t now_ms)
{
    struct entry *entry = touch(throttle, kind, user, ip);
    if (entry == NULL) {
        return;
    }
    if (entry->count == 0 || now_ms - entry->since_ms >= window_ms) {
        entry->since_ms = now_ms;
        entry->count = 0;
    }
    entry->count++;
}

static void
uncount_one(struct entry *entry)
{
    if (entry != NULL && entry->count > 0) {
        entry->count--;
    }
}

/* ---- what the ledger asks */

bool
throttle_is_open(struct throttle *throttle, const struct throttle_limits *limits, struct str user,
                 const struct ip_address *ip, int64_t now_ms)
{
    const struct entry *known = find(throttle, KIND_KNOWN, user, ip);
    bool is_known = known != NULL && now_ms - known->since_ms < THROTTLE_KNOWN_MS;
    uint32_t by_address =
        failures(find(throttle, KIND_ADDRESS, user, ip), limits->window_ms, now_ms);
    uint32_t by_user = failures(find(throttle, KIND_USER, user, ip), limits->window_ms, now_ms);
    return by_address < limits->failures_per_address &&
           (is_known || by_user < limits->failures_per_user);
}

bool
throttle_begin(struct throttle *throttle, const struct throttle_limits *limits, struct str user,
               const struct ip_address *ip, int64_t now_ms)
{
    if (!throttle_is_open(throttle, limits, user, ip, now_ms)) {
        return false;
    }
    count_one(throttle, KIND_USER, user, ip, limits->window_ms, now_ms);
    count_one(throttle, KIND_ADDRESS, user, ip, limits->window_ms, now_ms);
    return true;
}

void
throttle_uncount(struct throttle *throttle, struct str user, const struct ip_address *ip,
                 bool login, int64_t now_ms)
{
    uncount_one(find(throttle, KIND_USER, user, ip));
    uncount_one(find(throttle, KIND_ADDRESS, user, ip));
    if (login) {
        struct entry *known = touch(throttle, KIND_KNOWN, user, ip);
        if (known != NULL) {
            known->since_ms = now_ms;
        }
    }
}
