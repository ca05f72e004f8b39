/*
 * check.h - what a check is: one function that looks at a message and adds findings.
 *
 * A check is one file with one entry point of the type check_function, one row in
 * policy/checks.def, its findings in finding/findings.def, and one test. It decides nothing, keeps
 * no state, and changes nothing but the list of findings. doc/adding-a-check.md shows how to add
 * one. Checks of a message's form are in this folder; a check that is the front of a larger subject
 * lives with it (auth, content).
 *
 * Everything in the input is borrowed from the message being looked at. What later checks need
 * beside it (names, keys, scanners) comes in here as well, as functions with a context.
 */
#ifndef POSTERN_CHECK_CHECK_H
#define POSTERN_CHECK_CHECK_H

#include "config/config.h"
#include "dns/dns.h"
#include "finding/finding.h"
#include "mail/repair.h"

/* In this order; what is learnt early is cheap. */
enum check_stage {
    CHECK_STAGE_SESSION,  /* who connects, and how it introduced itself */
    CHECK_STAGE_ENVELOPE, /* sender and recipients */
    CHECK_STAGE_HEADER,
    CHECK_STAGE_CONTENT,
    CHECK_STAGE_COUNT_, /* not a stage */
};

/* Which way the message goes; a row of checks.def names a set of them. */
enum check_direction {
    CHECK_INBOUND = 1 << 0,  /* from anybody to our domains */
    CHECK_OUTBOUND = 1 << 1, /* from our users and the hosts that may relay */
};

/* Results that authentication checks share with those behind them (auth/results.h). */
struct auth_results;

struct check_recipient {
    struct str address;  /* where it goes, aliases resolved */
    struct str original; /* what RCPT said */
};

struct check_input {
    struct arena *arena; /* of the message, for what a check needs meanwhile */
    const struct config *config;
    int64_t received_ms; /* wall clock */
    enum check_direction direction;

    struct ip_address client;
    struct str helo; /* as the client gave it */
    struct str user; /* authenticated; empty: nobody */

    struct str sender; /* empty: the null path */
    const struct check_recipient *recipients;
    size_t recipient_count;
    bool smtputf8; /* announced with MAIL */

    struct str content;           /* the whole message as received */
    const struct mail_head *head; /* of mail of our own as it was mended; else as received */
    size_t body_offset;           /* in the content */
    const struct mail_repair_notes *repairs; /* what was mended in it; NULL: nothing */
    bool line_ends_made;                     /* LF without CR came, and became CRLF at the edge */
    bool head_over_limit; /* limits.header_size or header_fields; head is empty then */

    const struct dns_source
        *dns;                  /* NULL: there is none, and a check that needs it cannot be made */
    struct auth_results *auth; /* what the checks in auth have learnt so far; NULL as dns */
};

/*
 * Anything but STATUS_OK means that the check could not be made; the table's runner records that as
 * FINDING_CHECK_FAILED, so that it is never silent. Findings made before stay.
 */
typedef enum status check_function(const struct check_input *input, struct finding_list *findings);

/* "session", "envelope", "header", "content"; static, never NULL. */
const char *check_stage_name(enum check_stage stage);

/* The checks of this folder. */
check_function check_helo_form;
check_function check_null_sender;
check_function check_line_ends;
check_function check_repairs;
check_function check_header_sanity;
check_function check_date;
check_function check_loop;
check_function check_submission_identity;

#endif
