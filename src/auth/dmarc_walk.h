/*
 * dmarc_walk.h - the DNS tree walk: which policy records lie above a domain, and which of them
 * makes the organizational domain (RFC 9989 4.10).
 *
 * A walk asks at most DMARC_WALK_MAX names. One evaluation may walk from several domains; each name
 * is asked once in it, and all its questions together are bounded by DMARC_QUERIES_MAX.
 */
#ifndef POSTERN_AUTH_DMARC_WALK_H
#define POSTERN_AUTH_DMARC_WALK_H

#include "auth/dmarc_record.h"
#include "dns/dns.h"

/* RFC 9989 4.10: a walk from a name with more labels leaves some out. */
#define DMARC_WALK_MAX    8u
/* Names asked in one evaluation: the author's walk and those of some signers. */
#define DMARC_QUERIES_MAX 40u

enum dmarc_lookup_state {
    DMARC_LOOKUP_FOUND,     /* one record */
    DMARC_LOOKUP_NONE,      /* no record, or none that counts */
    DMARC_LOOKUP_TEMPORARY, /* the DNS gave no answer */
    DMARC_LOOKUP_LIMIT,     /* not asked: DMARC_QUERIES_MAX */
};

/* What is known of one domain. */
struct dmarc_lookup {
    struct str domain;
    enum dmarc_lookup_state state;
    enum dns_outcome outcome;   /* of the question for _dmarc.domain */
    struct dmarc_record record; /* when FOUND */
    const char *problem;        /* static; NULL: nothing is wrong with what is published here */
};

/* The questions of one evaluation. */
struct dmarc_lookups {
    struct arena *arena; /* borrowed, as the source */
    const struct dns_source *dns;
    struct dmarc_lookup items[DMARC_QUERIES_MAX];
    size_t count;
};

/* Where a walk led. */
struct dmarc_walk {
    enum dmarc_lookup_state state;    /* FOUND: at least one record */
    struct str organizational_domain; /* the start, where nothing says otherwise; NONE and FOUND */
    const struct dmarc_lookup *organizational; /* its record; NULL: it has none */
    const struct dmarc_lookup *public_suffix;  /* a record with psd=y above it; NULL: none */
};

void dmarc_lookups_init(struct dmarc_lookups *lookups, struct arena *arena,
                        const struct dns_source *dns);

/*
 * What _dmarc.domain holds; asked when it is not known. `domain` in normal form, which must outlive
 * the lookups. STATUS_LIMIT: the arena is full. *lookup_out stays valid as long as the lookups.
 */
[[nodiscard]] enum status dmarc_lookup_get(struct dmarc_lookups *lookups, struct str domain,
                                           const struct dmarc_lookup **lookup_out);

/* The organizational domain of `domain` (4.10.2). Errors as above. */
[[nodiscard]] enum status dmarc_walk_run(struct dmarc_lookups *lookups, struct str domain,
                                         struct dmarc_walk *walk_out);

/*
 * The domains that a walk from `domain` asks at most, in its order, as views of it. A caller that
 * knows early which domain it will evaluate can ask for "_dmarc." and each of them ahead of time.
 */
size_t dmarc_walk_names(struct str domain, struct str names_out[static DMARC_WALK_MAX]);

#endif
