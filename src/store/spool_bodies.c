/* The body log: its segments, what a transaction does to them, and their room. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spool_bodies_internal.h"
#include "store/spool_internal.h"

#define PATH_SIZE (SPOOL_DIRECTORY_MAX + 64u)

static void
path_make(char out[static PATH_SIZE], const struct bodies *bodies, int64_t number)
{
    snprintf(out, PATH_SIZE, "%s/" SPOOL_BODIES_NAME "/%lld", bodies->spool->directory,
             (long long)number);
}

int
bodies_segment_open(const struct bodies *bodies, const struct segment *segment, int flags)
{
    char path[PATH_SIZE];
    path_make(path, bodies, segment->number);
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void
segment_close(struct segment *segment)
{
    if (segment->fd >= 0) {
        close(segment->fd);
    }
    segment->fd = -1;
    segment->unsynced = false;
}

/* Blocks on the disk; 0: there is no such file. */
static uint32_t
blocks_on_disk(const struct bodies *bodies, const struct segment *segment)
{
    char path[PATH_SIZE];
    struct stat st;
    path_make(path, bodies, segment->number);
    if (lstat(path, &st) != 0) {
        return 0;
    }
    uint64_t blocks = (uint64_t)st.st_blocks * 512 / BODIES_BLOCK;
    return blocks < BODIES_SEGMENT_BLOCKS ? (uint32_t)blocks : BODIES_SEGMENT_BLOCKS;
}

/* ---- lists that grow */

static void *
grow(void *items, size_t *room, size_t item_size)
{
    *room = *room > 0 ? *room * 2 : 64;
    void *grown = reallocarray(items, *room, item_size);
    if (grown == NULL) {
        abort();
    }
    return grown;
}

void
bodies_mark_dirty(struct bodies *bodies, struct segment *segment)
{
    if (segment->dirty) {
        return;
    }
    if (bodies->dirty_count == bodies->dirty_room) {
        bodies->dirty = grow(bodies->dirty, &bodies->dirty_room, sizeof *bodies->dirty);
    }
    bodies->dirty[bodies->dirty_count++] = segment;
    segment->dirty = true;
}

/* ---- blocks */

static void
bits_set(struct segment *segment, uint32_t first, uint32_t count, bool live)
{
    for (uint32_t i = first; i < first + count; i++) {
        uint64_t bit = (uint64_t)1 << i % 64;
        if (((segment->bits[i / 64] & bit) != 0) != live) {
            segment->bits[i / 64] ^= bit;
            segment->live += live ? 1 : UINT32_MAX;
        }
    }
}

void
bodies_change(struct bodies *bodies, struct segment *segment, uint32_t first, uint32_t count,
              bool live)
{
    uint32_t before = segment->live;
    if (bodies->change_count == bodies->change_room) {
        bodies->changes = grow(bodies->changes, &bodies->change_room, sizeof *bodies->changes);
    }
    bits_set(segment, first, count, live);
    bodies->live += (uint64_t)segment->live - before;
    bodies->changes[bodies->change_count++] = (struct block_change){segment, first, count, live};
    bodies_mark_dirty(bodies, segment);
}

void
bodies_forget(struct bodies *bodies, struct spool_place place, uint64_t size)
{
    struct segment *segment;
    uint64_t blocks = bodies_blocks(size);
    HASH_FIND(hh, bodies->segments, &place.segment, sizeof place.segment, segment);
    if (segment != NULL && blocks <= BODIES_SEGMENT_BLOCKS &&
        place.block <= BODIES_SEGMENT_BLOCKS - blocks) {
        bodies_change(bodies, segment, place.block, (uint32_t)blocks, false);
    }
}

/* ---- segments come and go */

static struct segment *
segment_add(struct bodies *bodies, int64_t number)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL) {
        abort();
    }
    segment->number = number;
    segment->fd = -1;
    HASH_ADD(hh, bodies->segments, number, sizeof segment->number, segment);
    if (number > bodies->number_last) {
        bodies->number_last = number;
    }
    return segment;
}

/* Deletes the file of a segment without messages; its row goes with the next transaction. */
static void
segment_drop(struct bodies *bodies, struct segment *segment)
{
    char path[PATH_SIZE];
    path_make(path, bodies, segment->number);
    segment_close(segment);
    unlink(path);
    segment->gone = true;
    bodies_mark_dirty(bodies, segment);
}

void
bodies_drop_spares(struct bodies *bodies, size_t keep)
{
    while (bodies->spare_count > keep) {
        struct segment *segment = bodies->spares[--bodies->spare_count];
        segment->spare = false;
        segment_drop(bodies, segment);
    }
}

/* Nothing in it is alive, by what is on disk: its blocks can be given out again. */
static void
recycle(struct bodies *bodies, struct segment *segment)
{
    bodies_waste_clear(bodies, segment);
    if (segment->allocated < segment->used) {
        segment->allocated = segment->used;
    }
    segment->used = segment->used_floor = 0;
    if (segment == bodies->current || segment->spare) {
        return;
    }
    uint64_t spare_blocks = (uint64_t)(bodies->spare_count + 1) * BODIES_SEGMENT_BLOCKS;
    if (segment->punched || bodies->spare_count == BODIES_SPARES || spare_blocks > bodies->slack) {
        segment_drop(bodies, segment);
    } else {
        segment->spare = true;
        bodies->spares[bodies->spare_count++] = segment;
    }
}

