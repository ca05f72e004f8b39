/*
 * throttle.h - slows down the guessing of passwords: failed logins are counted by user and by
 * address, and past a limit nothing is checked any more until the window has passed.
 *
 * An attempt is counted when it begins and uncounted when it succeeds, so that many guesses at one
 * time are no way round the limit. Names that do not exist are counted like others. Addresses are
 * single ones for IPv4 and /64 networks for IPv6, where anybody has that many.
 *
 * The limit of a user would let anybody lock that user out, and the limit of an address a whole
 * office behind one address: the telephone of somebody who has left is enough. So a user at an
 * address from which he has logged in before is counted for himself: neither limit stops him there,
 * his failures there stop nobody else, and he has as many as an address. The same goes for the
 * hosts of a zone that is exempt.
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

/* About 120 octets each, and the names of those that are kept out. */
#define THROTTLE_ENTRIES_MAX 200000u
/* Names that are kept for throttle_locks; who is kept out above them is not listed. */
#define THROTTLE_NAMES_MAX   10000u
/* How long a login makes an address a known one of its user. */
#define THROTTLE_KNOWN_MS    (30LL * 24 * 3600 * 1000)

struct throttle;

struct throttle_limits {
    uint32_t failures_per_user;
    uint32_t failures_per_address;
    int64_t window_ms;
    bool exempt; /* users at this address are counted each for himself */
};

/* Who is kept out now. Texts are borrowed until the next call that takes the throttle. */
struct throttle_lock {
    struct str user;    /* empty: everybody at the address */
    struct str address; /* or network; empty: the user, wherever he is not known */
    uint32_t failures;
    int64_t until_ms; /* monotonic */
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

/* Those who are kept out now, the first `most` of them; how many there are. */
size_t throttle_locks(const struct throttle *throttle, const struct throttle_limits *limits,
                      int64_t now_ms, size_t most, struct throttle_lock *locks_out);
/*
 * Lets them try again: a user by name (and at each address), everybody at an address as
 * throttle_locks tells it, or all when `who` is empty. How many locks were lifted.
 */
size_t throttle_lift(struct throttle *throttle, struct str who);

/* Users, addresses and pairs that are remembered; at most THROTTLE_ENTRIES_MAX. */
size_t throttle_entries(const struct throttle *throttle);

#endif
