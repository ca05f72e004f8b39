/* What the DNS shows of each key, and what time does to it. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/source_channel.h"
#include "roles/vault/internal.h"
#include "roles/vault/record.h"

#define ANSWER_ARENA     (512u << 10)
/* Above the resolver's own limit. */
#define EXTRA_TIMEOUT_MS 2000
/* The next try when the resolver cannot be asked. */
#define RETRY_MS         5000
/* Times of keys to which nothing happens are written this often. */
#define WRITE_TIMES_MS   (6 * 60 * 60 * 1000LL)
/* Between two looks at what takes days: successors, secrets of SRS. */
#define SLOW_MS          10000

struct rotation_settings
vault_settings(struct vault *vault)
{
    const struct config_dkim *dkim = &role_config(vault->runtime)->authentication.dkim;
    return (struct rotation_settings){
        .publish_wait_ms = dkim->publish_wait_ms,
        .retire_after_ms = dkim->retire_after_ms,
        .rotate_after_ms = dkim->rotate_after_ms,
    };
}

/* ---- what has happened */

static const struct {
    enum log_level level;
    const char *text; /* NULL: not worth a line */
} event_words[] = {
    [ROTATION_NOTHING] = {LOG_LEVEL_DEBUG, NULL},
    [ROTATION_PUBLISHED] = {LOG_LEVEL_INFO, "the DNS shows a key; it is used when publish_wait has "
                                            "passed"},
    [ROTATION_WITHDRAWN] = {LOG_LEVEL_WARN, "the DNS no longer shows a key that was to be used"},
    [ROTATION_ACTIVATED] = {LOG_LEVEL_INFO, "a key is active"},
    [ROTATION_MISSING] = {LOG_LEVEL_ERROR, "the DNS does not show a key that signs: receivers "
                                           "cannot verify the mail"},
    [ROTATION_RETURNED] = {LOG_LEVEL_INFO, "the DNS shows a key again"},
    [ROTATION_STOPPED] = {LOG_LEVEL_ERROR, "a key signs no more: the DNS has not shown it for an "
                                           "hour"},
    [ROTATION_REPLACED] = {LOG_LEVEL_INFO, "a key retires: its record must stay in the DNS until "
                                           "it has retired"},
    [ROTATION_RETIRED] = {LOG_LEVEL_INFO, "a key has retired: its private half is destroyed, and "
                                          "its record may go from the DNS"},
    [ROTATION_REMOVED] = {LOG_LEVEL_INFO, "the DNS no longer shows a retired key: it is forgotten"},
};

static void
tell_event(const struct vault_key *key, enum rotation_event event)
{
    if (event_words[event].text != NULL) {
        LOG_AT(event_words[event].level, event_words[event].text, LOG_CSTR("domain", key->domain),
               LOG_CSTR("selector", key->selector),
               LOG_CSTR("algorithm", crypto_key_type_name(key->algorithm)),
               LOG_CSTR("dns", key_seen_text(key->seen)));
    }
}

/* The keys that the fresh one replaces, behind it in `keys`. */
static size_t
add_replaced(struct vault *vault, struct vault_key keys[static VAULT_CHANGE_MAX], int64_t now)
{
    size_t count = 1;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (count == VAULT_CHANGE_MAX) {
            break;
        }
        keys[count] = entry->key;
        count += rotation_replace(&keys[count], &keys[0], now) != ROTATION_NOTHING;
    }
    return count;
}

/* Writes a step of keys[0] and all that follows from it. */
static enum status
take_step(struct vault *vault, struct vault_key keys[static VAULT_CHANGE_MAX],
          enum rotation_event event, int64_t now)
{
    size_t count = event == ROTATION_ACTIVATED ? add_replaced(vault, keys, now) : 1;
    enum status status = vault_change(vault, keys, count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        tell_event(&keys[i], i == 0 ? event : ROTATION_REPLACED);
    }
    return status;
}

