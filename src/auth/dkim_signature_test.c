#include "auth/dkim_signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define BH  "bh=LjkN2rUhrS3zKXfH2vNgUzz5ERRJkgP9CURXBX0JP0Q=; "
#define ALL "v=1; a=rsa-sha256; d=a.example; s=s1; h=from:to; " BH "b=YWJj"

static enum dkim_problem
parse(struct arena *arena, const char *text, unsigned flags, struct dkim_signature *signature)
{
    return dkim_signature_parse(arena, str_from_cstr(text), flags, signature);
}

static const struct {
    const char *text;
    enum dkim_problem want;
} problem_cases[] = {
    {ALL, DKIM_PROBLEM_NONE},
    {ALL "; unknown=x", DKIM_PROBLEM_NONE},
    {"", DKIM_PROBLEM_TAGS_SYNTAX},
    {ALL "; c", DKIM_PROBLEM_TAGS_SYNTAX},
    {ALL "; i=\xc3\xa9@a.example", DKIM_PROBLEM_TAGS_SYNTAX},
    {ALL "; v=1", DKIM_PROBLEM_TAGS_DUPLICATE},
    /* v= */
    {"a=rsa-sha256; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_TAG_MISSING},
    {"v=2; a=rsa-sha256; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_VERSION},
    {"v=1.0; a=rsa-sha256; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_VERSION},
    /* a= */
    {"v=1; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_TAG_MISSING},
    {"v=1; a=RSA-SHA256; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_NONE},
    {"v=1; a=ed25519-sha256; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_NONE},
    {"v=1; a=rsa-sha1; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_ALGORITHM_SHA1},
    {"v=1; a=rsa-sha512; d=a.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_ALGORITHM},
    /* b= and bh= */
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from; " BH "b=", DKIM_PROBLEM_SIGNATURE},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from; " BH "b=!", DKIM_PROBLEM_SIGNATURE},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from; " BH, DKIM_PROBLEM_TAG_MISSING},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=YWJj; b=YWJj", DKIM_PROBLEM_BODY_HASH},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=; b=YWJj", DKIM_PROBLEM_BODY_HASH},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from; b=YWJj", DKIM_PROBLEM_TAG_MISSING},
    /* c= */
    {ALL "; c=relaxed", DKIM_PROBLEM_NONE},
    {ALL "; c=relaxed/simple", DKIM_PROBLEM_NONE},
    {ALL "; c=", DKIM_PROBLEM_CANONICAL},
    {ALL "; c=relaxed/", DKIM_PROBLEM_CANONICAL},
    {ALL "; c=relaxed/relaxed/simple", DKIM_PROBLEM_CANONICAL},
    {ALL "; c=nofws", DKIM_PROBLEM_CANONICAL},
    /* d= and s= */
    {"v=1; a=rsa-sha256; d=com; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_DOMAIN},
    {"v=1; a=rsa-sha256; d=; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_DOMAIN},
    {"v=1; a=rsa-sha256; d=a..example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_DOMAIN},
    {"v=1; a=rsa-sha256; d=a.example.; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_DOMAIN},
    {"v=1; a=rsa-sha256; d=a b.example; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_DOMAIN},
    {"v=1; a=rsa-sha256; s=s; h=from; " BH "b=YWJj", DKIM_PROBLEM_TAG_MISSING},
    {"v=1; a=rsa-sha256; d=a.example; s=; h=from; " BH "b=YWJj", DKIM_PROBLEM_SELECTOR},
    {"v=1; a=rsa-sha256; d=a.example; s=a_b.c; h=from; " BH "b=YWJj", DKIM_PROBLEM_NONE},
    {"v=1; a=rsa-sha256; d=a.example; s=a/b; h=from; " BH "b=YWJj", DKIM_PROBLEM_SELECTOR},
    {"v=1; a=rsa-sha256; d=a.example; h=from; " BH "b=YWJj", DKIM_PROBLEM_TAG_MISSING},
    /* h= */
    {"v=1; a=rsa-sha256; d=a.example; s=s; " BH "b=YWJj", DKIM_PROBLEM_TAG_MISSING},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=to; " BH "b=YWJj", DKIM_PROBLEM_NAMES_FROM},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=; " BH "b=YWJj", DKIM_PROBLEM_NAMES},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from:; " BH "b=YWJj", DKIM_PROBLEM_NAMES},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=from:a b; " BH "b=YWJj", DKIM_PROBLEM_NAMES},
    {"v=1; a=rsa-sha256; d=a.example; s=s; h=to :\r\n FROM; " BH "b=YWJj", DKIM_PROBLEM_NONE},
    /* i= */
    {ALL "; i=@a.example", DKIM_PROBLEM_NONE},
    {ALL "; i=joe@A.Example", DKIM_PROBLEM_NONE},
    {ALL "; i=joe=40x@b.a.example", DKIM_PROBLEM_NONE},
    {ALL "; i=joe@ba.example", DKIM_PROBLEM_IDENTITY},
    {ALL "; i=joe@example", DKIM_PROBLEM_IDENTITY},
    {ALL "; i=a.example", DKIM_PROBLEM_IDENTITY},
    {ALL "; i=joe=4@a.example", DKIM_PROBLEM_IDENTITY},
    {ALL "; i=joe=0A@a.example", DKIM_PROBLEM_IDENTITY},
    {ALL "; i=", DKIM_PROBLEM_IDENTITY},
    /* l= */
    {ALL "; l=0", DKIM_PROBLEM_NONE},
    {ALL "; l=99999999999999999999999999", DKIM_PROBLEM_NONE},
    {ALL "; l=", DKIM_PROBLEM_LENGTH},
    {ALL "; l=-1", DKIM_PROBLEM_LENGTH},
    {ALL "; l=1 0", DKIM_PROBLEM_LENGTH},
    /* q= */
    {ALL "; q=dns/txt", DKIM_PROBLEM_NONE},
    {ALL "; q=other : dns/txt", DKIM_PROBLEM_NONE},
    {ALL "; q=http", DKIM_PROBLEM_QUERY},
    {ALL "; q=dns/special", DKIM_PROBLEM_QUERY},
    /* t= and x= */
    {ALL "; t=1; x=2", DKIM_PROBLEM_NONE},
    {ALL "; t=2; x=2", DKIM_PROBLEM_TIME_ORDER},
    {ALL "; t=3; x=2", DKIM_PROBLEM_TIME_ORDER},
    {ALL "; t=", DKIM_PROBLEM_TIME},
    {ALL "; x=-1", DKIM_PROBLEM_TIME},
    {ALL "; t=1234567890123", DKIM_PROBLEM_TIME},
};

static void
test_problems(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problem_cases); i++) {
        struct dkim_signature signature;
        enum dkim_problem got = parse(arena, problem_cases[i].text, 0, &signature);
        if (got != problem_cases[i].want) {
            fail_msg("\"%s\": got %s, want %s", problem_cases[i].text, dkim_problem_name(got),
                     dkim_problem_name(problem_cases[i].want));
        }
    }
    arena_destroy(&arena);
}

static void
test_values(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct dkim_signature got;
    (void)state;
    assert_int_equal(parse(arena,
                           " v=1; a=ed25519-sha256; c=relaxed; d=A.Example;\r\n s=S1._x;"
                           " i=joe=3Dx @\r\n Sub.a.example; t=17; x=18; l=5; h=From : To:from; "
                           "b= YW\r\n Jj ; " BH,
                           0, &got),
                     DKIM_PROBLEM_NONE);
    assert_int_equal(got.algorithm, CRYPTO_ED25519_SHA256);
    assert_int_equal(got.head, CANONICAL_RELAXED);
    assert_int_equal(got.body, CANONICAL_SIMPLE);
    assert_true(str_eq(got.domain, STR("a.example")));
    assert_true(str_eq(got.selector, STR("s1._x")));
    assert_true(str_eq(got.identity, STR("joe=x@sub.a.example")));
    assert_true(got.identity_below);
    assert_int_equal(got.name_count, 3);
    assert_true(str_eq(got.names[1], STR("To")));
    assert_true(str_eq(got.signature, STR("abc")));
    assert_true(str_eq(got.signature_raw, STR(" YW\r\n Jj ")));
    assert_int_equal(got.length, 5);
    assert_int_equal(got.time, 17);
    assert_int_equal(got.expires, 18);
    assert_int_equal(parse(arena, ALL, 0, &got), DKIM_PROBLEM_NONE);
    assert_true(str_eq(got.identity, STR("@a.example")));
    assert_false(got.identity_below);
    assert_true(got.length == CANONICAL_NO_LIMIT);
    assert_true(got.time == DKIM_NO_TIME && got.expires == DKIM_NO_TIME);
    /* With a problem, people are told whose it is. */
    assert_int_equal(parse(arena, "v=1; a=x; d=a.example; s=s", 0, &got), DKIM_PROBLEM_ALGORITHM);
    assert_true(str_eq(got.domain, STR("a.example")) && str_eq(got.selector, STR("s")) &&
                str_eq(got.algorithm_text, STR("x")));
    arena_destroy(&arena);
}

/* RFC 8616 5: U-labels and UTF-8 in an internationalized message, but not in another. */
static void
test_utf8(void **state)
{
    static const char text[] = "v=1; a=rsa-sha256; d=m\xc3\xb8x.example; s=t\xc3\xa9st; "
                               "i=m\xc3\xb8x@A.m\xc3\xb8x.example; h=from; " BH "b=YWJj";
    struct arena *arena = arena_create(1u << 20);
    struct dkim_signature got;
    (void)state;
    assert_int_equal(parse(arena, text, 0, &got), DKIM_PROBLEM_TAGS_SYNTAX);
    assert_int_equal(parse(arena, text, DKIM_SIGNATURE_UTF8, &got), DKIM_PROBLEM_NONE);
    assert_true(str_eq(got.domain, STR("xn--mx-lka.example")));
    assert_true(str_eq(got.selector, STR("xn--tst-bma")));
    assert_true(str_eq(got.identity, STR("m\xc3\xb8x@a.xn--mx-lka.example")));
    arena_destroy(&arena);
}

/* RFC 8617 4.1.2 */
static void
test_arc(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct dkim_signature got;
    (void)state;
    assert_int_equal(parse(arena, "i=1; a=rsa-sha256; d=a.example; s=s; h=from; " BH "b=YWJj",
                           DKIM_SIGNATURE_ARC, &got),
                     DKIM_PROBLEM_NONE);
    assert_int_equal(got.identity.n, 0);
    assert_int_equal(parse(arena,
                           "i=1; a=rsa-sha256; d=a.example; s=s; h=from:Arc-Seal; " BH "b=YWJj",
                           DKIM_SIGNATURE_ARC, &got),
                     DKIM_PROBLEM_NAMES_FORBIDDEN);
    arena_destroy(&arena);
}

static void
test_time(void **state)
{
    static const struct {
        int64_t time;
        int64_t expires;
        enum dkim_problem want;
    } cases[] = {
        {DKIM_NO_TIME, DKIM_NO_TIME, DKIM_PROBLEM_NONE},
        {DKIM_NO_TIME, 1000000, DKIM_PROBLEM_NONE},
        {DKIM_NO_TIME, 999999, DKIM_PROBLEM_TIME_EXPIRED},
        {1000000 + DKIM_FUTURE_MAX_S, DKIM_NO_TIME, DKIM_PROBLEM_NONE},
        {1000001 + DKIM_FUTURE_MAX_S, DKIM_NO_TIME, DKIM_PROBLEM_TIME_FUTURE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct dkim_signature signature = {.time = cases[i].time,
                                                 .expires = cases[i].expires};
        assert_int_equal(dkim_signature_time(&signature, 1000000), cases[i].want);
        assert_int_equal(dkim_signature_time(&signature, DKIM_NO_TIME), DKIM_PROBLEM_NONE);
    }
}

static void
test_limits(void **state)
{
    static const struct {
        size_t names;
        enum dkim_problem want;
    } cases[] = {{DKIM_NAMES_MAX, DKIM_PROBLEM_NONE},
                 {DKIM_NAMES_MAX + 1, DKIM_PROBLEM_NAMES_LIMIT},
                 {20000, DKIM_PROBLEM_NAMES_LIMIT}};
    static char text[65536];
    struct arena *arena = arena_create(1u << 20);
    struct dkim_signature got;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t n = (size_t)snprintf(text, sizeof text,
                                    "v=1; a=rsa-sha256; d=a.example; s=s; b=YWJj; " BH "h=from");
        for (size_t name = 1; name < cases[i].names; name++) {
            n += (size_t)snprintf(text + n, sizeof text - n, ":a");
        }
        assert_int_equal(parse(arena, text, 0, &got), cases[i].want);
    }
    arena_destroy(&arena);
}

/* RFC 6376 5.4.2: from the bottom up, a name once more than its fields adds nothing. */
static void
test_header_hash(void **state)
{
    static const struct str message = STR_INIT("X: 1\r\nFrom: a\r\nX: 2\r\nTo: b\r\nX: 3\r\n\r\n");
    static const struct str names[] = {STR_INIT("x"),  STR_INIT("X"), STR_INIT("From"),
                                       STR_INIT("No"), STR_INIT("x"), STR_INIT("x")};
    static const struct mail_head_limits ample = {65536, 1000};
    const struct str raw = STR("S: b=yz;c=1\r\n");
    struct arena *arena = arena_create(1u << 20);
    struct mail_head head;
    uint8_t got[CANONICAL_HASH_SIZE];
    uint8_t want[CANONICAL_HASH_SIZE];
    (void)state;
    assert_int_equal(mail_head_parse(arena, message, &ample, &head), STATUS_OK);
    struct dkim_header_hash what = {.head = &head,
                                    .form = CANONICAL_RELAXED,
                                    .names = names,
                                    .name_count = COUNT_OF(names),
                                    .raw = raw,
                                    .without = str_head(str_skip(raw, 5), 2)};
    assert_int_equal(dkim_header_hash(arena, &what, got), STATUS_OK);
    assert_int_equal(crypto_hash(STR("x:3\r\nx:2\r\nfrom:a\r\nx:1\r\ns:b=;c=1"), want), STATUS_OK);
    assert_memory_equal(got, want, sizeof want);
    /* The signature's own field is none of them. */
    what.own = &head.fields[4];
    assert_int_equal(dkim_header_hash(arena, &what, got), STATUS_OK);
    assert_int_equal(crypto_hash(STR("x:2\r\nx:1\r\nfrom:a\r\ns:b=;c=1"), want), STATUS_OK);
    assert_memory_equal(got, want, sizeof want);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_utf8),        cmocka_unit_test(test_arc),
        cmocka_unit_test(test_time),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_header_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
