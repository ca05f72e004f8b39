/*
 * fetch.h - files from web servers: policies of MTA-STS, logos, keys of users.
 *
 * Everything in Postern that needs a page asks a struct fetch_source and never knows what is behind
 * it: the fetch role, libcurl (source_curl.h), or a table in a test (source_table.h). A request is
 * an https URL with its bounds; the answer is one value. No outcome is an error of the program: a
 * host that does not exist and a certificate that has expired are answers like others, and each
 * caller's standard says what they mean to it.
 *
 * All text and octets of an answer live in the arena that was passed in.
 *
 * RFC 9110 (HTTP), RFC 9525 (names in certificates: subjectAltName only), RFC 8461 3.3 (what
 * MTA-STS demands of a fetch: no redirects, no caches).
 */
#ifndef POSTERN_FETCH_FETCH_H
#define POSTERN_FETCH_FETCH_H

#include "base/arena.h"

/* Largest body that may be asked for, in octets: it must fit a message between roles. */
#define FETCH_SIZE_MAX        (256u * 1024u)
/* Most media types of one request, and octets of one, in a request and in an answer. */
#define FETCH_MEDIA_TYPES_MAX 8u
#define FETCH_MEDIA_TYPE_MAX  255u
/* Longest text for people. */
#define FETCH_DETAIL_MAX      300u
/* Longest time that a fetch may take, in milliseconds. */
#define FETCH_TIMEOUT_MAX_MS  300000

/* What became of a request. The numbers travel in messages between roles. */
enum fetch_outcome {
    FETCH_OUTCOME_OK = 0,             /* status 200, within all bounds */
    FETCH_OUTCOME_NOT_FOUND = 1,      /* status 404 or 410 */
    FETCH_OUTCOME_STATUS = 2,         /* another status */
    FETCH_OUTCOME_REDIRECT = 3,       /* a redirect that may not be followed */
    FETCH_OUTCOME_TOO_LARGE = 4,      /* the body is above size_max, or the header is too large */
    FETCH_OUTCOME_WRONG_TYPE = 5,     /* the media type was not asked for; also: it is encoded */
    FETCH_OUTCOME_BROKEN = 6,         /* no HTTP, or cut off before its end */
    FETCH_OUTCOME_TIMED_OUT = 7,      /* not done within timeout_ms, or far too slow */
    FETCH_OUTCOME_UNREACHABLE = 8,    /* no connection */
    FETCH_OUTCOME_TLS_NAME = 9,       /* the certificate is for other hosts */
    FETCH_OUTCOME_TLS_EXPIRED = 10,   /* it has expired, or is not valid yet */
    FETCH_OUTCOME_TLS_UNTRUSTED = 11, /* it does not lead to a trusted root */
    FETCH_OUTCOME_TLS_OTHER = 12,     /* no agreement on TLS */
    FETCH_OUTCOME_NAME = 13,          /* the host has no address, or the DNS failed */
    FETCH_OUTCOME_ADDRESS = 14,       /* its addresses, or its port, are not allowed */
    FETCH_OUTCOME_BUSY = 15,          /* nobody could be asked: too much under way, or a restart */
};
#define FETCH_OUTCOME_COUNT 16u

struct fetch_request {
    struct str url;                /* https, fetch/url.h; borrowed */
    size_t size_max;               /* of the body in octets, 1 to FETCH_SIZE_MAX */
    int timeout_ms;                /* for all of it, the DNS included; 1 to FETCH_TIMEOUT_MAX_MS */
    const struct str *media_types; /* "text/plain"; parameters are not looked at */
    size_t media_type_count;       /* 0: any; at most FETCH_MEDIA_TYPES_MAX */
    bool redirects;                /* to https URLs, a few (MTA-STS: never, RFC 8461 3.3) */
};

struct fetch_response {
    enum fetch_outcome outcome;
    unsigned http_status;    /* 0: there was none */
    struct str content_type; /* as sent, parameters included; may be empty */
    struct str body;         /* empty unless the outcome is OK, and perhaps then */
    struct str detail;       /* for people: why it failed, in words; empty when it did not */
};

/* Where files come from. */
struct fetch_source {
    /* As fetch_get. A source that cannot be reached answers BUSY. */
    enum status (*get)(void *ctx, struct arena *arena, const struct fetch_request *request,
                       struct fetch_response *out);
    void *ctx;
};

/*
 * Fetches and waits. STATUS_OK for every outcome; STATUS_SYNTAX when the URL is none (url.h) or a
 * bound of the request is not kept, STATUS_LIMIT when the arena is full. *response_out is untouched
 * on failure.
 */
[[nodiscard]] enum status fetch_get(const struct fetch_source *source, struct arena *arena,
                                    const struct fetch_request *request,
                                    struct fetch_response *response_out);

/* Whether the URL is one, and all bounds are kept. */
bool fetch_request_is_valid(const struct fetch_request *request);

/* What a server said, for fetch_judge. */
struct fetch_answer {
    unsigned http_status;
    struct str content_type; /* may be empty */
    size_t size;             /* of the body, as far as it was read */
};

/*
 * What an answer that came whole is worth to a request: OK, NOT_FOUND, STATUS, REDIRECT, TOO_LARGE
 * or WRONG_TYPE; with a reason (static text, "" when OK) in *why_out.
 */
enum fetch_outcome fetch_judge(const struct fetch_request *request,
                               const struct fetch_answer *answer, const char **why_out);

/* "ok", "not-found", "tls-expired", ...; static, never NULL. */
const char *fetch_outcome_name(enum fetch_outcome outcome);
/*
 * True when asking again soon may give another outcome: a time-out, no connection, a failed
 * look-up, no room, a server's error (status 5xx).
 */
bool fetch_is_temporary(const struct fetch_response *response);

#endif
