#include "tls/ticket.h"

#include <stdbool.h>
#include <string.h>

#include "base/random.h"

static void
ticket_key_make(struct tls_ticket_key *key, int64_t now_ms)
{
    random_bytes(key->name, sizeof key->name);
    random_bytes(key->cipher_key, sizeof key->cipher_key);
    random_bytes(key->mac_key, sizeof key->mac_key);
    key->made_ms = now_ms;
}

void
tls_ticket_ring_init(struct tls_ticket_ring *ring, int64_t lifetime_ms, int64_t now_ms)
{
    *ring = (struct tls_ticket_ring){.lifetime_ms = lifetime_ms};
    ticket_key_make(&ring->current, now_ms);
}

void
tls_ticket_ring_fini(struct tls_ticket_ring *ring)
{
    explicit_bzero(ring, sizeof *ring);
}

const struct tls_ticket_key *
tls_ticket_ring_seal(struct tls_ticket_ring *ring, int64_t now_ms)
{
    if (now_ms - ring->current.made_ms >= ring->lifetime_ms) {
        ring->previous = ring->current;
        ticket_key_make(&ring->current, now_ms);
    }
    return &ring->current;
}

enum tls_ticket_use
tls_ticket_ring_open(const struct tls_ticket_ring *ring,
                     const unsigned char name[static TLS_TICKET_NAME_SIZE], int64_t now_ms,
                     const struct tls_ticket_key **key_out)
{
    const struct tls_ticket_key *keys[] = {&ring->current, &ring->previous};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct tls_ticket_key *key = keys[i];
        int64_t age = now_ms - key->made_ms;
        /* A key seals for one lifetime, and its last ticket lives one more. */
        bool live = key->made_ms != 0 && age < 2 * ring->lifetime_ms;
        if (live && memcmp(key->name, name, sizeof key->name) == 0) {
            *key_out = key;
            return age < ring->lifetime_ms ? TLS_TICKET_FRESH : TLS_TICKET_RENEW;
        }
    }
    return TLS_TICKET_UNKNOWN;
}
