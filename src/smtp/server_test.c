/* Dialogues of the session, and its limits. Each is fed whole, octet by octet and cut anywhere. */
#include "smtp/test_dialogue.h"

static void
tls_required(struct smtp_server_settings *settings)
{
    settings->tls = SMTP_TLS_REQUIRED;
}

static void
tls_none(struct smtp_server_settings *settings)
{
    settings->tls = SMTP_TLS_NONE;
}

static void
few_errors(struct smtp_server_settings *settings)
{
    settings->limits.errors = 3;
}

static void
few_idle(struct smtp_server_settings *settings)
{
    settings->limits.idle_commands = 2;
}

static void
few_commands(struct smtp_server_settings *settings)
{
    settings->limits.commands = 3;
}

static void
few_recipients(struct smtp_server_settings *settings)
{
    settings->limits.recipients = 2;
}

static void
few_transactions(struct smtp_server_settings *settings)
{
    settings->limits.transactions = 1;
}

static void
strict_paths(struct smtp_server_settings *settings)
{
    settings->strict_paths = true;
}

static void
no_extensions(struct smtp_server_settings *settings)
{
    settings->smtputf8 = false;
    settings->dsn = false;
    settings->chunking = false;
}

static void
short_local_parts(struct smtp_server_settings *settings)
{
    settings->long_local_parts = false;
}

#define A64      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A512     A64 A64 A64 A64 A64 A64 A64 A64
#define ENVELOPE "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define EHLO     "EHLO client.example\r\n"

static void
short_lines(struct smtp_server_settings *settings)
{
    settings->limits.command_line = sizeof "NOOP " A512 "\r\n" - 1;
}

