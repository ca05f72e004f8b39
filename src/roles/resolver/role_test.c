/* The whole role in a process of its own; the test is its parent, the filter, and the DNS. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dns/source_channel.h"
#include "roles/resolver/test_process.h"
#include "roles/resolver/test_server.h"

struct world {
    char state[64];
    char settings[256];
    struct test_server server;
    struct test_process process;
};

static int
setup(void **state)
{
    static struct world world;
    snprintf(world.state, sizeof world.state, "/tmp/resolver-test-XXXXXX");
    assert_non_null(mkdtemp(world.state));
    test_process_launch(&world.process, world.state); /* before there are threads */
    test_server_start(&world.server);
    snprintf(world.settings, sizeof world.settings,
             "{forwarders: [127.0.0.1@%u], dnssec: false, timeout: 700ms, cache_ttl_max: 1m, "
             "cache_negative_ttl_max: 20s}",
             world.server.port);
    test_process_begin(&world.process, world.settings);
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    char command[96];
    test_process_stop(&world->process);
    test_server_stop(&world->server);
    snprintf(command, sizeof command, "rm -rf %s", world->state);
    return system(command); /* NOLINT(cert-env33-c): a name that we have made */
}

static struct ipc_message *
ask(struct world *world, const char *name, uint16_t type)
{
    struct msg_resolve fields = {str_from_cstr(name), type};
    return test_process_call(&world->process, MSG_RESOLVE, &fields);
}

static int64_t
metric(struct world *world, const char *name)
{
    struct ipc_message *status = test_process_status(&world->process);
    int64_t value = test_process_metric(status, name);
    ipc_message_free(&status);
    return value;
}

/* ---- single questions */

static void
test_outcomes(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        enum dns_outcome outcome;
        size_t records;
        const char *canonical;
        uint32_t ttl_most;
    } cases[] = {
        {"a.zone.example", DNS_TYPE_A, DNS_OUTCOME_ANSWER, 1, "a.zone.example", 60},
        {"alias.zone.example", DNS_TYPE_A, DNS_OUTCOME_ANSWER, 1, "a.zone.example", 60},
        {"nodata.zone.example", DNS_TYPE_MX, DNS_OUTCOME_NODATA, 0, "nodata.zone.example", 60},
        {"none.zone.example", DNS_TYPE_A, DNS_OUTCOME_NXDOMAIN, 0, "none.zone.example", 60},
        {"servfail.zone.example", DNS_TYPE_A, DNS_OUTCOME_SERVFAIL, 0, "servfail.zone.example", 0},
        {"refused.zone.example", DNS_TYPE_A, DNS_OUTCOME_SERVFAIL, 0, "refused.zone.example", 0},
        {"silent.zone.example", DNS_TYPE_A, DNS_OUTCOME_TIMEOUT, 0, "silent.zone.example", 0},
        {"localhost", DNS_TYPE_A, DNS_OUTCOME_ANSWER, 1, "localhost", UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ipc_message *message = ask(*state, cases[i].name, cases[i].type);
        const struct msg_resolve_reply *reply = MSG_BODY(message, resolve_reply);
        if (reply->outcome != cases[i].outcome || reply->records.n != cases[i].records ||
            reply->ttl > cases[i].ttl_most ||
            !str_eq(reply->canonical, str_from_cstr(cases[i].canonical))) {
            fail_msg("%s: %s, %zu records, ttl %u, %.*s (%.*s)", cases[i].name,
                     dns_outcome_name((enum dns_outcome)reply->outcome), reply->records.n,
                     reply->ttl, STR_ARG(reply->canonical), STR_ARG(reply->detail));
        }
        assert_int_equal(reply->security, DNS_SECURITY_INDETERMINATE); /* dnssec: false */
        ipc_message_free(&message);
    }
    assert_int_equal(metric(*state, "dns_timeout_total"), 1);
    assert_int_equal(metric(*state, "dns_nxdomain_total"), 1);
}

