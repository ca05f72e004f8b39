/*
 * Every end of a message's life (policy/end.def), and who is told of it: one scenario a row, and a
 * row without one fails. What is looked at is what the role does: the notices that go out, and what
 * stays in the queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "policy/end.h"
#include "roles/spool/harness.h"
#include "smtp/envelope.h"
#include "store/spool.h"

#define SENDER     "sender@out.example"
#define POSTMASTER "postmaster@inside.example"
/* More than a file may have, so that the notice with it cannot be made. */
#define FILE_LIMIT (512u * 1024u)
#define LARGE      700000u

static const char returns_much[] =
    "hostname: mx.inside.example\n"
    "domains:\n"
    "  - {name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"
    "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0}\n"
    "bounce: {postmaster: postmaster@inside.example, returned_size: 2MiB}\n"
    "listeners:\n"
    "  - {address: 127.0.0.1, port: 2525, kind: mx}\n";

static const char never_strangers[] =
    "hostname: mx.inside.example\n"
    "domains:\n"
    "  - {name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"
    "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0}\n"
    "bounce: {postmaster: postmaster@inside.example, to_strangers: never}\n"
    "listeners:\n"
    "  - {address: 127.0.0.1, port: 2525, kind: mx}\n";

static void
report_next(struct harness *h, uint8_t outcome)
{
    bool failed = outcome == DELIVERY_FAILED;
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), outcome, failed ? 550 : 250,
                   failed ? "5.1.1" : "2.0.0", "said");
}

/* Commits a message and has it end with `outcome`. */
static void
ends(struct harness *h, const struct harness_mail *mail, uint8_t outcome, char *id_out)
{
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, mail, id_out), SPOOL_COMMITTED);
    report_next(h, outcome);
}

static void
act(struct harness *h, enum spool_action action, const char *id)
{
    struct record_queue_id ids = {.id = str_from_cstr(id)};
    struct msg_queue_act message = {.action = (uint8_t)action,
                                    .ids = {&ids, 1},
                                    .by = STR("test"),
                                    .reason = STR("it is enough")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &message);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, 1);
    ipc_message_free(&reply);
}

/* ---- who is told */

