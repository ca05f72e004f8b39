#include "fetch/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *ip;
    bool allowed;
} cases[] = {
    {"8.8.8.8", true},
    {"1.1.1.1", true},
    {"193.0.0.1", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"9.255.255.255", true},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.0", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"126.255.255.255", true},
    {"127.0.0.1", false},
    {"127.255.255.255", false},
    {"128.0.0.0", true},
    {"169.253.255.255", true},
    {"169.254.169.254", false},
    {"169.255.0.0", true},
    {"172.15.255.255", true},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"192.0.0.8", false},
    {"192.0.1.255", true},
    {"192.0.2.1", false},
    {"192.0.3.0", true},
    {"192.31.196.1", false},
    {"192.52.193.1", false},
    {"192.88.99.1", false},
    {"192.167.255.255", true},
    {"192.168.0.1", false},
    {"192.169.0.0", true},
    {"192.175.48.1", false},
    {"198.17.255.255", true},
    {"198.18.0.0", false},
    {"198.19.255.255", false},
    {"198.20.0.0", true},
    {"198.51.100.7", false},
    {"203.0.113.7", false},
    {"223.255.255.255", true},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::ffff:8.8.8.8", true}, /* the same as without */
    {"::ffff:10.0.0.1", false},
    {"::ffff:127.0.0.1", false},
    {"::", false},
    {"::1", false},
    {"::8.8.8.8", false}, /* compatible, gone since RFC 4291 */
    {"::127.0.0.1", false},
    {"::ffff:0:8.8.8.8", false}, /* translated, RFC 2765 */
    {"64:ff9b::8.8.8.8", true},
    {"64:ff9b::10.0.0.1", false},
    {"64:ff9b::127.0.0.1", false},
    {"64:ff9b::169.254.169.254", false},
    {"64:ff9b::1:8.8.8.8", false},
    {"64:ff9b:1::8.8.8.8", false},
    {"100::1", false},
    {"1fff:ffff::1", false},
    {"2000::1", true},
    {"2001:4860:4860::8888", true},
    {"2001::1", false},    /* Teredo */
    {"2001:2::1", false},  /* benchmarking */
    {"2001:10::1", false}, /* ORCHID */
    {"2001:1ff:ffff::1", false},
    {"2001:200::1", true},
    {"2001:db7:ffff::1", true},
    {"2001:db8::1", false},
    {"2001:db9::1", true},
    {"2002:808:808::1", false}, /* 6to4, of a public address too */
    {"2002:7f00:1::1", false},
    {"2003::1", true},
    {"2620:4f:8000::1", false},
    {"2a01:4f8::1", true},
    {"3ffe::1", true},
    {"3fff::1", false},
    {"3fff:1000::1", true},
    {"4000::1", false},
    {"5f00::1", false},
    {"fc00::1", false},
    {"fd12:3456::1", false},
    {"fe80::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
    {"ff0e::1", false},
};

static void
test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_address ip;
        assert_int_equal(ip_parse(str_from_cstr(cases[i].ip), &ip), STATUS_OK);
        if (fetch_address_allowed(&ip, NULL, 0) != cases[i].allowed) {
            fail_msg("%s is %s", cases[i].ip, cases[i].allowed ? "not allowed" : "allowed");
        }
    }
}

static void
test_networks_of_a_laboratory(void **state)
{
    static const struct {
        const char *ip;
        bool allowed;
    } lab[] = {
        {"127.0.0.1", true},
        {"127.1.0.0", false},
        {"10.0.0.1", false},
        {"::ffff:127.0.0.1", true},
        {"64:ff9b::127.0.0.1", true},
        {"fd00::1", true},
        {"fd01::1", false},
        {"8.8.8.8", true},
        {"::1", false},
        {"2001:4860:4860::8888", true},
    };
    struct ip_network also[2];
    (void)state;
    assert_int_equal(ip_network_parse(STR("127.0.0.0/16"), &also[0]), STATUS_OK);
    assert_int_equal(ip_network_parse(STR("fd00::/16"), &also[1]), STATUS_OK);
    for (size_t i = 0; i < sizeof lab / sizeof lab[0]; i++) {
        struct ip_address ip;
        assert_int_equal(ip_parse(str_from_cstr(lab[i].ip), &ip), STATUS_OK);
        if (fetch_address_allowed(&ip, also, 2) != lab[i].allowed) {
            fail_msg("%s is %s", lab[i].ip, lab[i].allowed ? "not allowed" : "allowed");
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_networks_of_a_laboratory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
