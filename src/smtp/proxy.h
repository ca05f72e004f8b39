/*
 * proxy.h - the PROXY protocol, versions 1 and 2: who the client behind a load balancer is.
 *
 * HAProxy's specification of 2020-03-05. The header comes before anything else on a connection and
 * is believed only from the networks that the listener names: whoever may send one may claim any
 * address. So the reading is strict: exactly the two forms of the specification, TCP only, and
 * every length and checksum right. Pure: octets in, facts out.
 */
#ifndef POSTERN_SMTP_PROXY_H
#define POSTERN_SMTP_PROXY_H

#include "base/ip.h"

/* "PROXY UNKNOWN ffff:...:ffff ffff:...:ffff 65535 65535\r\n", the longest line of version 1. */
#define SMTP_PROXY_V1_MAX 107u
/* Version 2 may announce up to 64 KiB; real headers with all their TLVs stay far below this. */
#define SMTP_PROXY_V2_MAX 2048u

struct smtp_proxy {
    /*
     * The proxy speaks for itself (version 2 LOCAL, a health check) or does not know (UNKNOWN,
     * UNSPEC): the addresses of the connection itself count, and those below are zero.
     */
    bool local;
    struct ip_address source;
    struct ip_address destination;
    uint16_t source_port;
    uint16_t destination_port;
};

/*
 * Reads a header at the beginning of input. STATUS_OK: *used_out octets were the header; what
 * follows is the client's. STATUS_AGAIN: so far it can still become one, read more. STATUS_SYNTAX:
 * it is none. STATUS_LIMIT: longer than the bounds above.
 */
[[nodiscard]] enum status smtp_proxy_parse(struct str input, struct smtp_proxy *proxy_out,
                                           size_t *used_out);

/* True when input begins like a header of either version; for refusing those nobody asked for. */
bool smtp_proxy_is_header(struct str input);

#endif