static void
test_truncated_answers_come_over_tcp(void **state)
{
    struct world *world = *state;
    struct ipc_message *message = ask(world, "large.zone.example", DNS_TYPE_TXT);
    const struct msg_resolve_reply *reply = MSG_BODY(message, resolve_reply);
    assert_int_equal(reply->outcome, DNS_OUTCOME_ANSWER);
    assert_int_equal(reply->records.n, 30);
    assert_int_equal(reply->records.items[29].octets.n, 201);
    ipc_message_free(&message);
    assert_int_equal(atomic_load(&world->server.tcp), 1);
    assert_int_equal(atomic_load(&world->server.edns_octets), 1232);
}

static void
test_too_many_records_are_no_answer(void **state)
{
    struct ipc_message *message = ask(*state, "many.zone.example", DNS_TYPE_A);
    const struct msg_resolve_reply *reply = MSG_BODY(message, resolve_reply);
    assert_int_equal(reply->outcome, DNS_OUTCOME_SERVFAIL);
    assert_int_equal(reply->records.n, 0);
    assert_true(str_eq(reply->detail, STR("the answer is larger than can be used")));
    ipc_message_free(&message);
}

static void
test_the_cache(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 5; i++) {
        struct ipc_message *message = ask(world, "a.zone.example", DNS_TYPE_A);
        ipc_message_free(&message);
    }
    assert_int_equal(atomic_load(&world->server.udp), 1);
    test_process_reload(&world->process, world->settings); /* a new cache */
    struct ipc_message *message = ask(world, "a.zone.example", DNS_TYPE_A);
    ipc_message_free(&message);
    assert_int_equal(atomic_load(&world->server.udp), 2);
}

static void
test_a_time_limit(void **state)
{
    int64_t const start = clock_monotonic_ms();
    struct ipc_message *message = ask(*state, "silent.zone.example", DNS_TYPE_A);
    int64_t const took = clock_monotonic_ms() - start;
    ipc_message_free(&message);
    assert_true(took >= 650);
    assert_true(took < 5000); /* the machine may be busy */
}

/* ---- batches */

static struct ipc_message *
ask_batch(struct world *world, const char *const *labels, size_t count)
{
    static char names[DNS_BATCH_MAX][64];
    struct record_question questions[DNS_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s.zone.example", labels[i]);
        questions[i] = (struct record_question){str_from_cstr(names[i]), DNS_TYPE_A};
    }
    struct msg_resolve_batch fields = {.questions = {questions, count}};
    return test_process_call(&world->process, MSG_RESOLVE_BATCH, &fields);
}

static void
test_a_batch(void **state)
{
    static const char *const labels[] = {"a", "none", "servfail", "alias", "a"};
    struct ipc_message *message = ask_batch(*state, labels, 5);
    const struct msg_resolve_batch_reply *reply = MSG_BODY(message, resolve_batch_reply);
    assert_int_equal(message->type, MSG_RESOLVE_BATCH_REPLY);
    assert_int_equal(reply->answers.n, 5);
    assert_int_equal(reply->answers.items[0].outcome, DNS_OUTCOME_ANSWER);
    assert_int_equal(reply->answers.items[0].records.n, 1);
    assert_int_equal(reply->answers.items[1].outcome, DNS_OUTCOME_NXDOMAIN);
    assert_int_equal(reply->answers.items[2].outcome, DNS_OUTCOME_SERVFAIL);
    assert_true(str_eq(reply->answers.items[3].canonical, STR("a.zone.example")));
    assert_int_equal(reply->answers.items[4].outcome, DNS_OUTCOME_ANSWER);
    ipc_message_free(&message);
    message = ask_batch(*state, labels, 0);
    assert_int_equal(MSG_BODY(message, resolve_batch_reply)->answers.n, 0);
    ipc_message_free(&message);
    assert_int_equal(metric(*state, "dns_batches_total"), 2);
}

