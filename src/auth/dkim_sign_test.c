#include "auth/dkim_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_dkim.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define FROM "From: joe@signer.example\r\n"

static struct test_dkim world;

static int
setup(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    (void)state;
    test_dkim_open(&world, test_dkim_zone(arena, ""));
    arena_destroy(&arena);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    test_dkim_close(&world);
    return 0;
}

/* Whatever the message is, what we sign verifies, in every form. */
static void
test_round_trips(void **state)
{
    static const struct str messages[] = {
        STR_INIT(FROM "\r\n"),
        STR_INIT(FROM "\r\nbody"),
        STR_INIT(FROM),
        STR_INIT("From: joe@signer.example"),
        STR_INIT(FROM "To: a@b, \r\n\tc@d\r\nTo: e@f\r\nX: y\r\n\r\n a \r\n\r\n\t\r\n.\r\n\r\n"),
        STR_INIT(
            "from:J\xc3\xb6rg <j\xc3\xb6rg@signer.example>\r\nSubject: \xff\xfe\r\n\r\n\xe9\r\n"),
        STR_INIT("no field\r\n" FROM "\r\n\0\r\n"),
        STR_INIT("DKIM-Signature: v=1\r\n" FROM "\r\nx\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        for (unsigned form = 0; form < 4; form++) {
            struct dkim_sign_request request = test_dkim_request(world.arena, messages[i]);
            request.head_form = (form & 1) != 0 ? CANONICAL_SIMPLE : CANONICAL_RELAXED;
            request.body_form = (form & 2) != 0 ? CANONICAL_SIMPLE : CANONICAL_RELAXED;
            struct str text = test_dkim_signed(world.arena, messages[i], &request);
            struct dkim_outcomes outcomes = test_dkim_outcomes(&world, text);
            assert_true(outcomes.count >= 2);
            for (size_t k = 0; k < 2; k++) {
                if (outcomes.items[k].result != DKIM_RESULT_PASS) {
                    fail_msg("message %zu, form %u: %s", i, form,
                             dkim_problem_name(outcomes.items[k].problem));
                }
            }
        }
    }
}

/* The text of the field, but for the signature. */
static void
test_text(void **state)
{
    struct str message = STR("Subject: a\r\n" FROM "Message-ID: <x@y>\r\nTo: a@b\r\nTo: c@d\r\n"
                             "X-Other: z\r\n\r\nbody\r\n");
    struct dkim_sign_request request = test_dkim_request(world.arena, message);
    struct buf fields;
    (void)state;
    request.expires = TEST_DKIM_NOW + 86400;
    buf_init(&fields, DKIM_SIGN_FIELDS_MAX);
    assert_int_equal(dkim_sign(world.arena, &request, &fields), STATUS_OK);
    struct str text = buf_str(&fields);
    static const struct str want =
        STR_INIT("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=signer.example;\r\n"
                 " s=rsa; t=1795000000; x=1795086400; h=From:From:To:To:To:Cc:Subject:Subject:\r\n"
                 " Date:Reply-To:MIME-Version:Content-Type:Content-Transfer-Encoding:\r\n"
                 " List-Unsubscribe:List-Unsubscribe-Post:Message-ID;\r\n"
                 " bh=y5Cqi+jaUYxHFJ/f1GeEeZ4qYqQQ48A3BcyRGjvXvYo=; b=");
    size_t start = str_find(text, STR(" bh="));
    assert_int_not_equal(start, STR_NPOS);
    if (!str_eq(str_head(text, start), str_head(want, str_find(want, STR(" bh="))))) {
        fail_msg("got \"%.*s\"", STR_ARG(str_head(text, start)));
    }
    assert_int_equal(str_find(text, STR("l=")), STR_NPOS);
    for (struct str line, rest = text; str_cut(rest, '\n', &line, &rest);) {
        assert_true(line.n <= DKIM_SIGN_COLUMNS + 1);
        assert_true(str_ends_with(line, STR("\r")));
    }
    buf_free(&fields);
}

/* The longest names there are still give a field that verifies. */
static void
test_long_names(void **state)
{
    static const struct dkim_sign_field fields[] = {
        {STR_INIT("From"), true},
        {STR_INIT(
             "X-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
         true},
        {STR_INIT("To"), true},
    };
    struct dkim_sign_request request = test_dkim_request(world.arena, STR(FROM "\r\n"));
    (void)state;
    request.fields = fields;
    request.field_count = COUNT_OF(fields);
    struct str text = test_dkim_signed(world.arena, STR(FROM "\r\n"), &request);
    assert_string_equal(test_dkim_verdict(&world, text), "pass pass");
}

static enum status
sign_never(void *ctx, struct str hash, struct buf *signature_out)
{
    (void)ctx;
    (void)hash;
    (void)signature_out;
    return STATUS_TEMPORARY;
}

static void
test_refusals(void **state)
{
    struct buf out;
    struct str many = STR(FROM);
    (void)state;
    buf_init(&out, DKIM_SIGN_FIELDS_MAX);
    /* RFC 6376 5.4: From must be signed. */
    struct dkim_sign_request request = test_dkim_request(world.arena, STR("To: a@b\r\n\r\n"));
    assert_int_equal(dkim_sign(world.arena, &request, &out), STATUS_SYNTAX);
    request = test_dkim_request(world.arena, STR(" x\r\n" FROM "\r\n"));
    assert_int_equal(dkim_sign(world.arena, &request, &out), STATUS_SYNTAX);
    request = test_dkim_request(world.arena, STR(FROM "\r\n"));
    request.domain = STR("a.example; l=0");
    assert_int_equal(dkim_sign(world.arena, &request, &out), STATUS_SYNTAX);
    request = test_dkim_request(world.arena, STR(FROM "\r\n"));
    request.identity = STR("a\r\n@a.example");
    assert_int_equal(dkim_sign(world.arena, &request, &out), STATUS_SYNTAX);
    /* One key that cannot sign: no field at all. */
    request = test_dkim_request(world.arena, STR(FROM "\r\n"));
    struct dkim_sign_key keys[2] = {request.keys[0], request.keys[1]};
    keys[1].signer.sign = sign_never;
    request.keys = keys;
    assert_int_equal(dkim_sign(world.arena, &request, &out), STATUS_TEMPORARY);
    for (size_t i = 0; i < DKIM_NAMES_MAX; i++) {
        many = arena_printf(world.arena, "%.*sTo: a\r\n", STR_ARG(many));
    }
    request = test_dkim_request(world.arena, many);
    assert_int_equal(dkim_sign(world.arena, &request, &out), STATUS_LIMIT);
    assert_int_equal(buf_length(&out), 0);
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
