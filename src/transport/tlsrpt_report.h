/*
 * tlsrpt_report.h - a report about the TLS sessions with a domain in a day (RFC 8460 4): what it
 * says, written as JSON and read from it.
 *
 * Reading is tolerant of what real reports have: missing members, members of another type, unknown
 * ones, a list where one text should be and the reverse. What must be there is a list of policies
 * with a domain in each. Everything is bounded.
 */
#ifndef POSTERN_TRANSPORT_TLSRPT_REPORT_H
#define POSTERN_TRANSPORT_TLSRPT_REPORT_H

#include "base/arena.h"
#include "transport/tls_result.h"

/* Octets of a report as JSON, also after decompression. */
#define TLSRPT_JSON_MAX        (4u << 20)
/* What is kept of one report; more sets TLSRPT_NOTE_LIMIT. */
#define TLSRPT_POLICIES_MAX    1000u
#define TLSRPT_FAILURES_MAX    10000u /* of all policies together */
#define TLSRPT_LINES_MAX       520u   /* of policy-string, of mx-host */
#define TLSRPT_TEXT_OCTETS_MAX 1024u  /* of one text; longer ones are cut */
/* Memory for reading or writing a report. */
#define TLSRPT_ARENA           (64u << 20)

/* One row of failure-details: sessions that failed alike. Texts may be empty. */
struct tlsrpt_failure {
    enum tls_result result; /* SUCCESS when read and the word is none of RFC 8460 */
    struct str result_word; /* as it stands in the report that was read */
    struct str sending_ip;  /* text of an address, here and below */
    struct str mx;          /* receiving-mx-hostname */
    struct str helo;        /* receiving-mx-helo */
    struct str receiving_ip;
    uint64_t sessions;      /* failed-session-count */
    struct str information; /* additional-information: a URI */
    struct str reason;      /* failure-reason-code */
};

struct tlsrpt_policy {
    enum tls_policy_type type; /* TLS_POLICY_COUNT_ when read and the word is none of RFC 8460 */
    struct str type_word;      /* as it stands in the report that was read */
    const struct str *lines;   /* policy-string: of the MTA-STS policy, or the TLSA records */
    size_t line_count;
    struct str domain;    /* A-labels, lower case; never empty */
    const struct str *mx; /* mx-host: the names that an MTA-STS policy has */
    size_t mx_count;
    uint64_t successful; /* sessions */
    uint64_t failed;
    const struct tlsrpt_failure *failures;
    size_t failure_count;
};

/* What was odd in a report that was read. A set. */
enum tlsrpt_note {
    TLSRPT_NOTE_MISSING = 1 << 0, /* a member that should be there is not */
    TLSRPT_NOTE_TYPE = 1 << 1,    /* a member is of a type that it should not be */
    TLSRPT_NOTE_WORD = 1 << 2,    /* a result or a policy type that RFC 8460 does not have */
    TLSRPT_NOTE_SUM = 1 << 3,     /* details that do not add up to the summary */
    TLSRPT_NOTE_LIMIT = 1 << 4,   /* more than is kept */
    TLSRPT_NOTE_ADDRESS = 1 << 5, /* an IP address that is none */
};

struct tlsrpt_report {
    struct str organization;
    int64_t start_s, end_s; /* date-range, seconds since 1970; 0: not told */
    struct str contact;     /* contact-info */
    struct str id;          /* report-id */
    const struct tlsrpt_policy *policies;
    size_t policy_count;
    unsigned notes; /* of enum tlsrpt_note */
};

/*
 * The report as JSON in the arena; {NULL,0} when that is full, or the JSON would be larger than
 * TLSRPT_JSON_MAX. Octets that are no UTF-8 are replaced; words that RFC 8460 does not have are
 * written as they were read. A domain stands in every policy, also
 * where none was found.
 */
struct str tlsrpt_report_write(struct arena *arena, const struct tlsrpt_report *report);

/*
 * Reads a report from JSON, or from JSON in gzip. STATUS_SYNTAX: it is none, *problem_out says why;
 * STATUS_LIMIT: larger than TLSRPT_JSON_MAX (*problem_out says so too), or the arena is full
 * (*problem_out is then NULL). All text is in the arena.
 */
[[nodiscard]] enum status tlsrpt_report_read(struct arena *arena, struct str octets,
                                             struct tlsrpt_report *report_out,
                                             const char **problem_out);

/* What one note means, for people; static, never NULL. */
const char *tlsrpt_note_text(enum tlsrpt_note note);

#endif