static enum status
sync_directory(const struct bodies *bodies)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/" SPOOL_BODIES_NAME, bodies->spool->directory);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return failed == 0 ? STATUS_OK : STATUS_IO;
}

/* A new segment, with its blocks if there is plenty of room: else it grows as it is written. */
static enum status
segment_create(struct bodies *bodies, struct segment **segment_out)
{
    const struct segment named = {.number = bodies->number_last + 1};
    int fd = bodies_segment_open(bodies, &named, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return errno == ENOSPC || errno == EDQUOT ? STATUS_LIMIT : STATUS_IO;
    }
    if (sync_directory(bodies) != STATUS_OK) {
        close(fd);
        return STATUS_IO;
    }
    struct segment *segment = segment_add(bodies, named.number);
    segment->fd = fd;
    bodies_look_at_slack(bodies);
    if (bodies->slack >= BODIES_SEGMENT_BLOCKS) {
        (void)fallocate(fd, 0, 0, (off_t)BODIES_SEGMENT_BLOCKS * BODIES_BLOCK);
    }
    segment->allocated = blocks_on_disk(bodies, segment);
    bodies_mark_dirty(bodies, segment);
    *segment_out = segment;
    return STATUS_OK;
}

/* The current segment takes no more. */
static void
close_current(struct bodies *bodies)
{
    struct segment *segment = bodies->current;
    uint32_t waste = segment->waste;
    bodies->current = NULL;
    segment->waste = 0;
    bodies_waste_add(bodies, segment, waste + (BODIES_SEGMENT_BLOCKS - segment->used));
    bodies_mark_dirty(bodies, segment); /* if nothing in it is alive it is recycled */
}

enum status
bodies_make_room(struct bodies *bodies, uint32_t blocks)
{
    struct segment *segment = bodies->current;
    enum status status = STATUS_OK;
    if (segment != NULL && segment->used + blocks <= BODIES_SEGMENT_BLOCKS) {
        return STATUS_OK;
    }
    if (segment != NULL) {
        status = bodies_write_gathered(bodies);
        if (status != STATUS_OK) {
            return status;
        }
        close_current(bodies);
    }
    if (bodies->spare_count > 0) {
        segment = bodies->spares[--bodies->spare_count];
        if (segment->fd < 0) {
            segment->fd = bodies_segment_open(bodies, segment, O_RDWR | O_CREAT);
        }
        if (segment->fd < 0) {
            bodies->spare_count++; /* it stays one */
            status = STATUS_IO;
        }
    } else {
        status = segment_create(bodies, &segment);
    }
    if (status == STATUS_OK) {
        segment->spare = false;
        bodies->current = segment;
    }
    return status;
}

/* ---- transactions */

static enum status
write_row(struct bodies *bodies, const struct segment *segment)
{
    unsigned char live[BODIES_BITMAP_SIZE];
    enum spool_statement which = segment->gone ? SPOOL_SQL_SEGMENT_DELETE : SPOOL_SQL_SEGMENT_PUT;
    sqlite3_stmt *s = spool_statement(bodies->spool, which);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, segment->number);
    if (!segment->gone) {
        for (uint32_t i = 0; i < BODIES_BITMAP_SIZE; i++) {
            live[i] = (unsigned char)(segment->bits[i / 8] >> i % 8 * 8);
        }
        sqlite3_bind_blob(s, 2, live, sizeof live, SQLITE_STATIC);
    }
    enum status status = spool_run(bodies->spool, s);
    sqlite3_clear_bindings(s);
    return status;
}

enum status
bodies_flush(struct bodies *bodies)
{
    enum status status = bodies_write_gathered(bodies);
    for (size_t i = 0; status == STATUS_OK && i < bodies->dirty_count; i++) {
        struct segment *segment = bodies->dirty[i];
        if (segment->unsynced) {
            status = fdatasync(segment->fd) == 0 ? STATUS_OK : STATUS_IO;
            segment->unsynced = status != STATUS_OK;
        }
        if (status == STATUS_OK) {
            status = write_row(bodies, segment);
        }
    }
    bodies->tried = status == STATUS_OK;
    return status;
}

static void
segment_free(struct bodies *bodies, struct segment *segment)
{
    bodies_waste_clear(bodies, segment);
    segment_close(segment);
    HASH_DEL(bodies->segments, segment);
    free(segment);
}

void
bodies_committed(struct bodies *bodies)
{
    size_t count = bodies->dirty_count;
    bodies->dirty_count = 0; /* what is dropped below is added anew, behind what is read */
    bodies->tried = false;
    for (size_t i = 0; i < bodies->change_count; i++) {
        const struct block_change *change = &bodies->changes[i];
        bodies_waste_add(bodies, change->segment, change->live ? 0 : change->count);
    }
    bodies->change_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct segment *segment = bodies->dirty[i];
        segment->dirty = false;
        segment->used_floor = segment->used;
        if (segment->gone) {
            segment_free(bodies, segment);
            continue;
        }
        if (segment->live == 0) {
            recycle(bodies, segment);
        } else if (segment != bodies->current) {
            segment_close(segment);
        }
    }
}

