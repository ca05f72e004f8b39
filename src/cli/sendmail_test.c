/* sendmail's options, the message it makes, recipients in the header, exit statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "cli/sendmail_message.h"
#include "cli/sendmail_options.h"
#include "cli/sendmail_session.h"

#define WORDS_MAX 24

/* The longest command line of these tests. */
#define LINE_MAX_OCTETS 200

/* ---- options */

static bool
read_line(const char *line, char *copy, struct sendmail_options *options, char *error)
{
    char *argv[WORDS_MAX] = {(char[]){"sendmail"}};
    static char *kept[WORDS_MAX];
    int argc = 1;
    snprintf(copy, LINE_MAX_OCTETS, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    memcpy(kept, argv, sizeof argv);
    return sendmail_options_read(argc, kept, options, error);
}

static const struct {
    const char *line;
    enum sendmail_mode mode;
    bool from_header;
    bool dots_are_text;
    const char *sender;
    const char *recipients;
} calls[] = {
    /* cron, PHP, mutt, git send-email, mdadm, unattended-upgrades */
    {"-FCronDaemon -i -B8BITMIME -oem root", SENDMAIL_SUBMIT, false, true, NULL, "root"},
    {"-t -i", SENDMAIL_SUBMIT, true, true, NULL, ""},
    {"-t -i -f www@a.example", SENDMAIL_SUBMIT, true, true, "www@a.example", ""},
    {"-oem -oi -f me@a.example -- b@b.example c@c.example", SENDMAIL_SUBMIT, false, true,
     "me@a.example", "b@b.example c@c.example"},
    {"-f me@a.example -i b@b.example", SENDMAIL_SUBMIT, false, true, "me@a.example", "b@b.example"},
    {"-t", SENDMAIL_SUBMIT, true, false, NULL, ""},
    {"-oi -t", SENDMAIL_SUBMIT, true, true, NULL, ""},
    {"-ti", SENDMAIL_SUBMIT, true, true, NULL, ""},
    {"-it -fa@a.example", SENDMAIL_SUBMIT, true, true, "a@a.example", ""},
    {"-ra@a.example b", SENDMAIL_SUBMIT, false, false, "a@a.example", "b"},
    {"-o i b", SENDMAIL_SUBMIT, false, true, NULL, "b"},
    {"-oi b -v -G -U", SENDMAIL_SUBMIT, false, true, NULL, "b"},
    {"b -f a@a.example c", SENDMAIL_SUBMIT, false, false, "a@a.example", "b c"},
    {"-- -f", SENDMAIL_SUBMIT, false, false, NULL, "-f"},
    {"-bm -odb -oMrSMTP -X /dev/null -O DeliveryMode=b -h 3 -L tag b", SENDMAIL_SUBMIT, false,
     false, NULL, "b"},
    {"-bs", SENDMAIL_SESSION, false, false, NULL, ""},
    {"-bp", SENDMAIL_QUEUE, false, false, NULL, ""},
    {"-bi", SENDMAIL_NOTHING, false, false, NULL, ""},
    {"-q", SENDMAIL_NOTHING, false, false, NULL, ""},
    {"-q30m", SENDMAIL_NOTHING, false, false, NULL, ""},
    {"--help", SENDMAIL_HELP, false, false, NULL, ""},
};

static void
calls_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct sendmail_options options;
        char error[SENDMAIL_ERROR_MAX] = "";
        char copy[LINE_MAX_OCTETS];
        char names[LINE_MAX_OCTETS] = "";
        if (!read_line(calls[i].line, copy, &options, error)) {
            fail_msg("%s: %s", calls[i].line, error);
        }
        for (size_t k = 0; k < options.recipient_count; k++) {
            size_t n = strlen(names);
            snprintf(names + n, sizeof names - n, "%s%s", k > 0 ? " " : "", options.recipients[k]);
        }
        assert_int_equal(options.mode, calls[i].mode);
        assert_int_equal(options.from_header, calls[i].from_header);
        assert_int_equal(options.dots_are_text, calls[i].dots_are_text);
        assert_string_equal(names, calls[i].recipients);
        assert_string_equal(options.sender != NULL ? options.sender : "-",
                            calls[i].sender != NULL ? calls[i].sender : "-");
    }
}

static void
values_are_kept(void **state)
{
    struct sendmail_options options;
    char error[SENDMAIL_ERROR_MAX];
    char copy[LINE_MAX_OCTETS];
    (void)state;
    assert_true(
        read_line("-F Bob -N success,failure -Rhdrs -V id --config=/x b", copy, &options, error));
    assert_string_equal(options.full_name, "Bob");
    assert_string_equal(options.notify, "success,failure");
    assert_string_equal(options.return_part, "hdrs");
    assert_string_equal(options.envelope_id, "id");
    assert_string_equal(options.config_file, "/x");
    assert_true(read_line("--config /y b", copy, &options, error));
    assert_string_equal(options.config_file, "/y");
}

