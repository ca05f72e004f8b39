/* The spool role when things go wrong: deaths, full disks, old mail, clocks, new routes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

static void
test_survives_its_own_death(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    ipc_message_free(&message); /* leased, never reported */
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->id, id);
    assert_int_equal(harness_deliver_of(message)->recipients.items[0].attempts, 0);
    harness_assert_str(harness_deliver_of(message)->content.octets, "The body of a message.\r\n");
    assert_int_equal(harness_deliver_of(message)->content_offset, 0);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

static void
test_keeps_large_messages(void **state)
{
    static const size_t sizes[] = {8000, 9000, 100000, 200000, 1048576, 3000000};
    struct harness *h = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct str content = harness_content(sizes[i]);
        struct ipc_body_view view;
        assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, NULL),
                         SPOOL_COMMITTED);
        for (unsigned restart = 0; restart < 2; restart++) {
            harness_capacity(h, 10);
            struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
            const struct msg_deliver *d = harness_deliver_of(message);
            assert_int_equal(ipc_body_view_open(&d->content, &view), STATUS_OK);
            assert_true(str_eq(view.octets, content));
            ipc_body_view_close(&view);
            if (restart == 0) {
                ipc_message_free(&message);
                harness_kill(h);
                harness_start(h, 0);
            } else {
                harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
            }
        }
        harness_wait_count(h, 0);
        free((void *)(uintptr_t)content.p);
    }
    char files[128];
    snprintf(files, sizeof files, "%s/large", h->directory);
    assert_int_equal(rmdir(files), 0); /* no file is left */
}

static void
test_a_lost_relay_gives_back_its_leases(void **state)
{
    struct harness *h = *state;
    char first[ID_LENGTH + 1];
    bool again = false;
    const struct harness_mail held = {.hold = "looks odd"};
    harness_capacity(h, 1);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, first), SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    ipc_message_free(&message);
    /* one at a time, and never what is held */
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &held, NULL), SPOOL_COMMITTED);
    assert_null(harness_deliver(h, 300));
    harness_new_relay(h);
    assert_null(harness_deliver(h, 300)); /* it has not said that it takes any */
    harness_capacity(h, 5);
    for (unsigned i = 0; i < 2; i++) {
        message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        /* which of them is first depends on which is still in memory */
        again = again || str_eq(harness_deliver_of(message)->id, str_from_cstr(first));
        assert_int_equal(harness_deliver_of(message)->recipients.items[0].attempts, 0);
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    }
    assert_true(again);
    assert_null(harness_deliver(h, 300));
    harness_wait_count(h, 1);
}

/* Request numbers begin anew with each filter: an answer to the old one must not reach the new. */
static void
test_a_new_filter_gets_no_old_answers(void **state)
{
    struct harness *h = *state;
    uint64_t request;
    struct str content = harness_content(900000);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 10; i++) {
            assert_true(harness_commit_send(h, &(struct harness_mail){.content = content}, NULL) >
                        0);
        }
        harness_new_filter(h);
        uint64_t sent = harness_commit_send(h, &(struct harness_mail){0}, NULL);
        assert_int_equal(harness_commit_receive(h, &request), SPOOL_COMMITTED);
        assert_int_equal(request, sent);
    }
    free((void *)(uintptr_t)content.p);
}

