/* The spool role from the outside: commits, deliveries, notices, commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

static void
test_delivers_what_is_committed(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.envid = "E1"}, id), SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = harness_deliver_of(message);
    harness_assert_str(d->id, id);
    harness_assert_str(d->sender, "sender@out.example");
    harness_assert_str(d->envid, "E1");
    harness_assert_str(d->destination, "lmtp://127.0.0.1:24");
    assert_int_equal(d->recipients.n, 1);
    harness_assert_str(d->recipients.items[0].address, "bob@inside.example");
    harness_assert_str(d->head.octets, "Received: by mx\r\nSubject: original\r\n\r\n");
    harness_assert_str(str_skip(d->content.octets, (size_t)d->content_offset),
                       "The body of a message.\r\n");
    assert_int_equal(harness_count(h), 1);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "2.0.0", "ok");
    harness_wait_count(h, 0);
    harness_stop(h);
}

static void
test_knows_a_repeated_commit(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = id}, NULL), SPOOL_DUPLICATE);
    harness_kill(h);
    harness_start(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = id}, NULL), SPOOL_DUPLICATE);
    assert_int_equal(harness_count(h), 1);
    harness_capacity(h, 10);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_RELAYED, 250, "", "");
    harness_wait_count(h, 0);
    /* also when it is gone already */
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = id}, NULL), SPOOL_DUPLICATE);
    assert_int_equal(harness_count(h), 0);
}

static void
test_refuses_a_malformed_commit(void **state)
{
    struct harness *h = *state;
    const struct harness_mail bad_id = {.id = "../../etc/passwd"};
    assert_int_equal(harness_commit(h, &bad_id, NULL), SPOOL_REFUSED);
    assert_int_equal(harness_count(h), 0);
}

static void
test_tries_again_later(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    for (unsigned attempts = 0; attempts < 3; attempts++) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        assert_int_equal(harness_deliver_of(message)->recipients.items[0].attempts, attempts);
        harness_report(h, message, DELIVERY_DEFERRED, 450, "4.2.0", "mailbox busy");
        assert_null(harness_deliver(h, 500)); /* not before its time */
    }
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct record_queue_message *m = &MSG_BODY(reply, queue_list_reply)->messages.items[0];
    assert_int_equal(m->recipients.items[0].state, SPOOL_DEFERRED);
    assert_int_equal(m->recipients.items[0].attempts, 3);
    assert_int_equal(m->recipients.items[0].code, 450);
    harness_assert_str(m->recipients.items[0].text, "mailbox busy");
    assert_true(m->recipients.items[0].next_attempt_ms > clock_wall_ms());
    ipc_message_free(&reply);
}

static void
test_bounces_once(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    static const char *const to[] = {"gone@far.example"};
    const struct harness_mail mail = {.recipients = to,
                                      .recipient_count = 1,
                                      .envid = "QQ314",
                                      .orcpt = "rfc822;go+2Bne@far.example"};
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &mail, id), SPOOL_COMMITTED);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_FAILED, 550, "5.1.1",
                   "no such user");
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = harness_deliver_of(message);
    assert_int_equal(d->sender.n, 0);
    harness_assert_str(d->recipients.items[0].address, "sender@out.example");
    assert_true(harness_has(d->head.octets, "Auto-Submitted: auto-replied\r\n"));
    assert_true(harness_has(d->head.octets, "report-type=delivery-status"));
    assert_true(
        harness_has(d->content.octets, "\r\nFinal-Recipient: rfc822; gone@far.example\r\n"));
    assert_true(
        harness_has(d->content.octets, "\r\nOriginal-Recipient: rfc822;go+ne@far.example\r\n"));
    assert_true(harness_has(d->content.octets, "\r\nOriginal-Envelope-Id: QQ314\r\n"));
    assert_true(harness_has(d->content.octets, "\r\nStatus: 5.1.1\r\n"));
    assert_true(
        harness_has(d->content.octets, "\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_true(harness_has(d->content.octets, "The body of a message."));
    assert_int_equal(harness_count(h), 1); /* the notice only */
    /* The notice fails too: its sender is nobody (RFC 5321 6.1), the postmaster is told. */
    harness_report(h, message, DELIVERY_FAILED, 550, "5.1.1", "no such user");
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    d = harness_deliver_of(message);
    harness_assert_str(d->recipients.items[0].address, "postmaster@inside.example");
    assert_true(harness_has(d->content.octets, "a notice could not be delivered"));
    assert_true(
        harness_has(d->content.octets, "\r\nFinal-Recipient: rfc822; sender@out.example\r\n"));
    assert_false(harness_has(d->content.octets, "The body of a message."));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 300));
}

