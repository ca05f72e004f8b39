/*
 * tally.h - counts of clients that several processes share: open connections and rates, by network.
 *
 * The parent makes the table, a sealed piece of memory, and hands it to the edges; each maps it and
 * counts with atomic operations, so that a limit is the same however connections fall among them.
 * No lock is held by anybody: a process that is killed holds up nobody. What it had open is in a
 * column of its own, which its successor takes off.
 *
 * Rates are counted evenly over time (the generic cell rate algorithm): a whole minute's worth may
 * come at once, then one at a time as the minute goes on. An entry that says nothing any more makes
 * room for the next. Entries are found by a keyed hash of 64 bits: nobody outside can aim at one.
 *
 * An edge that was broken into could count wrongly, and so lock clients out or let them in. It
 * learns nothing from the table but numbers without names, and what it writes cannot harm the
 * memory of the others: sizes are the parent's word, never read from the table.
 *
 * Time comes in as a parameter, microseconds of the monotonic clock, which all processes share.
 */
#ifndef POSTERN_ROLES_TALLY_H
#define POSTERN_ROLES_TALLY_H

#include "base/ip.h"

/* Most processes that share one table; entries that a table can have. */
#define TALLY_PROCESSES_MAX 64u
#define TALLY_ENTRIES_MIN   4096u
#define TALLY_ENTRIES_MAX   (1u << 22)

struct tally;
struct tally_entry;

enum tally_rate {
    TALLY_CONNECTIONS,
    TALLY_MESSAGES,
    TALLY_RATES, /* not a rate */
};

enum tally_result {
    TALLY_OK,
    TALLY_LIMIT, /* so many are open already */
    TALLY_FULL,  /* there is no room for another network */
};

/*
 * New shared memory with room for `entries` networks (rounded up, within the bounds above) counted
 * by `processes` processes. STATUS_IO with errno set; the caller closes *fd_out. Memory is taken as
 * entries are used: 32 octets, and 4 for each process.
 */
[[nodiscard]] enum status tally_create(uint32_t entries, uint32_t processes, int *fd_out);
/*
 * Maps it, as process number `process`, which only one process is at a time; takes off what a
 * predecessor of that number had open. Closes fd in any case. NULL when it is no such memory.
 */
[[nodiscard]] struct tally *tally_open(int fd, uint32_t processes, uint32_t process);
void tally_close(struct tally **tally);

/*
 * One more open connection from `key`, unless `limit` are open. *entry_out stays valid until
 * tally_leave.
 */
[[nodiscard]] enum tally_result tally_enter(struct tally *tally, const struct ip_network *key,
                                            uint32_t limit, int64_t now_us,
                                            struct tally_entry **entry_out);
void tally_leave(struct tally *tally, struct tally_entry *entry);

/* One more event, of an entry that was entered; false when the rate forbids it. 0 a minute: any. */
[[nodiscard]] bool tally_rate_take(struct tally_entry *entry, enum tally_rate rate,
                                   uint32_t per_minute, int64_t now_us);
/* Takes the last one back. */
void tally_rate_return(struct tally_entry *entry, enum tally_rate rate, uint32_t per_minute);

/* All open connections, of all networks: one more unless `limit` are open, and one less. */
[[nodiscard]] bool tally_total_enter(struct tally *tally, uint32_t limit);
void tally_total_leave(struct tally *tally);

/* Of all processes: connections that are open, entries that are in use. */
uint32_t tally_total(const struct tally *tally);
uint32_t tally_entries(const struct tally *tally);

#endif