static void
test_a_batch_does_not_wait_for_the_slowest(void **state)
{
    static const char *const labels[] = {"a", "silent"};
    struct ipc_message *message = ask_batch(*state, labels, 2);
    const struct msg_resolve_batch_reply *reply = MSG_BODY(message, resolve_batch_reply);
    assert_int_equal(reply->answers.items[0].outcome, DNS_OUTCOME_ANSWER);
    assert_int_equal(reply->answers.items[1].outcome, DNS_BATCH_UNANSWERED);
    ipc_message_free(&message);
    message = ask(*state, "silent.zone.example", DNS_TYPE_A);
    assert_int_equal(MSG_BODY(message, resolve_reply)->outcome, DNS_OUTCOME_TIMEOUT);
    ipc_message_free(&message);
}

static void
test_a_late_answer_is_waited_for_alone(void **state)
{
    struct world *world = *state;
    static const char *const labels[] = {"late"};
    struct ipc_message *message = ask_batch(world, labels, 1);
    assert_int_equal(MSG_BODY(message, resolve_batch_reply)->answers.items[0].outcome,
                     DNS_BATCH_UNANSWERED);
    ipc_message_free(&message);
    message = ask(world, "late.zone.example", DNS_TYPE_A);
    assert_int_equal(MSG_BODY(message, resolve_reply)->outcome, DNS_OUTCOME_ANSWER);
    ipc_message_free(&message);
    assert_int_equal(atomic_load(&world->server.udp), 1); /* it was the same question */
}

/* ---- bad input */

static void
expect_misbehaved(struct world *world)
{
    struct ipc_message *message;
    assert_int_equal(channel_plain_receive(world->process.control, ROLE_RESOLVER, ROLE_PARENT,
                                           TEST_PROCESS_WAIT_MS, &message),
                     STATUS_OK);
    assert_int_equal(message->type, MSG_MISBEHAVED);
    assert_int_equal(MSG_BODY(message, misbehaved)->role, ROLE_FILTER);
    ipc_message_free(&message);
}

static void
test_a_type_that_nobody_asks_for_is_told(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name;
        uint16_t type;
    } cases[] = {
        {"a.example", 255},
        {"a.example", 252},
        {"a.example", 0},
        {"a..b", 255},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct msg_resolve single = {str_from_cstr(cases[i].name), cases[i].type};
        struct record_question questions[] = {{STR("a.example"), DNS_TYPE_A},
                                              {single.name, single.type}};
        struct msg_resolve_batch batch = {.questions = {questions, 2}};
        assert_int_equal(channel_plain_send(world->process.filter, MSG_RESOLVE, 1, &single),
                         STATUS_OK);
        expect_misbehaved(world);
        assert_int_equal(channel_plain_send(world->process.filter, MSG_RESOLVE_BATCH, 2, &batch),
                         STATUS_OK);
        expect_misbehaved(world);
    }
}

/* Strangers choose the names: none costs its asker more than an answer. */
static void
test_a_bad_name_is_answered(void **state)
{
    static const char *const names[] = {"a..b",    "a b",          "a.example.", ".",
                                        "\\999",   "a.example\n",  "a\\",        "a\\\\.",
                                        "a\\092.", "\\\\.example."};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct ipc_message *message = ask(world, names[i], DNS_TYPE_A);
        const struct msg_resolve_reply *reply = MSG_BODY(message, resolve_reply);
        assert_int_equal(reply->outcome, DNS_OUTCOME_SERVFAIL);
        assert_true(str_eq(reply->detail, STR("not a domain name")));
        ipc_message_free(&message);
        struct record_question questions[] = {{str_from_cstr(names[i]), DNS_TYPE_A},
                                              {STR("a.zone.example"), DNS_TYPE_A}};
        struct msg_resolve_batch batch = {.questions = {questions, 2}};
        message = test_process_call(&world->process, MSG_RESOLVE_BATCH, &batch);
        const struct msg_resolve_batch_reply *both = MSG_BODY(message, resolve_batch_reply);
        assert_int_equal(both->answers.items[0].outcome, DNS_OUTCOME_SERVFAIL);
        assert_int_equal(both->answers.items[1].outcome, DNS_OUTCOME_ANSWER);
        ipc_message_free(&message);
    }
    assert_int_equal(metric(world, "dns_over_limit_total"), 0);
}

