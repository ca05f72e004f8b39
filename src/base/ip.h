/*
 * ip.h - IP addresses and networks, both families in one 16-octet form.
 *
 * An IPv4 address is kept as ::ffff:a.b.c.d, so that one comparison serves both families; a peer
 * that arrives IPv4-mapped on an IPv6 socket is the same as over IPv4.
 */
#ifndef POSTERN_BASE_IP_H
#define POSTERN_BASE_IP_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

struct ip_address {
    uint8_t octets[16];
};

struct ip_network {
    struct ip_address base; /* host bits are zero */
    unsigned prefix;        /* 0 to 128, counted in the 16-octet form */
};

/* Longest text of an address with its NUL ("ffff:...:255.255.255.255"). */
#define IP_TEXT_MAX 46

/* IPv4, that is in the block of mapped addresses. */
bool ip_is_v4(const struct ip_address *ip);
bool ip_eq(const struct ip_address *a, const struct ip_address *b);
bool ip_is_loopback(const struct ip_address *ip);
/* "192.0.2.1" or "2001:db8::1"; nothing else. STATUS_SYNTAX otherwise. */
[[nodiscard]] enum status ip_parse(struct str s, struct ip_address *out);
/* Writes the canonical text (RFC 5952 for IPv6) and returns out. */
const char *ip_format(const struct ip_address *ip, char out[static IP_TEXT_MAX]);

/* "192.0.2.0/24", "2001:db8::/32" or one address. Host bits that are set: STATUS_SYNTAX. */
[[nodiscard]] enum status ip_network_parse(struct str s, struct ip_network *out);
bool ip_network_contains(const struct ip_network *network, const struct ip_address *ip);
/*
 * The network of an address with v4_prefix (0..32) or v6_prefix (0..128) bits kept: what rates
 * are counted by (/24 and /56).
 */
struct ip_network ip_network_of(const struct ip_address *ip, unsigned v4_prefix,
                                unsigned v6_prefix);

/* From and to the system's form. ip_from_sockaddr: STATUS_SYNTAX for other families. */
[[nodiscard]] enum status ip_from_sockaddr(const struct sockaddr *sa, struct ip_address *out,
                                           uint16_t *port_out);
/* Fills *out for connect(2) or bind(2) and returns its length. */
socklen_t ip_to_sockaddr(const struct ip_address *ip, uint16_t port, struct sockaddr_storage *out);

#endif