/* The next message that goes out is a notice to `to`; then the queue is empty. */
static void
expect_notice(struct harness *h, const char *to, const char *says)
{
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = harness_deliver_of(message);
    harness_assert_str(d->sender, "");
    harness_assert_str(d->recipients.items[0].address, to);
    if (!harness_has(d->content.octets, says)) {
        fail_msg("no \"%s\" in: %.*s", says, STR_ARG(d->content.octets));
    }
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

static void
expect_nothing(struct harness *h)
{
    assert_null(harness_deliver(h, 100));
    harness_wait_count(h, 0);
}

static void
expect_kept(struct harness *h, const char *id)
{
    struct msg_queue_list list = {.limit = 10};
    assert_null(harness_deliver(h, 100));
    harness_wait_count(h, 1);
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct record_queue_message *m = &MSG_BODY(reply, queue_list_reply)->messages.items[0];
    if (id != NULL) {
        harness_assert_str(m->id, id);
    }
    assert_int_equal(m->recipients.items[0].state, SPOOL_HELD);
    ipc_message_free(&reply);
}

/* ---- one scenario for each end */

static void
delivered(struct harness *h)
{
    ends(h, &(struct harness_mail){.notify = SMTP_DSN_NOTIFY_SUCCESS}, DELIVERY_DELIVERED, NULL);
    expect_notice(h, SENDER, "\r\nAction: delivered\r\n");
    ends(h, &(struct harness_mail){0}, DELIVERY_DELIVERED, NULL);
    expect_nothing(h);
}

static void
relayed(struct harness *h)
{
    ends(h, &(struct harness_mail){.notify = SMTP_DSN_NOTIFY_SUCCESS}, DELIVERY_RELAYED, NULL);
    expect_nothing(h);
}

static void
relayed_without_dsn(struct harness *h)
{
    ends(h, &(struct harness_mail){.notify = SMTP_DSN_NOTIFY_SUCCESS}, DELIVERY_RELAYED_WITHOUT_DSN,
         NULL);
    expect_notice(h, SENDER, "\r\nAction: relayed\r\n");
}

static void
failed(struct harness *h)
{
    ends(h, &(struct harness_mail){0}, DELIVERY_FAILED, NULL);
    expect_notice(h, SENDER, "\r\nAction: failed\r\n");
    ends(h, &(struct harness_mail){.flags = SMTP_MESSAGE_STRANGER | SMTP_MESSAGE_SENDER_PROVEN},
         DELIVERY_FAILED, NULL);
    expect_notice(h, SENDER, "\r\nAction: failed\r\n");
}

static void
failed_unwanted(struct harness *h)
{
    ends(h, &(struct harness_mail){.notify = SMTP_DSN_NOTIFY_NEVER}, DELIVERY_FAILED, NULL);
    expect_nothing(h);
}

/* A notice of others, and one of ours. */
static void
failed_null_sender(struct harness *h)
{
    ends(h, &(struct harness_mail){.sender = ""}, DELIVERY_FAILED, NULL);
    expect_notice(h, POSTMASTER, "Sender: <>\r\nWhy:    a notice could not be delivered\r\n");
    ends(h, &(struct harness_mail){0}, DELIVERY_FAILED, NULL);
    report_next(h, DELIVERY_FAILED);
    expect_notice(h, POSTMASTER, "\r\nFinal-Recipient: rfc822; " SENDER "\r\n");
}

static void
failed_unproven(struct harness *h)
{
    ends(h, &(struct harness_mail){.flags = SMTP_MESSAGE_STRANGER}, DELIVERY_FAILED, NULL);
    expect_notice(h, POSTMASTER, "Sender: <" SENDER ">\r\n");
}

static void
failed_stranger(struct harness *h)
{
    harness_stop(h);
    h->config = never_strangers;
    harness_start(h, 0);
    ends(h, &(struct harness_mail){.flags = SMTP_MESSAGE_STRANGER | SMTP_MESSAGE_SENDER_PROVEN},
         DELIVERY_FAILED, NULL);
    expect_notice(h, POSTMASTER, "strangers are told nothing");
}

/* The damage is told at once; the end by age is left to the postmaster as well. */
static void
failed_damaged(struct harness *h)
{
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    harness_change(h, "UPDATE message SET sender = 'tender@out.example'");
    harness_capacity(h, 10);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->recipients.items[0].address, POSTMASTER);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 1);
    harness_change(h, "UPDATE message SET queued_ms = queued_ms - 864000000");
    h->uptime_ms = 3600000;
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    expect_notice(h, POSTMASTER, "its sender's address was damaged on the disk");
}

static void
failed_at_postmaster(struct harness *h)
{
    char id[ID_LENGTH + 1];
    ends(h, &(struct harness_mail){.sender = ""}, DELIVERY_FAILED, NULL);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    snprintf(id, sizeof id, "%.*s", STR_ARG(harness_deliver_of(message)->id));
    harness_report(h, message, DELIVERY_FAILED, 550, "5.1.1", "nobody");
    expect_kept(h, id);
    harness_kill(h); /* that it is one is known after a restart too */
    harness_start(h, 0);
    harness_capacity(h, 10);
    act(h, SPOOL_ACT_RELEASE, id);
    report_next(h, DELIVERY_FAILED);
    expect_kept(h, id);
    act(h, SPOOL_ACT_BOUNCE, id);
    expect_nothing(h);
}

static void
failed_without_notice(struct harness *h)
{
    char id[ID_LENGTH + 1];
    struct str content = harness_content(LARGE);
    harness_stop(h);
    h->config = returns_much;
    harness_start(h, 0);
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, id),
                     SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_limit_files(h, FILE_LIMIT);
    harness_report(h, message, DELIVERY_FAILED, 550, "5.1.1", "nobody");
    expect_kept(h, id);
    free((void *)(uintptr_t)content.p);
}