static const struct dialogue session_table[] = {
    ROW("greeting and quit", NULL, "QUIT\r\n", "220, 221 2.0.0, closed"),
    ROW("nothing is read behind QUIT", NULL, "QUIT\r\nNOOP\r\n", "220, 221 2.0.0, closed"),
    ROW("HELO", NULL, "HELO client.example\r\n", "220, 250"),
    ROW("verbs in any case", NULL, "eHlO client.example\r\nnoop\r\n", "220, 250, 250 2.0.0"),
    ROW("trailing blanks", NULL, "EHLO client.example \t\r\nNOOP  \r\n", "220, 250, 250 2.0.0"),
    ROW("EHLO without argument", NULL, "EHLO\r\nHELO\r\n", "220, 501 5.5.4, 501 5.5.4"),
    ROW("EHLO with two words", NULL, "EHLO a b\r\n", "220, 501 5.5.4"),
    ROW("EHLO with an address literal", NULL, "EHLO [192.0.2.1]\r\n", "220, 250"),
    ROW("EHLO with an odd name", NULL, "EHLO my_pc\r\n", "220, 250"),
    ROW("EHLO not in ASCII", NULL, "EHLO caf\xc3\xa9.example\r\n", "220, 501 5.5.4"),
    ROW("unknown command", NULL, "WHATISTHIS\r\n", "220, 500 5.5.1"),
    ROW("empty line", NULL, "\r\n", "220, 500 5.5.1"),
    ROW("EHLO first", NULL, "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n",
        "220, 503 5.5.1, 503 5.5.1, 503 5.5.1"),
    ROW("small commands before EHLO", NULL, "NOOP\r\nNOOP ignored\r\nRSET\r\nHELP\r\nVRFY x\r\n",
        "220, 250 2.0.0, 250 2.0.0, 250 2.0.0, 214 2.0.0, 252 2.1.5"),
    ROW("VRFY without argument, EXPN", NULL, "VRFY\r\nEXPN list\r\n", "220, 501 5.5.4, 502 5.5.1"),
    ROW("arguments where none belong", NULL, EHLO "RSET x\r\nSTARTTLS x\r\nQUIT x\r\n",
        "220, 250, 501 5.5.4, 501 5.5.4, 501 5.5.4"),
    ROW("bare LF", NULL, "EHLO client.example\nNOOP\r\n", "220, 521 5.5.2, closed"),
    ROW("bare CR", NULL, "EHLO client\r.example\r\nNOOP\r\n", "220, 521 5.5.2, closed"),
    ROW("NUL", NULL, "NOOP\0\r\nNOOP\r\n", "220, 500 5.5.2, 250 2.0.0"),
    ROW("line of 512", NULL,
        "NOOP " A64 A64 A64 A64 A64 A64 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        "220, 250 2.0.0"),
    ROW("line too long", NULL, "HELO " A512 A512 A512 A512 "\r\nNOOP\r\n",
        "220, 500 5.5.2, 250 2.0.0"),
    ROW("the longest line", short_lines, "NOOP " A512 "\r\nNOOP " A512 "x\r\nNOOP\r\n",
        "220, 250 2.0.0, 500 5.5.2, 250 2.0.0"),
    ROW("BDAT may come before anything", NULL, "BDAT 3 LAST\r\nabcNOOP\r\n",
        "220, 503 5.5.1, 250 2.0.0"),
    ROW("DATA argument", NULL, EHLO ENVELOPE "DATA x\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 501 5.5.4"),
    ROW("no STARTTLS", tls_none, EHLO "STARTTLS\r\n", "220, 250, 502 5.5.1"),
    ROW("STARTTLS before EHLO", NULL, "STARTTLS\r\n", "220, 503 5.5.1"),
    ROW("STARTTLS in a transaction", NULL, EHLO ENVELOPE "STARTTLS\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 503 5.5.1"),
    ROW("TLS required", tls_required,
        EHLO
        "NOOP\r\nMAIL FROM:<>\r\nRSET\r\nVRFY x\r\nAUTH PLAIN\r\nHELO x\r\nBDAT 1\r\nxQUIT\r\n",
        "220, 250, 250 2.0.0, 530 5.7.0, 530 5.7.0, 530 5.7.0, 530 5.7.0, 530 5.7.0, 530 5.7.0, "
        "221 2.0.0, closed"),
    ROW("AUTH on 25", NULL, EHLO "AUTH PLAIN\r\n", "220, 250, 502 5.5.1"),
    ROW("too many errors", few_errors, "A\r\nB\r\nC\r\nNOOP\r\n",
        "220, 500 5.5.1, 500 5.5.1, 421 4.7.0, closed"),
    ROW("a message clears the errors", few_errors,
        "A\r\nA\r\n" EHLO ENVELOPE "DATA\r\n.\r\nA\r\nA\r\nA\r\n",
        "220, 500 5.5.1, 500 5.5.1, 250, 250 2.1.0, 250 2.1.5, 354, [a@b.example -> c@d.example: "
        "0], "
        "250 2.0.0, 500 5.5.1, 500 5.5.1, 421 4.7.0, closed"),
    ROW("what is put off is no error", few_errors,
        EHLO "MAIL FROM:<>\r\nRCPT TO:<later@d.example>\r\nRCPT TO:<later@d.example>\r\n"
             "RCPT TO:<later@d.example>\r\nRCPT TO:<later@d.example>\r\nNOOP\r\n",
        "220, 250, 250 2.1.0, 451 4.3.0, 451 4.3.0, 451 4.3.0, 451 4.3.0, 250 2.0.0"),
    ROW("a message clears the idle commands", few_idle,
        EHLO "NOOP\r\nNOOP\r\n" ENVELOPE "DATA\r\n.\r\nNOOP\r\nNOOP\r\nNOOP\r\n",
        "220, 250, 250 2.0.0, 250 2.0.0, 250 2.1.0, 250 2.1.5, 354, "
        "[a@b.example -> c@d.example: 0], 250 2.0.0, 250 2.0.0, 250 2.0.0, 421 4.7.0, closed"),
    ROW("too many idle commands", few_idle, "NOOP\r\nRSET\r\nNOOP\r\n",
        "220, 250 2.0.0, 250 2.0.0, 421 4.7.0, closed"),
    ROW("too many commands", few_commands, EHLO EHLO EHLO EHLO,
        "220, 250, 250, 250, 421 4.7.0, closed"),
    ROW("too many messages", few_transactions, EHLO ENVELOPE "RSET\r\nMAIL FROM:<>\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 250 2.0.0, 421 4.7.0, closed"),
};

