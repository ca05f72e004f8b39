/*
 * test_world.h - the ledger role as a process of its own, with the test as its parent, edge and
 * command line. Failed logins: three of a user, five of an address; none is counted like that from
 * 198.51.100.0/24, and 203.0.113.0/24 is a zone like any place.
 */
#ifndef POSTERN_ROLES_LEDGER_TEST_WORLD_H
#define POSTERN_ROLES_LEDGER_TEST_WORLD_H

#include <sys/types.h>

#include "ipc/channel.h"
#include "smtp/server.h"
#include "store/ledger_test_directory.h"

struct ledger_world {
    struct test_directory *directory;
    pid_t pid;
    int control;
    int edge;
    int command;
};

/* Set-up and tear-down of a test: a directory with a running ledger in it (struct ledger_world). */
int ledger_world_set_up(void **state);
int ledger_world_tear_down(void **state);
#define LEDGER_TEST(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, ledger_world_set_up, ledger_world_tear_down)

void ledger_world_start(struct ledger_world *world);
/* In good order; its exit status. */
int ledger_world_stop(struct ledger_world *world);

/* The next message of that type to `self`, others are dropped. */
struct ipc_message *ledger_world_receive(int fd, enum role self, enum msg_type type);
/* The next answer to a login, and whose it is. */
enum smtp_auth_outcome ledger_world_take_login(struct ledger_world *world, uint64_t *request_out);
/* A SCRAM login with a wrong proof: it needs no time, so there can be many. */
enum smtp_auth_outcome ledger_world_fail_scram(struct ledger_world *world, const char *user,
                                               const char *client);

#endif
