#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "smtp/test_client.h"

#define GREET                                                                                      \
    {                                                                                              \
        "220 mx.example ESMTP\r\n", "EHLO gw.example\r\n"                                          \
    }
#define OFFERS(list) "250-mx.example at your service\r\n" list "250 ENHANCEDSTATUSCODES\r\n"
#define PIPE         OFFERS("250-PIPELINING\r\n250-8BITMIME\r\n")
#define CHUNK        OFFERS("250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SIZE 1000\r\n")
#define MAIL         "MAIL FROM:<a@x.example>\r\n"
#define RCPT1        "RCPT TO:<1@y.example>\r\n"
#define RCPT2        "RCPT TO:<2@y.example>\r\n"
#define RCPT3        "RCPT TO:<3@y.example>\r\n"
#define CONTENT      TEST_CLIENT_HEAD "text\r\n"
#define OK           "250 2.1.0 ok\r\n"
#define GO           "354 go\r\n"

static const struct client_dialogue dialogues[] = {
    {.name = "one command at a time",
     .recipients = 2,
     .steps = {GREET,
               {"250 mx.example\r\n", MAIL},
               {OK, RCPT1},
               {OK, RCPT2},
               {"550 5.1.1 no such user\r\n", "DATA\r\n"},
               {GO, CONTENT ".\r\n"},
               {"250 2.0.0 queued\r\n", ""}},
     .results = {"taken 250 2.0.0", "failed 550 5.1.1"},
     .answered = true},
    {.name = "all recipients refused: no DATA",
     .recipients = 2,
     .steps = {GREET,
               {"250 mx.example\r\n", MAIL},
               {OK, RCPT1},
               {"450 4.2.0 busy\r\n", RCPT2},
               {"550 5.1.1 no\r\n", ""}},
     .results = {"deferred 450 4.2.0", "failed 550 5.1.1"},
     .answered = true},
    {.name = "sender refused",
     .recipients = 2,
     .steps = {GREET, {"250 mx.example\r\n", MAIL}, {"553 5.1.8 no\r\n", ""}},
     .results = {"failed 553 5.1.8", "failed 553 5.1.8"},
     .answered = true},
    {.name = "pipelined",
     .recipients = 2,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 RCPT2 "DATA\r\n"},
               {OK OK OK GO, CONTENT ".\r\n"},
               {"250 2.0.0 queued\r\n", ""}},
     .results = {"taken 250 2.0.0", "taken 250 2.0.0"},
     .answered = true},
    {.name = "pipelined, sender refused",
     .recipients = 1,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {"451 4.3.0 later\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n", ""}},
     .results = {"deferred 451 4.3.0"},
     .answered = true},
    {.name = "pipelined, nobody accepted and 354: a lone dot",
     .recipients = 1,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {OK "550 5.1.1 no\r\n" GO, ".\r\n"},
               {"554 5.5.1 no valid recipients\r\n", ""}},
     .results = {"failed 550 5.1.1"},
     .answered = true},
    {.name = "the lone dot is accepted: still refused",
     .recipients = 1,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {OK "550 5.1.1 no\r\n" GO, ".\r\n"},
               {"250 2.0.0 thanks\r\n", ""}},
     .results = {"failed 550 5.1.1"},
     .answered = true},
    {.name = "DATA refused",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {OK OK "451 4.3.0 later\r\n", ""}},
     .results = {"deferred 451 4.3.0"},
     .answered = true},
    {.name = "content refused",
     .recipients = 1,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {OK OK GO, CONTENT ".\r\n"},
               {"554 5.7.1 spam\r\n", ""}},
     .results = {"failed 554 5.7.1"},
     .answered = true},
    {.name = "DATA answered 250",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {OK OK OK, ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0"},
     .answered = true},
    {.name = "chunked: all at once",
     .recipients = 2,
     .steps = {GREET,
               {CHUNK,
                "MAIL FROM:<a@x.example> SIZE=20\r\n" RCPT1 RCPT2 "BDAT 20 LAST\r\n" CONTENT},
               {OK OK "550 5.1.1 no\r\n250 2.0.0 queued\r\n", ""}},
     .results = {"taken 250 2.0.0", "failed 550 5.1.1"},
     .answered = true},
    {.name = "chunked, nobody accepted",
     .recipients = 1,
     .steps = {GREET,
               {CHUNK, "MAIL FROM:<a@x.example> SIZE=20\r\n" RCPT1 "BDAT 20 LAST\r\n" CONTENT},
               {OK "550 5.1.1 no\r\n503 5.5.1 no recipients\r\n", ""}},
     .results = {"failed 550 5.1.1"},
     .answered = true},
    {.name = "chunked without pipelining",
     .recipients = 1,
     .steps = {GREET,
               {OFFERS("250-CHUNKING\r\n"), MAIL},
               {OK, RCPT1},
               {OK, "BDAT 20 LAST\r\n" CONTENT},
               {OK, ""}},
     .results = {"taken 250 2.1.0"},
     .answered = true},
    {.name = "dots are doubled",
     .recipients = 1,
     .body = ".\r\n",
     .steps = {GREET,
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {OK OK GO, TEST_CLIENT_HEAD "..\r\n.\r\n"},
               {OK, ""}},
     .results = {"taken 250 2.1.0"},
     .answered = true},
    {.name = "lost after the final dot: nobody knows",
     .recipients = 2,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 RCPT2 "DATA\r\n"},
               {OK OK "550 5.1.1 no\r\n" GO, CONTENT ".\r\n"},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2", "failed 550 5.1.1"},
     .answered = true},
    {.name = "lost in the middle of the recipients",
     .recipients = 3,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 RCPT2 RCPT3 "DATA\r\n"},
               {OK "550 5.1.1 no\r\n", ""},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"failed 550 5.1.1", "deferred 0 4.4.2", "deferred 0 4.4.2"},
     .answered = true},
    {.name = "lost before any answer",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2"}},
    {.name = "421 in the middle",
     .recipients = 2,
     .steps = {GREET, {PIPE, MAIL RCPT1 RCPT2 "DATA\r\n"}, {OK OK "421 4.3.2 going down\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED,
     .results = {"deferred 421 4.3.2", "deferred 421 4.3.2"},
     .answered = true},
    {.name = "421 as greeting",
     .steps = {{"421 4.3.2 full\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "421 while idle",
     .steps = {GREET, {PIPE "421 4.4.2 idle\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "a reply nobody asked for",
     .steps = {GREET, {PIPE OK, ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL},
    {.name = "no SMTP service",
     .steps = {{"554 no\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "greeting that is none",
     .steps = {{"250 hello\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL},
    {.name = "not SMTP",
     .steps = {{"SSH-2.0-x\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL},
    {.name = "HELO when EHLO is not known; what HELO says is no offer",
     .recipients = 1,
     .steps = {GREET,
               {"502 5.5.1 what\r\n", "HELO gw.example\r\n"},
               {"250-mx\r\n250 PIPELINING\r\n", MAIL},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2"}},
    {.name = "EHLO and HELO refused",
     .steps = {GREET, {"550 no\r\n", "HELO gw.example\r\n"}, {"550 no\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "EHLO refused for now",
     .steps = {GREET, {"450 later\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "STARTTLS",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .recipients = 1,
     .steps = {GREET,
               {OFFERS("250-STARTTLS\r\n250-CHUNKING\r\n"), "STARTTLS\r\n"},
               {"220 2.0.0 go\r\n", "<TLS>EHLO gw.example\r\n"},
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2"}},
    {.name = "plaintext behind the reply to STARTTLS",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .steps = {GREET,
               {OFFERS("250-STARTTLS\r\n"), "STARTTLS\r\n"},
               {"220 2.0.0 go\r\n250 injected\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_TLS_INJECTION},
    {.name = "STARTTLS refused, not required",
     .tls = SMTP_CLIENT_TLS_IF_OFFERED,
     .recipients = 1,
     .steps = {GREET,
               {OFFERS("250-STARTTLS\r\n"), "STARTTLS\r\n"},
               {"454 4.7.0 no\r\n", MAIL},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2"}},
    {.name = "STARTTLS refused, required",
     .tls = SMTP_CLIENT_TLS_REQUIRED,
     .steps = {GREET, {OFFERS("250-STARTTLS\r\n"), "STARTTLS\r\n"}, {"454 4.7.0 no\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_TLS_MISSING},
    {.name = "STARTTLS not offered, required",
     .tls = SMTP_CLIENT_TLS_REQUIRED,
     .steps = {GREET, {PIPE, ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_TLS_MISSING},
    {.name = "no HELO where TLS is required",
     .tls = SMTP_CLIENT_TLS_REQUIRED,
     .steps = {GREET, {"502 what\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "LMTP: one verdict each",
     .protocol = SMTP_CLIENT_LMTP,
     .recipients = 3,
     .steps = {{"220 lmtp\r\n", "LHLO gw.example\r\n"},
               {PIPE, MAIL RCPT1 RCPT2 RCPT3 "DATA\r\n"},
               {OK OK "550 5.1.1 no\r\n" OK GO, CONTENT ".\r\n"},
               {"250 2.0.0 one\r\n452 4.2.2 full\r\n", ""}},
     .results = {"taken 250 2.0.0", "failed 550 5.1.1", "deferred 452 4.2.2"},
     .answered = true},
    {.name = "LMTP: lost between verdicts",
     .protocol = SMTP_CLIENT_LMTP,
     .recipients = 3,
     .steps = {{"220 lmtp\r\n", "LHLO gw.example\r\n"},
               {PIPE, MAIL RCPT1 RCPT2 RCPT3 "DATA\r\n"},
               {OK OK OK OK GO, CONTENT ".\r\n"},
               {"250 2.0.0 one\r\n", ""},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"taken 250 2.0.0", "deferred 0 4.4.2", "deferred 0 4.4.2"},
     .answered = true},
    {.name = "LMTP: 354 for nobody",
     .protocol = SMTP_CLIENT_LMTP,
     .recipients = 1,
     .steps = {{"220 lmtp\r\n", "LHLO gw.example\r\n"},
               {PIPE, MAIL RCPT1 "DATA\r\n"},
               {OK "550 5.1.1 no\r\n" GO, ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"failed 550 5.1.1"},
     .answered = true},
    {.name = "LMTP knows no HELO",
     .protocol = SMTP_CLIENT_LMTP,
     .steps = {{"220 lmtp\r\n", "LHLO gw.example\r\n"}, {"500 what\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_REFUSED},
    {.name = "8-bit content, not offered",
     .recipients = 1,
     .body = "\xc3\xbc\r\n",
     .steps = {GREET, {"250 mx.example\r\n", ""}},
     .results = {"failed 0 5.6.3"}},
    {.name = "8-bit content, offered",
     .recipients = 1,
     .body = "\xc3\xbc\r\n",
     .steps = {GREET,
               {OFFERS("250-8BITMIME\r\n"), "MAIL FROM:<a@x.example> BODY=8BITMIME\r\n"},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2"}},
    {.name = "NUL",
     .recipients = 1,
     .body = "<NUL>",
     .steps = {GREET, {PIPE, ""}},
     .results = {"failed 0 5.6.0"}},
    {.name = "too large",
     .recipients = 1,
     .steps = {GREET, {OFFERS("250-SIZE 19\r\n"), ""}},
     .results = {"failed 0 5.3.4"}},
    {.name = "as large as allowed",
     .recipients = 1,
     .steps = {GREET,
               {OFFERS("250-SIZE 20\r\n"), "MAIL FROM:<a@x.example> SIZE=20\r\n"},
               {"552 5.3.4 no\r\n", ""}},
     .results = {"failed 552 5.3.4"},
     .answered = true},
    {.name = "SMTPUTF8 not offered: only that recipient fails",
     .recipients = 4,
     .steps = {GREET,
               {PIPE, MAIL RCPT1 RCPT2 RCPT3 "DATA\r\n"},
               {OK OK OK OK GO, CONTENT ".\r\n"},
               {OK, ""}},
     .results = {"taken 250 2.1.0", "taken 250 2.1.0", "taken 250 2.1.0", "failed 0 5.6.7"},
     .answered = true},
    {.name = "SMTPUTF8 offered",
     .recipients = 4,
     .steps = {GREET,
               {OFFERS("250-PIPELINING\r\n250-SMTPUTF8\r\n"),
                "MAIL FROM:<a@x.example> SMTPUTF8\r\n" RCPT1 RCPT2 RCPT3
                "RCPT TO:<\xc3\xbc@y.example>\r\nDATA\r\n"},
               {OK OK OK OK OK GO, CONTENT ".\r\n"},
               {OK, ""}},
     .results = {"taken 250 2.1.0", "taken 250 2.1.0", "taken 250 2.1.0", "taken 250 2.1.0"},
     .answered = true},
    {.name = "a sender that needs SMTPUTF8",
     .recipients = 2,
     .sender = "\xc3\xa4@x.example",
     .steps = {GREET, {PIPE, ""}},
     .results = {"failed 0 5.6.7", "failed 0 5.6.7"}},
    {.name = "an address that would end the line",
     .recipients = 1,
     .sender = "a@x>\r\nRSET",
     .steps = {GREET, {PIPE, ""}},
     .results = {"failed 0 5.1.7"}},
    {.name = "DSN parameters",
     .recipients = 2,
     .dsn = true,
     .steps = {GREET,
               {OFFERS("250-PIPELINING\r\n250-DSN\r\n"),
                "MAIL FROM:<a@x.example> RET=HDRS ENVID=id+3D1\r\n"
                "RCPT TO:<1@y.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;1+2Bx@z\r\n"
                "RCPT TO:<2@y.example> NOTIFY=NEVER\r\n"
                "DATA\r\n"},
               {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2", "deferred 0 4.4.2"}},
    {.name = "DSN not offered",
     .recipients = 1,
     .dsn = true,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {"<LOST>", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_LOST,
     .results = {"deferred 0 4.4.2"}},
    {.name = "probe",
     .recipients = 1,
     .probe = true,
     .steps = {GREET, {PIPE, MAIL RCPT1}, {OK "250 2.1.5 fine\r\n", ""}},
     .results = {"taken 250 2.1.5"},
     .answered = true},
    {.name = "probe refused, one command at a time",
     .recipients = 1,
     .probe = true,
     .steps = {GREET, {"250 mx\r\n", MAIL}, {OK, RCPT1}, {"550 5.1.1 no\r\n", ""}},
     .results = {"failed 550 5.1.1"},
     .answered = true},
    {.name = "a verdict before the dot",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {OK OK GO "552 5.3.4 too much\r\n", ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"failed 552 5.3.4"},
     .answered = true},
    {.name = "acceptance before the dot: not believed",
     .recipients = 1,
     .steps = {GREET, {PIPE, MAIL RCPT1 "DATA\r\n"}, {OK OK GO OK, ""}},
     .end = CLIENT_END_CLOSED,
     .problem = SMTP_CLIENT_PROTOCOL,
     .results = {"deferred 0 4.5.0"},
     .answered = true},
};

static void
test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        test_client_run(&dialogues[i], SIZE_MAX, 0, false, SIZE_MAX);
        test_client_run(&dialogues[i], SIZE_MAX, 0, true, SIZE_MAX);
        test_client_run(&dialogues[i], SIZE_MAX, 0, false, 1);
    }
}

static void
test_dialogues_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        for (size_t step = 0; step < CLIENT_STEPS_MAX && dialogues[i].steps[step].server != NULL;
             step++) {
            for (size_t at = 0; test_client_run(&dialogues[i], step, at, false, SIZE_MAX); at++) {
            }
        }
    }
}

/* ---- what does not fit the table */

static enum smtp_client_action
say(struct test_client *run, const char *words)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    run->action = smtp_client_feed(run->client, str_from_cstr(words));
    test_client_drain(run, &out, SIZE_MAX);
    buf_free(&out);
    return run->action;
}

static void
expect_output(struct test_client *run, const char *want)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    test_client_drain(run, &out, SIZE_MAX);
    assert_true(str_eq(buf_str(&out), str_from_cstr(want)));
    buf_free(&out);
}

static const struct client_dialogue one_recipient = {.name = "one", .recipients = 1};

static void
test_connection_is_used_again(void **state)
{
    struct test_client run;
    (void)state;
    test_client_start(&run, &one_recipient);
    say(&run, "220 mx\r\n");
    assert_int_equal(say(&run, PIPE), SMTP_CLIENT_READY);
    /* After a message that was taken nothing needs to be reset. */
    smtp_client_send(run.client, &run.message);
    expect_output(&run, MAIL RCPT1 "DATA\r\n");
    say(&run, OK OK GO);
    assert_int_equal(say(&run, OK), SMTP_CLIENT_READY);
    /* After one whose recipients were all refused there is. */
    smtp_client_send(run.client, &run.message);
    expect_output(&run, MAIL RCPT1 "DATA\r\n");
    assert_int_equal(say(&run, OK "550 no\r\n554 no\r\n"), SMTP_CLIENT_READY);
    smtp_client_send(run.client, &run.message);
    expect_output(&run, "RSET\r\n" MAIL RCPT1 "DATA\r\n");
    say(&run, OK OK OK GO);
    assert_int_equal(say(&run, OK), SMTP_CLIENT_READY);
    /* After a probe, too. */
    smtp_client_probe(run.client, &run.message);
    expect_output(&run, MAIL RCPT1);
    assert_int_equal(say(&run, OK OK), SMTP_CLIENT_READY);
    smtp_client_send(run.client, &run.message);
    expect_output(&run, "RSET\r\n" MAIL RCPT1 "DATA\r\n");
    assert_int_equal(say(&run, "500 what\r\n"), SMTP_CLIENT_CLOSED);
    smtp_client_destroy(&run.client);
}

static void
test_quit(void **state)
{
    struct test_client run;
    (void)state;
    test_client_start(&run, &one_recipient);
    say(&run, "220 mx\r\n");
    say(&run, PIPE);
    smtp_client_quit(run.client);
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_QUIT);
    expect_output(&run, "QUIT\r\n");
    assert_int_equal(say(&run, "221 bye\r\n"), SMTP_CLIENT_CLOSED);
    assert_int_equal(smtp_client_failure(run.client)->problem, SMTP_CLIENT_OK);
    smtp_client_destroy(&run.client);
}

static void
test_offers(void **state)
{
    struct test_client run;
    (void)state;
    test_client_start(&run, &one_recipient);
    say(&run, "220 mx\r\n");
    say(&run, "250-mx.example hello\r\n250-size 1048576\r\n250-  Pipelining  \r\n"
              "250-LIMITS RCPTMAX=7 MAILMAX=3 RCPTMAX X=1 RCPTDOMAINMAX=1\r\n250-SMTPUTF8 x\r\n"
              "250-SIZE 99999999999999999999999\r\n250-\r\n250 X-UNKNOWN\r\n");
    const struct smtp_client_offers *offers = smtp_client_offers(run.client);
    assert_string_equal(offers->name, "mx.example");
    assert_true(offers->esmtp && offers->pipelining && offers->smtputf8);
    assert_false(offers->chunking || offers->dsn || offers->starttls || offers->eightbitmime);
    assert_int_equal(offers->size_max, 1048576);
    assert_int_equal(offers->mail_max, 3);
    assert_int_equal(smtp_client_recipients_most(run.client), 7);
    smtp_client_destroy(&run.client);
}

static void
test_large_content_waits_for_recipients(void **state)
{
    static char body[SMTP_CLIENT_PIPELINED_CONTENT_MAX];
    struct test_client run;
    (void)state;
    test_client_start(&run, &one_recipient);
    memset(body, 'x', sizeof body);
    run.message.body = str_make(body, sizeof body);
    smtp_content_look(run.message.head, run.message.body, &run.form);
    say(&run, "220 mx\r\n");
    say(&run, OFFERS("250-PIPELINING\r\n250-CHUNKING\r\n"));
    smtp_client_send(run.client, &run.message);
    expect_output(&run, MAIL RCPT1);
    assert_int_equal(say(&run, OK "550 5.1.1 no\r\n"), SMTP_CLIENT_READY);
    smtp_client_destroy(&run.client);
}

static void
test_stages(void **state)
{
    struct test_client run;
    (void)state;
    test_client_start(&run, &one_recipient);
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_GREETING);
    say(&run, "220 mx\r\n");
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_HELLO);
    say(&run, PIPE);
    smtp_client_send(run.client, &run.message);
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_MAIL);
    say(&run, OK);
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_RCPT);
    say(&run, OK);
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_DATA);
    (void)!smtp_client_feed(run.client, STR(GO));
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_CONTENT);
    smtp_client_output_written(run.client, strlen(CONTENT));
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_CONTENT);
    smtp_client_output_written(run.client, 3);
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_END);
    smtp_client_destroy(&run.client);
}

static void
test_utf8_header_needs_smtputf8(void **state)
{
    struct test_client run;
    struct smtp_client_result result;
    (void)state;
    /* 8-bit octets in a header that did not come with SMTPUTF8 go as they came. */
    for (int smtputf8 = 0; smtputf8 <= 1; smtputf8++) {
        test_client_start(&run, &one_recipient);
        run.message.head = STR("Subject: \xc3\xbc\r\n\r\n");
        run.message.smtputf8 = smtputf8 == 1;
        smtp_content_look(run.message.head, run.message.body, &run.form);
        say(&run, "220 mx\r\n");
        say(&run, PIPE);
        smtp_client_send(run.client, &run.message);
        result = smtp_client_results(run.client)[0];
        assert_int_equal(result.outcome, smtputf8 == 1 ? SMTP_CLIENT_FAILED : SMTP_CLIENT_PENDING);
        expect_output(&run, smtputf8 == 1 ? ""
                                          : "MAIL FROM:<a@x.example> BODY=8BITMIME\r\n" RCPT1
                                            "DATA\r\n");
        smtp_client_destroy(&run.client);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_dialogues_at_every_split),
        cmocka_unit_test(test_connection_is_used_again),
        cmocka_unit_test(test_quit),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_large_content_waits_for_recipients),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_utf8_header_needs_smtputf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
