#include "roles/edge/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct admission_limits wide = {
    .connections = 1000000,
    .connections_per_address = 1000000,
    .connections_per_network = 1000000,
};

static struct ip_address
ip_of(const char *text)
{
    struct ip_address ip;
    assert_int_equal(ip_parse(str_from_cstr(text), &ip), STATUS_OK);
    return ip;
}

static enum admission_verdict
enter(struct admission *admission, const struct admission_limits *limits, const char *text,
      int64_t now_ms, struct admission_place *place_out)
{
    struct ip_address ip = ip_of(text);
    return admission_enter(admission, limits, &ip, true, now_ms, place_out);
}

/* Connections come one after the other and stay. */
static void
open_connections_are_limited(void **state)
{
    static const struct {
        struct admission_limits limits;
        const char *clients[5];
        enum admission_verdict want[5];
    } rows[] = {
        {{3, 9, 9, 0, 0, 0},
         {"192.0.2.1", "198.51.100.1", "203.0.113.1", "10.0.0.1", "192.0.2.1"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_OK, ADMISSION_CONNECTIONS, ADMISSION_CONNECTIONS}},
        {{9, 2, 9, 0, 0, 0},
         {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_ADDRESS, ADMISSION_OK, ADMISSION_ADDRESS}},
        {{9, 9, 2, 0, 0, 0},
         {"192.0.2.1", "192.0.2.200", "192.0.2.3", "192.0.3.3", "192.0.2.1"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_NETWORK, ADMISSION_OK, ADMISSION_NETWORK}},
        {{9, 9, 2, 0, 0, 0},
         {"2001:db8:0:1::1", "2001:db8:0:ff::1", "2001:db8::1", "2001:db8:0:100::1",
          "2001:db8:0:fe::9"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_NETWORK, ADMISSION_OK, ADMISSION_NETWORK}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct admission *admission = admission_create();
        for (size_t n = 0; n < 5; n++) {
            struct admission_place place;
            enum admission_verdict got =
                enter(admission, &rows[i].limits, rows[i].clients[n], 0, &place);
            if (got != rows[i].want[n]) {
                fail_msg("row %zu, connection %zu: got %d", i, n, got);
            }
        }
        admission_destroy(&admission);
    }
}

static void
leaving_makes_room(void **state)
{
    struct admission_limits limits = wide;
    struct admission *admission = admission_create();
    struct admission_place place;
    struct admission_place other;
    (void)state;
    limits.connections_per_address = 1;
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 0, &place), ADMISSION_OK);
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 0, &other), ADMISSION_ADDRESS);
    admission_leave(admission, &place);
    admission_leave(admission, &place); /* an empty place */
    assert_int_equal(admission_open(admission), 0);
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 0, &place), ADMISSION_OK);
    assert_int_equal(admission_open(admission), 1);
    admission_destroy(&admission);
}

/* A minute's worth may come at once; then it is one each time its share of the minute is over. */
static void
rates_are_limited(void **state)
{
    static const struct {
        bool network;
        enum admission_verdict want;
    } rows[] = {{false, ADMISSION_ADDRESS_RATE}, {true, ADMISSION_NETWORK_RATE}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct admission_limits limits = wide;
        struct admission *admission = admission_create();
        struct admission_place place;
        struct ip_address ip = ip_of("192.0.2.1");
        int64_t now = 5000000;
        *(rows[i].network ? &limits.connection_rate_per_network : &limits.connection_rate) = 6;
        for (int n = 0; n < 6; n++) {
            assert_int_equal(enter(admission, &limits, "192.0.2.1", now, &place), ADMISSION_OK);
            admission_leave(admission, &place);
        }
        for (int n = 0; n < 3; n++) { /* refused ones do not count */
            assert_int_equal(enter(admission, &limits, "192.0.2.1", now, &place), rows[i].want);
        }
        /* Another address, of the same network. */
        assert_int_equal(enter(admission, &limits, "192.0.2.9", now, &place),
                         rows[i].network ? ADMISSION_NETWORK_RATE : ADMISSION_OK);
        assert_int_equal(enter(admission, &limits, "192.0.3.9", now, &place), ADMISSION_OK);
        /* A zone without rates. */
        assert_int_equal(admission_enter(admission, &limits, &ip, false, now, &place),
                         ADMISSION_OK);
        assert_int_equal(enter(admission, &limits, "192.0.2.1", now + 9999, &place), rows[i].want);
        assert_int_equal(enter(admission, &limits, "192.0.2.1", now + 10000, &place), ADMISSION_OK);
        assert_int_equal(enter(admission, &limits, "192.0.2.1", now + 10000, &place), rows[i].want);
        admission_destroy(&admission);
    }
}

static void
messages_are_limited(void **state)
{
    struct admission_limits limits = wide;
    struct admission *admission = admission_create();
    struct admission_place place;
    (void)state;
    limits.message_rate = 2;
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 0, &place), ADMISSION_OK);
    assert_true(admission_message(&limits, &place, 0));
    assert_true(admission_message(&limits, &place, 0));
    assert_false(admission_message(&limits, &place, 29999));
    assert_true(admission_message(&limits, &place, 30000));
    assert_false(admission_message(&limits, &place, 30000));
    limits.message_rate = 0;
    assert_true(admission_message(&limits, &place, 30000));
    admission_destroy(&admission);
}

/* Many strangers: the table stays bounded, and who is connected is not forgotten. */
static void
strangers_make_room_for_each_other(void **state)
{
    struct admission_limits limits = wide;
    struct admission *admission = admission_create();
    struct admission_place guest;
    struct admission_place place;
    char text[64];
    (void)state;
    limits.connections_per_address = 1;
    limits.connection_rate = 1;
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 0, &guest), ADMISSION_OK);
    for (unsigned i = 0; i < ADMISSION_ENTRIES_MAX; i++) {
        snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 8 & 0xffff, i << 8 & 0xff00);
        assert_int_equal(enter(admission, &limits, text, 1, &place), ADMISSION_OK);
        admission_leave(admission, &place);
    }
    assert_true(admission_entries(admission) <= ADMISSION_ENTRIES_MAX);
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 100000, &place), ADMISSION_ADDRESS);
    /* When their rates are at rest, entries go as new ones come. */
    size_t before = admission_entries(admission);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "10.%u.%u.1", i >> 8, i & 0xff);
        assert_int_equal(enter(admission, &limits, text, 1000000, &place), ADMISSION_OK);
        admission_leave(admission, &place);
    }
    assert_true(admission_entries(admission) <= before);
    admission_leave(admission, &guest);
    assert_int_equal(enter(admission, &limits, "192.0.2.1", 1000000, &place), ADMISSION_OK);
    admission_destroy(&admission);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_connections_are_limited),
        cmocka_unit_test(leaving_makes_room),
        cmocka_unit_test(rates_are_limited),
        cmocka_unit_test(messages_are_limited),
        cmocka_unit_test(strangers_make_room_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
