/*
 * sts_fetch.h - the fetch of an MTA-STS policy: what is asked of the web server, and what its
 * answer comes to (RFC 8461 3.3). The fetch itself is fetch/fetch.h's.
 */
#ifndef POSTERN_TRANSPORT_STS_FETCH_H
#define POSTERN_TRANSPORT_STS_FETCH_H

#include "fetch/fetch.h"
#include "transport/sts_policy.h"
#include "transport/tls_result.h"

/* How long a fetch may take, in milliseconds (3.3 suggests a minute). */
#define STS_FETCH_TIMEOUT_MS 60000

/*
 * The request for the policy of a domain in normal form: text/plain over HTTPS, no redirects, at
 * most STS_POLICY_SIZE_MAX. Its text lives in the arena. STATUS_SYNTAX: the domain is no name of a
 * host; STATUS_LIMIT: the name would be too long, or the arena is full.
 */
[[nodiscard]] enum status sts_fetch_request(struct arena *arena, struct str domain,
                                            struct fetch_request *request_out);

/* What a fetch brought. */
struct sts_fetched {
    enum tls_result result;   /* SUCCESS: a policy; else one of those of MTA-STS */
    struct sts_policy policy; /* when SUCCESS; in the arena */
    struct str reason; /* else: for people, and failure-reason-code; in the arena or static */
};

/*
 * Reads the answer. STATUS_LIMIT: the arena is full. FETCH_OUTCOME_BUSY says nothing about the
 * domain: who calls does not take it for a failed fetch, and does not come here.
 */
[[nodiscard]] enum status sts_fetch_read(struct arena *arena, const struct fetch_response *response,
                                         struct sts_fetched *fetched_out);

#endif
