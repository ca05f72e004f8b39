#include "smtp/client_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct reply_case {
    const char *name;
    struct str input;
    bool enhanced;
    enum status status;
    uint16_t code;
    const char *text;
    struct smtp_enhanced enhanced_code;
};

static const struct reply_case cases[] = {
    {"one line", STR_INIT("250 Ok\r\n"), true, STATUS_OK, 250, "Ok", {0, 0, 0}},
    {"code alone", STR_INIT("250\r\n"), true, STATUS_OK, 250, "", {0, 0, 0}},
    {"lines", STR_INIT("250-a\r\n250-\r\n250 b\r\n"), true, STATUS_OK, 250, "a\n\nb", {0, 0, 0}},
    {"enhanced",
     STR_INIT("550-5.7.1 no\r\n550 5.7.1 never\r\n"),
     true,
     STATUS_OK,
     550,
     "no\nnever",
     {5, 7, 1}},
    {"enhanced without text", STR_INIT("250 2.0.0\r\n"), true, STATUS_OK, 250, "", {2, 0, 0}},
    {"enhanced of another class",
     STR_INIT("550 4.7.1 no\r\n"),
     true,
     STATUS_OK,
     550,
     "4.7.1 no",
     {0, 0, 0}},
    {"enhanced not wanted",
     STR_INIT("250 2.0.0 hi\r\n"),
     false,
     STATUS_OK,
     250,
     "2.0.0 hi",
     {0, 0, 0}},
    {"enhanced with leading zero",
     STR_INIT("550 5.07.1 x\r\n"),
     true,
     STATUS_OK,
     550,
     "5.07.1 x",
     {0, 0, 0}},
    {"no enhanced, an address",
     STR_INIT("250 2.0.0.1 x\r\n"),
     true,
     STATUS_OK,
     250,
     "2.0.0.1 x",
     {0, 0, 0}},
    {"controls and 8-bit", STR_INIT("250 a\tb\x01\xff\r\n"), true, STATUS_OK, 250, "a b??", {0}},
    {"bare LF", STR_INIT("250 a\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"bare CR", STR_INIT("250 a\rb\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"NUL", STR_INIT("250 a\0b\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"codes differ", STR_INIT("250-a\r\n550 b\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"no code", STR_INIT("hello\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"code too small", STR_INIT("199 x\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"code too large", STR_INIT("600 x\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"four digits", STR_INIT("2500 x\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"short", STR_INIT("25\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"empty line", STR_INIT("\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"HTTP", STR_INIT("HTTP/1.1 400 Bad Request\r\n"), true, STATUS_SYNTAX, 0, NULL, {0}},
    {"not ended", STR_INIT("250-a\r\n250 b"), true, STATUS_AGAIN, 0, NULL, {0}},
};

/* Feeds the pieces one after the other. */
static enum status
feed(struct smtp_reply_reader *reader, const struct str *pieces, size_t count, bool enhanced,
     struct smtp_reply *reply)
{
    enum status status = STATUS_AGAIN;
    for (size_t i = 0; i < count && status == STATUS_AGAIN; i++) {
        size_t used;
        status = smtp_reply_read(reader, pieces[i], enhanced, &used, reply);
        assert_true(status != STATUS_AGAIN || used == pieces[i].n);
    }
    return status;
}

static void
check(const struct reply_case *c, const struct str *pieces, size_t count)
{
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    smtp_reply_reader_init(&reader);
    enum status status = feed(&reader, pieces, count, c->enhanced, &reply);
    if (status != c->status) {
        fail_msg("%s: %s, want %s", c->name, status_name(status), status_name(c->status));
    }
    if (status == STATUS_OK) {
        assert_int_equal(reply.code, c->code);
        if (!str_eq(reply.text, str_from_cstr(c->text))) {
            fail_msg("%s: \"%.*s\", want \"%s\"", c->name, STR_ARG(reply.text), c->text);
        }
        assert_int_equal(reply.enhanced.class, c->enhanced_code.class);
        assert_int_equal(reply.enhanced.subject, c->enhanced_code.subject);
        assert_int_equal(reply.enhanced.detail, c->enhanced_code.detail);
    }
    smtp_reply_reader_fini(&reader);
}

static void
test_replies_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct reply_case *c = &cases[i];
        struct str bytes[256];
        for (size_t at = 0; at <= c->input.n; at++) {
            const struct str halves[2] = {str_head(c->input, at), str_skip(c->input, at)};
            check(c, halves, 2);
        }
        assert_true(c->input.n <= sizeof bytes / sizeof bytes[0]);
        for (size_t at = 0; at < c->input.n; at++) {
            bytes[at] = str_head(str_skip(c->input, at), 1);
        }
        check(c, bytes, c->input.n);
    }
}

static void
test_one_reply_at_a_time(void **state)
{
    struct str input = STR("250-a\r\n250 b\r\n354 go\r\n");
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    size_t used;
    (void)state;
    smtp_reply_reader_init(&reader);
    assert_int_equal(smtp_reply_read(&reader, input, true, &used, &reply), STATUS_OK);
    assert_int_equal(used, 14);
    assert_int_equal(smtp_reply_read(&reader, str_skip(input, used), true, &used, &reply),
                     STATUS_OK);
    assert_int_equal(reply.code, 354);
    assert_true(str_eq(reply.text, STR("go")));
    smtp_reply_reader_fini(&reader);
}

static void
test_bounds(void **state)
{
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    size_t used;
    char line[SMTP_CLIENT_REPLY_LINE_MAX + 1];
    (void)state;
    /* A line that is exactly as long as allowed, and one octet more. */
    for (size_t extra = 0; extra <= 1; extra++) {
        size_t n = SMTP_CLIENT_REPLY_LINE_MAX + extra;
        memset(line, 'x', n);
        memcpy(line, "250 ", 4);
        memcpy(line + n - 2, "\r\n", 2);
        smtp_reply_reader_init(&reader);
        assert_int_equal(smtp_reply_read(&reader, str_make(line, n), true, &used, &reply),
                         extra == 0 ? STATUS_OK : STATUS_LIMIT);
        smtp_reply_reader_fini(&reader);
    }
    /* Lines without end. */
    enum status status = STATUS_AGAIN;
    unsigned lines = 0;
    smtp_reply_reader_init(&reader);
    for (; status == STATUS_AGAIN; lines++) {
        status = smtp_reply_read(&reader, STR("250-x\r\n"), true, &used, &reply);
    }
    assert_int_equal(status, STATUS_LIMIT);
    assert_int_equal(lines, SMTP_CLIENT_REPLY_LINES_MAX + 1);
    smtp_reply_reader_fini(&reader);
    /* Much text in few lines. */
    status = STATUS_AGAIN;
    memset(line, 'x', sizeof line);
    memcpy(line, "250-", 4);
    memcpy(line + SMTP_CLIENT_REPLY_LINE_MAX - 2, "\r\n", 2);
    smtp_reply_reader_init(&reader);
    for (lines = 0; status == STATUS_AGAIN; lines++) {
        status = smtp_reply_read(&reader, str_make(line, SMTP_CLIENT_REPLY_LINE_MAX), true, &used,
                                 &reply);
    }
    assert_int_equal(status, STATUS_LIMIT);
    assert_true(lines < SMTP_CLIENT_REPLY_LINES_MAX);
    smtp_reply_reader_fini(&reader);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_at_every_split),
        cmocka_unit_test(test_one_reply_at_a_time),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
