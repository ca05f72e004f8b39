/*
 * sts_record.h - the TXT record at _mta-sts.DOMAIN, which says that there is an MTA-STS policy and
 * when it has changed (RFC 8461 3.1).
 *
 * The grammar is taken as it stands: the version comes first, letter case counts, an id is there
 * once. What cannot be read is no record, so that a domain with a broken one has no policy to be
 * fetched; a policy that is known already goes on to apply (sts_cache.h).
 */
#ifndef POSTERN_TRANSPORT_STS_RECORD_H
#define POSTERN_TRANSPORT_STS_RECORD_H

#include "base/arena.h"
#include "dns/dns.h"

/* RFC 8461 3.1: 1*32(ALPHA / DIGIT). */
#define STS_ID_MAX 32u

/*
 * Reads the text of a record. True when it is valid; *id_out is then borrowed from the text. False:
 * *problem_out says why, static text for people.
 */
bool sts_record_parse(struct str text, struct str *id_out, const char **problem_out);

/* True when it begins as such a record does; others at the same name do not count (3.1). */
bool sts_record_is_ours(struct str text);

enum sts_lookup_state {
    STS_LOOKUP_NONE,      /* the domain has no record, as far as the DNS tells */
    STS_LOOKUP_FOUND,     /* one valid record */
    STS_LOOKUP_INVALID,   /* several records, or one that cannot be read: as good as none (3.1) */
    STS_LOOKUP_TEMPORARY, /* the DNS did not answer: it may have one */
    STS_LOOKUP_COUNT_,    /* not a state */
};

struct sts_lookup {
    enum sts_lookup_state state;
    struct str id;            /* of FOUND; in the arena */
    const char *problem;      /* of INVALID, for people; static; else NULL */
    enum dns_outcome outcome; /* of the question */
    enum dns_security security;
};

/*
 * Asks for the record of a policy domain: a name in normal form, that of the recipient's domain or
 * of a smart host (3.4). Only this name is asked, never its parent. STATUS_LIMIT: the arena is
 * full. An address literal, or a name that is too long, has none.
 */
[[nodiscard]] enum status sts_lookup(const struct dns_source *dns, struct arena *arena,
                                     struct str domain, struct sts_lookup *lookup_out);

/* "none", "found", "invalid", "temporary"; static, never NULL. */
const char *sts_lookup_state_name(enum sts_lookup_state state);

#endif
