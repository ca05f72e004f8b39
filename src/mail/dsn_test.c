/* Delivery status notifications: their form, who and what they name, and what cannot be forged. */
#include "mail/dsn.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct dsn_recipient usual_recipient = {
    .address = STR_INIT("bob@far.example"),
    .original = STR_INIT("bob@far.example"),
    .action = DSN_FAILED,
    .status = STR_INIT("5.1.1"),
    .code = 550,
    .text = STR_INIT("No such user here"),
    .remote = STR_INIT("mx.far.example"),
    .attempt_ms = 1795455000000,
};

static struct dsn_request
usual_request(const struct dsn_recipient *recipients, size_t count)
{
    return (struct dsn_request){
        .kind = DSN_FAILURE,
        .hostname = STR("mx.own.example"),
        .postmaster = STR("postmaster@own.example"),
        .id = STR("01NOTICE00000001"),
        .about_id = STR("01ORIGINAL000001"),
        .now_ms = 1795456094000,
        .arrival_ms = 1795450000000,
        .sender = STR("alice@own.example"),
        .head = STR("Subject: hello\r\nFrom: alice@own.example\r\n\r\n"),
        .content = STR("The text.\r\n"),
        .returned_max = 65536,
        .recipients = recipients,
        .recipient_count = count,
    };
}

static struct dsn_message
compose(struct arena *arena, const struct dsn_request *request)
{
    struct dsn_message message;
    assert_int_equal(dsn_compose(arena, request, &message), STATUS_OK);
    return message;
}

static bool
has(struct str text, const char *part)
{
    return str_find(text, str_from_cstr(part)) != STR_NPOS;
}

static void
assert_has(struct str text, const char *part)
{
    if (!has(text, part)) {
        print_error("missing \"%s\" in:\n%.*s\n", part, STR_ARG(text));
    }
    assert_true(has(text, part));
}

static void
test_a_bounce_word_for_word(void **state)
{
    static const char want_head[] =
        "Date: Mon, 23 Nov 2026 17:48:14 +0000\r\n"
        "From: Mail Delivery System <postmaster@own.example>\r\n"
        "To: <alice@own.example>\r\n"
        "Subject: Undelivered: your message could not be delivered\r\n"
        "Message-ID: <01NOTICE00000001@mx.own.example>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        "\tboundary=\"=_report_01NOTICE00000001_0\"\r\n"
        "\r\n";
    static const char want_content[] =
        "This is a report in MIME format (RFC 3464).\r\n"
        "\r\n--=_report_01NOTICE00000001_0\r\n"
        "Content-Description: Notification\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "This is the mail system of mx.own.example:\r\n"
        "your message could not be delivered to the recipients below.\r\n"
        "No further attempts will be made for them.\r\n"
        "\r\n<bob@far.example>: failed\r\n"
        "    mx.far.example said: 550 5.1.1 No such user here\r\n"
        "\r\nWhen you ask for help, please name this message: 01ORIGINAL000001\r\n"
        "\r\n--=_report_01NOTICE00000001_0\r\n"
        "Content-Description: Delivery report\r\n"
        "Content-Type: message/delivery-status\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Reporting-MTA: dns; mx.own.example\r\n"
        "Arrival-Date: Mon, 23 Nov 2026 16:06:40 +0000\r\n"
        "X-Postern-Message-Id: 01ORIGINAL000001\r\n"
        "\r\n"
        "Final-Recipient: rfc822; bob@far.example\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.far.example\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 No such user here\r\n"
        "Last-Attempt-Date: Mon, 23 Nov 2026 17:30:00 +0000\r\n"
        "\r\n--=_report_01NOTICE00000001_0\r\n"
        "Content-Description: Your message\r\n"
        "Content-Type: message/rfc822\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Subject: hello\r\nFrom: alice@own.example\r\n\r\nThe text.\r\n"
        "\r\n--=_report_01NOTICE00000001_0--\r\n";
    struct arena *arena = arena_create(1 << 20);
    struct dsn_request request = usual_request(&usual_recipient, 1);
    struct dsn_message message = compose(arena, &request);
    char got[4096];
    (void)state;
    snprintf(got, sizeof got, "%.*s", STR_ARG(message.head));
    assert_string_equal(got, want_head);
    snprintf(got, sizeof got, "%.*s", STR_ARG(message.content));
    assert_string_equal(got, want_content);
    assert_false(message.has_8bit);
    assert_false(message.utf8_header);
    arena_destroy(&arena);
}

