/*
 * sts_policy.h - the policy that a domain serves at https://mta-sts.DOMAIN/.well-known/mta-sts.txt:
 * which hosts may take its mail, and whether TLS with a valid certificate is demanded (RFC 8461
 * 3.2), and what of an HTTP response may be taken for one (3.3).
 *
 * What the grammar has is read as it stands. Lenient on purpose, since to refuse a policy takes the
 * domain's protection away: unknown keys are ignored (3.2), of repeated ones the first counts,
 * empty lines and blanks at the end of a line are overlooked, a max_age above the greatest is taken
 * as the greatest, an address among the names is left out, a final dot of a name does not count.
 */
#ifndef POSTERN_TRANSPORT_STS_POLICY_H
#define POSTERN_TRANSPORT_STS_POLICY_H

#include "base/arena.h"

/* Octets of a policy (3.3: a limit that senders may set), names in it, digits of max_age. */
#define STS_POLICY_SIZE_MAX 65536u
#define STS_POLICY_MX_MAX   512u
/* Seconds: a year of 365.25 days. */
#define STS_MAX_AGE_MAX     31557600u

enum sts_mode {
    STS_MODE_NONE,    /* the domain is leaving MTA-STS */
    STS_MODE_TESTING, /* failures are reported, mail is delivered */
    STS_MODE_ENFORCE,
    STS_MODE_COUNT_, /* not a mode */
};

/* What was overlooked. A set. */
enum sts_note {
    STS_NOTE_UNKNOWN_KEY = 1 << 0,
    STS_NOTE_REPEATED_KEY = 1 << 1,
    STS_NOTE_MAX_AGE_CAPPED = 1 << 2,
    STS_NOTE_MX_ADDRESS = 1 << 3,  /* an IP address as mx: left out */
    STS_NOTE_MX_REPEATED = 1 << 4, /* the same name twice */
    STS_NOTE_EMPTY_LINE = 1 << 5,
    STS_NOTE_MX_DOT = 1 << 6, /* a final dot */
};

struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age;     /* seconds */
    const struct str *mx; /* in the arena: lower case, A-labels, "*." before some */
    size_t mx_count;      /* 0 only with STS_MODE_NONE */
    unsigned notes;       /* of enum sts_note */
};

/* Where a policy is not valid. */
struct sts_problem {
    size_t line;      /* from 1; 0: not a matter of one line */
    const char *text; /* for people, static */
};

/*
 * Reads a policy. STATUS_SYNTAX: it is not valid, *problem_out says why; STATUS_LIMIT: the arena is
 * full. Everything in *policy_out lives in the arena.
 */
[[nodiscard]] enum status sts_policy_parse(struct arena *arena, struct str text,
                                           struct sts_policy *policy_out,
                                           struct sts_problem *problem_out);

/*
 * The lines of a policy as RFC 8461 writes them, without what was overlooked: for reports (RFC 8460
 * 4.4, policy-string). An array in the arena; NULL when that is full.
 */
const struct str *sts_policy_lines(struct arena *arena, const struct sts_policy *policy,
                                   size_t *count_out);
/*
 * The same as one text in its shortest form, without blanks and final line end, so that it is never
 * longer than what was read: for the cache. {NULL,0} when the arena is full.
 */
struct str sts_policy_text(struct arena *arena, const struct sts_policy *policy);

/*
 * True when `host` (A-labels, any letter case, a final dot does not count) fits a name of the
 * policy (4.1). "*." stands for exactly one label.
 */
bool sts_policy_matches(const struct sts_policy *policy, struct str host);
/* The same for one name of a policy in normal form. */
bool sts_pattern_matches(struct str pattern, struct str host);
/*
 * The normal form of a name in a policy, in the arena. `flags` are of enum smtp_address_flag: with
 * SMTP_ADDRESS_UTF8, U-labels are taken. STATUS_SYNTAX, STATUS_DENIED: it is no such name;
 * STATUS_LIMIT: too long.
 */
[[nodiscard]] enum status sts_pattern_normalize(struct arena *arena, struct str text,
                                                unsigned flags, struct str *pattern_out);

/* "none", "testing", "enforce"; static, never NULL. */
const char *sts_mode_name(enum sts_mode mode);
/* STS_MODE_COUNT_ for a word that is none; letter case counts. */
enum sts_mode sts_mode_find(struct str word);
/* What one note means, for people; static, never NULL. */
const char *sts_note_text(enum sts_note note);

/* ---- the response of the policy's web server */

/* What was learnt of the response, once TLS and HTTP went well. */
struct sts_response {
    unsigned status;         /* of HTTP */
    struct str content_type; /* the value of the field; empty where there was none */
    size_t size;             /* octets of the body, as far as it was read */
};

enum sts_response_fault {
    STS_RESPONSE_OK,
    STS_RESPONSE_REDIRECT, /* 3xx, which must not be followed */
    STS_RESPONSE_STATUS,   /* anything but 200 */
    STS_RESPONSE_TYPE,     /* not text/plain */
    STS_RESPONSE_SIZE,     /* more than STS_POLICY_SIZE_MAX */
    STS_RESPONSE_COUNT_,   /* not a fault */
};

/*
 * Whether the body may be read as a policy (3.3). Only text/plain will do, with any parameters:
 * else whoever may put files on the web server could make policies.
 */
enum sts_response_fault sts_response_judge(const struct sts_response *response);
/* For people and for failure-reason-code; static, never NULL; empty for OK. */
const char *sts_response_fault_text(enum sts_response_fault fault);

#endif
