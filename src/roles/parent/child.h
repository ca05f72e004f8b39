/*
 * child.h - one role process as the parent sees it: started, fed, watched, restarted.
 */
#ifndef POSTERN_ROLES_PARENT_CHILD_H
#define POSTERN_ROLES_PARENT_CHILD_H

#include "ipc/channel.h"
#include "roles/parent/listen.h"
#include "roles/parent/material.h"

/* Restarts wait: the first at once, then twice as long each time, up to the largest. */
#define CHILD_BACKOFF_FIRST_MS 50
#define CHILD_BACKOFF_MOST_MS  10000
/* Who has lived this long starts again with the first wait. */
#define CHILD_SETTLED_MS       5000
/* A role that ends so often before it was ever ready makes the start fail. */
#define CHILD_FIRST_TRIES      3

struct event;

struct child {
    enum role role;
    uint32_t instance;
    pid_t pid;               /* 0: not running */
    struct channel *control; /* disconnected while not running */
    struct event *restart;   /* timer */
    int64_t started_ms;      /* monotonic */
    int backoff_ms;
    uint32_t restarts;
    bool ready;      /* has said so since it was started */
    bool ever_ready; /* in this run of the parent */
    bool stopping;   /* its end is wanted */
    bool owed;       /* what is new waits until the keys for it are in place */
};

/*
 * Forks and executes `postern role NAME INSTANCE`, connects child->control and hands out the
 * configuration, certificates and sockets. STATUS_IO with a log line. The caller then joins it to
 * its peers (child_join) and says start (child_send_start).
 */
[[nodiscard]] enum status child_spawn(struct child *child);

/* Hands out one generation: the configuration, and of certificates, trusted roots and listeners
 * what the role gets by the table of roles. */
[[nodiscard]] enum status child_send_material(struct child *child, const struct material *material,
                                              const struct listen_set *listeners);
[[nodiscard]] enum status child_send_start(struct child *child, uint64_t generation);
/* Hands a process the counts that it shares with the others of its role. */
[[nodiscard]] enum status child_send_clients(struct child *child, int table, uint32_t processes);
[[nodiscard]] enum status child_send_socket(struct child *child, enum msg_type type, int fd);

/* Logs how it ended, as waitpid has told. */
void child_log_end(const struct child *child, int wait_status);

/* Starts the timer child->restart; the next wait will be longer. */
void child_schedule_restart(struct child *child);

/* Makes a line between two running children. */
[[nodiscard]] enum status child_join(struct child *a, struct child *b);

#endif
