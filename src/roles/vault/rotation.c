#include "roles/vault/rotation.h"

#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS    (24 * 60 * MINUTE_MS)

/* Bounds of the time between two questions. */
#define PENDING_FIRST_MS  (1 * MINUTE_MS)
#define PENDING_LATER_MS  (10 * MINUTE_MS) /* a day after the key was made */
#define PUBLISHED_MOST_MS (5 * MINUTE_MS)
#define ACTIVE_MS         (ROTATION_MISSING_MS / ROTATION_MISSING_CHECKS)
#define RETIRED_MS        (1 * DAY_MS)
/* Time to publish a successor, at most; a quarter of rotate_after where that is less. */
#define SUCCESSOR_MOST_MS (14 * DAY_MS)

bool
key_seen_is_shown(enum key_seen seen)
{
    return seen == KEY_SEEN_SHOWN || seen == KEY_SEEN_TESTING;
}

bool
key_seen_is_missing(enum key_seen seen)
{
    return seen >= KEY_SEEN_ABSENT && seen <= KEY_SEEN_SEVERAL;
}

/* ---- steps */

static enum rotation_event
on_pending(struct vault_key *key, int64_t now)
{
    if (!key_seen_is_shown(key->seen)) {
        return ROTATION_NOTHING;
    }
    key->state = KEY_PUBLISHED;
    key->published_ms = now;
    return ROTATION_PUBLISHED;
}

static enum rotation_event
on_published(struct vault_key *key, int64_t now, const struct rotation_settings *settings)
{
    if (key_seen_is_missing(key->seen)) {
        key->state = KEY_PENDING;
        key->published_ms = 0;
        return ROTATION_WITHDRAWN;
    }
    if (!key_seen_is_shown(key->seen) || now - key->published_ms < settings->publish_wait_ms) {
        return ROTATION_NOTHING;
    }
    key->state = KEY_ACTIVE;
    key->activated_ms = now;
    key->missing_ms = 0;
    return ROTATION_ACTIVATED;
}

static enum rotation_event
on_active(struct vault_key *key, int64_t now, unsigned *missing_checks)
{
    if (key_seen_is_shown(key->seen)) {
        bool returned = key->missing_ms != 0;
        key->missing_ms = 0;
        *missing_checks = 0;
        return returned ? ROTATION_RETURNED : ROTATION_NOTHING;
    }
    if (!key_seen_is_missing(key->seen)) {
        return ROTATION_NOTHING;
    }
    ++*missing_checks;
    if (key->missing_ms == 0) {
        key->missing_ms = now;
        return ROTATION_MISSING;
    }
    if (*missing_checks < ROTATION_MISSING_CHECKS || now - key->missing_ms < ROTATION_MISSING_MS) {
        return ROTATION_NOTHING;
    }
    key->state = KEY_PENDING;
    key->published_ms = 0;
    *missing_checks = 0;
    return ROTATION_STOPPED;
}

enum rotation_event
rotation_on_dns(struct vault_key *key, enum key_seen seen, int64_t now_ms,
                const struct rotation_settings *settings, unsigned *missing_checks)
{
    key->seen = seen;
    key->checked_ms = now_ms;
    if (key_seen_is_shown(seen)) {
        key->shown_ms = now_ms;
    }
    switch (key->state) {
    case KEY_PENDING:
        if (on_pending(key, now_ms) == ROTATION_NOTHING) {
            return ROTATION_NOTHING;
        }
        /* With no time to wait, the same answer is enough. */
        return settings->publish_wait_ms > 0 ? ROTATION_PUBLISHED
                                             : on_published(key, now_ms, settings);
    case KEY_PUBLISHED:
        return on_published(key, now_ms, settings);
    case KEY_ACTIVE:
        return on_active(key, now_ms, missing_checks);
    case KEY_RETIRED:
        /* An empty p= is how a key is revoked (RFC 6376 3.6.1): nobody accepts it any more. */
        if (seen != KEY_SEEN_ABSENT && seen != KEY_SEEN_REVOKED) {
            return ROTATION_NOTHING;
        }
        key->state = KEY_REMOVED;
        return ROTATION_REMOVED;
    case KEY_RETIRING:
    case KEY_REMOVED:
        break;
    }
    return ROTATION_NOTHING;
}

enum rotation_event
rotation_on_time(struct vault_key *key, int64_t now_ms, const struct rotation_settings *settings)
{
    if (key->state != KEY_RETIRING || now_ms - key->retiring_ms < settings->retire_after_ms) {
        return ROTATION_NOTHING;
    }
    key->state = KEY_RETIRED;
    key->retired_ms = now_ms;
    return ROTATION_RETIRED;
}

