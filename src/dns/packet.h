/*
 * packet.h - reads a DNS message as it comes from a server or from libunbound: follows its CNAMEs
 * and gives the records that were asked for, with every compressed name written out (RFC 1035 4.1).
 *
 * The resolver role calls it; it trusts nothing and follows at most DNS_CNAME_MAX aliases and
 * DNS_POINTER_MAX compression pointers a name.
 */
#ifndef POSTERN_DNS_PACKET_H
#define POSTERN_DNS_PACKET_H

#include "dns/dns.h"

#define DNS_CNAME_MAX   16u
#define DNS_POINTER_MAX 128u

/*
 * The answer to (name, type) in `packet`: outcome, canonical name, TTL and records; security and
 * detail are left as they are in *answer_out. STATUS_SYNTAX: the packet is malformed, or it answers
 * another question; STATUS_LIMIT: more than DNS_RECORDS_MAX records, too many aliases, or the arena
 * is full. *answer_out is untouched on failure.
 */
[[nodiscard]] enum status dns_packet_answer(struct arena *arena, struct str packet, struct str name,
                                            uint16_t type, struct dns_answer *answer_out);

#endif
