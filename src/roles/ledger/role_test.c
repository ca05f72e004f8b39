/*
 * The ledger role as a process of its own, with this test as its parent, edge and command line:
 * users, logins, throttling, traces, kill -9.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/ledger.h"
#include "roles/role_test_parent.h"
#include "smtp/server.h"
#include "store/credential.h"
#include "store/ledger_summary.h"
#include "store/ledger_test_directory.h"
#include "store/ledger_users.h"

static const char config_text[] =
    "hostname: mx.kartapuce.com\n"
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
    "domains: [{name: kartapuce.com, delivery: \"lmtp://127.0.0.1:24\"}]\n"
    "bounce: {postmaster: bob@kartapuce.com}\n"
    "limits: {auth_failures_per_user: 3, auth_failures_per_address: 5}\n";

struct fixture {
    struct test_directory *directory;
    pid_t pid;
    int control;
    int edge;
    int command;
};

/* ---- the parent */

/* The next message of that type, others are dropped. */
static struct ipc_message *
receive(int fd, enum role self, enum msg_type type)
{
    for (;;) {
        struct ipc_message *message = NULL;
        assert_int_equal(channel_plain_receive(fd, ROLE_LEDGER, self, ROLE_TEST_WAIT_MS, &message),
                         STATUS_OK);
        if (message->type == type) {
            return message;
        }
        ipc_message_free(&message);
    }
}

static void
start(struct fixture *fixture)
{
    const char *directory = fixture->directory->path;
    fixture->pid = role_test_launch(&ledger_role, &fixture->control);
    role_test_configure(fixture->control, directory, config_text);
    fixture->edge = role_test_peer(fixture->control, ROLE_EDGE);
    fixture->command = role_test_command(fixture->control, directory);
    role_test_send(fixture->control, MSG_START, 0, &(struct msg_start){.generation = 1});
    role_test_ready(fixture->control, ROLE_LEDGER);
}

static void
close_sockets(struct fixture *fixture)
{
    close(fixture->control);
    close(fixture->edge);
    close(fixture->command);
}

static void
kill_role(struct fixture *fixture)
{
    kill(fixture->pid, SIGKILL);
    waitpid(fixture->pid, NULL, 0);
    close_sockets(fixture);
}

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    void *directory = NULL;
    if (fixture == NULL || test_directory_make(&directory) != 0) {
        free(fixture);
        return -1;
    }
    *state = fixture;
    fixture->directory = directory;
    /* Started as root, the role changes to a user of its own. */
    chmod(fixture->directory->path, 0755);
    const char *path = test_directory_file(fixture->directory, "ledger");
    if (mkdir(path, 0755) != 0 || chmod(path, 0777) != 0) {
        return -1;
    }
    start(fixture);
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    int exit_status = -1;
    /* An orderly stop must work after whatever the test did. */
    role_test_send(fixture->control, MSG_STOP, 0, &(struct msg_stop){.grace_ms = 5000});
    waitpid(fixture->pid, &exit_status, 0);
    close_sockets(fixture);
    void *directory = fixture->directory;
    free(fixture);
    return test_directory_remove(&directory) != 0 || exit_status != 0;
}

/* ---- what edge and command ask */

static enum user_outcome
change(struct fixture *fixture, enum user_action action, const char *name, const char *password)
{
    struct msg_user_change fields = {.action = (uint8_t)action,
                                     .name = str_from_cstr(name),
                                     .password = str_from_cstr(password)};
    role_test_send(fixture->command, MSG_USER_CHANGE, 7, &fields);
    struct ipc_message *reply = receive(fixture->command, ROLE_CLI, MSG_USER_CHANGE_REPLY);
    enum user_outcome outcome = MSG_BODY(reply, user_change_reply)->outcome;
    assert_int_equal(reply->request, 7);
    ipc_message_free(&reply);
    return outcome;
}

static bool
exists(struct fixture *fixture, const char *name)
{
    struct msg_recipient_lookup fields = {.name = str_from_cstr(name)};
    role_test_send(fixture->edge, MSG_RECIPIENT_LOOKUP, 3, &fields);
    struct ipc_message *reply = receive(fixture->edge, ROLE_EDGE, MSG_RECIPIENT_LOOKUP_REPLY);
    bool found = MSG_BODY(reply, recipient_lookup_reply)->exists;
    ipc_message_free(&reply);
    return found;
}

