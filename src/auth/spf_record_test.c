#include "auth/spf_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The record as "q:mechanism:domain:ip/p4/p6 ..." and its modifiers. */
static const char *
parsed(struct str text)
{
    static char out[1024];
    struct arena *arena = arena_create(1 << 20);
    struct spf_record record;
    struct str problem = STR("");
    size_t used = 0;
    out[0] = '\0';
    if (spf_record_parse(arena, text, &record, &problem) != STATUS_OK) {
        assert_true(problem.n > 0);
        arena_destroy(&arena);
        return "error";
    }
    for (size_t i = 0; i < record.directive_count; i++) {
        const struct spf_directive *d = &record.directives[i];
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%c%s:%.*s%.*s/%u/%u",
                                 used > 0 ? " " : "", d->qualifier,
                                 spf_mechanism_name(d->mechanism), STR_ARG(d->domain),
                                 STR_ARG(d->ip_written), d->ip4_prefix, d->ip6_prefix);
    }
    for (size_t i = 0; i < record.modifier_count; i++) {
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "%s%.*s=%.*s", used > 0 ? " " : "",
                             STR_ARG(record.modifiers[i].name), STR_ARG(record.modifiers[i].value));
    }
    if (record.redirect.n > 0) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%sredirect=%.*s",
                                 used > 0 ? " " : "", STR_ARG(record.redirect));
    }
    if (record.explanation.n > 0) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%sexp=%.*s", used > 0 ? " " : "",
                                 STR_ARG(record.explanation));
    }
    arena_destroy(&arena);
    assert_true(used < sizeof out);
    return out;
}

static void
test_records(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"v=spf1", ""},
        {"V=sPf1  ", ""},
        {"v=spf1 -all", "-all:/32/128"},
        {"v=spf1  a  MX/24  ?ptr ~all ", "+a:/32/128 +mx:/24/128 ?ptr:/32/128 ~all:/32/128"},
        {"v=spf1 +a:x.example/24//64 a//0 mx:%{d}/0", "+a:x.example/24/64 +a:/32/0 +mx:%{d}/0/128"},
        {"v=spf1 a:foo:bar/baz.example.com", "+a:foo:bar/baz.example.com/32/128"},
        {"v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1", "+ip4:192.0.2.0/24/128 +ip4:192.0.2.1/32/128"},
        {"v=spf1 ip6:2001:db8::/32 ip6:::1.1.1.1/0", "+ip6:2001:db8::/32/32 +ip6:::1.1.1.1/32/0"},
        {"v=spf1 -include:a.example exists:%{i}.b.example",
         "-include:a.example/32/128 +exists:%{i}.b.example/32/128"},
        {"v=spf1 exp=e.example redirect=r.example", "redirect=r.example exp=e.example"},
        {"v=spf1 Redirect=r.example", "redirect=r.example"},
        {"v=spf1 moo.cow-far_out=man:dog/cat x=", "moo.cow-far_out=man:dog/cat x="},
        {"v=spf1 all=1 all", "+all:/32/128 all=1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *got = parsed(str_from_cstr(cases[i].text));
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("%s: got \"%s\"", cases[i].text, got);
        }
    }
}