static void
wrong_calls_are_told(void **state)
{
    static const struct {
        const char *line;
        const char *error;
    } rows[] = {
        {"-f", "-f wants a value"},
        {"-Z b", "there is no option -Z"},
        {"--bogus", "there is no option --bogus"},
        {"--config", "--config wants the name of a file"},
        {"-bz", "there is no mode -bz"},
        {"-bd", "-bd: the service is started by postern run, not by sendmail"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sendmail_options options;
        char error[SENDMAIL_ERROR_MAX] = "";
        char copy[LINE_MAX_OCTETS];
        assert_false(read_line(rows[i].line, copy, &options, error));
        assert_string_equal(error, rows[i].error);
    }
}

/* ---- the message */

static void
lines_end_as_they_should(void **state)
{
    static const struct {
        const char *input;
        bool dots_are_text;
        const char *want;
    } rows[] = {
        {"", false, ""},
        {"a\nb\n", false, "a\r\nb\r\n"},
        {"a\r\nb\n", false, "a\r\nb\r\n"},
        {"a\n\nb", false, "a\r\n\r\nb\r\n"},
        {"a\n.\nb\n", false, "a\r\n"},
        {"a\r\n.\r\nb\n", false, "a\r\n"},
        {"a\n.", false, "a\r\n"},
        {"a\n.\nb\n", true, "a\r\n.\r\nb\r\n"},
        {"a\n..\n.b\n", false, "a\r\n..\r\n.b\r\n"},
        {"From me Mon Nov 30\nA: b\n", false, "A: b\r\n"},
        {"A: b\nFrom me\n", false, "A: b\r\nFrom me\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(sendmail_lines(str_from_cstr(rows[i].input), rows[i].dots_are_text, &out),
                         STATUS_OK);
        assert_int_equal(buf_length(&out), strlen(rows[i].want));
        assert_memory_equal(buf_str(&out).p, rows[i].want, strlen(rows[i].want));
        buf_free(&out);
    }
}

static void
what_is_missing_is_added(void **state)
{
#define MADE "From: \"Bob\" <b@a.example>\r\n"
    static const struct {
        const char *message;
        const char *name;
        const char *want;
    } rows[] = {
        {"From: x@a.example\r\n\r\nhi\r\n", "Bob", "From: x@a.example\r\n\r\nhi\r\n"},
        {"Subject: s\r\n\r\nhi\r\n", "Bob", MADE "Subject: s\r\n\r\nhi\r\n"},
        {"hi\r\n", "Bob", MADE "\r\nhi\r\n"},
        {"", "Bob", MADE "\r\n"},
        {"\r\nhi\r\n", "Bob", MADE "\r\nhi\r\n"},
        {"Subject: s\r\nhi\r\n\r\nx\r\n", "Bob", MADE "Subject: s\r\n\r\nhi\r\n\r\nx\r\n"},
        {"Subject: s\r\n", "Bob", MADE "Subject: s\r\n\r\n"},
        {"hi\r\n\r\nFrom: x\r\n", "", "From: <b@a.example>\r\n\r\nhi\r\n\r\nFrom: x\r\n"},
        {"hi\r\nFrom: x@a.example\r\n", "Bob", MADE "\r\nhi\r\nFrom: x@a.example\r\n"},
        {"\r\n", "a\"\\\n b", "From: \"a\\\"\\\\ b\" <b@a.example>\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(1u << 20);
        struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(sendmail_complete(arena, str_from_cstr(rows[i].message),
                                           str_from_cstr(rows[i].name), STR("b@a.example"), &out),
                         STATUS_OK);
        if (!str_eq(buf_str(&out), str_from_cstr(rows[i].want))) {
            fail_msg("%s: %.*s", rows[i].message, STR_ARG(buf_str(&out)));
        }
        buf_free(&out);
        arena_destroy(&arena);
    }
}

/* ---- recipients */

static void
check_recipients(const char *input, const struct sendmail_recipients *got, const char *want)
{
    char text[400] = "";
    for (size_t i = 0; i < got->count; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%.*s", i > 0 ? " " : "", STR_ARG(got->items[i]));
    }
    if (strcmp(text, want) != 0) {
        fail_msg("%s: got '%s', want '%s'", input, text, want);
    }
}

static void
addresses_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"root", "root@a.example"},
        {"b@b.example", "b@b.example"},
        {"<b@b.example>", "b@b.example"},
        {"<root>", "root@a.example"},
        {"Root <root>", "root@a.example"},
        {"root (Cron)", "root@a.example"},
        {"a, b@b.example,, Bob <c>", "a@a.example b@b.example c@a.example"},
        {"\"x, y\" <b@b.example>, root", "b@b.example root@a.example"},
        {"b@b.example, b@b.example", "b@b.example"},
        {"list: a@a.example, b@b.example;", "a@a.example b@b.example"},
        {"undisclosed-recipients:;", ""},
        {"b@\xc3\xa4.example", "b@xn--4ca.example"},
        {"", NULL},
        {"two words", NULL},
        {"a@b@c", NULL},
        {"a@b.example\r\nDATA", NULL},
        {"a>\r\nRCPT TO:<b", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(1u << 20);
        struct sendmail_recipients got = {0};
        struct str wrong = STR("");
        enum status status = sendmail_add_recipients(arena, str_from_cstr(rows[i].text),
                                                     STR("a.example"), &got, &wrong);
        if ((status == STATUS_OK) != (rows[i].want != NULL)) {
            fail_msg("%s: %s", rows[i].text, status_name(status));
        }
        if (rows[i].want != NULL) {
            check_recipients(rows[i].text, &got, rows[i].want);
        }
        arena_destroy(&arena);
    }
}

