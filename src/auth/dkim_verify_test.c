#include "auth/dkim_verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_dkim.h"
#include "base/encode.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define HEAD                                                                                       \
    "From: Joe <joe@signer.example>\r\nTo: sue@b.example\r\nSubject: a  subject\r\n"               \
    "Date: Fri, 27 Nov 2026 09:00:00 +0000\r\n"
#define BODY "Hello,\r\n\r\n this is a  body.\r\n\r\n"

static const struct str message = STR_INIT(HEAD "\r\n" BODY);

static struct test_dkim world;
static struct str signed_message;

static int
setup(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    (void)state;
    test_dkim_open(&world, test_dkim_zone(arena, ""));
    arena_destroy(&arena);
    struct dkim_sign_request request = test_dkim_request(world.arena, message);
    signed_message = test_dkim_signed(world.arena, message, &request);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    test_dkim_close(&world);
    return 0;
}

/* With the first `from` replaced. */
static struct str
edited(struct str text, const char *from, const char *to)
{
    size_t at = str_find(text, str_from_cstr(from));
    assert_int_not_equal(at, STR_NPOS);
    return arena_printf(world.arena, "%.*s%s%.*s", (int)at, text.p, to,
                        STR_ARG(str_skip(text, at + strlen(from))));
}

/* What may happen to a message on its way, and what may not. */
static void
test_changes(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        const char *want;
    } cases[] = {
        {"DKIM-Signature", "DKIM-Signature", "pass pass"},
        {"DKIM-Signature", "Received: x\r\nDKIM-Signature", "pass pass"},
        {"Subject: a  subject", "SUBJECT:a\r\n subject ", "pass pass"},
        {"a  body.", "a \t body. \t", "pass pass"},
        {"body.\r\n\r\n", "body.", "pass pass"},
        {"body.\r\n\r\n", "body.\r\n \r\n\r\n", "pass pass"},
        {"a  body", "the body", "fail(body_changed) fail(body_changed)"},
        {"body.\r\n", "body.\r\nmore\r\n", "fail(body_changed) fail(body_changed)"},
        {"a  subject", "a subject.", "fail(signature_wrong) fail(signature_wrong)"},
        {"From: Joe", "From: Jim", "fail(signature_wrong) fail(signature_wrong)"},
        /* Oversigned: none can be added, above or below, where there was one or none. */
        {"From: Joe", "From: x@y.example\r\nFrom: Joe",
         "fail(signature_wrong) fail(signature_wrong)"},
        {"\r\nTo: sue", "\r\nReply-To: x@y.example\r\nTo: sue",
         "fail(signature_wrong) fail(signature_wrong)"},
        {"DKIM-Signature", "Content-Type: text/html\r\nDKIM-Signature",
         "fail(signature_wrong) fail(signature_wrong)"},
        {"DKIM-Signature", "Subject: x\r\nDKIM-Signature",
         "fail(signature_wrong) fail(signature_wrong)"},
        /* Only the first of the two fields is changed. */
        {"s=rsa;", "s=none;", "permerror(key_none) pass"},
        {"s=rsa;", "s=ed;", "permerror(key_type) pass"},
        {"v=1;", "v=2;", "permerror(version) pass"},
        {"a=rsa-sha256", "a=rsa-sha1", "permerror(algorithm_sha1) pass"},
        {"b=", "b=AAAA", "fail(signature_wrong) pass"},
        {"c=relaxed/relaxed", "c=simple/relaxed", "fail(signature_wrong) pass"},
        {"c=relaxed/relaxed", "c=relaxed/simple", "fail(body_changed) pass"},
        {"v=1;", "v=1; x=1;", "permerror(time_order) pass"},
        {"v=1;", "v=1; l=1000;", "permerror(length_over) pass"},
        {"v=1;", "v=1; l=3;", "fail(body_changed) pass"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *got =
            test_dkim_verdict(&world, edited(signed_message, cases[i].from, cases[i].to));
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("\"%s\" made \"%s\": got %s, want %s", cases[i].from, cases[i].to, got,
                     cases[i].want);
        }
    }
    assert_string_equal(test_dkim_verdict(&world, message), "");
}

/* Each octet of the message changed: only what relaxed forms overlook passes. */
static void
test_every_octet(void **state)
{
    struct dkim_sign_request request = test_dkim_request(world.arena, message);
    request.head_form = CANONICAL_SIMPLE;
    request.body_form = CANONICAL_SIMPLE;
    request.keys++;
    request.key_count = 1;
    struct str text = test_dkim_signed(world.arena, message, &request);
    size_t start = text.n - message.n;
    char *copy = arena_cstr(world.arena, text);
    (void)state;
    assert_non_null(copy);
    assert_string_equal(test_dkim_verdict(&world, text), "pass");
    for (size_t i = start; i < text.n; i++) {
        copy[i] ^= 1;
        const char *got = test_dkim_verdict(&world, str_make(copy, text.n));
        if (strcmp(got, "pass") == 0) {
            fail_msg("octet %zu changed, and it passes", i - start);
        }
        copy[i] ^= 1;
    }
}

