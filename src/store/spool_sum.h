/*
 * spool_sum.h - checksums of what the queue keeps on disk: what a disk altered is noticed before it
 * is delivered. Pure; used by the queue store, and by the spool role for the files of large
 * messages.
 *
 * They detect damage, not malice: each step is a bijection of its lane, so no change within one
 * word can be lost; four lanes keep the multiplier busy (64 KiB take 3 us here, a CRC in software
 * 60). The numbers are in databases and files: never change how they are made.
 */
#ifndef POSTERN_STORE_SPOOL_SUM_H
#define POSTERN_STORE_SPOOL_SUM_H

#include "store/spool.h"

/* Goes on from `sum` (1 at the beginning) with these octets. */
[[nodiscard]] uint64_t spool_sum_add(uint64_t sum, struct str octets);

/* Of a text alone. Never 0, which stands for "there is none"; so for the next two. */
[[nodiscard]] uint64_t spool_sum(struct str octets);
/* Of what decides in a message's row who gets what; not of its times, its priority, or why it is
 * held. */
[[nodiscard]] uint64_t spool_sum_message(const struct spool_message *message);
/* Of a recipient and where its mail goes; `key` is its message's. */
[[nodiscard]] uint64_t spool_sum_recipient(int64_t key, const struct spool_recipient *recipient);

#endif
