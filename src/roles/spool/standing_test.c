/* What is told of destinations, pauses, other ways, and the octets of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

static void
commit_to(struct harness *h, const char *to, char *id_out)
{
    const struct harness_mail mail = {.recipients = &to, .recipient_count = 1};
    assert_int_equal(harness_commit(h, &mail, id_out), SPOOL_COMMITTED);
}

/* Delivers the next message with this outcome. */
static void
attempt(struct harness *h, enum delivery_outcome outcome, uint16_t code, const char *text)
{
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_non_null(message);
    harness_report(h, message, (uint8_t)outcome, code, code > 0 ? "4.2.0" : "4.4.1", text);
}

static struct ipc_message *
ask_standing(struct harness *h, const char *pattern)
{
    struct msg_queue_standing ask = {.destination = str_from_cstr(pattern)};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_STANDING, &ask);
    assert_int_equal(MSG_BODY(reply, queue_standing_reply)->error.n, 0);
    return reply;
}

static bool
pause(struct harness *h, const char *name, bool on)
{
    struct msg_queue_pause ask = {.name = str_from_cstr(name), .pause = on, .by = STR("ada")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_PAUSE, &ask);
    bool changed = MSG_BODY(reply, queue_pause_reply)->changed;
    ipc_message_free(&reply);
    return changed;
}

static const struct record_queue_destination *
find(const struct ipc_message *reply, const char *name)
{
    const struct msg_queue_standing_reply *r = MSG_BODY(reply, queue_standing_reply);
    for (size_t i = 0; i < r->destinations.n; i++) {
        if (str_eq(r->destinations.items[i].name, str_from_cstr(name))) {
            return &r->destinations.items[i];
        }
    }
    return NULL;
}

/* ---- counts and reasons */

static void
test_counts_by_destination(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 1);
    commit_to(h, "a@one.example", NULL);
    attempt(h, DELIVERY_DEFERRED, 451, "busy, see 1a2b3c4d");
    commit_to(h, "b@two.example", NULL);
    attempt(h, DELIVERY_DEFERRED, 451, "busy, see 9z8y7x");
    harness_capacity(h, 0);
    commit_to(h, "c@two.example", NULL);
    struct ipc_message *reply = ask_standing(h, "");
    const struct msg_queue_standing_reply *r = MSG_BODY(reply, queue_standing_reply);
    assert_int_equal(r->destinations.n, 2);
    harness_assert_str(r->destinations.items[0].name, "two.example"); /* the longer one first */
    assert_int_equal(find(reply, "two.example")->waiting, 2);
    assert_int_equal(find(reply, "one.example")->waiting, 1);
    assert_true(find(reply, "one.example")->oldest_ms > clock_wall_ms() - 60000);
    assert_int_equal(find(reply, "one.example")->code, 451);
    assert_int_equal(find(reply, "one.example")->blocked_until_ms, 0);
    assert_int_equal(r->errors.n, 1);
    assert_int_equal(r->errors.items[0].recipients, 2);
    harness_assert_str(r->errors.items[0].text, "busy, see *");
    ipc_message_free(&reply);
    reply = ask_standing(h, "one.*");
    assert_int_equal(MSG_BODY(reply, queue_standing_reply)->destinations.n, 1);
    ipc_message_free(&reply);
}

/* Mail of a paused domain that still stands behind a route is counted with the domain. */
static void
test_counts_a_paused_domain_behind_a_route(void **state)
{
    static const char routes[] =
        "hostname: mx.inside.example\n"
        "domains: [{name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}]\n"
        "routes: [{domain: far.example, to: \"smtp://10.0.0.1:25\"},"
        "         {domain: near.example, to: \"smtp://10.0.0.1:25\"}]\n"
        "bounce: {postmaster: postmaster@inside.example}\n"
        "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";
    struct harness *h = *state;
    harness_stop(h);
    h->config = routes;
    harness_start(h, 0);
    harness_capacity(h, 0);
    commit_to(h, "a@FAR.example", NULL);
    commit_to(h, "b@near.example", NULL);
    assert_true(pause(h, "far.example", true));
    struct ipc_message *reply = ask_standing(h, "");
    assert_int_equal(find(reply, "far.example")->waiting, 1);
    assert_true(find(reply, "far.example")->paused_ms > 0);
    assert_true(find(reply, "far.example")->oldest_ms > 0);
    assert_int_equal(find(reply, "smtp://10.0.0.1:25")->waiting, 1);
    ipc_message_free(&reply);
}

