/*
 * rotation.h - the stages of a key, as pure functions of the key, the clock and what the DNS shows.
 *
 *     pending ──DNS shows it──► published ──publish_wait──► active ──another is──► retiring
 *        ▲                          │                         │                       │
 * retire_after └──────DNS does not────────┴──────for an hour────────┘                       ▼
 *                                                     removed ◄──DNS shows none── retired
 *
 * A key becomes active in one way only: the DNS was asked just now, and showed exactly this key.
 * What is not an answer (a time-out, a failing server, proof by DNSSEC that it was forged) is no
 * reason to go forward, and none to go back.
 *
 * An active key that the DNS no longer shows is worse than none: a receiver then sees a failed
 * signature, and with DMARC may refuse the mail. So after ROTATION_MISSING_CHECKS answers without
 * it over at least ROTATION_MISSING_MS it signs no more, and goes back to pending: when the DNS
 * shows it again, it comes back by the usual way. One answer alone stops nothing: zones are
 * reloaded, name servers fall behind each other.
 */
#ifndef POSTERN_ROLES_VAULT_ROTATION_H
#define POSTERN_ROLES_VAULT_ROTATION_H

#include "store/vault_keys.h"

#define ROTATION_MISSING_CHECKS 6u
#define ROTATION_MISSING_MS     (60 * 60 * 1000LL)

struct rotation_settings {
    int64_t publish_wait_ms;
    int64_t retire_after_ms;
    int64_t rotate_after_ms; /* 0: by hand only */
};

/* What a step did. */
enum rotation_event {
    ROTATION_NOTHING,
    ROTATION_PUBLISHED, /* pending -> published */
    ROTATION_WITHDRAWN, /* published -> pending: the DNS shows it no more */
    ROTATION_ACTIVATED, /* published -> active: rotation_replace the others */
    ROTATION_MISSING,   /* active, and the DNS does not show it: first time */
    ROTATION_RETURNED,  /* active, and the DNS shows it again */
    ROTATION_STOPPED,   /* active -> pending: it was missing for too long */
    ROTATION_REPLACED,  /* active -> retiring */
    ROTATION_RETIRED,   /* -> retired */
    ROTATION_REMOVED,   /* retired -> removed */
};

/* True for the answers that show exactly this key. */
bool key_seen_is_shown(enum key_seen seen);
/* True for those that prove that receivers cannot use it. */
bool key_seen_is_missing(enum key_seen seen);

/*
 * Takes the answer of a question to the DNS that was asked at `now_ms`. *missing_checks counts
 * answers without an active key since the last one with it; 0 to begin with.
 */
enum rotation_event rotation_on_dns(struct vault_key *key, enum key_seen seen, int64_t now_ms,
                                    const struct rotation_settings *settings,
                                    unsigned *missing_checks);
/* What time alone does: retiring -> retired. */
enum rotation_event rotation_on_time(struct vault_key *key, int64_t now_ms,
                                     const struct rotation_settings *settings);
/* When `fresh` became active: `old`, active for the same domain and algorithm, starts to retire. */
enum rotation_event rotation_replace(struct vault_key *old, const struct vault_key *fresh,
                                     int64_t now_ms);
/* An administrator's wish: active -> retiring, or with `at_once` any -> retired. Keys that never
 * signed retire at once. ROTATION_NOTHING: it is retiring or retired already. */
enum rotation_event rotation_retire(struct vault_key *key, bool at_once, int64_t now_ms);

/* How long to wait between two questions about the key, ms; 0: it is not asked for. */
int64_t rotation_check_interval(const struct vault_key *key, int64_t now_ms,
                                const struct rotation_settings *settings);
/*
 * True when it is time to make the successor of an active key: so long before rotate_after that
 * there is time to publish it.
 */
bool rotation_wants_successor(const struct vault_key *key, int64_t now_ms,
                              const struct rotation_settings *settings);

/* "pending", ...; static, never NULL, as the next one. */
const char *key_state_name(enum key_state state);
/* For people: "the DNS has no such record", ... */
const char *key_seen_text(enum key_seen seen);
/* For programs: "absent", ... */
const char *key_seen_name(enum key_seen seen);

#endif
