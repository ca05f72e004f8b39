#include "auth/fold.h"

static void
put(struct fold *fold, struct str s)
{
    if (fold->status == STATUS_OK) {
        fold->status = buf_append(fold->out, s);
        fold->column += s.n;
    }
}

static void
new_line(struct fold *fold)
{
    put(fold, STR("\r\n "));
    fold->column = 1;
}

void
fold_init(struct fold *fold, struct buf *out, size_t columns, struct str name)
{
    *fold = (struct fold){.out = out, .columns = columns};
    put(fold, name);
    put(fold, STR(":"));
}

void
fold_word(struct fold *fold, struct str word)
{
    if (fold->column + 1 + word.n > fold->columns) {
        new_line(fold);
    } else {
        put(fold, STR(" "));
    }
    put(fold, word);
}

void
fold_join(struct fold *fold, struct str word)
{
    if (fold->column + word.n > fold->columns) {
        new_line(fold);
    }
    put(fold, word);
}

void
fold_run(struct fold *fold, struct str run)
{
    while (run.n > 0 && fold->status == STATUS_OK) {
        if (fold->column >= fold->columns) {
            new_line(fold);
        }
        struct str part = str_head(run, fold->columns - fold->column);
        put(fold, part);
        run = str_skip(run, part.n);
    }
}