static const struct dialogue envelope_table[] = {
    ROW("a message", NULL, EHLO ENVELOPE "DATA\r\nhello\r\n.\r\nQUIT\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 354, [a@b.example -> c@d.example: 7], 250 2.0.0, "
        "221 2.0.0, closed"),
    ROW("null sender", NULL, EHLO "MAIL FROM:<>\r\n", "220, 250, 250 2.1.0"),
    ROW("null recipient", NULL, EHLO "MAIL FROM:<>\r\nRCPT TO:<>\r\n",
        "220, 250, 250 2.1.0, 501 5.1.3"),
    ROW("postmaster", NULL, EHLO "MAIL FROM:<>\r\nRCPT TO:<PostMaster>\r\nRCPT TO:<pepe>\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 501 5.1.3"),
    ROW("sender without domain", NULL, EHLO "MAIL FROM:<postmaster>\r\n", "220, 250, 501 5.1.7"),
    ROW("source route", NULL,
        EHLO "MAIL FROM:<@x.example,@y.example:a@b.example>\r\nRCPT TO:<@z.example:c@d.example>\r\n"
             "DATA\r\n.\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 354, [a@b.example -> c@d.example: 0], 250 2.0.0"),
    ROW("normal form", NULL,
        EHLO "MAIL FROM:<\"a\"@B.Example>\r\nRCPT TO:<\"c d\"@[IPv6:2001:DB8::0:1]>\r\n"
             "DATA\r\n.\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 354, "
        "[a@b.example -> \"c d\"@[IPv6:2001:db8::1]: 0], 250 2.0.0"),
    ROW("loose paths", NULL, EHLO "MAIL FROM: <a@b.example>\r\nRCPT TO:c@d.example\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5"),
    ROW("strict paths", strict_paths,
        EHLO "MAIL FROM: <a@b.example>\r\nMAIL FROM:a@b.example\r\nMAIL FROM:<a@b.example>\r\n",
        "220, 250, 501 5.1.7, 501 5.1.7, 250 2.1.0"),
    ROW("not MAIL FROM:", NULL, EHLO "MAIL LALA: <>\r\nMAIL FROM:\r\nMAIL\r\n",
        "220, 250, 500 5.5.2, 500 5.5.2, 500 5.5.2"),
    ROW("not RCPT TO:", NULL, EHLO "MAIL FROM:<>\r\nRCPT FROM:<a@b>\r\nRCPT TO:\r\n",
        "220, 250, 250 2.1.0, 500 5.5.2, 500 5.5.2"),
    ROW("text behind the path", NULL, EHLO "MAIL FROM:<a@b.example>SIZE=1\r\n",
        "220, 250, 501 5.1.7"),
    ROW("two senders", NULL, EHLO "MAIL FROM:<>\r\nMAIL FROM:<>\r\n",
        "220, 250, 250 2.1.0, 503 5.5.1"),
    ROW("recipient before sender", NULL, EHLO "RCPT TO:<c@d.example>\r\nDATA\r\n",
        "220, 250, 503 5.5.1, 503 5.5.1"),
    ROW("refused sender", NULL, EHLO "MAIL FROM:<bad@b.example>\r\nRCPT TO:<c@d.example>\r\n",
        "220, 250, 550 5.7.1, 503 5.5.1"),
    ROW("refused recipients", NULL,
        EHLO
        "MAIL FROM:<>\r\nDATA\r\nRCPT TO:<no@d.example>\r\nRCPT TO:<later@d.example>\r\nDATA\r\n",
        "220, 250, 250 2.1.0, 503 5.5.1, 550 5.1.1, 451 4.3.0, 554 5.5.1"),
    ROW("one of three", NULL,
        EHLO "MAIL FROM:<>\r\nRCPT TO:<no@d.example>\r\nRCPT TO:<yes@d.example>\r\n"
             "RCPT TO:<later@d.example>\r\nDATA\r\n.\r\n",
        "220, 250, 250 2.1.0, 550 5.1.1, 250 2.1.5, 451 4.3.0, 354, [ -> yes@d.example: 0], 250 "
        "2.0.0"),
    ROW("too many recipients", few_recipients,
        EHLO ENVELOPE "RCPT TO:<e@d.example>\r\nRCPT TO:<f@d.example>\r\nDATA\r\n.\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 250 2.1.5, 452 4.5.3, 354, "
        "[a@b.example -> c@d.example,e@d.example: 0], 250 2.0.0"),
    ROW("RSET", NULL, EHLO ENVELOPE "RSET\r\nDATA\r\n" ENVELOPE,
        "220, 250, 250 2.1.0, 250 2.1.5, 250 2.0.0, 503 5.5.1, 250 2.1.0, 250 2.1.5"),
    ROW("EHLO ends a transaction", NULL, EHLO ENVELOPE EHLO "DATA\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5, 250, 503 5.5.1"),
    ROW("SIZE", NULL,
        EHLO "MAIL FROM:<> SIZE=99999999999\r\nMAIL FROM:<> SIZE=x\r\n"
             "MAIL FROM:<> SIZE\r\nMAIL FROM:<> SIZE=52428800\r\n",
        "220, 250, 552 5.3.4, 501 5.5.4, 501 5.5.4, 250 2.1.0"),
    ROW("SIZE beyond counting", NULL, EHLO "MAIL FROM:<> SIZE=99999999999999999999\r\n",
        "220, 250, 552 5.3.4"),
    ROW("BODY", NULL,
        EHLO "MAIL FROM:<> BODY=BINARYMIME\r\nMAIL FROM:<> BODY\r\n"
             "MAIL FROM:<> body=8bitmime\r\n",
        "220, 250, 555 5.5.4, 501 5.5.4, 250 2.1.0"),
    ROW("unknown and repeated parameters", NULL,
        EHLO "MAIL FROM:<> FOO=bar\r\nMAIL FROM:<> SIZE=1 SIZE=2\r\nMAIL FROM:<> =\r\n",
        "220, 250, 555 5.5.4, 501 5.5.4, 501 5.5.4"),
    ROW("DSN", NULL,
        EHLO "MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ+2B1\r\n"
             "RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+40d.example\r\n",
        "220, 250, 250 2.1.0, 250 2.1.5"),
    ROW("wrong DSN", NULL,
        EHLO "MAIL FROM:<> RET=SOME\r\nMAIL FROM:<> ENVID=a+0Ab\r\nMAIL FROM:<> ENVID=+4\r\n"
             "MAIL FROM:<>\r\nRCPT TO:<c@d.example> NOTIFY=NEVER,DELAY\r\n"
             "RCPT TO:<c@d.example> NOTIFY=\r\nRCPT TO:<c@d.example> ORCPT=x\r\n",
        "220, 250, 501 5.5.4, 501 5.5.4, 501 5.5.4, 250 2.1.0, 501 5.5.4, 501 5.5.4, 501 5.5.4"),
    ROW("extensions that are off", no_extensions,
        EHLO "MAIL FROM:<> RET=FULL\r\nMAIL FROM:<> SMTPUTF8\r\nMAIL FROM:<\xc3\xa9@b.example>\r\n"
             "BDAT 1 LAST\r\nx",
        "220, 250, 555 5.5.4, 555 5.5.4, 550 5.6.7, 502 5.5.1"),
    ROW("SMTPUTF8", NULL,
        EHLO "MAIL FROM:<\xc3\xa9@b\xc3\xbc.example>\r\nMAIL FROM:<\xc3\xa9@b\xc3\xbc.example> "
             "SMTPUTF8\r\n"
             "RCPT TO:<\xc3\xa0@d.example>\r\nDATA\r\n.\r\n",
        "220, 250, 550 5.6.7, 250 2.1.0, 250 2.1.5, 354, "
        "[\xc3\xa9@xn--b-eha.example -> \xc3\xa0@d.example: 0], 250 2.0.0"),
    ROW("UTF-8 recipient without SMTPUTF8", NULL,
        EHLO "MAIL FROM:<>\r\nRCPT TO:<henry\xe2\x85\xa3@d.example>\r\n",
        "220, 250, 250 2.1.0, 550 5.6.7"),
    ROW("broken UTF-8", NULL, EHLO "MAIL FROM:<\xc3@b.example> SMTPUTF8\r\n",
        "220, 250, 501 5.1.7"),
    ROW("path too long", NULL, EHLO "MAIL FROM:<>\r\nRCPT TO:<" A64 "@" A64 "." A64 "." A64 ">\r\n",
        "220, 250, 250 2.1.0, 501 5.1.3"),
    ROW("long local part", NULL, EHLO "MAIL FROM:<" A64 "b@b.example>\r\n", "220, 250, 250 2.1.0"),
    ROW("long local part refused", short_local_parts, EHLO "MAIL FROM:<" A64 "b@b.example>\r\n",
        "220, 250, 501 5.1.7"),
};

