/*
 * tlsrpt_record.h - the TXT record at _smtp._tls.DOMAIN, which says where reports about TLS
 * sessions with a domain go (RFC 8460 3).
 */
#ifndef POSTERN_TRANSPORT_TLSRPT_RECORD_H
#define POSTERN_TRANSPORT_TLSRPT_RECORD_H

#include "base/arena.h"
#include "dns/dns.h"

/* Addresses of a record that are kept; more are left out. */
#define TLSRPT_URIS_MAX 16u

enum tlsrpt_scheme {
    TLSRPT_MAILTO,
    TLSRPT_HTTPS,
};

/* Where reports go. */
struct tlsrpt_uri {
    struct str text; /* borrowed from the record */
    enum tlsrpt_scheme scheme;
    struct str address; /* of mailto, decoded (RFC 6068 2), normal form; empty for https */
};

struct tlsrpt_record {
    const struct tlsrpt_uri *rua; /* in the arena; at least one */
    size_t rua_count;
    size_t skipped; /* URIs of other schemes, or past TLSRPT_URIS_MAX */
};

/*
 * Reads the text of a record. STATUS_SYNTAX: it is not valid, or has no address that a report can
 * go to; *problem_out says why, static text for people. STATUS_LIMIT: the arena is full. Several
 * rua are read as one list: the grammar has them, and not to report would help nobody.
 */
[[nodiscard]] enum status tlsrpt_record_parse(struct arena *arena, struct str text,
                                              struct tlsrpt_record *record_out,
                                              const char **problem_out);

/* True when it begins as such a record does; others at the same name do not count (3). */
bool tlsrpt_record_is_ours(struct str text);

enum tlsrpt_lookup_state {
    TLSRPT_LOOKUP_NONE,      /* the domain wants no reports */
    TLSRPT_LOOKUP_FOUND,     /* one valid record */
    TLSRPT_LOOKUP_INVALID,   /* several records, or one that cannot be read: as good as none (3) */
    TLSRPT_LOOKUP_TEMPORARY, /* the DNS did not answer */
    TLSRPT_LOOKUP_COUNT_,    /* not a state */
};

struct tlsrpt_lookup {
    enum tlsrpt_lookup_state state;
    struct tlsrpt_record record; /* of FOUND; in the arena */
    const char *problem;         /* of INVALID, for people; static; else NULL */
    enum dns_outcome outcome;
};

/* Asks for the record of a policy domain in normal form. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status tlsrpt_lookup(const struct dns_source *dns, struct arena *arena,
                                        struct str domain, struct tlsrpt_lookup *lookup_out);

/* "none", "found", "invalid", "temporary"; static, never NULL. */
const char *tlsrpt_lookup_state_name(enum tlsrpt_lookup_state state);

#endif
