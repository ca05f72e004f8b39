#include "fetch/fetch.h"

#include "fetch/url.h"

const char *
fetch_outcome_name(enum fetch_outcome outcome)
{
    static const char *const names[FETCH_OUTCOME_COUNT] = {
        [FETCH_OUTCOME_OK] = "ok",
        [FETCH_OUTCOME_NOT_FOUND] = "not-found",
        [FETCH_OUTCOME_STATUS] = "status",
        [FETCH_OUTCOME_REDIRECT] = "redirect",
        [FETCH_OUTCOME_TOO_LARGE] = "too-large",
        [FETCH_OUTCOME_WRONG_TYPE] = "wrong-type",
        [FETCH_OUTCOME_BROKEN] = "broken",
        [FETCH_OUTCOME_TIMED_OUT] = "timed-out",
        [FETCH_OUTCOME_UNREACHABLE] = "unreachable",
        [FETCH_OUTCOME_TLS_NAME] = "tls-name",
        [FETCH_OUTCOME_TLS_EXPIRED] = "tls-expired",
        [FETCH_OUTCOME_TLS_UNTRUSTED] = "tls-untrusted",
        [FETCH_OUTCOME_TLS_OTHER] = "tls-other",
        [FETCH_OUTCOME_NAME] = "name",
        [FETCH_OUTCOME_ADDRESS] = "address",
        [FETCH_OUTCOME_BUSY] = "busy",
    };
    return (unsigned)outcome < FETCH_OUTCOME_COUNT ? names[outcome] : "unknown";
}

bool
fetch_is_temporary(const struct fetch_response *response)
{
    switch (response->outcome) {
    case FETCH_OUTCOME_TIMED_OUT:
    case FETCH_OUTCOME_UNREACHABLE:
    case FETCH_OUTCOME_BROKEN:
    case FETCH_OUTCOME_NAME:
    case FETCH_OUTCOME_BUSY:
        return true;
    case FETCH_OUTCOME_STATUS:
        return response->http_status >= 500 || response->http_status == 429;
    case FETCH_OUTCOME_OK:
    case FETCH_OUTCOME_NOT_FOUND:
    case FETCH_OUTCOME_REDIRECT:
    case FETCH_OUTCOME_TOO_LARGE:
    case FETCH_OUTCOME_WRONG_TYPE:
    case FETCH_OUTCOME_TLS_NAME:
    case FETCH_OUTCOME_TLS_EXPIRED:
    case FETCH_OUTCOME_TLS_UNTRUSTED:
    case FETCH_OUTCOME_TLS_OTHER:
    case FETCH_OUTCOME_ADDRESS:
        return false;
    }
    return false;
}

static bool
type_is_wanted(const struct fetch_request *request, struct str content_type)
{
    struct str media_type;
    struct str parameters;
    str_cut(content_type, ';', &media_type, &parameters);
    media_type = str_trim(media_type);
    for (size_t i = 0; i < request->media_type_count; i++) {
        if (str_eq_nocase(media_type, request->media_types[i])) {
            return true;
        }
    }
    return request->media_type_count == 0;
}

enum fetch_outcome
fetch_judge(const struct fetch_request *request, const struct fetch_answer *answer,
            const char **why_out)
{
    unsigned const status = answer->http_status;
    if (status == 404 || status == 410) {
        *why_out = "there is no such page";
        return FETCH_OUTCOME_NOT_FOUND;
    }
    /* 304 and the like lead nowhere. */
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
        *why_out = "the server redirects to another page";
        return FETCH_OUTCOME_REDIRECT;
    }
    if (status != 200) {
        *why_out = "the server answered with another status than 200";
        return FETCH_OUTCOME_STATUS;
    }
    if (answer->size > request->size_max) {
        *why_out = "the page is too large";
        return FETCH_OUTCOME_TOO_LARGE;
    }
    if (!type_is_wanted(request, answer->content_type)) {
        *why_out = "the page has another media type";
        return FETCH_OUTCOME_WRONG_TYPE;
    }
    *why_out = "";
    return FETCH_OUTCOME_OK;
}

bool
fetch_request_is_valid(const struct fetch_request *request)
{
    struct fetch_url url;
    bool valid = fetch_url_parse(request->url, &url) == STATUS_OK && request->size_max > 0 &&
                 request->size_max <= FETCH_SIZE_MAX && request->timeout_ms > 0 &&
                 request->timeout_ms <= FETCH_TIMEOUT_MAX_MS &&
                 request->media_type_count <= FETCH_MEDIA_TYPES_MAX;
    for (size_t i = 0; valid && i < request->media_type_count; i++) {
        struct str type = request->media_types[i];
        valid =
            type.n > 0 && type.n <= FETCH_MEDIA_TYPE_MAX && str_printable_length(type) == type.n;
    }
    return valid;
}

enum status
fetch_get(const struct fetch_source *source, struct arena *arena,
          const struct fetch_request *request, struct fetch_response *response_out)
{
    struct fetch_response response = {0};
    if (!fetch_request_is_valid(request)) {
        return STATUS_SYNTAX;
    }
    enum status status = source->get(source->ctx, arena, request, &response);
    if (status == STATUS_OK) {
        *response_out = response;
    }
    return status;
}