static void
test_an_escaped_dot_at_the_end_is_part_of_a_name(void **state)
{
    static const char *const names[] = {"a\\.", "\\.\\.", "none.zone\\.", "a\\\\\\.", "a\\046"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct ipc_message *message = ask(*state, names[i], DNS_TYPE_A);
        const struct msg_resolve_reply *reply = MSG_BODY(message, resolve_reply);
        if (str_eq(reply->detail, STR("not a domain name"))) {
            fail_msg("%s", names[i]);
        }
        ipc_message_free(&message);
    }
}

static void
test_a_peer_has_its_share(void **state)
{
    struct world *world = *state;
    char name[64];
    unsigned refused = 0;
    for (unsigned i = 0; i < 2100; i++) {
        snprintf(name, sizeof name, "silent.n%u.example", i);
        struct msg_resolve fields = {str_from_cstr(name), DNS_TYPE_A};
        assert_int_equal(channel_plain_send(world->process.filter, MSG_RESOLVE, i, &fields),
                         STATUS_OK);
    }
    for (unsigned i = 0; i < 2100; i++) {
        struct ipc_message *message;
        assert_int_equal(channel_plain_receive(world->process.filter, ROLE_RESOLVER, ROLE_FILTER,
                                               TEST_PROCESS_WAIT_MS, &message),
                         STATUS_OK);
        refused += MSG_BODY(message, resolve_reply)->outcome == DNS_OUTCOME_SERVFAIL;
        ipc_message_free(&message);
    }
    assert_true(refused >= 2100 - 2048);
    assert_true(metric(world, "dns_over_limit_total") >= 2100 - 2048);
}

/* Who waits for a record hears of it at once, and then the others do too. */
static void
test_a_question_past_the_cache(void **state)
{
    struct world *world = *state;
    struct msg_resolve fresh = {STR("a.zone.example"), DNS_TYPE_A, true};
    struct ipc_message *message = ask(world, "a.zone.example", DNS_TYPE_A);
    ipc_message_free(&message);
    message = ask(world, "a.zone.example", DNS_TYPE_A);
    ipc_message_free(&message);
    assert_int_equal(atomic_load(&world->server.udp), 1);
    for (unsigned i = 0; i < 2; i++) { /* those of one moment share what they hear */
        message = test_process_call(&world->process, MSG_RESOLVE, &fresh);
        assert_int_equal(MSG_BODY(message, resolve_reply)->outcome, DNS_OUTCOME_ANSWER);
        ipc_message_free(&message);
    }
    assert_int_equal(atomic_load(&world->server.udp), 2);
    test_process_reload(&world->process, world->settings);
    message = test_process_call(&world->process, MSG_RESOLVE, &fresh);
    ipc_message_free(&message);
    assert_int_equal(atomic_load(&world->server.udp), 3);
}

/* ---- validation */

static enum status
read_table(struct world *world, const char *name, uint16_t type, struct dns_answer *answer_out)
{
    struct arena *arena = arena_create(1u << 20);
    enum status status = dns_view_find(world->process.view, arena, str_from_cstr(name), type,
                                       clock_monotonic_ms(), answer_out);
    arena_destroy(&arena); /* what is looked at here is no text */
    return status;
}

