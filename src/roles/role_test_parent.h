/*
 * role_test_parent.h - a role as a process of its own, with a test as its parent: what the real
 * parent does for a role, over the same sockets. What fails, fails the test.
 */
#ifndef POSTERN_ROLES_ROLE_TEST_PARENT_H
#define POSTERN_ROLES_ROLE_TEST_PARENT_H

#include "roles/role.h"

/* How long a role may take to answer, in milliseconds. */
#define ROLE_TEST_WAIT_MS 20000

/*
 * Starts the process. `control_out` is the parent's end of its control socket; the caller closes
 * it, and waits for the process.
 */
pid_t role_test_launch(const struct role_definition *role, int *control_out);
/*
 * Configuration 1: the directory for state and run, and `rest`, which is YAML. A mistake in it is
 * told by name.
 */
void role_test_configure(int control, const char *directory, const char *rest);
/* Makes the role a peer of `other`; returns the socket of `other`, which the caller closes. */
int role_test_peer(int control, enum role other);
/* A connection to the role's listening socket for commands, which stands in the directory. */
int role_test_command(int control, const char *directory);
/* Waits until `self` has told that it is ready. */
void role_test_ready(int control, enum role self);
void role_test_send(int fd, enum msg_type type, uint64_t request, const void *fields);

#endif