static void
failed_by_command(struct harness *h)
{
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){.sender = "", .hold = "x"}, id),
                     SPOOL_COMMITTED);
    harness_capacity(h, 10);
    act(h, SPOOL_ACT_BOUNCE, id);
    expect_nothing(h);
}

static void
removed(struct harness *h)
{
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){.hold = "x"}, id), SPOOL_COMMITTED);
    harness_capacity(h, 10);
    act(h, SPOOL_ACT_REMOVE, id);
    expect_nothing(h);
}

static void
held(struct harness *h)
{
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){.hold = "x"}, id), SPOOL_COMMITTED);
    harness_capacity(h, 10);
    expect_kept(h, id);
}

static const struct {
    void (*run)(struct harness *h);
    enum end_told told; /* what the scenario has seen */
} scenarios[END_COUNT_] = {
    [END_DELIVERED] = {delivered, END_TOLD_SENDER_IF_ASKED},
    [END_RELAYED] = {relayed, END_TOLD_NEXT_HOP},
    [END_RELAYED_WITHOUT_DSN] = {relayed_without_dsn, END_TOLD_SENDER_IF_ASKED},
    [END_FAILED] = {failed, END_TOLD_SENDER},
    [END_FAILED_UNWANTED] = {failed_unwanted, END_TOLD_NOBODY_AS_ASKED},
    [END_FAILED_NULL_SENDER] = {failed_null_sender, END_TOLD_POSTMASTER},
    [END_FAILED_STRANGER] = {failed_stranger, END_TOLD_POSTMASTER},
    [END_FAILED_UNPROVEN] = {failed_unproven, END_TOLD_POSTMASTER},
    [END_FAILED_DAMAGED] = {failed_damaged, END_TOLD_POSTMASTER},
    [END_FAILED_AT_POSTMASTER] = {failed_at_postmaster, END_TOLD_KEPT},
    [END_FAILED_WITHOUT_NOTICE] = {failed_without_notice, END_TOLD_KEPT},
    [END_FAILED_BY_COMMAND] = {failed_by_command, END_TOLD_ADMINISTRATOR},
    [END_REMOVED] = {removed, END_TOLD_ADMINISTRATOR},
    [END_HELD] = {held, END_TOLD_KEPT},
};

static void
test_every_end(void **state)
{
    (void)state;
    for (unsigned end = 0; end < END_COUNT_; end++) {
        struct harness h;
        print_message("%s: %s\n", end_name((enum end)end), end_text((enum end)end));
        assert_non_null(scenarios[end].run);
        assert_int_equal(scenarios[end].told, end_told((enum end)end));
        harness_create(&h, NULL);
        harness_start(&h, 0);
        scenarios[end].run(&h);
        harness_destroy(&h);
    }
}

/* One message, several that fail: one notice to the postmaster, and one to the sender. */
static void
test_recipients_share_a_notice(void **state)
{
    static const char *const to[] = {"a@inside.example", "b@inside.example"};
    struct harness *h = *state;
    struct harness_mail mail = {.recipients = to, .recipient_count = 2};
    ends(h, &mail, DELIVERY_FAILED, NULL);
    expect_notice(h, SENDER, "\r\nFinal-Recipient: rfc822; b@inside.example\r\n");
    mail.flags = SMTP_MESSAGE_STRANGER;
    ends(h, &mail, DELIVERY_FAILED, NULL);
    expect_notice(h, POSTMASTER, "\r\nFinal-Recipient: rfc822; b@inside.example\r\n");
}

/* At several destinations at the same time: the failures of all of them are in one notice. */
static void
test_deliveries_share_a_notice(void **state)
{
    static const char *const to[] = {"a@one.example", "b@two.example", "c@three.example"};
    struct harness *h = *state;
    const struct harness_mail mail = {.recipients = to, .recipient_count = 3};
    struct ipc_message *messages[3];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    for (size_t i = 0; i < 3; i++) {
        messages[i] = harness_deliver(h, HARNESS_TIMEOUT_MS);
    }
    harness_report(h, messages[0], DELIVERY_FAILED, 550, "5.1.1", "the first");
    assert_null(harness_deliver(h, 50));
    harness_report(h, messages[1], DELIVERY_DELIVERED, 250, "2.0.0", "the second");
    harness_report(h, messages[2], DELIVERY_FAILED, 550, "5.1.2", "the third");
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    struct str content = harness_deliver_of(notice)->content.octets;
    assert_true(harness_has(content, "the first") && harness_has(content, "the third"));
    assert_false(harness_has(content, "the second"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 50));
}