/* What the record says against a signature that fits otherwise. */
static void
test_records(void **state)
{
    static const struct {
        const char *more;
        const char *want;
    } cases[] = {
        {"t=y;", "pass pass"},
        {"t=s;", "pass pass"},
        {"h=sha1;", "permerror(key_hash) permerror(key_hash)"},
        {"s=other;", "permerror(key_service) permerror(key_service)"},
        {"k=rsa;", "permerror(key_syntax) permerror(key_syntax)"},
    };
    struct arena *arena = arena_create(1u << 20);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_dkim other;
        test_dkim_open(&other, test_dkim_zone(arena, cases[i].more));
        assert_string_equal(test_dkim_verdict(&other, signed_message), cases[i].want);
        struct dkim_outcomes outcomes = test_dkim_outcomes(&other, signed_message);
        assert_int_equal(outcomes.items[0].testing, strcmp(cases[i].more, "t=y;") == 0);
        test_dkim_close(&other);
    }
    struct test_dkim sick;
    test_dkim_open(&sick, "{\"rsa._domainkey.signer.example\": [{\"type\": \"SERVFAIL\"}],"
                          " \"ed._domainkey.signer.example\": [{\"type\": \"TXT\", \"value\":"
                          " \"v=DKIM1; k=ed25519; p=\"}]}");
    assert_string_equal(test_dkim_verdict(&sick, signed_message),
                        "temperror(key_unavailable) permerror(key_revoked)");
    test_dkim_close(&sick);
    arena_destroy(&arena);
}

/* RFC 6376 6.1.2 step 4: one of several keys at a selector is the right one. */
static void
test_several_keys(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct str rsa = test_dkim_public(arena, CRYPTO_RSA_SHA256);
    struct str zone =
        arena_printf(arena,
                     "{\"rsa._domainkey.signer.example\": [{\"type\": \"TXT\", \"value\": \"p=\"},"
                     "  {\"type\": \"TXT\", \"value\": \"k=rsa; p=YWJj\"},"
                     "  {\"type\": \"TXT\", \"value\": \"k=rsa; p=%.*s\"}],"
                     " \"ed._domainkey.signer.example\": [{\"type\": \"TXT\", \"value\": \"p=\"},"
                     "  {\"type\": \"TXT\", \"value\": \"k=ed25519; p=YWJj\"}]}",
                     STR_ARG(rsa));
    struct test_dkim other;
    (void)state;
    test_dkim_open(&other, zone.p);
    assert_string_equal(test_dkim_verdict(&other, signed_message), "pass permerror(key_malformed)");
    test_dkim_close(&other);
    arena_destroy(&arena);
}

/* A domain with t=s does not sign for what is below it (RFC 6376 3.6.1). */
static void
test_strict(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct test_dkim other;
    struct dkim_sign_request request = test_dkim_request(world.arena, message);
    (void)state;
    request.identity = STR("joe@sub.signer.example");
    struct str text = test_dkim_signed(world.arena, message, &request);
    struct dkim_outcomes outcomes = test_dkim_outcomes(&world, text);
    assert_true(str_eq(outcomes.items[0].signature.identity, STR("joe@sub.signer.example")));
    assert_string_equal(test_dkim_verdict(&world, text), "pass pass");
    test_dkim_open(&other, test_dkim_zone(arena, "t=s;"));
    assert_string_equal(test_dkim_verdict(&other, text),
                        "permerror(key_strict) permerror(key_strict)");
    test_dkim_close(&other);
    arena_destroy(&arena);
}

/* RFC 6376 6.1.2 comes before 6.1.3: a key of which nothing can be made is told, whatever has
 * become of the body. */
