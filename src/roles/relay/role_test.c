/* The whole role in a process of its own; the test is its parent, spool, ledger and edge. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/relay/relay.h"
#include "roles/relay/test_server.h"
#include "roles/role_test_parent.h"
#include "store/delivery.h"
#include "trace/trace.h"

#define WAIT_MS 10000

#define SERVER_CONNECTIONS 64u

struct world {
    pid_t pid;
    int control, spool, ledger, edge;
    struct test_server *server;
    atomic_bool refused[SERVER_CONNECTIONS]; /* the only recipient of the transaction */
    atomic_bool held;                        /* the server keeps its verdict to itself */
    atomic_uint verdicts;
    atomic_uint probes;
    unsigned traces;
    struct ipc_message *message; /* the last one that was waited for */
};

/* ---- the next hop */

static const char *
answer(void *context, unsigned connection, const char *line)
{
    struct world *world = context;
    atomic_bool *refused = &world->refused[connection % SERVER_CONNECTIONS];
    if (line[0] == '\0') {
        return "220 mx\r\n";
    }
    if (strncmp(line, "EHLO", 4) == 0) {
        return "250-mx\r\n250 PIPELINING\r\n";
    }
    if (strncmp(line, "MAIL FROM:", 10) == 0) {
        atomic_store(refused, false);
    }
    if (strcmp(line, "DATA") == 0) {
        return atomic_load(refused) ? "554 5.5.1 no recipients\r\n" : "354 go\r\n";
    }
    if (strncmp(line, "RCPT TO:<no@", 12) == 0) {
        atomic_fetch_add(&world->probes, 1);
        atomic_store(refused, true);
        return "550 5.1.1 no\r\n";
    }
    if (strcmp(line, ".") == 0) {
        atomic_fetch_add(&world->verdicts, 1);
        while (atomic_load(&world->held)) {
            usleep(1000);
        }
        return "250 2.0.0 queued\r\n";
    }
    return strcmp(line, "QUIT") == 0 ? "221 bye\r\n" : "250 ok\r\n";
}

/* ---- the other roles */

static void
take_trace(struct world *world, uint64_t request, const struct msg_trace_append *fields)
{
    for (size_t i = 0; i < fields->pieces.n; i++) {
        assert_true(trace_is_valid(fields->pieces.items[i].events));
        world->traces++;
    }
    role_test_send(world->ledger, MSG_TRACE_ACK, request, NULL);
}

/* The next message of this type from `peer`; traces are taken meanwhile. */
static struct ipc_message *
wait_message(struct world *world, int fd, enum role peer, enum role self, enum msg_type type)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = world->ledger, .events = POLLIN}};
    ipc_message_free(&world->message);
    while (clock_monotonic_ms() < end) {
        struct ipc_message *message;
        poll(p, 2, 100);
        if ((p[1].revents & POLLIN) != 0 &&
            channel_plain_receive(world->ledger, ROLE_RELAY, ROLE_LEDGER, 0, &message) ==
                STATUS_OK) {
            take_trace(world, message->request, MSG_BODY(message, trace_append));
            ipc_message_free(&message);
        }
        if ((p[0].revents & POLLIN) == 0 ||
            channel_plain_receive(fd, peer, self, 0, &message) != STATUS_OK) {
            continue;
        }
        if (message->type == type) {
            world->message = message;
            return message;
        }
        ipc_message_free(&message);
    }
    fail_msg("no %s", ipc_type_name(type));
    return NULL;
}

static uint32_t
wait_capacity(struct world *world)
{
    return MSG_BODY(wait_message(world, world->spool, ROLE_RELAY, ROLE_SPOOL, MSG_RELAY_CAPACITY),
                    relay_capacity)
        ->total;
}

static const struct msg_delivery_report *
wait_report(struct world *world)
{
    return MSG_BODY(wait_message(world, world->spool, ROLE_RELAY, ROLE_SPOOL, MSG_DELIVERY_REPORT),
                    delivery_report);
}

static void
spool_restarts(struct world *world)
{
    close(world->spool);
    world->spool = role_test_peer(world->control, ROLE_SPOOL);
    (void)wait_capacity(world);
}

static void
send_configuration(struct world *world, unsigned connections)
{
    char text[1024];
    snprintf(text, sizeof text,
             "hostname: gw.ours.example\n"
             "bounce: {postmaster: bob@ours.example}\n"
             "listeners: [{address: 127.0.0.1, port: 1, kind: mx}]\n"
             "domains: [{name: ours.example, delivery: \"smtp://127.0.0.1:%u\"}]\n"
             "queue: {connections: %u}\n",
             test_server_port(world->server), connections);
    role_test_configure(world->control, "/tmp", text);
}

