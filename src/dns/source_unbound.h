/*
 * source_unbound.h - a DNS source of a process's own: for commands, which look at the DNS as the
 * gateway would without needing one that runs. The roles ask the resolver role instead.
 *
 * It has its own cache, asks in threads of its own and waits; trust anchors are those of the
 * configuration, or the root's that are part of the program.
 */
#ifndef POSTERN_DNS_SOURCE_UNBOUND_H
#define POSTERN_DNS_SOURCE_UNBOUND_H

#include "config/config.h"
#include "dns/dns.h"

struct dns_unbound;

/*
 * `settings` is borrowed and must outlive it. NULL, with the reason in the log, when libunbound
 * refuses them or a file of trust anchors cannot be used.
 */
[[nodiscard]] struct dns_unbound *dns_unbound_create(const struct config_resolver *settings);
/* Sets *unbound to NULL. NULL is allowed. */
void dns_unbound_destroy(struct dns_unbound **unbound);

/*
 * A source over it; one thread at a time. What takes longer than resolver.timeout_ms is a time-out.
 */
struct dns_source dns_source_from_unbound(struct dns_unbound *unbound);

#endif