static struct str
address(const char *text, struct ip_address *ip)
{
    assert_int_equal(ip_parse(str_from_cstr(text), ip), STATUS_OK);
    return str_make((const char *)ip->octets, sizeof ip->octets);
}

static enum smtp_auth_outcome
login(struct fixture *fixture, const char *user, const char *password, const char *client)
{
    struct ip_address ip;
    struct msg_auth_password fields = {.user = str_from_cstr(user),
                                       .password = str_from_cstr(password),
                                       .client_ip = address(client, &ip)};
    role_test_send(fixture->edge, MSG_AUTH_PASSWORD, 9, &fields);
    struct ipc_message *reply = receive(fixture->edge, ROLE_EDGE, MSG_AUTH_REPLY);
    enum smtp_auth_outcome outcome = MSG_BODY(reply, auth_reply)->outcome;
    if (outcome == SMTP_AUTH_OK) {
        assert_true(str_eq(MSG_BODY(reply, auth_reply)->user, STR("bob@kartapuce.com")));
    } else {
        assert_int_equal(MSG_BODY(reply, auth_reply)->user.n, 0);
    }
    ipc_message_free(&reply);
    return outcome;
}

static void
users_come_and_go(void **state)
{
    struct fixture *fixture = *state;
    assert_false(exists(fixture, "bob@kartapuce.com"));
    assert_int_equal(change(fixture, USER_ADD, "Bob@KARTAPUCE.com", "geheim und lang"), USER_DONE);
    assert_int_equal(change(fixture, USER_ADD, "bob@kartapuce.com", "geheim und lang"),
                     USER_EXISTS);
    assert_int_equal(change(fixture, USER_ADD, "a b", "geheim und lang"), USER_BAD_NAME);
    assert_int_equal(change(fixture, USER_ADD, "eve@kartapuce.com", "kurz"), USER_BAD_PASSWORD);
    assert_int_equal(change(fixture, USER_PASSWORD, "eve@kartapuce.com", "geheim und lang"),
                     USER_UNKNOWN);
    assert_true(exists(fixture, "BOB@kartapuce.com"));
    assert_int_equal(login(fixture, "bob@Kartapuce.com", "geheim und lang", "192.0.2.1"),
                     SMTP_AUTH_OK);
    assert_int_equal(change(fixture, USER_PASSWORD, "bob@kartapuce.com", "neu und anders"),
                     USER_DONE);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "geheim und lang", "192.0.2.1"),
                     SMTP_AUTH_FAILED);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "neu und anders", "192.0.2.1"),
                     SMTP_AUTH_OK);
    /* disabled: no login, but mail */
    assert_int_equal(change(fixture, USER_DISABLE, "bob@kartapuce.com", NULL), USER_DONE);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "neu und anders", "192.0.2.1"),
                     SMTP_AUTH_FAILED);
    assert_true(exists(fixture, "bob@kartapuce.com"));
    assert_int_equal(change(fixture, USER_ENABLE, "bob@kartapuce.com", NULL), USER_DONE);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "neu und anders", "192.0.2.1"),
                     SMTP_AUTH_OK);
    /* all of it is on disk */
    kill_role(fixture);
    start(fixture);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "neu und anders", "192.0.2.1"),
                     SMTP_AUTH_OK);
    assert_int_equal(change(fixture, USER_REMOVE, "bob@kartapuce.com", NULL), USER_DONE);
    assert_false(exists(fixture, "bob@kartapuce.com"));
    assert_int_equal(login(fixture, "bob@kartapuce.com", "neu und anders", "192.0.2.1"),
                     SMTP_AUTH_FAILED);
}

static void
guessing_is_throttled(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(change(fixture, USER_ADD, "bob@kartapuce.com", "geheim und lang"), USER_DONE);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "geheim und lang", "198.51.100.1"),
                     SMTP_AUTH_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(login(fixture, "bob@kartapuce.com", "guess", "192.0.2.1"),
                         SMTP_AUTH_FAILED);
    }
    assert_int_equal(login(fixture, "bob@kartapuce.com", "geheim und lang", "192.0.2.1"),
                     SMTP_AUTH_THROTTLED);
    assert_int_equal(login(fixture, "bob@kartapuce.com", "geheim und lang", "192.0.2.2"),
                     SMTP_AUTH_THROTTLED);
    /* where bob has been before he still comes in */
    assert_int_equal(login(fixture, "bob@kartapuce.com", "geheim und lang", "198.51.100.1"),
                     SMTP_AUTH_OK);
    /* other names from the same address, until its own limit */
    assert_int_equal(login(fixture, "nobody@kartapuce.com", "guess", "192.0.2.1"),
                     SMTP_AUTH_FAILED);
    assert_int_equal(login(fixture, "a b", "guess", "192.0.2.1"), SMTP_AUTH_FAILED);
    assert_int_equal(login(fixture, "else@kartapuce.com", "guess", "192.0.2.1"),
                     SMTP_AUTH_THROTTLED);
}

