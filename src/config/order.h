/*
 * order.h - the order in which lists that are searched are kept. Private to src/config.
 */
#ifndef POSTERN_CONFIG_ORDER_H
#define POSTERN_CONFIG_ORDER_H

#include "base/str.h"

/* Like str_cmp with ASCII letters folded. */
static inline int
order_compare(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)char_lower(a.p[i]);
        unsigned char y = (unsigned char)char_lower(b.p[i]);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

#endif
