/*
 * curl_internal.h - one request to one server; for the files curl_*.c and source_curl.c only.
 */
#ifndef POSTERN_FETCH_CURL_INTERNAL_H
#define POSTERN_FETCH_CURL_INTERNAL_H

#include <curl/curl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "fetch/source_curl.h"
#include "fetch/url.h"

struct fetch_curl {
    atomic_uint references;
    const struct dns_source *dns;
    X509_STORE *roots;
    struct ip_network *also_allowed; /* owned */
    size_t also_allowed_count;
    uint16_t port;
};

/* Those of a host that are allowed, IPv6 first. */
struct fetch_addresses {
    struct ip_address items[2 * FETCH_ADDRESSES_MAX];
    size_t count;
};

struct transfer {
    const struct fetch_curl *curl;
    const struct fetch_request *request;
    struct arena *arena;
    struct str host; /* lower case, in the arena */
    uint16_t port;
    struct str target;
    struct fetch_addresses addresses;
    int time_left_ms;
    CURL *easy;
    struct curl_slist *resolve; /* the pinned addresses */
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    /* ---- the answer */
    size_t header_octets;
    size_t header_lines;
    bool close_notify; /* the server has ended its octets itself */
    bool chunked;
    bool has_content_type;
    struct str content_type; /* in the arena */
    struct str location;     /* in the arena; of a redirect */
    struct buf body;
    /* Why the transfer was ended from within; meaningful with `ended`. */
    bool ended;
    enum fetch_outcome outcome;
    const char *why;
};

/*
 * curl_address.c: asks the DNS for the host and judges what it says. OK with addresses to try, NAME
 * or ADDRESS with *detail_out in the arena.
 */
enum fetch_outcome fetch_addresses_find(const struct fetch_curl *curl, struct arena *arena,
                                        struct str host, struct fetch_addresses *addresses_out,
                                        struct str *detail_out);

/* curl_transfer.c: makes the easy handle with all its options; false: no memory, or libcurl lacks
 * an option. */
bool transfer_prepare(struct transfer *transfer);
void transfer_release(struct transfer *transfer);

/* curl_answer.c: libcurl's callbacks; `context` is the transfer. */
size_t transfer_on_header(char *line, size_t size, size_t n, void *context);
size_t transfer_on_body(char *octets, size_t size, size_t n, void *context);
/* source_curl.c: libcurl's callback, about once a second; not 0: the transfer ends. */
int transfer_on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                         curl_off_t up);
/* What became of it, after curl_easy_perform. */
void transfer_finish(struct transfer *transfer, CURLcode code, struct fetch_response *response_out);

#endif
