/* What the spool refuses, keeps held, and does not tell: rules of commits, commands and warnings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "roles/spool/harness.h"
#include "store/delivery.h"
#include "store/spool.h"

#define CONFIG(queue)                                                                              \
    "hostname: mx.inside.example\n"                                                                \
    "domains:\n"                                                                                   \
    "  - {name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"             \
    "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0, " queue "}\n"      \
    "bounce: {postmaster: postmaster@inside.example}\n"                                            \
    "listeners:\n"                                                                                 \
    "  - {address: 127.0.0.1, port: 2525, kind: mx}\n"

static void
start_with(struct harness *h, const char *config)
{
    harness_stop(h);
    h->config = config;
    harness_start(h, 0);
}

/* Identifiers become names of files. */
static void
names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const ids[] = {"../../etc/passwd", "0123456789ABCDE/", "0123456789ABCDE.",
                                      "0123456789 BCDEF", "01234567\001GHIJKLM"};
    struct harness *h = *state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_equal(harness_commit(h, &(struct harness_mail){.id = ids[i]}, NULL),
                         SPOOL_REFUSED);
    }
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = "0123456789abcdef"}, NULL),
                     SPOOL_COMMITTED);
    assert_int_equal(harness_count(h), 1);
}

static void
the_number_of_messages_is_bounded(void **state)
{
    struct harness *h = *state;
    start_with(h, CONFIG("max_messages: 100"));
    unsigned taken = 0;
    while (taken < 200 && harness_commit(h, &(struct harness_mail){0}, NULL) == SPOOL_COMMITTED) {
        taken++;
    }
    assert_in_range(taken, 100, 110); /* what is on its way is counted when it is there */
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_FULL);
    harness_capacity(h, 10);
    for (unsigned i = 0; i < taken; i++) {
        harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DELIVERED, 250, "", "");
    }
    harness_wait_count(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
}

/* Where no warning is wanted there is none, however old the message is. */
static void
without_warnings_nobody_is_warned(void **state)
{
    struct harness *h = *state;
    start_with(h, CONFIG("warn_after: 0"));
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    harness_change(h, "UPDATE message SET queued_ms = queued_ms - 86400000");
    harness_capacity(h, 10);
    for (int i = 0; i < 2; i++) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        harness_assert_str(harness_deliver_of(message)->sender, "sender@out.example");
        harness_report(h, message, DELIVERY_DEFERRED, 450, "4.2.0", "later");
    }
    assert_int_equal(harness_count(h), 1);
}

static void
act(struct harness *h, enum spool_action action, const char *id, const char *to)
{
    struct record_queue_id ids = {.id = str_from_cstr(id)};
    struct msg_queue_act message = {
        .action = (uint8_t)action, .ids = {&ids, 1}, .by = STR("test"), .to = str_from_cstr(to)};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &message);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, 1);
    ipc_message_free(&reply);
}

static uint8_t
state_of_first(struct harness *h)
{
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    assert_int_equal(MSG_BODY(reply, queue_list_reply)->messages.n, 1);
    uint8_t state = MSG_BODY(reply, queue_list_reply)->messages.items[0].recipients.items[0].state;
    ipc_message_free(&reply);
    return state;
}

/* Another next hop lets out nothing that somebody holds; the release then goes there. */
static void
what_is_held_stays_so_on_another_way(void **state)
{
    struct harness *h = *state;
    char id[17];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.hold = "looks odd"}, id),
                     SPOOL_COMMITTED);
    act(h, SPOOL_ACT_REROUTE, id, "smtp://127.0.0.1:2526");
    assert_null(harness_deliver(h, 200));
    assert_int_equal(state_of_first(h), SPOOL_HELD);
    act(h, SPOOL_ACT_RELEASE, id, "");
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->destination, "smtp://127.0.0.1:2526");
    assert_true(harness_deliver_of(message)->recipients.items[0].rerouted);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

/* Back to its own way: what was rerouted is as it was. */
static void
a_way_can_be_taken_back(void **state)
{
    struct harness *h = *state;
    char id[17];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    act(h, SPOOL_ACT_REROUTE, id, "smtp://127.0.0.1:2526");
    act(h, SPOOL_ACT_REROUTE, id, "");
    harness_capacity(h, 10);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_false(harness_deliver_of(message)->recipients.items[0].rerouted);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

/* Who was tried once is deferred, also when it was held and released. */
static void
what_was_tried_stays_deferred(void **state)
{
    struct harness *h = *state;
    char id[17];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    assert_int_equal(state_of_first(h), SPOOL_QUEUED);
    act(h, SPOOL_ACT_HOLD, id, "");
    act(h, SPOOL_ACT_RELEASE, id, "");
    assert_int_equal(state_of_first(h), SPOOL_QUEUED);
    harness_capacity(h, 1);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DEFERRED, 450, "4.2.0",
                   "later");
    harness_capacity(h, 0);
    for (int i = 0; i < 1000 && state_of_first(h) != SPOOL_DEFERRED; i++) {
    }
    act(h, SPOOL_ACT_HOLD, id, "");
    assert_int_equal(state_of_first(h), SPOOL_HELD);
    act(h, SPOOL_ACT_RELEASE, id, "");
    assert_int_equal(state_of_first(h), SPOOL_DEFERRED);
}

