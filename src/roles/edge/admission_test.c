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

#define ENTRIES TALLY_ENTRIES_MIN

static struct tally *
new_table(void)
{
    int fd;
    assert_int_equal(tally_create(ENTRIES, 1, &fd), STATUS_OK);
    struct tally *tally = tally_open(fd, 1, 0);
    assert_non_null(tally);
    return tally;
}

static struct ip_address
ip_of(const char *text)
{
    struct ip_address ip;
    assert_int_equal(ip_parse(str_from_cstr(text), &ip), STATUS_OK);
    return ip;
}

static enum admission_verdict
enter(struct tally *tally, const struct admission_limits *limits, const char *text, int64_t now_ms,
      struct admission_place *place_out)
{
    struct ip_address ip = ip_of(text);
    return admission_enter(tally, limits, &ip, true, now_ms, place_out);
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
        {{3, 9, 9, 0, 0, 0, 0},
         {"192.0.2.1", "198.51.100.1", "203.0.113.1", "10.0.0.1", "192.0.2.1"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_OK, ADMISSION_CONNECTIONS, ADMISSION_CONNECTIONS}},
        {{9, 2, 9, 0, 0, 0, 0},
         {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_ADDRESS, ADMISSION_OK, ADMISSION_ADDRESS}},
        {{9, 9, 2, 0, 0, 0, 0},
         {"192.0.2.1", "192.0.2.200", "192.0.2.3", "192.0.3.3", "192.0.2.1"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_NETWORK, ADMISSION_OK, ADMISSION_NETWORK}},
        {{9, 9, 2, 0, 0, 0, 0},
         {"2001:db8:0:1::1", "2001:db8:0:ff::1", "2001:db8::1", "2001:db8:0:100::1",
          "2001:db8:0:fe::9"},
         {ADMISSION_OK, ADMISSION_OK, ADMISSION_NETWORK, ADMISSION_OK, ADMISSION_NETWORK}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tally *tally = new_table();
        for (size_t n = 0; n < 5; n++) {
            struct admission_place place;
            enum admission_verdict got =
                enter(tally, &rows[i].limits, rows[i].clients[n], 0, &place);
            if (got != rows[i].want[n]) {
                fail_msg("row %zu, connection %zu: got %d", i, n, got);
            }
        }
        tally_close(&tally);
    }
}

static void
leaving_makes_room(void **state)
{
    struct admission_limits limits = wide;
    struct tally *tally = new_table();
    struct admission_place place;
    struct admission_place other;
    (void)state;
    limits.connections_per_address = 1;
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &place), ADMISSION_OK);
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &other), ADMISSION_ADDRESS);
    admission_leave(tally, &place);
    admission_leave(tally, &place); /* an empty place */
    assert_int_equal(tally_total(tally), 0);
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &place), ADMISSION_OK);
    assert_int_equal(tally_total(tally), 1);
    tally_close(&tally);
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
        struct tally *tally = new_table();
        struct admission_place place;
        struct ip_address ip = ip_of("192.0.2.1");
        int64_t now = 5000000;
        *(rows[i].network ? &limits.connection_rate_per_network : &limits.connection_rate) = 6;
        for (int n = 0; n < 6; n++) {
            assert_int_equal(enter(tally, &limits, "192.0.2.1", now, &place), ADMISSION_OK);
            admission_leave(tally, &place);
        }
        for (int n = 0; n < 3; n++) { /* refused ones do not count */
            assert_int_equal(enter(tally, &limits, "192.0.2.1", now, &place), rows[i].want);
        }
        /* Another address, of the same network. */
        assert_int_equal(enter(tally, &limits, "192.0.2.9", now, &place),
                         rows[i].network ? ADMISSION_NETWORK_RATE : ADMISSION_OK);
        assert_int_equal(enter(tally, &limits, "192.0.3.9", now, &place), ADMISSION_OK);
        /* A zone without rates. */
        assert_int_equal(admission_enter(tally, &limits, &ip, false, now, &place), ADMISSION_OK);
        assert_int_equal(enter(tally, &limits, "192.0.2.1", now + 9999, &place), rows[i].want);
        assert_int_equal(enter(tally, &limits, "192.0.2.1", now + 10000, &place), ADMISSION_OK);
        assert_int_equal(enter(tally, &limits, "192.0.2.1", now + 10000, &place), rows[i].want);
        tally_close(&tally);
    }
}

static void
messages_are_limited(void **state)
{
    static const struct {
        bool network;
        enum admission_verdict want;
    } rows[] = {{false, ADMISSION_ADDRESS_MESSAGES}, {true, ADMISSION_NETWORK_MESSAGES}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct admission_limits limits = wide;
        struct tally *tally = new_table();
        struct admission_place place;
        struct admission_place neighbour;
        *(rows[i].network ? &limits.message_rate_per_network : &limits.message_rate) = 2;
        assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &place), ADMISSION_OK);
        assert_int_equal(enter(tally, &limits, "192.0.2.2", 0, &neighbour), ADMISSION_OK);
        assert_int_equal(admission_message(&limits, &place, 0), ADMISSION_OK);
        assert_int_equal(admission_message(&limits, &place, 0), ADMISSION_OK);
        assert_int_equal(admission_message(&limits, &place, 29999), rows[i].want);
        assert_int_equal(admission_message(&limits, &neighbour, 29999),
                         rows[i].network ? rows[i].want : ADMISSION_OK);
        assert_int_equal(admission_message(&limits, &place, 30000), ADMISSION_OK);
        assert_int_equal(admission_message(&limits, &place, 30000), rows[i].want);
        limits.message_rate = 0;
        limits.message_rate_per_network = 0;
        assert_int_equal(admission_message(&limits, &place, 30000), ADMISSION_OK);
        tally_close(&tally);
    }
}

