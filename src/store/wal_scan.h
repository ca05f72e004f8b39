/*
 * wal_scan.h - looks whether SQLite's write-ahead log has lost transactions that were committed.
 *
 * SQLite replays the log up to the first frame that is not sound, and says nothing of what is
 * behind it. After a power cut that is right: the last transaction was being written. Damage in the
 * middle looks the same to it, and takes every later transaction away. This reads the log before
 * SQLite does (sqlite.org/fileformat2.html, section 4) and tells the two apart.
 *
 * The evidence: each frame's checksum continues the one before it. With synchronous=FULL the frame
 * that follows a commit is written only after that commit was synced. So behind the first bad
 * frame, a commit of the log's current salt with a frame that continues it was once durable. What
 * is not evidence: frames of another salt (left from before the log was begun anew); the last
 * transaction, however torn; remains of transactions that failed or were torn before, over which
 * others were written since, for nothing continues them.
 *
 * What it cannot see: damage in the very last transaction, and a log that was cut off.
 *
 * Called by spool_open, while nobody has the database open. No state; reads only.
 */
#ifndef POSTERN_STORE_WAL_SCAN_H
#define POSTERN_STORE_WAL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Sizes of pages that SQLite has. */
#define WAL_PAGE_MIN 512u
#define WAL_PAGE_MAX 65536u

struct wal_scan {
    uint64_t kept; /* transactions that SQLite replays */
    uint64_t lost; /* commits behind the first bad frame; 0 unless `damaged` */
    bool damaged;  /* at least one of these was durable */
};

/*
 * Scans the log at `path`. `page_size` (a power of two from WAL_PAGE_MIN to WAL_PAGE_MAX) is what
 * its frames have when its header cannot be believed. A log that is missing or empty is sound.
 * STATUS_IO: it cannot be read (errno).
 */
[[nodiscard]] enum status wal_scan(const char *path, uint32_t page_size, struct wal_scan *scan_out);

#endif
