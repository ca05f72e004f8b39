/*
 * random.h - unpredictable numbers from the kernel, and the identifiers made of them.
 */
#ifndef POSTERN_BASE_RANDOM_H
#define POSTERN_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills p with n octets fit for keys. Aborts if the kernel has none (it never does after boot). */
void random_bytes(void *p, size_t n);
/* A number from 0 to bound - 1, evenly; bound must not be 0. */
uint64_t random_below(uint64_t bound);

/*
 * An identifier: 16 characters of Crockford's base 32, the first 9 from the time (so that
 * identifiers sort by age, and last until the year 3084), 7 random (35 bits). It names a session
 * or a message in replies, logs, traces and commands.
 */
#define ID_LENGTH 16
/* A new one, NUL-terminated; no two are the same but by chance. */
void id_make(int64_t wall_ms, char out[static ID_LENGTH + 1]);

#endif