/* The addresses that the queue still has, in its order, each with a space. */
static const char *
waiting(struct harness *h)
{
    static char text[400];
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct msg_queue_list_reply *r = MSG_BODY(reply, queue_list_reply);
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < r->messages.n; i++) {
        for (size_t k = 0; k < r->messages.items[i].recipients.n; k++) {
            const struct record_queue_recipient *to = &r->messages.items[i].recipients.items[k];
            if (!spool_state_is_final((enum spool_state)to->state)) {
                n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", STR_ARG(to->address));
            }
        }
    }
    ipc_message_free(&reply);
    return text;
}

static void
wait_for(struct harness *h, const char *want)
{
    const char *got = waiting(h);
    for (unsigned i = 0; i < 400 && strcmp(got, want) != 0; i++) {
        usleep(5000); /* less in all than failures wait */
        got = waiting(h);
    }
    assert_string_equal(got, want);
}

/* Failures wait for the other deliveries of the message; what is delivered is written at once. */
static void
test_deliveries_do_not_wait(void **state)
{
    static const char *const to[] = {"a@one.example", "b@one.example", "c@two.example",
                                     "d@three.example"};
    struct harness *h = *state;
    const struct harness_mail mail = {.recipients = to, .recipient_count = 4};
    struct ipc_message *messages[3];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    for (size_t i = 0; i < 3; i++) {
        messages[i] = harness_deliver(h, HARNESS_TIMEOUT_MS);
        assert_non_null(messages[i]);
    }
    const struct msg_deliver *d = harness_deliver_of(messages[0]);
    struct record_delivery_result results[] = {
        {.number = d->recipients.items[0].number,
         .outcome = DELIVERY_DELIVERED,
         .code = 250,
         .enhanced = STR("2.0.0")},
        {.number = d->recipients.items[1].number,
         .outcome = DELIVERY_FAILED,
         .code = 550,
         .enhanced = STR("5.1.1"),
         .text = STR("the first")},
    };
    struct msg_delivery_report report = {
        .lease = d->lease, .connected = true, .results = {results, 2}};
    assert_int_equal(channel_plain_send(h->relay, MSG_DELIVERY_REPORT, 0, &report), STATUS_OK);
    ipc_message_free(&messages[0]);
    wait_for(h, "b@one.example c@two.example d@three.example ");
    harness_report(h, messages[1], DELIVERY_DELIVERED, 250, "2.0.0", "the second");
    wait_for(h, "b@one.example d@three.example ");
    harness_report(h, messages[2], DELIVERY_DELIVERED, 250, "2.0.0", "the third");
    expect_notice(h, SENDER, "\r\nFinal-Recipient: rfc822; b@one.example\r\n");
}

