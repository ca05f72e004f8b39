#include "transport/verdict.h"

/* RFC 7672 3, RFC 8460 4.3.2.1. */
static enum tls_result
judge_tlsa(const struct tls_facts *tls)
{
    if (tls->dane_matched) {
        return TLS_RESULT_SUCCESS;
    }
    switch (tls->problem) {
    case TLS_PROBLEM_EXPIRED:
        return TLS_RESULT_CERTIFICATE_EXPIRED;
    case TLS_PROBLEM_NAME:
        return TLS_RESULT_CERTIFICATE_HOST_MISMATCH;
    case TLS_PROBLEM_NONE:
    case TLS_PROBLEM_NO_MATCH:
    case TLS_PROBLEM_UNTRUSTED:
        break;
    }
    return TLS_RESULT_TLSA_INVALID;
}

/* RFC 8461 4.2: a trusted root, and a name among the alternative names: the subject's does not
 * count. */
static enum tls_result
judge_webpki(const struct tls_facts *tls)
{
    if (!tls->trusted) {
        return tls->problem == TLS_PROBLEM_EXPIRED ? TLS_RESULT_CERTIFICATE_EXPIRED
                                                   : TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
    }
    return tls->alternative_name_matches ? TLS_RESULT_SUCCESS
                                         : TLS_RESULT_CERTIFICATE_HOST_MISMATCH;
}

static enum tls_result
judge_tls(const struct transport_demand *demand, const struct tls_facts *tls)
{
    if (demand->level < TRANSPORT_AUTHENTICATION) {
        return demand->testing ? judge_webpki(tls) : TLS_RESULT_SUCCESS;
    }
    return demand->by == TRANSPORT_BY_TLSA ? judge_tlsa(tls) : judge_webpki(tls);
}

struct transport_verdict
transport_judge(const struct transport_demand *demand, const struct transport_shown *shown)
{
    struct transport_verdict verdict = {.result = demand->result};
    if (demand->skip) {
        return verdict;
    }
    if (demand->no_tls) {
        verdict.pass = true;
    } else if (shown->tls != NULL) {
        verdict.result = judge_tls(demand, shown->tls);
        verdict.pass =
            verdict.result == TLS_RESULT_SUCCESS || demand->level < TRANSPORT_AUTHENTICATION;
    } else {
        verdict.result =
            shown->offered ? TLS_RESULT_VALIDATION_FAILURE : TLS_RESULT_STARTTLS_NOT_SUPPORTED;
        verdict.pass = demand->may_clear;
    }
    return verdict;
}