static void
test_session(void **state)
{
    (void)state;
    dialogues_check(session_table, sizeof session_table / sizeof session_table[0], SMTP_LISTENER_MX,
                    false);
}

static void
test_envelope(void **state)
{
    (void)state;
    dialogues_check(envelope_table, sizeof envelope_table / sizeof envelope_table[0],
                    SMTP_LISTENER_MX, false);
}

static void
test_ehlo_lists_what_is_on(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SUBMISSION, NULL);
    test_edge_start(&edge);
    buf_clear(&edge.wire);
    test_edge_feed(&edge, STR(EHLO), 0);
    assert_str(buf_str(&edge.wire), "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n"
                                    "250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n"
                                    "250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n"
                                    "250-LIMITS RCPTMAX=500 MAILMAX=1000\r\n250 HELP\r\n");
    test_edge_feed(&edge, STR("STARTTLS\r\n"), 0);
    buf_clear(&edge.wire);
    test_edge_feed(&edge, STR(EHLO), 0);
    assert_str(buf_str(&edge.wire), "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n"
                                    "250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n"
                                    "250-ENHANCEDSTATUSCODES\r\n"
                                    "250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n"
                                    "250-LIMITS RCPTMAX=500 MAILMAX=1000\r\n250 HELP\r\n");
    test_edge_close(&edge);
}

