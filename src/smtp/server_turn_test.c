/* Clients that do not wait for replies, and those that speak another protocol. */
#include "smtp/test_dialogue.h"

#define EHLO     "EHLO client.example\r\n"
#define HELO     "HELO client.example\r\n"
#define SENDER   "MAIL FROM:<a@b.example>\r\n"
#define ENVELOPE SENDER "RCPT TO:<c@d.example>\r\n"
#define EVIL     "MAIL FROM:<evil@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define ENDED    "554 5.5.0, closed"
#define FROM_TO  "[a@b.example -> c@d.example: "

struct turn {
    const char *name;
    struct str patient; /* sent by a client that waits */
    struct str hasty;   /* sent at once behind it */
    const char *want;
};

#define TURN(name, patient, hasty, want)                                                           \
    {                                                                                              \
        (name), STR_INIT(patient), STR_INIT(hasty), (want)                                         \
    }

static const struct turn turn_table[] = {
    TURN("content before 354", EHLO ENVELOPE, "DATA\r\nx\r\n.\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("content before 354, in the group", EHLO, ENVELOPE "DATA\r\nx\r\n.\r\n" EVIL,
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("one octet before 354", EHLO ENVELOPE, "data\r\nx",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("content behind a DATA without recipients", EHLO,
         "MAIL FROM:<>\r\nRCPT TO:<no@d.example>\r\nDATA\r\nRSET\r\n" EVIL "DATA\r\n",
         "220, 250, 250 2.1.0, 550 5.1.1, " ENDED),
    TURN("content behind a DATA without RCPT", EHLO, SENDER "DATA\r\nRCPT TO:<c@d.example>\r\n",
         "220, 250, 250 2.1.0, " ENDED),
    TURN("content behind a DATA without MAIL", EHLO, "DATA\r\n" EVIL, "220, 250, " ENDED),
    TURN("content behind a DATA with an argument", EHLO ENVELOPE, "DATA x\r\nRSET\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("content behind a DATA with NUL", EHLO ENVELOPE, "DATA\0\r\nRSET\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("content behind a command nobody knows", EHLO ENVELOPE, "XDATA\r\nRSET\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("DATA between chunks", EHLO ENVELOPE "BDAT 3\r\na\r\n", "DATA\r\nRSET\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, 250 2.0.0, " ENDED),
    TURN("DATA before EHLO", "", "DATA\r\nx\r\n", "220, " ENDED),
    TURN("commands behind EHLO", "", EHLO EVIL "DATA\r\n", "220, " ENDED),
    TURN("one command behind EHLO", "", EHLO "NOOP\r\n", "220, " ENDED),
    TURN("commands behind a second EHLO", EHLO ENVELOPE, EHLO "NOOP\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("commands behind an EHLO that is refused", "", "EHLO\r\n" EVIL, "220, " ENDED),
    TURN("commands behind HELO", "", HELO EVIL, "220, " ENDED),
    TURN("MAIL behind HELO's MAIL", HELO, ENVELOPE, "220, 250, " ENDED),
    TURN("RCPT and DATA after HELO", HELO SENDER, "RCPT TO:<c@d.example>\r\nDATA\r\n",
         "220, 250, 250 2.1.0, " ENDED),
    TURN("DATA after HELO", HELO ENVELOPE, "DATA\r\nx\r\n.\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, " ENDED),
    TURN("NOOP after HELO", HELO, "NOOP\r\nNOOP\r\n", "220, 250, " ENDED),
    TURN("overlong command after HELO", HELO, "NOOP\0\r\nNOOP\r\n", "220, 250, " ENDED),
    TURN("commands behind the dot, after HELO", HELO ENVELOPE "DATA\r\n", "x\r\n.\r\n" EVIL,
         "220, 250, 250 2.1.0, 250 2.1.5, 354, " FROM_TO "3], 250 2.0.0, " ENDED),
    TURN("one command behind the dot, after HELO", HELO ENVELOPE "DATA\r\n", "x\r\n.\r\n" SENDER,
         "220, 250, 250 2.1.0, 250 2.1.5, 354, " FROM_TO "3], 250 2.0.0, " ENDED),
    TURN("one command behind a refused message, after HELO", HELO ENVELOPE "DATA\r\n",
         "REFUSE\r\n.\r\n" SENDER,
         "220, 250, 250 2.1.0, 250 2.1.5, 354, " FROM_TO "8], 554 5.7.1, " ENDED),
    TURN("commands behind a chunk, after HELO", HELO, "BDAT 3\r\nabcMAIL FROM:<>\r\n",
         "220, 250, " ENDED),
    TURN("commands before EHLO", "", "NOOP\r\n" EHLO, "220, " ENDED),
    TURN("blank line first", "", "\r\n" EHLO, "220, " ENDED),
    TURN("commands behind AUTH", EHLO, "AUTH PLAIN x\r\nNOOP\r\n", "220, 250, " ENDED),
    /* What stays legal (RFC 2920 3.1, RFC 3030 4.2). */
    TURN("a group that ends with DATA", EHLO, ENVELOPE "DATA\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, 354"),
    TURN("a group behind the dot", EHLO ENVELOPE "DATA\r\n", "x\r\n.\r\n" ENVELOPE "DATA\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, 354, " FROM_TO
         "3], 250 2.0.0, 250 2.1.0, 250 2.1.5, 354"),
    TURN("chunks with their octets, and the next message", EHLO,
         ENVELOPE "BDAT 3\r\na\r\nBDAT 0 LAST\r\n" ENVELOPE "BDAT 3 LAST\r\nb\r\nQUIT\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, 250 2.0.0, " FROM_TO
         "3], 250 2.0.0, 250 2.1.0, 250 2.1.5, " FROM_TO "3], 250 2.0.0, 221 2.0.0, closed"),
    TURN("a refused chunk with its octets", EHLO, "BDAT 6\r\nNOOP\r\nNOOP\r\n",
         "220, 250, 503 5.5.1, 250 2.0.0"),
    TURN("what does no harm", EHLO, "NOOP\r\nVRFY x\r\nEXPN x\r\nHELP\r\nRSET\r\nQUIT\r\nNOOP\r\n",
         "220, 250, 250 2.0.0, 252 2.1.5, 502 5.5.1, 214 2.0.0, 250 2.0.0, 221 2.0.0, closed"),
    TURN("QUIT behind the dot, after HELO", HELO ENVELOPE "DATA\r\n", "x\r\n.\r\nQUIT\r\n",
         "220, 250, 250 2.1.0, 250 2.1.5, 354, " FROM_TO "3], 250 2.0.0, 221 2.0.0, closed"),
    TURN("anything behind QUIT, after HELO", HELO, "QUIT\r\nNOOP\r\n",
         "220, 250, 221 2.0.0, closed"),
};

static void
turn_check(const struct turn *row)
{
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    test_edge_feed(&edge, row->patient, 0);
    edge.hasty = true;
    test_edge_feed(&edge, row->hasty, 0);
    if (!str_eq(buf_str(&edge.log), str_from_cstr(row->want))) {
        print_error("%s\n", row->name);
        assert_str(buf_str(&edge.log), row->want);
    }
    bool ended = str_ends_with(str_from_cstr(row->want), STR(ENDED));
    bool noted = str_find(buf_str(&edge.trace), STR("! out_of_turn\n")) != STR_NPOS;
    assert_int_equal(noted, ended);
    assert_int_equal(buf_length(&edge.body), 0);
    test_edge_close(&edge);
}

static void
test_who_does_not_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof turn_table / sizeof turn_table[0]; i++) {
        turn_check(&turn_table[i]);
    }
}

/* The same, seen by the edge on the socket and not yet read. */
static void
test_input_that_was_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *patient;
        struct str line; /* while more waits */
        const char *want;
    } rows[] = {
        {EHLO ENVELOPE, STR_INIT("DATA\r\n"), "220, 250, 250 2.1.0, 250 2.1.5, " ENDED},
        {EHLO, STR_INIT("DATA\r\n"), "220, 250, " ENDED},
        {"", STR_INIT(EHLO), "220, " ENDED},
        {HELO, STR_INIT(SENDER), "220, 250, " ENDED},
        {HELO, STR_INIT("NOOP\0\r\n"), "220, 250, " ENDED},
        {HELO ENVELOPE "DATA\r\nx\r\n", STR_INIT(".\r\n"),
         "220, 250, 250 2.1.0, 250 2.1.5, 354, " FROM_TO "3], 250 2.0.0"},
        {HELO, STR_INIT("BDAT 0\r\n"), "220, 250, " ENDED},
        {EHLO, STR_INIT(SENDER), "220, 250, 250 2.1.0"},
        {EHLO, STR_INIT("NOOP\r\n"), "220, 250, 250 2.0.0"},
        {EHLO, STR_INIT("BDAT 0\r\n"), "220, 250, 503 5.5.1"},
        {EHLO, STR_INIT("STARTTLS\r\n"), "220, 250, 220 2.0.0, tls"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, str_from_cstr(rows[i].patient), 0);
        edge.waiting = true;
        test_edge_feed(&edge, rows[i].line, 0);
        assert_str(buf_str(&edge.log), rows[i].want);
        test_edge_close(&edge);
    }
}

/* Content that comes while 354 is still in our hands was not asked for either. */
static void
test_content_before_354_is_written(void **state)
{
    (void)state;
    struct test_edge edge;
    size_t used;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO ENVELOPE), 0);
    struct smtp_action action = smtp_server_feed(edge.server, STR("DATA\r\n"), &used);
    assert_int_equal(action.kind, SMTP_ACTION_NONE);
    assert_int_equal(smtp_server_state(edge.server), SMTP_STATE_DATA);
    action = smtp_server_feed(edge.server, STR("x\r\n.\r\n"), &used);
    assert_int_equal(action.kind, SMTP_ACTION_CLOSE);
    assert_true(str_find(smtp_server_output(edge.server), STR("\n554 5.5.0 ")) != STR_NPOS);
    assert_null(smtp_server_envelope(edge.server));
    test_edge_close(&edge);
}