enum status
vault_retire(struct vault *vault, struct entry *entry, bool at_once)
{
    int64_t const now = clock_wall_ms();
    struct vault_key keys[VAULT_CHANGE_MAX] = {entry->key};
    enum rotation_event event = rotation_retire(&keys[0], at_once, now);
    if (event == ROTATION_NOTHING) {
        return STATUS_NOT_FOUND;
    }
    entry->next_check_ms = 0;
    return take_step(vault, keys, event, now);
}

/* ---- the DNS */

struct check {
    struct vault *vault;
    uint64_t number;
    vault_on_checked *on_checked; /* NULL: nobody waits */
    void *context;
};

static void
keep_shown(struct entry *entry, struct str shown)
{
    free((void *)(uintptr_t)entry->shown.p);
    entry->shown = str_make(NULL, 0);
    shown = str_head(shown, VAULT_SHOWN_MAX);
    char *copy = shown.n > 0 ? malloc(shown.n) : NULL;
    if (copy != NULL) {
        memcpy(copy, shown.p, shown.n);
        entry->shown = str_make(copy, shown.n);
    }
}

static enum key_seen
read_answer(struct arena *arena, const struct entry *entry, const struct ipc_message *reply,
            struct str *shown_out)
{
    struct dns_answer answer;
    struct str public_key = str_make((const char *)entry->key.public_key, entry->key.public_size);
    *shown_out = STR("");
    if (reply == NULL || reply->type != MSG_RESOLVE_REPLY ||
        dns_answer_from_reply(arena, MSG_BODY(reply, resolve_reply), &answer) != STATUS_OK) {
        return KEY_SEEN_FAILED;
    }
    return key_record_compare(arena, entry->key.algorithm, public_key, &answer, shown_out);
}

static void
take_answer(struct vault *vault, struct entry *entry, enum key_seen seen, struct str shown)
{
    struct vault_key keys[VAULT_CHANGE_MAX] = {entry->key};
    struct rotation_settings const settings = vault_settings(vault);
    int64_t const now = clock_wall_ms();
    enum rotation_event event =
        rotation_on_dns(&keys[0], seen, now, &settings, &entry->missing_checks);
    keep_shown(entry, shown);
    entry->next_check_ms = clock_monotonic_ms() + rotation_check_interval(&keys[0], now, &settings);
    if (event == ROTATION_NOTHING && entry->key.seen == keys[0].seen &&
        now - entry->written_ms < WRITE_TIMES_MS) {
        entry->key = keys[0];
        return;
    }
    /* The entry may be gone after this. A step that was not written is taken at the next answer. */
    if (take_step(vault, keys, event, now) == STATUS_OK && event == ROTATION_NOTHING) {
        LOG_DEBUG("the DNS shows a key otherwise than before", LOG_CSTR("domain", keys[0].domain),
                  LOG_CSTR("selector", keys[0].selector), LOG_CSTR("dns", key_seen_text(seen)));
    }
}

static void
on_answer(void *context, enum status status, struct ipc_message *reply)
{
    struct check *check = context;
    struct vault *vault = check->vault;
    struct entry *entry = vault_find_number(vault, check->number);
    vault->asking--;
    if (entry != NULL) {
        struct arena *arena = arena_create(ANSWER_ARENA);
        struct str shown;
        enum key_seen seen = read_answer(arena, entry, status == STATUS_OK ? reply : NULL, &shown);
        entry->asking = false;
        take_answer(vault, entry, seen, shown);
        arena_destroy(&arena);
    }
    ipc_message_free(&reply);
    if (check->on_checked != NULL) {
        check->on_checked(check->context, check->number);
    }
    free(check);
}