static void
test_starttls_forgets_the_session(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    /* Commands slipped in behind STARTTLS never run, in the clear or inside TLS: the edge feeds on
     * with what feed has left of its input. */
    test_edge_feed(&edge, STR(EHLO), 0);
    edge.hasty = true;
    test_edge_feed(&edge, STR("STARTTLS\r\n" EHLO "MAIL FROM:<evil@b.example>\r\nRCPT"), 0);
    edge.hasty = false;
    assert_str(buf_str(&edge.log), "220, 250, 220 2.0.0, tls");
    assert_true(str_find(buf_str(&edge.trace), STR("! after_starttls")) != STR_NPOS);
    test_edge_feed(&edge, STR(" TO:<c@d.example>\r\nMAIL FROM:<a@b.example>\r\n"), 0);
    assert_str(buf_str(&edge.log), "220, 250, 220 2.0.0, tls, 500 5.5.1, 503 5.5.1");
    const struct smtp_session *session = smtp_server_session(edge.server);
    assert_true(session->tls);
    assert_false(session->esmtp);
    assert_int_equal(session->helo.n, 0);
    assert_str(session->tls_info.version, "TLSv1.3");
    test_edge_feed(&edge, STR(EHLO "STARTTLS\r\n" ENVELOPE), 0);
    assert_str(buf_str(&edge.log),
               "220, 250, 220 2.0.0, tls, 500 5.5.1, 503 5.5.1, 250, 503 5.5.1, "
               "250 2.1.0, 250 2.1.5");
    test_edge_close(&edge);
}

static void
test_helo_forms(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum smtp_helo_form form;
    } rows[] = {
        {"EHLO client.example\r\n", SMTP_HELO_DOMAIN},
        {"EHLO localhost\r\n", SMTP_HELO_LABEL},
        {"EHLO [192.0.2.1]\r\n", SMTP_HELO_LITERAL},
        {"HELO [IPv6:::1]\r\n", SMTP_HELO_LITERAL},
        {"EHLO 192.0.2.1\r\n", SMTP_HELO_MALFORMED},
        {"EHLO a_b.example\r\n", SMTP_HELO_MALFORMED},
        {"EHLO [a]\r\n", SMTP_HELO_MALFORMED},
        {"EHLO a..b\r\n", SMTP_HELO_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, str_from_cstr(rows[i].line), 0);
        assert_int_equal(smtp_server_session(edge.server)->helo_form, rows[i].form);
        assert_int_equal(smtp_server_session(edge.server)->esmtp, rows[i].line[0] == 'E');
        test_edge_close(&edge);
    }
}