/* A reply without an enhanced code gets a status, but is quoted as it was said (2.3.6). */
static void
test_quotes_nothing_made_up(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dsn_recipient recipient = usual_recipient;
    (void)state;
    recipient.status = STR("");
    recipient.text = STR("no");
    struct dsn_request request = usual_request(&recipient, 1);
    struct dsn_message message = compose(arena, &request);
    assert_has(message.content, "\r\nStatus: 5.0.0\r\n");
    assert_has(message.content, "\r\nDiagnostic-Code: smtp; 550 no\r\n");
    assert_has(message.content, " said: 550 no\r\n");
    arena_destroy(&arena);
}

static void
test_actions_and_statuses(void **state)
{
    static const struct {
        enum dsn_kind kind;
        enum dsn_action action;
        const char *status;
        bool expired;
        const char *want;
    } cases[] = {
        {DSN_FAILURE, DSN_FAILED, "5.7.26", false, "Action: failed\r\nStatus: 5.7.26\r\n"},
        {DSN_FAILURE, DSN_FAILED, "", false, "Action: failed\r\nStatus: 5.0.0\r\n"},
        {DSN_FAILURE, DSN_FAILED, "4.2.2", false, "Action: failed\r\nStatus: 5.0.0\r\n"},
        {DSN_FAILURE, DSN_FAILED, "4.2.2", true, "Action: failed\r\nStatus: 4.2.2\r\n"},
        {DSN_FAILURE, DSN_FAILED, "5.7.1", true, "Action: failed\r\nStatus: 5.7.1\r\n"},
        {DSN_FAILURE, DSN_FAILED, "", true, "Action: failed\r\nStatus: 4.4.7\r\n"},
        {DSN_FAILURE, DSN_FAILED, "2.0.0", true, "Action: failed\r\nStatus: 4.4.7\r\n"},
        {DSN_FAILURE, DSN_FAILED, "5.1\r\n", false, "Action: failed\r\nStatus: 5.0.0\r\n"},
        {DSN_FAILURE, DSN_FAILED, "5.1234.1", false, "Action: failed\r\nStatus: 5.0.0\r\n"},
        {DSN_DELAY, DSN_DELAYED, "4.4.1", false, "Action: delayed\r\nStatus: 4.4.1\r\n"},
        {DSN_DELAY, DSN_DELAYED, "5.4.1", false, "Action: delayed\r\nStatus: 4.0.0\r\n"},
        {DSN_SUCCESS, DSN_DELIVERED, "2.1.5", false, "Action: delivered\r\nStatus: 2.1.5\r\n"},
        {DSN_SUCCESS, DSN_RELAYED, "", false, "Action: relayed\r\nStatus: 2.0.0\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct dsn_recipient r = usual_recipient;
        r.action = cases[i].action;
        r.status = str_from_cstr(cases[i].status);
        r.expired = cases[i].expired;
        struct dsn_request request = usual_request(&r, 1);
        request.kind = cases[i].kind;
        assert_has(compose(arena, &request).content, cases[i].want);
        arena_destroy(&arena);
    }
}

static void
test_a_delay_says_until_when(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dsn_recipient r = usual_recipient;
    (void)state;
    r.action = DSN_DELAYED;
    r.code = 0;
    r.status = STR("4.4.1");
    r.text = STR("no answer from the server");
    r.remote = STR("");
    r.retry_until_ms = 1795882000000;
    struct dsn_request request = usual_request(&r, 1);
    request.kind = DSN_DELAY;
    struct dsn_message message = compose(arena, &request);
    assert_has(message.head, "Subject: Delayed: ");
    assert_has(message.content, "\r\nWill-Retry-Until: Sat, 28 Nov 2026 16:06:40 +0000\r\n");
    assert_has(message.content, "\r\nDiagnostic-Code: x-postern; no answer from the server\r\n");
    assert_false(has(message.content, "Remote-MTA"));
    /* only failures return the text */
    assert_has(message.content, "Content-Type: text/rfc822-headers\r\n");
    assert_false(has(message.content, "The text."));
    arena_destroy(&arena);
}

static void
test_what_is_returned(void **state)
{
    static const struct {
        bool full;
        bool headers;
        uint64_t most;
        const char *content;
        bool want_all;
    } cases[] = {
        {false, false, 65536, "plain\r\n", true},
        {true, false, 65536, "plain\r\n", true},
        {false, true, 65536, "plain\r\n", false},
        {true, false, 10, "plain\r\n", false},
        {false, false, 65536, "caf\xc3\xa9\r\n", false},
        {true, false, 65536, "caf\xc3\xa9\r\n", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct dsn_request request = usual_request(&usual_recipient, 1);
        request.return_full = cases[i].full;
        request.return_headers = cases[i].headers;
        request.returned_max = cases[i].most;
        request.content = str_from_cstr(cases[i].content);
        struct dsn_message message = compose(arena, &request);
        assert_int_equal(has(message.content, cases[i].content), cases[i].want_all);
        assert_has(message.content, "Subject: hello\r\nFrom: alice@own.example\r\n");
        assert_has(message.content, cases[i].want_all
                                        ? "\r\nContent-Type: message/rfc822\r\n"
                                        : "\r\nContent-Type: text/rfc822-headers\r\n");
        bool eight = cases[i].want_all && !str_is_ascii(request.content);
        assert_int_equal(message.has_8bit, eight);
        assert_int_equal(has(message.content, "Content-Transfer-Encoding: 8bit\r\n"), eight);
        arena_destroy(&arena);
    }
}

/* A name that turns the direction of the text is not shown as it is. */
static void
test_hidden_characters(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dsn_recipient r = usual_recipient;
    (void)state;
    r.address = STR("moc.\xe2\x80\xae\xc3\xbc@far.example");
    r.original = r.address;
    r.text = STR("no\xe2\x80\x8b\x1b\xc2\x9b user");
    struct dsn_request request = usual_request(&r, 1);
    struct dsn_message message = compose(arena, &request);
    assert_has(message.content, "Final-Recipient: utf-8; moc.\\x{202E}\xc3\xbc@far.example\r\n");
    assert_has(message.content, "no\\x{200B}?\\x{9B} user");
    assert_false(has(message.content, "\xe2\x80"));
    arena_destroy(&arena);
}

static void
test_utf8(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dsn_recipient r = usual_recipient;
    (void)state;
    r.address = STR("j\xc3\xbcrgen@far.example");
    r.original = r.address;
    r.orcpt = STR("utf-8;j+C3+BCrgen@far.example");
    r.text = STR("unbekannt: j\xc3\xbcrgen");
    struct dsn_request request = usual_request(&r, 1);
    request.head = STR("Subject: gr\xc3\xbc\xc3\x9f"
                       "e\r\n\r\n");
    struct dsn_message message = compose(arena, &request);
    assert_has(message.content, "Content-Type: text/plain; charset=utf-8\r\n");
    assert_has(message.content, "Content-Type: message/global-delivery-status\r\n");
    assert_has(message.content, "Content-Type: message/global\r\n");
    assert_has(message.content, "Final-Recipient: utf-8; j\xc3\xbcrgen@far.example\r\n");
    assert_has(message.content, "Original-Recipient: utf-8;j\xc3\xbcrgen@far.example\r\n");
    assert_has(message.content, "unbekannt: j\xc3\xbcrgen\r\n");
    assert_true(message.has_8bit);
    assert_false(message.utf8_header); /* its own header is ASCII: no SMTPUTF8 needed for it */
    request.sender = STR("\xc3\xa4@own.example");
    assert_true(compose(arena, &request).utf8_header);
    request.return_headers = true;
    assert_has(compose(arena, &request).content, "Content-Type: message/global-headers\r\n");
    arena_destroy(&arena);
}

static void
test_nothing_can_be_forged(void **state)
{
    struct arena *arena = arena_create(4 << 20);
    char *long_text = arena_alloc(arena, 100000);
    (void)state;
    assert_non_null(long_text);
    memset(long_text, 'x', 100000);
    struct dsn_recipient r = usual_recipient;
    r.text =
        STR("no\r\nStatus: 2.0.0\r\n\r\n--=_report_01NOTICE00000001_0\nX: \x1b[2J caf\xc3\xa9");
    r.remote = STR("mx\r\nX-Forged: 1");
    r.orcpt = STR("rfc822;a+0D+0AX-Forged: 2");
    struct dsn_request request = usual_request(&r, 1);
    request.envid = STR("e\r\nX-Forged: 3");
    struct dsn_message message = compose(arena, &request);
    assert_false(has(message.content, "\nStatus: 2"));
    assert_false(has(message.content, "\nX-Forged"));
    assert_false(has(message.content, "\x1b"));
    assert_true(str_is_ascii(message.content));
    r = usual_recipient;
    r.text = str_make(long_text, 100000);
    r.remote = r.text;
    message = compose(arena, &request);
    for (struct str line, rest = message.content; str_cut(rest, '\n', &line, &rest);) {
        assert_true(line.n <= 998 + 1);
    }
    arena_destroy(&arena);
}

static void
test_the_boundary_is_not_in_the_original(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dsn_request request = usual_request(&usual_recipient, 1);
    (void)state;
    request.content = STR("--=_report_01NOTICE00000001_0--\r\n=_report_01NOTICE00000001_1\r\n");
    assert_has(compose(arena, &request).head, "boundary=\"=_report_01NOTICE00000001_2\"\r\n");
    arena_destroy(&arena);
}

static void
test_many_recipients(void **state)
{
    struct arena *arena = arena_create(16 << 20);
    enum { COUNT = 1000 };
    static struct dsn_recipient recipients[COUNT];
    size_t finals = 0;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        recipients[i] = usual_recipient;
        recipients[i].address = arena_printf(arena, "user%d@far.example", i);
        recipients[i].original = i % 2 == 0 ? recipients[i].address : STR("list@own.example");
    }
    struct dsn_request request = usual_request(recipients, COUNT);
    struct dsn_message message = compose(arena, &request);
    for (struct str line, rest = message.content; str_cut(rest, '\n', &line, &rest);) {
        finals += str_starts_with(line, STR("Final-Recipient: "));
    }
    assert_int_equal(finals, COUNT);
    assert_has(message.content, "\r\nand 950 more; the attached report lists them.\r\n");
    assert_has(message.content, "<list@own.example> (sent on to <user1@far.example>): failed");
    arena_destroy(&arena);
}

/* What a server behind calls its status is taken only when it is one (RFC 3463 2). */
static void
test_a_status_that_is_none(void **state)
{
    static const char *const bad[] = {"5.1.1.1", "5.1",      "5..1", "5.1.",
                                      "4.1.1",   "5.1111.1", "5.1.a"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct dsn_recipient recipient = usual_recipient;
        recipient.status = str_from_cstr(bad[i]);
        struct dsn_request request = usual_request(&recipient, 1);
        assert_has(compose(arena, &request).content, "\r\nStatus: 5.0.0\r\n");
        arena_destroy(&arena);
    }
}

/* The postmaster sees why he is written to, by whom it was sent, and none of its body. */
static void
test_for_the_postmaster(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dsn_request request = usual_request(&usual_recipient, 1);
    (void)state;
    request.why_postmaster = STR("its sender may be forged");
    request.original_sender = STR("x@far.example\r\nBcc: y@z");
    request.return_full = true;
    struct dsn_message message = compose(arena, &request);
    assert_has(message.head, "Subject: Undelivered: a message whose sender is not told\r\n");
    assert_has(message.content, "\r\nSender: <x@far.example??Bcc: y@z>\r\n"
                                "Why:    its sender may be forged\r\n");
    assert_has(message.content, "Content-Type: text/rfc822-headers\r\n");
    assert_has(message.content, "Subject: hello\r\n");
    assert_false(has(message.content, "The text."));
    arena_destroy(&arena);
}

/* A header section is cut at the end of a line; more recipients than one report has are left out.
 */
static void
test_bounds(void **state)
{
    struct arena *arena = arena_create(64 << 20);
    struct dsn_recipient *recipients =
        arena_alloc_array(arena, DSN_RECIPIENTS_MAX + 1, sizeof *recipients);
    struct buf head;
    (void)state;
    buf_init(&head, 1 << 20);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(buf_printf(&head, "X-Filler-%u: 0123456789012345678901234567890\r\n", i),
                         STATUS_OK);
    }
    assert_int_equal(buf_append(&head, STR("\r\n")), STATUS_OK);
    for (unsigned i = 0; i <= DSN_RECIPIENTS_MAX; i++) {
        recipients[i] = usual_recipient;
        recipients[i].address = arena_printf(arena, "n%u@far.example", i);
    }
    struct dsn_request request = usual_request(recipients, DSN_RECIPIENTS_MAX + 1);
    request.head = buf_str(&head);
    request.return_headers = true;
    struct str content = compose(arena, &request).content;
    assert_has(content, "X-Filler-1000: 0123456789012345678901234567890\r\n");
    assert_false(has(content, "X-Filler-1999:"));
    assert_has(content, "7890\r\n\r\n--=_report_");
    assert_has(content, "\r\nFinal-Recipient: rfc822; n999@far.example\r\n");
    assert_false(has(content, "\r\nFinal-Recipient: rfc822; n1000@far.example\r\n"));
    buf_free(&head);
    arena_destroy(&arena);
}

static void
test_a_full_arena_is_said(void **state)
{
    struct dsn_message message;
    struct dsn_request request = usual_request(&usual_recipient, 1);
    (void)state;
    for (size_t ceiling = 64; ceiling < 2048; ceiling *= 2) {
        struct arena *arena = arena_create(ceiling);
        assert_int_equal(dsn_compose(arena, &request, &message), STATUS_LIMIT);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bounce_word_for_word),
        cmocka_unit_test(test_quotes_nothing_made_up),
        cmocka_unit_test(test_actions_and_statuses),
        cmocka_unit_test(test_a_delay_says_until_when),
        cmocka_unit_test(test_what_is_returned),
        cmocka_unit_test(test_hidden_characters),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_nothing_can_be_forged),
        cmocka_unit_test(test_the_boundary_is_not_in_the_original),
        cmocka_unit_test(test_many_recipients),
        cmocka_unit_test(test_a_status_that_is_none),
        cmocka_unit_test(test_for_the_postmaster),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_a_full_arena_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
