/* Messages of which the octets on disk are damaged: nobody gets them, somebody hears of it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

#define LARGE 1500000u

/* Spoils octets of a file of the body log while the role is down. */
static void
spoil(struct harness *h, off_t offset)
{
    char path[128];
    harness_kill(h);
    snprintf(path, sizeof path, "%s/bodies/1", h->directory);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "spoilt", 6, offset), 6);
    close(fd);
    harness_start(h, 0);
}

static void
assert_all_held(struct harness *h, const char *id)
{
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct msg_queue_list_reply *r = MSG_BODY(reply, queue_list_reply);
    assert_int_equal(r->messages.n, 1);
    harness_assert_str(r->messages.items[0].id, id);
    for (size_t i = 0; i < r->messages.items[0].recipients.n; i++) {
        assert_int_equal(r->messages.items[0].recipients.items[i].state, SPOOL_HELD);
        assert_true(harness_has(r->messages.items[0].recipients.items[i].text, "damaged"));
    }
    ipc_message_free(&reply);
}

static void
assert_postmaster_is_told(struct harness *h, const char *id)
{
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *deliver = harness_deliver_of(message);
    harness_assert_str(deliver->sender, "");
    harness_assert_str(deliver->recipients.items[0].address, "postmaster@inside.example");
    assert_true(harness_has(deliver->head.octets, "Subject: A queued message is damaged"));
    assert_true(harness_has(deliver->content.octets, id));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
}

/* Nobody gets what is damaged, everybody else theirs; the sender can be told. */
static void
test_holds_a_message_that_is_damaged(void **state)
{
    static const char *const to[] = {"a@one.example", "b@two.example"};
    struct harness *h = *state;
    struct str content = harness_content(50000);
    const struct harness_mail mail = {.content = content, .recipients = to, .recipient_count = 2};
    char spoilt[ID_LENGTH + 1];
    char sound[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &mail, spoilt), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, sound),
                     SPOOL_COMMITTED);
    spoil(h, 30000);
    harness_capacity(h, 10);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->id, sound);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    assert_postmaster_is_told(h, spoilt);
    assert_null(harness_deliver(h, 300));
    harness_wait_count(h, 1);
    assert_all_held(h, spoilt);
    struct record_queue_id ids = {.id = str_from_cstr(spoilt)};
    struct msg_queue_act bounce = {
        .action = SPOOL_ACT_BOUNCE, .ids = {&ids, 1}, .by = STR("test"), .reason = STR("it broke")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &bounce);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, 1);
    ipc_message_free(&reply);
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->recipients.items[0].address,
                       "sender@out.example");
    assert_true(harness_has(harness_deliver_of(message)->content.octets, "it broke"));
    assert_false(harness_has(harness_deliver_of(message)->content.octets, "spoilt"));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    free((void *)(uintptr_t)content.p);
}

/* ---- the files of large messages */

static void
large_path(const struct harness *h, const char *id, char path[static 128])
{
    snprintf(path, 128, "%s/large/%s", h->directory, id);
}

static void
lose(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void
shorten(const char *path)
{
    assert_int_equal(truncate(path, LARGE - 1), 0);
}

static void
lengthen(const char *path)
{
    assert_int_equal(truncate(path, LARGE + 1), 0);
}

static void
alter_first(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, 0), 1);
    close(fd);
}

static void
alter_last(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, LARGE - 1), 1);
    close(fd);
}

static void
replace_by_directory(const char *path)
{
    lose(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void
replace_by_link(const char *path)
{
    lose(path);
    assert_int_equal(symlink("/dev/null", path), 0);
}

static const struct {
    void (*damage)(const char *path);
    bool running; /* the role does not stop meanwhile */
} large_damages[] = {
    {lose, false},           {shorten, false},    {lengthen, false},
    {alter_first, true},     {alter_last, false}, {replace_by_directory, true},
    {replace_by_link, true},
};

static void
remove_message(struct harness *h, const char *id)
{
    struct record_queue_id ids = {.id = str_from_cstr(id)};
    struct msg_queue_act act = {.action = SPOOL_ACT_REMOVE, .ids = {&ids, 1}, .by = STR("test")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &act);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, 1);
    ipc_message_free(&reply);
    harness_wait_count(h, 0);
}

static void
wait_until_held(struct harness *h)
{
    struct msg_queue_list list = {.limit = 10};
    for (bool held = false; !held;) {
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
        const struct msg_queue_list_reply *r = MSG_BODY(reply, queue_list_reply);
        assert_int_equal(r->messages.n, 1);
        held = r->messages.items[0].recipients.items[0].state == SPOOL_HELD;
        ipc_message_free(&reply);
    }
}

static void
test_a_damaged_file_is_never_delivered(void **state)
{
    struct harness *h = *state;
    struct str content = harness_content(LARGE);
    char id[ID_LENGTH + 1];
    char path[128];
    for (size_t i = 0; i < sizeof large_damages / sizeof large_damages[0]; i++) {
        /* Kept from its cache by a death of the role. */
        assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, id),
                         SPOOL_COMMITTED);
        harness_kill(h);
        large_path(h, id, path);
        if (!large_damages[i].running) {
            large_damages[i].damage(path);
        }
        harness_start(h, 0);
        if (large_damages[i].running) {
            large_damages[i].damage(path);
        }
        harness_capacity(h, 10);
        assert_postmaster_is_told(h, id);
        wait_until_held(h);
        assert_all_held(h, id);
        assert_null(harness_deliver(h, 50));
        remove_message(h, id);
        if (large_damages[i].damage == replace_by_directory) {
            (void)rmdir(path);
        }
    }
    free((void *)(uintptr_t)content.p);
}

