#include "dns/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define L63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"

static void
test_normalize(void **state)
{
    static const struct {
        const char *name;
        enum status status;
        const char *want;
    } cases[] = {
        {"", STATUS_OK, ""},
        {".", STATUS_OK, ""},
        {"Example.COM", STATUS_OK, "example.com"},
        {"example.com.", STATUS_OK, "example.com"},
        {"_dmarc.example.com", STATUS_OK, "_dmarc.example.com"},
        {"a\\.b.example", STATUS_OK, "a\\.b.example"},
        {"a\\046b.example", STATUS_OK, "a\\.b.example"},
        {"a\\.", STATUS_OK, "a\\."},
        {"a\\..", STATUS_OK, "a\\."},
        {"a\\046", STATUS_OK, "a\\."},
        {"\\.\\.", STATUS_OK, "\\.\\."},
        {"a\\\\.", STATUS_OK, "a\\\\"},
        {"a\\092.", STATUS_OK, "a\\\\"},
        {"a\\\\\\.", STATUS_OK, "a\\\\\\."},
        {"a\\\\\\..", STATUS_OK, "a\\\\\\."},
        {"\\065.example", STATUS_OK, "a.example"},
        {"\\000.example", STATUS_OK, "\\000.example"},
        {"\\255.example", STATUS_OK, "\\255.example"},
        {"\\256.example", STATUS_SYNTAX, NULL},
        {"\\25.example", STATUS_SYNTAX, NULL},
        {"a\\", STATUS_SYNTAX, NULL},
        {"a\\\\.example", STATUS_OK, "a\\\\.example"},
        {"a..b", STATUS_SYNTAX, NULL},
        {".a", STATUS_SYNTAX, NULL},
        {"a..", STATUS_SYNTAX, NULL},
        {"..", STATUS_SYNTAX, NULL},
        {"a b.example", STATUS_SYNTAX, NULL},
        {"b\xc3\xbc"
         "cher.example",
         STATUS_SYNTAX, NULL},
        {L63 ".example", STATUS_OK, L63 ".example"},
        {L63 "x.example", STATUS_LIMIT, NULL},
        {L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678",
         STATUS_OK,
         L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678"},
        {L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789",
         STATUS_LIMIT, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_create(65536);
        struct str got = STR("untouched");
        assert_int_equal(dns_name_normalize(arena, str_from_cstr(cases[i].name), &got),
                         cases[i].status);
        assert_string_equal(got.p, cases[i].want != NULL ? cases[i].want : "untouched");
        assert_true(cases[i].want == NULL || dns_name_is_question(got));
        arena_destroy(&arena);
    }
}

static void
test_question(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } cases[] = {
        {"", true},         {"a.example", true},  {"A.Example", true}, {"\\.", true},
        {"a\\.", true},     {"a\\\\\\.", true},   {"a\\046", true},    {"a\\\\", true},
        {".", false},       {"a.", false},        {"a\\..", false},    {"a\\\\.", false},
        {"a\\092.", false}, {"\\\\\\\\.", false}, {"a..b", false},     {"a b", false},
        {"\\999", false},   {"a\\", false},       {L63 "x", false},    {"a.example\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (dns_name_is_question(str_from_cstr(cases[i].name)) != cases[i].want) {
            fail_msg("%s", cases[i].name);
        }
    }
}

static void
test_from_wire_refuses(void **state)
{
    static const struct {
        struct str wire;
        enum status status;
    } cases[] = {
        {STR_INIT(""), STATUS_SYNTAX},
        {STR_INIT("\3com"), STATUS_SYNTAX},   /* no root */
        {STR_INIT("\3co"), STATUS_SYNTAX},    /* cut short */
        {STR_INIT("\300\14"), STATUS_SYNTAX}, /* a compression pointer */
        {STR_INIT("\100a\0"), STATUS_SYNTAX}, /* a length of 64 */
        {STR_INIT("\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0"),
         STATUS_SYNTAX}, /* the same with all its octets */
        {STR_INIT("\3com\0rest"), STATUS_OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_create(65536);
        struct str name, rest;
        assert_int_equal(dns_name_from_wire(arena, cases[i].wire, &name, &rest), cases[i].status);
        if (cases[i].status == STATUS_OK) {
            assert_true(str_eq(name, STR("com")));
            assert_true(str_eq(rest, STR("rest")));
        }
        arena_destroy(&arena);
    }
}

static void
test_wire_length_is_bounded(void **state)
{
    char wire[300];
    struct str name, rest;
    (void)state;
    for (size_t i = 0; i < sizeof wire; i += 2) {
        wire[i] = 1;
        wire[i + 1] = 'a';
    }
    struct arena *arena = arena_create(65536);
    wire[254] = 0; /* 127 labels and the root: 255 octets */
    assert_int_equal(dns_name_from_wire(arena, str_make(wire, 255), &name, &rest), STATUS_OK);
    wire[252] = 2; /* 126 labels of one octet, one of two, and the root: 256 */
    wire[254] = 'a';
    wire[255] = 0;
    assert_int_equal(dns_name_from_wire(arena, str_make(wire, 256), &name, &rest), STATUS_LIMIT);
    wire[252] = wire[254] = 1;
    wire[255] = 'a';
    wire[256] = 0;
    assert_int_equal(dns_name_from_wire(arena, str_make(wire, 257), &name, &rest), STATUS_LIMIT);
    arena_destroy(&arena);
}

static void
test_compare(void **state)
{
    (void)state;
    assert_true(dns_name_eq(STR("A.example."), STR("a.EXAMPLE")));
    assert_false(dns_name_eq(STR("a.example"), STR("b.example")));
    assert_true(dns_name_is_within(STR("a.example"), STR("example")));
    assert_true(dns_name_is_within(STR("Example"), STR("example.")));
    assert_true(dns_name_is_within(STR("anything"), STR("")));
    assert_false(dns_name_is_within(STR("notexample"), STR("example")));
    assert_false(dns_name_is_within(STR(".example"), STR("example")));
    assert_false(dns_name_is_within(STR("a\\.example"), STR("example")));
    assert_false(dns_name_is_within(STR("example"), STR("a.example")));
    assert_false(dns_name_eq(STR("a\\."), STR("a\\")));
    assert_false(dns_name_eq(STR("a\\\\\\."), STR("a\\\\\\")));
    assert_true(dns_name_eq(STR("a\\\\."), STR("a\\\\")));
    assert_true(dns_name_is_within(STR("a\\\\.example"), STR("example")));
    assert_false(dns_name_is_within(STR("a\\\\\\.example"), STR("example")));
}

static void
test_host(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } cases[] = {
        {"mx.example.com", true},
        {"mx_1.example", true},
        {"localhost", true},
        {"mx.example.", true},
        {"", false},
        {".", false},
        {"-a.example", false},
        {"a-.example", false},
        {"a..example", false},
        {"a\\032b", false},
        {"a/b", false},
        {"*.example", false},
        {L63 "x.example", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (dns_name_is_host(str_from_cstr(cases[i].name)) != cases[i].want) {
            fail_msg("%s", cases[i].name);
        }
    }
}

static void
test_reverse(void **state)
{
    struct arena *arena = arena_create(65536);
    struct ip_address ip;
    (void)state;
    assert_int_equal(ip_parse(STR("192.0.2.1"), &ip), STATUS_OK);
    assert_string_equal(dns_name_reverse(arena, &ip).p, "1.2.0.192.in-addr.arpa");
    assert_int_equal(ip_parse(STR("2001:db8::567:89ab"), &ip), STATUS_OK);
    assert_string_equal(dns_name_reverse(arena, &ip).p,
                        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    arena_destroy(&arena);
}

/* Plain names take a short way; one letter written as an escape takes the long one. */
static void
test_both_ways_agree(void **state)
{
    static const size_t labels[] = {1, 2, 61, 62, 63, 64};
    static const size_t totals[] = {1, 2, 63, 64, 251, 252, 253, 254, 255, 300};
    (void)state;
    for (size_t l = 0; l < sizeof labels / sizeof labels[0]; l++) {
        for (size_t t = 0; t < 2 * sizeof totals / sizeof totals[0]; t++) {
            struct arena *arena = arena_create(65536);
            char plain[310];
            size_t n = totals[t / 2];
            for (size_t i = 0; i < n; i++) {
                plain[i] = i % (labels[l] + 1) == labels[l] ? '.' : i % 2 ? 'B' : 'a';
            }
            if (t % 2 == 1) {
                plain[n++] = '.'; /* a final dot, or an empty label */
            }
            struct str name = str_make(plain, n);
            struct str escaped = arena_printf(arena, "\\097%.*s", (int)n - 1, plain + 1);
            struct str by_plain = STR("");
            struct str by_wire = STR("");
            enum status status = dns_name_normalize(arena, name, &by_plain);
            assert_int_equal(dns_name_normalize(arena, escaped, &by_wire), status);
            assert_true(str_eq(by_plain, by_wire));
            arena_destroy(&arena);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_both_ways_agree),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_from_wire_refuses),
        cmocka_unit_test(test_wire_length_is_bounded),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