/* Neither its rates nor its number count against it. */
static void
a_zone_without_limits_is_let_in(void **state)
{
    struct admission_limits limits = {.connections = 3,
                                      .connections_per_address = 1,
                                      .connections_per_network = 1,
                                      .connection_rate = 1};
    struct tally *tally = new_table();
    struct admission_place place;
    struct ip_address ip = ip_of("192.0.2.1");
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admission_enter(tally, &limits, &ip, false, 0, &place), ADMISSION_OK);
    }
    assert_int_equal(admission_enter(tally, &limits, &ip, false, 0, &place), ADMISSION_CONNECTIONS);
    tally_close(&tally);
}

/* Whoever is refused leaves nothing behind: no count, and no part of a rate. */
static void
refusals_give_back_what_they_took(void **state)
{
    static const struct {
        struct admission_limits limits;
        enum admission_verdict want;
    } rows[] = {
        {{1, 2, 2, 0, 0, 0, 0}, ADMISSION_CONNECTIONS},
        {{9, 2, 1, 0, 0, 0, 0}, ADMISSION_NETWORK},
        {{9, 1, 2, 0, 0, 0, 0}, ADMISSION_ADDRESS},
        {{9, 9, 9, 1, 0, 0, 0}, ADMISSION_ADDRESS_RATE},
        {{9, 9, 9, 0, 1, 0, 0}, ADMISSION_NETWORK_RATE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tally *tally = new_table();
        struct admission_limits counts = wide; /* then without rates */
        struct admission_place first;
        struct admission_place place;
        assert_int_equal(enter(tally, &rows[i].limits, "192.0.2.1", 0, &first), ADMISSION_OK);
        for (int n = 0; n < 20; n++) {
            assert_int_equal(enter(tally, &rows[i].limits, "192.0.2.1", 0, &place), rows[i].want);
        }
        assert_int_equal(tally_total(tally), 1);
        admission_leave(tally, &first);
        assert_int_equal(tally_total(tally), 0);
        counts.connections = 1;
        counts.connections_per_address = 1;
        counts.connections_per_network = 1;
        assert_int_equal(enter(tally, &counts, "192.0.2.1", 0, &first), ADMISSION_OK);
        admission_leave(tally, &first);
        tally_close(&tally);
    }
}

/* The rate of the network forbids it: that of the address has not been used. */
static void
a_rate_is_taken_of_both_or_none(void **state)
{
    struct admission_limits limits = wide;
    struct tally *tally = new_table();
    struct admission_place places[3];
    (void)state;
    limits.connection_rate = 2;
    limits.connection_rate_per_network = 2;
    limits.message_rate = 2;
    limits.message_rate_per_network = 2;
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &places[0]), ADMISSION_OK);
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &places[0]), ADMISSION_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter(tally, &limits, "192.0.2.2", 0, &places[1]), ADMISSION_NETWORK_RATE);
    }
    limits.connection_rate_per_network = 0;
    assert_int_equal(enter(tally, &limits, "192.0.2.2", 0, &places[1]), ADMISSION_OK);
    assert_int_equal(enter(tally, &limits, "192.0.2.2", 0, &places[1]), ADMISSION_OK);
    assert_int_equal(enter(tally, &limits, "192.0.2.2", 0, &places[2]), ADMISSION_ADDRESS_RATE);
    assert_int_equal(admission_message(&limits, &places[0], 0), ADMISSION_OK);
    assert_int_equal(admission_message(&limits, &places[0], 0), ADMISSION_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admission_message(&limits, &places[1], 0), ADMISSION_NETWORK_MESSAGES);
    }
    limits.message_rate_per_network = 0;
    assert_int_equal(admission_message(&limits, &places[1], 0), ADMISSION_OK);
    assert_int_equal(admission_message(&limits, &places[1], 0), ADMISSION_OK);
    assert_int_equal(admission_message(&limits, &places[1], 0), ADMISSION_ADDRESS_MESSAGES);
    tally_close(&tally);
}

/* Many strangers: the table stays bounded, and who is connected is not forgotten. */
static void
strangers_make_room_for_each_other(void **state)
{
    struct admission_limits limits = wide;
    struct tally *tally = new_table();
    struct admission_place guest;
    struct admission_place place;
    char text[64];
    (void)state;
    limits.connections_per_address = 1;
    limits.connection_rate = 1;
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 0, &guest), ADMISSION_OK);
    for (unsigned i = 0; i < 8 * ENTRIES; i++) {
        snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 8 & 0xffff, i << 8 & 0xff00);
        assert_int_equal(enter(tally, &limits, text, 1, &place), ADMISSION_OK);
        admission_leave(tally, &place);
    }
    assert_true(tally_entries(tally) <= ENTRIES);
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 100000, &place), ADMISSION_ADDRESS);
    admission_leave(tally, &guest);
    assert_int_equal(enter(tally, &limits, "192.0.2.1", 1000000, &place), ADMISSION_OK);
    tally_close(&tally);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_connections_are_limited),
        cmocka_unit_test(leaving_makes_room),
        cmocka_unit_test(rates_are_limited),
        cmocka_unit_test(messages_are_limited),
        cmocka_unit_test(a_zone_without_limits_is_let_in),
        cmocka_unit_test(refusals_give_back_what_they_took),
        cmocka_unit_test(a_rate_is_taken_of_both_or_none),
        cmocka_unit_test(strangers_make_room_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