static void
act(struct harness *h, const char *id, enum spool_action action)
{
    struct record_queue_id ids = {.id = str_from_cstr(id)};
    struct msg_queue_act ask = {.action = (uint8_t)action, .ids = {&ids, 1}, .by = STR("test")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &ask);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, 1);
    ipc_message_free(&reply);
}

static void
rename_large(const struct harness *h, const char *id, bool away)
{
    char path[128];
    char backup[128];
    large_path(h, id, path);
    snprintf(backup, sizeof backup, "%s/backup", h->directory);
    assert_int_equal(away ? rename(path, backup) : rename(backup, path), 0);
}

/* With a backup in its place it goes on; without one it is found again. */
static void
test_a_repaired_message_is_released(void **state)
{
    struct harness *h = *state;
    struct str content = harness_content(LARGE);
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, id),
                     SPOOL_COMMITTED);
    harness_kill(h);
    rename_large(h, id, true);
    harness_start(h, 0);
    harness_capacity(h, 10);
    assert_postmaster_is_told(h, id);
    wait_until_held(h);
    act(h, id, SPOOL_ACT_RELEASE);
    wait_until_held(h); /* the postmaster is not told again so soon */
    assert_null(harness_deliver(h, 50));
    rename_large(h, id, false);
    act(h, id, SPOOL_ACT_RELEASE);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->id, id);
    assert_int_equal(harness_deliver_of(message)->content.size, LARGE);
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    free((void *)(uintptr_t)content.p);
}

/* ---- smaller ones, and their rows */

static const char *const row_damages[] = {
    "UPDATE body SET content = CAST('The bodx of a message.' || x'0d0a' AS BLOB)",
    "UPDATE body SET head = CAST('X' || substr(CAST(head AS TEXT), 2) AS BLOB)",
    "DELETE FROM body",
    "UPDATE recipient SET address = 'eve@inside.example'",
    "UPDATE message SET flags = flags + 1",
};

static void
test_a_damaged_row_is_never_delivered(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    for (size_t i = 0; i < sizeof row_damages / sizeof row_damages[0]; i++) {
        assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
        harness_change(h, row_damages[i]);
        harness_capacity(h, 10);
        assert_postmaster_is_told(h, id);
        wait_until_held(h);
        assert_null(harness_deliver(h, 50));
        remove_message(h, id);
        harness_capacity(h, 0); /* nothing is under way when it is stopped */
    }
}

static void
bounce_is(struct harness *h, const char *id, const char *sender)
{
    wait_until_held(h);
    act(h, id, SPOOL_ACT_BOUNCE);
    struct ipc_message *message = sender != NULL ? harness_deliver(h, HARNESS_TIMEOUT_MS) : NULL;
    if (sender != NULL) {
        harness_assert_str(harness_deliver_of(message)->recipients.items[0].address, sender);
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    }
    harness_wait_count(h, 0);
}

/* An altered sender may be anybody. */
static void
test_nobody_else_is_told(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    harness_change(h, "UPDATE message SET sender = 'tender@out.example'");
    harness_capacity(h, 10);
    assert_postmaster_is_told(h, id);
    bounce_is(h, id, NULL);
    assert_null(harness_deliver(h, 50));
    harness_capacity(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    harness_change(h, "UPDATE recipient SET address = 'x@inside.example'");
    harness_capacity(h, 10);
    assert_postmaster_is_told(h, id);
    bounce_is(h, id, "sender@out.example");
}

/* ---- the end of its lifetime */

static void
expect_notice(struct harness *h, const char *action, const char *text)
{
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *deliver = harness_deliver_of(message);
    harness_assert_str(deliver->recipients.items[0].address, "sender@out.example");
    assert_true(harness_has(deliver->content.octets, action));
    assert_true(harness_has(deliver->content.octets, text));
    assert_false(harness_has(deliver->content.octets, "need not send it again"));
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
}

/* Nobody repaired it: its sender hears of the delay, and at last that it is lost. */
static void
test_its_sender_is_told_at_last(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    harness_change(h, "UPDATE body SET content = x''");
    harness_capacity(h, 10);
    assert_postmaster_is_told(h, id);
    wait_until_held(h);
    harness_change(h, "UPDATE message SET queued_ms = queued_ms - 15000000"); /* four hours */
    harness_capacity(h, 10);
    expect_notice(h, "\r\nAction: delayed\r\n", "damaged on our disk and is held");
    h->uptime_ms = 3600000;
    harness_change(h, "UPDATE message SET queued_ms = queued_ms - 500000000");
    harness_capacity(h, 10);
    expect_notice(h, "\r\nStatus: 5.3.0\r\n", "please send it again");
    harness_wait_count(h, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, harness_setup, harness_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(holds_a_message_that_is_damaged),
        TEST(a_damaged_file_is_never_delivered),
        TEST(a_repaired_message_is_released),
        TEST(a_damaged_row_is_never_delivered),
        TEST(nobody_else_is_told),
        TEST(its_sender_is_told_at_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
