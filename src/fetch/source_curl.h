/*
 * source_curl.h - files from the servers themselves, by libcurl.
 *
 * Of libcurl no more is used than HTTP/1.1 over TLS 1.2 and later. No proxy, cookie, cache, netrc,
 * compression or HSTS, and nothing that the environment or a file says. Addresses come from the
 * given DNS source, never from the system's resolver; each is judged (address.h) before the list is
 * pinned, and again when its socket is made. The host must be among the certificate's
 * subjectAltName; its common name never counts (RFC 9525, RFC 8461 4.2). Redirects, where a request
 * allows them, are followed here and judged anew each time.
 *
 * Bounds beside those of the request: FETCH_HEADER_* below; a connection has half of the time, and
 * a server that says next to nothing for a third of it is given up.
 */
#ifndef POSTERN_FETCH_SOURCE_CURL_H
#define POSTERN_FETCH_SOURCE_CURL_H

#include "base/ip.h"
#include "dns/dns.h"
#include "fetch/fetch.h"

/* The header sections of one answer, those of interim answers (1xx) and trailers included. */
#define FETCH_HEADER_OCTETS_MAX (32u * 1024u)
#define FETCH_HEADER_LINES_MAX  100u
/* How many redirects are followed. */
#define FETCH_REDIRECTS_MAX     3u
/* Addresses of each family that are tried. */
#define FETCH_ADDRESSES_MAX     4u
#define FETCH_PORT              443u

/* Read-only after its creation, used by many threads, counted. */
struct fetch_curl;

struct fetch_curl_settings {
    const struct dns_source *dns;          /* borrowed; must bear being asked by many threads */
    struct str trust_pem;                  /* the trusted roots */
    const struct ip_network *also_allowed; /* as in address.h; copied */
    size_t also_allowed_count;
    uint16_t port; /* where servers listen, unless a URL says so; 0: FETCH_PORT */
};

/*
 * Starts libcurl; once in a process, after tls_library_init, before threads and sandbox. STATUS_IO
 * when it refuses.
 */
[[nodiscard]] enum status fetch_curl_init(void);

/*
 * The caller owns one reference. STATUS_LIMIT: out of memory. Without any trusted root every
 * certificate is untrusted.
 */
[[nodiscard]] enum status fetch_curl_create(const struct fetch_curl_settings *settings,
                                            struct fetch_curl **curl_out);
/* Thread-safe. */
struct fetch_curl *fetch_curl_ref(struct fetch_curl *curl);
/* Gives one reference back and sets *curl to NULL; NULL is allowed. Thread-safe. */
void fetch_curl_unref(struct fetch_curl **curl);

/*
 * Gives up all transfers of the process, those under way within about a second, and all that come:
 * they are BUSY. For the end of a program. Thread-safe.
 */
void fetch_curl_give_up(void);

/* A source over *curl, which must outlive it; may be shared by threads. */
struct fetch_source fetch_source_from_curl(struct fetch_curl *curl);

#endif
