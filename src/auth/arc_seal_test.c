#include "auth/arc_seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/test_chain.h"

static const struct str plain = STR_INIT("From: Alice <alice@a.example>\r\n"
                                         "DKIM-Signature: one\r\n"
                                         "DKIM-Signature: two\r\n"
                                         "Subject: one\r\n"
                                         "\r\n"
                                         "Hello.\r\n");
static const struct str results = STR_INIT("mx.example; spf=pass smtp.mailfrom=a.example");

/* The new set of a message; `edit` changes the settings before. */
static enum status
seal(struct test_chain *chain, struct str message, void (*edit)(struct arc_seal_settings *),
     struct arc_sealing *sealing)
{
    struct arc_verification verification = test_chain_verify(chain, message);
    struct arc_seal_settings settings = {.domain = STR("a.example"),
                                         .selector = STR("arc"),
                                         .signer = &chain->signer,
                                         .results = results,
                                         .now = TEST_CHAIN_NOW};
    if (edit != NULL) {
        edit(&settings);
    }
    return arc_seal(chain->arena, &chain->head, chain->body, &verification, &settings, sealing);
}

static void
test_fields(void **state)
{
    struct test_chain chain;
    struct arc_sealing sealing;
    (void)state;
    test_chain_open(&chain);
    assert_int_equal(seal(&chain, plain, NULL, &sealing), STATUS_OK);
    assert_int_equal(sealing.result, ARC_SEAL_DONE);
    assert_int_equal(sealing.instance, 1);
    assert_int_equal(sealing.cv, ARC_CV_NONE);
    assert_string_equal(arena_cstr(chain.arena, sealing.values[ARC_PART_RESULTS]),
                        "i=1; mx.example; spf=pass smtp.mailfrom=a.example");
    struct str signature = sealing.values[ARC_PART_SIGNATURE];
    struct str want =
        STR("i=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example;\r\n"
            " s=arc; t=1700000000; h=From:From:Subject:DKIM-Signature:DKIM-Signature; bh=\r\n"
            " ");
    assert_true(str_starts_with(signature, want));
    assert_true(str_starts_with(sealing.values[ARC_PART_SEAL],
                                STR("i=1; a=rsa-sha256; t=1700000000; cv=none; d=a.example; s=arc; "
                                    "b=")));
    for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_COUNT_; part++) {
        size_t column = strlen(arc_part_name(part)) + 2;
        for (size_t i = 0; i < sealing.values[part].n; i++) {
            column = sealing.values[part].p[i] == '\n' ? 0 : column + 1;
            assert_true(column <= 80); /* CR counted */
        }
    }
    test_chain_close(&chain);
}

/* RFC 8617 5.1.2: a set that ends a chain stands alone, and nothing is added to it. */
static void
test_failed_chain(void **state)
{
    struct test_chain chain;
    struct arc_sealing sealing;
    (void)state;
    test_chain_open(&chain);
    struct str message = test_chain_seal(&chain, plain, plain, STR("a.example"), results);
    message = test_chain_replace(&chain, message, "Hello", "Hallo");
    assert_int_equal(seal(&chain, message, NULL, &sealing), STATUS_OK);
    assert_int_equal(sealing.result, ARC_SEAL_DONE);
    assert_int_equal(sealing.instance, 2);
    assert_int_equal(sealing.cv, ARC_CV_FAIL);
    message = test_chain_seal(&chain, message, message, STR("a.example"), results);
    assert_int_equal(seal(&chain, message, NULL, &sealing), STATUS_OK);
    assert_int_equal(sealing.result, ARC_SEAL_ENDED);
    assert_int_equal(sealing.instance, 0);
    test_chain_close(&chain);
}

static void
with_other_headers(struct arc_seal_settings *settings)
{
    settings->headers = STR("subject:from");
}

static void
without_from(struct arc_seal_settings *settings)
{
    settings->headers = STR("subject:to");
}

static void
with_results_signed(struct arc_seal_settings *settings)
{
    settings->headers = STR("from:authentication-results");
}

static void
with_bad_results(struct arc_seal_settings *settings)
{
    settings->results = STR("mx.example; none\r\nX: y");
}

static void
without_domain(struct arc_seal_settings *settings)
{
    settings->domain = STR("");
}

static void
test_settings(void **state)
{
    static const struct {
        void (*edit)(struct arc_seal_settings *settings);
        enum status want;
    } cases[] = {
        {with_other_headers, STATUS_OK},      {without_from, STATUS_SYNTAX},
        {with_results_signed, STATUS_SYNTAX}, {with_bad_results, STATUS_SYNTAX},
        {without_domain, STATUS_SYNTAX},
    };
    struct test_chain chain;
    struct arc_sealing sealing;
    (void)state;
    test_chain_open(&chain);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(seal(&chain, plain, cases[i].edit, &sealing), cases[i].want);
    }
    test_chain_close(&chain);
}

static enum status
refuse(void *ctx, struct str hash, struct buf *signature_out)
{
    (void)ctx;
    (void)hash;
    (void)signature_out;
    return STATUS_TEMPORARY;
}

/* The signer may be away, and the verification must be the message's own. */
static void
test_failures(void **state)
{
    struct test_chain chain;
    struct arc_sealing sealing = {.instance = 77};
    struct arc_verification none;
    (void)state;
    test_chain_open(&chain);
    chain.signer.sign = refuse;
    assert_int_equal(seal(&chain, plain, NULL, &sealing), STATUS_TEMPORARY);
    assert_int_equal(sealing.instance, 77);
    chain.signer = private_key_signer(chain.key);
    none = test_chain_verify(&chain, plain);
    struct str sealed = test_chain_seal(&chain, plain, plain, STR("a.example"), results);
    (void)test_chain_verify(&chain, sealed);
    struct arc_seal_settings settings = {.domain = STR("a.example"),
                                         .selector = STR("arc"),
                                         .signer = &chain.signer,
                                         .results = results};
    assert_int_equal(arc_seal(chain.arena, &chain.head, chain.body, &none, &settings, &sealing),
                     STATUS_BUG);
    test_chain_close(&chain);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_failed_chain),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
