/* The room of the body log: what is free, what is waste, and when it goes back to the disk. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/spool_bodies_internal.h"
#include "store/spool_internal.h"

static uint64_t
blocks_free(const struct bodies *bodies)
{
    struct statvfs fs;
    return statvfs(bodies->spool->directory, &fs) == 0
               ? (uint64_t)fs.f_bavail * fs.f_frsize / BODIES_BLOCK
               : UINT32_MAX;
}

void
bodies_look_at_slack(struct bodies *bodies)
{
    uint64_t share = blocks_free(bodies) / 8;
    uint64_t most = BODIES_SLACK / BODIES_BLOCK;
    bodies->slack = share < most ? share : most;
}

void
bodies_waste_add(struct bodies *bodies, struct segment *segment, uint32_t blocks)
{
    segment->waste += blocks;
    if (segment == bodies->current) {
        return; /* counted when it is closed */
    }
    bodies->waste += blocks;
    if (!segment->wasteful && segment->waste > 0) {
        segment->wasteful = true;
        TAILQ_INSERT_TAIL(&bodies->wasteful, segment, wasteful_link);
    }
}

void
bodies_waste_clear(struct bodies *bodies, struct segment *segment)
{
    if (segment != bodies->current) {
        bodies->waste -= segment->waste;
    }
    segment->waste = 0;
    if (segment->wasteful) {
        segment->wasteful = false;
        TAILQ_REMOVE(&bodies->wasteful, segment, wasteful_link);
    }
}

static bool
is_live(const struct segment *segment, uint32_t block)
{
    return (segment->bits[block / 64] >> block % 64 & 1) != 0;
}

/* Gives every run of dead blocks back to the file system. */
static void
punch(struct bodies *bodies, struct segment *segment)
{
    int fd = bodies_segment_open(bodies, segment, O_WRONLY);
    for (uint32_t i = 0; fd >= 0 && i < BODIES_SEGMENT_BLOCKS;) {
        uint32_t first = i;
        while (i < BODIES_SEGMENT_BLOCKS && !is_live(segment, i)) {
            i++;
        }
        if (i > first &&
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first * BODIES_BLOCK,
                      (off_t)(i - first) * BODIES_BLOCK) != 0) {
            bodies->no_holes = errno == EOPNOTSUPP || errno == ENOSYS;
            break;
        }
        i += i == first;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!bodies->no_holes) {
        segment->punched = true;
        bodies_waste_clear(bodies, segment);
    }
}

void
bodies_tidy(struct bodies *bodies)
{
    if (bodies->spare_count == 0 && bodies->waste == 0) {
        return;
    }
    bodies_look_at_slack(bodies);
    while (bodies->waste > bodies->slack && !bodies->no_holes && !TAILQ_EMPTY(&bodies->wasteful)) {
        punch(bodies, TAILQ_FIRST(&bodies->wasteful));
    }
    bodies_drop_spares(bodies, bodies->slack / BODIES_SEGMENT_BLOCKS);
}

uint64_t
bodies_size(const struct bodies *bodies)
{
    uint64_t over = bodies->waste > bodies->slack ? bodies->waste - bodies->slack : 0;
    return (bodies->live + over) * BODIES_BLOCK;
}

uint64_t
bodies_reusable(const struct bodies *bodies)
{
    const struct segment *current = bodies->current;
    uint64_t blocks = 0;
    for (size_t i = 0; i < bodies->spare_count; i++) {
        blocks += bodies->spares[i]->allocated;
    }
    if (current != NULL && current->allocated > current->used) {
        blocks += current->allocated - current->used;
    }
    return blocks * BODIES_BLOCK;
}