/* The destination as a whole could not be reached. */
static void
report_unreachable(struct harness *h, struct ipc_message *message, uint16_t code, const char *text)
{
    const struct msg_deliver *d = harness_deliver_of(message);
    struct record_delivery_result result = {.number = d->recipients.items[0].number,
                                            .outcome = DELIVERY_DEFERRED,
                                            .code = code,
                                            .enhanced = STR("4.4.1"),
                                            .text = str_from_cstr(text)};
    struct msg_delivery_report report = {.lease = d->lease, .results = {&result, 1}};
    assert_int_equal(channel_plain_send(h->relay, MSG_DELIVERY_REPORT, 0, &report), STATUS_OK);
    ipc_message_free(&message);
}

/* All reports have been read. */
static void
wait_attempts(struct harness *h, unsigned count)
{
    for (unsigned tried = 0; tried != count;) {
        struct msg_queue_list list = {.limit = 10};
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
        const struct msg_queue_list_reply *r = MSG_BODY(reply, queue_list_reply);
        tried = 0;
        for (size_t i = 0; i < r->messages.n; i++) {
            tried += r->messages.items[i].recipients.items[0].attempts > 0;
        }
        ipc_message_free(&reply);
    }
}

static void
assert_failure(struct harness *h, uint16_t code, const char *text)
{
    struct ipc_message *reply = ask_standing(h, "");
    const struct record_queue_destination *d = find(reply, "dead.example");
    assert_non_null(d);
    assert_int_equal(d->code, code);
    harness_assert_str(d->text, text);
    assert_true(d->failed_ms > 0);
    ipc_message_free(&reply);
}

/* Three deliveries fail together: a server's word is kept, and survives a death of the role. */
static void
test_keeps_the_best_reason(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 3);
    for (unsigned i = 0; i < 3; i++) {
        commit_to(h, "a@dead.example", NULL);
    }
    struct ipc_message *messages[3];
    for (unsigned i = 0; i < 3; i++) {
        messages[i] = harness_deliver(h, HARNESS_TIMEOUT_MS);
        assert_non_null(messages[i]);
    }
    report_unreachable(h, messages[0], 0, "connection refused");
    wait_attempts(h, 1);
    assert_failure(h, 0, "connection refused");
    report_unreachable(h, messages[1], 421, "not from you");
    report_unreachable(h, messages[2], 0, "no route to host");
    wait_attempts(h, 3);
    assert_failure(h, 421, "not from you");
    harness_kill(h);
    harness_start(h, 0);
    assert_failure(h, 421, "not from you");
    harness_capacity(h, 1);
    attempt(h, DELIVERY_DELIVERED, 250, "");
    struct ipc_message *reply = ask_standing(h, "");
    assert_int_equal(find(reply, "dead.example")->failed_ms, 0);
    ipc_message_free(&reply);
}

/* Who waits behind others has their reason, and has not been tried. */
static void
test_shows_the_reason_of_who_was_never_tried(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    harness_capacity(h, 1);
    commit_to(h, "a@dead.example", NULL);
    report_unreachable(h, harness_deliver(h, HARNESS_TIMEOUT_MS), 0, "connection refused");
    harness_capacity(h, 0);
    commit_to(h, "b@dead.example", id);
    struct msg_queue_show show = {.id = str_from_cstr(id)};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_SHOW, &show);
    const struct record_queue_recipient *r =
        &MSG_BODY(reply, queue_show_reply)->messages.items[0].recipients.items[0];
    assert_int_equal(r->attempts, 0);
    assert_int_equal(r->last_attempt_ms, 0);
    assert_true(r->of_destination);
    harness_assert_str(r->text, "connection refused");
    harness_assert_str(r->enhanced, "4.4.1");
    ipc_message_free(&reply);
}

/* ---- pauses */

static void
test_a_pause_holds_what_comes(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 10);
    assert_true(pause(h, "one.example", true));
    assert_false(pause(h, "one.example", true));
    commit_to(h, "a@one.example", NULL);
    commit_to(h, "b@two.example", NULL);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->destination, "two.example");
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    assert_null(harness_deliver(h, 300));
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    assert_null(harness_deliver(h, 600));
    struct ipc_message *reply = ask_standing(h, "");
    const struct record_queue_destination *d = find(reply, "one.example");
    assert_true(d->paused_ms > clock_wall_ms() - 60000);
    harness_assert_str(d->paused_by, "ada");
    ipc_message_free(&reply);
    assert_true(pause(h, "one.example", false));
    assert_false(pause(h, "one.example", false));
    attempt(h, DELIVERY_DELIVERED, 250, "");
    harness_kill(h); /* it is forgotten on disk too */
    harness_start(h, 0);
    harness_capacity(h, 10);
    commit_to(h, "a@one.example", NULL);
    attempt(h, DELIVERY_DELIVERED, 250, "");
}