/* A HELO client's next command that is there before the answer to its message. */
static void
test_ahead_of_an_answer(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(HELO ENVELOPE "DATA\r\n"), 0);
    edge.defer = true;
    test_edge_feed(&edge, STR("x\r\n.\r\n"), 0);
    assert_int_equal(smtp_server_state(edge.server), SMTP_STATE_WAIT_MESSAGE);
    edge.waiting = true; /* it comes while the answer is awaited */
    edge.defer = false;
    test_edge_answer(&edge, &edge.deferred);
    edge.waiting = false;
    test_edge_feed(&edge, STR(SENDER), 0);
    assert_true(str_ends_with(buf_str(&edge.log), STR("250 2.0.0, " ENDED)));
    test_edge_close(&edge);
}

/* ---- AUTH */

static void
test_auth_exchange_is_waited_for(void **state)
{
    (void)state;
    static const char *const inputs[] = {"AUTH LOGIN\r\ndXNlcg==\r\n",
                                         "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n" SENDER};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
        test_edge_tls(&edge);
        test_edge_start(&edge);
        test_edge_feed(&edge, STR(EHLO), 0);
        edge.hasty = true;
        test_edge_feed(&edge, str_from_cstr(inputs[i]), 0);
        assert_str(buf_str(&edge.log), "220, 250, " ENDED);
        test_edge_close(&edge);
    }
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
    test_edge_tls(&edge);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO "AUTH LOGIN\r\n"), 0);
    edge.hasty = true;
    test_edge_feed(&edge, STR("dXNlcg==\r\nc2VjcmV0\r\n"), 0);
    assert_str(buf_str(&edge.log), "220, 250, 334, " ENDED);
    test_edge_close(&edge);
}

