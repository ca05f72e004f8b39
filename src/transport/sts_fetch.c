#include "transport/sts_fetch.h"

#include "dns/name.h"

enum status
sts_fetch_request(struct arena *arena, struct str domain, struct fetch_request *request_out)
{
    static const struct str types[] = {STR_INIT("text/plain")};
    struct str host = arena_printf(arena, "mta-sts.%.*s", STR_ARG(domain));
    if (host.p == NULL || host.n + 2 > DNS_NAME_WIRE_MAX) {
        return STATUS_LIMIT;
    }
    if (!dns_name_is_host(domain)) {
        return STATUS_SYNTAX;
    }
    struct str url = arena_printf(arena, "https://%.*s/.well-known/mta-sts.txt", STR_ARG(host));
    if (url.p == NULL) {
        return STATUS_LIMIT;
    }
    *request_out = (struct fetch_request){.url = url,
                                          .size_max = STS_POLICY_SIZE_MAX,
                                          .timeout_ms = STS_FETCH_TIMEOUT_MS,
                                          .media_types = types,
                                          .media_type_count = 1,
                                          .redirects = false};
    return STATUS_OK;
}

/* RFC 8460 4.3.2.2: what of a fetch that failed is a matter of certificates. */
static enum tls_result
result_of(enum fetch_outcome outcome)
{
    switch (outcome) {
    case FETCH_OUTCOME_OK:
        return TLS_RESULT_SUCCESS;
    case FETCH_OUTCOME_TLS_NAME:
    case FETCH_OUTCOME_TLS_EXPIRED:
    case FETCH_OUTCOME_TLS_UNTRUSTED:
        return TLS_RESULT_STS_WEBPKI_INVALID;
    case FETCH_OUTCOME_NOT_FOUND:
    case FETCH_OUTCOME_STATUS:
    case FETCH_OUTCOME_REDIRECT:
    case FETCH_OUTCOME_TOO_LARGE:
    case FETCH_OUTCOME_WRONG_TYPE:
    case FETCH_OUTCOME_BROKEN:
    case FETCH_OUTCOME_TIMED_OUT:
    case FETCH_OUTCOME_UNREACHABLE:
    case FETCH_OUTCOME_TLS_OTHER:
    case FETCH_OUTCOME_NAME:
    case FETCH_OUTCOME_ADDRESS:
    case FETCH_OUTCOME_BUSY:
        break;
    }
    return TLS_RESULT_STS_POLICY_FETCH_ERROR;
}

static enum status
read_policy(struct arena *arena, struct str body, struct sts_fetched *fetched)
{
    struct sts_problem problem = {0, ""};
    enum status status = sts_policy_parse(arena, body, &fetched->policy, &problem);
    if (status != STATUS_SYNTAX) {
        return status;
    }
    fetched->result = TLS_RESULT_STS_POLICY_INVALID;
    fetched->reason = problem.line > 0
                          ? arena_printf(arena, "line %zu: %s", problem.line, problem.text)
                          : str_from_cstr(problem.text);
    return fetched->reason.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

enum status
sts_fetch_read(struct arena *arena, const struct fetch_response *response,
               struct sts_fetched *fetched_out)
{
    struct sts_fetched fetched = {.result = result_of(response->outcome)};
    struct sts_response facts = {response->http_status, response->content_type, response->body.n};
    enum status status = STATUS_OK;
    if (fetched.result != TLS_RESULT_SUCCESS) {
        fetched.reason = arena_str_dup(
            arena, response->detail.n > 0 ? response->detail
                                          : str_from_cstr(fetch_outcome_name(response->outcome)));
        status = fetched.reason.p != NULL ? STATUS_OK : STATUS_LIMIT;
    } else if (sts_response_judge(&facts) != STS_RESPONSE_OK) {
        /* The fetcher has looked at it; the policy's rule does not depend on that. */
        fetched.result = TLS_RESULT_STS_POLICY_FETCH_ERROR;
        fetched.reason = str_from_cstr(sts_response_fault_text(sts_response_judge(&facts)));
    } else {
        status = read_policy(arena, response->body, &fetched);
    }
    if (status == STATUS_OK) {
        *fetched_out = fetched;
    }
    return status;
}