static void
test_tells_what_was_asked_for(void **state)
{
    static const struct {
        uint8_t notify;
        uint8_t outcome;
        const char *action; /* NULL: nobody is told */
    } cases[] = {
        {0, DELIVERY_DELIVERED, NULL},
        {1, DELIVERY_FAILED, NULL}, /* NEVER */
        {2, DELIVERY_FAILED, NULL}, /* SUCCESS only */
        {4, DELIVERY_FAILED, "failed"},
        {2, DELIVERY_DELIVERED, "delivered"},
        {2, DELIVERY_RELAYED, NULL}, /* the next hop tells */
        {2, DELIVERY_RELAYED_WITHOUT_DSN, "relayed"},
        {4, DELIVERY_RELAYED_WITHOUT_DSN, NULL},
    };
    struct harness *h = *state;
    harness_capacity(h, 10);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct harness_mail mail = {.notify = cases[i].notify};
        char action[64];
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
        harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), cases[i].outcome,
                       cases[i].outcome == DELIVERY_FAILED ? 550 : 250, "", "said");
        if (cases[i].action != NULL) {
            struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
            snprintf(action, sizeof action, "\r\nAction: %s\r\n", cases[i].action);
            assert_true(harness_has(harness_deliver_of(notice)->content.octets, action));
            harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
        }
        harness_wait_count(h, 0);
        assert_null(harness_deliver(h, 50));
    }
}

static void
test_a_dead_destination_starves_nobody(void **state)
{
    struct harness *h = *state;
    static const char *const dead[] = {"a@dead.example"};
    static const char *const live[] = {"b@live.example"};
    unsigned to_dead = 0;
    for (unsigned i = 0; i < 300; i++) {
        const struct harness_mail mail = {.recipients = dead, .recipient_count = 1};
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    }
    for (unsigned i = 0; i < 20; i++) {
        const struct harness_mail mail = {.recipients = live, .recipient_count = 1};
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    }
    harness_capacity(h, 4);
    for (unsigned delivered = 0; delivered < 20;) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        bool is_live = harness_has(harness_deliver_of(message)->destination, "live");
        delivered += is_live;
        to_dead += !is_live;
        harness_report(h, message, is_live ? DELIVERY_DELIVERED : DELIVERY_DEFERRED,
                       is_live ? 250 : 0, "", "no route");
    }
    assert_in_range(to_dead, 1, 20);
    harness_wait_count(h, 300);
}

static struct msg_queue_act_reply
act(struct harness *h, enum spool_action action, const char *id,
    const struct record_queue_filter *filter)
{
    struct record_queue_id ids[1] = {{.id = str_from_cstr(id)}};
    struct record_queue_filter filters[1];
    struct msg_queue_act message = {.action = (uint8_t)action,
                                    .ids = {ids, 1},
                                    .by = STR("tester"),
                                    .reason = STR("not wanted here")};
    if (filter != NULL) {
        filters[0] = *filter;
        message.filters.items = filters;
        message.filters.n = 1;
    }
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &message);
    struct msg_queue_act_reply result = *MSG_BODY(reply, queue_act_reply);
    assert_int_equal(result.error.n, 0);
    ipc_message_free(&reply);
    return result;
}

static void
test_administrators_act(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    static const char *const to[] = {"a@one.example", "b@two.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 2};
    const struct record_queue_filter two = {.recipient = STR("*@two.example")};
    assert_int_equal(harness_commit(h, &mail, id), SPOOL_COMMITTED);
    assert_int_equal(act(h, SPOOL_ACT_HOLD, id, &two).done, 1);
    assert_int_equal(act(h, SPOOL_ACT_HOLD, id, &two).missing, 1); /* it is held already */
    assert_int_equal(act(h, SPOOL_ACT_REMOVE, "0000000000000000", NULL).missing, 1);
    harness_capacity(h, 5);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->destination, "one.example");
    assert_int_equal(act(h, SPOOL_ACT_RELEASE, id, NULL).busy, 1);
    harness_report(h, message, DELIVERY_DEFERRED, 0, "4.4.1", "no answer");
    while (act(h, SPOOL_ACT_FLUSH, id, NULL).done == 0) {
    }
    message = harness_deliver(h, 900); /* before the second that it would wait */
    harness_assert_str(harness_deliver_of(message)->destination, "one.example");
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    while (act(h, SPOOL_ACT_RELEASE, id, NULL).done == 0) {
    }
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->destination, "two.example");
    harness_report(h, message, DELIVERY_DEFERRED, 450, "", "later");
    while (act(h, SPOOL_ACT_BOUNCE, id, NULL).done == 0) {
    }
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(harness_has(harness_deliver_of(message)->content.octets, "b@two.example"));
    assert_false(harness_has(harness_deliver_of(message)->content.octets, "a@one.example"));
    assert_true(harness_has(harness_deliver_of(message)->content.octets, "not wanted here"));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.hold = "x"}, id), SPOOL_COMMITTED);
    assert_int_equal(act(h, SPOOL_ACT_REMOVE, id, NULL).done, 1);
    assert_int_equal(harness_count(h), 0);
    assert_null(harness_deliver(h, 100));
}

