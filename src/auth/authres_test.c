#include "auth/authres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* What was read, as "id/version method/version=result(reason) ptype.name<value>... | ...". */
static const char *
text_of(const struct authres *authres, char *out, size_t size)
{
    size_t n =
        (size_t)snprintf(out, size, "%.*s/%u", STR_ARG(authres->authserv_id), authres->version);
    for (size_t i = 0; i < authres->result_count; i++) {
        const struct authres_result *r = &authres->results[i];
        n += (size_t)snprintf(out + n, size - n, " | %.*s/%u=%.*s", STR_ARG(r->method), r->version,
                              STR_ARG(r->result));
        if (r->reason.n > 0) {
            n += (size_t)snprintf(out + n, size - n, "(%.*s)", STR_ARG(r->reason));
        }
        for (size_t j = 0; j < r->property_count; j++) {
            n += (size_t)snprintf(out + n, size - n, " %.*s.%.*s<%.*s>",
                                  STR_ARG(r->properties[j].ptype), STR_ARG(r->properties[j].name),
                                  STR_ARG(r->properties[j].value));
        }
    }
    return out;
}

static void
test_reads(void **state)
{
    static const struct {
        struct str value;
        unsigned deviations;
        const char *want;
    } cases[] = {
        /* RFC 8601 B.1 to B.7 */
        {STR_INIT(" example.org 1; none"), 0, "example.org/1"},
        {STR_INIT(" example.com;\r\n          spf=pass smtp.mailfrom=example.net"), 0,
         "example.com/1 | spf/1=pass smtp.mailfrom<example.net>"},
        {STR_INIT(" example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
                  " spf=pass smtp.mailfrom=example.net"),
         0,
         "example.com/1 | auth/1=pass smtp.auth<sender@example.net>"
         " | spf/1=pass smtp.mailfrom<example.net>"},
        {STR_INIT(" example.com;\r\n dkim=pass reason=\"good signature\"\r\n"
                  "   header.i=@mail-router.example.net"),
         0, "example.com/1 | dkim/1=pass(good signature) header.i<@mail-router.example.net>"},
        {STR_INIT(" foo.example.net (foobar) 1 (baz);\r\n"
                  "    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
                  "      policy (A dot can go here) . (like that) expired\r\n"
                  "      (this surprised me) = (as I wasn't expecting it) 1362471462"),
         0, "foo.example.net/1 | dkim/1=fail policy.expired<1362471462>"},
        /* other forms */
        {STR_INIT("a; SPF=Pass"), 0, "a/1 | SPF/1=Pass"},
        {STR_INIT("\"a b\\\"c\" 2;x=y"), 0, "a b\"c/2 | x/1=y"},
        {STR_INIT("(x(y)\\)z)a(b);none(c)"), 0, "a/1"},
        {STR_INIT("a;x=y reason=z p.q=\"r;s\" t.u=v"), 0, "a/1 | x/1=y(z) p.q<r;s> t.u<v>"},
        {STR_INIT("a;x=y p.q=\"r\r\n s\\\\\""), 0, "a/1 | x/1=y p.q<r s\\>"},
        {STR_INIT("a;x=y p.q=\"j k\"@l p.r=m/n=o@l"), 0, "a/1 | x/1=y p.q<\"j k\"@l> p.r<m/n=o@l>"},
        {STR_INIT("m\xc3\xb8x.example; dkim=pass header.d=m\xc3\xb8x.example (x)"), 0,
         "m\xc3\xb8x.example/1 | dkim/1=pass header.d<m\xc3\xb8x.example>"},
        {STR_INIT("a;x=y p.q=\"\""), 0, "a/1 | x/1=y p.q<>"},
        {STR_INIT("a;x/12=y"), 0, "a/1 | x/12=y"},
        /* departures that are let pass */
        {STR_INIT("a;x=y;"), AUTHRES_EMPTY_RESULT, "a/1 | x/1=y"},
        {STR_INIT("a;;x=y; ;"), AUTHRES_EMPTY_RESULT, "a/1 | x/1=y"},
        {STR_INIT("a;dmarc=pass action=none header.from=b"), AUTHRES_NO_PTYPE,
         "a/1 | dmarc/1=pass .action<none> header.from<b>"},
        {STR_INIT("a;x=y header.b=/a+b= p.i=2001:db8::1"), AUTHRES_LOOSE_VALUE,
         "a/1 | x/1=y header.b</a+b=> p.i<2001:db8::1>"},
        {STR_INIT("a;x_z=y"), AUTHRES_LOOSE_WORD, "a/1 | x_z/1=y"},
        {STR_INIT("a;x=y p.q=r reason=s"), AUTHRES_REASON_LATE, "a/1 | x/1=y(s) p.q<r>"},
        {STR_INIT("a;x=y reason=r reason=s"), AUTHRES_NO_PTYPE, "a/1 | x/1=y(r) .reason<s>"},
        /* one result that cannot be read, and the others */
        {STR_INIT("a;spf=pass smtp.mailfrom=;dkim=pass header.d=b"), AUTHRES_BROKEN_RESULT,
         "a/1 | dkim/1=pass header.d<b>"},
        {STR_INIT("a;dkim=;spf=pass smtp.mailfrom=b"), AUTHRES_BROKEN_RESULT,
         "a/1 | spf/1=pass smtp.mailfrom<b>"},
        {STR_INIT("a;z=y;x=;y=z;x= (c)"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y | y/1=z"},
        {STR_INIT("a;x=\"y\" p.q=r;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y p.q=r;spf=none smtp.mailfrom= (c;d);z=y"), AUTHRES_BROKEN_RESULT,
         "a/1 | x/1=y p.q<r> | z/1=y"},
        {STR_INIT("a;x=y p.q=r;spf=none smtp.mailfrom="), AUTHRES_BROKEN_RESULT,
         "a/1 | x/1=y p.q<r>"},
        {STR_INIT("a;x=y p.;z=y p.q=r"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y p.q<r>"},
        {STR_INIT("a;x=y p;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y reason;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y reason=;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y p.q=r p.;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y =r;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y p.q=r);z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y <p@q>;z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y p.=\"q;dmarc=pass\";z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
        {STR_INIT("a;x=y p.=(q;dmarc=pass);z=y"), AUTHRES_BROKEN_RESULT, "a/1 | z/1=y"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct authres authres;
        char got[1024] = "-";
        enum status status = authres_parse(arena, cases[i].value, &authres);
        if (status == STATUS_OK) {
            text_of(&authres, got, sizeof got);
        }
        if (strcmp(got, cases[i].want) != 0 || authres.deviations != cases[i].deviations) {
            fail_msg("%.*s: %s, \"%s\"", STR_ARG(cases[i].value), status_name(status), got);
        }
        arena_destroy(&arena);
    }
}

static void
test_refuses(void **state)
{
    static const struct str values[] = {
        STR_INIT(""),
        STR_INIT("   "),
        STR_INIT("a"),
        STR_INIT("a;"),
        STR_INIT("a 1"),
        STR_INIT("; none"),
        STR_INIT("\"\"; none"),
        STR_INIT("a/b; none"),
        STR_INIT("a b; none"),
        STR_INIT("a 99999; none"),
        STR_INIT("a1 x; none"),
        STR_INIT("\"a\"1; none"),
        STR_INIT("a; none; x=y"),
        STR_INIT("a; x=y; none"),
        STR_INIT("a; none=x y"),
        STR_INIT("dkim=pass header.d=b"),
        STR_INIT("a; dkim"),
        STR_INIT("a; dkim="),
        STR_INIT("a; =pass"),
        STR_INIT("a; x/=y"),
        STR_INIT("a; x/y=z"),
        STR_INIT("a; x=y p."),
        STR_INIT("a; x=y p.q"),
        STR_INIT("a; x=y p.q="),
        STR_INIT("a; x=y p.q=;"),
        STR_INIT("a; x=y p"),
        STR_INIT("a; x- =y"),
        STR_INIT("a; x=\"y\""),
        STR_INIT("a; x=y p.q=\"r"),
        STR_INIT("a; x=y (z"),
        STR_INIT("a; x=y )"),
        /* what follows may be part of what has no end */
        STR_INIT("a; z=y; x=y p.=\"q;dmarc=pass"),
        STR_INIT("a; z=y; x=y p.=(q;dmarc=pass"),
        STR_INIT("a; z=y; x=\"; y=z"),
        STR_INIT("a(; x=y"),
        STR_INIT("a; x=y\nb"),
        STR_INIT("a; x=y\r\n"),
        STR_INIT("a; x=y\r\nb"),
        STR_INIT("a; x=y\r b"),
        STR_INIT("a; x=y \0"),
        STR_INIT("a; x=y (\x7f)"),
        STR_INIT("a; x=y (\xff)"),
        STR_INIT("a; thehesiod.com; x=y"),
        STR_INIT("((((((((((((((((( x )))))))))))))))))a; x=y"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct arena *arena = arena_create(65536);
        struct authres authres = {.version = 77};
        enum status status = authres_parse(arena, values[i], &authres);
        if (status == STATUS_OK || authres.version != 77) {
            fail_msg("%.*s: %s", STR_ARG(values[i]), status_name(status));
        }
        arena_destroy(&arena);
    }
}

/* `count` times `each` behind "a;". */
static enum status
parse_repeated(const char *first, const char *each, size_t count)
{
    struct arena *arena = arena_create(1u << 20);
    size_t size = strlen(each);
    char *text = arena_alloc(arena, strlen(first) + count * size + 1);
    size_t n = strlen(first);
    struct authres authres;
    memcpy(text, first, n);
    for (size_t i = 0; i < count; i++, n += size) {
        memcpy(text + n, each, size);
    }
    enum status status = authres_parse(arena, str_make(text, n), &authres);
    arena_destroy(&arena);
    return status;
}

static void
test_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("a", ";x=y", AUTHRES_RESULTS_MAX), STATUS_OK);
    assert_int_equal(parse_repeated("a", ";x=y", AUTHRES_RESULTS_MAX + 1), STATUS_LIMIT);
    assert_int_equal(parse_repeated("a;x=y", " p.q=r", AUTHRES_PROPERTIES_MAX), STATUS_OK);
    assert_int_equal(parse_repeated("a;x=y", " p.q=r", AUTHRES_PROPERTIES_MAX + 1), STATUS_LIMIT);
    assert_int_equal(parse_repeated("a;x=y", " ", AUTHRES_SIZE_MAX - 5), STATUS_OK);
    assert_int_equal(parse_repeated("a;x=y", " ", AUTHRES_SIZE_MAX - 4), STATUS_LIMIT);
}

static void
test_finds(void **state)
{
    struct arena *arena = arena_create(65536);
    struct authres authres;
    size_t from = 0;
    (void)state;
    assert_int_equal(
        authres_parse(arena, STR("a; spf=fail; DMARC=pass Header.From=B; spf=none"), &authres),
        STATUS_OK);
    const struct authres_result *dmarc = authres_find(&authres, STR("dmarc"), &from);
    assert_non_null(dmarc);
    assert_true(str_eq(authres_property_value(dmarc, STR("header"), STR("from")), STR("B")));
    assert_true(str_is_empty(authres_property_value(dmarc, STR("header"), STR("d"))));
    assert_null(authres_find(&authres, STR("dmarc"), &from));
    from = 0;
    assert_ptr_equal(authres_find(&authres, STR("spf"), &from), &authres.results[0]);
    assert_ptr_equal(authres_find(&authres, STR("spf"), &from), &authres.results[2]);
    arena_destroy(&arena);
}

#define A40  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A320 A40 A40 A40 A40 A40 A40 A40 A40

static void
test_writes_values(void **state)
{
    static const struct {
        struct str value;
        bool utf8;
        const char *want; /* what stands behind "p.q=", NULL: the property is left out */
    } cases[] = {
        {STR_INIT("example.com"), false, "example.com"},
        {STR_INIT("a@example.com"), false, "a@example.com"},
        {STR_INIT("@example.com"), false, "@example.com"},
        {STR_INIT("a/b=c@example.com"), false, "a/b=c@example.com"},
        {STR_INIT(""), false, "\"\""},
        {STR_INIT("a b"), false, "\"a b\""},
        {STR_INIT("\"a b\"@c"), false, "\"\\\"a b\\\"@c\""},
        {STR_INIT("a;b"), false, "\"a;b\""},
        {STR_INIT("a(b"), false, "\"a(b\""},
        {STR_INIT("a\\\"b"), false, "\"a\\\\\\\"b\""},
        {STR_INIT("a\r\nB: c"), false, "\"a??B: c\""},
        {STR_INIT("a\0b\tc\x7f"), false, "\"a?b?c?\""},
        {STR_INIT("a@[192.0.2.1]"), false, "\"a@[192.0.2.1]\""},
        {STR_INIT("2001:db8::1"), false, "\"2001:db8::1\""},
        {STR_INIT("m\xc3\xb8x.example"), false, "xn--mx-lka.example"},
        {STR_INIT("m\xc3\xb8x.example"), true, "m\xc3\xb8x.example"},
        {STR_INIT("\xc3\xb8@m\xc3\xb8x.example"), false, "??@xn--mx-lka.example"},
        {STR_INIT("\xc3\xb8@m\xc3\xb8x.example"), true, "\xc3\xb8@m\xc3\xb8x.example"},
        {STR_INIT("x\0y@m\xc3\xb8x.example"), false, "x?y@xn--mx-lka.example"},
        {STR_INIT("a\xff"), true, "\"a?\""},
        {STR_INIT("a\xc2\x85z\xe2\x80\xa8z"), true, "\"a?z?z\""},
        {STR_INIT(A320), false, A320},
        {STR_INIT(A320 "a"), false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct authres_property p = {STR("p"), STR("q"), cases[i].value};
        struct authres_result r = {
            .method = STR("x"), .result = STR("y"), .properties = &p, .property_count = 1};
        struct authres authres = {.authserv_id = STR("a"), .results = &r, .result_count = 1};
        struct str got;
        char want[512];
        assert_int_equal(authres_write(arena, &authres,
                                       &(struct authres_write_options){.utf8 = cases[i].utf8},
                                       &got),
                         STATUS_OK);
        size_t n = (size_t)snprintf(want, sizeof want, "a;\r\n x=y%s%s",
                                    cases[i].want != NULL ? " p.q=" : "",
                                    cases[i].want != NULL ? cases[i].want : "");
        bool folded = n > 90 && cases[i].want != NULL; /* the long value has its own line */
        if (folded) {
            snprintf(want, sizeof want, "a;\r\n x=y\r\n p.q=%s", cases[i].want);
        }
        if (!str_eq(got, str_from_cstr(want))) {
            fail_msg("%zu: \"%.*s\"", i, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

static void
test_writes_fields(void **state)
{
    static const struct authres_property properties[] = {
        {STR_INIT("header"), STR_INIT("d"), STR_INIT("newyork.example.com")},
        {STR_INIT("header"), STR_INIT("s"), STR_INIT("selector-of-some-length")},
        {STR_INIT("header"), STR_INIT("b"), STR_INIT("oINEO8hg")},
    };
    static const struct authres_result results[] = {
        {STR_INIT("dkim"), 1, STR_INIT("pass"), STR_INIT("2048 (bits)"), STR_INIT("good signature"),
         properties, 3},
        {STR_INIT("x"), 2, STR_INIT("fail"), STR_INIT(""), STR_INIT(""), NULL, 0},
    };
    struct authres authres = {STR("mx.example.org"), 1, results, 2, 0};
    struct arena *arena = arena_create(65536);
    struct str got;
    (void)state;
    assert_int_equal(authres_write(arena, &authres, &(struct authres_write_options){0}, &got),
                     STATUS_OK);
    assert_string_equal(arena_cstr(arena, got),
                        "mx.example.org;\r\n"
                        " dkim=pass (2048 \\(bits\\)) reason=\"good signature\"\r\n"
                        " header.d=newyork.example.com header.s=selector-of-some-length\r\n"
                        " header.b=oINEO8hg;\r\n"
                        " x/2=fail");
    authres.result_count = 0;
    assert_int_equal(
        authres_write(arena, &authres, &(struct authres_write_options){.instance = 3}, &got),
        STATUS_OK);
    assert_string_equal(arena_cstr(arena, got), "i=3; mx.example.org; none");
    arena_destroy(&arena);
}

static void
test_does_not_write(void **state)
{
    static const struct authres_property bad_name = {STR_INIT("p"), STR_INIT("q r"), STR_INIT("s")};
    static const struct authres_result results[] = {
        {STR_INIT("x y"), 1, STR_INIT("pass"), STR_INIT(""), STR_INIT(""), NULL, 0},
        {STR_INIT("x"), 1, STR_INIT(""), STR_INIT(""), STR_INIT(""), NULL, 0},
        {STR_INIT("x"), 1, STR_INIT("pass;"), STR_INIT(""), STR_INIT(""), NULL, 0},
        {STR_INIT("x"), 1, STR_INIT("pass"), STR_INIT(""), STR_INIT(""), &bad_name, 1},
    };
    struct arena *arena = arena_create(1u << 20);
    struct authres authres = {STR("a"), 1, NULL, 1, 0};
    struct str got = STR("untouched");
    (void)state;
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        authres.results = &results[i];
        assert_int_equal(authres_write(arena, &authres, &(struct authres_write_options){0}, &got),
                         STATUS_SYNTAX);
    }
    authres = (struct authres){.authserv_id = STR("")};
    assert_int_equal(authres_write(arena, &authres, &(struct authres_write_options){0}, &got),
                     STATUS_SYNTAX);
    assert_true(str_eq(got, STR("untouched")));
    arena_destroy(&arena);
}

/* A long reason of hostile text: folded within its quotes, and read back as it was. */
static void
test_folds_and_reads_back(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct str reason = STR("  two  blanks \"quotes\" (comment; \\ and words enough for several "
                            "lines, with a blank   before each and all of it inside one string  ");
    struct authres_result r = {.method = STR("x"), .result = STR("y"), .reason = reason};
    struct authres authres = {.authserv_id = STR("a b"), .results = &r, .result_count = 1};
    struct authres back;
    struct str got;
    size_t column = strlen("Authentication-Results: ");
    (void)state;
    assert_int_equal(authres_write(arena, &authres, &(struct authres_write_options){0}, &got),
                     STATUS_OK);
    for (size_t i = 0; i < got.n; i++) {
        column = got.p[i] == '\n' ? 0 : column + (got.p[i] != '\r');
        assert_true(column <= 78);
    }
    assert_int_equal(authres_parse(arena, got, &back), STATUS_OK);
    assert_int_equal(back.deviations, 0);
    assert_true(str_eq(back.authserv_id, STR("a b")));
    assert_true(str_eq(back.results[0].reason, reason));
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),          cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_finds),
        cmocka_unit_test(test_writes_values),  cmocka_unit_test(test_writes_fields),
        cmocka_unit_test(test_does_not_write), cmocka_unit_test(test_folds_and_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