/* Where users submit, a device may call itself what it likes. */
static void
test_any_helo(void **state)
{
    (void)state;
    static const struct {
        struct str line;
        const char *name;
        enum smtp_helo_form form;
        bool on_mx;
    } rows[] = {
        {STR_INIT("EHLO my_pc\r\n"), "my_pc", SMTP_HELO_MALFORMED, true},
        {STR_INIT("EHLO 192.0.2.1\r\n"), "192.0.2.1", SMTP_HELO_MALFORMED, true},
        {STR_INIT("EHLO Office Printer 2\r\n"), "Office?Printer?2", SMTP_HELO_MALFORMED, false},
        {STR_INIT("EHLO\r\n"), "[192.0.2.7]", SMTP_HELO_LITERAL, false},
        {STR_INIT("EHLO  \r\n"), "[192.0.2.7]", SMTP_HELO_LITERAL, false},
        {STR_INIT("EHLO caf\xc3\xa9.example\r\n"), "xn--caf-dma.example", SMTP_HELO_DOMAIN, false},
        {STR_INIT("EHLO B\xc3\xbcro-PC\r\n"), "xn--bro-pc-3ya", SMTP_HELO_LABEL, false},
        {STR_INIT("EHLO caf\xe9 \x01pc\r\n"),
         "caf??"
         "?pc",
         SMTP_HELO_MALFORMED, false},
        {STR_INIT("EHLO \xf0\x9f\x96\xa8 x\r\n"),
         "???"
         "??x",
         SMTP_HELO_MALFORMED, false},
        {STR_INIT("EHLO (none)\r\n"), "(none)", SMTP_HELO_MALFORMED, true},
        {STR_INIT("EHLO @\r\n"), "@", SMTP_HELO_MALFORMED, true},
        {STR_INIT("EHLO a..b.\r\n"), "a..b.", SMTP_HELO_MALFORMED, true},
    };
    for (size_t i = 0; i < 3 * sizeof rows / sizeof rows[0]; i++) {
        struct test_edge edge;
        enum smtp_listener_kind kind = (enum smtp_listener_kind)(i % 3);
        bool taken = kind != SMTP_LISTENER_MX || rows[i / 3].on_mx;
        test_edge_open(&edge, kind, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, rows[i / 3].line, 0);
        if (!str_eq(buf_str(&edge.log), taken ? STR("220, 250") : STR("220, 501 5.5.4"))) {
            fail_msg("row %zu, kind %zu", i / 3, i % 3);
        }
        if (taken) {
            assert_str(smtp_server_session(edge.server)->helo, rows[i / 3].name);
            assert_int_equal(smtp_server_session(edge.server)->helo_form, rows[i / 3].form);
        }
        test_edge_close(&edge);
    }
}

/* RFC 5321 4.5.3.1.2: 255 octets. */
static void
test_helo_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct test_edge edge;
        size_t n = 254 + i / 2;
        bool mx = i % 2 == 0;
        test_edge_open(&edge, mx ? SMTP_LISTENER_MX : SMTP_LISTENER_SUBMISSION, NULL);
        test_edge_start(&edge);
        char line[300];
        memset(line, 'a', sizeof line);
        memcpy(line, "EHLO ", 5);
        for (size_t dot = 60; dot < n; dot += 60) {
            line[dot] = '.';
        }
        memcpy(line + 5 + n, "\r\n", 2);
        test_edge_feed(&edge, str_make(line, n + 7), 0);
        bool taken = !mx || n <= 255;
        assert_str(buf_str(&edge.log), taken ? "220, 250" : "220, 501 5.5.4");
        assert_int_equal(smtp_server_session(edge.server)->helo.n, !taken ? 0 : n <= 255 ? n : 255);
        test_edge_close(&edge);
    }
}

static void
test_early_talk(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    smtp_server_input_before_greeting(edge.server);
    test_edge_feed(&edge, STR("EHLO x\r\n"), 0);
    assert_str(buf_str(&edge.log), "554 5.5.1, closed");
    test_edge_close(&edge);
    test_edge_open(&edge, SMTP_LISTENER_SUBMISSION, NULL); /* only noted there */
    smtp_server_input_before_greeting(edge.server);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR("EHLO x\r\n"), 0);
    assert_str(buf_str(&edge.log), "220, 250");
    assert_true(smtp_server_session(edge.server)->early_talk);
    test_edge_close(&edge);
}

