#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_SIZE_FIRST 256u
/* An empty buffer keeps at most this much memory. */
#define BUF_SIZE_KEPT  4096u

void
buf_init(struct buf *buf, size_t ceiling)
{
    *buf = (struct buf){.ceiling = ceiling};
}

void
buf_free(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->ceiling);
}

void
buf_free_wiped(struct buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->size);
    }
    buf_free(buf);
}

char *
buf_reserve(struct buf *buf, size_t n)
{
    size_t length = buf_length(buf);
    if (n > buf->ceiling || length > buf->ceiling - n) {
        return NULL;
    }
    if (buf->size - buf->end >= n && buf->data != NULL) {
        return buf->data + buf->end;
    }
    if (buf->start > 0 && buf->data != NULL) {
        memmove(buf->data, buf->data + buf->start, length);
        buf->start = 0;
        buf->end = length;
    }
    if (buf->size - buf->end < n || buf->data == NULL) {
        size_t size = buf->size > 0 ? buf->size : BUF_SIZE_FIRST;
        while (size - length < n) {
            size *= 2;
        }
        char *data = realloc(buf->data, size);
        if (data == NULL) {
            return NULL;
        }
        buf->data = data;
        buf->size = size;
    }
    return buf->data + buf->end;
}

void
buf_commit(struct buf *buf, size_t n)
{
    buf->end += n;
}

enum status
buf_append(struct buf *buf, struct str s)
{
    if (s.n == 0) {
        return STATUS_OK;
    }
    char *room = buf_reserve(buf, s.n);
    if (room == NULL) {
        return STATUS_LIMIT;
    }
    memcpy(room, s.p, s.n);
    buf_commit(buf, s.n);
    return STATUS_OK;
}

enum status
buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, (struct str){&c, 1});
}

enum status
buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    size_t left = buf->size - buf->end;
    va_list again;
    va_copy(again, args);
    /* Into the room that there is, or only to learn how much it takes. */
    int n = vsnprintf(left > 0 ? buf->data + buf->end : NULL, left, format, args);
    char *room = n >= 0 ? buf_reserve(buf, (size_t)n + 1) : NULL;
    enum status status = STATUS_LIMIT;
    if (room != NULL) {
        if ((size_t)n >= left) {
            vsnprintf(room, (size_t)n + 1, format, again);
        }
        buf_commit(buf, (size_t)n);
        status = STATUS_OK;
    }
    va_end(again);
    return status;
}

enum status
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status status = buf_vprintf(buf, format, args);
    va_end(args);
    return status;
}

void
buf_clear(struct buf *buf)
{
    if (buf->size > BUF_SIZE_KEPT) {
        buf_free(buf);
    }
    buf->start = 0;
    buf->end = 0;
}

void
buf_consume(struct buf *buf, size_t n)
{
    if (n >= buf_length(buf)) {
        buf_clear(buf);
    } else {
        buf->start += n;
    }
}
