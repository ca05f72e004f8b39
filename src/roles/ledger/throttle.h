/*
 * throttle.h - slows down the guessing of passwords: failed logins are counted by user and by
 * address, and past a limit nothing is checked any more until the window has passed.
 *
 * An attempt is counted when it begins and uncounted when it succeeds, so that many guesses at one
 * time are no way round the limit. Names that do not exist are counted like others. Addresses are
 * single ones for IPv4 and /64 networks for IPv6, where anybody has that many.
 *
 * The limit of a user would let anybody lock a user out; so an address from which that user has
 * logged in before is not stopped by it (but is by its own limit).
 *
 * Nothing is kept on disk: a guesser who could make the ledger end would gain one more round, and a
 * write for each wrong password would give anybody a way to keep the disk busy.
 *
 * Memory is bounded: at THROTTLE_ENTRIES_MAX the entry that was used longest ago is forgotten. Time
 * comes in as a parameter (monotonic milliseconds). One thread.
 */
#ifndef POSTERN_ROLES_LEDGER_THROTTLE_H
#define POSTERN_ROLES_LEDGER_THROTTLE_H

#include "base/ip.h"

/* About 100 octets each. */
#define THROTTLE_ENTRIES_MAX 200000u
/* How long a login makes an address a known one of its user. */
#define THROTTLE_KNOWN_MS    (30LL * 24 * 3600 * 1000)

struct throttle;

struct throttle_limits {
    uint32_t failures_per_user;
    uint32_t failures_per_address;
    int64_t window_ms;
};

/* NULL without memory. */
[[nodiscard]] struct throttle *throttle_create(void);
void throttle_destroy(struct throttle **throttle);

/* True when an attempt would be let through now; counts nothing. */
bool throttle_is_open(struct throttle *throttle, const struct throttle_limits *limits,
                      struct str user, const struct ip_address *ip, int64_t now_ms);
/* The same, and counts the attempt as failed until throttle_succeeded says otherwise. */
bool throttle_begin(struct throttle *throttle, const struct throttle_limits *limits,
                    struct str user, const struct ip_address *ip, int64_t now_ms);
/* The attempt that began was a login, or was not decided (`login` false: memory, shutdown). */
void throttle_uncount(struct throttle *throttle, struct str user, const struct ip_address *ip,
                      bool login, int64_t now_ms);

/* Users, addresses and pairs that are remembered; at most THROTTLE_ENTRIES_MAX. */
size_t throttle_entries(const struct throttle *throttle);

#endif