enum rotation_event
rotation_replace(struct vault_key *old, const struct vault_key *fresh, int64_t now_ms)
{
    if (old->number == fresh->number || old->state != KEY_ACTIVE ||
        old->algorithm != fresh->algorithm ||
        !str_eq(str_from_cstr(old->domain), str_from_cstr(fresh->domain))) {
        return ROTATION_NOTHING;
    }
    old->state = KEY_RETIRING;
    old->retiring_ms = now_ms;
    return ROTATION_REPLACED;
}

enum rotation_event
rotation_retire(struct vault_key *key, bool at_once, int64_t now_ms)
{
    if (key->state >= KEY_RETIRED || (key->state == KEY_RETIRING && !at_once)) {
        return ROTATION_NOTHING;
    }
    /* A key that was stopped is pending again, and mail signed with it may be on its way. */
    bool signed_once = key->activated_ms != 0;
    key->retiring_ms = key->retiring_ms != 0 ? key->retiring_ms : now_ms;
    if (signed_once && !at_once) {
        key->state = KEY_RETIRING;
        return ROTATION_REPLACED;
    }
    key->state = KEY_RETIRED;
    key->retired_ms = now_ms;
    return ROTATION_RETIRED;
}

/* ---- when */

static int64_t
clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

int64_t
rotation_check_interval(const struct vault_key *key, int64_t now_ms,
                        const struct rotation_settings *settings)
{
    /* Who waits for seconds only wants to see it in seconds. */
    int64_t const part = settings->publish_wait_ms / 4;
    switch (key->state) {
    case KEY_PENDING:
        return now_ms - key->created_ms > DAY_MS ? PENDING_LATER_MS
                                                 : clamp(part, SECOND_MS, PENDING_FIRST_MS);
    case KEY_PUBLISHED:
        return clamp(part, SECOND_MS, PUBLISHED_MOST_MS);
    case KEY_ACTIVE:
        return ACTIVE_MS;
    case KEY_RETIRED:
        return RETIRED_MS;
    case KEY_RETIRING:
    case KEY_REMOVED:
        break;
    }
    return 0;
}

bool
rotation_wants_successor(const struct vault_key *key, int64_t now_ms,
                         const struct rotation_settings *settings)
{
    if (settings->rotate_after_ms == 0 || key->state != KEY_ACTIVE) {
        return false;
    }
    int64_t const lead =
        settings->publish_wait_ms + clamp(settings->rotate_after_ms / 4, 0, SUCCESSOR_MOST_MS);
    return now_ms - key->activated_ms >= settings->rotate_after_ms - lead;
}

/* ---- names */

const char *
key_state_name(enum key_state state)
{
    static const char *const names[KEY_STATE_COUNT] = {
        [KEY_PENDING] = "pending",   [KEY_PUBLISHED] = "published", [KEY_ACTIVE] = "active",
        [KEY_RETIRING] = "retiring", [KEY_RETIRED] = "retired",     [KEY_REMOVED] = "removed",
    };
    const char *name = (unsigned)state < KEY_STATE_COUNT ? names[state] : NULL;
    return name != NULL ? name : "unknown";
}

static const struct {
    const char *name;
    const char *text;
} seen_words[KEY_SEEN_COUNT] = {
    [KEY_SEEN_NOT_ASKED] = {"not_asked", "the DNS has not been asked yet"},
    [KEY_SEEN_SHOWN] = {"shown", "the DNS shows this key"},
    [KEY_SEEN_TESTING] = {"testing", "the DNS shows this key, with t=y: receivers may treat the "
                                     "mail as if it were not signed"},
    [KEY_SEEN_ABSENT] = {"absent", "the DNS has no such record"},
    [KEY_SEEN_DIFFERENT] = {"different", "the DNS shows another key"},
    [KEY_SEEN_REVOKED] = {"revoked", "the DNS shows a revoked key (an empty p=)"},
    [KEY_SEEN_UNREADABLE] = {"unreadable", "what the DNS shows is no key record"},
    [KEY_SEEN_UNUSABLE] = {"unusable",
                           "the record is for other uses (h= without sha256, or s= without email)"},
    [KEY_SEEN_SEVERAL] = {"several", "the DNS shows several TXT records there"},
    [KEY_SEEN_FAILED] = {"failed", "the DNS gave no answer"},
    [KEY_SEEN_BOGUS] = {"bogus", "the answer of the DNS fails DNSSEC validation"},
};

const char *
key_seen_text(enum key_seen seen)
{
    return (unsigned)seen < KEY_SEEN_COUNT ? seen_words[seen].text : "unknown";
}

const char *
key_seen_name(enum key_seen seen)
{
    return (unsigned)seen < KEY_SEEN_COUNT ? seen_words[seen].name : "unknown";
}
