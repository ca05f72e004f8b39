#include "smtp/test_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const addresses[CLIENT_RESULTS_MAX] = {"1@y.example", "2@y.example",
                                                          "3@y.example", "\xc3\xbc@y.example"};

void
test_client_start(struct test_client *run, const struct client_dialogue *d)
{
    struct str body = str_from_cstr(d->body != NULL ? d->body : "text\r\n");
    if (str_eq(body, STR("<NUL>"))) {
        body = STR("a\0b\r\n");
    }
    *run = (struct test_client){
        .d = d,
        .settings = {.protocol = d->protocol,
                     .tls = d->tls,
                     .hostname = STR("gw.example"),
                     .ignore = d->ignore},
    };
    for (unsigned i = 0; i < d->recipients; i++) {
        run->recipients[i].address = str_from_cstr(addresses[i]);
    }
    if (d->dsn) {
        run->recipients[0].notify = SMTP_DSN_NOTIFY_SUCCESS | SMTP_DSN_NOTIFY_FAILURE;
        run->recipients[0].orcpt = STR("rfc822;1+2Bx@z");
        run->recipients[1].notify = SMTP_DSN_NOTIFY_NEVER;
        run->recipients[1].orcpt = STR("rfc822;2 RSET");
    }
    smtp_content_look(STR(TEST_CLIENT_HEAD), body, &run->form);
    run->message = (struct smtp_client_message){
        .sender = str_from_cstr(d->sender != NULL ? d->sender : "a@x.example"),
        .ret = d->dsn ? SMTP_DSN_RET_HDRS : SMTP_DSN_RET_UNSPECIFIED,
        .envid = d->dsn ? STR("id=1") : STR(""),
        .smtputf8 = d->smtputf8,
        .recipients = run->recipients,
        .recipient_count = d->recipients,
        .head = STR(TEST_CLIENT_HEAD),
        .body = body,
        .form = &run->form,
    };
    run->client = smtp_client_create(&run->settings);
    run->action = smtp_client_feed(run->client, STR(""));
}

void
test_client_drain(struct test_client *run, struct buf *out, size_t step)
{
    struct str pieces[3];
    while (smtp_client_output(run->client, pieces, 3) > 0) {
        struct str piece = str_head(pieces[0], step);
        assert_true(piece.n > 0);
        assert_int_equal(buf_append(out, piece), STATUS_OK);
        smtp_client_output_written(run->client, piece.n);
    }
}

/* Does what the last action asks for, until it is the server's turn. */
static void
run_actions(struct test_client *run, struct buf *out, size_t step)
{
    if (run->action == SMTP_CLIENT_START_TLS) {
        assert_int_equal(buf_append(out, STR("<TLS>")), STATUS_OK);
        smtp_client_tls_started(run->client);
        run->action = smtp_client_feed(run->client, STR(""));
    }
    if (run->action == SMTP_CLIENT_READY && !run->sent && run->d->recipients > 0) {
        run->sent = true;
        if (run->d->probe) {
            smtp_client_probe(run->client, &run->message);
        } else {
            smtp_client_send(run->client, &run->message);
        }
        run->action = smtp_client_feed(run->client, STR(""));
    }
    test_client_drain(run, out, step);
}

/* The server's words, in two pieces or octet by octet; output is taken once they are all in. */
static void
run_server(struct test_client *run, struct str words, size_t at, bool bytewise)
{
    if (str_eq(words, STR("<LOST>"))) {
        smtp_client_failed(run->client, SMTP_CLIENT_LOST, STR("the connection broke"));
        run->action = smtp_client_feed(run->client, STR(""));
        return;
    }
    if (!bytewise) {
        (void)!smtp_client_feed(run->client, str_head(words, at));
        run->action = smtp_client_feed(run->client, str_skip(words, at));
        return;
    }
    for (size_t i = 0; i < words.n; i++) {
        run->action = smtp_client_feed(run->client, str_head(str_skip(words, i), 1));
    }
}

static void
check_result(const struct client_dialogue *d, size_t i, const struct smtp_client_result *result)
{
    static const char *const outcomes[] = {"pending", "taken", "deferred", "failed"};
    char got[64];
    const struct smtp_enhanced *e = &result->reply.enhanced;
    snprintf(got, sizeof got, "%s %u %u.%u.%u", outcomes[result->outcome], result->reply.code,
             e->class, e->subject, e->detail);
    if (strcmp(got, d->results[i]) != 0) {
        fail_msg("%s: recipient %zu: %s, want %s", d->name, i, got, d->results[i]);
    }
}

static void
run_check_end(const struct test_client *run)
{
    const struct client_dialogue *d = run->d;
    enum smtp_client_action want =
        d->end == CLIENT_END_READY ? SMTP_CLIENT_READY : SMTP_CLIENT_CLOSED;
    const struct smtp_client_failure *failure = smtp_client_failure(run->client);
    if (run->action != want || failure->problem != d->problem) {
        fail_msg("%s: action %d, problem %d (%.*s)", d->name, (int)run->action,
                 (int)failure->problem, STR_ARG(failure->reply.text));
    }
    for (size_t i = 0; i < d->recipients; i++) {
        check_result(d, i, &smtp_client_results(run->client)[i]);
    }
    assert_int_equal(smtp_client_was_answered(run->client), d->answered);
}

bool
test_client_run(const struct client_dialogue *d, size_t split, size_t at, bool bytewise,
                size_t output_step)
{
    struct test_client run;
    struct buf out;
    bool was_split = false;
    test_client_start(&run, d);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < CLIENT_STEPS_MAX && d->steps[i].server != NULL; i++) {
        struct str words = str_from_cstr(d->steps[i].server);
        was_split |= i == split && at <= words.n;
        run_server(&run, words, i == split ? at : 0, bytewise);
        run_actions(&run, &out, output_step);
        if (!str_eq(buf_str(&out), str_from_cstr(d->steps[i].client))) {
            struct str got = buf_str(&out);
            fail_msg("%s: step %zu, split %zu at %zu: got \"%.*s\", want \"%s\"", d->name, i, split,
                     at, STR_ARG(got), d->steps[i].client);
        }
        buf_clear(&out);
    }
    run_check_end(&run);
    buf_free(&out);
    smtp_client_destroy(&run.client);
    return was_split;
}

void
test_client_run_in_all_ways(const struct client_dialogue *d)
{
    test_client_run(d, SIZE_MAX, 0, false, SIZE_MAX);
    test_client_run(d, SIZE_MAX, 0, true, SIZE_MAX);
    test_client_run(d, SIZE_MAX, 0, false, 1);
    for (size_t step = 0; step < CLIENT_STEPS_MAX && d->steps[step].server != NULL; step++) {
        for (size_t at = 0; test_client_run(d, step, at, false, SIZE_MAX); at++) {
        }
    }
}
