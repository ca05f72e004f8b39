#include "roles/ledger/test_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "roles/ledger.h"
#include "roles/role_test_parent.h"
#include "store/credential.h"

static const char config_text[] =
    "hostname: mx.kartapuce.com\n"
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
    "domains: [{name: kartapuce.com, delivery: \"lmtp://127.0.0.1:24\"}]\n"
    "bounce: {postmaster: bob@kartapuce.com}\n"
    "zones:\n"
    "  - {name: office, networks: [198.51.100.0/24], auth_limits: false}\n"
    "  - {name: branch, networks: [203.0.113.0/24]}\n"
    "limits: {auth_failures_per_user: 3, auth_failures_per_address: 5}\n";

/* ---- the role */

void
ledger_world_start(struct ledger_world *world)
{
    const char *directory = world->directory->path;
    world->pid = role_test_launch(&ledger_role, &world->control);
    role_test_configure(world->control, directory, config_text);
    world->edge = role_test_peer(world->control, ROLE_EDGE);
    world->command = role_test_command(world->control, directory);
    role_test_send(world->control, MSG_START, 0, &(struct msg_start){.generation = 1});
    role_test_ready(world->control, ROLE_LEDGER);
}

int
ledger_world_stop(struct ledger_world *world)
{
    int exit_status = -1;
    role_test_send(world->control, MSG_STOP, 0, &(struct msg_stop){.grace_ms = 5000});
    waitpid(world->pid, &exit_status, 0);
    close(world->control);
    close(world->edge);
    close(world->command);
    return exit_status;
}

int
ledger_world_set_up(void **state)
{
    struct ledger_world *world = calloc(1, sizeof *world);
    void *directory = NULL;
    if (world == NULL || test_directory_make(&directory) != 0) {
        free(world);
        return -1;
    }
    *state = world;
    world->directory = directory;
    /* Started as root, the role changes to a user of its own. */
    chmod(world->directory->path, 0755);
    const char *path = test_directory_file(world->directory, "ledger");
    if (mkdir(path, 0755) != 0 || chmod(path, 0777) != 0) {
        return -1;
    }
    ledger_world_start(world);
    return 0;
}

int
ledger_world_tear_down(void **state)
{
    struct ledger_world *world = *state;
    int exit_status = ledger_world_stop(world);
    void *directory = world->directory;
    free(world);
    return test_directory_remove(&directory) != 0 || exit_status != 0;
}

struct ipc_message *
ledger_world_receive(int fd, enum role self, enum msg_type type)
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

/* ---- what an edge asks */

enum smtp_auth_outcome
ledger_world_take_login(struct ledger_world *world, uint64_t *request_out)
{
    struct ipc_message *reply = ledger_world_receive(world->edge, ROLE_EDGE, MSG_AUTH_REPLY);
    enum smtp_auth_outcome outcome = MSG_BODY(reply, auth_reply)->outcome;
    *request_out = reply->request;
    ipc_message_free(&reply);
    return outcome;
}

enum smtp_auth_outcome
ledger_world_fail_scram(struct ledger_world *world, const char *user, const char *client)
{
    static const char proof[CREDENTIAL_KEY];
    struct ip_address ip;
    uint64_t request;
    assert_int_equal(ip_parse(str_from_cstr(client), &ip), STATUS_OK);
    struct msg_scram_verify verify = {.user = str_from_cstr(user),
                                      .client_ip =
                                          str_make((const char *)ip.octets, sizeof ip.octets),
                                      .auth_message = STR("n=...,r=...,c=..."),
                                      .client_proof = str_make(proof, sizeof proof)};
    role_test_send(world->edge, MSG_SCRAM_VERIFY, 5, &verify);
    return ledger_world_take_login(world, &request);
}
