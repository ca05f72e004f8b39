/*
 * spf_record.h - the text of an SPF record as a list of terms (RFC 7208 4.5, 4.6.1, 5, 6, 12).
 *
 * The whole record is checked before anything of it is evaluated: a syntax error anywhere makes the
 * result permerror, also behind a mechanism that would have matched (4.6). All views are borrowed
 * from the text that was parsed.
 */
#ifndef POSTERN_AUTH_SPF_RECORD_H
#define POSTERN_AUTH_SPF_RECORD_H

#include "base/arena.h"
#include "base/ip.h"

/* Octets and terms of one record; RFC 7208 3.4 recommends to stay below 450 octets. */
#define SPF_RECORD_MAX 16384u
#define SPF_TERMS_MAX  1024u

enum spf_mechanism {
    SPF_MECHANISM_ALL,
    SPF_MECHANISM_INCLUDE,
    SPF_MECHANISM_A,
    SPF_MECHANISM_MX,
    SPF_MECHANISM_PTR,
    SPF_MECHANISM_IP4,
    SPF_MECHANISM_IP6,
    SPF_MECHANISM_EXISTS,
};
#define SPF_MECHANISM_COUNT 8u

struct spf_directive {
    char qualifier; /* one of + - ~ ?; + where none is written */
    enum spf_mechanism mechanism;
    struct str text;       /* as written, with its qualifier */
    struct str domain;     /* domain-spec, not expanded; empty: the current domain */
    unsigned ip4_prefix;   /* 0 to 32; of a, mx and ip4 */
    unsigned ip6_prefix;   /* 0 to 128; of a, mx and ip6 */
    struct ip_address ip;  /* of ip4 and ip6 */
    struct str ip_written; /* the same as written */
};

struct spf_modifier {
    struct str name;
    struct str value;
};

struct spf_record {
    struct spf_directive *directives; /* in the arena, in their order */
    size_t directive_count;
    struct spf_modifier *modifiers; /* those that are neither redirect nor exp */
    size_t modifier_count;
    struct str redirect;    /* domain-spec; empty: none */
    struct str explanation; /* domain-spec of exp; empty: none */
};

/* The text begins with "v=spf1" and a blank or its end (4.5); letter case does not matter. */
bool spf_record_is_version1(struct str text);

/*
 * Parses a whole record. STATUS_SYNTAX: it is not one, and *problem_out (in the arena) says why;
 * STATUS_LIMIT: longer than the limits above (*problem_out says so), or the arena is full.
 * *record_out is untouched on failure, *problem_out on success.
 */
[[nodiscard]] enum status spf_record_parse(struct arena *arena, struct str text,
                                           struct spf_record *record_out, struct str *problem_out);

/* "all", "include", ...; static, never NULL. */
const char *spf_mechanism_name(enum spf_mechanism mechanism);

/* Text for people: octets that are not printable ASCII are replaced by '?', at most `most` octets.
 * {NULL,0}: the arena is full. */
struct str spf_printable(struct arena *arena, struct str text, size_t most);

#endif
