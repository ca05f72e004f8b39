/*
 * hash.h - uthash, and what it lacks.
 */
#ifndef POSTERN_BASE_HASH_H
#define POSTERN_BASE_HASH_H

#include <stdlib.h>
#include <uthash.h>

/*
 * Frees every entry of the table whose head is the variable `head`, which is NULL afterwards. The
 * entries came from malloc, hold no memory of their own and have their handle in the field `hh`.
 */
#define HASH_FREE_ALL(head)                                                                        \
    do {                                                                                           \
        __typeof__(head) hash_entry_ = (head);                                                     \
        HASH_CLEAR(hh, (head)); /* leaves the entries linked to each other */                      \
        while (hash_entry_ != NULL) {                                                              \
            __typeof__(head) hash_next_ = hash_entry_->hh.next;                                    \
            free(hash_entry_);                                                                     \
            hash_entry_ = hash_next_;                                                              \
        }                                                                                          \
    } while (0)

#endif
