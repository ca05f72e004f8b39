/*
 * authres.h - the Authentication-Results field (RFC 8601): read, written, and asked whose it is.
 *
 * The reader takes the grammar of RFC 8601 2.2 with comments, folding and quoted strings in all
 * places that allow them. A few departures from it are so common, also in fields of large sealers
 * (RFC 8617 takes the same grammar), that they are read too; which ones occurred is told in
 * `deviations`, and whoever wants the letter of the standard asks for none. The writer makes a
 * field of values that may come from a hostile sender: nothing in them can end the value, a quoted
 * string, a comment or the field.
 *
 * All text of a result lives in the arena or is borrowed from the value that was read.
 */
#ifndef POSTERN_AUTH_AUTHRES_H
#define POSTERN_AUTH_AUTHRES_H

#include "base/arena.h"

/* The most that a field may have; beyond it is STATUS_LIMIT. */
#define AUTHRES_SIZE_MAX       16384u /* octets of the value */
#define AUTHRES_RESULTS_MAX    64u
#define AUTHRES_PROPERTIES_MAX 256u /* of all results together */
/* Longest value that is written (octets, before quoting): an address is 64 + 1 + 255 at most. */
#define AUTHRES_VALUE_MAX      320u
/* The version of the format, RFC 8601 2.2 and 6.1. */
#define AUTHRES_VERSION        1u

/* ptype "." property "=" pvalue */
struct authres_property {
    struct str ptype; /* "smtp", "header", "body", "policy", ...; empty with AUTHRES_NO_PTYPE */
    struct str name;
    struct str value; /* quotes taken away, but for those of a quoted local part */
};

struct authres_result {
    struct str method;
    unsigned version;   /* of the method; 1 when it is not said */
    struct str result;  /* as written; compare without regard to letter case */
    struct str comment; /* written behind the result; not read */
    struct str reason;  /* may be empty */
    const struct authres_property *properties;
    size_t property_count;
};

/* What the reader let pass although RFC 8601 2.2 does not have it; a set. */
enum authres_deviation {
    AUTHRES_EMPTY_RESULT = 1 << 0, /* nothing between two semicolons, or behind the last */
    AUTHRES_NO_PTYPE = 1 << 1,     /* "action=none" for "policy.action=none" */
    AUTHRES_LOOSE_VALUE = 1 << 2,  /* characters that want quotes: "header.b=a/b" */
    AUTHRES_LOOSE_WORD = 1 << 3,   /* an underscore in a keyword */
    AUTHRES_REASON_LATE = 1 << 4,  /* a reason behind a property */
    /* A result left out for what stands behind it: "smtp.mailfrom=" with nothing, "reason" alone */
    AUTHRES_BROKEN_RESULT = 1 << 5,
};

struct authres {
    struct str authserv_id; /* quotes taken away */
    unsigned version; /* 1 when it is not said; what is behind another one may mean anything */
    const struct authres_result *results;
    size_t result_count; /* 0: "none" */
    unsigned deviations; /* of enum authres_deviation */
};

/*
 * Reads the whole of a raw value. STATUS_SYNTAX: it is none (also for control characters and octets
 * that are not UTF-8); STATUS_LIMIT: over a limit above, or the arena is full.
 */
[[nodiscard]] enum status authres_parse(struct arena *arena, struct str value,
                                        struct authres *authres_out);

/*
 * Reads authserv-id and version at the head of *rest (RFC 8601 2.2), which is then at the first
 * semicolon or at the end. Errors as above.
 */
[[nodiscard]] enum status authres_parse_head(struct arena *arena, struct str *rest,
                                             struct str *authserv_id_out, unsigned *version_out);

/* The first result of that method at or after *from (moved behind it); NULL: no other. */
const struct authres_result *authres_find(const struct authres *authres, struct str method,
                                          size_t *from);
/* The value of a property; empty when the result does not have it. */
struct str authres_property_value(const struct authres_result *result, struct str ptype,
                                  struct str name);

struct authres_write_options {
    bool utf8;         /* the message is one with SMTPUTF8: UTF-8 may stay (RFC 8601 5, 6532) */
    unsigned instance; /* 0: Authentication-Results; else "i=N;" of ARC (RFC 8617 4.1.1) */
};

/*
 * The value of a field that says what `authres` holds, folded at 78 columns with the field's name
 * before it counted, without final CRLF. Control characters in values become "?"; so do octets that
 * may not stay, but U-labels of a domain become A-labels. A property longer than AUTHRES_VALUE_MAX
 * is left out (a shortened name would be another name), a longer reason or comment is cut.
 * STATUS_SYNTAX: a method, result, ptype or property name is no keyword, or there is no
 * authserv-id; STATUS_LIMIT: over a limit above, or the arena is full.
 */
[[nodiscard]] enum status authres_write(struct arena *arena, const struct authres *authres,
                                        const struct authres_write_options *options,
                                        struct str *value_out);

#endif
