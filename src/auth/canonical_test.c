#include "auth/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/crypto.h"
#include "base/random.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void
append_sink(void *ctx, const char *p, size_t n)
{
    assert_int_equal(buf_append(ctx, str_make(p, n)), STATUS_OK);
}

/* The canonical body of `in`, cut at two places. */
static void
body_of(enum canonical form, uint64_t limit, struct str in, const size_t cuts[2], struct buf *out)
{
    struct canonical_body body;
    buf_clear(out);
    canonical_body_init(&body, form, limit, append_sink, out);
    canonical_body_feed(&body, str_head(in, cuts[0]));
    canonical_body_feed(&body, str_skip(str_head(in, cuts[1]), cuts[0]));
    canonical_body_feed(&body, str_skip(in, cuts[1]));
    canonical_body_finish(&body);
    if (limit == CANONICAL_NO_LIMIT) {
        assert_int_equal(body.length, buf_length(out));
    }
}

struct body_case {
    struct str in;
    struct str simple;
    struct str relaxed;
};

#define S STR_INIT

static const struct body_case bodies[] = {
    {S(""), S("\r\n"), S("")},
    {S("\r\n"), S("\r\n"), S("")},
    {S("\r\n\r\n\r\n"), S("\r\n"), S("")},
    {S(" \r\n\t\r\n"), S(" \r\n\t\r\n"), S("")},
    {S(" "), S(" \r\n"), S("")},
    {S("a"), S("a\r\n"), S("a\r\n")},
    {S("a\r\n"), S("a\r\n"), S("a\r\n")},
    {S("a\r\n\r\n"), S("a\r\n"), S("a\r\n")},
    {S("a\r\n\r\nb"), S("a\r\n\r\nb\r\n"), S("a\r\n\r\nb\r\n")},
    {S("\r\n\r\na\r\n"), S("\r\n\r\na\r\n"), S("\r\n\r\na\r\n")},
    /* RFC 6376 3.4.5 */
    {S(" C \r\nD \t E\r\n\r\n\r\n"), S(" C \r\nD \t E\r\n"), S(" C\r\nD E\r\n")},
    {S("a \r\n \r\n"), S("a \r\n \r\n"), S("a\r\n")},
    {S("a \r\n \r\nb"), S("a \r\n \r\nb\r\n"), S("a\r\n\r\nb\r\n")},
    {S("  a\t\tb  c"), S("  a\t\tb  c\r\n"), S(" a b c\r\n")},
    {S("a\tb"), S("a\tb\r\n"), S("a b\r\n")},
    {S("a "), S("a \r\n"), S("a\r\n")},
    {S("a\r\n "), S("a\r\n \r\n"), S("a\r\n")},
    {S("a\r"), S("a\r\r\n"), S("a\r\r\n")},
    {S("a\n"), S("a\n\r\n"), S("a\n\r\n")},
    {S("\n"), S("\n\r\n"), S("\n\r\n")},
    {S("\r"), S("\r\r\n"), S("\r\r\n")},
    {S("\r\r\n"), S("\r\r\n"), S("\r\r\n")},
    {S("a\r\r\n\r\nb"), S("a\r\r\n\r\nb\r\n"), S("a\r\r\n\r\nb\r\n")},
    {S("a \rb"), S("a \rb\r\n"), S("a \rb\r\n")},
    {S("a \r \r\n"), S("a \r \r\n"), S("a \r\r\n")},
    {S("a\r\n\n\r\n"), S("a\r\n\n\r\n"), S("a\r\n\n\r\n")},
    {S("a\n\r\n\r"), S("a\n\r\n\r\r\n"), S("a\n\r\n\r\r\n")},
    {S("\0 \0\r\n"), S("\0 \0\r\n"), S("\0 \0\r\n")},
    {S("0123456789abcdefghijklmnopqrst \r\nuvwxyz  0123456789 abc def \t\r\n"),
     S("0123456789abcdefghijklmnopqrst \r\nuvwxyz  0123456789 abc def \t\r\n"),
     S("0123456789abcdefghijklmnopqrst\r\nuvwxyz 0123456789 abc def\r\n")},
    {S("one two three four five six seven\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
       "\r\n\r\n\r\n\r\n\r\nend"),
     S("one two three four five six seven\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
       "\r\n\r\n\r\n\r\n\r\nend\r\n"),
     S("one two three four five six seven\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
       "\r\n\r\n\r\n\r\n\r\nend\r\n")},
};

