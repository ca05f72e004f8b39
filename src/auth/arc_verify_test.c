#include "auth/arc_verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/test_chain.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct str plain = STR_INIT("From: Alice <alice@a.example>\r\n"
                                         "To: bob@b.example\r\n"
                                         "Subject: one\r\n"
                                         "\r\n"
                                         "Hello.\r\n");
static const struct str results = STR_INIT("mx.example; dmarc=pass header.from=a.example");

/* The message after `count` hops that change nothing. */
static struct str
after_hops(struct test_chain *chain, size_t count)
{
    struct str message = plain;
    for (size_t i = 0; i < count; i++) {
        message = test_chain_seal(chain, message, message,
                                  i % 2 == 0 ? STR("odd.example") : STR("even.example"), results);
    }
    return message;
}

static void
check(struct test_chain *chain, struct str message, const char *want)
{
    struct arc_verification verification = test_chain_verify(chain, message);
    assert_string_equal(test_chain_text(chain, &verification), want);
}

static void
test_good_chains(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    check(&chain, plain, "none 0");
    check(&chain, after_hops(&chain, 1), "pass 0");
    struct str message = after_hops(&chain, 3);
    chain.questions = 0;
    struct arc_verification verification = test_chain_verify(&chain, message);
    assert_string_equal(test_chain_text(&chain, &verification), "pass 0");
    assert_int_equal(chain.questions, 2); /* of two sealers */
    assert_int_equal(verification.chain.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct arc_set_verdict *verdict = &verification.sets[i];
        assert_int_equal(verdict->set->instance, i + 1);
        assert_int_equal(verdict->seal, ARC_CHECK_PASS);
        assert_int_equal(verdict->signature, ARC_CHECK_PASS);
        assert_int_equal(verdict->set->seal.cv, i == 0 ? ARC_CV_NONE : ARC_CV_PASS);
        assert_true(
            str_eq(verdict->set->seal.domain, i == 1 ? STR("even.example") : STR("odd.example")));
        assert_true(verdict->has_results);
        assert_int_equal(verdict->results.result_count, 1);
    }
    test_chain_close(&chain);
}

/* A hop that changes the message and seals it: good, and oldest_pass tells where. */
static void
test_changed_on_the_way(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str received = after_hops(&chain, 2);
    struct str changed = test_chain_replace(&chain, received, "Hello.", "Hello. Goodbye.");
    struct str message = test_chain_seal(&chain, changed, received, STR("list.example"), results);
    check(&chain, message, "pass 3");
    message = test_chain_seal(&chain, message, message, STR("odd.example"), results);
    check(&chain, message, "pass 3");
    test_chain_close(&chain);
}

static void
test_bad_chains(void **state)
{
    static const struct {
        const char *what;
        const char *with;
        const char *want;
    } cases[] = {
        {"Hello.", "Hallo.", "fail 2 the body was altered"},
        {"alice@a", "mallory@a",
         "fail 2 the signature of the message does not fit: its header was changed"},
        {"From: Alice", "From: Eve <eve@a.example>\r\nFrom: Alice",
         "fail 2 the signature of the message does not fit: its header was changed"},
        {"dmarc=pass", "dmarc=fail",
         "fail 2 the seal does not fit: a field of the chain was changed"},
        {"cv=pass", "cv=none", "fail 2 a seal does not say cv=pass"},
        {"cv=none", "cv=pass", "fail 1 the first seal does not say cv=none"},
        {"cv=pass", "cv=fail", "fail 2 the newest seal says that the chain had failed (cv=fail)"},
        {"cv=none", "cv=fail", "fail 1 the first seal does not say cv=none"},
        {"cv=none", "cv=maybe", "fail 1 the seal does not say how the chain was (cv=)"},
        {"ARC-Seal: i=2", "ARC-Seal: i=3", "fail 2 an ARC set lacks one of its fields"},
        {"ARC-Seal: i=2", "ARC-Seal: i=1", "fail 1 an ARC field occurs twice in a set"},
        {"ARC-Seal: i=2", "ARC-Seal: i=0", "fail 0 an ARC field has no instance (i=) from 1 to 50"},
        {"ARC-Seal: i=2", "X-Seal: i=2", "fail 2 an ARC set lacks one of its fields"},
        {"ARC-Seal: i=2", "ARC-Seal: h=from; i=2", "fail 2 the seal has a list of fields (h=)"},
        {"ARC-Seal: i=2; a=rsa-sha256", "ARC-Seal: i=2; a=ed25519-sha256",
         "fail 2 the algorithm of the seal (a=) is not rsa-sha256"},
    };
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str message = after_hops(&chain, 2);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(&chain, test_chain_replace(&chain, message, cases[i].what, cases[i].with),
              cases[i].want);
    }
    test_chain_close(&chain);
}

static void
test_dns(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str message = after_hops(&chain, 2);
    chain.outcome = DNS_OUTCOME_TIMEOUT;
    check(&chain, message, "temporary fail 2 the DNS did not answer for the key");
    chain.outcome = DNS_OUTCOME_NXDOMAIN;
    check(&chain, message, "fail 2 there is no key record");
    chain.outcome = DNS_OUTCOME_ANSWER;
    chain.broken = STR("odd.example");
    check(&chain, message, "temporary fail 1 the DNS did not answer for the key");
    chain.broken = STR("");
    chain.key_text = STR("v=DKIM1; p=");
    check(&chain, message, "fail 2 the key was revoked (p= is empty)");
    test_chain_close(&chain);
}

#define SIGNATURE "i=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=x; bh=%s; "
#define SEAL      "i=1; a=rsa-sha256; cv=none; d=a.example; s=x"