static void
the_header_names_recipients(void **state)
{
    static const struct {
        const char *message;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"To: a@a.example\r\nCc: b\r\nBcc: c@c.example,\r\n d\r\n\r\nTo: e@e.example\r\n",
         "a@a.example b@x.example c@c.example d@x.example"},
        {"to: a@a.example\r\nTO: b@a.example\r\n\r\n", "a@a.example b@a.example"},
        {"To: a@a.example\r\nResent-To: b@a.example\r\nResent-Bcc: c@a.example\r\n\r\n",
         "b@a.example c@a.example"},
        {"To: undisclosed-recipients:;\r\nBcc: a@a.example\r\n\r\n", "a@a.example"},
        {"Bcc:\r\nTo: a@a.example\r\n\r\n", "a@a.example"},
        {"Subject: s\r\n\r\n", ""},
        /* The header ends where text begins, with or without an empty line. */
        {"hi\r\nTo: a@a.example\r\n\r\n", ""},
        {"To: a@a.example\r\nhi\r\nBcc: b@a.example\r\nResent-To: c@a.example\r\n", "a@a.example"},
        {"To: a@a.example\r\nodd field: x\r\nCc: b@a.example\r\n\r\n", "a@a.example b@a.example"},
        {"To: a@@\r\n\r\n", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(1u << 20);
        struct sendmail_recipients got = {0};
        struct str wrong = STR("");
        enum status status = sendmail_header_recipients(arena, str_from_cstr(rows[i].message),
                                                        STR("x.example"), &got, &wrong);
        if ((status == STATUS_OK) != (rows[i].want != NULL)) {
            fail_msg("%s: %s", rows[i].message, status_name(status));
        }
        if (rows[i].want != NULL) {
            check_recipients(rows[i].message, &got, rows[i].want);
        }
        arena_destroy(&arena);
    }
}

/* ---- exit statuses */

static void
replies_become_exit_statuses(void **state)
{
    static const struct {
        struct smtp_reply reply;
        int want;
    } rows[] = {
        {SMTP_REPLY(250, 2, 0, 0, ""), EX_OK},
        {SMTP_REPLY(354, 0, 0, 0, ""), EX_OK},
        {SMTP_REPLY(421, 4, 3, 2, ""), EX_TEMPFAIL},
        {SMTP_REPLY(450, 4, 7, 1, ""), EX_TEMPFAIL},
        {SMTP_REPLY(550, 5, 1, 1, ""), EX_NOUSER},
        {SMTP_REPLY(553, 5, 1, 3, ""), EX_NOUSER},
        {SMTP_REPLY(553, 5, 1, 8, ""), EX_UNAVAILABLE},
        {SMTP_REPLY(550, 5, 7, 1, ""), EX_NOPERM},
        {SMTP_REPLY(554, 5, 6, 0, ""), EX_DATAERR},
        {SMTP_REPLY(552, 5, 3, 4, ""), EX_UNAVAILABLE},
        {SMTP_REPLY(554, 0, 0, 0, ""), EX_UNAVAILABLE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sendmail_exit_status(&rows[i].reply), rows[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_understood),
        cmocka_unit_test(values_are_kept),
        cmocka_unit_test(wrong_calls_are_told),
        cmocka_unit_test(lines_end_as_they_should),
        cmocka_unit_test(what_is_missing_is_added),
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(the_header_names_recipients),
        cmocka_unit_test(replies_become_exit_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
