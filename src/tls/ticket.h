/*
 * ticket.h - the keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1).
 *
 * Each TLS server context has its own ring: a ticket of one listener opens at no other, and not
 * after a reload. Keys change with the lifetime of a ticket, so that a stolen key opens no older
 * traffic; the one before is kept as long as its tickets live. They never leave the process: a
 * ticket from another edge process means a full handshake, nothing worse.
 */
#ifndef POSTERN_TLS_TICKET_H
#define POSTERN_TLS_TICKET_H

#include <stddef.h>
#include <stdint.h>

#define TLS_TICKET_NAME_SIZE 16
#define TLS_TICKET_KEY_SIZE  32

struct tls_ticket_key {
    unsigned char name[TLS_TICKET_NAME_SIZE]; /* in the clear at the head of a ticket */
    unsigned char cipher_key[TLS_TICKET_KEY_SIZE];
    unsigned char mac_key[TLS_TICKET_KEY_SIZE];
    int64_t made_ms; /* monotonic clock */
};

struct tls_ticket_ring {
    struct tls_ticket_key current;
    struct tls_ticket_key previous; /* made_ms 0: there is none */
    int64_t lifetime_ms;
};

enum tls_ticket_use {
    TLS_TICKET_UNKNOWN, /* of somebody else, or too old: a full handshake */
    TLS_TICKET_FRESH,
    TLS_TICKET_RENEW, /* opens, but give the client a new one */
};

void tls_ticket_ring_init(struct tls_ticket_ring *ring, int64_t lifetime_ms, int64_t now_ms);
/* Wipes the keys. */
void tls_ticket_ring_fini(struct tls_ticket_ring *ring);
/* The key to seal with; makes a new one when the current is older than a ticket's life. */
const struct tls_ticket_key *tls_ticket_ring_seal(struct tls_ticket_ring *ring, int64_t now_ms);
/* The key of that name in *key_out (untouched when UNKNOWN). */
enum tls_ticket_use tls_ticket_ring_open(const struct tls_ticket_ring *ring,
                                         const unsigned char name[static TLS_TICKET_NAME_SIZE],
                                         int64_t now_ms, const struct tls_ticket_key **key_out);

#endif