static void
unknown_users_look_like_known_ones(void **state)
{
    struct fixture *fixture = *state;
    struct ip_address ip;
    uint8_t salts[3][64];
    static const char *const who[] = {"bob@kartapuce.com", "eve@kartapuce.com",
                                      "eve@kartapuce.com"};
    assert_int_equal(change(fixture, USER_ADD, "bob@kartapuce.com", "geheim und lang"), USER_DONE);
    for (int i = 0; i < 3; i++) {
        struct msg_scram_begin fields = {.user = str_from_cstr(who[i]),
                                         .client_ip = address("192.0.2.1", &ip)};
        role_test_send(fixture->edge, MSG_SCRAM_BEGIN, 4, &fields);
        struct ipc_message *reply = receive(fixture->edge, ROLE_EDGE, MSG_SCRAM_BEGIN_REPLY);
        const struct msg_scram_begin_reply *begin = MSG_BODY(reply, scram_begin_reply);
        assert_int_equal(begin->outcome, SMTP_AUTH_OK);
        assert_int_equal(begin->iterations, CREDENTIAL_ITERATIONS);
        assert_int_equal(begin->salt.n, CREDENTIAL_SALT);
        memcpy(salts[i], begin->salt.p, begin->salt.n);
        ipc_message_free(&reply);
    }
    assert_memory_equal(salts[1], salts[2], CREDENTIAL_SALT);
    assert_memory_not_equal(salts[0], salts[1], CREDENTIAL_SALT);
    for (int i = 0; i < 2; i++) {
        struct msg_scram_verify verify = {.user = str_from_cstr(who[i]),
                                          .client_ip = address("192.0.2.1", &ip),
                                          .auth_message = STR("n=...,r=...,c=..."),
                                          .client_proof = str_make((char *)salts[0], 32)};
        role_test_send(fixture->edge, MSG_SCRAM_VERIFY, 5, &verify);
        struct ipc_message *reply = receive(fixture->edge, ROLE_EDGE, MSG_AUTH_REPLY);
        assert_int_equal(MSG_BODY(reply, auth_reply)->outcome, SMTP_AUTH_FAILED);
        ipc_message_free(&reply);
    }
}

/* ---- traces */

static void
append(struct fixture *fixture, uint64_t request, const char *id, const char *recipient)
{
    struct trace trace;
    struct ip_address ip;
    address("192.0.2.7", &ip);
    trace_init(&trace, NULL);
    TRACE(&trace, mail_accepted, .sender = STR("tom@provider.example"), .client = ip);
    TRACE(&trace, recipient_accepted, .address = str_from_cstr(recipient));
    struct record_trace_piece piece = {.id = str_from_cstr(id),
                                       .session = STR("000000000SESSION"),
                                       .events = trace_events(&trace)};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    role_test_send(fixture->edge, MSG_TRACE_APPEND, request, &fields);
    trace_free(&trace);
}

static size_t
find(struct fixture *fixture, const char *recipient)
{
    struct msg_trace_find fields = {.recipient = str_from_cstr(recipient), .limit = 200};
    role_test_send(fixture->command, MSG_TRACE_FIND, 1, &fields);
    struct ipc_message *reply = receive(fixture->command, ROLE_CLI, MSG_TRACE_FIND_REPLY);
    size_t n = MSG_BODY(reply, trace_find_reply)->rows.n;
    assert_int_equal(MSG_BODY(reply, trace_find_reply)->error.n, 0);
    ipc_message_free(&reply);
    return n;
}

/* What was acknowledged is there after kill -9 at any moment. */
static void
acknowledged_traces_survive(void **state)
{
    struct fixture *fixture = *state;
    char id[ID_LENGTH + 1];
    for (int round = 0; round < 4; round++) {
        size_t acknowledged = 0;
        char recipient[64];
        snprintf(recipient, sizeof recipient, "round%d@kartapuce.com", round);
        for (uint64_t i = 1; i <= 100; i++) {
            id_make(clock_wall_ms(), id);
            append(fixture, i, id, recipient);
        }
        while (acknowledged < 20u + 20u * (unsigned)round) {
            struct ipc_message *ack = receive(fixture->edge, ROLE_EDGE, MSG_TRACE_ACK);
            acknowledged++;
            ipc_message_free(&ack);
        }
        kill_role(fixture);
        start(fixture);
        size_t found = find(fixture, recipient);
        assert_in_range(found, acknowledged, 100);
    }
}

