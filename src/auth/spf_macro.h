/*
 * spf_macro.h - macro strings of SPF: their syntax and what they expand to (RFC 7208 7).
 *
 * Two readers use them: the parser of records, which refuses a record with a broken macro string
 * before anything is evaluated, and the evaluation, which expands target names and explanations.
 */
#ifndef POSTERN_AUTH_SPF_MACRO_H
#define POSTERN_AUTH_SPF_MACRO_H

#include "base/arena.h"
#include "base/ip.h"

/* RFC 7208 7.3: octets of an expanded target name; what is longer loses labels on its left. */
#define SPF_TARGET_MAX     253u
/* Octets that an expansion may have before it is cut. */
#define SPF_EXPANSION_MAX  65536u
/* Parts that a transformer may ask for; RFC 7208 7.3 wants at least 127. */
#define SPF_MACRO_KEEP_MAX 65535u

/* Where a macro string stands. */
enum spf_macro_use {
    SPF_MACRO_DOMAIN,      /* a domain-spec: c, r and t are not allowed (RFC 7208 7.2) */
    SPF_MACRO_EXPLANATION, /* an explain-string: all letters, and blanks */
    SPF_MACRO_MODIFIER,    /* the value of an unknown modifier: only its syntax matters */
};

struct spf_macro_values {
    struct str sender;        /* s: local-part@domain */
    struct str local;         /* l */
    struct str sender_domain; /* o */
    struct str domain;        /* d: whose record is being evaluated */
    struct str helo;          /* h */
    struct str receiver;      /* r; empty: "unknown" */
    struct ip_address client; /* i, c, v */
    int64_t now;              /* t: seconds since 1970 */
    /*
     * p: the validated name of the client, "unknown" when it has none (RFC 7208 7.3). Called once
     * for each %{p}; a status other than STATUS_OK ends the expansion. NULL: always "unknown".
     */
    enum status (*validated_name)(void *ctx, struct str *name_out);
    void *ctx;
};

/* STATUS_SYNTAX when `text` is no macro-string (7.1), or has a letter that its use forbids. */
[[nodiscard]] enum status spf_macro_check(struct str text, enum spf_macro_use use);

/*
 * STATUS_SYNTAX when `text` is no domain-spec: a macro string that ends in a macro-expand ("%%",
 * "%_" and "%-" are such) or in a dot and a top label (7.1). What it expands to may be no name at
 * all.
 */
[[nodiscard]] enum status spf_domain_spec_check(struct str text);

/*
 * Expands a macro string into the arena. For SPF_MACRO_DOMAIN the result is at most SPF_TARGET_MAX
 * octets and has no final dot; it need not be a valid name. STATUS_SYNTAX: as for spf_macro_check;
 * STATUS_NOT_FOUND: a target name that holds a local part which is not ASCII, so that the term
 * matches nothing (RFC 8616 4); STATUS_LIMIT: longer than SPF_EXPANSION_MAX, or the arena is full.
 */
[[nodiscard]] enum status spf_macro_expand(struct arena *arena, struct str text,
                                           enum spf_macro_use use,
                                           const struct spf_macro_values *values,
                                           struct str *text_out);

#endif
