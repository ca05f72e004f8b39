/*
 * fields.h - the one strict reading of a message's header section (RFC 5322 2.2, RFC 6532).
 *
 * Every verdict about a header comes from this reading. Only CRLF ends a line. The octets are never
 * changed: a field keeps its raw form for signatures, and its name and value are views of it. What
 * is not as it should be is not repaired but counted as an anomaly; a line that is no field stays
 * in its place as a field with the id MAIL_FIELD_BAD.
 *
 * All views are borrowed from the content that was parsed; the arrays live in the arena. Bounded by
 * struct mail_head_limits (configuration: limits.header_size, limits.header_fields).
 */
#ifndef POSTERN_MAIL_FIELDS_H
#define POSTERN_MAIL_FIELDS_H

#include "base/arena.h"

/* RFC 5322 2.1.1: octets of a line without its CRLF. */
#define MAIL_LINE_MAX 998u

enum mail_field_id {
    MAIL_FIELD_OTHER, /* a field without a row in fields.def */
    MAIL_FIELD_BAD,   /* not a field: no colon, or what stands before it is no name */
#define MAIL_FIELD(ID, name, most) MAIL_FIELD_##ID,
#include "mail/fields.def"
#undef MAIL_FIELD
    MAIL_FIELD_COUNT_, /* not a field */
};

struct mail_field {
    enum mail_field_id id;
    struct str name;  /* as written, without blanks before the colon; empty when BAD */
    struct str value; /* after the colon, without the final CRLF; folding is kept */
    struct str raw;   /* all of it, with the final CRLF (which a cut-off message lacks) */
    size_t offset;    /* of raw in the content */
};

enum mail_anomaly_kind {
    MAIL_ANOMALY_BAD_LINE,      /* neither a field nor the continuation of one */
    MAIL_ANOMALY_NO_END,        /* the content ends before the empty line */
    MAIL_ANOMALY_NUL,           /* RFC 5322 2.2 */
    MAIL_ANOMALY_BARE_CR,       /* RFC 5322 2.2 */
    MAIL_ANOMALY_BARE_LF,       /* RFC 5322 2.2 */
    MAIL_ANOMALY_CONTROL,       /* other control characters than HT */
    MAIL_ANOMALY_8BIT,          /* octets above 127; regular with SMTPUTF8 only */
    MAIL_ANOMALY_NOT_UTF8,      /* they are not UTF-8 either */
    MAIL_ANOMALY_LONG_LINE,     /* over MAIL_LINE_MAX */
    MAIL_ANOMALY_BLANK_IN_NAME, /* blanks between name and colon (RFC 5322 4.5) */
    MAIL_ANOMALY_BLANK_FOLD,    /* a continuation line of blanks only (RFC 5322 4.2) */
    MAIL_ANOMALY_COUNT_,        /* not an anomaly */
};

struct mail_anomaly {
    size_t count;  /* lines (NOT_UTF8, BLANK_IN_NAME: fields) that have it */
    size_t offset; /* in the content, of the first of them */
};

struct mail_head_limits {
    size_t size;   /* octets of the header section with its empty line */
    size_t fields; /* lines that are no field count too */
};

struct mail_head {
    struct str raw; /* the section with its empty line; the body begins where it ends */
    const struct mail_field *fields;
    size_t field_count;
    struct mail_anomaly anomalies[MAIL_ANOMALY_COUNT_];
    /* By id; `first` is NULL where counts is 0. */
    size_t counts[MAIL_FIELD_COUNT_];
    const struct mail_field *first[MAIL_FIELD_COUNT_];
};

/*
 * Reads the header section at the beginning of content. STATUS_LIMIT: larger than `limits`, or the
 * arena is full. There is no other failure: see the anomalies.
 */
[[nodiscard]] enum status mail_head_parse(struct arena *arena, struct str content,
                                          const struct mail_head_limits *limits,
                                          struct mail_head *head_out);

/* The id of a field name in any letter case; MAIL_FIELD_OTHER for one without a row. */
enum mail_field_id mail_field_id_find(struct str name);
/* "Message-ID"; "" for OTHER and BAD. */
struct str mail_field_name(enum mail_field_id id);
/* How often the standards let it occur; 0: any number. */
size_t mail_field_most(enum mail_field_id id);
/* True when name is visible ASCII characters without colon, at least one (RFC 5322 3.6.8). */
bool mail_field_name_is_valid(struct str name);
/* "bad_line", "nul", ...; static, never NULL. */
const char *mail_anomaly_name(enum mail_anomaly_kind kind);

/*
 * The value on one line: each CRLF before a blank taken out (RFC 5322 2.2.3), blanks at both ends
 * cut. {NULL,0} when the arena is full. A value without folding is not copied.
 */
struct str mail_field_unfold(struct arena *arena, const struct mail_field *field);
/* The same for the first field with that id; empty when there is none. */
struct str mail_head_value(struct arena *arena, const struct mail_head *head,
                           enum mail_field_id id);

#endif
