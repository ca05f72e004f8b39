/*
 * edit.h - changes to a header section, collected first and made in one go.
 *
 * The fields that stay keep their octets (signatures cover them), and the body is not touched: the
 * result is a new header section, to be followed by the content from head->raw.n on. Used by the
 * filter, later by whoever signs or tags.
 */
#ifndef POSTERN_MAIL_EDIT_H
#define POSTERN_MAIL_EDIT_H

#include "mail/fields.h"

enum mail_edit_kind {
    MAIL_EDIT_PREPEND,
    MAIL_EDIT_REMOVE,
    MAIL_EDIT_REPLACE,
};

struct mail_edit {
    enum mail_edit_kind kind;
    const struct mail_field *target; /* NULL for PREPEND */
    struct str field;                /* the new field with its CRLF; empty for REMOVE */
    struct str name;                 /* of the field that comes or goes */
    struct str value;                /* as given; empty for REMOVE */
    const char *why;                 /* static; for the trace */
    struct mail_edit *next;          /* in the order they were asked for */
    struct mail_edit *below;         /* the field prepended before this one */
};

/* The edits of one message, in the order they were asked for. All in `arena`. */
struct mail_edits {
    struct arena *arena; /* borrowed */
    const struct mail_head *head;
    struct mail_edit *first;
    struct mail_edit *last;
    struct mail_edit *top; /* the newest prepended field */
};

/* No edits yet. Both are borrowed for as long as the edits are used. */
void mail_edits_init(struct mail_edits *edits, struct arena *arena, const struct mail_head *head);

/*
 * A new field above all others, also above those prepended before. `value` is folded by whoever
 * made it and is written after "Name: ". STATUS_SYNTAX when it would not be one field: a bad name,
 * a NUL, a CR or LF that is not CRLF before a blank. STATUS_LIMIT when the arena is full.
 */
[[nodiscard]] enum status mail_edits_prepend(struct mail_edits *edits, struct str name,
                                             struct str value, const char *why);
/* A new value for a field of head->fields, in its place and under its name. Errors as above. */
[[nodiscard]] enum status mail_edits_replace(struct mail_edits *edits,
                                             const struct mail_field *field, struct str value,
                                             const char *why);
/* Takes a field of head->fields out. STATUS_LIMIT when the arena is full. */
[[nodiscard]] enum status mail_edits_remove(struct mail_edits *edits,
                                            const struct mail_field *field, const char *why);

/*
 * The edited header section, with its empty line. The last edit of a field counts. A section that
 * lacked its last CRLF or its empty line gets them, so that what follows is the body in any case. A
 * first line that begins with a blank, and so would continue a prepended field, is left out then.
 * {NULL,0} when the arena is full.
 */
struct str mail_edits_apply(const struct mail_edits *edits);

#endif