static void
test_answers_are_there_to_be_read(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        enum status status;
        enum dns_outcome outcome;
        size_t records;
    } cases[] = {
        {"a.zone.example", DNS_TYPE_A, STATUS_OK, DNS_OUTCOME_ANSWER, 1},
        {"alias.zone.example", DNS_TYPE_A, STATUS_OK, DNS_OUTCOME_ANSWER, 1},
        {"nodata.zone.example", DNS_TYPE_MX, STATUS_OK, DNS_OUTCOME_NODATA, 0},
        {"none.zone.example", DNS_TYPE_A, STATUS_OK, DNS_OUTCOME_NXDOMAIN, 0},
        {"servfail.zone.example", DNS_TYPE_A, STATUS_NOT_FOUND, 0, 0},
    };
    struct world *world = *state;
    struct dns_answer answer;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer = (struct dns_answer){0};
        assert_int_equal(read_table(world, cases[i].name, cases[i].type, &answer),
                         STATUS_NOT_FOUND);
        struct ipc_message *message = ask(world, cases[i].name, cases[i].type);
        ipc_message_free(&message);
        if (read_table(world, cases[i].name, cases[i].type, &answer) != cases[i].status ||
            answer.outcome != cases[i].outcome || answer.record_count != cases[i].records ||
            answer.ttl > 60) {
            fail_msg("%s: %s", cases[i].name, dns_outcome_name(answer.outcome));
        }
    }
}

/* Other servers, other trust: nothing that was found before is told any more. */
static void
test_a_reload_clears_the_table(void **state)
{
    struct world *world = *state;
    struct dns_answer answer;
    struct ipc_message *message = ask(world, "a.zone.example", DNS_TYPE_A);
    ipc_message_free(&message);
    assert_int_equal(read_table(world, "a.zone.example", DNS_TYPE_A, &answer), STATUS_OK);
    test_process_reload(&world->process, world->settings);
    assert_int_equal(read_table(world, "a.zone.example", DNS_TYPE_A, &answer), STATUS_NOT_FOUND);
    message = ask(world, "a.zone.example", DNS_TYPE_A);
    ipc_message_free(&message);
    assert_int_equal(read_table(world, "a.zone.example", DNS_TYPE_A, &answer), STATUS_OK);
}

static void
test_validation_that_does_not_work_is_told(void **state)
{
    struct world *world = *state;
    char settings[128];
    bool told = false;
    /* The server signs nothing, and the root's anchors are trusted. */
    snprintf(settings, sizeof settings, "{forwarders: [127.0.0.1@%u], timeout: 1s}",
             world->server.port);
    test_process_reload(&world->process, settings);
    for (int i = 0; i < 200 && !told; i++) {
        struct ipc_message *status = test_process_status(&world->process);
        const struct msg_status_reply *reply = MSG_BODY(status, status_reply);
        assert_int_equal(test_process_metric(status, "dns_validation_works"), 0);
        told = reply->warnings.n == 1 && str_starts_with(reply->warnings.items[0].text,
                                                         STR("DNSSEC validation does not work: "));
        ipc_message_free(&status);
        poll(NULL, 0, 50);
    }
    assert_true(told);
    struct ipc_message *message = ask(world, "a.zone.example", DNS_TYPE_A);
    assert_int_equal(MSG_BODY(message, resolve_reply)->outcome, DNS_OUTCOME_SERVFAIL);
    ipc_message_free(&message);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_outcomes),
        TEST(test_truncated_answers_come_over_tcp),
        TEST(test_too_many_records_are_no_answer),
        TEST(test_the_cache),
        TEST(test_a_question_past_the_cache),
        TEST(test_a_time_limit),
        TEST(test_a_batch),
        TEST(test_a_batch_does_not_wait_for_the_slowest),
        TEST(test_a_late_answer_is_waited_for_alone),
        TEST(test_a_type_that_nobody_asks_for_is_told),
        TEST(test_a_bad_name_is_answered),
        TEST(test_an_escaped_dot_at_the_end_is_part_of_a_name),
        TEST(test_a_peer_has_its_share),
        TEST(test_answers_are_there_to_be_read),
        TEST(test_a_reload_clears_the_table),
        TEST(test_validation_that_does_not_work_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
