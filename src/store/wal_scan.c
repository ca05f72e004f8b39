#include "store/wal_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file format of the log: sqlite.org/fileformat2.html, sections 4.1 and 4.2. */
#define HEADER_SIZE       32u
#define FRAME_HEADER_SIZE 24u
#define SUMMED_OF_HEADER  24u /* octets under the checksum */
#define SUMMED_OF_FRAME   8u
#define MAGIC             0x377f0682u /* and 1 more: its checksums are of big-endian words */

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NATIVE_BIG_ENDIAN true
#else
#define NATIVE_BIG_ENDIAN false
#endif

struct checksum {
    uint32_t a, b;
};

struct frame {
    bool commits;
    uint64_t salts;
    bool page_is_named; /* page 0 does not exist */
    struct checksum sum;
};

struct scanner {
    int fd;
    uint64_t frames; /* whole ones in the file */
    uint32_t page_size;
    bool big_endian;
    bool header_is_sound;
    uint64_t salts; /* of the log's present life */
    struct checksum start;
    unsigned char *octets; /* one frame */
};

static uint32_t
read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
swap(uint32_t word, bool swapped)
{
    return swapped ? __builtin_bswap32(word) : word;
}

/* Section 4.2. `n` is a multiple of 8. */
static struct checksum
checksum_add(struct checksum sum, const unsigned char *p, size_t n, bool big_endian)
{
    bool const swapped = big_endian != NATIVE_BIG_ENDIAN;
    for (size_t i = 0; i < n; i += 8) {
        uint32_t words[2];
        memcpy(words, p + i, sizeof words);
        sum.a += swap(words[0], swapped) + sum.b;
        sum.b += swap(words[1], swapped) + sum.a;
    }
    return sum;
}

static bool
checksum_is(struct checksum one, struct checksum other)
{
    return one.a == other.a && one.b == other.b;
}

static struct checksum
read_checksum(const unsigned char *p)
{
    return (struct checksum){read_u32(p), read_u32(p + 4)};
}

static uint64_t
read_salts(const unsigned char *p)
{
    return (uint64_t)read_u32(p) << 32 | read_u32(p + 4);
}

static enum status
read_all(int fd, unsigned char *to, size_t n, uint64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, to + done, n - done, (off_t)(offset + done));
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            errno = got == 0 ? EIO : errno; /* it has become shorter */
            return STATUS_IO;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return STATUS_OK;
}

/*
 * Reads frame `i`. *next_out is the checksum that it should have, given that `before` is that of
 * the frame before it: the frame continues that one when both are the same.
 */
static enum status
read_frame(const struct scanner *s, uint64_t i, struct checksum before, struct frame *frame_out,
           struct checksum *next_out)
{
    size_t size = FRAME_HEADER_SIZE + s->page_size;
    enum status status = read_all(s->fd, s->octets, size, HEADER_SIZE + i * size);
    if (status != STATUS_OK) {
        return status;
    }
    *frame_out = (struct frame){.page_is_named = read_u32(s->octets) != 0,
                                .commits = read_u32(s->octets + 4) != 0,
                                .salts = read_salts(s->octets + 8),
                                .sum = read_checksum(s->octets + 16)};
    before = checksum_add(before, s->octets, SUMMED_OF_FRAME, s->big_endian);
    *next_out = checksum_add(before, s->octets + FRAME_HEADER_SIZE, s->page_size, s->big_endian);
    return STATUS_OK;
}

static bool
is_page_size(uint32_t size)
{
    return size >= WAL_PAGE_MIN && size <= WAL_PAGE_MAX && (size & (size - 1)) == 0;
}

