#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "fetch/curl_internal.h"

/* 2048 bits of RSA and SHA-256, as browsers demand of public web servers. */
#define SECURITY_LEVEL     2
/* Octets a second below which a server counts as silent. */
#define SPEED_LEAST        16L
#define HAPPY_EYEBALLS_MS  200L
#define ADDRESSES_TEXT_MAX (DNS_TEXT_HOST_MAX + 2 * FETCH_ADDRESSES_MAX * (IP_TEXT_MAX + 3))
#define DNS_TEXT_HOST_MAX  262u

/* What is the same in each request; all else of libcurl is left off. */
static const struct {
    CURLoption option;
    long value;
} numbers[] = {
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_NOPROGRESS, 0},
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
    {CURLOPT_HTTP09_ALLOWED, 0},
    {CURLOPT_HTTPGET, 1},
    {CURLOPT_FOLLOWLOCATION, 0},
    {CURLOPT_MAXREDIRS, 0},
    {CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
    {CURLOPT_PATH_AS_IS, 1},
    {CURLOPT_NETRC, CURL_NETRC_IGNORED},
    {CURLOPT_HTTP_CONTENT_DECODING, 0},
    {CURLOPT_SSL_VERIFYPEER, 1},
    {CURLOPT_SSL_VERIFYHOST, 2},
    {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_SSL_SESSIONID_CACHE, 0},
    {CURLOPT_FRESH_CONNECT, 1},
    {CURLOPT_FORBID_REUSE, 1},
    {CURLOPT_MAXCONNECTS, 1},
    {CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, HAPPY_EYEBALLS_MS},
    {CURLOPT_LOW_SPEED_LIMIT, SPEED_LEAST},
};

static const struct {
    CURLoption option;
    const char *value;
} texts[] = {
    {CURLOPT_PROTOCOLS_STR, "https"},
    {CURLOPT_REDIR_PROTOCOLS_STR, "https"},
    {CURLOPT_PROXY, ""}, /* an empty one is none, whatever the environment says */
    {CURLOPT_NOPROXY, "*"},
    {CURLOPT_USERAGENT, "Postern"},
    {CURLOPT_CAINFO, NULL}, /* the roots are put into the context, below */
    {CURLOPT_CAPATH, NULL},
    {CURLOPT_ACCEPT_ENCODING, NULL},
};

/* ---- callbacks */

/* To libcurl an end without close_notify is an end like others. */
static void
on_tls_event(const SSL *ssl, int event, int value)
{
    struct transfer *transfer = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (event == SSL_CB_READ_ALERT && (value & 0xff) == SSL_AD_CLOSE_NOTIFY) {
        transfer->close_notify = true;
    }
}

/*
 * The roots, and the name that the certificate must have. libcurl itself would take the common name
 * where there is no subjectAltName.
 */
static CURLcode
on_tls_context(CURL *easy, void *context, void *state)
{
    const struct transfer *transfer = state;
    SSL_CTX *tls = context;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls);
    (void)easy;
    SSL_CTX_set1_cert_store(tls, transfer->curl->roots);
    SSL_CTX_set_security_level(tls, SECURITY_LEVEL);
    SSL_CTX_set_app_data(tls, state);
    SSL_CTX_set_info_callback(tls, on_tls_event);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, transfer->host.p, transfer->host.n) == 1
               ? CURLE_OK
               : CURLE_SSL_CONNECT_ERROR;
}

/* Nothing is connected to but what was judged, whatever libcurl took from elsewhere. */
static curl_socket_t
on_open_socket(void *state, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct transfer *transfer = state;
    struct ip_address ip;
    uint16_t port;
    if (purpose != CURLSOCKTYPE_IPCXN || address->socktype != SOCK_STREAM ||
        ip_from_sockaddr(&address->addr, &ip, &port) != STATUS_OK || port != transfer->port) {
        return CURL_SOCKET_BAD;
    }
    for (size_t i = 0; i < transfer->addresses.count; i++) {
        if (ip_eq(&transfer->addresses.items[i], &ip)) {
            return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
        }
    }
    return CURL_SOCKET_BAD;
}

