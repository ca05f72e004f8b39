#include "fetch/curl_internal.h"

/* Ends the transfer from within a callback, which returns this to libcurl. */
static size_t
end(struct transfer *transfer, enum fetch_outcome outcome, const char *why)
{
    if (!transfer->ended) {
        transfer->ended = true;
        transfer->outcome = outcome;
        transfer->why = why;
    }
    return 0; /* neither callback is ever given nothing */
}

static unsigned
http_status(const struct transfer *transfer)
{
    long status = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status > 0 ? (unsigned)status : 0;
}

/* ---- header section */

static size_t
on_content_type(struct transfer *transfer, struct str value, size_t octets)
{
    if (transfer->has_content_type && !str_eq(value, transfer->content_type)) {
        return end(transfer, FETCH_OUTCOME_WRONG_TYPE, "the answer has two media types");
    }
    if (value.n > FETCH_MEDIA_TYPE_MAX || str_printable_length(value) != value.n) {
        return end(transfer, FETCH_OUTCOME_WRONG_TYPE, "the media type is not one");
    }
    transfer->has_content_type = true;
    transfer->content_type = arena_str_dup(transfer->arena, value);
    return octets;
}

static size_t
on_field(struct transfer *transfer, struct str name, struct str value, size_t octets)
{
    if (str_eq_nocase(name, STR("content-type"))) {
        return on_content_type(transfer, value, octets);
    }
    /* Nobody asked for an encoding; small octets that unpack to large ones are for attackers. */
    if (str_eq_nocase(name, STR("content-encoding")) && !str_eq_nocase(value, STR("identity"))) {
        return end(transfer, FETCH_OUTCOME_WRONG_TYPE, "the answer is compressed");
    }
    if (str_eq_nocase(name, STR("transfer-encoding"))) {
        transfer->chunked = str_eq_nocase(value, STR("chunked"));
        return transfer->chunked ? octets
                                 : end(transfer, FETCH_OUTCOME_BROKEN,
                                       "the answer has an unknown transfer coding");
    }
    if (str_eq_nocase(name, STR("location")) && value.n <= FETCH_URL_MAX) {
        transfer->location = arena_str_dup(transfer->arena, value);
    }
    return octets;
}

size_t
transfer_on_header(char *line, size_t size, size_t n, void *context)
{
    struct transfer *transfer = context;
    size_t const octets = size * n;
    struct str text = str_make(line, octets);
    struct str name;
    struct str value;
    transfer->header_octets += octets;
    transfer->header_lines++;
    if (transfer->header_octets > FETCH_HEADER_OCTETS_MAX ||
        transfer->header_lines > FETCH_HEADER_LINES_MAX) {
        return end(transfer, FETCH_OUTCOME_TOO_LARGE, "the answer's header is too large");
    }
    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r')) {
        text.n--;
    }
    if (str_starts_with_nocase(text, STR("HTTP/"))) { /* the next answer after an interim one */
        transfer->has_content_type = false;
        transfer->content_type = STR("");
        transfer->location = STR("");
        return octets;
    }
    return str_cut(text, ':', &name, &value) ? on_field(transfer, name, str_trim(value), octets)
                                             : octets;
}

/* ---- body */

static enum fetch_outcome
judge(const struct transfer *transfer, size_t body_size, const char **why_out)
{
    struct fetch_answer answer = {http_status(transfer), transfer->content_type, body_size};
    return fetch_judge(transfer->request, &answer, why_out);
}

size_t
transfer_on_body(char *octets, size_t size, size_t n, void *context)
{
    struct transfer *transfer = context;
    struct str part = str_make(octets, size * n);
    const char *why;
    /* What will not be taken need not be read. */
    enum fetch_outcome outcome = judge(transfer, buf_length(&transfer->body) + part.n, &why);
    if (outcome != FETCH_OUTCOME_OK) {
        return end(transfer, outcome, why);
    }
    if (buf_append(&transfer->body, part) != STATUS_OK) {
        return end(transfer, FETCH_OUTCOME_TOO_LARGE, "the page is too large");
    }
    return part.n;
}

