/*
 * varint.h - numbers in as few octets as they need; for the codec of traces only.
 *
 * Groups of 7 bits, the low ones first, the top bit says that more follow. Signed numbers go
 * through zigzag (0, -1, 1, -2, ... become 0, 1, 2, 3, ...), so that small ones of both signs are
 * short.
 */
#ifndef POSTERN_TRACE_VARINT_H
#define POSTERN_TRACE_VARINT_H

#include <stdint.h>

#include "base/str.h"

/* Octets of the longest. */
#define VARINT_MAX 10u

static inline uint64_t
varint_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t
varint_unzigzag(uint64_t v)
{
    return (int64_t)((v >> 1) ^ ((v & 1) != 0 ? UINT64_MAX : 0));
}

/* Writes v to out (VARINT_MAX octets of room) and returns how many it took. */
static inline size_t
varint_put(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) {
        out[n++] = (uint8_t)(v | 0x80);
    }
    out[n++] = (uint8_t)v;
    return n;
}

/* Takes one from the front of *s. False when it is cut short or longer than 64 bits. */
static inline bool
varint_take(struct str *s, uint64_t *v_out)
{
    uint64_t v = 0;
    if (s->n > 0 && (uint8_t)s->p[0] < 0x80) { /* nearly all are so short */
        *v_out = (uint8_t)s->p[0];
        s->p++;
        s->n--;
        return true;
    }
    for (size_t i = 0; i < s->n && i < VARINT_MAX; i++) {
        uint8_t octet = (uint8_t)s->p[i];
        if (i == VARINT_MAX - 1 && octet > 1) {
            return false;
        }
        v |= (uint64_t)(octet & 0x7f) << (7 * i);
        if ((octet & 0x80) == 0) {
            *s = str_skip(*s, i + 1);
            *v_out = v;
            return true;
        }
    }
    return false;
}

#endif
