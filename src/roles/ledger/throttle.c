#include "roles/ledger/throttle.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"

#define KEY_OCTETS 16
/* Between two looks for texts that are no longer needed. */
#define TIDY_MS    60000

/* What an entry counts. */
enum kind {
    KIND_USER = 'u',
    KIND_ADDRESS = 'a',
    KIND_KNOWN = 'k', /* this user has logged in from this address */
    KIND_PAIR = 'p',  /* this user at this address, where he counts for himself */
};

/* In the order of their last use, as the hash keeps them. */
struct entry {
    uint8_t key[KEY_OCTETS]; /* keyed hash of kind, user and address: fixed size, unguessable */
    uint32_t count;
    int64_t since_ms; /* when the window began */
    enum kind kind;
    char *user;    /* of an entry that has reached its limit: for people; owned */
    char *address; /* the same */
    UT_hash_handle hh;
};

struct throttle {
    struct entry *entries;
    size_t names;      /* entries with texts */
    int64_t tidied_ms; /* when texts that are no longer needed were dropped last */
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

static void
forget_name(struct throttle *throttle, struct entry *entry)
{
    if (entry->user != NULL || entry->address != NULL) {
        throttle->names--;
    }
    free(entry->user);
    free(entry->address);
    entry->user = NULL;
    entry->address = NULL;
}

void
throttle_destroy(struct throttle **throttle)
{
    if (*throttle == NULL) {
        return;
    }
    struct entry *entry = (*throttle)->entries;
    HASH_CLEAR(hh, (*throttle)->entries);
    while (entry != NULL) {
        struct entry *next = entry->hh.next;
        forget_name(*throttle, entry);
        free(entry);
        entry = next;
    }
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
            forget_name(throttle, entry);
            *entry = (struct entry){0};
        } else {
            entry = calloc(1, sizeof *entry);
        }
        if (entry == NULL) {
            return NULL;
        }
        make_key(throttle, kind, user, ip, entry->key);
        entry->kind = kind;
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

/* Failures that are too many. */
static uint32_t
limit_of(const struct throttle_limits *limits, enum kind kind)
{
    return kind == KIND_USER ? limits->failures_per_user : limits->failures_per_address;
}

static bool
is_locked(const struct entry *entry, const struct throttle_limits *limits, int64_t now_ms)
{
    return entry->kind != KIND_KNOWN &&
           failures(entry, limits->window_ms, now_ms) >= limit_of(limits, entry->kind);
}

/* Drops the texts of those that are no longer kept out, now and then. */
static void
tidy_names(struct throttle *throttle, const struct throttle_limits *limits, int64_t now_ms)
{
    struct entry *entry;
    struct entry *next;
    if (throttle->names < THROTTLE_NAMES_MAX || now_ms - throttle->tidied_ms < TIDY_MS) {
        return;
    }
    throttle->tidied_ms = now_ms;
    HASH_ITER(hh, throttle->entries, entry, next)
    {
        if (!is_locked(entry, limits, now_ms)) {
            forget_name(throttle, entry);
        }
    }
}

/* For people: whom this entry keeps out from now on. */
static void
note_name(struct throttle *throttle, struct entry *entry, struct str user,
          const struct ip_address *ip)
{
    struct ip_network network = ip_network_of(ip, 32, 64);
    char address[IP_TEXT_MAX];
    char text[IP_TEXT_MAX + sizeof "/64"];
    if (entry->user != NULL || entry->address != NULL || throttle->names >= THROTTLE_NAMES_MAX) {
        return;
    }
    snprintf(text, sizeof text, "%s%s", ip_format(&network.base, address),
             ip_is_v4(ip) ? "" : "/64");
    entry->user = entry->kind != KIND_ADDRESS ? strndup(user.n > 0 ? user.p : "", user.n) : NULL;
    entry->address = entry->kind != KIND_USER ? strdup(text) : NULL;
    throttle->names += entry->user != NULL || entry->address != NULL ? 1 : 0;
}

static void
count_one(struct throttle *throttle, enum kind kind, struct str user, const struct ip_address *ip,
          const struct throttle_limits *limits, int64_t now_ms)
{
    int64_t const window_ms = limits->window_ms;
    struct entry *entry = touch(throttle, kind, user, ip);
    if (entry == NULL) {
        return;
    }
    if (entry->count == 0 || now_ms - entry->since_ms >= window_ms) {
        entry->since_ms = now_ms;
        entry->count = 0;
    }
    entry->count++;
    if (is_locked(entry, limits, now_ms)) {
        tidy_names(throttle, limits, now_ms);
        note_name(throttle, entry, user, ip);
    }
}

static void
uncount_one(struct entry *entry)
{
    if (entry != NULL && entry->count > 0) {
        entry->count--;
    }
}

/* ---- what the ledger asks */

static bool
counts_for_himself(struct throttle *throttle, const struct throttle_limits *limits, struct str user,
                   const struct ip_address *ip, int64_t now_ms)
{
    const struct entry *known = find(throttle, KIND_KNOWN, user, ip);
    return limits->exempt || (known != NULL && now_ms - known->since_ms < THROTTLE_KNOWN_MS);
}

static bool
is_kind_locked(struct throttle *throttle, enum kind kind, const struct throttle_limits *limits,
               struct str user, const struct ip_address *ip, int64_t now_ms)
{
    const struct entry *entry = find(throttle, kind, user, ip);
    return entry != NULL && is_locked(entry, limits, now_ms);
}

bool
throttle_is_open(struct throttle *throttle, const struct throttle_limits *limits, struct str user,
                 const struct ip_address *ip, int64_t now_ms)
{
    if (counts_for_himself(throttle, limits, user, ip, now_ms)) {
        return !is_kind_locked(throttle, KIND_PAIR, limits, user, ip, now_ms);
    }
    return !is_kind_locked(throttle, KIND_ADDRESS, limits, user, ip, now_ms) &&
           !is_kind_locked(throttle, KIND_USER, limits, user, ip, now_ms);
}

bool
throttle_begin(struct throttle *throttle, const struct throttle_limits *limits, struct str user,
               const struct ip_address *ip, int64_t now_ms)
{
    if (!throttle_is_open(throttle, limits, user, ip, now_ms)) {
        return false;
    }
    if (counts_for_himself(throttle, limits, user, ip, now_ms)) {
        count_one(throttle, KIND_PAIR, user, ip, limits, now_ms);
    } else {
        count_one(throttle, KIND_USER, user, ip, limits, now_ms);
        count_one(throttle, KIND_ADDRESS, user, ip, limits, now_ms);
    }
    return true;
}

void
throttle_uncount(struct throttle *throttle, struct str user, const struct ip_address *ip,
                 bool login, int64_t now_ms)
{
    struct entry *pair = find(throttle, KIND_PAIR, user, ip);
    if (pair != NULL && pair->count > 0) {
        uncount_one(pair);
    } else {
        uncount_one(find(throttle, KIND_USER, user, ip));
        uncount_one(find(throttle, KIND_ADDRESS, user, ip));
    }
    if (login) {
        struct entry *known = touch(throttle, KIND_KNOWN, user, ip);
        if (known != NULL) {
            known->since_ms = now_ms;
        }
    }
}

/* ---- what people ask */

size_t
throttle_locks(const struct throttle *throttle, const struct throttle_limits *limits,
               int64_t now_ms, size_t most, struct throttle_lock *locks_out)
{
    size_t n = 0;
    for (const struct entry *entry = throttle->entries; entry != NULL; entry = entry->hh.next) {
        if ((entry->user == NULL && entry->address == NULL) || !is_locked(entry, limits, now_ms)) {
            continue;
        }
        if (n < most) {
            locks_out[n] = (struct throttle_lock){
                .user = str_from_cstr(entry->user),
                .address = str_from_cstr(entry->address),
                .failures = entry->count,
                .until_ms = entry->since_ms + limits->window_ms,
            };
        }
        n++;
    }
    return n;
}

size_t
throttle_lift(struct throttle *throttle, struct str who)
{
    size_t lifted = 0;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(hh, throttle->entries, entry, next)
    {
        bool named = entry->user != NULL || entry->address != NULL;
        if (!named || (who.n > 0 && !str_eq(who, str_from_cstr(entry->user)) &&
                       !str_eq(who, str_from_cstr(entry->address)))) {
            continue;
        }
        forget_name(throttle, entry);
        lifted += entry->count > 0 ? 1 : 0;
        entry->count = 0;
    }
    return lifted;
}