static int
setup(void **state)
{
    static struct world world;
    struct msg_start start = {.generation = 1};
    world = (struct world){.ledger = -1};
    /* Before there are threads; it waits for its configuration. */
    world.pid = role_test_launch(&relay_role, &world.control);
    world.server = test_server_start(answer, &world, NULL);
    world.spool = role_test_peer(world.control, ROLE_SPOOL);
    world.ledger = role_test_peer(world.control, ROLE_LEDGER);
    world.edge = role_test_peer(world.control, ROLE_EDGE);
    send_configuration(&world, 10);
    role_test_send(world.control, MSG_START, 0, &start);
    (void)wait_message(&world, world.control, ROLE_RELAY, ROLE_PARENT, MSG_READY);
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    const int fds[] = {world->control, world->spool, world->ledger, world->edge};
    atomic_store(&world->held, false);
    if (world->pid > 0) {
        kill(world->pid, SIGKILL);
        waitpid(world->pid, NULL, 0);
    }
    test_server_stop(&world->server);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        close(fds[i]);
    }
    ipc_message_free(&world->message);
    return 0;
}

/* ---- tests */

static void
lease(struct world *world, uint64_t number, const char *address)
{
    struct record_delivery_recipient recipient = {
        .number = 7, .address = str_from_cstr(address), .original = str_from_cstr(address)};
    char id[ID_LENGTH + 1]; /* one message for each first letter */
    snprintf(id, sizeof id, "%016X", (unsigned)address[0]);
    struct msg_deliver deliver = {.lease = number,
                                  .id = str_from_cstr(id),
                                  .sender = STR("a@x.example"),
                                  .destination = STR("ours.example"),
                                  .concurrency = 2,
                                  .recipients = {&recipient, 1},
                                  .head = ipc_body_inline(STR("Subject: new\r\n\r\n")),
                                  .content = ipc_body_inline(STR("Subject: old\r\n\r\ntext\r\n")),
                                  .content_offset = 16};
    role_test_send(world->spool, MSG_DELIVER, 0, &deliver);
}

static void
expect_report(struct world *world, uint64_t number, enum delivery_outcome outcome)
{
    const struct msg_delivery_report *report = wait_report(world);
    assert_int_equal(report->lease, number);
    assert_int_equal(report->results.n, 1);
    assert_int_equal(report->results.items[0].number, 7);
    assert_int_equal(report->results.items[0].outcome, outcome);
}

static void
test_delivery(void **state)
{
    struct world *world = *state;
    assert_int_equal(wait_capacity(world), 10);
    lease(world, 1, "bob@ours.example");
    expect_report(world, 1, DELIVERY_RELAYED_WITHOUT_DSN);
    lease(world, 2, "no@ours.example");
    expect_report(world, 2, DELIVERY_FAILED);
    while (world->traces < 2) {
        role_test_send(world->control, MSG_STATUS_REQUEST, 1, NULL);
        (void)wait_message(world, world->control, ROLE_RELAY, ROLE_PARENT, MSG_STATUS_REPLY);
    }
    kill(world->pid, SIGKILL);
    waitpid(world->pid, NULL, 0);
    world->pid = 0;
    test_server_end(world->server);
    /* The edited header, and the body from where it begins in the content. */
    assert_true(str_eq(test_server_content(world->server), STR("Subject: new\r\n\r\ntext\r\n")));
}

static void
test_report_that_was_lost(void **state)
{
    struct world *world = *state;
    lease(world, 1, "bob@ours.example");
    expect_report(world, 1, DELIVERY_RELAYED_WITHOUT_DSN);
    /* The spool dies before it has written that down, and the next one does not know. */
    spool_restarts(world);
    lease(world, 1, "bob@ours.example");
    expect_report(world, 1, DELIVERY_RELAYED_WITHOUT_DSN);
    assert_int_equal(atomic_load(&world->verdicts), 1);
}

static void
wait_verdict(struct world *world)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    while (atomic_load(&world->verdicts) == 0 && clock_monotonic_ms() < end) {
        usleep(1000);
    }
}

static void
test_spool_dies_during_a_delivery(void **state)
{
    struct world *world = *state;
    atomic_store(&world->held, true);
    lease(world, 5, "bob@ours.example");
    wait_verdict(world);
    close(world->spool);
    world->spool = role_test_peer(world->control, ROLE_SPOOL);
    assert_int_equal(wait_capacity(world), 9); /* one is still under way */
    lease(world, 1, "bob@ours.example");
    atomic_store(&world->held, false);
    expect_report(world, 1, DELIVERY_RELAYED_WITHOUT_DSN);
    assert_int_equal(atomic_load(&world->verdicts), 1);
    lease(world, 2, "bob@ours.example");
    assert_int_equal(wait_capacity(world), 10);
}

static uint16_t
callout(struct world *world, uint64_t request, const char *address)
{
    struct msg_callout fields = {.address = str_from_cstr(address), .domain = STR("ours.example")};
    role_test_send(world->edge, MSG_CALLOUT, request, &fields);
    struct ipc_message *reply =
        wait_message(world, world->edge, ROLE_RELAY, ROLE_EDGE, MSG_CALLOUT_REPLY);
    assert_int_equal(reply->request, request);
    return MSG_BODY(reply, callout_reply)->code;
}