/* ---- other protocols */

static void
test_other_protocols(void **state)
{
    (void)state;
    static const struct str lines[] = {
        STR_INIT("GET / HTTP/1.1\r\n"),
        STR_INIT("get /\r\n"),
        STR_INIT("Post /x HTTP/1.0\r\n"),
        STR_INIT("POST\r\n"),
        STR_INIT("GET/ HTTP/1.1\r\n"),
        STR_INIT("GET\t/\tHTTP/1.1\r\n"),
        STR_INIT(" PUT / HTTP/1.1 \r\n"),
        STR_INIT("HEAD / HTTP/1.1\r\n"),
        STR_INIT("DELETE /\r\n"),
        STR_INIT("OPTIONS * HTTP/1.1\r\n"),
        STR_INIT("TRACE /\r\n"),
        STR_INIT("PATCH /\r\n"),
        STR_INIT("CONNECT mail.example:25 HTTP/1.1\r\n"),
        STR_INIT("PRI * HTTP/2.0\r\n"),
        STR_INIT("PROPFIND /dav http/1.1\r\n"),
        STR_INIT("HTTP/1.1 200 OK\r\n"),
        STR_INIT("INVITE sip:a@b SIP/2.0\r\n"),
        STR_INIT("DESCRIBE rtsp://x RTSP/1.0\r\n"),
        STR_INIT("SSH-2.0-OpenSSH_9.2\r\n"),
        STR_INIT("\x16\x03\x01\x02"), /* TLS; there may be no line end for long */
        STR_INIT("\x80\x2e\x01"),     /* SSL 2 */
        STR_INIT("\x03"),             /* RDP */
        STR_INIT("\xff\x53MB"),
        STR_INIT("\x1b"),
        STR_INIT("\x7f"),
    };
    static const char *const before[] = {"", HELO, EHLO, EHLO ENVELOPE};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0] * 4; i++) {
        struct test_edge edge;
        test_edge_open(&edge, i % 2 == 0 ? SMTP_LISTENER_MX : SMTP_LISTENER_SUBMISSION, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, str_from_cstr(before[i % 4]), 0);
        test_edge_feed(&edge, lines[i / 4], i % 3);
        if (!str_ends_with(buf_str(&edge.log), STR(", " ENDED)) ||
            str_find(buf_str(&edge.trace), STR("! not_smtp\n")) == STR_NPOS) {
            print_error("%zu: %.*s\n", i / 4, STR_ARG(lines[i / 4]));
            fail();
        }
        test_edge_close(&edge);
    }
}

static void
test_what_only_looks_like_them(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    test_edge_feed(&edge,
                   STR("EHLO get.example\r\nNOOP GET / HTTP/1.1\r\nGETTER\r\nHELP post\r\n\r\n"
                       "\t\r\nMAIL FROM:<get@post.example>\r\n"),
                   0);
    assert_str(buf_str(&edge.log),
               "220, 250, 250 2.0.0, 500 5.5.1, 214 2.0.0, 500 5.5.1, 500 5.5.1, 250 2.1.0");
    test_edge_close(&edge);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_does_not_wait),
        cmocka_unit_test(test_input_that_was_not_read),
        cmocka_unit_test(test_content_before_354_is_written),
        cmocka_unit_test(test_ahead_of_an_answer),
        cmocka_unit_test(test_auth_exchange_is_waited_for),
        cmocka_unit_test(test_other_protocols),
        cmocka_unit_test(test_what_only_looks_like_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