/* Each body whole and cut at every two places gives the same. */
static void
test_bodies(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (int form = CANONICAL_SIMPLE; form <= CANONICAL_RELAXED; form++) {
            struct str want = form == CANONICAL_SIMPLE ? bodies[i].simple : bodies[i].relaxed;
            size_t n = bodies[i].in.n;
            size_t cuts[2];
            for (cuts[0] = 0; cuts[0] <= n; cuts[0]++) {
                for (cuts[1] = cuts[0]; cuts[1] <= n; cuts[1]++) {
                    body_of((enum canonical)form, CANONICAL_NO_LIMIT, bodies[i].in, cuts, &out);
                    if (!str_eq(buf_str(&out), want)) {
                        fail_msg("case %zu, form %d, cut at %zu and %zu: got \"%.*s\"", i, form,
                                 cuts[0], cuts[1], STR_ARG(buf_str(&out)));
                    }
                }
            }
        }
    }
    buf_free(&out);
}

/* Random bodies of the octets that matter: whole against octet by octet. */
static void
test_octet_by_octet(void **state)
{
    static const char alphabet[] = "ab  \t\r\n\r\n";
    struct buf whole;
    struct buf pieces;
    (void)state;
    buf_init(&whole, 4096);
    buf_init(&pieces, 4096);
    for (int round = 0; round < 4000; round++) {
        unsigned char random[128];
        char text[128];
        random_bytes(random, sizeof random);
        size_t n = random[0] % sizeof text;
        for (size_t i = 0; i < n; i++) {
            text[i] = alphabet[random[i] % (sizeof alphabet - 1)];
        }
        enum canonical form = round % 2 == 0 ? CANONICAL_SIMPLE : CANONICAL_RELAXED;
        body_of(form, CANONICAL_NO_LIMIT, str_make(text, n), (size_t[]){0, n}, &whole);
        struct canonical_body body;
        buf_clear(&pieces);
        canonical_body_init(&body, form, CANONICAL_NO_LIMIT, append_sink, &pieces);
        for (size_t i = 0; i < n; i++) {
            canonical_body_feed(&body, str_make(text + i, 1));
        }
        canonical_body_finish(&body);
        assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
    }
    buf_free(&whole);
    buf_free(&pieces);
}

/* "l=" counts octets of the canonical form; what it leaves out is counted all the same. */
static void
test_limit(void **state)
{
    static const struct {
        uint64_t limit;
        struct str want;
    } cases[] = {{0, S("")},
                 {1, S("a")},
                 {2, S("a ")},
                 {4, S("a b\r")},
                 {5, S("a b\r\n")},
                 {7, S("a b\r\n\r\n")},
                 {10, S("a b\r\n\r\nc\r\n")},
                 {11, S("a b\r\n\r\nc\r\n")}};
    static const struct str in = S("a  b \r\n\t\r\nc\r\n\r\n");
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t cut = 0; cut <= in.n; cut++) {
            struct canonical_body body;
            buf_clear(&out);
            canonical_body_init(&body, CANONICAL_RELAXED, cases[i].limit, append_sink, &out);
            canonical_body_feed(&body, str_head(in, cut));
            canonical_body_feed(&body, str_skip(in, cut));
            canonical_body_finish(&body);
            assert_true(str_eq(buf_str(&out), cases[i].want));
            assert_int_equal(body.length, 10);
        }
    }
    buf_free(&out);
}

static void
test_hash(void **state)
{
    static const struct str in = S("a  b \r\n\t\r\nc\r\n\r\n");
    uint8_t want[CANONICAL_HASH_SIZE];
    (void)state;
    assert_int_equal(crypto_hash(STR("a b\r\n\r\nc\r\n"), want), STATUS_OK);
    for (size_t cut = 0; cut <= in.n; cut++) {
        struct canonical_hash hash;
        uint8_t got[CANONICAL_HASH_SIZE];
        assert_int_equal(canonical_hash_init(&hash, CANONICAL_RELAXED, CANONICAL_NO_LIMIT),
                         STATUS_OK);
        canonical_hash_feed(&hash, str_head(in, cut));
        canonical_hash_feed(&hash, str_skip(in, cut));
        assert_int_equal(canonical_hash_finish(&hash, got), STATUS_OK);
        assert_memory_equal(got, want, sizeof want);
    }
}