static void
test_unusable_keys(void **state)
{
    static const struct {
        const char *record;
        bool ed25519;
        const char *want;
    } cases[] = {
        {"p=AAAA", false, "permerror(key_malformed)"},
        {"p=!", false, "permerror(key_malformed)"},
        /* 512 bits, the exponent 1, no RSAPublicKey, one of the other kind */
        {"p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALt4WR6ejp/O2XDsQ9ZGBcFg/"
         "09zRI96Q2yDEGiK5UBPTpLuwCWNPrTr"
         "MA+YQHTeLwb2yOfBlTm8MjKXV7mSYKcCAwEAAQ==",
         false, "permerror(key_small)"},
        {"p=MAYCAQECAQE=", false, "permerror(key_malformed)"},
        {"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", false, "permerror(key_malformed)"},
        {"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", false, "permerror(key_type)"},
        {"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==", true,
         "permerror(key_malformed)"},
        {"k=ed25519; p=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true,
         "permerror(key_malformed)"},
        {"k=ed25519; p=AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true,
         "permerror(key_malformed)"},
        {"k=ed25519; p=", true, "permerror(key_revoked)"},
        {"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", true, "fail(body_changed)"},
    };
    static const char *const bodies[] = {"a  body", "another body"};
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        const char *body = bodies[i % 2];
        struct test_dkim other;
        struct dkim_sign_request request = test_dkim_request(world.arena, message);
        request.keys += cases[i / 2].ed25519 ? 1 : 0;
        request.key_count = 1;
        struct str text = test_dkim_signed(world.arena, message, &request);
        test_dkim_open(&other,
                       arena_printf(world.arena,
                                    "{\"%s._domainkey.signer.example\": [{\"type\": "
                                    "\"TXT\", \"value\": \"%s\"}]}",
                                    cases[i / 2].ed25519 ? "ed" : "rsa", cases[i / 2].record)
                           .p);
        const char *got = test_dkim_verdict(&other, edited(text, "a  body", body));
        bool usable = strcmp(cases[i / 2].want, "fail(body_changed)") == 0;
        const char *want = usable && i % 2 == 0 ? "fail(signature_wrong)" : cases[i / 2].want;
        if (strcmp(got, want) != 0) {
            fail_msg("%s, \"%s\": got %s, want %s", cases[i / 2].record, body, got, want);
        }
        test_dkim_close(&other);
    }
}

/* l=: what is beyond it may be anything, and is no base for DMARC. Ours never has one, so the field
 * is made by hand. */
static void
test_length(void **state)
{
    static const struct {
        const char *body;
        const char *want;
        uint64_t uncovered;
        bool authenticates;
    } cases[] = {
        {"Hello\r\n", "pass", 0, true},
        {"Hello\r\n\r\n\r\n", "pass", 0, true},
        {"Hello\r\nmore\r\n", "pass", 6, false},
        {"Hell\r\n", "permerror(length_over)", 0, false},
        {"Jello\r\nmore\r\n", "fail(body_changed)", 6, false},
    };
    static const struct mail_head_limits ample = {65536, 1000};
    static const struct str head = STR_INIT("From: joe@signer.example\r\n");
    static const struct str from = STR_INIT("From");
    uint8_t hash[CANONICAL_HASH_SIZE];
    struct mail_head parsed;
    struct buf signature;
    (void)state;
    assert_int_equal(crypto_hash(STR("Hello\r\n"), hash), STATUS_OK);
    struct str bh = base64_encode(world.arena, str_make((const char *)hash, sizeof hash));
    struct str field =
        arena_printf(world.arena,
                     "DKIM-Signature: v=1; a=ed25519-sha256; d=signer.example; s=ed; l=7; "
                     "c=relaxed/simple; h=From; bh=%.*s; b=",
                     STR_ARG(bh));
    assert_int_equal(mail_head_parse(world.arena, head, &ample, &parsed), STATUS_OK);
    const struct dkim_header_hash what = {.head = &parsed,
                                          .form = CANONICAL_RELAXED,
                                          .names = &from,
                                          .name_count = 1,
                                          .raw = field,
                                          .without = str_skip(field, field.n)};
    assert_int_equal(dkim_header_hash(world.arena, &what, hash), STATUS_OK);
    buf_init(&signature, CRYPTO_SIGNATURE_MAX);
    assert_int_equal(private_key_sign(test_dkim_key(CRYPTO_ED25519_SHA256),
                                      str_make((const char *)hash, sizeof hash), &signature),
                     STATUS_OK);
    struct str b = base64_encode(world.arena, buf_str(&signature));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str text = arena_printf(world.arena, "%.*s%.*s\r\n%.*s\r\n%s", STR_ARG(field),
                                       STR_ARG(b), STR_ARG(head), cases[i].body);
        assert_string_equal(test_dkim_verdict(&world, text), cases[i].want);
        struct dkim_outcome outcome = test_dkim_outcomes(&world, text).items[0];
        assert_int_equal(outcome.body_uncovered, cases[i].uncovered);
        assert_int_equal(outcome.body_limited, cases[i].uncovered > 0);
        assert_int_equal(dkim_outcome_authenticates(&outcome), cases[i].authenticates);
        assert_int_equal(dkim_outcome_reported(&outcome),
                         outcome.result == DKIM_RESULT_PASS && !cases[i].authenticates
                             ? DKIM_RESULT_POLICY
                             : outcome.result);
    }
    buf_free(&signature);
}

