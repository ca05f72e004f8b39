#include "dns/rdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int
setup(void **state)
{
    *state = arena_create(1 << 20);
    return 0;
}

static int
teardown(void **state)
{
    struct arena *arena = *state;
    arena_destroy(&arena);
    return 0;
}

static void
test_addresses(void **state)
{
    struct arena *arena = *state;
    const struct str records[] = {STR("\300\0\2\1"), STR("bad"),
                                  STR("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")};
    struct dns_answer answer = {.records = records, .record_count = 3};
    const struct ip_address *ips;
    size_t count;
    char text[IP_TEXT_MAX];
    struct ip_address ip;
    assert_int_equal(dns_answer_addresses(arena, &answer, &ips, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(ip_format(&ips[0], text), "192.0.2.1");
    assert_string_equal(ip_format(&ips[1], text), "2001:db8::1");
    assert_int_equal(dns_rdata_a(records[2], &ip), STATUS_SYNTAX);
    assert_int_equal(dns_rdata_aaaa(records[0], &ip), STATUS_SYNTAX);
}

static void
test_mx(void **state)
{
    struct arena *arena = *state;
    struct dns_mx mx = {0};
    assert_int_equal(dns_rdata_mx(arena, STR("\1\2\2mx\7example\0"), &mx), STATUS_OK);
    assert_int_equal(mx.preference, 258);
    assert_string_equal(mx.exchange.p, "mx.example");
    assert_int_equal(dns_rdata_mx(arena, STR("\0\0\0"), &mx), STATUS_OK);
    assert_int_equal(mx.exchange.n, 0);
    assert_int_equal(dns_rdata_mx(arena, STR("\0\1\2mx\0x"), &mx), STATUS_SYNTAX);
    assert_int_equal(dns_rdata_mx(arena, STR("\0"), &mx), STATUS_SYNTAX);
    assert_int_equal(dns_rdata_mx(arena, STR("\0\1"), &mx), STATUS_SYNTAX);
}

static void
test_txt(void **state)
{
    struct arena *arena = *state;
    struct str text;
    const struct str *strings;
    size_t count;
    assert_int_equal(dns_rdata_txt(arena, STR("\3v=s\0\4pf1 "), &text), STATUS_OK);
    assert_true(str_eq(text, STR("v=spf1 ")));
    assert_int_equal(dns_rdata_txt_strings(arena, STR("\3v=s\0\4pf1 "), &strings, &count),
                     STATUS_OK);
    assert_int_equal(count, 3);
    assert_true(str_eq(strings[2], STR("pf1 ")));
    assert_int_equal(dns_rdata_txt(arena, STR("\4abc"), &text), STATUS_SYNTAX);
    assert_int_equal(dns_rdata_txt_strings(arena, STR("\1a\1"), &strings, &count), STATUS_SYNTAX);
    char many[DNS_TXT_STRINGS_MAX + 1] = {0};
    assert_int_equal(dns_rdata_txt_strings(arena, str_make(many, sizeof many), &strings, &count),
                     STATUS_LIMIT);
}

static void
test_txt_longer_than_a_string(void **state)
{
    char text[300];
    struct buf out;
    struct str read;
    memset(text, 'x', sizeof text);
    buf_init(&out, 1024);
    assert_int_equal(dns_rdata_put_txt(&out, str_make(text, sizeof text)), STATUS_OK);
    assert_int_equal(buf_length(&out), 302);
    assert_int_equal(dns_rdata_txt(*state, buf_str(&out), &read), STATUS_OK);
    assert_true(str_eq(read, str_make(text, sizeof text)));
    buf_free(&out);
}

static void
test_tlsa(void **state)
{
    struct dns_tlsa tlsa;
    (void)state;
    assert_int_equal(dns_rdata_tlsa(STR("\3\1\1\xab\xcd"), &tlsa), STATUS_OK);
    assert_int_equal(tlsa.usage, 3);
    assert_int_equal(tlsa.selector, 1);
    assert_int_equal(tlsa.matching, 1);
    assert_true(str_eq(tlsa.data, STR("\xab\xcd")));
    assert_int_equal(dns_rdata_tlsa(STR("\3\1\1"), &tlsa), STATUS_SYNTAX);
}

static void
test_soa(void **state)
{
    static const struct str rdata =
        STR_INIT("\2ns\0\1h\0\0\0\0\7\0\0\0\1\0\0\0\2\0\0\0\3\0\0\16\20");
    struct dns_soa soa;
    assert_int_equal(dns_rdata_soa(*state, rdata, &soa), STATUS_OK);
    assert_int_equal(soa.serial, 7);
    assert_int_equal(soa.minimum, 3600);
    for (size_t n = 0; n < rdata.n; n++) {
        assert_int_equal(dns_rdata_soa(*state, str_head(rdata, n), &soa), STATUS_SYNTAX);
    }
}

static void
test_names(void **state)
{
    struct str name;
    assert_int_equal(dns_rdata_name(*state, STR("\1A\3com\0"), &name), STATUS_OK);
    assert_string_equal(name.p, "A.com");
    assert_int_equal(dns_rdata_name(*state, STR("\1A\3com\0x"), &name), STATUS_SYNTAX);
    assert_int_equal(dns_type_find(str_from_cstr("mx")), DNS_TYPE_MX);
    assert_int_equal(dns_type_find(str_from_cstr("HINFO")), 0);
    assert_string_equal(dns_type_name(DNS_TYPE_TLSA), "TLSA");
    assert_null(dns_type_name(13));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_txt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_txt_longer_than_a_string, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tlsa, setup, teardown),
        cmocka_unit_test_setup_teardown(test_soa, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