/* ---- texts of a request */

static bool
append(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer != NULL) {
        *list = longer;
    }
    return longer != NULL;
}

/* "host:443:[2001:db8::1],192.0.2.1", which CURLOPT_RESOLVE takes. */
static bool
pin_addresses(struct transfer *transfer)
{
    struct buf text;
    buf_init(&text, ADDRESSES_TEXT_MAX);
    enum status status = buf_printf(&text, "%.*s:%u:", STR_ARG(transfer->host), transfer->port);
    for (size_t i = 0; status == STATUS_OK && i < transfer->addresses.count; i++) {
        char ip[IP_TEXT_MAX];
        const struct ip_address *address = &transfer->addresses.items[i];
        bool const v4 = ip_is_v4(address);
        ip_format(address, ip);
        status = buf_printf(&text, "%s%s%s%s", i > 0 ? "," : "", v4 ? "" : "[", ip, v4 ? "" : "]");
    }
    status = status == STATUS_OK ? buf_append_char(&text, '\0') : status;
    bool done = status == STATUS_OK && append(&transfer->resolve, buf_str(&text).p);
    buf_free(&text);
    return done;
}

static bool
write_accept(struct transfer *transfer)
{
    const struct fetch_request *request = transfer->request;
    struct buf text;
    buf_init(&text, FETCH_MEDIA_TYPES_MAX * (FETCH_MEDIA_TYPE_MAX + 2) + 16);
    enum status status = buf_append(&text, STR("Accept: "));
    for (size_t i = 0; status == STATUS_OK && i < request->media_type_count; i++) {
        status = buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", STR_ARG(request->media_types[i]));
    }
    if (status == STATUS_OK && request->media_type_count == 0) {
        status = buf_append(&text, STR("*/*"));
    }
    status = status == STATUS_OK ? buf_append_char(&text, '\0') : status;
    bool done = status == STATUS_OK && append(&transfer->headers, buf_str(&text).p);
    buf_free(&text);
    return done;
}

/* ---- options */

static bool
set_fixed(CURL *easy)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (curl_easy_setopt(easy, numbers[i].option, numbers[i].value) != CURLE_OK) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (curl_easy_setopt(easy, texts[i].option, texts[i].value) != CURLE_OK) {
            return false;
        }
    }
    return true;
}

static bool
set_times(CURL *easy, long total_ms)
{
    long const silent_s = total_ms / 3000 > 0 ? total_ms / 3000 : 1;
    return curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, total_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, total_ms / 2 + 1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silent_s) == CURLE_OK;
}

static bool
set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    return curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transfer_on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, transfer_on_progress) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK;
}

static bool
set_request(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    struct str url =
        transfer->port != FETCH_PORT
            ? arena_printf(transfer->arena, "https://%.*s:%u%.*s", STR_ARG(transfer->host),
                           transfer->port, STR_ARG(transfer->target))
            : arena_printf(transfer->arena, "https://%.*s%.*s", STR_ARG(transfer->host),
                           STR_ARG(transfer->target));
    return url.p != NULL && pin_addresses(transfer) && write_accept(transfer) &&
           curl_easy_setopt(easy, CURLOPT_URL, url.p) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_RESOLVE, transfer->resolve) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                            (curl_off_t)transfer->request->size_max) == CURLE_OK;
}

bool
transfer_prepare(struct transfer *transfer)
{
    transfer->easy = curl_easy_init();
    return transfer->easy != NULL && set_fixed(transfer->easy) &&
           set_times(transfer->easy, transfer->time_left_ms) && set_callbacks(transfer) &&
           set_request(transfer);
}

void
transfer_release(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->resolve);
    curl_slist_free_all(transfer->headers);
    buf_free(&transfer->body);
}
