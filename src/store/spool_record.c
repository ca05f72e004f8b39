/* Records of the body log: how a message is written, and read again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/spool_bodies_internal.h"
#include "store/spool_sum.h"

/* ---- the line before the octets */

/*
 * The line is text, so that a message can be found and cut out by hand when the database is lost:
 * "PstBody1 ID HEAD CONTENT CHECKSUM", lengths in octets; head and content follow it.
 */
static void
line_make(char line[static BODIES_HEADER_SIZE + 1], const struct spool_message *m)
{
    uint64_t sum = spool_sum_add(spool_sum_add(1, m->head), m->content);
    snprintf(line, BODIES_HEADER_SIZE + 1, "PstBody1 %-16.*s %9zu %10zu %016llx\n", STR_ARG(m->id),
             m->head.n, m->content.n, (unsigned long long)sum);
}

/* ---- writing */

bool
bodies_takes(const struct spool_message *m)
{
    uint64_t size = (uint64_t)m->head.n + m->content.n;
    return !m->in_file && size >= SPOOL_LOG_FROM && size == m->size && m->id.n == ID_LENGTH &&
           bodies_blocks(size) <= BODIES_SEGMENT_BLOCKS;
}

static enum status
write_failed(void)
{
    /* EFBIG: a limit of the process stands for a full disk in tests */
    bool no_room = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return no_room ? STATUS_LIMIT : STATUS_IO;
}

enum status
bodies_write_gathered(struct bodies *bodies)
{
    struct iovec *piece = bodies->pieces;
    int left = bodies->piece_count;
    off_t offset = (off_t)bodies->gathered_from * BODIES_BLOCK;
    if (left > 0) {
        bodies->current->unsynced = true;
    }
    while (left > 0) {
        ssize_t written = pwritev(bodies->current->fd, piece, left, offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return write_failed();
        }
        offset += written;
        for (; left > 0 && (size_t)written >= piece->iov_len; left--, piece++) {
            written -= (ssize_t)piece->iov_len;
        }
        if (left > 0) {
            piece->iov_base = (char *)piece->iov_base + written;
            piece->iov_len -= (size_t)written;
        }
    }
    bodies->piece_count = 0;
    bodies->record_count = 0;
    return STATUS_OK;
}

static void
gather_piece(struct bodies *bodies, struct str octets)
{
    if (octets.n > 0) {
        bodies->pieces[bodies->piece_count++] = (struct iovec){
            .iov_base = (void *)(uintptr_t)octets.p, /* only read */
            .iov_len = octets.n,
        };
    }
}

static void
gather(struct bodies *bodies, const struct spool_message *m)
{
    static const char zeros[BODIES_BLOCK];
    char *line = bodies->lines[bodies->record_count++];
    size_t over = (BODIES_HEADER_SIZE + m->head.n + m->content.n) % BODIES_BLOCK;
    if (bodies->record_count == 1) {
        bodies->gathered_from = m->place.block;
    }
    line_make(line, m);
    gather_piece(bodies, str_make(line, BODIES_HEADER_SIZE));
    gather_piece(bodies, m->head);
    gather_piece(bodies, m->content);
    /* To the end of the block: a page of which a part is written would have to be read first. */
    gather_piece(bodies, str_make(zeros, over > 0 ? BODIES_BLOCK - over : 0));
}

enum status
bodies_append(struct bodies *bodies, struct spool_message *m)
{
    uint32_t blocks = (uint32_t)bodies_blocks(m->size);
    enum status status = bodies_make_room(bodies, blocks);
    if (status == STATUS_OK && bodies->record_count == BODIES_GATHER) {
        status = bodies_write_gathered(bodies);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct segment *segment = bodies->current;
    m->place = (struct spool_place){segment->number, segment->used, m->head.n};
    gather(bodies, m);
    bodies_change(bodies, segment, segment->used, blocks, true);
    segment->used += blocks;
    return STATUS_OK;
}

/* ---- reading */

/* All of it, or as much as there is. */
static size_t
read_at(int fd, char *p, size_t n, off_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, p + done, n - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    return done;
}

enum status
bodies_read(struct bodies *bodies, struct arena *arena, struct spool_message *m)
{
    char line[BODIES_HEADER_SIZE + 1];
    const struct segment named = {.number = m->place.segment};
    if (m->size < m->place.head_size || bodies_blocks(m->size) > BODIES_SEGMENT_BLOCKS) {
        return STATUS_SYNTAX;
    }
    size_t n = BODIES_HEADER_SIZE + (size_t)m->size;
    char *octets = arena_alloc_array(arena, n, 1);
    if (octets == NULL) {
        return STATUS_LIMIT;
    }
    int fd = bodies_segment_open(bodies, &named, O_RDONLY);
    if (fd < 0) {
        return errno == ENOENT ? STATUS_SYNTAX : STATUS_IO;
    }
    size_t got = read_at(fd, octets, n, (off_t)m->place.block * BODIES_BLOCK);
    close(fd);
    struct spool_message found = *m;
    found.head = str_make(octets + BODIES_HEADER_SIZE, (size_t)m->place.head_size);
    found.content = str_skip(str_make(octets + BODIES_HEADER_SIZE, (size_t)m->size), found.head.n);
    line_make(line, &found);
    if (got != n || memcmp(line, octets, BODIES_HEADER_SIZE) != 0) {
        return STATUS_SYNTAX;
    }
    *m = found;
    return STATUS_OK;
}