static const struct str broken[] = {
    STR_INIT(""),
    STR_INIT("v=spf2"),
    STR_INIT("v=spf10"),
    STR_INIT("v=spf1mx"),
    STR_INIT(" v=spf1"),
    STR_INIT("v=spf1\t-all"),
    STR_INIT("v=spf1 a\tmx"),
    STR_INIT("v=spf1 a\r-all"),
    STR_INIT("v=spf1 !"),
    STR_INIT("v=spf1 -"),
    STR_INIT("v=spf1 --all"),
    STR_INIT("v=spf1 moo"),
    STR_INIT("v=spf1 -all moo"),
    STR_INIT("v=spf1 all:x.example"),
    STR_INIT("v=spf1 all/8"),
    STR_INIT("v=spf1 all."),
    STR_INIT("v=spf1 a:"),
    STR_INIT("v=spf1 a:museum"),
    STR_INIT("v=spf1 a:192.0.2.1"),
    STR_INIT("v=spf1 a:x.example:8080"),
    STR_INIT("v=spf1 a/33"),
    STR_INIT("v=spf1 a//129"),
    STR_INIT("v=spf1 a/24/64"),
    STR_INIT("v=spf1 a///64"),
    STR_INIT("v=spf1 a//64/24"),
    STR_INIT("v=spf1 a/"),
    STR_INIT("v=spf1 a//"),
    STR_INIT("v=spf1 a/024"),
    STR_INIT("v=spf1 a//00"),
    STR_INIT("v=spf1 a:x.example/99999999999999999999"),
    STR_INIT("v=spf1 ptr/0"),
    STR_INIT("v=spf1 include"),
    STR_INIT("v=spf1 include:"),
    STR_INIT("v=spf1 include:x.example/24"),
    STR_INIT("v=spf1 exists"),
    STR_INIT("v=spf1 exists:x.example/24"),
    STR_INIT("v=spf1 ip4"),
    STR_INIT("v=spf1 ip4:"),
    STR_INIT("v=spf1 ip4:192.0.2"),
    STR_INIT("v=spf1 ip4:192.0.2.256"),
    STR_INIT("v=spf1 ip4:192.0.2.01"),
    STR_INIT("v=spf1 ip4:192.0.2.1/33"),
    STR_INIT("v=spf1 ip4:192.0.2.1/032"),
    STR_INIT("v=spf1 ip4:192.0.2.1//32"),
    STR_INIT("v=spf1 ip4:192.0.2.1:25"),
    STR_INIT("v=spf1 ip4:::ffff:192.0.2.1"),
    STR_INIT("v=spf1 ip4:192.0.2.1\n"),
    STR_INIT("v=spf1 ip6:192.0.2.1"),
    STR_INIT("v=spf1 ip6:2001:db8:::1"),
    STR_INIT("v=spf1 ip6:2001:db8::/129"),
    STR_INIT("v=spf1 ip6:2001:db8::1%eth0"),
    STR_INIT("v=spf1 ip6:2001:db8::\0"
             "1"),
    STR_INIT("v=spf1 =all"),
    STR_INIT("v=spf1 1up=foo"),
    STR_INIT("v=spf1 ?redirect=r.example"),
    STR_INIT("v=spf1 redirect:r.example"),
    STR_INIT("v=spf1 redirect="),
    STR_INIT("v=spf1 redirect=r"),
    STR_INIT("v=spf1 redirect=r.example REDIRECT=r.example"),
    STR_INIT("v=spf1 exp=e.example exp=e.example"),
    STR_INIT("v=spf1 exp="),
    STR_INIT("v=spf1 exp=%{r}.example"),
    STR_INIT("v=spf1 foo=%abc"),
    STR_INIT("v=spf1 moo.cow/far_out=man"),
    STR_INIT("v=spf1 a:\xef\xbb\xbfgarbage.example -all"),
    STR_INIT("v=spf1 \x96"
             "all"),
    STR_INIT("v=spf1 a:x.example\0"),
    STR_INIT("v=spf1 \0all"),
};

static void
test_broken_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        const char *got = parsed(broken[i]);
        if (strcmp(got, "error") != 0) {
            fail_msg("case %zu, \"%.*s\": got \"%s\"", i, STR_ARG(broken[i]), got);
        }
    }
}

/* Both sides of the limits of size. */
static void
test_limits(void **state)
{
    char *text = malloc(SPF_RECORD_MAX + 16);
    struct arena *arena = arena_create(4u << 20);
    struct spf_record record;
    struct str problem = STR("");
    (void)state;
    memset(text, ' ', SPF_RECORD_MAX + 16);
    memcpy(text, "v=spf1", 6);
    assert_int_equal(spf_record_parse(arena, str_make(text, SPF_RECORD_MAX), &record, &problem),
                     STATUS_OK);
    assert_int_equal(spf_record_parse(arena, str_make(text, SPF_RECORD_MAX + 1), &record, &problem),
                     STATUS_LIMIT);
    /* The version is counted as a term. */
    size_t n = 6;
    for (size_t i = 1; i < SPF_TERMS_MAX; i++) {
        n += (size_t)snprintf(text + n, 4, " a");
    }
    assert_int_equal(spf_record_parse(arena, str_make(text, n), &record, &problem), STATUS_OK);
    assert_int_equal(record.directive_count, SPF_TERMS_MAX - 1);
    snprintf(text + n, 4, " a");
    assert_int_equal(spf_record_parse(arena, str_make(text, n + 2), &record, &problem),
                     STATUS_LIMIT);
    free(text);
    arena_destroy(&arena);
}

/* Every record cut short is read within its bounds. */
static void
test_cut_short(void **state)
{
    static const char whole[] = "v=spf1 a:%{d2r-}.x.example/24//64 ip4:192.0.2.0/24 "
                                "ip6:2001:db8::/32 exists:%{i} redirect=r.example foo=%{c}";
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        char *copy = malloc(n + (n == 0));
        memcpy(copy, whole, n);
        (void)parsed(str_make(copy, n));
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests_name("spf records", tests, NULL, NULL);
}