/* The blocks are again what they were before the transaction. */
static void
undo_changes(struct bodies *bodies)
{
    for (size_t i = bodies->change_count; i > 0; i--) {
        const struct block_change *change = &bodies->changes[i - 1];
        uint32_t before = change->segment->live;
        bits_set(change->segment, change->first, change->count, !change->live);
        bodies->live += (uint64_t)change->segment->live - before;
        change->segment->in_doubt = bodies->tried;
        if (change->live && change->segment != bodies->current) {
            bodies_waste_add(bodies, change->segment, change->count);
        }
    }
    bodies->change_count = 0;
}

void
bodies_rolled_back(struct bodies *bodies, bool no_room)
{
    undo_changes(bodies);
    for (size_t i = 0; i < bodies->dirty_count; i++) {
        struct segment *segment = bodies->dirty[i];
        /* A commit that failed may have reached the disk all the same: until the next one has
         * written over it in the database's log, what it mentions must not become another message.
         */
        if (bodies->tried) {
            segment->used_floor = segment->used;
        } else {
            segment->used = segment->used_floor;
        }
        if (bodies->tried && segment->live == 0 && segment != bodies->current && !segment->gone &&
            !segment->in_doubt) {
            recycle(bodies, segment);
        }
        segment->in_doubt = false;
    }
    bodies->piece_count = 0;
    bodies->record_count = 0;
    bodies->tried = false;
    if (no_room) {
        bodies_drop_spares(bodies, 0);
    }
}

/* ---- opening */

static enum status
load_rows(struct bodies *bodies)
{
    sqlite3_stmt *s = spool_statement(bodies->spool, SPOOL_SQL_SEGMENTS_LOAD);
    int code;
    if (s == NULL) {
        return STATUS_IO;
    }
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const unsigned char *live = sqlite3_column_blob(s, 1);
        if (sqlite3_column_bytes(s, 1) != BODIES_BITMAP_SIZE || sqlite3_column_int64(s, 0) <= 0) {
            (void)spool_done(bodies->spool, s, SQLITE_OK);
            return STATUS_SYNTAX;
        }
        struct segment *segment = segment_add(bodies, sqlite3_column_int64(s, 0));
        for (uint32_t i = 0; i < BODIES_SEGMENT_BLOCKS; i++) {
            bits_set(segment, i, 1, (live[i / 8] >> i % 8 & 1) != 0);
        }
        bodies->live += segment->live;
    }
    return spool_done(bodies->spool, s, code);
}

/* Deletes what the database does not know: files of transactions that never were. */
static enum status
sweep(struct bodies *bodies)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/" SPOOL_BODIES_NAME, bodies->spool->directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return STATUS_IO;
    }
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return STATUS_IO;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct segment *segment = NULL;
        uint64_t number;
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (str_parse_u64(str_from_cstr(entry->d_name), INT64_MAX, &number) == STATUS_OK) {
            HASH_FIND(hh, bodies->segments, &(int64_t){(int64_t)number}, sizeof(int64_t), segment);
        }
        if (segment == NULL) {
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    closedir(directory);
    return STATUS_OK;
}

static void
take_up(struct bodies *bodies, struct segment *segment)
{
    segment->allocated = blocks_on_disk(bodies, segment);
    segment->used = segment->used_floor = BODIES_SEGMENT_BLOCKS;
    /* Less than all blocks: it has holes, or was cut off; neither is worth writing over. */
    segment->punched = segment->allocated < BODIES_SEGMENT_BLOCKS;
    if (segment->live == 0) {
        recycle(bodies, segment);
    } else if (segment->allocated > segment->live) {
        bodies_waste_add(bodies, segment, segment->allocated - segment->live);
    }
}

enum status
bodies_open(struct spool *spool, struct bodies **bodies_out)
{
    struct segment *segment;
    struct segment *next;
    struct bodies *bodies = calloc(1, sizeof *bodies);
    if (bodies == NULL) {
        abort();
    }
    bodies->spool = spool;
    TAILQ_INIT(&bodies->wasteful);
    bodies_look_at_slack(bodies);
    enum status status = load_rows(bodies);
    if (status == STATUS_OK) {
        status = sweep(bodies);
    }
    if (status != STATUS_OK) {
        int why = errno;
        bodies_close(&bodies);
        errno = why;
        return status;
    }
    HASH_ITER(hh, bodies->segments, segment, next)
    {
        take_up(bodies, segment);
    }
    *bodies_out = bodies;
    return STATUS_OK;
}

void
bodies_close(struct bodies **bodies)
{
    struct segment *segment;
    struct segment *next;
    struct bodies *b = *bodies;
    if (b == NULL) {
        return;
    }
    HASH_ITER(hh, b->segments, segment, next)
    {
        segment_free(b, segment);
    }
    free(b->changes);
    free(b->dirty);
    free(b);
    *bodies = NULL;
}
