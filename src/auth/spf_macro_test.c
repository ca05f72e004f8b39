#include "auth/spf_macro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static enum status
named(void *ctx, struct str *name_out)
{
    (void)ctx;
    *name_out = STR("mx.example.org");
    return STATUS_OK;
}

/* The sender and client of RFC 7208 7.4. */
static struct spf_macro_values
example_values(const char *client)
{
    struct spf_macro_values values = {
        .sender = STR("strong-bad@email.example.com"),
        .local = STR("strong-bad"),
        .sender_domain = STR("email.example.com"),
        .domain = STR("email.example.com"),
        .helo = STR("a b&c~.example"),
        .receiver = STR("mx.kartapuce.example"),
        .now = 1795456094,
        .validated_name = named,
    };
    assert_int_equal(ip_parse(str_from_cstr(client), &values.client), STATUS_OK);
    return values;
}

static void
test_expand(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        /* RFC 7208 7.4 */
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        /* Letter case, escapes, several delimiters, the octets that are written differently. */
        {"%{H}", "a%20b%26c~.example"},
        {"%{d127}", "email.example.com"},
        {"%{p}.x", "mx.example.org.x"},
        {"a%%b%_c%-d.example", "a%b c%20d.example"},
        {"%{d}.", "email.example.com"},
        {"%{L-}", "strong.bad"},
    };
    (void)state;
    struct spf_macro_values values = example_values("192.0.2.3");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct str got = STR("");
        struct str text = str_from_cstr(cases[i].text);
        if (spf_macro_expand(arena, text, SPF_MACRO_DOMAIN, &values, &got) != STATUS_OK ||
            !str_eq(got, str_from_cstr(cases[i].want))) {
            fail_msg("%s: got \"%.*s\"", cases[i].text, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

static void
test_expand_client_and_text(void **state)
{
    static const struct {
        const char *client;
        const char *text;
        const char *want;
    } cases[] = {
        {"192.0.2.3", "%{c} %{i} %{v}", "192.0.2.3 192.0.2.3 in-addr"},
        {"2001:db8::cb01", "%{c} %{ir}.%{v}",
         "2001:db8::cb01 1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6"},
        {"::ffff:192.0.2.3", "%{c} %{v}", "192.0.2.3 in-addr"},
        {"192.0.2.3", "%{r} %{t}", "mx.kartapuce.example 1795456094"},
        {"192.0.2.3", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct spf_macro_values values = example_values(cases[i].client);
        struct str got = STR("");
        assert_int_equal(spf_macro_expand(arena, str_from_cstr(cases[i].text),
                                          SPF_MACRO_EXPLANATION, &values, &got),
                         STATUS_OK);
        if (!str_eq(got, str_from_cstr(cases[i].want))) {
            fail_msg("%s: got \"%.*s\"", cases[i].text, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
    struct arena *arena = arena_create(65536);
    struct spf_macro_values values = example_values("192.0.2.3");
    struct str got;
    values.receiver = STR("");
    values.validated_name = NULL;
    assert_int_equal(
        spf_macro_expand(arena, STR("%{r} %{p}"), SPF_MACRO_EXPLANATION, &values, &got), STATUS_OK);
    assert_string_equal(got.p, "unknown unknown");
    arena_destroy(&arena);
}

/* RFC 7208 7.3: whole labels go until 253 octets are left. */
static void
test_cut_on_the_left(void **state)
{
    static const struct {
        const char *prefix;
        size_t want;
    } cases[] = {{"x.", 253}, {"xx.", 251}, {"x.y.", 253}, {"", 251}};
    char text[600];
    char label[64];
    (void)state;
    memset(label, 'a', 62);
    label[62] = '\0';
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct spf_macro_values values = example_values("192.0.2.3");
        struct str got;
        snprintf(text, sizeof text, "%s%s.%s.%s.%s", cases[i].prefix, label, label, label, label);
        assert_int_equal(
            spf_macro_expand(arena, str_from_cstr(text), SPF_MACRO_DOMAIN, &values, &got),
            STATUS_OK);
        assert_int_equal(got.n, cases[i].want);
        arena_destroy(&arena);
    }
}

static void
test_local_part_outside_ascii(void **state)
{
    struct arena *arena = arena_create(65536);
    struct spf_macro_values values = example_values("192.0.2.3");
    struct str got = STR("untouched");
    (void)state;
    values.local = STR("jos\xc3\xa9");
    values.sender = STR("jos\xc3\xa9@email.example.com");
    /* RFC 8616 4 */
    assert_int_equal(spf_macro_expand(arena, STR("%{l}.x"), SPF_MACRO_DOMAIN, &values, &got),
                     STATUS_NOT_FOUND);
    assert_int_equal(spf_macro_expand(arena, STR("%{s}"), SPF_MACRO_DOMAIN, &values, &got),
                     STATUS_NOT_FOUND);
    assert_string_equal(got.p, "untouched");
    assert_int_equal(spf_macro_expand(arena, STR("%{o}"), SPF_MACRO_DOMAIN, &values, &got),
                     STATUS_OK);
    assert_int_equal(spf_macro_expand(arena, STR("%{l}"), SPF_MACRO_EXPLANATION, &values, &got),
                     STATUS_OK);
    arena_destroy(&arena);
}

static void
test_too_long(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct spf_macro_values values = example_values("192.0.2.3");
    char *sender = malloc(SPF_EXPANSION_MAX);
    struct str got = STR("untouched");
    (void)state;
    memset(sender, 'a', SPF_EXPANSION_MAX);
    values.sender = str_make(sender, SPF_EXPANSION_MAX);
    assert_int_equal(spf_macro_expand(arena, STR("%{s}"), SPF_MACRO_EXPLANATION, &values, &got),
                     STATUS_OK);
    got = STR("untouched");
    assert_int_equal(spf_macro_expand(arena, STR("%{s}x"), SPF_MACRO_EXPLANATION, &values, &got),
                     STATUS_LIMIT);
    assert_string_equal(got.p, "untouched");
    free(sender);
    arena_destroy(&arena);
}

static void
test_syntax(void **state)
{
    static const struct {
        const char *text;
        bool domain; /* a domain-spec */
        bool target; /* a macro string in a domain */
        bool text_use;
    } cases[] = {
        {"example.com", true, true, true},
        {"example.com.", true, true, true},
        {"%{d}", true, true, true},
        {"%{ir}.%{v}._spf.%{d2}", true, true, true},
        {"foo:bar/baz.example.com", true, true, true},
        {"a.xn--zckzah", true, true, true},
        {"a.1-2", true, true, true},
        {"%{d}.com", true, true, true},
        {"x.%%", true, true, true},
        {"%%", true, true, true},
        {"%_%-", true, true, true},
        {"x%_", true, true, true},
        {"a%-", true, true, true},
        {"%%a", false, true, true},
        {"x%_.", false, true, true},
        {"", false, true, true},
        {"museum", false, true, true},
        {"museum.", false, true, true},
        {"a.123", false, true, true},
        {"a.-b", false, true, true},
        {"a.b-", false, true, true},
        {"a.b_c", false, true, true},
        {"a.b/24", false, true, true},
        {"a..", false, true, true},
        {"%{d}com", false, true, true},
        {"a b.c", false, false, true},
        {"%{c}", false, false, true},
        {"%{r}.x", false, false, true},
        {"%{T}", false, false, true},
        {"%", false, false, false},
        {"%a", false, false, false},
        {"%{", false, false, false},
        {"%{d", false, false, false},
        {"%{x}", false, false, false},
        {"%{}", false, false, false},
        {"%{d0}", false, false, false},
        {"%{d00}", false, false, false},
        {"%{d65535}", true, true, true},
        {"%{d65536}", false, false, false},
        {"%{d99999999999999999999999}", false, false, false},
        {"%{dr2}", false, false, false},
        {"%{d*}", false, false, false},
        {"%{d@}", false, false, false},
        {"%(d)", false, false, false},
        {"a\t.b", false, false, false},
        {"caf\xc3\xa9.example", false, false, false},
        {"a.b\x7f", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str text = str_from_cstr(cases[i].text);
        bool domain = spf_domain_spec_check(text) == STATUS_OK;
        bool target = spf_macro_check(text, SPF_MACRO_DOMAIN) == STATUS_OK;
        bool text_use = spf_macro_check(text, SPF_MACRO_EXPLANATION) == STATUS_OK;
        if (domain != cases[i].domain || target != cases[i].target ||
            text_use != cases[i].text_use) {
            fail_msg("\"%s\": domain %d, target %d, text %d", cases[i].text, domain, target,
                     text_use);
        }
    }
    assert_int_equal(spf_macro_check(STR("a b"), SPF_MACRO_MODIFIER), STATUS_SYNTAX);
    assert_int_equal(spf_macro_check(STR("%{c}"), SPF_MACRO_MODIFIER), STATUS_OK);
}

/* Every text cut short: no reading past its end, and the two readers agree. */
static void
test_cut_short(void **state)
{
    static const char whole[] = "%{S2r.-+,/_=}%%%_%-.a%{p}.example.%{d127r}.";
    struct spf_macro_values values = example_values("192.0.2.3");
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        struct arena *arena = arena_create(65536);
        char *copy = malloc(n + (n == 0));
        struct str got;
        memcpy(copy, whole, n);
        assert_int_equal(
            spf_macro_expand(arena, str_make(copy, n), SPF_MACRO_DOMAIN, &values, &got),
            spf_macro_check(str_make(copy, n), SPF_MACRO_DOMAIN));
        free(copy);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),          cmocka_unit_test(test_expand_client_and_text),
        cmocka_unit_test(test_cut_on_the_left), cmocka_unit_test(test_local_part_outside_ascii),
        cmocka_unit_test(test_too_long),        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests_name("spf macros", tests, NULL, NULL);
}
