/*
 * url.h - the URLs that are fetched: https, a host name, perhaps a port, a path, perhaps a query.
 *
 * Far narrower than RFC 3986, since each thing beyond is a way to make two programs read one text
 * differently: no user, no address in place of a name, no fragment, no octet that would have to be
 * escaped, no "." and ".." in the path. libcurl gets a URL that is put together anew of the parts.
 */
#ifndef POSTERN_FETCH_URL_H
#define POSTERN_FETCH_URL_H

#include <stdint.h>

#include "base/str.h"

/* Longest URL, in octets. */
#define FETCH_URL_MAX 2048u

/* The parts; borrowed from the text. */
struct fetch_url {
    struct str host;   /* letters, digits, hyphens and dots, as written */
    uint16_t port;     /* 0: none is written */
    struct str target; /* path and query, "/" at least */
};

/*
 * Reads a whole text. STATUS_SYNTAX when it is not such a URL, STATUS_LIMIT above FETCH_URL_MAX;
 * *url_out is untouched then.
 */
[[nodiscard]] enum status fetch_url_parse(struct str text, struct fetch_url *url_out);

#endif
