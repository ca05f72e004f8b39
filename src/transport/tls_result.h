/*
 * tls_result.h - the result types of TLS reports (RFC 8460 4.3), and the kinds of policy that a
 * session is judged by. Decision, verdict, trace, counts and reports all use these words.
 */
#ifndef POSTERN_TRANSPORT_TLS_RESULT_H
#define POSTERN_TRANSPORT_TLS_RESULT_H

#include "base/str.h"

enum tls_result {
    TLS_RESULT_SUCCESS = 0, /* no failure; not a word of reports */
#define TLS_RESULT(NAME, word, text) TLS_RESULT_##NAME,
#include "transport/tls_result.def"
#undef TLS_RESULT
    TLS_RESULT_COUNT_, /* not a result */
};

/* RFC 8460 4.4, policy-type. */
enum tls_policy_type {
    TLS_POLICY_NONE, /* no-policy-found */
    TLS_POLICY_STS,
    TLS_POLICY_TLSA,
    TLS_POLICY_COUNT_, /* not a policy */
};

/* "starttls-not-supported"; "success" for TLS_RESULT_SUCCESS. Static, never NULL. */
const char *tls_result_name(enum tls_result result);
/* A sentence without full stop; empty for TLS_RESULT_SUCCESS. Static, never NULL. */
const char *tls_result_text(enum tls_result result);
/* The result of that name (any letter case); TLS_RESULT_SUCCESS for a word that is none. */
enum tls_result tls_result_find(struct str name);

/* "sts", "tlsa", "no-policy-found"; static, never NULL. */
const char *tls_policy_type_name(enum tls_policy_type type);
/* The type of that name (any letter case); TLS_POLICY_COUNT_ for a word that is none. */
enum tls_policy_type tls_policy_type_find(struct str name);

#endif
