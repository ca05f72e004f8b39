/* The clerk as a process of its own, with this test as its parent and its ledger. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "roles/clerk.h"
#include "roles/role_test_parent.h"

static const char config_text[] = "hostname: mx.kartapuce.com\n"
                                  "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";

struct fixture {
    pid_t pid;
    int control;
    int ledger;
};

/* The next message, which must be of that type. */
static struct ipc_message *
receive(int fd, enum role self, enum msg_type type)
{
    struct ipc_message *message = NULL;
    assert_int_equal(channel_plain_receive(fd, ROLE_CLERK, self, ROLE_TEST_WAIT_MS, &message),
                     STATUS_OK);
    assert_int_equal(message->type, type);
    return message;
}

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL) {
        return -1;
    }
    fixture->pid = role_test_launch(&clerk_role, &fixture->control);
    role_test_configure(fixture->control, "/nonexistent", config_text);
    fixture->ledger = role_test_peer(fixture->control, ROLE_LEDGER);
    role_test_send(fixture->control, MSG_START, 0, &(struct msg_start){.generation = 1});
    role_test_ready(fixture->control, ROLE_CLERK);
    *state = fixture;
    return 0;
}

/* It stops in order whatever it waits for. */
static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    int exit_status = -1;
    role_test_send(fixture->control, MSG_STOP, 0, &(struct msg_stop){.grace_ms = 5000});
    waitpid(fixture->pid, &exit_status, 0);
    close(fixture->control);
    close(fixture->ledger);
    free(fixture);
    return exit_status;
}

static int64_t
metric(struct fixture *fixture, const char *name)
{
    role_test_send(fixture->control, MSG_STATUS_REQUEST, 5, NULL);
    struct ipc_message *message = receive(fixture->control, ROLE_PARENT, MSG_STATUS_REPLY);
    const struct msg_status_reply *reply = MSG_BODY(message, status_reply);
    int64_t value = -1;
    for (size_t i = 0; i < reply->metrics.n; i++) {
        if (str_eq(reply->metrics.items[i].name, str_from_cstr(name))) {
            value = reply->metrics.items[i].value;
        }
    }
    assert_int_equal(reply->warnings.n, 0);
    ipc_message_free(&message);
    return value;
}

/* Takes the question and answers it. */
static void
answer(struct fixture *fixture, bool done)
{
    struct ipc_message *message = receive(fixture->ledger, ROLE_LEDGER, MSG_RETENTION);
    struct msg_retention_reply reply = {.done = done};
    role_test_send(fixture->ledger, MSG_RETENTION_REPLY, message->request, &reply);
    ipc_message_free(&message);
}

static void
test_retention_is_asked_for_at_the_start(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, true);
    while (metric(fixture, "clerk_jobs_total") == 0) {
    }
    assert_int_equal(metric(fixture, "clerk_jobs_total"), 1);
    assert_int_equal(metric(fixture, "clerk_jobs_failed_total"), 0);
}

/* What the ledger could not do, or took with it when it died, is asked of the next one at once. */
static void
test_a_new_ledger_is_asked_again(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, false);
    while (metric(fixture, "clerk_jobs_failed_total") == 0) {
    }
    for (int64_t failed = 1; failed < 4; failed++) {
        close(fixture->ledger);
        fixture->ledger = role_test_peer(fixture->control, ROLE_LEDGER);
        struct ipc_message *message = receive(fixture->ledger, ROLE_LEDGER, MSG_RETENTION);
        ipc_message_free(&message);
        assert_int_equal(metric(fixture, "clerk_jobs_failed_total"), failed);
        close(fixture->ledger);
        fixture->ledger = -1;
        while (metric(fixture, "clerk_jobs_failed_total") == failed) {
        }
    }
    assert_int_equal(metric(fixture, "clerk_jobs_total"), 0);
    fixture->ledger = role_test_peer(fixture->control, ROLE_LEDGER);
    answer(fixture, true);
    while (metric(fixture, "clerk_jobs_total") == 0) {
    }
}

/* The clerk is asked nothing: who tries is told on, and nothing breaks. */
static void
test_a_peer_that_breaks_the_rules(void **state)
{
    struct fixture *fixture = *state;
    role_test_send(fixture->ledger, MSG_RETENTION_REPLY, 0, &(struct msg_retention_reply){true});
    role_test_send(fixture->ledger, MSG_TRACE_ACK, 0, NULL);
    struct ipc_message *message = receive(fixture->control, ROLE_PARENT, MSG_MISBEHAVED);
    assert_int_equal(MSG_BODY(message, misbehaved)->role, ROLE_LEDGER);
    ipc_message_free(&message);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retention_is_asked_for_at_the_start, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_ledger_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_peer_that_breaks_the_rules, set_up, tear_down),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("clerk", tests, NULL, NULL);
}
