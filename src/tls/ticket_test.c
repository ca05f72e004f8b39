#include "tls/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LIFETIME 1000

static void
keys_are_changed_and_forgotten(void **state)
{
    static const struct {
        int64_t age_ms; /* of the key that sealed, when the ticket comes back */
        enum tls_ticket_use want;
    } rows[] = {
        {0, TLS_TICKET_FRESH},
        {LIFETIME - 1, TLS_TICKET_FRESH},
        {LIFETIME, TLS_TICKET_RENEW},
        {2 * LIFETIME - 1, TLS_TICKET_RENEW},
        {2 * LIFETIME, TLS_TICKET_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_ticket_ring ring;
        const struct tls_ticket_key *key = NULL;
        int64_t now = 5000;
        tls_ticket_ring_init(&ring, LIFETIME, now);
        struct tls_ticket_key sealed = *tls_ticket_ring_seal(&ring, now);
        now += rows[i].age_ms;
        if (rows[i].age_ms >= LIFETIME) {
            const struct tls_ticket_key *fresh = tls_ticket_ring_seal(&ring, now);
            assert_memory_not_equal(fresh->name, sealed.name, sizeof sealed.name);
            assert_memory_not_equal(fresh->cipher_key, sealed.cipher_key, sizeof sealed.cipher_key);
        }
        assert_int_equal(tls_ticket_ring_open(&ring, sealed.name, now, &key), rows[i].want);
        if (rows[i].want == TLS_TICKET_UNKNOWN) {
            assert_null(key);
        } else {
            assert_memory_equal(key->mac_key, sealed.mac_key, sizeof sealed.mac_key);
        }
        tls_ticket_ring_fini(&ring);
    }
}

static void
another_ring_knows_nothing(void **state)
{
    struct tls_ticket_ring mine;
    struct tls_ticket_ring other;
    const struct tls_ticket_key *key = NULL;
    static const unsigned char zeros[TLS_TICKET_NAME_SIZE];
    (void)state;
    tls_ticket_ring_init(&mine, LIFETIME, 1);
    tls_ticket_ring_init(&other, LIFETIME, 1);
    const unsigned char *name = tls_ticket_ring_seal(&mine, 1)->name;
    assert_int_equal(tls_ticket_ring_open(&other, name, 1, &key), TLS_TICKET_UNKNOWN);
    /* The place of the previous key is empty at first and must open nothing. */
    assert_int_equal(tls_ticket_ring_open(&mine, zeros, 1, &key), TLS_TICKET_UNKNOWN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_changed_and_forgotten),
        cmocka_unit_test(another_ring_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