/* ---- the end */

/* A body that ends with its connection: who cuts that must not make a page of a part (RFC
 * 9112 9.8).
 */
static bool
was_cut(const struct transfer *transfer)
{
    curl_off_t told = -1;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &told);
    return told < 0 && !transfer->chunked && !transfer->close_notify;
}

/* What the certificate lacks; the library's own texts are for its authors. */
static enum fetch_outcome
judge_certificate(const struct transfer *transfer, struct str *detail_out)
{
    long result = X509_V_ERR_UNSPECIFIED;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_OK) {
        *detail_out = arena_printf(transfer->arena, "the certificate is not for %.*s",
                                   STR_ARG(transfer->host));
        return FETCH_OUTCOME_TLS_NAME;
    }
    *detail_out = arena_printf(transfer->arena, "the certificate of %.*s is not valid: %s",
                               STR_ARG(transfer->host), X509_verify_cert_error_string(result));
    return result == X509_V_ERR_CERT_HAS_EXPIRED || result == X509_V_ERR_CERT_NOT_YET_VALID
               ? FETCH_OUTCOME_TLS_EXPIRED
               : FETCH_OUTCOME_TLS_UNTRUSTED;
}

static enum fetch_outcome
outcome_of_code(CURLcode code)
{
    static const struct {
        CURLcode code;
        enum fetch_outcome outcome;
    } rows[] = {
        {CURLE_OPERATION_TIMEDOUT, FETCH_OUTCOME_TIMED_OUT},
        {CURLE_COULDNT_CONNECT, FETCH_OUTCOME_UNREACHABLE},
        {CURLE_ABORTED_BY_CALLBACK, FETCH_OUTCOME_BUSY},
        {CURLE_COULDNT_RESOLVE_HOST, FETCH_OUTCOME_NAME},
        {CURLE_SSL_CONNECT_ERROR, FETCH_OUTCOME_TLS_OTHER},
        {CURLE_SSL_CIPHER, FETCH_OUTCOME_TLS_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) {
            return rows[i].outcome;
        }
    }
    return FETCH_OUTCOME_BROKEN;
}

static struct str
detail_of_code(const struct transfer *transfer, CURLcode code)
{
    struct str text =
        str_from_cstr(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code));
    text = str_head(text, FETCH_DETAIL_MAX);
    text.n = str_printable_length(text);
    return arena_str_dup(transfer->arena, text);
}

void
transfer_finish(struct transfer *transfer, CURLcode code, struct fetch_response *response_out)
{
    struct fetch_response response = {.http_status = http_status(transfer),
                                      .content_type = transfer->content_type};
    const char *why = "";
    if (transfer->ended) {
        response.outcome = transfer->outcome;
        why = transfer->why;
    } else if (code == CURLE_OK || code == CURLE_FILESIZE_EXCEEDED) {
        size_t const size = code == CURLE_OK ? buf_length(&transfer->body) : SIZE_MAX;
        response.outcome = judge(transfer, size, &why);
        if (response.outcome == FETCH_OUTCOME_OK && was_cut(transfer)) {
            response.outcome = FETCH_OUTCOME_BROKEN;
            why = "the connection was cut before the page had ended";
        }
    } else if (code == CURLE_OUT_OF_MEMORY) { /* what it says of a line above its own bound */
        response.outcome = FETCH_OUTCOME_TOO_LARGE;
        why = "the answer's header is too large";
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        response.outcome = judge_certificate(transfer, &response.detail);
    } else {
        response.outcome = outcome_of_code(code);
        response.detail = detail_of_code(transfer, code);
    }
    if (why[0] != '\0') {
        response.detail = response.http_status != 200 && response.http_status != 0
                              ? arena_printf(transfer->arena, "%s (%u)", why, response.http_status)
                              : str_from_cstr(why);
    }
    if (response.outcome == FETCH_OUTCOME_OK) {
        response.body = arena_str_dup(transfer->arena, buf_str(&transfer->body));
    }
    *response_out = response;
}
