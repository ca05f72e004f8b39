/*
 * buf.h - a growing run of octets with a ceiling; what is read from or written to a peer.
 *
 * Octets are appended at the end and consumed from the front. The memory is freed when the buffer
 * becomes empty (an idle connection should cost nothing), unless it is small.
 */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
    char *data;     /* owned */
    size_t start;   /* first octet in use */
    size_t end;     /* one past the last */
    size_t size;    /* allocated */
    size_t ceiling; /* most octets that may be in use */
};

/* An empty buffer of at most `ceiling` octets; allocates nothing yet. */
void buf_init(struct buf *buf, size_t ceiling);
/* Frees the memory; the buffer is empty and may be used again. */
void buf_free(struct buf *buf);
/* The same after overwriting the memory (it held secrets). */
void buf_free_wiped(struct buf *buf);

static inline size_t
buf_length(const struct buf *buf)
{
    return buf->end - buf->start;
}

/* What is in the buffer now; borrowed until the next call that changes it. */
static inline struct str
buf_str(const struct buf *buf)
{
    /* A buffer without memory gives an empty text that C functions may be handed: not NULL. */
    return (struct str){buf->data != NULL ? buf->data + buf->start : "", buf_length(buf)};
}

/* STATUS_LIMIT past the ceiling (nothing is appended then), else STATUS_OK. */
[[nodiscard]] enum status buf_append(struct buf *buf, struct str s);
[[nodiscard]] enum status buf_append_char(struct buf *buf, char c);
[[nodiscard]] enum status buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
[[nodiscard]] enum status buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Room for `n` octets at the end, to be written by the caller and then counted with buf_commit.
 * NULL past the ceiling.
 */
[[nodiscard]] char *buf_reserve(struct buf *buf, size_t n);
void buf_commit(struct buf *buf, size_t n);

/* Drops the first n octets (all, if there are fewer). */
void buf_consume(struct buf *buf, size_t n);
/* Drops everything; keeps a small allocation, frees a large one. */
void buf_clear(struct buf *buf);

#endif
