/*
 * spf.h - may this client use this domain? check_host() of RFC 7208.
 *
 * HELO and MAIL FROM are separate identities (2.3, 2.4). The caller has both of them evaluated, one
 * call each, and neither result depends on the other. Nothing is kept between calls; names come
 * from the source, whose time limits are the limit of the evaluation (a time-out is temperror).
 *
 * All text of an outcome lives in the arena. It came from the network: domain, mechanism,
 * explanation and problem are printable ASCII, sender and helo are as they were given.
 */
#ifndef POSTERN_AUTH_SPF_H
#define POSTERN_AUTH_SPF_H

#include "auth/spf_record.h"
#include "dns/dns.h"

/* RFC 7208 4.6.4: terms that ask the DNS, terms that asked in vain, names of one mx or ptr. */
#define SPF_LOOKUPS_MAX      10u
#define SPF_VOID_LOOKUPS_MAX 2u
#define SPF_MX_NAMES_MAX     10u
/* Octets of an explanation and of a problem; the rest is cut off. */
#define SPF_EXPLANATION_MAX  500u
#define SPF_PROBLEM_MAX      300u

enum spf_result {
    SPF_RESULT_NONE,
    SPF_RESULT_NEUTRAL,
    SPF_RESULT_PASS,
    SPF_RESULT_FAIL,
    SPF_RESULT_SOFTFAIL,
    SPF_RESULT_TEMPERROR,
    SPF_RESULT_PERMERROR,
};
#define SPF_RESULT_COUNT 7u

enum spf_identity {
    SPF_IDENTITY_HELO,
    SPF_IDENTITY_MAILFROM,
};

struct spf_input {
    const struct dns_source *dns;
    struct arena *arena; /* of the outcome, and for what is needed meanwhile */
    enum spf_identity identity;
    struct ip_address client;
    struct str helo;     /* as the client gave it; may be empty */
    struct str sender;   /* MAIL FROM, or a domain alone; empty: the null path, postmaster@HELO */
    struct str receiver; /* our host name, for %{r} and the header field; empty: "unknown" */
    int64_t now;         /* seconds since 1970, for %{t} */
};

struct spf_outcome {
    enum spf_result result;
    enum spf_identity identity;
    struct str domain;      /* that was checked, A-labels; DMARC aligns it */
    struct str sender;      /* local-part@domain that the macros saw */
    struct str helo;        /* borrowed from the input */
    struct str mechanism;   /* the directive that matched, as written; empty: none did */
    struct str explanation; /* of the sender's domain, with fail only; may be empty */
    struct str problem;     /* for people: why temperror, permerror or none; empty otherwise */
    unsigned lookups;       /* terms that asked the DNS */
    unsigned void_lookups;  /* of them, those that asked in vain */
};

/* Evaluates one identity. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status spf_check(const struct spf_input *input, struct spf_outcome *outcome_out);

/* "none", "neutral", ...: as in header fields (RFC 7208 2.6, RFC 8601 2.7.2); never NULL. */
const char *spf_result_name(enum spf_result result);
/* "helo", "mailfrom" */
const char *spf_identity_name(enum spf_identity identity);

/*
 * What Authentication-Results says of an identity (RFC 8601 2.7.2): the value of smtp.mailfrom is
 * the sender's address, or the domain where the path was null; that of smtp.helo is the name that
 * the client gave. It has not been quoted.
 */
struct str spf_authres_value(const struct spf_input *input, const struct spf_outcome *outcome);
/* "mailfrom" or "helo", the property of the type smtp. */
const char *spf_authres_property(const struct spf_outcome *outcome);

/*
 * The value of a Received-SPF field (RFC 7208 9.1), without the name and without a line end, folded
 * with CRLF and a tab. All values are quoted where they must be and cannot leave their quotes; what
 * is neither ASCII nor UTF-8 is replaced. {NULL,0}: the arena is full.
 */
struct str spf_received_header(const struct spf_input *input, const struct spf_outcome *outcome);

#endif