/* What the header says; when it is not sound SQLite ignores all of the log. */
static void
take_header(struct scanner *s, const unsigned char *header, uint32_t page_size)
{
    uint32_t magic = read_u32(header);
    bool big_endian = magic == MAGIC + 1;
    struct checksum sum =
        checksum_add((struct checksum){0, 0}, header, SUMMED_OF_HEADER, big_endian);
    s->header_is_sound = (magic & ~1u) == MAGIC && is_page_size(read_u32(header + 8)) &&
                         checksum_is(sum, read_checksum(header + SUMMED_OF_HEADER));
    s->page_size = s->header_is_sound ? read_u32(header + 8) : page_size;
    s->big_endian = s->header_is_sound ? big_endian : NATIVE_BIG_ENDIAN;
    s->salts = read_salts(header + 16);
    s->start = sum;
}

/* Frames and transactions up to the first frame that SQLite does not believe. */
static enum status
scan_sound(const struct scanner *s, uint64_t *bad_out, uint64_t *kept_out)
{
    struct checksum before = s->start;
    uint64_t kept = 0;
    uint64_t i = 0;
    for (; s->header_is_sound && i < s->frames; i++) {
        struct frame frame;
        struct checksum next;
        enum status status = read_frame(s, i, before, &frame, &next);
        if (status != STATUS_OK) {
            return status;
        }
        if (!frame.page_is_named || frame.salts != s->salts || !checksum_is(frame.sum, next)) {
            break;
        }
        kept += frame.commits;
        before = next;
    }
    *bad_out = i;
    *kept_out = kept;
    return STATUS_OK;
}

/* What is from frame `from` on. */
static enum status
scan_rest(struct scanner *s, uint64_t from, struct wal_scan *scan)
{
    struct frame last = {.commits = false};
    bool salts_known = s->header_is_sound;
    for (uint64_t i = from; i < s->frames; i++) {
        struct frame frame;
        struct checksum next;
        enum status status = read_frame(s, i, last.sum, &frame, &next);
        if (status != STATUS_OK) {
            return status;
        }
        bool follows = i > from && frame.page_is_named && frame.salts == last.salts &&
                       checksum_is(frame.sum, next);
        /* Without a header: the log is written from its begin, so what comes first is newest. */
        if (follows && !salts_known) {
            s->salts = frame.salts;
            salts_known = true;
            scan->lost = last.commits;
        }
        bool ours = salts_known && frame.salts == s->salts;
        scan->lost += ours && frame.commits;
        scan->damaged = scan->damaged || (ours && follows && last.commits);
        last = frame;
    }
    return STATUS_OK;
}

static enum status
scan_file(struct scanner *s, uint64_t size, uint32_t page_size, struct wal_scan *scan_out)
{
    unsigned char header[HEADER_SIZE];
    struct wal_scan scan = {.damaged = false};
    uint64_t bad;
    if (size < HEADER_SIZE) {
        *scan_out = scan;
        return STATUS_OK;
    }
    enum status status = read_all(s->fd, header, sizeof header, 0);
    if (status != STATUS_OK) {
        return status;
    }
    take_header(s, header, page_size);
    s->frames = (size - HEADER_SIZE) / (FRAME_HEADER_SIZE + s->page_size);
    s->octets = malloc(FRAME_HEADER_SIZE + s->page_size);
    if (s->octets == NULL) {
        abort();
    }
    status = scan_sound(s, &bad, &scan.kept);
    if (status == STATUS_OK) {
        status = scan_rest(s, bad, &scan);
    }
    free(s->octets);
    if (status == STATUS_OK) {
        scan.lost = scan.damaged ? scan.lost : 0;
        *scan_out = scan;
    }
    return status;
}

enum status
wal_scan(const char *path, uint32_t page_size, struct wal_scan *scan_out)
{
    struct stat st;
    struct scanner s = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (s.fd < 0) {
        if (errno != ENOENT) {
            return STATUS_IO;
        }
        *scan_out = (struct wal_scan){.damaged = false};
        return STATUS_OK;
    }
    enum status status = fstat(s.fd, &st) == 0
                             ? scan_file(&s, (uint64_t)st.st_size, page_size, scan_out)
                             : STATUS_IO;
    int error = errno;
    close(s.fd);
    errno = error;
    return status;
}