static void
test_a_full_disk_loses_nothing(void **state)
{
    struct harness *h = *state;
    unsigned accepted = 0;
    struct str content = harness_content(60000);
    harness_kill(h);
    harness_start(h, 2 * 1024 * 1024);
    int outcome = SPOOL_COMMITTED;
    for (unsigned i = 0; i < 200 && outcome == SPOOL_COMMITTED; i++) {
        outcome = harness_commit(h, &(struct harness_mail){.content = content}, NULL);
        accepted += outcome == SPOOL_COMMITTED;
    }
    assert_int_equal(outcome == SPOOL_FULL || outcome == SPOOL_UNAVAILABLE, 1);
    assert_in_range(accepted, 5, 100);
    /* Results that cannot be written are kept until they can. */
    harness_capacity(h, 1);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_limit_files(h, 1);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    outcome = harness_commit(h, &(struct harness_mail){0}, NULL); /* after the report */
    assert_int_equal(outcome == SPOOL_FULL || outcome == SPOOL_UNAVAILABLE, 1);
    assert_int_equal(harness_count(h), accepted);
    harness_limit_files(h, 0);
    for (unsigned i = 1; i < accepted; i++) {
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
        message = i + 1 < accepted ? harness_deliver(h, HARNESS_TIMEOUT_MS) : NULL;
    }
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 200));
    assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, NULL),
                     SPOOL_COMMITTED);
    free((void *)(uintptr_t)content.p);
}

/* Five days and more ago, in the queue's time. */
static const char make_old[] = "UPDATE message SET queued_ms = queued_ms - 500000000";

static void
test_expires_after_its_last_attempt(void **state)
{
    struct harness *h = *state;
    const struct harness_mail null_sender = {.sender = ""};
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &null_sender, NULL), SPOOL_COMMITTED);
    harness_change(h, make_old);
    harness_capacity(h, 1);
    for (unsigned i = 0; i < 2; i++) { /* each is tried once more, however old it is */
        harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DEFERRED, 452, "4.2.2",
                       "full");
    }
    unsigned to_sender = 0;
    for (unsigned i = 0; i < 2; i++) { /* of the null sender's the postmaster is told */
        struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
        const struct msg_deliver *d = harness_deliver_of(notice);
        harness_assert_str(d->sender, "");
        assert_true(harness_has(d->content.octets, "\r\nStatus: 4.2.2\r\n"));
        assert_true(harness_has(d->content.octets, "smtp; 452 4.2.2 full"));
        to_sender += str_eq(d->recipients.items[0].address, STR("sender@out.example"));
        harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    }
    assert_int_equal(to_sender, 1);
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 200));
}

static void
test_warns_of_a_delay_once(void **state)
{
    struct harness *h = *state;
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    harness_change(h, "UPDATE message SET queued_ms = queued_ms - 15000000"); /* over four hours */
    harness_capacity(h, 1);
    unsigned notices = 0;
    for (unsigned i = 0; i < 3;) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        bool is_notice = harness_deliver_of(message)->sender.n == 0;
        if (is_notice) {
            assert_true(harness_has(harness_deliver_of(message)->content.octets,
                                    "\r\nAction: delayed\r\n"));
            assert_true(
                harness_has(harness_deliver_of(message)->content.octets, "\r\nWill-Retry-Until: "));
        }
        notices += is_notice;
        i += !is_notice;
        harness_report(h, message, is_notice ? DELIVERY_DELIVERED : DELIVERY_DEFERRED,
                       is_notice ? 250 : 450, "", "later");
    }
    assert_int_equal(notices, 1);
}