/* The domain shares its next hop with others, which go on. */
static void
test_a_domain_is_paused_alone(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    h->config = "hostname: mx.inside.example\n"
                "domains:\n"
                "  - {name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"
                "  - {name: second.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"
                "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0}\n"
                "listeners:\n"
                "  - {address: 127.0.0.1, port: 2525, kind: mx}\n";
    harness_kill(h);
    harness_start(h, 0);
    commit_to(h, "a@Inside.Example", id); /* before the pause */
    assert_true(pause(h, "inside.example", true));
    commit_to(h, "b@second.example", NULL);
    commit_to(h, "c@inside.example", NULL);
    harness_capacity(h, 10);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    harness_assert_str(harness_deliver_of(message)->recipients.items[0].address,
                       "b@second.example");
    harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    assert_null(harness_deliver(h, 300));
    struct ipc_message *reply = ask_standing(h, "");
    assert_int_equal(find(reply, "inside.example")->waiting, 2);
    ipc_message_free(&reply);
    assert_true(pause(h, "inside.example", false));
    for (unsigned i = 0; i < 2; i++) {
        message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        harness_assert_str(harness_deliver_of(message)->destination, "lmtp://127.0.0.1:24");
        harness_report(h, message, DELIVERY_DELIVERED, 250, "", "");
    }
    harness_wait_count(h, 0);
}

static void
test_pause_wants_a_name(void **state)
{
    static const char *const names[] = {"", "a b", "a\n"};
    struct harness *h = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct msg_queue_pause ask = {.name = str_from_cstr(names[i]), .pause = true};
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_PAUSE, &ask);
        assert_true(MSG_BODY(reply, queue_pause_reply)->error.n > 0);
        ipc_message_free(&reply);
    }
}

/* ---- other ways */

static void
reroute(struct harness *h, const char *id, const char *to, const char *error)
{
    struct record_queue_id ids = {.id = str_from_cstr(id)};
    struct msg_queue_act ask = {
        .action = SPOOL_ACT_REROUTE, .ids = {&ids, 1}, .by = STR("ada"), .to = str_from_cstr(to)};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &ask);
    harness_assert_str(MSG_BODY(reply, queue_act_reply)->error, error);
    assert_int_equal(MSG_BODY(reply, queue_act_reply)->done, error[0] == '\0');
    ipc_message_free(&reply);
}

static void
expect_way(struct harness *h, const char *destination, bool rerouted)
{
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_non_null(message);
    harness_assert_str(harness_deliver_of(message)->destination, destination);
    assert_int_equal(harness_deliver_of(message)->recipients.items[0].rerouted, rerouted);
    harness_report(h, message, DELIVERY_DEFERRED, 451, "", "later");
}

static void
test_reroutes(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    commit_to(h, "a@one.example", id);
    reroute(h, id, "mx", "that is no next hop: smtp://host:port, lmtp://host:port or lmtp:/path");
    reroute(h, id, "smtp://192.0.2.7:2525", "");
    harness_capacity(h, 1);
    expect_way(h, "smtp://192.0.2.7:2525", true);
    expect_way(h, "smtp://192.0.2.7:2525", true); /* again, when it is due */
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 1);
    expect_way(h, "smtp://192.0.2.7:2525", true);
    harness_capacity(h, 0);
    reroute(h, id, "", "");
    harness_capacity(h, 1);
    expect_way(h, "one.example", false);
}

/* ---- octets */

static void
test_shows_octets(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    commit_to(h, "a@one.example", id);
    for (unsigned header = 0; header < 2; header++) {
        struct msg_queue_text ask = {
            .id = str_from_cstr(id), .header = header == 1, .by = STR("ada")};
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_TEXT, &ask);
        const struct msg_queue_text_reply *r = MSG_BODY(reply, queue_text_reply);
        assert_true(r->found);
        assert_true(r->head.octets.n > 0);
        harness_assert_str(r->content.octets, header == 1 ? "" : "The body of a message.\r\n");
        ipc_message_free(&reply);
    }
    struct msg_queue_text nobody = {.id = STR("0000000000000000")};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_TEXT, &nobody);
    assert_false(MSG_BODY(reply, queue_text_reply)->found);
    ipc_message_free(&reply);
    harness_change(h, "UPDATE body SET content = x''");
    struct msg_queue_text damaged = {.id = str_from_cstr(id)};
    reply = harness_ask(h, MSG_QUEUE_TEXT, &damaged);
    assert_true(harness_has(MSG_BODY(reply, queue_text_reply)->error, "damaged"));
    ipc_message_free(&reply);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, harness_setup, harness_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_by_destination),
        TEST(counts_a_paused_domain_behind_a_route),
        TEST(keeps_the_best_reason),
        TEST(shows_the_reason_of_who_was_never_tried),
        TEST(a_pause_holds_what_comes),
        TEST(a_domain_is_paused_alone),
        TEST(pause_wants_a_name),
        TEST(reroutes),
        TEST(shows_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