static void
traces_are_found_and_read(void **state)
{
    struct fixture *fixture = *state;
    char id[ID_LENGTH + 1];
    id_make(clock_wall_ms(), id);
    append(fixture, 1, id, "bob@kartapuce.com");
    append(fixture, 2, id, "jack@kartapuce.com");
    for (int i = 0; i < 2; i++) {
        struct ipc_message *ack = receive(fixture->edge, ROLE_EDGE, MSG_TRACE_ACK);
        ipc_message_free(&ack);
    }
    assert_int_equal(find(fixture, "BOB@kartapuce.com"), 1);
    assert_int_equal(find(fixture, "jack@*"), 1);
    assert_int_equal(find(fixture, "eve@*"), 0);
    struct msg_trace_get fields = {.id = str_from_cstr(id)};
    role_test_send(fixture->command, MSG_TRACE_GET, 2, &fields);
    struct ipc_message *reply = receive(fixture->command, ROLE_CLI, MSG_TRACE_GET_REPLY);
    assert_true(MSG_BODY(reply, trace_get_reply)->found);
    assert_int_equal(MSG_BODY(reply, trace_get_reply)->parts.n, 2);
    ipc_message_free(&reply);
    fields.id = STR("no such id");
    role_test_send(fixture->command, MSG_TRACE_GET, 2, &fields);
    reply = receive(fixture->command, ROLE_CLI, MSG_TRACE_GET_REPLY);
    assert_false(MSG_BODY(reply, trace_get_reply)->found);
    ipc_message_free(&reply);
}

static void
append_observation(struct fixture *fixture, uint64_t request, const char *id)
{
    struct trace trace;
    trace_init(&trace, clock_wall_ms);
    TRACE(&trace, dmarc_observed, .domain = STR("peers.example"), .line = STR("{}"), .octets = 2);
    struct record_trace_piece piece = {.id = str_from_cstr(id), .events = trace_events(&trace)};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    for (int i = 0; i < 2; i++) { /* as if it had not been acknowledged */
        role_test_send(fixture->edge, MSG_TRACE_APPEND, request, &fields);
        struct ipc_message *ack = receive(fixture->edge, ROLE_EDGE, MSG_TRACE_ACK);
        ipc_message_free(&ack);
    }
    trace_free(&trace);
}

static uint64_t
count_observations(struct fixture *fixture, const char *domain)
{
    struct msg_dmarc_find fields = {
        .domain = str_from_cstr(domain), .to_day = INT64_MAX, .limit = 200};
    role_test_send(fixture->command, MSG_DMARC_FIND, 1, &fields);
    struct ipc_message *reply = receive(fixture->command, ROLE_CLI, MSG_DMARC_FIND_REPLY);
    const struct msg_dmarc_find_reply *found = MSG_BODY(reply, dmarc_find_reply);
    uint64_t count = 0;
    assert_int_equal(found->error.n, 0);
    for (size_t i = 0; i < found->rows.n; i++) {
        assert_true(str_eq(found->rows.items[i].line, STR("{}")));
        count += found->rows.items[i].count;
    }
    ipc_message_free(&reply);
    return count;
}

/* What DMARC reports will tell is counted once, whatever happens; a damaged file ends nothing. */
static void
observations_are_counted(void **state)
{
    struct fixture *fixture = *state;
    char id[ID_LENGTH + 1];
    assert_int_equal(count_observations(fixture, ""), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        id_make(clock_wall_ms(), id);
        append_observation(fixture, i, id);
        assert_int_equal(count_observations(fixture, "peers.example"), i);
    }
    assert_int_equal(count_observations(fixture, "other.example"), 0);
    kill_role(fixture);
    start(fixture);
    append_observation(fixture, 4, id);
    assert_int_equal(count_observations(fixture, ""), 4);
    kill_role(fixture);
    FILE *file = fopen(test_directory_file(fixture->directory, "ledger/reports.db"), "w");
    assert_non_null(file);
    fputs("this is no database", file);
    fclose(file);
    unlink(test_directory_file(fixture->directory, "ledger/reports.db-wal"));
    start(fixture);
    append_observation(fixture, 5, "0123456789ABCDEF");
    assert_int_equal(count_observations(fixture, ""), 1);
    assert_int_equal(
        access(test_directory_file(fixture->directory, "ledger/reports.db.damaged"), F_OK), 0);
}

