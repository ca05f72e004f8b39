/*
 * dkim_signature.h - the DKIM-Signature field (RFC 6376 3.5): read by its rules, and the hash over
 * the header that it signs (3.7). ARC-Message-Signature (RFC 8617 4.1.2) is read here too.
 *
 * Domains and selectors come out as A-labels in lower case, however they were written (RFC 8616 5).
 * Everything is in the arena or borrowed from the field.
 */
#ifndef POSTERN_AUTH_DKIM_SIGNATURE_H
#define POSTERN_AUTH_DKIM_SIGNATURE_H

#include "auth/canonical.h"
#include "auth/dkim_problem.h"
#include "auth/hasher.h"
#include "auth/tag_list.h"
#include "base/arena.h"
#include "mail/fields.h"

/* Names in h=; octets of h= altogether. */
#define DKIM_NAMES_MAX      256u
#define DKIM_NAMES_SIZE_MAX 16384u
/* Characters of l= (RFC 6376 3.5) and of t= and x=. */
#define DKIM_LENGTH_DIGITS  76u
#define DKIM_TIME_DIGITS    12u
/* t= may be so far ahead of our clock, in seconds: a day, since some set theirs to a wrong zone. */
#define DKIM_FUTURE_MAX_S   86400
/* Where no clock is to be looked at, and where a time is absent. */
#define DKIM_NO_TIME        INT64_MIN

enum dkim_signature_flag {
    DKIM_SIGNATURE_UTF8 = 1 << 0, /* an internationalized message (RFC 8616 5) */
    DKIM_SIGNATURE_ARC = 1 << 1,  /* ARC-Message-Signature: no v=, and i= is a number */
};

struct dkim_signature {
    enum crypto_algorithm algorithm;
    enum canonical head;
    enum canonical body;
    struct str domain;       /* d= */
    struct str selector;     /* s= */
    struct str identity;     /* i= decoded, or "@" and the domain; empty with ARC */
    bool identity_below;     /* the identity's domain is not d= itself */
    const struct str *names; /* h=, as written */
    size_t name_count;
    struct str body_hash;      /* bh= decoded, CANONICAL_HASH_SIZE octets */
    struct str signature;      /* b= decoded */
    struct str signature_raw;  /* b= in the field with what surrounds it */
    uint64_t length;           /* l=; CANONICAL_NO_LIMIT without */
    int64_t time;              /* t= in seconds since 1970; DKIM_NO_TIME without */
    int64_t expires;           /* x= */
    struct str algorithm_text; /* a= as written, for people */
};

/*
 * Reads the value of a field. With a problem, *signature_out still has what was read before it
 * (domain, selector, algorithm_text), for people and results; what was not read is empty.
 */
enum dkim_problem dkim_signature_parse(struct arena *arena, struct str value, unsigned flags,
                                       struct dkim_signature *signature_out);
/* The same of tags that were read already. */
enum dkim_problem dkim_signature_from_tags(struct arena *arena, const struct tag_list *tags,
                                           unsigned flags, struct dkim_signature *signature_out);

/* t= and x= against the clock (RFC 6376 3.5); DKIM_NO_TIME: not looked at. */
enum dkim_problem dkim_signature_time(const struct dkim_signature *signature, int64_t now);

/* "c=" with its defaults: "relaxed" is relaxed/simple. False: not known. */
bool dkim_canonical_parse(struct str value, enum canonical *head_out, enum canonical *body_out);

/*
 * A domain or selector of a tag as A-labels in lower case. Underscores are accepted, since DNS has
 * them; a domain has two labels at least. STATUS_SYNTAX, STATUS_LIMIT (the arena is full).
 */
[[nodiscard]] enum status dkim_name_read(struct arena *arena, struct str text, bool domain,
                                         struct str *name_out);

/* ---- the hash over the header */

struct dkim_header_hash {
    const struct mail_head *head;
    enum canonical form;
    const struct str *names;
    size_t name_count;
    const struct mail_field
        *own;              /* the signature's field, which is never taken for a name; or NULL */
    struct str raw;        /* of the signature's field, with or without final CRLF */
    struct str without;    /* b= in it (signature_raw) */
    struct hasher *hasher; /* the message's; NULL: one is made */
};

/*
 * SHA-256 over the signed fields and the signature's own (RFC 6376 3.7): each name in `names` takes
 * the last field of that name that is not taken yet (5.4.2), a name without a field adds nothing.
 * STATUS_LIMIT: the arena is full; STATUS_TEMPORARY: OpenSSL would not.
 */
[[nodiscard]] enum status dkim_header_hash(struct arena *arena, const struct dkim_header_hash *what,
                                           uint8_t hash_out[CANONICAL_HASH_SIZE]);

#endif
