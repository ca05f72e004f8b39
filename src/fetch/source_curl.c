#include "fetch/source_curl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "fetch/curl_internal.h"

/* Largest text of trusted certificates, as in tls/client.h. */
#define TRUST_PEM_MAX (16u << 20)

/* ---- life */

enum status
fetch_curl_init(void)
{
    /* libcurl would write the keys of its sessions to the file that this names. */
    unsetenv("SSLKEYLOGFILE");
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? STATUS_OK : STATUS_IO;
}

/* Certificates that cannot be read are left out: one bad root must not end all trust. */
static void
add_roots(X509_STORE *store, struct str pem)
{
    X509 *certificate;
    BIO *bio = pem.n > 0 && pem.n <= TRUST_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    while (bio != NULL && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
}

enum status
fetch_curl_create(const struct fetch_curl_settings *settings, struct fetch_curl **curl_out)
{
    size_t const count = settings->also_allowed_count;
    struct fetch_curl *curl = calloc(1, sizeof *curl);
    if (curl == NULL) {
        return STATUS_LIMIT;
    }
    atomic_init(&curl->references, 1);
    curl->dns = settings->dns;
    curl->port = settings->port != 0 ? settings->port : FETCH_PORT;
    curl->roots = X509_STORE_new();
    curl->also_allowed = calloc(count + 1, sizeof *curl->also_allowed);
    if (curl->roots == NULL || curl->also_allowed == NULL) {
        fetch_curl_unref(&curl);
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        curl->also_allowed[i] = settings->also_allowed[i];
    }
    curl->also_allowed_count = count;
    add_roots(curl->roots, settings->trust_pem);
    *curl_out = curl;
    return STATUS_OK;
}

struct fetch_curl *
fetch_curl_ref(struct fetch_curl *curl)
{
    atomic_fetch_add(&curl->references, 1);
    return curl;
}

void
fetch_curl_unref(struct fetch_curl **curl_pointer)
{
    struct fetch_curl *curl = *curl_pointer;
    *curl_pointer = NULL;
    if (curl == NULL || atomic_fetch_sub(&curl->references, 1) != 1) {
        return;
    }
    X509_STORE_free(curl->roots);
    free(curl->also_allowed);
    free(curl);
}

static atomic_bool given_up;

void
fetch_curl_give_up(void)
{
    atomic_store(&given_up, true);
}

int
transfer_on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                     curl_off_t up)
{
    (void)context;
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    return atomic_load(&given_up);
}

/* ---- one server */

static struct str
lower(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.n + 1);
    for (size_t i = 0; copy != NULL && i < text.n; i++) {
        copy[i] = char_lower(text.p[i]);
    }
    return str_make(copy, copy != NULL ? text.n : 0);
}

static void
fail(struct fetch_response *response, enum fetch_outcome outcome, struct str detail)
{
    *response = (struct fetch_response){.outcome = outcome, .detail = detail};
}

/* With addresses, and time left. */
static void
perform(struct transfer *transfer, struct fetch_response *response_out)
{
    buf_init(&transfer->body, transfer->request->size_max);
    if (transfer_prepare(transfer)) {
        CURLcode code = curl_easy_perform(transfer->easy);
        transfer_finish(transfer, code, response_out);
    } else {
        fail(response_out, FETCH_OUTCOME_BUSY, STR("there is no memory for the transfer"));
    }
    transfer_release(transfer);
}

/* `transfer` has what it takes to begin; the location of a redirect is in it afterwards. */
static void
fetch_one(struct transfer *transfer, const struct fetch_url *url, int64_t deadline_ms,
          struct fetch_response *response_out)
{
    const struct fetch_curl *curl = transfer->curl;
    struct str detail = {0};
    transfer->host = lower(transfer->arena, url->host);
    transfer->port = url->port != 0 ? url->port : curl->port;
    transfer->target = url->target;
    if (transfer->port != curl->port && transfer->port != FETCH_PORT) {
        fail(response_out, FETCH_OUTCOME_ADDRESS,
             arena_printf(transfer->arena, "port %u is not allowed", transfer->port));
        return;
    }
    enum fetch_outcome outcome =
        fetch_addresses_find(curl, transfer->arena, transfer->host, &transfer->addresses, &detail);
    if (outcome != FETCH_OUTCOME_OK) {
        fail(response_out, outcome, detail);
        return;
    }
    int64_t const left_ms = deadline_ms - clock_monotonic_ms();
    if (left_ms <= 0) {
        fail(response_out, FETCH_OUTCOME_TIMED_OUT, STR("the DNS took all the time"));
        return;
    }
    transfer->time_left_ms = (int)left_ms;
    perform(transfer, response_out);
}

/* ---- redirects */

/* An absolute URL, or a path at the same server. STATUS_SYNTAX: neither. */
static enum status
follow(struct transfer *transfer, struct fetch_url *url_out)
{
    struct str text = transfer->location;
    if (str_starts_with(text, STR("/")) && !str_starts_with(text, STR("//"))) {
        text = arena_printf(transfer->arena, "https://%.*s:%u%.*s", STR_ARG(transfer->host),
                            transfer->port, STR_ARG(text));
    }
    return fetch_url_parse(text, url_out);
}

static enum status
curl_get(void *ctx, struct arena *arena, const struct fetch_request *request,
         struct fetch_response *out)
{
    struct fetch_curl *curl = ctx;
    struct fetch_response response = {0};
    struct fetch_url url;
    unsigned redirects = request->redirects ? FETCH_REDIRECTS_MAX : 0;
    int64_t const deadline_ms = clock_monotonic_ms() + request->timeout_ms;
    if (fetch_url_parse(request->url, &url) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    for (;;) {
        struct transfer transfer = {.curl = curl, .request = request, .arena = arena};
        fetch_one(&transfer, &url, deadline_ms, &response);
        if (response.outcome != FETCH_OUTCOME_REDIRECT || redirects == 0 ||
            follow(&transfer, &url) != STATUS_OK) {
            break;
        }
        redirects--;
    }
    if ((response.outcome == FETCH_OUTCOME_OK && response.body.p == NULL) ||
        (response.detail.n > 0 && response.detail.p == NULL)) {
        return STATUS_LIMIT;
    }
    *out = response;
    return STATUS_OK;
}

struct fetch_source
fetch_source_from_curl(struct fetch_curl *curl)
{
    return (struct fetch_source){.get = curl_get, .ctx = curl};
}