static int64_t
octets_of_traces(struct fixture *fixture)
{
    int64_t octets = -1;
    role_test_send(fixture->control, MSG_STATUS_REQUEST, 1, NULL);
    struct ipc_message *reply = receive(fixture->control, ROLE_PARENT, MSG_STATUS_REPLY);
    const struct msg_status_reply *fields = MSG_BODY(reply, status_reply);
    for (size_t i = 0; i < fields->metrics.n; i++) {
        if (str_eq(fields->metrics.items[i].name, STR("ledger_trace_octets"))) {
            octets = fields->metrics.items[i].value;
        }
    }
    ipc_message_free(&reply);
    return octets;
}

/* The clerk says when; a clerk that was started again, and asks as well, is answered as well. */
static void
retention_is_carried_out_when_the_clerk_says_so(void **state)
{
    struct fixture *fixture = *state;
    char id[ID_LENGTH + 1];
    id_make(clock_wall_ms(), id);
    append(fixture, 1, id, "bob@kartapuce.com");
    struct ipc_message *ack = receive(fixture->edge, ROLE_EDGE, MSG_TRACE_ACK);
    ipc_message_free(&ack);
    assert_int_equal(octets_of_traces(fixture), 0);
    for (uint64_t i = 0; i < 2; i++) {
        int clerk = role_test_peer(fixture->control, ROLE_CLERK);
        role_test_send(clerk, MSG_RETENTION, 40 + i, NULL);
        struct ipc_message *reply = receive(clerk, ROLE_CLERK, MSG_RETENTION_REPLY);
        assert_int_equal(reply->request, 40 + i);
        assert_true(MSG_BODY(reply, retention_reply)->done);
        ipc_message_free(&reply);
        close(clerk);
    }
    assert_true(octets_of_traces(fixture) > 0);
    assert_int_equal(find(fixture, "bob@kartapuce.com"), 1);
}

/* A role that sends nonsense is told to the parent, which ends it; the ledger goes on. */
static void
malformed_traces_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct record_trace_piece piece = {.id = STR("0123456789ABCDEF"), .events = STR("nonsense")};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    role_test_send(fixture->edge, MSG_TRACE_APPEND, 1, &fields);
    struct ipc_message *told = receive(fixture->control, ROLE_PARENT, MSG_MISBEHAVED);
    assert_int_equal(MSG_BODY(told, misbehaved)->role, ROLE_EDGE);
    ipc_message_free(&told);
    assert_false(exists(fixture, "bob@kartapuce.com"));
}

/* An answer to an edge that has gone must not reach the edge that came in its place. */
static void
answers_are_not_for_successors(void **state)
{
    struct fixture *fixture = *state;
    struct ip_address ip;
    assert_int_equal(change(fixture, USER_ADD, "bob@kartapuce.com", "geheim und lang"), USER_DONE);
    struct msg_auth_password fields = {.user = STR("bob@kartapuce.com"),
                                       .password = STR("geheim und lang"),
                                       .client_ip = address("192.0.2.1", &ip)};
    role_test_send(fixture->edge, MSG_AUTH_PASSWORD, 1, &fields);
    close(fixture->edge);
    fixture->edge = role_test_peer(fixture->control, ROLE_EDGE);
    assert_false(exists(fixture, "eve@kartapuce.com"));
    /* by now the first login has been answered, or is about to be */
    assert_int_equal(login(fixture, "bob@kartapuce.com", "wrong and long", "192.0.2.1"),
                     SMTP_AUTH_FAILED);
    struct pollfd quiet = {.fd = fixture->edge, .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 0), 0);
}

#define ROLE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROLE_TEST(users_come_and_go),
        ROLE_TEST(guessing_is_throttled),
        ROLE_TEST(unknown_users_look_like_known_ones),
        ROLE_TEST(traces_are_found_and_read),
        ROLE_TEST(acknowledged_traces_survive),
        ROLE_TEST(observations_are_counted),
        ROLE_TEST(retention_is_carried_out_when_the_clerk_says_so),
        ROLE_TEST(malformed_traces_are_told),
        ROLE_TEST(answers_are_not_for_successors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
