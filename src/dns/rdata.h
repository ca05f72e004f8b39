/*
 * rdata.h - typed readers of the records in an answer, and writers for whoever makes answers.
 *
 * `rdata` is one element of struct dns_answer.records. The readers trust nothing: an octet missing
 * or left over is STATUS_SYNTAX. A caller that meets a broken record among good ones decides itself
 * whether to skip it.
 */
#ifndef POSTERN_DNS_RDATA_H
#define POSTERN_DNS_RDATA_H

#include "base/buf.h"
#include "dns/dns.h"
#include "dns/name.h"

/* Most character-strings of one TXT record that are read. */
#define DNS_TXT_STRINGS_MAX 1024u

struct dns_mx {
    uint16_t preference;
    struct str exchange; /* in the arena; empty: the root, a null MX (RFC 7505 3) */
};

/* RFC 6698 2.1; numbers as they are, also those that have no meaning. */
struct dns_tlsa {
    uint8_t usage;
    uint8_t selector;
    uint8_t matching;
    struct str data; /* borrowed from the record; not empty */
};

/* RFC 1035 3.3.13; what negative caching wants (RFC 2308). */
struct dns_soa {
    struct str primary;
    struct str mailbox;
    uint32_t serial;
    uint32_t minimum; /* seconds */
};

[[nodiscard]] enum status dns_rdata_a(struct str rdata, struct ip_address *ip_out);
[[nodiscard]] enum status dns_rdata_aaaa(struct str rdata, struct ip_address *ip_out);
/* A record that is a name: CNAME, NS, PTR. */
[[nodiscard]] enum status dns_rdata_name(struct arena *arena, struct str rdata,
                                         struct str *name_out);
[[nodiscard]] enum status dns_rdata_mx(struct arena *arena, struct str rdata,
                                       struct dns_mx *mx_out);
/* The character-strings of a TXT record joined without a gap (RFC 7208 3.3, RFC 6376 3.6.2.2). */
[[nodiscard]] enum status dns_rdata_txt(struct arena *arena, struct str rdata,
                                        struct str *text_out);
/* The same as they are: an array in the arena of texts borrowed from the record. */
[[nodiscard]] enum status dns_rdata_txt_strings(struct arena *arena, struct str rdata,
                                                const struct str **strings_out, size_t *count_out);
[[nodiscard]] enum status dns_rdata_tlsa(struct str rdata, struct dns_tlsa *tlsa_out);
[[nodiscard]] enum status dns_rdata_soa(struct arena *arena, struct str rdata,
                                        struct dns_soa *soa_out);

/*
 * The addresses of an answer to an A or AAAA question as an array in the arena; broken records are
 * left out. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status dns_answer_addresses(struct arena *arena, const struct dns_answer *answer,
                                               const struct ip_address **ips_out,
                                               size_t *count_out);

/* Writers: append one record's octets. STATUS_SYNTAX for a bad name, STATUS_LIMIT past a bound. */
[[nodiscard]] enum status dns_rdata_put_ip(struct buf *out, uint16_t type,
                                           const struct ip_address *ip);
[[nodiscard]] enum status dns_rdata_put_name(struct buf *out, struct str name);
[[nodiscard]] enum status dns_rdata_put_mx(struct buf *out, uint16_t preference,
                                           struct str exchange);
/* One character-string of a TXT record; longer than 255 octets is cut into several. */
[[nodiscard]] enum status dns_rdata_put_txt(struct buf *out, struct str text);
[[nodiscard]] enum status dns_rdata_put_tlsa(struct buf *out, const struct dns_tlsa *tlsa);

#endif
