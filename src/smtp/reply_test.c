#include "smtp/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define A100                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaa"

static const struct {
    struct smtp_reply reply;
    const char *want;
} rows[] = {
    {SMTP_REPLY(250, 2, 0, 0, "Ok"), "250 2.0.0 Ok\r\n"},
    {SMTP_REPLY(220, 0, 0, 0, "mx.example ESMTP"), "220 mx.example ESMTP\r\n"},
    {SMTP_REPLY(334, 0, 0, 0, ""), "334 \r\n"},
    {SMTP_REPLY(250, 0, 0, 0, "a\nb\nc"), "250-a\r\n250-b\r\n250 c\r\n"},
    {SMTP_REPLY(550, 5, 7, 1, "no\nway"), "550-5.7.1 no\r\n550 5.7.1 way\r\n"},
    {SMTP_REPLY(550, 5, 7, 509, "no\r\n250 yes"), "550-5.7.509 no?\r\n550 5.7.509 250 yes\r\n"},
    {SMTP_REPLY(550, 5, 7, 1, "\x1b[2J\xc3\xa9"), "550 5.7.1 ?[2J??\r\n"},
};

static void
test_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf buf;
        buf_init(&buf, 65536);
        assert_int_equal(smtp_reply_format(&buf, &rows[i].reply), STATUS_OK);
        assert_true(str_eq(buf_str(&buf), str_from_cstr(rows[i].want)));
        buf_free(&buf);
    }
}

static void
test_limits(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 65536);
    struct smtp_reply reply = SMTP_REPLY(550, 5, 7, 1, A100 A100 A100 A100 A100 A100);
    assert_int_equal(smtp_reply_format(&buf, &reply), STATUS_OK);
    assert_int_equal(buf_length(&buf), SMTP_REPLY_LINE_MAX);
    buf_clear(&buf);
    char newlines[2 * SMTP_REPLY_LINES_MAX];
    memset(newlines, '\n', sizeof newlines);
    reply.text = str_make(newlines, sizeof newlines);
    assert_int_equal(smtp_reply_format(&buf, &reply), STATUS_OK);
    assert_int_equal(buf_length(&buf), SMTP_REPLY_LINES_MAX * sizeof "550-5.7.1 \r");
    buf_free(&buf);
    /* No room: nothing is written. */
    buf_init(&buf, 20);
    assert_int_equal(buf_append(&buf, STR("x")), STATUS_OK);
    reply.text = STR("a\nb\nc");
    assert_int_equal(smtp_reply_format(&buf, &reply), STATUS_LIMIT);
    assert_true(str_eq(buf_str(&buf), STR("x")));
    buf_free(&buf);
}

static void
test_validity(void **state)
{
    (void)state;
    static const struct {
        struct smtp_reply reply;
        bool want;
    } cases[] = {
        {SMTP_REPLY(250, 2, 0, 0, ""), true},     {SMTP_REPLY(250, 0, 0, 0, ""), true},
        {SMTP_REPLY(354, 0, 0, 0, ""), true},     {SMTP_REPLY(354, 3, 0, 0, ""), false},
        {SMTP_REPLY(550, 4, 0, 0, ""), false},    {SMTP_REPLY(199, 0, 0, 0, ""), false},
        {SMTP_REPLY(600, 0, 0, 0, ""), false},    {SMTP_REPLY(560, 5, 0, 0, ""), false},
        {SMTP_REPLY(0, 0, 0, 0, ""), false},      {SMTP_REPLY(550, 5, 1000, 0, ""), false},
        {SMTP_REPLY(550, 5, 0, 1000, ""), false}, {SMTP_REPLY(65535, 0, 0, 0, ""), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(smtp_reply_is_valid(&cases[i].reply), cases[i].want);
    }
}

static void
test_every_status_has_a_reply(void **state)
{
    (void)state;
    for (int s = STATUS_OK; s <= STATUS_BUG; s++) {
        struct smtp_reply reply = smtp_reply_for_status((enum status)s);
        assert_true(smtp_reply_is_valid(&reply));
        assert_int_equal(smtp_reply_is_positive(&reply), s == STATUS_OK);
        /* What is wrong with us is never the sender's permanent failure. */
        if (s == STATUS_IO || s == STATUS_BUG || s == STATUS_TEMPORARY || s == STATUS_LIMIT) {
            assert_true(smtp_reply_is_temporary(&reply));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_every_status_has_a_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
