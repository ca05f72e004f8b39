/* The spool role where little may be taken for granted: damage while it runs, results that cannot
 * be written, mail that nobody tries. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

static struct str
committed_text(struct harness *h, int *outcome_out)
{
    static char text[200];
    struct ipc_message *reply = NULL;
    (void)harness_commit_send(h, &(struct harness_mail){0}, NULL);
    assert_int_equal(
        channel_plain_receive(h->filter, ROLE_SPOOL, ROLE_FILTER, HARNESS_TIMEOUT_MS, &reply),
        STATUS_OK);
    const struct msg_commit_reply *r = MSG_BODY(reply, commit_reply);
    size_t n = r->text.n < sizeof text ? r->text.n : sizeof text;
    memcpy(text, r->text.p, n);
    *outcome_out = r->outcome;
    ipc_message_free(&reply);
    return str_make(text, n);
}

/* ---- damage that is met while it runs */

/* More than the database keeps in memory, so that a part of it is read from the disk again by
 * whoever inserts a message. */
static const char reread[] =
    "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(83886080));"
    "CREATE TRIGGER meet AFTER INSERT ON message BEGIN SELECT RAISE (IGNORE)"
    " WHERE (SELECT instr(substr(x, 1, 1000000), x'01') FROM ballast) = 7; END";

/* Overwrites all pages of the database but the first. */
static void
spoil_database(const struct harness *h)
{
    char path[128];
    char garbage[4096];
    memset(garbage, 0x5a, sizeof garbage);
    snprintf(path, sizeof path, "%s/queue.db", h->directory);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = sizeof garbage; at < size; at += (off_t)sizeof garbage) {
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, at), sizeof garbage);
    }
    close(fd);
}

/* From the moment that damage is met nothing more is promised. */
static void
test_a_damaged_queue_takes_no_mail(void **state)
{
    struct harness *h = *state;
    int outcome;
    harness_capacity(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    harness_change(h, reread);
    assert_int_equal(harness_count(h), 1); /* it is open */
    spoil_database(h);
    bool told = false;
    for (unsigned i = 0; i < 50 && !told; i++) {
        struct str text = committed_text(h, &outcome);
        assert_int_not_equal(outcome, SPOOL_COMMITTED);
        told = harness_has(text, "the queue is damaged");
    }
    assert_true(told);
    (void)committed_text(h, &outcome);
    assert_int_equal(outcome, SPOOL_UNAVAILABLE);
    harness_kill(h);
}

/* ---- results that cannot be written */

/* What was delivered is not delivered again, although nobody could write that down. */
static void
test_unwritten_results_are_not_delivered_again(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    harness_capacity(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    harness_change(h, "CREATE TRIGGER never BEFORE DELETE ON message BEGIN"
                      " SELECT RAISE(ABORT, 'no'); END");
    harness_capacity(h, 10);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->id, id);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    assert_null(harness_deliver(h, 1500)); /* longer than retry_first */
    assert_int_equal(harness_count(h), 1);
    /* Nor may an administrator have it delivered again. */
    struct record_queue_id ids = {.id = str_from_cstr(id)};
    struct msg_queue_act flush = {.action = SPOOL_ACT_FLUSH, .ids = {&ids, 1}, .by = STR("test")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &flush);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->busy, 1);
    ipc_message_free(&reply);
    /* Others are served. */
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_non_null(message);
    harness_report(h, message, DELIVERY_DEFERRED, 451, "", "later");
    harness_kill(h);
}

/* ---- mail that nobody tries */

static const char block[] = "INSERT OR REPLACE INTO destination (name, look_ms, failures) VALUES"
                            " ('dead.example', 1000000000000000, 5);"
                            "UPDATE message SET queued_ms = queued_ms - 500000000";

static void
commit_many(struct harness *h, unsigned count)
{
    static const char *const to[] = {"a@dead.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 1};
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    }
}

static unsigned
notices(struct harness *h, const char *part, unsigned most)
{
    unsigned n = 0;
    struct ipc_message *message;
    while (n < most && (message = harness_deliver(h, n == 0 ? HARNESS_TIMEOUT_MS : 3000)) != NULL) {
        n += harness_has(harness_deliver_of(message)->content.octets, part);
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    }
    return n;
}

/* After a start everything may look old: it is warned about, and tried before it is given up. */
static void
test_nothing_expires_right_after_a_start(void **state)
{
    struct harness *h = *state;
    commit_many(h, 1);
    harness_change(h, block);
    harness_capacity(h, 10);
    assert_int_equal(notices(h, "\r\nAction: delayed\r\n", 1), 1);
    assert_null(harness_deliver(h, 600));
    harness_wait_count(h, 1);
}

/* More than one page of them; each once. */
static void
test_every_page_is_looked_at(void **state)
{
    struct harness *h = *state;
    commit_many(h, 40);
    harness_change(h, block);
    harness_capacity(h, 10);
    assert_int_equal(notices(h, "\r\nAction: delayed\r\n", 40), 40);
    assert_null(harness_deliver(h, 300));
    h->uptime_ms = 3600000;
    harness_change(h, block);
    harness_capacity(h, 10);
    assert_int_equal(notices(h, "\r\nAction: failed\r\n", 40), 40);
    harness_wait_count(h, 0);
}

/* An administrator's hold stops the clock of its sender's notices, too. */
static void
test_held_mail_is_left_alone(void **state)
{
    struct harness *h = *state;
    commit_many(h, 1);
    h->uptime_ms = 3600000;
    harness_change(h, "UPDATE recipient SET state = 2, due_ms = NULL;"
                      "UPDATE message SET queued_ms = queued_ms - 500000000");
    harness_capacity(h, 10);
    assert_null(harness_deliver(h, 800));
    harness_wait_count(h, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, harness_setup, harness_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_damaged_queue_takes_no_mail),
        TEST(unwritten_results_are_not_delivered_again),
        TEST(nothing_expires_right_after_a_start),
        TEST(every_page_is_looked_at),
        TEST(held_mail_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
