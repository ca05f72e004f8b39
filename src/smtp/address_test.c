#include "smtp/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define A10 "aaaaaaaaaa"
#define A63 A10 A10 A10 A10 A10 A10 "aaa"
#define A64 A63 "a"

struct row {
    struct str input;
    unsigned flags;
    enum status want;
    const char *text; /* the normal form, when STATUS_OK */
};

static const struct row mailbox_rows[] = {
    {STR_INIT("a@b.example"), 0, STATUS_OK, "a@b.example"},
    {STR_INIT("A.b@B.Example"), 0, STATUS_OK, "A.b@b.example"},
    {STR_INIT("!#$%&'*+-/=?^_`{|}~@b"), 0, STATUS_OK, "!#$%&'*+-/=?^_`{|}~@b"},
    {STR_INIT("\"a\"@b"), 0, STATUS_OK, "a@b"},
    {STR_INIT("\"a\\b\"@b"), 0, STATUS_OK, "ab@b"},
    {STR_INIT("\"a b\"@b"), 0, STATUS_OK, "\"a b\"@b"},
    {STR_INIT("\"a@b\"@c"), 0, STATUS_OK, "\"a@b\"@c"},
    {STR_INIT("\"\\\"\\\\\"@b"), 0, STATUS_OK, "\"\\\"\\\\\"@b"},
    {STR_INIT("\"\"@b"), 0, STATUS_OK, "\"\"@b"},
    {STR_INIT("\".a\"@b"), 0, STATUS_OK, "\".a\"@b"},
    {STR_INIT("\"a..b\"@b"), 0, STATUS_OK, "\"a..b\"@b"},
    {STR_INIT("a@1.2.3"), 0, STATUS_OK, "a@1.2.3"},
    {STR_INIT("a@b-c.d"), 0, STATUS_OK, "a@b-c.d"},
    {STR_INIT("a@" A63), 0, STATUS_OK, "a@" A63},
    {STR_INIT(A64 "@b"), 0, STATUS_OK, A64 "@b"},
    {STR_INIT(A64 "a@b"), SMTP_ADDRESS_LONG_LOCAL, STATUS_OK, A64 "a@b"},
    {STR_INIT(A64 "a@b"), 0, STATUS_LIMIT, NULL},
    {STR_INIT("\"" A63 "\"@b"), 0, STATUS_LIMIT, NULL},
    {STR_INIT("a@" A64), 0, STATUS_LIMIT, NULL},
    {STR_INIT("a@" A63 "." A63 "." A63 "." A63), 0, STATUS_LIMIT, NULL},
    {STR_INIT(""), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("@"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@"), 0, STATUS_SYNTAX, NULL},
    /* dots that the grammar has in quotes only: the same mailbox as with them */
    {STR_INIT(".a@b"), 0, STATUS_OK, "\".a\"@b"},
    {STR_INIT("a.@b"), 0, STATUS_OK, "\"a.\"@b"},
    {STR_INIT("a..b@c"), 0, STATUS_OK, "\"a..b\"@c"},
    {STR_INIT(".a..b.@docomo.example"), 0, STATUS_OK, "\".a..b.\"@docomo.example"},
    {STR_INIT(".@b"), 0, STATUS_OK, "\".\"@b"},
    {STR_INIT("...@b"), 0, STATUS_OK, "\"...\"@b"},
    {STR_INIT("a.b@c"), 0, STATUS_OK, "a.b@c"},
    {STR_INIT("\"a.b\"@c"), 0, STATUS_OK, "a.b@c"},
    {STR_INIT("\xc3\xa9.@b"), SMTP_ADDRESS_UTF8, STATUS_OK, "\"\xc3\xa9.\"@b"},
    {STR_INIT("\"a.\"b@c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT(A10 A10 A10 A10 A10 A10 "a.@b"), 0, STATUS_OK, "\"" A10 A10 A10 A10 A10 A10 "a.\"@b"},
    {STR_INIT(A10 A10 A10 A10 A10 A10 "aa.@b"), 0, STATUS_LIMIT, NULL}, /* 65 with its quotes */
    {STR_INIT("a b@c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b@c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@.b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b."), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b..c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@-b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b-.c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b_c"), 0, STATUS_OK, "a@b_c"},
    {STR_INIT("a@_B.c_.example"), 0, STATUS_OK, "a@_b.c_.example"},
    {STR_INIT("a@_-.example"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b+c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b "), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("(c)a@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b(c)"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a\\"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a\\\"@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a\"b@c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a\".\"b\"@c"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a\0\"@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"a\t\"@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("\"\\\x7f\"@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a\0@b"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@b\0c"), 0, STATUS_SYNTAX, NULL},
    /* literals */
    {STR_INIT("a@[192.0.2.1]"), 0, STATUS_OK, "a@[192.0.2.1]"},
    {STR_INIT("a@[ipv6:2001:DB8:0::1]"), 0, STATUS_OK, "a@[IPv6:2001:db8::1]"},
    {STR_INIT("a@[IPv6:::]"), 0, STATUS_OK, "a@[IPv6:::]"},
    {STR_INIT("a@[IPv6:1:2:3:4:5:6:7:8]"), 0, STATUS_OK, "a@[IPv6:1:2:3:4:5:6:7:8]"},
    {STR_INIT("a@[IPv6:1:2:3:4:5::6]"), 0, STATUS_OK, "a@[IPv6:1:2:3:4:5::6]"},
    {STR_INIT("a@[IPv6:1:2:3:4::192.0.2.1]"), 0, STATUS_OK, "a@[IPv6:1:2:3:4::c000:201]"},
    {STR_INIT("a@[IPv6:1:2:3:4:5:6::8]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[IPv6:1:2:3:4:5::192.0.2.1]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[IPv6:1:2]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[IPv6:1::2::3]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[IPv6:192.0.2.1]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[2001:db8::1]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[192.0.2]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[192.0.2.256]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[x-tag:y]"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[192.0.2.1"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[192.0.2.1]x"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("a@[]"), 0, STATUS_SYNTAX, NULL},
    /* UTF-8 */
    {STR_INIT("\xc3\xa9@b"), 0, STATUS_DENIED, NULL},
    {STR_INIT("a@\xc3\xa9.example"), 0, STATUS_DENIED, NULL},
    {STR_INIT("\xc3\xa9@b"), SMTP_ADDRESS_UTF8, STATUS_OK, "\xc3\xa9@b"},
    {STR_INIT("\"\xc3\xa9 \"@b"), SMTP_ADDRESS_UTF8, STATUS_OK, "\"\xc3\xa9 \"@b"},
    {STR_INIT("\"\\\xc3\xa9\"@b"), SMTP_ADDRESS_UTF8, STATUS_SYNTAX, NULL},
    {STR_INIT("\xc3@b"), SMTP_ADDRESS_UTF8, STATUS_SYNTAX, NULL},
    {STR_INIT("\xc2\x85@b"), SMTP_ADDRESS_UTF8, STATUS_SYNTAX, NULL},
    {STR_INIT("\xc2\x9f@b"), SMTP_ADDRESS_UTF8, STATUS_SYNTAX, NULL},
    {STR_INIT("\xc2\xa0@b"), SMTP_ADDRESS_UTF8, STATUS_OK, "\xc2\xa0@b"},
    {STR_INIT("a@\xc3\x89.Example"), SMTP_ADDRESS_UTF8, STATUS_OK, "a@xn--9ca.example"},
    {STR_INIT("a@stra\xc3\x9f"
              "e.example"),
     SMTP_ADDRESS_UTF8, STATUS_OK, "a@xn--strae-oqa.example"},
    {STR_INIT("a@\xc3\xa9_b"), SMTP_ADDRESS_UTF8, STATUS_OK, "a@xn--_b-9ia"},
    {STR_INIT("a@\xc3\xa9\0b"), SMTP_ADDRESS_UTF8, STATUS_SYNTAX, NULL},
    {STR_INIT("a@\xc3"), SMTP_ADDRESS_UTF8, STATUS_SYNTAX, NULL},
    {STR_INIT("a@XN--9CA.example"), 0, STATUS_OK, "a@xn--9ca.example"},
    {STR_INIT("a@xn---"), 0, STATUS_SYNTAX, NULL},
    /* without domain */
    {STR_INIT("postmaster"), 0, STATUS_SYNTAX, NULL},
    {STR_INIT("Postmaster"), SMTP_ADDRESS_POSTMASTER, STATUS_OK, "Postmaster"},
    {STR_INIT("postmaste"), SMTP_ADDRESS_POSTMASTER, STATUS_SYNTAX, NULL},
};

static void
test_mailboxes(void **state)
{
    (void)state;
    for (const struct row *row = mailbox_rows;
         row < mailbox_rows + sizeof mailbox_rows / sizeof mailbox_rows[0]; row++) {
        struct arena *arena = arena_create(65536);
        struct smtp_address address = {.kind = SMTP_DOMAIN_NONE};
        enum status got = smtp_mailbox_parse(arena, row->input, row->flags, &address);
        if (got != row->want ||
            (got == STATUS_OK && !str_eq(address.text, str_from_cstr(row->text)))) {
            print_error("%.*s: %s \"%.*s\"\n", STR_ARG(row->input), status_name(got),
                        STR_ARG(address.text));
            fail();
        }
        if (got == STATUS_OK) {
            /* The normal form is a fixed point. */
            struct smtp_address again;
            assert_int_equal(
                smtp_mailbox_parse(arena, address.text, row->flags | SMTP_ADDRESS_UTF8, &again),
                STATUS_OK);
            assert_true(str_eq(again.text, address.text));
            assert_true(smtp_address_eq(&again, &address));
        }
        arena_destroy(&arena);
    }
}

struct path_row {
    const char *input;
    unsigned flags;
    enum status want;
    const char *text;
    const char *rest;
};

static const struct path_row path_rows[] = {
    {"<a@b>", 0, STATUS_OK, "a@b", ""},
    {"<a@b> SIZE=1", 0, STATUS_OK, "a@b", " SIZE=1"},
    {"<\"a>\"@b> X", 0, STATUS_OK, "\"a>\"@b", " X"},
    {"<a@b>SIZE=1", 0, STATUS_SYNTAX, NULL, NULL},
    {"<a@b", 0, STATUS_SYNTAX, NULL, NULL},
    {"a@b>", SMTP_ADDRESS_UNBRACKETED, STATUS_SYNTAX, NULL, NULL},
    {"<a@b >", 0, STATUS_SYNTAX, NULL, NULL},
    {"< a@b>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<<a@b>>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<>", SMTP_ADDRESS_NULL, STATUS_OK, "", ""},
    {"<> X", SMTP_ADDRESS_NULL, STATUS_OK, "", " X"},
    {"<>a", SMTP_ADDRESS_NULL, STATUS_SYNTAX, NULL, NULL},
    {"", SMTP_ADDRESS_NULL, STATUS_SYNTAX, NULL, NULL},
    {"a@b X", 0, STATUS_SYNTAX, NULL, NULL},
    {"a@b X", SMTP_ADDRESS_UNBRACKETED, STATUS_OK, "a@b", " X"},
    {"<@x:a@b>", 0, STATUS_OK, "a@b", ""},
    {"<@x,@y.z,@[192.0.2.1]:a@b>", 0, STATUS_OK, "a@b", ""},
    {"<@x,y:a@b>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<@x a@b>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<@x,:a@b>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<@:a@b>", 0, STATUS_SYNTAX, NULL, NULL},
    {"<@x:>", SMTP_ADDRESS_NULL, STATUS_SYNTAX, NULL, NULL},
    {"<postmaster>", SMTP_ADDRESS_POSTMASTER, STATUS_OK, "postmaster", ""},
    {"<POSTMASTER> X", SMTP_ADDRESS_POSTMASTER, STATUS_OK, "POSTMASTER", " X"},
    {"<" A63 "@" A63 "." A63 ".aaaaa" A10 A10 A10 A10 A10 "aaaaaaa>", 0, STATUS_OK,
     A63 "@" A63 "." A63 ".aaaaa" A10 A10 A10 A10 A10 "aaaaaaa", ""}, /* 256 octets */
    {"<" A63 "@" A63 "." A63 ".aaaaa" A10 A10 A10 A10 A10 "aaaaaaaX>", 0, STATUS_LIMIT, NULL, NULL},
    {A63 "@" A63 "." A63 ".aaaaa" A10 A10 A10 A10 A10 "aaaaaaa", SMTP_ADDRESS_UNBRACKETED,
     STATUS_OK, A63 "@" A63 "." A63 ".aaaaa" A10 A10 A10 A10 A10 "aaaaaaa", ""},
    {A63 "@" A63 "." A63 ".aaaaa" A10 A10 A10 A10 A10 "aaaaaaaX", SMTP_ADDRESS_UNBRACKETED,
     STATUS_LIMIT, NULL, NULL},
    {"<@" A63 "." A63 ":" A63 "@" A63 "." A63 ">", 0, STATUS_LIMIT, NULL, NULL},
};

static void
test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof path_rows / sizeof path_rows[0]; i++) {
        const struct path_row *row = &path_rows[i];
        struct arena *arena = arena_create(65536);
        struct smtp_address address = {.kind = SMTP_DOMAIN_NONE};
        struct str rest = {NULL, 0};
        enum status got =
            smtp_path_parse(arena, str_from_cstr(row->input), row->flags, &address, &rest);
        if (got != row->want) {
            print_error("%s: %s\n", row->input, status_name(got));
            fail();
        }
        if (got == STATUS_OK) {
            assert_true(str_eq(address.text, str_from_cstr(row->text)));
            assert_true(str_eq(rest, str_from_cstr(row->rest)));
        }
        arena_destroy(&arena);
    }
}

static void
test_make(void **state)
{
    (void)state;
    struct arena *arena = arena_create(65536);
    struct smtp_address address;
    assert_int_equal(smtp_address_make(arena, STR("a b"), STR("c.example"), &address), STATUS_OK);
    assert_true(str_eq(address.text, STR("\"a b\"@c.example")));
    assert_int_equal(smtp_address_make(arena, STR("a"), STR("[192.0.2.1]"), &address), STATUS_OK);
    assert_int_equal(address.kind, SMTP_DOMAIN_LITERAL);
    assert_int_equal(smtp_address_make(arena, STR("a\r\nb"), STR("c"), &address), STATUS_SYNTAX);
    assert_int_equal(smtp_address_make(arena, STR(""), STR("c"), &address), STATUS_SYNTAX);
    assert_int_equal(smtp_address_make(arena, STR("a"), STR(""), &address), STATUS_SYNTAX);
    assert_int_equal(smtp_address_make(arena, STR("a"), STR("[x]"), &address), STATUS_SYNTAX);
    assert_int_equal(smtp_address_make(arena, STR("a\x7f"), STR("c"), &address), STATUS_SYNTAX);
    assert_false(address.utf8);
    assert_int_equal(smtp_address_make(arena, STR("\xc3\xa9"), STR("c"), &address), STATUS_OK);
    assert_true(address.utf8);
    /* 254 octets: with angle brackets a path as long as may be */
    assert_int_equal(smtp_address_make(arena, STR(A63 A63 A63 "a"), STR(A63), &address), STATUS_OK);
    assert_int_equal(address.text.n, SMTP_PATH_MAX - 2);
    assert_int_equal(smtp_address_make(arena, STR(A63 A63 A63 "aa"), STR(A63), &address),
                     STATUS_LIMIT);
    arena_destroy(&arena);
}

static void
test_equality(void **state)
{
    (void)state;
    struct arena *arena = arena_create(65536);
    struct smtp_address a, b, copy;
    assert_int_equal(smtp_mailbox_parse(arena, STR("\"a\"@B.example"), 0, &a), STATUS_OK);
    assert_int_equal(smtp_mailbox_parse(arena, STR("a@b.Example"), 0, &b), STATUS_OK);
    assert_true(smtp_address_eq(&a, &b));
    assert_int_equal(smtp_mailbox_parse(arena, STR("A@b.example"), 0, &b), STATUS_OK);
    assert_false(smtp_address_eq(&a, &b)); /* RFC 5321 2.4: only the host knows */
    assert_int_equal(smtp_address_dup(arena, &a, &copy), STATUS_OK);
    assert_true(smtp_address_eq(&a, &copy) && copy.text.p != a.text.p);
    assert_int_equal(smtp_mailbox_parse(arena, STR("PostMaster@b"), 0, &b), STATUS_OK);
    assert_true(smtp_address_is_postmaster(&b));
    assert_false(smtp_address_is_postmaster(&a));
    arena_destroy(&arena);
}

/* Patterns of policies and of the command line, against the normal form. */
static void
test_fits(void **state)
{
    static const struct {
        const char *text;
        const char *pattern;
        bool want;
    } cases[] = {
        {"a@b", "a@b", true},
        {"a@b", "*@b", true},
        {"a@b", "c@b", false},
        {"\".a..b.\"@b", ".a..b.@b", true},
        {"\".a..b.\"@b", "\".a..b.\"@b", true},
        {"\".a..b.\"@b", ".a*@b", true},
        {"\".a..b.\"@b", "*@b", true},
        {"\".a..b.\"@b", "a..b@b", false},
        {"\".\"@b", ".@b", true},
        {"\"\"@b", "@b", false},
        {"\"", "", true}, /* the empty pattern fits all */
        {"\"", "x", false},
        /* other quotes are part of the name: without them it would read as another address */
        {"\"x@y\"@b", "x@*", false},
        {"\"a b\"@b", "a b@b", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (smtp_address_fits(str_from_cstr(cases[i].text), str_from_cstr(cases[i].pattern)) !=
            cases[i].want) {
            fail_msg("%s against %s", cases[i].text, cases[i].pattern);
        }
    }
}

static void
test_domain_forms(void **state)
{
    struct arena *arena = arena_create(65536);
    struct str domain;
    (void)state;
    /* the name of a host in HELO has no underscore; the domain of a mailbox may */
    assert_int_equal(smtp_domain_parse(arena, STR("a_b.example"), 0, &domain), STATUS_SYNTAX);
    assert_int_equal(smtp_domain_parse(arena, STR("A_b.example"), SMTP_ADDRESS_UNDERSCORE, &domain),
                     STATUS_OK);
    assert_true(str_eq(domain, STR("a_b.example")));
    assert_int_equal(smtp_domain_parse(arena, STR(A63 "." A63 "." A63 "." A63), 0, &domain),
                     STATUS_OK);
    assert_int_equal(domain.n, SMTP_DOMAIN_MAX);
    assert_int_equal(
        smtp_domain_parse(arena, STR("a." A63 "." A63 "." A63 "." A10 A10 A10 A10 A10 A10 "aa"), 0,
                          &domain),
        STATUS_LIMIT);
    arena_destroy(&arena);
}

/* As long as it is written, not as it would be. */
static void
test_length_as_written(void **state)
{
    struct arena *arena = arena_create(65536);
    char text[SMTP_PATH_MAX + 8] = "\"";
    size_t n = 1;
    struct smtp_address address;
    (void)state;
    while (n < SMTP_PATH_MAX - 5) {
        text[n++] = '\\';
        text[n++] = 'a';
    }
    memcpy(text + n, "\"@b", 3);
    assert_int_equal(
        smtp_mailbox_parse(arena, str_make(text, n + 3), SMTP_ADDRESS_LONG_LOCAL, &address),
        STATUS_OK);
    memcpy(text + n, "\\a\"@b", 5);
    assert_int_equal(
        smtp_mailbox_parse(arena, str_make(text, n + 5), SMTP_ADDRESS_LONG_LOCAL, &address),
        STATUS_LIMIT);
    arena_destroy(&arena);
}

static void
test_small_arena(void **state)
{
    (void)state;
    struct arena *arena = arena_create(32);
    struct smtp_address address;
    assert_int_equal(smtp_mailbox_parse(arena, STR("a@b.example"), 0, &address), STATUS_LIMIT);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_as_written),
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_small_arena),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_domain_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
