/*
 * self_signed.h - a certificate that vouches for itself, so that a first trial has TLS.
 *
 * The parent makes one on the first start when the configuration names no certificate. It gives
 * encryption without proof of identity, which is what opportunistic SMTP expects of a peer; mail
 * clients will warn.
 */
#ifndef POSTERN_TLS_SELF_SIGNED_H
#define POSTERN_TLS_SELF_SIGNED_H

#include "base/arena.h"
#include "tls/library.h"

/* How long it is good for. Postern makes the next one by itself, so it need not be long. */
#define TLS_SELF_SIGNED_DAYS 397

/*
 * Makes a P-256 key and a certificate for `hostname` (a DNS name, or an IP address in text) that is
 * valid from a day before wall_ms on. Both PEM texts live in the arena, the key too: use
 * arena_destroy_wiped. STATUS_SYNTAX when the host name cannot be in a certificate, STATUS_LIMIT
 * past the arena's ceiling (8 KiB is ample), STATUS_IO when the library fails.
 */
[[nodiscard]] enum status tls_self_signed_create(struct arena *arena, struct str hostname,
                                                 int64_t wall_ms, struct str *certificate_pem_out,
                                                 struct str *key_pem_out);

#endif
