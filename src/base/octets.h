/*
 * octets.h - sixteen octets looked at together, for loops that every octet of a message passes.
 *
 * Vectors of GCC and Clang: each machine that has vector registers uses them, others do the same
 * octet by octet. A comparison gives 0xff where it holds and 0 where it does not.
 */
#ifndef POSTERN_BASE_OCTETS_H
#define POSTERN_BASE_OCTETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char octets16 __attribute__((vector_size(16)));
typedef uint64_t octets16_halves __attribute__((vector_size(16)));

#define OCTETS16 sizeof(octets16)

static inline octets16
octets16_load(const char *p)
{
    octets16 octets;
    memcpy(&octets, p, sizeof octets);
    return octets;
}

/* 0xff where the octet is c. */
static inline octets16
octets16_is(octets16 octets, char c)
{
    return (octets16)(octets == (unsigned char)c);
}

/* True when any of them is not 0. */
static inline bool
octets16_any(octets16 octets)
{
    octets16_halves halves = (octets16_halves)octets;
    return (halves[0] | halves[1]) != 0;
}

#endif
