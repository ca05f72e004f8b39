/*
 * fold.h - writing a header field that is a list of tags, folded (RFC 5322 2.2.3).
 */
#ifndef POSTERN_AUTH_FOLD_H
#define POSTERN_AUTH_FOLD_H

#include "base/buf.h"

/* A field in the making; everything goes into `out` and may fail once and for all with `status`. */
struct fold {
    struct buf *out;
    size_t columns; /* that a line may have */
    size_t column;  /* of the line so far */
    enum status status;
};

/* "Name:"; what follows begins with a blank. */
void fold_init(struct fold *fold, struct buf *out, size_t columns, struct str name);
/* A word behind a blank, on a new line when it does not fit on this one. */
void fold_word(struct fold *fold, struct str word);
/* A word without blank before it, on a new line when it does not fit. */
void fold_join(struct fold *fold, struct str word);
/* A run of octets that may be broken anywhere, as base 64 may. */
void fold_run(struct fold *fold, struct str run);

#endif
