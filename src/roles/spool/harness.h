/*
 * harness.h - for tests: the spool role as a process of its own, with the test as all its peers.
 *
 * The role's real code runs in a forked child on real sockets, files and threads; only the frame
 * (role.h) is replaced by a small one. So it can be killed at any moment, started again on the same
 * directory, and given limits.
 */
#ifndef POSTERN_ROLES_SPOOL_HARNESS_H
#define POSTERN_ROLES_SPOOL_HARNESS_H

#include <sys/types.h>

#include "ipc/channel.h"

#define HARNESS_TIMEOUT_MS 20000

struct harness {
    char directory[64]; /* made by harness_create, removed by harness_destroy */
    const char *config; /* YAML; may be changed between starts */
    int64_t uptime_ms;  /* how long ago it should think it was started */
    pid_t pid;          /* 0: not running */
    int filter;         /* our ends of its channels */
    int relay;
    int ledger;
    int command;
    int control; /* new sockets for the role go here */
    uint64_t request;
};

/* The directory; `config` NULL: a usual one. */
void harness_create(struct harness *harness, const char *config);
void harness_destroy(struct harness *harness);
/* Starts the role. With `file_limit` above 0 no file of it may grow beyond so many octets. */
void harness_start(struct harness *harness, uint64_t file_limit);
/* Ends it with SIGKILL; or orderly, and checks its exit status. */
void harness_kill(struct harness *harness);
void harness_stop(struct harness *harness);

/* cmocka's setup and teardown: *state is a running harness with the usual configuration. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* Changes the database by SQL while the role is down. */
void harness_change(struct harness *harness, const char *sql);

/* The relay dies and another takes its place; or the filter. */
void harness_new_relay(struct harness *harness);
void harness_new_filter(struct harness *harness);
/* No file of the role may grow beyond so many octets from now on; 0: no limit. */
void harness_limit_files(struct harness *harness, uint64_t file_limit);

/* What the test commits, with defaults for all that is not set. */
struct harness_mail {
    const char *id;     /* 16 characters; NULL: a new one */
    const char *sender; /* NULL: sender@out.example; "": the null path */
    const char *const *recipients;
    size_t recipient_count; /* 0: one, bob@inside.example */
    uint8_t notify;
    uint8_t ret;
    const char *envid;
    const char *orcpt;
    const char *hold;
    uint8_t priority;
    uint32_t flags;     /* set of enum smtp_message_flag */
    struct str content; /* empty: a short one */
};

/* So many octets; the caller frees them. */
struct str harness_content(size_t n);

/* Sends a commit and does not wait; writes the id (17 octets) to id_out. Returns the request. */
uint64_t harness_commit_send(struct harness *harness, const struct harness_mail *mail,
                             char *id_out);
/* Receives an answer: its outcome, and in *request_out whose it is. -1: the role is gone. */
int harness_commit_receive(struct harness *harness, uint64_t *request_out);
/* Both. */
int harness_commit(struct harness *harness, const struct harness_mail *mail, char *id_out);

/* The relay says how much it takes. */
void harness_capacity(struct harness *harness, uint32_t total);
/* The time of all leases is over. */
void harness_expire_leases(struct harness *harness);
/* The next message to deliver; NULL when none comes within timeout_ms. */
struct ipc_message *harness_deliver(struct harness *harness, int timeout_ms);
/* The fields of a delivery, which must have come. */
const struct msg_deliver *harness_deliver_of(const struct ipc_message *message);
/* Reports the same outcome for all recipients of a delivery, and frees it. */
void harness_report(struct harness *harness, struct ipc_message *deliver, uint8_t outcome,
                    uint16_t code, const char *enhanced, const char *text);

/* A command: sends a message and waits for the reply. */
struct ipc_message *harness_ask(struct harness *harness, enum msg_type type, const void *fields);
/* How many messages the queue lists. */
size_t harness_count(struct harness *harness);
/* Waits until the queue lists `count` messages. */
void harness_wait_count(struct harness *harness, size_t count);

/* Fails, and shows both, when they differ. */
void harness_assert_str(struct str got, const char *want);
bool harness_has(struct str text, const char *part);

#endif