bool
vault_check(struct vault *vault, struct entry *entry, vault_on_checked *on_checked, void *context)
{
    struct channel *resolver = role_channel(vault->runtime, ROLE_RESOLVER, 0);
    /* That a record is not there yet is worth keeping for everybody but for who waits for it. */
    bool const awaited = on_checked != NULL || entry->key.state < KEY_ACTIVE;
    struct msg_resolve question = {
        .name = str_from_cstr(entry->name), .type = DNS_TYPE_TXT, .fresh = awaited};
    int const timeout = (int)role_config(vault->runtime)->resolver.timeout_ms + EXTRA_TIMEOUT_MS;
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return false;
    }
    *check = (struct check){vault, entry->key.number, on_checked, context};
    if (channel_request(resolver, MSG_RESOLVE, &question, timeout, on_answer, check) != STATUS_OK) {
        entry->next_check_ms = clock_monotonic_ms() + RETRY_MS;
        free(check);
        return false;
    }
    entry->asking = true;
    vault->asking++;
    vault->counters.dns_checks++;
    return true;
}

/* ---- time */

static void
on_successor(void *context, enum status status, const uint64_t *numbers, size_t count)
{
    struct vault *vault = context;
    if (status == STATUS_OK && count > 0) {
        const struct vault_key *key = &vault_find_number(vault, numbers[0])->key;
        LOG_WARN("it is time to change a key: publish the record of its successor (postern key "
                 "list --records)",
                 LOG_CSTR("domain", key->domain), LOG_CSTR("selector", key->selector));
    }
}

/* True when a key of this domain and algorithm is on its way already. */
static bool
has_successor(struct vault *vault, const struct vault_key *key)
{
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (entry->key.state < KEY_ACTIVE && entry->key.algorithm == key->algorithm &&
            str_eq(str_from_cstr(entry->key.domain), str_from_cstr(key->domain))) {
            return true;
        }
    }
    return false;
}

static void
make_successor(struct vault *vault, const struct vault_key *key)
{
    struct make_order order = {
        .algorithms = 1u << key->algorithm,
        .bits = key->algorithm == CRYPTO_RSA_SHA256 && key->bits >= PRIVATE_KEY_RSA_BITS ? key->bits
                                                                                         : 0,
    };
    memcpy(order.domain, key->domain, sizeof order.domain);
    if (!vault_make(vault, &order, on_successor, vault)) {
        LOG_WARN("a key's successor cannot be made now", LOG_CSTR("domain", key->domain));
    }
}

static void
look_slowly(struct vault *vault, const struct rotation_settings *settings)
{
    int64_t const now = clock_wall_ms();
    struct entry *entry;
    struct entry *next;
    /* One at a time: what is being made is not in the table yet. */
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (work_pending(vault->makers) == 0 &&
            rotation_wants_successor(&entry->key, now, settings) &&
            !has_successor(vault, &entry->key)) {
            make_successor(vault, &entry->key);
        }
    }
    if (vault_srs_prepare(vault) != STATUS_OK) {
        LOG_ERROR("the secret of SRS cannot be renewed");
    }
}

/* False when a key has retired and that could not be written. */
static bool
retire_in_time(struct vault *vault, const struct entry *entry,
               const struct rotation_settings *settings)
{
    struct vault_key keys[VAULT_CHANGE_MAX] = {entry->key};
    int64_t const now = clock_wall_ms();
    enum rotation_event event = rotation_on_time(&keys[0], now, settings);
    return event == ROTATION_NOTHING || take_step(vault, keys, event, now) == STATUS_OK;
}

void
vault_tick(struct vault *vault)
{
    struct rotation_settings const settings = vault_settings(vault);
    int64_t const now = clock_monotonic_ms();
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (entry->key.state == KEY_RETIRING && !retire_in_time(vault, entry, &settings)) {
            break; /* the disk does not take it; a second later it may */
        }
        bool asked_for = rotation_check_interval(&entry->key, clock_wall_ms(), &settings) > 0;
        if (asked_for && !entry->asking && entry->next_check_ms <= now &&
            vault->asking < VAULT_ASKING_MAX && !vault_check(vault, entry, NULL, NULL)) {
            break; /* the resolver is away */
        }
    }
    if (now >= vault->next_slow_ms) {
        vault->next_slow_ms = now + SLOW_MS;
        look_slowly(vault, &settings);
    }
}