/* What our own sealer never writes. */
static void
test_tags(void **state)
{
    static const struct {
        const char *signature;
        const char *seal;
        const char *want;
    } cases[] = {
        {SIGNATURE "h=from", SEAL, "pass 0"},
        {SIGNATURE "h=from::to", SEAL, "pass 0"},
        {SIGNATURE "h=from; t=1699999999; x=1700000000", SEAL, "pass 0"},
        {SIGNATURE "h=from; t=1; x=1699999999", SEAL, "fail 1 the signature has expired (x=)"},
        {SIGNATURE "h=from; t=9; x=9", SEAL,
         "fail 1 the signature expires (x=) before it was made (t=)"},
        {SIGNATURE "h=from; t=now", SEAL, "fail 1 a time (t= or x=) is not a number"},
        {SIGNATURE "h=from; l=8", SEAL, "pass 0"},
        {SIGNATURE "h=from; l=7", SEAL, "fail 1 a part of the body is not signed (l=)"},
        {SIGNATURE "h=from; l=9", SEAL, "fail 1 the body is shorter than what was signed (l=)"},
        {SIGNATURE "h=subject", SEAL, "fail 1 the From field is not signed (h=)"},
        {SIGNATURE "h=from:arc-seal", SEAL,
         "fail 1 the list of signed fields (h=) names a field that may not be signed"},
        {SIGNATURE "h=from; q=dns/txt:other", SEAL, "pass 0"},
        {SIGNATURE "h=from", SEAL "; t=1; unknown=x", "pass 0"},
        {SIGNATURE "h=from", SEAL "; t=", "fail 1 the time of sealing (t=) is not a number"},
        {SIGNATURE "h=from", "i=1; a=rsa-sha256; cv=NONE; d=a.example; s=x", "pass 0"},
        {SIGNATURE "h=from", "i=01; a=rsa-sha256; cv=none; d=a.example; s=x", "pass 0"},
        {SIGNATURE "h=from", "i=1; a=rsa-sha1; cv=none; d=a.example; s=x",
         "fail 1 the algorithm of the seal (a=) is not rsa-sha256"},
        {SIGNATURE "h=from", "i=1; a=rsa-sha256; cv=none; d=a..example; s=x",
         "fail 1 the sealing domain (d=) is not a domain name"},
        {SIGNATURE "h=from", "i=1; a=rsa-sha256; cv=none; d=a.example",
         "fail 1 the selector of the seal (s=) is not a name"},
        {SIGNATURE "h=from", "i=1; a=rsa-sha256; cv=none; d=a.example; s=x; s=x",
         "fail 0 an ARC field has no instance (i=) from 1 to 50"},
        {"i=1; a=rsa-sha256; d=a.example; s=x; bh=%s; h=from", SEAL, "pass 0"},
        {"i=1; a=rsa-sha256; c=other; d=a.example; s=x; bh=%s; h=from", SEAL,
         "fail 1 the canonicalization (c=) is not known"},
    };
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str message = test_chain_by_hand(&chain, plain, cases[i].signature, cases[i].seal);
        struct arc_verification verification = test_chain_verify(&chain, message);
        const char *got = test_chain_text(&chain, &verification);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("%s | %s: %s", cases[i].signature, cases[i].seal, got);
        }
    }
    test_chain_close(&chain);
}

/* An empty place in h= does not stand for a line that is no field. */
static void
test_empty_name(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str message = test_chain_replace(&chain, plain, "To:", "nonsense\r\nTo:");
    message = test_chain_by_hand(&chain, message, SIGNATURE "h=from::to", SEAL);
    check(&chain, message, "pass 0");
    test_chain_close(&chain);
}

/* The most sets that may be, one more, and the cost of refusing. */
static void
test_limit(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str message = after_hops(&chain, ARC_SETS_MAX);
    check(&chain, message, "pass 0");
    struct str unsealed = test_chain_seal(&chain, message, message, STR("odd.example"), results);
    assert_true(str_eq(unsealed, message));
    chain.questions = 0;
    struct str more =
        test_chain_replace(&chain, message, "ARC-Seal", "ARC-Seal: i=51; cv=pass\r\nARC-Seal");
    check(&chain, more, "fail 0 there are more than 50 ARC sets");
    struct str gap = test_chain_replace(&chain, message, "ARC-Seal: i=7;", "ARC-Seal: i=8;");
    check(&chain, gap, "fail 8 an ARC field occurs twice in a set");
    assert_int_equal(chain.questions, 0);
    test_chain_close(&chain);
}

static void
test_as_result(void **state)
{
    struct test_chain chain;
    struct authres_result result;
    struct str text;
    (void)state;
    test_chain_open(&chain);
    struct arc_verification verification = test_chain_verify(&chain, after_hops(&chain, 1));
    assert_int_equal(arc_authres(chain.arena, &verification, STR("192.0.2.1"), &result), STATUS_OK);
    struct authres authres = {.authserv_id = STR("mx"), .results = &result, .result_count = 1};
    assert_int_equal(
        authres_write(chain.arena, &authres, &(struct authres_write_options){0}, &text), STATUS_OK);
    assert_string_equal(arena_cstr(chain.arena, text),
                        "mx;\r\n arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1");
    test_chain_close(&chain);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_chains), cmocka_unit_test(test_changed_on_the_way),
        cmocka_unit_test(test_bad_chains),  cmocka_unit_test(test_dns),
        cmocka_unit_test(test_tags),        cmocka_unit_test(test_empty_name),
        cmocka_unit_test(test_limit),       cmocka_unit_test(test_as_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
