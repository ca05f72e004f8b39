/*
 * spool_bodies.h - the body log: the octets (head and content) of messages of SPOOL_LOG_FROM and
 * more, in files <directory>/bodies/<number> beside the database. Used by the queue store alone.
 *
 * A file is a segment of BODIES_SEGMENT_BLOCKS blocks of BODIES_BLOCK octets. Messages are appended
 * to the current segment, each from a block of its own, and a transaction's are written and synced
 * before the commit that mentions them: a place in the database is always one that is on disk. A
 * message never moves.
 *
 * The table `segment` has one row for each file with a bit for each block that is in use; it
 * changes in the same transaction as the messages. So the database alone says what is alive: what a
 * crash left behind an aborted transaction is a free block like any other, and a start reads one
 * row and one inode for each segment, no message.
 *
 * Room: a segment of which nothing is alive is kept for the next messages (its blocks are there, so
 * syncing them writes no metadata); what is dead in the others is given back to the file system by
 * holes. Both wait until more than BODIES_SLACK, or an eighth of the room that is free, has
 * gathered.
 *
 * Each record begins with a line that names the message, its lengths and a checksum of its octets.
 * bodies_read compares all of it: what is damaged, or is not that message, is STATUS_SYNTAX and
 * never given to anybody.
 *
 * Errors: STATUS_LIMIT: no room on the disk (or in the arena); STATUS_IO; STATUS_SYNTAX: damaged.
 */
#ifndef POSTERN_STORE_SPOOL_BODIES_H
#define POSTERN_STORE_SPOOL_BODIES_H

#include "base/arena.h"
#include "store/spool.h"

#define SPOOL_BODIES_NAME     "bodies"
#define BODIES_BLOCK          4096u
#define BODIES_SEGMENT_BLOCKS 2048u /* 8 MiB; a message of SPOOL_FILE_ABOVE fits with its head */
#define BODIES_BITMAP_SIZE    (BODIES_SEGMENT_BLOCKS / 8)
#define BODIES_SLACK          (64u * 1024u * 1024u)
#define BODIES_HEADER_SIZE    64u

struct bodies;

/* Opens the log of an open database, and makes its directory. STATUS_SYNTAX: the database holds
 * what cannot be; STATUS_IO: errno says why. */
[[nodiscard]] enum status bodies_open(struct spool *spool, struct bodies **bodies_out);
/* Closes the files; NULL is allowed. */
void bodies_close(struct bodies **bodies);

/* Whether the octets of this message belong into the log. */
bool bodies_takes(const struct spool_message *m);
/*
 * Appends the octets of a message, of which bodies_takes is true, and sets m->place. They are
 * borrowed until the transaction ends.
 */
[[nodiscard]] enum status bodies_append(struct bodies *bodies, struct spool_message *m);
/* The message at this place, of `size` octets in all, is deleted by the transaction. */
void bodies_forget(struct bodies *bodies, struct spool_place place, uint64_t size);
/* Reads head and content of a message, of which id, size and place are set, into the arena. */
[[nodiscard]] enum status bodies_read(struct bodies *bodies, struct arena *arena,
                                      struct spool_message *m);

/* Before the database's commit: octets are written and synced, rows of segments are changed. */
[[nodiscard]] enum status bodies_flush(struct bodies *bodies);
/* The database's commit has succeeded. */
void bodies_committed(struct bodies *bodies);
/* The transaction is undone; `no_room`: because the disk is full. */
void bodies_rolled_back(struct bodies *bodies, bool no_room);
/* Gives room back when much has gathered; between transactions. */
void bodies_tidy(struct bodies *bodies);

/* Octets of messages, and of dead ones above what may gather. */
uint64_t bodies_size(const struct bodies *bodies);
/* Octets that new messages can take without taking more of the disk. */
uint64_t bodies_reusable(const struct bodies *bodies);

#endif
