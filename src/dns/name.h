/*
 * name.h - domain names: presentation form, wire form, comparison (RFC 1035 2.3, 3.1, 5.1).
 *
 * The presentation form used everywhere: labels with dots between, no final dot, the root empty;
 * octets that are not printable ASCII as "\DDD", dots and backslashes within a label as "\." and
 * "\\". The normal form has ASCII letters in lower case besides. Names are compared without regard
 * to letter case (RFC 4343).
 */
#ifndef POSTERN_DNS_NAME_H
#define POSTERN_DNS_NAME_H

#include "base/arena.h"
#include "base/ip.h"

/* Octets of a name in wire form, its labels' lengths and the root counted; of a label. */
#define DNS_NAME_WIRE_MAX  255u
#define DNS_LABEL_MAX      63u
/* Longest presentation form: every octet of a longest name escaped. */
#define DNS_NAME_TEXT_MAX  1008u
/* Most labels of a name, the root not counted. */
#define DNS_NAME_LABEL_MAX 127u

/* A name in wire form. */
struct dns_wire_name {
    uint8_t octets[DNS_NAME_WIRE_MAX];
    size_t n;
};

/*
 * The wire form of a name; a final dot is allowed. STATUS_SYNTAX: an empty label, a bad escape, an
 * octet that is not printable ASCII; STATUS_LIMIT: a label or the name is too long.
 */
[[nodiscard]] enum status dns_name_to_wire(struct str name, struct dns_wire_name *wire_out);

/*
 * Reads a name in wire form at the head of `wire`: its presentation form in the arena, letter case
 * kept, and in *rest_out what follows it. STATUS_SYNTAX: cut short, or compressed (a pointer is
 * never valid here); STATUS_LIMIT: too long, or the arena is full.
 */
[[nodiscard]] enum status dns_name_from_wire(struct arena *arena, struct str wire,
                                             struct str *name_out, struct str *rest_out);

/* The normal form, lower case and without a final dot. Errors as for dns_name_to_wire. */
[[nodiscard]] enum status dns_name_normalize(struct arena *arena, struct str name,
                                             struct str *name_out);

/*
 * True when it is a name in the form in which the resolver is asked: without a final dot, which a
 * last label that ends in an escaped dot ("a\.") is not. Whatever dns_name_normalize and
 * dns_name_from_wire give is.
 */
bool dns_name_is_question(struct str name);

/* The same name; a final dot does not count. Both are presentation forms. */
bool dns_name_eq(struct str a, struct str b);
/* True when `name` is `ancestor` or below it. Everything is below the root. */
bool dns_name_is_within(struct str name, struct str ancestor);
/*
 * True when it can be the name of a host that mail is sent to: letters, digits, hyphens and (seen
 * in practice) underscores in each label, no label with a hyphen at an end, not empty.
 */
bool dns_name_is_host(struct str name);

/* "1.2.0.192.in-addr.arpa" or the nibbles below ip6.arpa (RFC 3596 2.5). {NULL,0}: arena full. */
struct str dns_name_reverse(struct arena *arena, const struct ip_address *ip);

#endif
