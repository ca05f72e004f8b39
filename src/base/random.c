#include "base/random.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

void
random_bytes(void *p, size_t n)
{
    unsigned char *at = p;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0) {
            abort();
        }
        at += got;
        n -= (size_t)got;
    }
}

uint64_t
random_below(uint64_t bound)
{
    /* Values above the last whole multiple of bound would favour small results: draw again. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do {
        random_bytes(&value, sizeof value);
    } while (value >= limit);
    return value % bound;
}

/*
 * Identifiers are no secrets: their noise is drawn from the kernel for many at once, which saves a
 * system call for each.
 */
#define NOISE_POOL 64

static uint64_t
id_noise(void)
{
    static _Thread_local uint64_t pool[NOISE_POOL];
    static _Thread_local size_t left;
    if (left == 0) {
        random_bytes(pool, sizeof pool);
        left = NOISE_POOL;
    }
    return pool[--left];
}

void
id_make(int64_t wall_ms, char out[static ID_LENGTH + 1])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t time = (uint64_t)wall_ms;
    uint64_t noise = id_noise();
    for (int i = 8; i >= 0; i--) {
        out[i] = digits[time & 31];
        time >>= 5;
    }
    for (int i = ID_LENGTH - 1; i >= 9; i--) {
        out[i] = digits[noise & 31];
        noise >>= 5;
    }
    out[ID_LENGTH] = '\0';
}