/* ---- age */

/* A destination that nobody tries for a long time. */
#define BLOCKED                                                                                    \
    "INSERT OR REPLACE INTO destination (name, look_ms, failures) VALUES "                         \
    "('dead.example', 1000000000000000, 5); "

static const char *const to_dead[] = {"a@dead.example"};
static const struct harness_mail to_nowhere = {.recipients = to_dead, .recipient_count = 1};

/* What is held is the administrator's: it waits beyond the lifetime of what nobody holds. */
static void
what_is_held_grows_as_old_as_it_likes(void **state)
{
    struct harness *h = *state;
    char id[17];
    assert_int_equal(harness_commit(h, &(struct harness_mail){.hold = "looks odd"}, id),
                     SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &to_nowhere, NULL), SPOOL_COMMITTED);
    h->uptime_ms = 3600000;
    harness_change(h, BLOCKED "UPDATE message SET queued_ms = queued_ms - 500000000");
    harness_capacity(h, 10);
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS); /* of the other one */
    assert_true(harness_has(harness_deliver_of(notice)->content.octets, "a@dead.example"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 1);
    assert_null(harness_deliver(h, 300));
    assert_int_equal(state_of_first(h), SPOOL_HELD);
    act(h, SPOOL_ACT_RELEASE, id, "");
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

/* Whoever was warned of can be dealt with as before. */
static void
a_warning_ties_nothing_up(void **state)
{
    struct harness *h = *state;
    char id[17];
    assert_int_equal(harness_commit(h, &to_nowhere, id), SPOOL_COMMITTED);
    harness_change(h, BLOCKED "UPDATE message SET queued_ms = queued_ms - 15000000");
    harness_capacity(h, 10);
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(harness_has(harness_deliver_of(notice)->content.octets, "\r\nAction: delayed\r\n"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 1);
    act(h, SPOOL_ACT_FLUSH, id, "");
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->recipients.items[0].address, "a@dead.example");
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

/* A commit that comes twice is one message, also while it is under way. */
static void
what_comes_twice_goes_once(void **state)
{
    const struct harness_mail mail = {.id = "0123456789ABCDEF"};
    struct harness *h = *state;
    harness_capacity(h, 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(harness_commit(h, &mail, NULL),
                         i == 0 ? SPOOL_COMMITTED : SPOOL_DUPLICATE);
    }
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_DUPLICATE);
    assert_null(harness_deliver(h, 300));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_DUPLICATE);
    assert_null(harness_deliver(h, 300));
}

static void
what_is_no_action_is_refused(void **state)
{
    static const struct {
        uint8_t action;
        const char *to;
        const char *why;
    } rows[] = {
        {SPOOL_ACT_REROUTE + 1, "", "there is no such action"},
        {UINT8_MAX, "", "there is no such action"},
        {SPOOL_ACT_REROUTE, "mx", "that is no next hop"},
        {SPOOL_ACT_REROUTE, "nonsense", "that is no next hop"},
    };
    struct harness *h = *state;
    char id[17];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record_queue_id ids = {.id = str_from_cstr(id)};
        struct msg_queue_act message = {.action = rows[i].action,
                                        .ids = {&ids, 1},
                                        .by = STR("test"),
                                        .to = str_from_cstr(rows[i].to)};
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &message);
        assert_true(
            str_starts_with(MSG_BODY(reply, queue_act_reply)->error, str_from_cstr(rows[i].why)));
        assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, 0);
        ipc_message_free(&reply);
    }
    assert_int_equal(state_of_first(h), SPOOL_QUEUED);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(names_that_lead_elsewhere_are_refused),
        TEST(the_number_of_messages_is_bounded),
        TEST(without_warnings_nobody_is_warned),
        TEST(what_is_held_stays_so_on_another_way),
        TEST(a_way_can_be_taken_back),
        TEST(what_was_tried_stays_deferred),
        TEST(what_is_no_action_is_refused),
        TEST(what_is_held_grows_as_old_as_it_likes),
        TEST(a_warning_ties_nothing_up),
        TEST(what_comes_twice_goes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
