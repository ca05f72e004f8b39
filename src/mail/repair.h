/*
 * repair.h - what is mended of a header section on its way through: one table, anomaly by anomaly.
 *
 * Two kinds of mending. What RFC 5322 4 has as obsolete syntax, which must be read and may not be
 * written, is written anew in any message: whoever reads it behind us then reads the same as we.
 * What printers, scanners and old programs write beyond that is mended in mail of our own users and
 * hosts only: from a stranger a line that is no field, or a second Subject, may be an attack on the
 * difference between two readers, and guessing what was meant would help it.
 *
 * Fields that are as they should be keep their octets. Whoever uses this writes down what was done
 * (struct mail_repair_note) where the message's findings are.
 */
#ifndef POSTERN_MAIL_REPAIR_H
#define POSTERN_MAIL_REPAIR_H

#include "mail/edit.h"

enum mail_repair {
    MAIL_REPAIR_MBOX_LINE,     /* the first line begins with "From " or ">From ": taken out */
    MAIL_REPAIR_HEADER_END,    /* a line that is no field: the body begins with it */
    MAIL_REPAIR_FIELD_NAME,    /* "Reply To:" becomes "Reply-To:" */
    MAIL_REPAIR_BLANK_IN_NAME, /* obsolete: blanks between a name and its colon go */
    MAIL_REPAIR_BLANK_FOLD,    /* obsolete: a folded line of blanks goes */
    MAIL_REPAIR_CONTROL,       /* control characters become blanks */
    MAIL_REPAIR_8BIT,          /* octets above 127 become encoded words (RFC 2047) */
    MAIL_REPAIR_REPEATED,      /* of a field that may be there once, the first stays */
    MAIL_REPAIR_DOMAIN,        /* an author or sender without a domain gets one, or an address */
    MAIL_REPAIR_FROM,          /* no From field, or one without an address: the envelope's sender */
    MAIL_REPAIR_COUNT_,        /* not a repair */
};

/* What was done, as often as it was. */
struct mail_repair_note {
    enum mail_repair repair;
    size_t count;
    size_t offset; /* in the content, of the first */
};

struct mail_repair_notes {
    struct mail_repair_note items[MAIL_REPAIR_COUNT_]; /* in the order of the enum, none twice */
    size_t count;
};

struct mail_repair_input {
    const struct mail_head *head; /* as it came; read from the beginning of `content` */
    struct str content;
    const struct mail_head_limits *limits;
    struct str sender; /* of the envelope; empty: the null path, of which no From can be made */
    struct str domain; /* of addresses that have none */
    /* Whether the sender may write as this address; NULL: as any. */
    bool (*is_own)(const void *context, struct str address);
    const void *context; /* of is_own, borrowed from the caller */
    struct str own;      /* written where is_own says no; empty: there is none */
    bool smtputf8;       /* UTF-8 in the header is as it should be */
};

struct mail_repaired {
    struct mail_head head;   /* views of the new text, or of the content where nothing was done */
    size_t body_offset;      /* in the content, of the body */
    struct mail_edits edits; /* of fields; for the trace */
    struct mail_repair_notes notes; /* none: the head is the one that came */
};

/*
 * Mends all that the table has; for mail of our own. Repairs are made in the arena. STATUS_LIMIT:
 * the arena is full, or what came of it is over the limits.
 */
[[nodiscard]] enum status mail_repair_own(struct arena *arena,
                                          const struct mail_repair_input *input,
                                          struct mail_repaired *repaired_out);

/*
 * Adds to `edits` what makes obsolete syntax regular, for any message. With `only_needed`, because
 * a signature that holds would break, only what readers might differ about: everything down to the
 * From field. Errors as mail_edits_replace.
 */
[[nodiscard]] enum status mail_repair_obsolete(struct mail_edits *edits, bool only_needed);

/* "mbox_line", ...; static, never NULL. */
const char *mail_repair_name(enum mail_repair repair);

#endif