/* The spool has waited for long: it asks again, or leases the message anew. */
static void
test_lease_is_repeated(void **state)
{
    struct world *world = *state;
    atomic_store(&world->held, true);
    lease(world, 5, "bob@ours.example");
    wait_verdict(world);
    lease(world, 5, "bob@ours.example");
    lease(world, 6, "bob@ours.example");
    lease(world, 7, "no@ours.example"); /* its report says that the others were taken too */
    expect_report(world, 7, DELIVERY_FAILED);
    assert_int_equal(atomic_load(&world->verdicts), 1);
    atomic_store(&world->held, false);
    expect_report(world, 5, DELIVERY_RELAYED_WITHOUT_DSN);
    expect_report(world, 6, DELIVERY_RELAYED_WITHOUT_DSN);
    lease(world, 6, "bob@ours.example"); /* the report was lost */
    expect_report(world, 6, DELIVERY_RELAYED_WITHOUT_DSN);
    assert_int_equal(atomic_load(&world->verdicts), 1);
}

static void
test_reload(void **state)
{
    struct world *world = *state;
    assert_int_equal(wait_capacity(world), 10);
    atomic_store(&world->held, true);
    lease(world, 1, "bob@ours.example");
    wait_verdict(world);
    send_configuration(world, 4);
    role_test_send(world->control, MSG_START, 0, &(struct msg_start){.generation = 1});
    assert_int_equal(wait_capacity(world), 4);
}

static void
test_callouts(void **state)
{
    struct world *world = *state;
    assert_int_equal(callout(world, 1, "bob@ours.example"), 250);
    assert_int_equal(callout(world, 2, "no@ours.example"), 550);
    assert_int_equal(callout(world, 3, "no@ours.example"), 550);
    assert_int_equal(atomic_load(&world->probes), 1);
}

static void
test_stop(void **state)
{
    struct world *world = *state;
    struct msg_stop stop = {.grace_ms = 5000};
    int status = 0;
    lease(world, 1, "bob@ours.example");
    expect_report(world, 1, DELIVERY_RELAYED_WITHOUT_DSN);
    role_test_send(world->control, MSG_STOP, 0, &stop);
    while (wait_capacity(world) != 0) {
    }
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    while (waitpid(world->pid, &status, WNOHANG) == 0 && clock_monotonic_ms() < end) {
        struct ipc_message *message;
        if (channel_plain_receive(world->ledger, ROLE_RELAY, ROLE_LEDGER, 20, &message) ==
            STATUS_OK) {
            take_trace(world, message->request, MSG_BODY(message, trace_append));
            ipc_message_free(&message);
        }
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    world->pid = 0;
    test_server_end(world->server);
    assert_true(str_ends_with(test_server_commands(world->server), STR("QUIT\n")));
}

/* A spool that sends what cannot be is told to the parent; nothing is delivered of it. */
static void
test_leases_that_cannot_be(void **state)
{
    static const struct {
        size_t recipients;
        uint32_t concurrency;
        uint64_t offset;
    } rows[] = {{0, 2, 0}, {1, 0, 0}, {1, 2, 100}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record_delivery_recipient recipient = {.address = STR("bob@ours.example"),
                                                      .original = STR("bob@ours.example")};
        struct msg_deliver deliver = {.lease = i + 1,
                                      .id = STR("0123456789ABCDEF"),
                                      .destination = STR("ours.example"),
                                      .concurrency = rows[i].concurrency,
                                      .recipients = {&recipient, rows[i].recipients},
                                      .head = ipc_body_inline(STR("Subject: new\r\n\r\n")),
                                      .content = ipc_body_inline(STR("text\r\n")),
                                      .content_offset = rows[i].offset};
        role_test_send(world->spool, MSG_DELIVER, 0, &deliver);
        struct ipc_message *told =
            wait_message(world, world->control, ROLE_RELAY, ROLE_PARENT, MSG_MISBEHAVED);
        assert_int_equal(MSG_BODY(told, misbehaved)->role, ROLE_SPOOL);
    }
    lease(world, 9, "bob@ours.example");
    expect_report(world, 9, DELIVERY_RELAYED_WITHOUT_DSN);
    assert_int_equal(atomic_load(&world->verdicts), 1);
}

/* The spool is told whether there was a server: else it leaves the whole destination alone. */
static void
test_reports_tell_of_servers(void **state)
{
    struct world *world = *state;
    lease(world, 1, "no@ours.example");
    assert_true(wait_report(world)->connected);
    test_server_stop(&world->server);
    lease(world, 2, "bob@ours.example");
    const struct msg_delivery_report *report = wait_report(world);
    assert_false(report->connected);
    assert_int_equal(report->results.items[0].outcome, DELIVERY_DEFERRED);
    /* What was put off is no result to be remembered. */
    lease(world, 3, "bob@ours.example");
    assert_false(wait_report(world)->connected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivery),
        TEST(test_report_that_was_lost),
        TEST(test_spool_dies_during_a_delivery),
        TEST(test_lease_is_repeated),
        TEST(test_reload),
        TEST(test_callouts),
        TEST(test_stop),
        TEST(test_leases_that_cannot_be),
        TEST(test_reports_tell_of_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
