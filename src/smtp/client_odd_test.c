/* Servers that do not keep to the protocol, and what must never be written to any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "smtp/test_client.h"

#define GREET                                                                                      \
    {                                                                                              \
        "220 mx.example ESMTP\r\n", "EHLO gw.example\r\n"                                          \
    }
#define LGREET                                                                                     \
    {                                                                                              \
        "220 mx.example LMTP\r\n", "LHLO gw.example\r\n"                                           \
    }
#define PIPE      "250-mx.example\r\n250 PIPELINING\r\n"
#define CHUNK     "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define TLS       "250-mx.example\r\n250 STARTTLS\r\n"
#define MAIL      "MAIL FROM:<a@x.example>\r\n"
#define RCPT1     "RCPT TO:<1@y.example>\r\n"
#define RCPT2     "RCPT TO:<2@y.example>\r\n"
#define CONTENT   TEST_CLIENT_HEAD "text\r\n"
#define OK        "250 2.1.0 ok\r\n"
#define GO        "354 go\r\n"
#define IGNORE(k) (1u << SMTP_CLIENT_KEYWORD_##k)

static const struct client_dialogue dialogues[] = {
    /* ---- replies */
    {.name = "postscreen",
     .steps = {{"220-mx.example ESMTP\r\n521 5.3.2 not now\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "a greeting in lines",
     .steps = {{"220-mx.example ESMTP\r\n220-\r\n220 hello\r\n", "EHLO gw.example\r\n"},
               {"250 mx\r\n", ""}}},
    {.name = "the last line's code counts",
     .recipients = 2,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 RCPT2 "DATA\r\n"},
               {OK "250-2.1.5 ok\r\n550 5.1.1 no\r\n"
                   "550-5.1.1 no\r\n250 2.1.5 well, yes\r\n" GO,
                CONTENT ".\r\n"},
               {"554-5.7.1 no\r\n250 2.0.0 yes\r\n", ""}},
     .results = {"failed 550 5.1.1", "taken 250 2.0.0"},
     .answered = true},
    {.name = "bare LF throughout",
     .recipients = 1,
     .steps = {{"220 mx.example ESMTP\n", "EHLO gw.example\r\n"},
               {"250-mx.example\n250 PIPELINING\n", MAIL RCPT1 "DATA\r\n"},
               {"250 ok\n250 ok\n354 go\n", CONTENT ".\r\n"},
               {"451 4.3.0 later\n", ""}},
     .results = {"deferred 451 4.3.0"},
     .answered = true},
    {.name = "no reply at RCPT: what was answered stays",
     .recipients = 2,
     .steps = {GREET, {PIPE, MAIL RCPT1 RCPT2 "DATA\r\n"}, {OK "550 5.1.1 no\r\nwhat?\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"failed 550 5.1.1", "deferred 0 4.5.0"},
     .answered = true},
    {.name = "no reply as verdict: nobody knows",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {OK OK GO, CONTENT ".\r\n"}, {"fine\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0"},
     .answered = true},
    {.name = "recipients accepted though the sender was refused: no content for them",
     .recipients = 1,
     .steps =
         {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {"450 4.3.0 later\r\n" OK GO, ".\r\n"}, {OK, ""}},
     .results = {"deferred 450 4.3.0"},
     .answered = true},
    {.name = "3yz where nothing more can be said",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {"354 go\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0"},
     .answered = true},
    /* ---- CHUNKING that is offered and broken */
    {.name = "BDAT is not known",
     .recipients = 2,
     .steps = {GREET,
               {CHUNK, MAIL RCPT1 RCPT2 "BDAT 20 LAST\r\n" CONTENT},
               {OK OK "550 5.1.1 no\r\n502 5.5.1 what?\r\n500 what?\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0", "failed 550 5.1.1"},
     .answered = true},
    {.name = "BDAT is out of order",
     .recipients = 1,
     .steps = {GREET,
               {CHUNK, MAIL RCPT1 "BDAT 20 LAST\r\n" CONTENT},
               {OK OK "503 5.5.1 no\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0"},
     .answered = true},
    {.name = "LMTP: BDAT is not known",
     .protocol = SMTP_CLIENT_LMTP,
     .recipients = 2,
     .steps = {LGREET,
               {CHUNK, MAIL RCPT1 RCPT2 "BDAT 20 LAST\r\n" CONTENT},
               {OK OK OK "500 5.5.1 what?\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0", "deferred 0 4.5.0"},
     .answered = true},
    {.name = "LMTP: the second verdict is a verdict",
     .protocol = SMTP_CLIENT_LMTP,
     .recipients = 2,
     .steps = {LGREET,
               {CHUNK, MAIL RCPT1 RCPT2 "BDAT 20 LAST\r\n" CONTENT},
               {OK OK OK OK "501 5.5.4 no\r\n", ""}},
     .results = {"taken 250 2.1.0", "failed 501 5.5.4"},
     .answered = true},
    {.name = "BDAT is known and the content refused",
     .recipients = 1,
     .steps = {GREET,
               {CHUNK, MAIL RCPT1 "BDAT 20 LAST\r\n" CONTENT},
               {OK OK "554 5.6.0 no\r\n", ""}},
     .results = {"failed 554 5.6.0"},
     .answered = true},
    {.name = "DATA with such a verdict is a verdict",
     .recipients = 1,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {OK OK GO, CONTENT ".\r\n"},
               {"503 5.5.1 no\r\n", ""}},
     .results = {"failed 503 5.5.1"},
     .answered = true},
    /* ---- what is taken for not offered */
    {.name = "CHUNKING ignored",
     .recipients = 1,
     .ignore = IGNORE(CHUNKING),
     .steps = {GREET, {CHUNK, MAIL RCPT1 "DATA\r\n"}, {OK OK GO, CONTENT ".\r\n"}, {OK, ""}},
     .results = {"taken 250 2.1.0"},
     .answered = true},
    {.name = "all ignored",
     .recipients = 1,
     .dsn = true,
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .ignore = IGNORE(PIPELINING) | IGNORE(CHUNKING) | IGNORE(8BITMIME) | IGNORE(SMTPUTF8) |
               IGNORE(DSN) | IGNORE(STARTTLS) | IGNORE(SIZE) | IGNORE(LIMITS),
     .steps = {GREET,
               {"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
                "250-DSN\r\n250-STARTTLS\r\n250-SIZE 1\r\n250 LIMITS RCPTMAX=1\r\n",
                MAIL},
               {OK, RCPT1},
               {OK, "DATA\r\n"},
               {GO, CONTENT ".\r\n"},
               {OK, ""}},
     .results = {"taken 250 2.1.0"},
     .answered = true},
    {.name = "STARTTLS ignored and required",
     .tls = SMTP_CLIENT_TLS_REQUIRED,
     .ignore = IGNORE(STARTTLS),
     .steps = {GREET, {TLS, ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_TLS_MISSING},
    {.name = "ignored behind TLS, too",
     .recipients = 1,
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .ignore = IGNORE(PIPELINING),
     .steps = {GREET,
               {TLS, "STARTTLS\r\n"},
               {"220 go\r\n", "<TLS>EHLO gw.example\r\n"},
               {PIPE, MAIL},
               {"550 5.7.1 no\r\n", ""}},
     .results = {"failed 550 5.7.1"},
     .answered = true},
    /* ---- STARTTLS */
    {.name = "STARTTLS is refused: the content waits for a word of the server",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .recipients = 1,
     .steps = {GREET,
               {"250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
                "STARTTLS\r\n"},
               {"454 4.7.0 no\r\n", MAIL RCPT1},
               {OK, "BDAT 20 LAST\r\n" CONTENT},
               {OK OK, ""}},
     .results = {"taken 250 2.1.0"},
     .answered = true},
    {.name = "421 to STARTTLS",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .steps = {GREET, {TLS, "STARTTLS\r\n"}, {"421 4.3.2 down\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "501 to STARTTLS, not required",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .recipients = 1,
     .steps = {GREET,
               {TLS, "STARTTLS\r\n"},
               {"501 5.5.4 no\r\n", MAIL},
               {"530 5.7.0 Must issue a STARTTLS command first\r\n", ""}},
     .results = {"failed 530 5.7.0"},
     .answered = true},
    {.name = "501 to STARTTLS, required",
     .tls = SMTP_CLIENT_TLS_REQUIRED,
     .steps = {GREET, {TLS, "STARTTLS\r\n"}, {"501 5.5.4 no\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_TLS_MISSING},
    {.name = "250 to STARTTLS",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .steps = {GREET, {TLS, "STARTTLS\r\n"}, {"250 fine\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL},
    {.name = "EHLO refused behind TLS",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .steps = {GREET,
               {TLS, "STARTTLS\r\n"},
               {"220 go\r\n", "<TLS>EHLO gw.example\r\n"},
               {"550 5.7.1 no\r\n", "HELO gw.example\r\n"},
               {"550 5.7.1 no\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
};

static void
test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        test_client_run_in_all_ways(&dialogues[i]);
    }
}

/* ---- addresses: the last place to keep them from ending the line or the path */

static const struct {
    const char *name;
    const char *address;
    bool sent;
} addresses[] = {
    {"plain", "a@x.example", true},
    {"quoted", "\"a b\"@x.example", true},
    {"quoted brackets", "\"a<b>c\"@x.example", true},
    {"escaped quote", "\"a\\\"b\"@x.example", true},
    {"space", "a b@x.example", false},
    {"closing bracket", "a>b@x.example", false},
    {"opening bracket", "a<b@x.example", false},
    {"open quote", "\"a@x.example", false},
    {"bracket behind an escaped quote", "\"a\\\"\">b@x.example", false},
    {"backslash at the end", "\"a\\", false},
    {"CR", "a\rb@x.example", false},
    {"LF", "a\nb@x.example", false},
    {"CRLF", "a\r\nRSET\r\n@x.example", false},
    {"tab", "a\tb@x.example", false},
    {"escape character", "a\x1b@x.example", false},
    {"DEL", "a\x7f@x.example", false},
    {"quoted CR", "\"a\rb\"@x.example", false},
    {"quoted LF", "\"a\nb\"@x.example", false},
    {"quoted DEL", "\"a\x7f\"@x.example", false},
    {"escaped LF", "\"a\\\nb\"@x.example", false},
    {"escaped DEL", "\"a\\\x7f\"@x.example", false},
};

/* Gives the message with this address as sender or as recipient to a server that offers all. */
static void
check_address(size_t i, bool is_sender)
{
    const struct client_dialogue d = {.name = addresses[i].name, .recipients = 1};
    struct str address = str_from_cstr(addresses[i].address);
    struct test_client run;
    struct buf out;
    test_client_start(&run, &d);
    buf_init(&out, 1 << 20);
    (void)!smtp_client_feed(run.client, STR("220 mx\r\n250-mx\r\n250 PIPELINING\r\n"));
    test_client_drain(&run, &out, SIZE_MAX);
    buf_clear(&out);
    if (is_sender) {
        run.message.sender = address;
    } else {
        run.recipients[0].address = address;
    }
    smtp_client_send(run.client, &run.message);
    test_client_drain(&run, &out, SIZE_MAX);
    if ((buf_length(&out) > 0) != addresses[i].sent) {
        fail_msg("%s as %s: %.*s", d.name, is_sender ? "sender" : "recipient",
                 STR_ARG(buf_str(&out)));
    }
    const struct smtp_client_result *result = &smtp_client_results(run.client)[0];
    if (!addresses[i].sent) {
        assert_int_equal(result->outcome, SMTP_CLIENT_FAILED);
        assert_int_equal(result->reply.enhanced.detail, is_sender ? 7 : 3);
        assert_false(result->lacks_feature); /* no other server could take it */
    }
    buf_free(&out);
    smtp_client_destroy(&run.client);
}

static void
test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        check_address(i, true);
        check_address(i, false);
    }
}

/* The null path is for senders only; an ORCPT that cannot be right is left out. */
static void
test_recipients_that_are_none(void **state)
{
    static char orcpt[600] = "rfc822;";
    const struct client_dialogue d = {.name = "none", .recipients = 2, .dsn = true};
    struct test_client run;
    struct buf out;
    (void)state;
    memset(orcpt + 7, 'x', sizeof orcpt - 8);
    test_client_start(&run, &d);
    buf_init(&out, 1 << 20);
    run.recipients[0].address = STR("");
    run.recipients[1].orcpt = str_from_cstr(orcpt);
    (void)!smtp_client_feed(run.client, STR("220 mx\r\n250-mx\r\n250-DSN\r\n250 PIPELINING\r\n"));
    test_client_drain(&run, &out, SIZE_MAX);
    buf_clear(&out);
    smtp_client_send(run.client, &run.message);
    test_client_drain(&run, &out, SIZE_MAX);
    assert_int_equal(smtp_client_results(run.client)[0].outcome, SMTP_CLIENT_FAILED);
    assert_true(str_find(buf_str(&out), STR("TO:<>")) == STR_NPOS);
    assert_true(str_find(buf_str(&out), STR("RCPT TO:<2@y.example>")) != STR_NPOS);
    assert_true(str_find(buf_str(&out), STR("ORCPT")) == STR_NPOS);
    buf_free(&out);
    smtp_client_destroy(&run.client);
}

/* Every control character, wherever it stands. */
static void
test_no_control_character_is_written(void **state)
{
    (void)state;
    for (unsigned c = 1; c <= 0x7f; c = c == 0x1f ? 0x7f : c + 1) {
        static const char *const forms[] = {"a%b@x.example", "\"a%b\"@x.example",
                                            "\"a\\%b\"@x.example", "%", "a@x.example%"};
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            char address[64];
            const struct client_dialogue d = {
                .name = "control", .recipients = 2, .sender = address};
            struct test_client run;
            size_t n = 0;
            for (const char *f = forms[i]; *f != '\0'; f++) {
                address[n++] = *f == '%' ? (char)c : *f;
            }
            address[n] = '\0';
            test_client_start(&run, &d);
            (void)!smtp_client_feed(run.client, STR("220 mx\r\n250-mx\r\n250 SMTPUTF8\r\n"));
            smtp_client_send(run.client, &run.message);
            if (smtp_client_results(run.client)[1].outcome != SMTP_CLIENT_FAILED) {
                fail_msg("\\x%02x in form %zu is written", c, i);
            }
            smtp_client_destroy(&run.client);
        }
    }
}

/* What the server says to the first transaction, and how the second one begins. */
static void
test_reset_only_where_there_is_something_to_reset(void **state)
{
    static const struct {
        const char *words;
        bool reset;
    } cases[] = {
        {"550 5.7.1 no\r\n503 no\r\n503 no\r\n", false},    /* no transaction was begun */
        {OK "550 5.1.1 no\r\n554 no recipients\r\n", true}, /* it was, and nothing ended it */
        {OK OK "451 4.3.0 later\r\n", true},                /* DATA was refused */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct client_dialogue d = {.name = "reset", .recipients = 1};
        struct test_client run;
        struct buf out;
        buf_init(&out, 1 << 20);
        test_client_start(&run, &d);
        (void)!smtp_client_feed(run.client, STR("220 mx\r\n"));
        (void)!smtp_client_feed(run.client, STR(PIPE));
        smtp_client_send(run.client, &run.message);
        assert_int_equal(smtp_client_feed(run.client, str_from_cstr(cases[i].words)),
                         SMTP_CLIENT_READY);
        test_client_drain(&run, &out, SIZE_MAX);
        buf_clear(&out);
        smtp_client_send(run.client, &run.message);
        test_client_drain(&run, &out, SIZE_MAX);
        assert_int_equal(str_starts_with(buf_str(&out), STR("RSET\r\n")), cases[i].reset);
        buf_free(&out);
        smtp_client_destroy(&run.client);
    }
}

/* What another server may offer is told apart from what none can take. */
static void
test_what_is_lacking(void **state)
{
    static const struct {
        const char *offers;
        const char *sender;
        const char *head;
        const char *body;
        bool lacks;
    } cases[] = {
        {"250 mx\r\n", "\xc3\xa4@x.example", "A: b\r\n\r\n", "text\r\n", true},
        {"250 mx\r\n", "a@x.example", "A: b\r\n\r\n", "\xc3\xa4\r\n", true},
        {"250-mx\r\n250 8BITMIME\r\n", "a@x.example", "A: \xc3\xa4\r\n\r\n", "text\r\n", true},
        {"250-mx\r\n250 SIZE 3\r\n", "a@x.example", "A: b\r\n\r\n", "text\r\n", true},
        {"250-mx\r\n250 SIZE 3\r\n", "a\n@x.example", "A: b\r\n\r\n", "text\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct client_dialogue d = {
            .name = "lacking", .recipients = 1, .sender = cases[i].sender};
        struct test_client run;
        test_client_start(&run, &d);
        run.message.head = str_from_cstr(cases[i].head);
        run.message.body = str_from_cstr(cases[i].body);
        run.message.smtputf8 = true;
        smtp_content_look(run.message.head, run.message.body, &run.form);
        (void)!smtp_client_feed(run.client, STR("220 mx\r\n"));
        (void)!smtp_client_feed(run.client, str_from_cstr(cases[i].offers));
        smtp_client_send(run.client, &run.message);
        const struct smtp_client_result *result = &smtp_client_results(run.client)[0];
        assert_int_equal(result->outcome, SMTP_CLIENT_FAILED);
        if (result->lacks_feature != cases[i].lacks) {
            fail_msg("case %zu: lacks_feature is %d", i, result->lacks_feature);
        }
        smtp_client_destroy(&run.client);
    }
}

/* ---- when the server may have the message */

static const struct {
    const char *name;
    const char *offers;
    const char *words;                    /* the server's before the connection is lost */
    size_t unwritten;                     /* octets that are not taken any more */
    enum smtp_client_stage first, second; /* in which each recipient is left */
} losses[] = {
    {"BDAT, nothing answered", CHUNK, "", 0, SMTP_CLIENT_STAGE_END, SMTP_CLIENT_STAGE_END},
    {"BDAT, MAIL answered", CHUNK, OK, 0, SMTP_CLIENT_STAGE_END, SMTP_CLIENT_STAGE_END},
    {"BDAT, a RCPT refused", CHUNK, OK "550 5.1.1 no\r\n", 0, SMTP_CLIENT_STAGE_RCPT,
     SMTP_CLIENT_STAGE_END},
    {"BDAT, no SMTP", CHUNK, "what?\r\n", 0, SMTP_CLIENT_STAGE_MAIL, SMTP_CLIENT_STAGE_MAIL},
    {"BDAT, no SMTP behind a RCPT", CHUNK, OK OK "what?\r\n", 0, SMTP_CLIENT_STAGE_END,
     SMTP_CLIENT_STAGE_RCPT},
    {"BDAT, no SMTP behind all", CHUNK, OK OK OK "what?\r\n", 0, SMTP_CLIENT_STAGE_END,
     SMTP_CLIENT_STAGE_END},
    {"BDAT, the last octet missing", CHUNK, "", 1, SMTP_CLIENT_STAGE_MAIL, SMTP_CLIENT_STAGE_MAIL},
    {"DATA is awaited", PIPE, OK OK OK, 0, SMTP_CLIENT_STAGE_DATA, SMTP_CLIENT_STAGE_DATA},
    {"DATA, nothing answered", PIPE, "", 0, SMTP_CLIENT_STAGE_MAIL, SMTP_CLIENT_STAGE_MAIL},
    {"BDAT without PIPELINING", "250-mx.example\r\n250 CHUNKING\r\n", "", 0, SMTP_CLIENT_STAGE_MAIL,
     SMTP_CLIENT_STAGE_MAIL},
};

/* Writes all but the last octets. */
static void
write_all_but(struct smtp_client *client, size_t unwritten)
{
    struct str pieces[8];
    size_t count = smtp_client_output(client, pieces, 8);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += pieces[i].n;
    }
    smtp_client_output_written(client, n - unwritten);
}

static void
test_where_a_lost_message_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        const struct client_dialogue d = {.name = losses[i].name, .recipients = 2};
        struct test_client run;
        test_client_start(&run, &d);
        (void)!smtp_client_feed(run.client, STR("220 mx\r\n"));
        (void)!smtp_client_feed(run.client, str_from_cstr(losses[i].offers));
        write_all_but(run.client, 0);
        smtp_client_send(run.client, &run.message);
        write_all_but(run.client, losses[i].unwritten);
        (void)!smtp_client_feed(run.client, str_from_cstr(losses[i].words));
        smtp_client_failed(run.client, SMTP_CLIENT_LOST, STR("lost"));
        const struct smtp_client_result *results = smtp_client_results(run.client);
        if (results[0].stage != losses[i].first || results[1].stage != losses[i].second) {
            fail_msg("%s: left at %s and %s", d.name, smtp_client_stage_name(results[0].stage),
                     smtp_client_stage_name(results[1].stage));
        }
        smtp_client_destroy(&run.client);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_no_control_character_is_written),
        cmocka_unit_test(test_recipients_that_are_none),
        cmocka_unit_test(test_reset_only_where_there_is_something_to_reset),
        cmocka_unit_test(test_what_is_lacking),
        cmocka_unit_test(test_where_a_lost_message_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
