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
    {"bare LF", STR_INIT("250-a\n250 b\n"), true, STATUS_OK, 250, "a\nb", {0}},
    {"bare CR", STR_INIT("250 a\rb\r\n"), true, STATUS_OK, 250, "a b", {0}},
    {"two CRs", STR_INIT("250 a\r\r\n"), true, STATUS_OK, 250, "a ", {0}},
    {"NUL", STR_INIT("250 a\0b\r\n"), true, STATUS_OK, 250, "a?b", {0}},
    {"tab after the code", STR_INIT("250\tok\r\n"), true, STATUS_OK, 250, "ok", {0}},
    {"codes differ", STR_INIT("250-a\r\n550 b\r\n"), true, STATUS_OK, 550, "a\nb", {0}},
    {"postscreen",
     STR_INIT("220-mx.example ESMTP\r\n521 5.3.2 Service currently unavailable\r\n"),
     false,
     STATUS_OK,
     521,
     "mx.example ESMTP\nService currently unavailable",
     {5, 3, 2}},
    {"the enhanced code of the last line's class",
     STR_INIT("250-2.0.0 a\r\n450-4.2.1 b\r\n550-5.7.1 c\r\n550 5.7.2 d\r\n"),
     true,
     STATUS_OK,
     550,
     "a\nb\nc\nd",
     {5, 7, 1}},
    {"refusals have enhanced codes everywhere",
     STR_INIT("421 4.3.2 full\r\n"),
     false,
     STATUS_OK,
     421,
     "full",
     {4, 3, 2}},
    {"a line without a code between others",
     STR_INIT("550-a\nb c\r\n\r\n550 d\r\n"),
     true,
     STATUS_OK,
     550,
     "a\nb c\n\nd",
     {0}},
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

/* Feeds `line` up to `times` times while no reply has come, then `last`. */
static enum status
feed_lines(struct smtp_reply_reader *reader, struct str line, size_t times, struct str last,
           struct smtp_reply *reply)
{
    enum status status = STATUS_AGAIN;
    size_t used;
    for (size_t i = 0; i < times && status == STATUS_AGAIN; i++) {
        status = smtp_reply_read(reader, line, true, &used, reply);
    }
    return status == STATUS_AGAIN ? smtp_reply_read(reader, last, true, &used, reply) : status;
}

static void
test_text_is_cut(void **state)
{
    static char line[SMTP_CLIENT_REPLY_LINE_MAX + 100];
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "550 5.7.1 ", 10);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    smtp_reply_reader_init(&reader);
    assert_int_equal(feed_lines(&reader, STR(""), 0, str_make(line, sizeof line), &reply),
                     STATUS_OK);
    assert_int_equal(reply.code, 550);
    assert_int_equal(reply.enhanced.class, 5);
    assert_int_equal(reply.text.n, SMTP_CLIENT_REPLY_LINE_MAX - 10);
    /* The next reply is not touched by it. */
    assert_int_equal(feed_lines(&reader, STR(""), 0, STR("250 ok\r\n"), &reply), STATUS_OK);
    assert_true(str_eq(reply.text, STR("ok")));
    /* Many lines: the code is that of the last one, the text that of the first ones and the last.
     */
    assert_int_equal(feed_lines(&reader, STR("250-x\r\n"), SMTP_CLIENT_REPLY_LINES_MAX + 50,
                                STR("452 4.2.2 full\r\n"), &reply),
                     STATUS_OK);
    assert_int_equal(reply.code, 452);
    assert_int_equal(reply.enhanced.class, 4);
    assert_int_equal(reply.text.n, 2 * SMTP_CLIENT_REPLY_LINES_MAX - 1 + sizeof "\nfull" - 1);
    assert_true(str_ends_with(reply.text, STR("x\nx\nfull")));
    /* Much text in few lines. */
    line[3] = '-';
    assert_int_equal(
        feed_lines(&reader, str_make(line, sizeof line), 20, STR("550 no\r\n"), &reply), STATUS_OK);
    assert_int_equal(reply.code, 550);
    assert_int_equal(reply.text.n, SMTP_CLIENT_REPLY_TEXT_MAX);
    assert_true(str_ends_with(reply.text, STR("x\nno")));
    smtp_reply_reader_fini(&reader);
}

static void
test_reply_without_end(void **state)
{
    const struct str endless[] = {STR("250-x\r\n"), STR("250 xxxxxxxxxxxxxxxx"), STR("x")};
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        smtp_reply_reader_init(&reader);
        size_t times = SMTP_CLIENT_REPLY_OCTETS_MAX / endless[i].n;
        assert_int_equal(feed_lines(&reader, endless[i], times, STR(""), &reply), STATUS_AGAIN);
        assert_int_equal(feed_lines(&reader, endless[i], 1, endless[i], &reply), STATUS_LIMIT);
        smtp_reply_reader_fini(&reader);
    }
}

/* The bound is on one reply: a long session has many. */
static void
test_many_replies(void **state)
{
    static char line[1024];
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "250 ", 4);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    smtp_reply_reader_init(&reader);
    for (size_t i = 0; i < 2 * SMTP_CLIENT_REPLY_OCTETS_MAX / sizeof line; i++) {
        assert_int_equal(feed_lines(&reader, STR(""), 0, str_make(line, sizeof line), &reply),
                         STATUS_OK);
    }
    smtp_reply_reader_fini(&reader);
}

static void
test_what_is_no_reply_is_quoted(void **state)
{
    static const struct {
        struct str input;
        const char *quote;
    } quotes[] = {
        {STR_INIT("SSH-2.0-x\r\n"), "SSH-2.0-x"},
        {STR_INIT("\r\n"), ""},
        {STR_INIT("a\0\t\xff\"\\b\n"), "a\\x00\\x09\\xff\\x22\\x5cb"},
        {STR_INIT("250 fine\r\n"), "250 fine"},
    };
    char quote[SMTP_CLIENT_REPLY_QUOTE_MAX];
    struct smtp_reply_reader reader;
    struct smtp_reply reply;
    (void)state;
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++) {
        smtp_reply_reader_init(&reader);
        (void)feed_lines(&reader, STR(""), 0, quotes[i].input, &reply);
        struct str got = smtp_reply_quote(&reader, quote);
        if (!str_eq(got, str_from_cstr(quotes[i].quote))) {
            fail_msg("\"%.*s\", want \"%s\"", STR_ARG(got), quotes[i].quote);
        }
        smtp_reply_reader_fini(&reader);
    }
    for (size_t length = SMTP_CLIENT_REPLY_QUOTE_MAX - 10;
         length < SMTP_CLIENT_REPLY_QUOTE_MAX + 10; length++) {
        smtp_reply_reader_init(&reader);
        for (size_t i = 0; i < length; i++) {
            (void)feed_lines(&reader, STR(""), 0, STR("x"), &reply);
        }
        struct str got = smtp_reply_quote(&reader, quote);
        assert_true(got.n <= SMTP_CLIENT_REPLY_QUOTE_MAX);
        assert_true(got.n == length || str_ends_with(got, STR("...")));
        smtp_reply_reader_fini(&reader);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_at_every_split),
        cmocka_unit_test(test_one_reply_at_a_time),
        cmocka_unit_test(test_text_is_cut),
        cmocka_unit_test(test_reply_without_end),
        cmocka_unit_test(test_many_replies),
        cmocka_unit_test(test_what_is_no_reply_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