static void
test_results_are_waited_for(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    edge.defer = true;
    struct str input = STR("MAIL FROM:<a@b.example>\r\nNOOP\r\n");
    size_t used;
    test_edge_feed(&edge, STR(EHLO), 0);
    struct smtp_action action = smtp_server_feed(edge.server, input, &used);
    assert_int_equal(action.kind, SMTP_ACTION_CHECK_SENDER);
    assert_int_equal(used, input.n - 6);
    assert_int_equal(smtp_server_timeout_ms(edge.server), 0);
    action = smtp_server_feed(edge.server, str_skip(input, used), &used);
    assert_int_equal(action.kind, SMTP_ACTION_WAIT);
    assert_int_equal(used, 0);
    smtp_server_recipient_result(edge.server, NULL); /* nobody asked */
    assert_int_equal(smtp_server_state(edge.server), SMTP_STATE_WAIT_SENDER);
    smtp_server_sender_result(edge.server, NULL);
    assert_int_equal(smtp_server_timeout_ms(edge.server), 300000);
    action = smtp_server_feed(edge.server, STR("NOOP\r\n"), &used);
    assert_int_equal(action.kind, SMTP_ACTION_NONE);
    test_edge_collect(&edge);
    assert_str(buf_str(&edge.log), "220, 250, 250 2.1.0, 250 2.0.0");
    test_edge_close(&edge);
}

static void
test_a_refusal_is_never_positive(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    edge.defer = true;
    test_edge_feed(&edge, STR(EHLO "MAIL FROM:<a@b.example>\r\n"), 0);
    struct smtp_reply odd = SMTP_REPLY(250, 2, 0, 0, "Ok");
    smtp_server_sender_result(edge.server, &odd);
    test_edge_collect(&edge);
    assert_str(buf_str(&edge.log), "220, 250, 451 4.3.0");
    test_edge_close(&edge);
}

static void
test_end_in_every_state(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "",
        EHLO,
        EHLO "MAIL FROM:<>\r\n",
        EHLO ENVELOPE,
        EHLO ENVELOPE "DATA\r\nabc",
        EHLO ENVELOPE "BDAT 9\r\nabc",
        EHLO ENVELOPE "BDAT 3\r\nabc",
        EHLO "NO",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, str_from_cstr(inputs[i]), 0);
        struct smtp_reply timeout = SMTP_REPLY(421, 4, 4, 2, "Timeout");
        smtp_server_end(edge.server, &timeout);
        test_edge_feed(&edge, STR("NOOP\r\n"), 0);
        assert_true(edge.closed);
        assert_true(str_ends_with(buf_str(&edge.log), STR("421 4.4.2, closed")));
        assert_int_equal(edge.message_count, 0);
        assert_int_equal(buf_length(&edge.body), 0);
        test_edge_close(&edge);
    }
}

static void
test_output_is_bounded(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    edge.settings.limits.idle_commands = 100000;
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO), 0);
    struct buf flood;
    buf_init(&flood, 1u << 20);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(buf_append(&flood, STR("HELP\r\n")), STATUS_OK);
    }
    size_t used;
    struct smtp_action action = smtp_server_feed(edge.server, buf_str(&flood), &used);
    assert_int_equal(action.kind, SMTP_ACTION_FLUSH);
    assert_true(used < buf_length(&flood));
    assert_true(smtp_server_output(edge.server).n < 2 * SMTP_SERVER_OUTPUT_HIGH);
    buf_free(&flood);
    test_edge_close(&edge);
}

static void
test_settings_are_checked(void **state)
{
    (void)state;
    struct smtp_server_settings settings;
    struct ip_address client = {{0}};
    smtp_server_settings_init(&settings, SMTP_LISTENER_MX);
    assert_null(smtp_server_create(&settings, &client, 1, NULL)); /* no name */
    settings.hostname = STR("mx.example");
    settings.limits.recipients = 0;
    assert_null(smtp_server_create(&settings, &client, 1, NULL));
    settings.limits.recipients = SMTP_SERVER_RECIPIENTS_CEILING + 1;
    assert_null(smtp_server_create(&settings, &client, 1, NULL));
    settings.limits.recipients = 1;
    struct smtp_server *server = smtp_server_create(&settings, &client, 1, NULL);
    assert_non_null(server);
    smtp_server_destroy(&server);
    assert_null(server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_ehlo_lists_what_is_on),
        cmocka_unit_test(test_starttls_forgets_the_session),
        cmocka_unit_test(test_helo_forms),
        cmocka_unit_test(test_any_helo),
        cmocka_unit_test(test_helo_length),
        cmocka_unit_test(test_early_talk),
        cmocka_unit_test(test_results_are_waited_for),
        cmocka_unit_test(test_a_refusal_is_never_positive),
        cmocka_unit_test(test_end_in_every_state),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