/* However many signatures: work for ten, a word for a hundred, a question for each selector. */
static void
test_many(void **state)
{
    struct buf text;
    struct str field = str_head(signed_message, str_find(signed_message, STR("\r\nDKIM")) + 2);
    size_t before = dns_zone_questions(world.zone);
    (void)state;
    buf_init(&text, 1u << 20);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(buf_append(&text, field), STATUS_OK);
    }
    assert_int_equal(buf_append(&text, message), STATUS_OK);
    struct dkim_outcomes outcomes = test_dkim_outcomes(&world, buf_str(&text));
    assert_int_equal(outcomes.total, 200);
    assert_int_equal(outcomes.count, DKIM_OUTCOMES_MAX);
    for (size_t i = 0; i < outcomes.count; i++) {
        bool looked_at = i < DKIM_SIGNATURES_MAX;
        assert_int_equal(outcomes.items[i].result,
                         looked_at ? DKIM_RESULT_PASS : DKIM_RESULT_POLICY);
    }
    assert_int_equal(dns_zone_questions(world.zone) - before, 1);
    buf_free(&text);
}

/* What anybody can put on top does not keep the author's from being verified. */
static void
test_crowded(void **state)
{
    static const struct {
        const char *field;
    } cases[] = {
        {"DKIM-Signature: junk\r\n"},
        {"DKIM-Signature: v=1; a=rsa-sha256; d=stranger.example; s=x; h=From; "
         "bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA\r\n"},
        {"DKIM-Signature: v=1; a=rsa-sha256; d=sub.signer.example; s=x; h=From; "
         "bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        buf_init(&text, 1u << 20);
        for (size_t k = 0; k < 2 * DKIM_SIGNATURES_MAX; k++) {
            assert_int_equal(buf_append(&text, str_from_cstr(cases[i].field)), STATUS_OK);
        }
        assert_int_equal(buf_append(&text, signed_message), STATUS_OK);
        struct dkim_outcomes outcomes = test_dkim_outcomes(&world, buf_str(&text));
        assert_int_equal(outcomes.count, 2 * DKIM_SIGNATURES_MAX + 2);
        size_t not_looked_at = 0;
        for (size_t k = 0; k < outcomes.count; k++) {
            not_looked_at += outcomes.items[k].problem == DKIM_PROBLEM_COUNT ? 1 : 0;
        }
        /* the two that pass, and as many of the others as there is room for */
        assert_int_equal(not_looked_at, i == 0 ? 0 : DKIM_SIGNATURES_MAX + 2);
        assert_int_equal(outcomes.items[outcomes.count - 2].result, DKIM_RESULT_PASS);
        assert_int_equal(outcomes.items[outcomes.count - 1].result, DKIM_RESULT_PASS);
        buf_free(&text);
    }
}

static void
test_best(void **state)
{
    static const struct {
        enum dkim_result items[3];
        size_t count;
        enum dkim_result want;
    } cases[] = {
        {{0}, 0, DKIM_RESULT_NONE},
        {{DKIM_RESULT_PERMERROR, DKIM_RESULT_PASS, DKIM_RESULT_FAIL}, 3, DKIM_RESULT_PASS},
        {{DKIM_RESULT_PERMERROR, DKIM_RESULT_TEMPERROR, DKIM_RESULT_FAIL}, 3, DKIM_RESULT_FAIL},
        {{DKIM_RESULT_PERMERROR, DKIM_RESULT_TEMPERROR}, 2, DKIM_RESULT_TEMPERROR},
        {{DKIM_RESULT_POLICY, DKIM_RESULT_PERMERROR}, 2, DKIM_RESULT_PERMERROR},
        {{DKIM_RESULT_POLICY}, 1, DKIM_RESULT_POLICY},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dkim_outcome items[3] = {0};
        for (size_t k = 0; k < cases[i].count; k++) {
            items[k].result = cases[i].items[k];
        }
        const struct dkim_outcomes outcomes = {.items = items, .count = cases[i].count};
        assert_int_equal(dkim_outcomes_best(&outcomes), cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unusable_keys), cmocka_unit_test(test_changes),
        cmocka_unit_test(test_every_octet),   cmocka_unit_test(test_records),
        cmocka_unit_test(test_several_keys),  cmocka_unit_test(test_strict),
        cmocka_unit_test(test_length),        cmocka_unit_test(test_many),
        cmocka_unit_test(test_crowded),       cmocka_unit_test(test_best),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
