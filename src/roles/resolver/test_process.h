/*
 * test_process.h - for tests and measurements: the resolver role as a process of its own, sandbox
 * and all, with the caller as its parent and as the filter that asks it.
 *
 * What goes wrong ends the program with a line on stderr.
 */
#ifndef POSTERN_ROLES_RESOLVER_TEST_PROCESS_H
#define POSTERN_ROLES_RESOLVER_TEST_PROCESS_H

#include <sys/types.h>

#include "dns/source_channel.h"

#define TEST_PROCESS_WAIT_MS 30000

struct test_process {
    pid_t pid;
    int control;           /* the parent's end */
    int filter;            /* the filter's end */
    struct dns_view *view; /* of its table, which the filter has got */
    const char *state;     /* directory; the role's files are in <state>/resolver */
    uint64_t generation;
    uint64_t request;
};

/*
 * Starts the process, which waits for its configuration. `state` is made if need be, and borrowed.
 * For a caller without threads: what one of them had locked would be locked in the new process for
 * ever.
 */
void test_process_launch(struct test_process *process, const char *state);
/*
 * Has the role begin. `settings` is YAML, the map under `resolver:` in flow form, such as
 * "{dnssec: false}".
 */
void test_process_begin(struct test_process *process, const char *settings);
/* Gives it other settings and waits until it has taken them. */
void test_process_reload(struct test_process *process, const char *settings);
/* Ends it; the directory stays. */
void test_process_stop(struct test_process *process);

/* Asks as the filter and waits; the reply is the caller's. */
struct ipc_message *test_process_call(struct test_process *process, enum msg_type type,
                                      const void *fields);
/* Its status reply; the caller's. */
struct ipc_message *test_process_status(struct test_process *process);
/* The value of a metric in a status reply; -1 when it has none of that name. */
int64_t test_process_metric(const struct ipc_message *status, const char *name);

#endif