/* What waited is not lost with the role, and not with a delivery that takes long. */
static void
test_what_waits_is_not_lost(void **state)
{
    static const char *const to[] = {"a@one.example", "b@two.example"};
    struct harness *h = *state;
    const struct harness_mail mail = {.recipients = to, .recipient_count = 2};
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    struct ipc_message *first = harness_deliver(h, HARNESS_TIMEOUT_MS);
    struct ipc_message *second = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_report(h, first, DELIVERY_FAILED, 550, "5.1.1", "the first");
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS); /* without the second */
    assert_true(harness_has(harness_deliver_of(notice)->content.octets, "the first"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    harness_report(h, second, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    first = harness_deliver(h, HARNESS_TIMEOUT_MS);
    ipc_message_free(&first);
    second = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_report(h, second, DELIVERY_FAILED, 550, "5.1.1", "once more");
    assert_null(harness_deliver(h, 50));
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    first = harness_deliver(h, HARNESS_TIMEOUT_MS); /* both are due again */
    second = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_report(h, first, DELIVERY_FAILED, 550, "5.1.1", "once more");
    harness_report(h, second, DELIVERY_FAILED, 550, "5.1.1", "and again");
    expect_notice(h, SENDER, "\r\nFinal-Recipient: rfc822; b@two.example\r\n");
}

/* A flood of mail that fails and whose sender may be forged: 20 notices, then one list. */
static void
test_many_failures_share_a_message(void **state)
{
    enum { SINGLE = 20, MORE = 5 };
    struct harness *h = *state;
    const struct harness_mail mail = {.flags = SMTP_MESSAGE_STRANGER,
                                      .sender = "f\xc3\xb6rged@out.example"};
    char id[ID_LENGTH + 1];
    for (unsigned i = 0; i < SINGLE; i++) {
        ends(h, &mail, DELIVERY_FAILED, id);
        expect_notice(h, POSTMASTER, id);
    }
    for (unsigned i = 0; i < MORE; i++) {
        ends(h, &mail, DELIVERY_FAILED, id);
        expect_nothing(h);
    }
    harness_stop(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = harness_deliver_of(message);
    harness_assert_str(d->sender, "");
    harness_assert_str(d->recipients.items[0].address, POSTMASTER);
    assert_true(harness_has(d->content.octets, id));
    assert_true(harness_has(d->content.octets, "the others, 5 in all."));
    assert_true(harness_has(d->content.octets, " from <f??rged@out.example>: "));
    assert_true(
        harness_has(d->content.octets, "    <bob@inside.example>\r\n        550 5.1.1 said\r\n"));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 50));
}

/* A message about failures that were gathered: this many, of which the list has the last one's id.
 */
static void
expect_list(struct harness *h, unsigned count, const char *id)
{
    char words[64];
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = harness_deliver_of(message);
    snprintf(words, sizeof words, "the others, %u in all.", count);
    harness_assert_str(d->recipients.items[0].address, POSTMASTER);
    assert_true(harness_has(d->content.octets, words));
    assert_true(harness_has(d->content.octets, id));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 50));
}

/* Who dies before the list is sent sends it when it is back, once. */
static void
test_the_list_survives_a_death(void **state)
{
    enum { SINGLE = 20, MORE = 3 };
    struct harness *h = *state;
    const struct harness_mail mail = {.flags = SMTP_MESSAGE_STRANGER};
    char id[ID_LENGTH + 1];
    for (unsigned i = 0; i < SINGLE + MORE; i++) {
        ends(h, &mail, DELIVERY_FAILED, id);
        if (i < SINGLE) {
            expect_notice(h, POSTMASTER, id);
        } else {
            expect_nothing(h);
        }
    }
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    expect_list(h, MORE, id);
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    expect_nothing(h); /* not twice */
}

/* The list has an end; what it has no room for is counted, also by who comes after. */
static void
test_the_list_is_bounded(void **state)
{
    struct harness *h = *state;
    harness_change(h, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                      "900) INSERT INTO gathered SELECT i, 1, 0, printf('  %064d' || char(13, 10),"
                      " i) FROM n; INSERT INTO gathered VALUES (0, 100000, 1, '')");
    harness_capacity(h, 10);
    expect_list(h, 100900, "The list is too long to be complete.");
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    expect_nothing(h);
}

/* What the sender is told is not gathered, however much it is. */
static void
test_senders_are_always_told(void **state)
{
    struct harness *h = *state;
    for (unsigned i = 0; i < 30; i++) {
        ends(h, &(struct harness_mail){0}, DELIVERY_FAILED, NULL);
        expect_notice(h, SENDER, "\r\nAction: failed\r\n");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, harness_setup, harness_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_end), TEST(recipients_share_a_notice),
        TEST(deliveries_share_a_notice),  TEST(deliveries_do_not_wait),
        TEST(what_waits_is_not_lost),     TEST(many_failures_share_a_message),
        TEST(the_list_survives_a_death),  TEST(the_list_is_bounded),
        TEST(senders_are_always_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