static void
test_shows_and_filters(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    static const char *const one[] = {"a@one.example"};
    static const char *const two[] = {"b@two.example"};
    const struct harness_mail mails[] = {
        {.sender = "x@s.example", .recipients = one, .recipient_count = 1},
        {.sender = "y@s.example", .recipients = two, .recipient_count = 1},
        {.sender = "y@s.example", .recipients = one, .recipient_count = 1, .hold = "rule"},
    };
    static const struct {
        struct record_queue_filter filter;
        size_t want;
    } cases[] = {
        {{.sender = STR_INIT("y@*")}, 2},
        {{.recipient = STR_INIT("A@ONE.example")}, 2},
        {{.destination = STR_INIT("two.example")}, 1},
        {{.states = 1u << SPOOL_HELD}, 1},
        {{.states = 1u << SPOOL_HELD | 1u << SPOOL_QUEUED}, 3},
        {{.sender = STR_INIT("y@*"), .states = 1u << SPOOL_QUEUED}, 1},
        {{.older_than_ms = 3600000}, 0},
        {{.id = STR_INIT("0000000000000000")}, 0},
        {{.states = 1u << SPOOL_LEASED}, 0},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(harness_commit(h, &mails[i], id), SPOOL_COMMITTED);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_queue_filter filter = cases[i].filter;
        struct msg_queue_list list = {.filters = {&filter, 1}, .limit = 100};
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
        assert_int_equal(MSG_BODY(reply, queue_list_reply)->messages.n, cases[i].want);
        ipc_message_free(&reply);
    }
    struct msg_queue_show show = {.id = str_from_cstr(id)};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_SHOW, &show);
    const struct msg_queue_show_reply *r = MSG_BODY(reply, queue_show_reply);
    assert_int_equal(r->messages.n, 1);
    harness_assert_str(r->messages.items[0].hold, "rule");
    harness_assert_str(r->messages.items[0].recipients.items[0].address, "a@one.example");
    assert_int_equal(r->messages.items[0].recipients.items[0].state, SPOOL_HELD);
    assert_int_equal(r->next, 0);
    ipc_message_free(&reply);
}

static void
test_many_recipients(void **state)
{
    struct harness *h = *state;
    enum { COUNT = 2500 };
    static char names[COUNT][40];
    static const char *to[COUNT];
    static bool seen[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "user%u@%s.example", i, i % 2 == 0 ? "even" : "odd");
        to[i] = names[i];
    }
    const struct harness_mail mail = {.recipients = to, .recipient_count = COUNT};
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    harness_capacity(h, 10);
    for (unsigned done = 0; done < COUNT;) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        const struct msg_deliver *d = harness_deliver_of(message);
        for (size_t i = 0; i < d->recipients.n; i++) {
            uint64_t number = d->recipients.items[i].number;
            assert_true(number < COUNT && !seen[number]);
            seen[number] = true;
            harness_assert_str(d->recipients.items[i].address, names[number]);
            assert_true(harness_has(d->destination, number % 2 == 0 ? "even" : "odd"));
        }
        done += (unsigned)d->recipients.n;
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    }
    harness_wait_count(h, 0);
}

static void
test_a_late_report_counts(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    struct ipc_message *first = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_expire_leases(h);
    struct ipc_message *again = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_int_equal(harness_deliver_of(again)->lease, harness_deliver_of(first)->lease);
    assert_null(harness_deliver(h, 600)); /* it has all its time again */
    harness_report(h, first, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    harness_report(h, again, DELIVERY_DELIVERED, 250, "", "");
    assert_null(harness_deliver(h, 300));
}

static void
test_the_relay_takes_less(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 10);
    harness_capacity(h, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    }
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_null(harness_deliver(h, 300));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, harness_setup, harness_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delivers_what_is_committed),
        TEST(knows_a_repeated_commit),
        TEST(refuses_a_malformed_commit),
        TEST(tries_again_later),
        TEST(bounces_once),
        TEST(tells_what_was_asked_for),
        TEST(a_dead_destination_starves_nobody),
        TEST(administrators_act),
        TEST(shows_and_filters),
        TEST(many_recipients),
        TEST(a_late_report_counts),
        TEST(the_relay_takes_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
