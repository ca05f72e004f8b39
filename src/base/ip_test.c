#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ip.h"

static void
test_parse_and_format(void **state)
{
    static const struct {
        struct str text;
        const char *want; /* NULL: not an address */
    } cases[] = {
        {STR_INIT("192.0.2.1"), "192.0.2.1"},
        {STR_INIT("::ffff:192.0.2.1"), "192.0.2.1"},
        {STR_INIT("2001:DB8:0:0::1"), "2001:db8::1"},
        {STR_INIT("::"), "::"},
        {STR_INIT("192.0.2"), NULL},
        {STR_INIT("192.0.2.256"), NULL},
        {STR_INIT("192.0.2.1 "), NULL},
        {STR_INIT("192.0.2.1\0"), NULL},
        {STR_INIT("fe80::1%eth0"), NULL},
        {STR_INIT(""), NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_address ip;
        char text[IP_TEXT_MAX];
        enum status status = ip_parse(cases[i].text, &ip);
        assert_int_equal(status, cases[i].want != NULL ? STATUS_OK : STATUS_SYNTAX);
        if (status == STATUS_OK) {
            assert_string_equal(ip_format(&ip, text), cases[i].want);
        }
    }
}

/* Every octet, in every place, as the C library has it. */
static void
test_v4_text(void **state)
{
    (void)state;
    for (unsigned place = 12; place < 16; place++) {
        for (unsigned octet = 0; octet < 256; octet++) {
            struct ip_address ip;
            char got[IP_TEXT_MAX];
            char want[IP_TEXT_MAX];
            assert_int_equal(ip_parse(STR("0.10.200.99"), &ip), STATUS_OK);
            ip.octets[place] = (uint8_t)octet;
            assert_non_null(inet_ntop(AF_INET, ip.octets + 12, want, sizeof want));
            assert_string_equal(ip_format(&ip, got), want);
        }
    }
}

static void
test_networks(void **state)
{
    static const struct {
        struct str network;
        struct str ip;
        int want; /* -1: not a network */
    } cases[] = {
        {STR_INIT("192.0.2.0/24"), STR_INIT("192.0.2.255"), 1},
        {STR_INIT("192.0.2.0/24"), STR_INIT("192.0.3.0"), 0},
        {STR_INIT("192.0.2.7"), STR_INIT("192.0.2.7"), 1},
        {STR_INIT("192.0.2.7"), STR_INIT("192.0.2.6"), 0},
        {STR_INIT("0.0.0.0/0"), STR_INIT("203.0.113.9"), 1},
        {STR_INIT("0.0.0.0/0"), STR_INIT("2001:db8::1"), 0},
        {STR_INIT("2001:db8::/33"), STR_INIT("2001:db8:7fff::1"), 1},
        {STR_INIT("2001:db8::/33"), STR_INIT("2001:db8:8000::1"), 0},
        {STR_INIT("192.0.2.1/24"), STR_INIT("192.0.2.1"), -1}, /* host bits */
        {STR_INIT("192.0.2.0/33"), STR_INIT("192.0.2.1"), -1},
        {STR_INIT("192.0.2.0/"), STR_INIT("192.0.2.1"), -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_network network;
        struct ip_address ip;
        assert_int_equal(ip_parse(cases[i].ip, &ip), STATUS_OK);
        enum status status = ip_network_parse(cases[i].network, &network);
        assert_int_equal(status, cases[i].want < 0 ? STATUS_SYNTAX : STATUS_OK);
        if (status == STATUS_OK) {
            assert_int_equal(ip_network_contains(&network, &ip), cases[i].want);
        }
    }
}

static void
test_network_of_and_sockaddr(void **state)
{
    struct ip_address a;
    struct ip_address b;
    struct sockaddr_storage sa;
    uint16_t port = 0;
    (void)state;
    assert_int_equal(ip_parse(STR("198.51.100.200"), &a), STATUS_OK);
    struct ip_network network = ip_network_of(&a, 24, 56);
    assert_int_equal(ip_parse(STR("198.51.100.1"), &b), STATUS_OK);
    assert_true(ip_network_contains(&network, &b));
    ip_to_sockaddr(&a, 25, &sa);
    assert_int_equal(ip_from_sockaddr((const struct sockaddr *)&sa, &b, &port), STATUS_OK);
    assert_true(ip_eq(&a, &b));
    assert_int_equal(port, 25);
    assert_false(ip_is_loopback(&a));
    assert_int_equal(ip_parse(STR("127.0.53.1"), &a), STATUS_OK);
    assert_true(ip_is_loopback(&a));
    assert_int_equal(ip_parse(STR("::1"), &a), STATUS_OK);
    assert_true(ip_is_loopback(&a));
    ip_to_sockaddr(&a, 1, &sa);
    assert_int_equal(sa.ss_family, AF_INET6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_v4_text),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_network_of_and_sockaddr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
