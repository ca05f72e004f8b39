/*
 * address.h - the addresses that a page may be fetched from.
 *
 * Who publishes a policy chooses where Postern connects to. Without this a stranger's DNS would
 * reach servers behind the firewall, on this machine, or in the cloud's own network (169.254/16).
 * Only addresses of the public internet are allowed, and the networks that the administrator names.
 */
#ifndef POSTERN_FETCH_ADDRESS_H
#define POSTERN_FETCH_ADDRESS_H

#include "base/ip.h"

/*
 * Whether `ip` may be connected to. Not allowed: private, shared (RFC 6598), loopback, link-local,
 * unique local, multicast, documentation, benchmarking and reserved addresses (RFC 6890 and IANA's
 * registries), 6to4 and Teredo, and an IPv4 address behind NAT64 (64:ff9b::/96) that is not allowed
 * itself. `also` are networks that are allowed nonetheless; NULL where there are none. An IPv4
 * address in mapped form is the same as that IPv4 address.
 */
bool fetch_address_allowed(const struct ip_address *ip, const struct ip_network *also,
                           size_t also_count);

#endif
