/*
 * scalar.h - how each type of value is written, read and described.
 *
 * One row for each type of schema.h. Private to src/config.
 */
#ifndef POSTERN_CONFIG_SCALAR_H
#define POSTERN_CONFIG_SCALAR_H

#include "config/report.h"
#include "config/schema.h"

/* Longest domain name and label, in octets (RFC 1035 2.3.4), and local part (RFC 5321 4.5.3.1.1).
 */
#define DOMAIN_NAME_MAX  253
#define DOMAIN_LABEL_MAX 63
#define LOCAL_PART_MAX   64
/* Longest path of a Unix socket, the system's sun_path without its NUL. */
#define UNIX_PATH_MAX    107
/* Longest path otherwise. */
#define FILE_PATH_MAX    4095
/* Longest SCHEMA_NAME: also a system user's. */
#define NAME_MAX_LENGTH  32
/* Room for a size, a duration or a decimal as text. */
#define SCALAR_TEXT_MAX  32

/* One value to read. */
struct scalar_input {
    struct arena *arena;              /* what the value points to is put here */
    const struct schema_field *field; /* its bounds and choices */
    struct str text;
    /* Set by the parser where it can say more than what was expected; may stay NULL. Static. */
    const char *reason;
    const char *suggestion; /* what was probably meant; in `arena` or static; may stay NULL */
};

struct scalar_type {
    const char *name;      /* for the reference: "duration" */
    const char *expected;  /* for errors, without the bounds: "a duration such as 30s or 5d" */
    size_t size;           /* of the C value */
    bool plain_only;       /* not in quotes: numbers and true or false */
    const char *json_type; /* in the JSON schema */
    const char *pattern;   /* regular expression for the JSON schema (ECMA 262), or NULL */
    /* Reads in->text to *out, which stays untouched when false is returned. */
    bool (*parse)(struct scalar_input *in, void *out);
};

/* The row of a type; not for SCHEMA_MAP. */
const struct scalar_type *scalar_type_of(enum schema_type type);

/* What a value of this field must be, with its bounds or choices; {NULL,0} past the ceiling. */
struct str scalar_expected(struct arena *arena, const struct schema_field *field);
/* A bound of the field as it would be written: "64KiB", "5m", "1.0", "1000". Returns out. */
const char *scalar_bound(const struct schema_field *field, uint64_t bound,
                         char out[static SCALAR_TEXT_MAX]);

/* The parsers of names.c. */
bool scalar_parse_hostname(struct scalar_input *in, void *out);
bool scalar_parse_domain(struct scalar_input *in, void *out);
bool scalar_parse_route_domain(struct scalar_input *in, void *out);
bool scalar_parse_mailbox(struct scalar_input *in, void *out);
bool scalar_parse_local_part(struct scalar_input *in, void *out);
bool scalar_parse_address(struct scalar_input *in, void *out);
bool scalar_parse_network(struct scalar_input *in, void *out);
bool scalar_parse_endpoint(struct scalar_input *in, void *out);
bool scalar_parse_delivery(struct scalar_input *in, void *out);

/*
 * A domain name in lower case and A-labels (RFC 5890, non-transitional) in `arena`. STATUS_SYNTAX
 * when it is none, with *reason_out saying why; STATUS_LIMIT past the arena's ceiling.
 */
[[nodiscard]] enum status domain_name_normalize(struct arena *arena, struct str name,
                                                const char **reason_out, struct str *out);

#endif
