/*
 * dkim_key.h - key records (RFC 6376 3.6.1, RFC 8463 4): read, found in the DNS, and tried on a
 * signature. ARC uses the same records (RFC 8617 4.1.4).
 */
#ifndef POSTERN_AUTH_DKIM_KEY_H
#define POSTERN_AUTH_DKIM_KEY_H

#include "auth/crypto.h"
#include "auth/dkim_problem.h"
#include "dns/dns.h"

/* Key records of one name that are tried (RFC 6376 3.6.2.2: what several mean is undefined). */
#define DKIM_KEYS_MAX    4u
/* Names that one message may ask for; more are KEY_UNAVAILABLE. */
#define DKIM_LOOKUPS_MAX 128u
/* RFC 6376 7.5: between selector and domain. */
#define DKIM_KEY_LABEL   "_domainkey"

struct dkim_key {
    enum crypto_algorithm algorithm; /* k= */
    bool type_known;                 /* false: k= is no type of key that exists */
    bool revoked;                    /* p= is empty */
    bool sha256;                     /* h= allows it */
    bool email;                      /* s= allows it */
    bool testing;                    /* t=y */
    bool strict;                     /* t=s */
    struct str public;               /* p= as written, in base 64; empty when revoked */
};

/*
 * Reads the text of a TXT record, from which *key_out borrows: DKIM_PROBLEM_NONE, KEY_SYNTAX,
 * KEY_VERSION, KEY_MISSING. *key_out is only set with NONE. A revoked key and one of unknown type
 * are well-formed, and what stands in p= is not looked at.
 */
[[nodiscard]] enum dkim_problem dkim_key_parse(struct str text, struct dkim_key *key_out);
/*
 * True when the text means to be a key record: it says "v=DKIM1", or it has no version and is a
 * list of tags with "p=". Other TXT records at the name (wildcards) are none of ours.
 */
bool dkim_key_is_record(struct str text);

/*
 * Whether anything could be verified with a well-formed record, for those who look at records
 * alone: KEY_TYPE, KEY_REVOKED, KEY_MALFORMED, KEY_SMALL, KEY_LARGE, FAILED or NONE. *bits_out is 0
 * where the size is not known.
 */
enum dkim_problem dkim_key_usable(const struct dkim_key *key, unsigned *bits_out);

/* What a signature wants of a key record. */
enum dkim_problem dkim_key_fits(const struct dkim_key *key, enum crypto_algorithm algorithm,
                                bool identity_below);

/* ---- looking up */

/* The records of one selector. */
struct dkim_key_set {
    struct dkim_key keys[DKIM_KEYS_MAX];
    size_t count;
    enum dkim_problem problem; /* why there are none; NONE when count is not 0 */
};

struct dkim_lookup_entry;

/* Asks each name once for a message; may be shared by DKIM and ARC. One thread at a time. */
struct dkim_lookup {
    struct arena *arena;
    const struct dns_source *dns;
    struct key_cache *cache; /* of parsed keys; NULL: none */
    struct dkim_lookup_entry *entries;
    size_t count;
};

/* Nothing is asked yet. All arguments are borrowed. */
void dkim_lookup_init(struct dkim_lookup *lookup, struct arena *arena, const struct dns_source *dns,
                      struct key_cache *cache);

/*
 * The keys of a selector (RFC 6376 6.1.2 steps 1 to 5); both names in A-labels. In the arena; never
 * NULL, all failures are in `problem`.
 */
const struct dkim_key_set *dkim_lookup_find(struct dkim_lookup *lookup, struct str selector,
                                            struct str domain);

/* A signature to be tried with a set of keys. */
struct dkim_trial {
    enum crypto_algorithm algorithm;
    bool identity_below;  /* the identity's domain is below the signing domain */
    struct str hash;      /* SHA-256 over the canonical header; empty: the key is only read */
    struct str signature; /* decoded */
};

struct dkim_key_use {
    const struct dkim_key *key; /* the one that fitted, or was tried last; NULL: none */
    unsigned bits;              /* 0: not known */
};

/*
 * Tries the keys that fit until one passes (RFC 6376 6.1.2 step 4). Otherwise what was wrong with
 * the last one that came furthest.
 */
enum dkim_problem dkim_key_set_verify(const struct dkim_key_set *set, struct key_cache *cache,
                                      const struct dkim_trial *trial, struct dkim_key_use *use_out);

/*
 * Whether any key of them could be used for a signature, before anything is hashed (RFC 6376 6.1.2
 * comes before 6.1.3): NONE, or what is wrong with the one that came furthest. Keys are read, so
 * that those of which nothing can be made are told whatever has become of the body.
 */
enum dkim_problem dkim_key_set_usable(const struct dkim_key_set *set, struct key_cache *cache,
                                      enum crypto_algorithm algorithm, bool identity_below,
                                      struct dkim_key_use *use_out);

#endif
