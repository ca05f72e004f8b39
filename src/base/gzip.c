#include "base/gzip.h"

#include <limits.h>
#include <zlib.h>

/* A window of 32 KiB, and the format of gzip. */
#define WINDOW_BITS (15 + 16)
#define MEMORY      8
/* Octets that are asked of zlib at a time. */
#define PIECE       16384u

bool
gzip_is(struct str octets)
{
    return str_starts_with(octets, STR("\x1f\x8b\x08"));
}

static void
set_input(z_stream *stream, struct str octets)
{
    union {
        const char *in;
        Bytef *next;
    } p = {octets.p}; /* zlib does not change what it reads */
    stream->next_in = p.next;
    stream->avail_in = octets.n < UINT_MAX ? (uInt)octets.n : UINT_MAX;
}

/* Runs the stream until its end; `step` is inflate or deflate with its flush. */
static enum status
run(z_stream *stream, int (*step)(z_stream *stream), struct buf *out)
{
    int code = Z_OK;
    while (code == Z_OK) {
        size_t room = out->ceiling - buf_length(out);
        /* One octet more than there is room for tells that there is no end. */
        size_t n = room < PIECE ? room : PIECE;
        char spare;
        char *p = n > 0 ? buf_reserve(out, n) : &spare;
        if (p == NULL) {
            return STATUS_LIMIT;
        }
        stream->next_out = (Bytef *)p;
        stream->avail_out = n > 0 ? (uInt)n : 1;
        code = step(stream);
        if (n == 0 && stream->avail_out == 0) {
            return STATUS_LIMIT;
        }
        if (n > 0) {
            buf_commit(out, n - stream->avail_out);
        }
    }
    return code == Z_STREAM_END ? STATUS_OK : STATUS_SYNTAX;
}

static int
inflate_step(z_stream *stream)
{
    return inflate(stream, Z_NO_FLUSH);
}

static int
deflate_step(z_stream *stream)
{
    return deflate(stream, Z_FINISH);
}

enum status
gzip_decode(struct str octets, struct buf *out)
{
    z_stream stream = {.zalloc = NULL};
    enum status status = gzip_is(octets) ? STATUS_OK : STATUS_SYNTAX;
    if (status != STATUS_OK || inflateInit2(&stream, WINDOW_BITS) != Z_OK) {
        return status != STATUS_OK ? status : STATUS_LIMIT;
    }
    while (status == STATUS_OK && gzip_is(octets)) {
        set_input(&stream, octets);
        status = run(&stream, inflate_step, out);
        octets = str_skip(octets, octets.n - stream.avail_in);
        if (status == STATUS_OK && inflateReset(&stream) != Z_OK) {
            status = STATUS_LIMIT;
        }
    }
    inflateEnd(&stream);
    return status;
}

enum status
gzip_encode(struct str octets, struct buf *out)
{
    z_stream stream = {.zalloc = NULL};
    if (octets.n >= UINT_MAX || deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW_BITS,
                                             MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        return STATUS_LIMIT;
    }
    set_input(&stream, octets);
    enum status status = run(&stream, deflate_step, out);
    deflateEnd(&stream);
    return status == STATUS_OK ? status : STATUS_LIMIT;
}