/* What waits for a blocked destination is never tried: its age is looked after nonetheless. */
static void
test_age_of_what_is_never_tried(void **state)
{
    static const char block[] =
        "INSERT OR REPLACE INTO destination (name, look_ms, failures) VALUES "
        "('dead.example', 1000000000000000, 5)";
    static const char *const to[] = {"a@dead.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 1};
    struct harness *h = *state;
    char sql[512];
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    snprintf(sql, sizeof sql, "%s; UPDATE message SET queued_ms = queued_ms - 15000000", block);
    harness_change(h, sql);
    harness_capacity(h, 1);
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(harness_has(harness_deliver_of(notice)->content.octets, "\r\nAction: delayed\r\n"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 1);
    h->uptime_ms = 3600000; /* as if it had been up for long enough for everybody to be tried */
    harness_change(h, make_old);
    harness_capacity(h, 1);
    notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(harness_has(harness_deliver_of(notice)->content.octets, "\r\nStatus: 4.4.7\r\n"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

static void
expect_reason(struct harness *h, const char *effort, const char *status)
{
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    struct str text = harness_deliver_of(notice)->content.octets;
    assert_true(harness_has(text, effort));
    assert_true(harness_has(text, status));
    assert_true(harness_has(text, "mx.dead.example"));
    assert_true(harness_has(text, "421 4.7.0 not from you"));
    assert_false(harness_has(text, "was tried for as long"));
    harness_report(h, notice, DELIVERY_DELIVERED, 250, "", "");
}

/* Notices about what waits behind others tell why these failed, and that it was never tried. */
static void
test_what_is_never_tried_has_its_destinations_reason(void **state)
{
    static const char *const to[] = {"a@dead.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 1};
    struct harness *h = *state;
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    harness_change(h, "INSERT OR REPLACE INTO destination VALUES ('dead.example', 1000000000000000,"
                      "5, 1000, 421, '4.7.0', 'not from you', 'mx.dead.example[192.0.2.1]:25');"
                      "UPDATE message SET queued_ms = queued_ms - 15000000");
    harness_capacity(h, 1);
    expect_reason(h, "It was not tried yet", "\r\nStatus: 4.7.0\r\n");
    h->uptime_ms = 3600000;
    harness_change(h, make_old);
    harness_capacity(h, 1);
    expect_reason(h, "It was never tried", "\r\nStatus: 4.7.0\r\n");
    harness_wait_count(h, 0);
}

/* The wall clock was a year ahead when this was queued, and has been set right since. */
static void
test_a_clock_that_was_ahead_stalls_nothing(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 1);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DEFERRED, 450, "", "later");
    harness_change(h, "UPDATE queue SET clock_ms = clock_ms + 31536000000;"
                      "UPDATE message SET queued_ms = queued_ms + 31536000000;"
                      "UPDATE recipient SET due_ms = due_ms + 31536000000;"
                      "UPDATE destination SET look_ms = look_ms + 31536000000");
    harness_capacity(h, 1);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DEFERRED, 450, "", "later");
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct record_queue_message *m = &MSG_BODY(reply, queue_list_reply)->messages.items[0];
    int64_t wall = clock_wall_ms();
    /* people see the time of now */
    assert_true(m->queued_ms > wall - 60000 && m->queued_ms <= wall);
    ipc_message_free(&reply);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

static void
test_new_routes_hold_for_old_mail(void **state)
{
    static const char other_config[] =
        "hostname: mx.inside.example\n"
        "domains: [{name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}]\n"
        "routes: [{domain: far.example, to: \"smtp://10.0.0.1:25\"}]\n"
        "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0}\n"
        "bounce: {postmaster: postmaster@inside.example}\n"
        "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";
    static const char *const to[] = {"a@far.example", "b@elsewhere.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 2};
    struct harness *h = *state;
    bool routed = false;
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    harness_stop(h);
    h->config = other_config;
    harness_start(h, 0);
    harness_capacity(h, 5);
    for (unsigned i = 0; i < 2; i++) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        const struct msg_deliver *d = harness_deliver_of(message);
        assert_int_equal(d->recipients.n, 1);
        routed = routed || harness_has(d->destination, "smtp://10.0.0.1:25");
        assert_false(harness_has(d->destination, "far.example"));
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    }
    assert_true(routed);
    harness_wait_count(h, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, harness_setup, harness_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(survives_its_own_death),
        TEST(keeps_large_messages),
        TEST(a_lost_relay_gives_back_its_leases),
        TEST(a_new_filter_gets_no_old_answers),
        TEST(a_full_disk_loses_nothing),
        TEST(expires_after_its_last_attempt),
        TEST(warns_of_a_delay_once),
        TEST(age_of_what_is_never_tried),
        TEST(what_is_never_tried_has_its_destinations_reason),
        TEST(a_clock_that_was_ahead_stalls_nothing),
        TEST(new_routes_hold_for_old_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
