/*
 * record.h - the DNS record of a key (RFC 6376 3.6.1): as it is to be published, and what the DNS
 * shows in its place. Pure functions; for the vault, and for commands that print records.
 */
#ifndef POSTERN_ROLES_VAULT_RECORD_H
#define POSTERN_ROLES_VAULT_RECORD_H

#include "auth/crypto.h"
#include "dns/dns.h"
#include "store/vault_keys.h"

/* "SELECTOR._domainkey.DOMAIN". {NULL,0}: the arena is full; also below. */
struct str key_record_name(struct arena *arena, struct str domain, struct str selector);
/* "v=DKIM1; k=rsa; p=..." */
struct str key_record_text(struct arena *arena, enum crypto_algorithm algorithm,
                           struct str public_key);
/*
 * The record in zone file form, on one or several lines, with a final line end: the text is cut
 * into strings of at most 255 octets (RFC 1035 3.3.14), which readers join without a gap.
 */
struct str key_record_zone(struct arena *arena, struct str name, struct str text);

/* What the DNS showed: `answer` is that to a TXT question for the record's name. *shown_out (in the
 * arena): the text of the first record, for people; empty when there was none. */
enum key_seen key_record_compare(struct arena *arena, enum crypto_algorithm algorithm,
                                 struct str public_key, const struct dns_answer *answer,
                                 struct str *shown_out);

#endif
