/*
 * spool_bodies_internal.h - the inside of the body log: spool_bodies.c (segments and
 * transactions), spool_bodies_room.c (what goes back to the disk) and spool_record.c (records are
 * written and read).
 */
#ifndef POSTERN_STORE_SPOOL_BODIES_INTERNAL_H
#define POSTERN_STORE_SPOOL_BODIES_INTERNAL_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "base/hash.h"
#include "store/spool_bodies.h"

/* Records that are gathered before they are written; four pieces each (line, head, content, pad).
 */
#define BODIES_GATHER 250u
/* Segments without a message that are kept at most. */
#define BODIES_SPARES (BODIES_SLACK / BODIES_BLOCK / BODIES_SEGMENT_BLOCKS)
#define BODIES_WORDS  (BODIES_SEGMENT_BLOCKS / 64)

struct segment {
    int64_t number;
    int fd;              /* open while it is written or spare; else -1 */
    uint32_t used;       /* blocks that were given out, from the first */
    uint32_t used_floor; /* what `used` becomes when the transaction is undone */
    uint32_t live;       /* blocks of messages */
    uint32_t waste;      /* dead blocks that take room on the disk; of the current one: not all */
    uint32_t allocated;  /* blocks on the disk when it was last looked at */
    uint64_t bits[BODIES_WORDS]; /* a bit for each live block */
    bool dirty;                  /* its row must be written */
    bool unsynced;
    bool punched; /* has holes */
    bool gone;    /* its file is deleted; its row not yet */
    bool spare;   /* in the list of that name, as is: */
    bool wasteful;
    bool in_doubt; /* in it are records of a commit that failed just now */
    TAILQ_ENTRY(segment) wasteful_link;
    UT_hash_handle hh;
};

TAILQ_HEAD(segment_queue, segment);

/* Blocks that a transaction has made live or dead. */
struct block_change {
    struct segment *segment;
    uint32_t first;
    uint32_t count;
    bool live;
};

struct bodies {
    struct spool *spool;
    struct segment *segments; /* hash by number */
    struct segment *current;  /* or NULL */
    int64_t number_last;
    struct segment *spares[BODIES_SPARES];
    size_t spare_count;
    struct segment_queue wasteful; /* closed, with waste; the first has been so longest */
    uint64_t live;                 /* blocks of all segments */
    uint64_t waste;                /* of those that are closed */
    uint64_t slack;                /* blocks that may be spare, and that may be waste */
    bool no_holes;                 /* the file system has none */
    /* of the transaction */
    struct block_change *changes;
    size_t change_count;
    size_t change_room;
    struct segment **dirty;
    size_t dirty_count;
    size_t dirty_room;
    bool tried; /* the database's commit was begun: it may be on disk, whatever it said */
    /* gathered for the current segment */
    struct iovec pieces[BODIES_GATHER * 4];
    char lines[BODIES_GATHER][BODIES_HEADER_SIZE + 1];
    int piece_count;
    size_t record_count;
    uint32_t gathered_from; /* the block where they begin */
};

/* Blocks of a record with so many octets of head and content. */
static inline uint64_t
bodies_blocks(uint64_t size)
{
    return (size + BODIES_HEADER_SIZE + BODIES_BLOCK - 1) / BODIES_BLOCK;
}

/* ---- spool_bodies.c */

/* Opens the file of a segment. -1: errno says why. */
int bodies_segment_open(const struct bodies *bodies, const struct segment *segment, int flags);
/* Makes `current` a segment with room for so many blocks. */
[[nodiscard]] enum status bodies_make_room(struct bodies *bodies, uint32_t blocks);
void bodies_mark_dirty(struct bodies *bodies, struct segment *segment);
/* The blocks become live or dead with the transaction. */
void bodies_change(struct bodies *bodies, struct segment *segment, uint32_t first, uint32_t count,
                   bool live);

/* Deletes segments without messages until only `keep` are left. */
void bodies_drop_spares(struct bodies *bodies, size_t keep);

/* ---- spool_bodies_room.c */

/* Finds out how much may be spare and how much may be waste. */
void bodies_look_at_slack(struct bodies *bodies);
/* So many more blocks of the segment take room for nothing. */
void bodies_waste_add(struct bodies *bodies, struct segment *segment, uint32_t blocks);
/* None does any more. */
void bodies_waste_clear(struct bodies *bodies, struct segment *segment);

/* ---- spool_record.c */

/* Writes what is gathered to the current segment; does not sync it. */
[[nodiscard]] enum status bodies_write_gathered(struct bodies *bodies);

#endif