static void
test_headers(void **state)
{
    static const struct {
        struct str raw;
        struct str relaxed;
    } cases[] = {
        /* RFC 6376 3.4.5 */
        {S("A: X\r\n"), S("a:X\r\n")},
        {S("B : Y\t\r\n\tZ  \r\n"), S("b:Y Z\r\n")},
        {S("Subject:\r\n"), S("subject:\r\n")},
        {S("Subject: \t \r\n"), S("subject:\r\n")},
        {S("Subject:\r\n a\r\n"), S("subject:a\r\n")},
        {S("S \t:a: b\r\n"), S("s:a: b\r\n")},
        {S("S: a"), S("s:a\r\n")},
        {S("S: \xc3\xa9  \xff\r\n"), S("s:\xc3\xa9 \xff\r\n")},
        {S("S: a\rb\nc\r\n"), S("s:a\rb\nc\r\n")},
    };
    struct buf out;
    (void)state;
    buf_init(&out, 256);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&out);
        assert_int_equal(canonical_header(CANONICAL_RELAXED, cases[i].raw, &out), STATUS_OK);
        assert_true(str_eq(buf_str(&out), cases[i].relaxed));
        buf_clear(&out);
        assert_int_equal(canonical_header(CANONICAL_SIMPLE, cases[i].raw, &out), STATUS_OK);
        assert_true(str_starts_with(cases[i].raw, str_head(buf_str(&out), buf_length(&out) - 2)));
        assert_true(str_ends_with(buf_str(&out), STR("\r\n")));
    }
    assert_int_equal(canonical_header(CANONICAL_RELAXED, STR("abc\r\n"), &out), STATUS_SYNTAX);
    assert_int_equal(canonical_header(CANONICAL_SIMPLE, STR("abc\r\n"), &out), STATUS_SYNTAX);
    buf_free(&out);
    buf_init(&out, 4);
    assert_int_equal(canonical_header(CANONICAL_RELAXED, STR("a: bcdef\r\n"), &out), STATUS_LIMIT);
    buf_free(&out);
}

static void
test_signature_headers(void **state)
{
    static const struct {
        struct str raw;
        size_t from;
        size_t to; /* what is taken out */
        struct str simple;
        struct str relaxed;
    } cases[] = {
        {S("S: a=1; b=xyz; c=2\r\n"), 10, 13, S("S: a=1; b=; c=2"), S("s:a=1; b=; c=2")},
        {S("S: a=1; b=xyz\r\n"), 10, 13, S("S: a=1; b="), S("s:a=1; b=")},
        {S("S: a=1;\r\n b=\r\n x\r\n y ;\r\n c\r\n"), 12, 21, S("S: a=1;\r\n b=;\r\n c"),
         S("s:a=1; b=; c")},
        {S("S:b=x"), 4, 5, S("S:b="), S("s:b=")},
    };
    struct buf out;
    (void)state;
    buf_init(&out, 256);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str raw = cases[i].raw;
        struct str without = str_make(raw.p + cases[i].from, cases[i].to - cases[i].from);
        for (int form = CANONICAL_SIMPLE; form <= CANONICAL_RELAXED; form++) {
            buf_clear(&out);
            assert_int_equal(canonical_signature_header((enum canonical)form, raw, without, &out),
                             STATUS_OK);
            struct str want = form == CANONICAL_SIMPLE ? cases[i].simple : cases[i].relaxed;
            if (!str_eq(buf_str(&out), want)) {
                fail_msg("case %zu, form %d: got \"%.*s\"", i, form, STR_ARG(buf_str(&out)));
            }
        }
    }
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),  cmocka_unit_test(test_octet_by_octet),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_hash),
        cmocka_unit_test(test_headers), cmocka_unit_test(test_signature_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
