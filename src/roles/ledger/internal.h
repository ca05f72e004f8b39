/*
 * internal.h - the state of the ledger role and its parts; for the files of this folder only.
 *
 * What belongs to the loop's thread and what to a worker is said at the fields. Jobs carry the
 * message that asked (and own it), so nothing of a request is copied without need.
 */
#ifndef POSTERN_ROLES_LEDGER_INTERNAL_H
#define POSTERN_ROLES_LEDGER_INTERNAL_H

#include "roles/asker.h"
#include "roles/ledger/throttle.h"
#include "roles/role.h"
#include "roles/work.h"
#include "store/ledger_reports.h"
#include "store/ledger_search.h"
#include "store/ledger_traces.h"
#include "store/ledger_users.h"

/* Threads for Argon2id; each needs CREDENTIAL_ARGON2_MEMORY. */
#define LEDGER_HASHERS          2u
/* Logins and changes that may wait for them; more are told to come back. */
#define LEDGER_HASH_JOBS_MAX    512u
/* Jobs that may wait for the writer, and their octets. */
#define LEDGER_WRITE_JOBS_MAX   50000u
#define LEDGER_WRITE_OCTETS_MAX (128u << 20)
/* Parts of traces that are committed together at most. */
#define LEDGER_BATCH            1000u
/* Searches that may wait. */
#define LEDGER_READ_JOBS_MAX    64u
/* A user's last login is written this often at most. */
#define LEDGER_LAST_LOGIN_MS    60000
/* Memory for one answer to a command. */
#define LEDGER_REPLY_ARENA      (1u << 20)
/* The same for a page of accounts: REPORTS_PAGE_MAX rows with REPORTS_LINE_MAX each. */
#define LEDGER_DMARC_ARENA      (4u << 20)
/* Octets of rows and parts in one reply: a packet has IPC_PACKET_MAX. */
#define LEDGER_REPLY_OCTETS     (IPC_PACKET_MAX - 32768u)

struct trace_job;

/* What the writer's thread works on. */
struct ledger_writer {
    struct user_file *users;
    struct trace_store *traces;
    struct reports *reports; /* NULL: they cannot be kept, which the log has told */
    const char *directory;
    struct trace_job *batch; /* appended, not committed yet */
    bool users_changed;      /* since Dovecot was told */
};

struct ledger_counters {
    int64_t lookups;
    int64_t logins;
    int64_t logins_failed;
    int64_t logins_throttled;
    int64_t logins_busy;
    int64_t traces;
    int64_t traces_refused; /* the queue was full or the disk failed: they come again */
    int64_t searches;
    int64_t trace_octets; /* on disk */
    int64_t report_octets;
    struct reports_counts reports; /* as of the last look */
};

/* Loop thread, but for `writer` and `search`. */
struct ledger {
    struct role_runtime *runtime;
    struct user_table *users;
    struct throttle *throttle;
    struct credential nobody; /* of a password that nobody knows: for users who do not exist */
    uint8_t secret[CREDENTIAL_KEY];
    struct asker *askers; /* whose answers are being worked on */
    struct work_queue *hashers;
    struct work_queue *writers; /* one thread: context is `writer` */
    struct work_queue *readers; /* one thread: context is `search` */
    struct ledger_writer writer;
    struct trace_search *search;
    struct event *stopping;
    struct ledger_counters counters;
};

/* Handlers of messages; each owns its message. */
void ledger_on_lookup(struct ledger *ledger, struct channel *channel, struct ipc_message *message);
void ledger_on_password(struct ledger *ledger, struct channel *channel,
                        struct ipc_message *message);
void ledger_on_scram_begin(struct ledger *ledger, struct channel *channel,
                           struct ipc_message *message);
void ledger_on_scram_verify(struct ledger *ledger, struct channel *channel,
                            struct ipc_message *message);
void ledger_on_user_change(struct ledger *ledger, struct channel *channel,
                           struct ipc_message *message);
void ledger_on_user_list(struct ledger *ledger, struct channel *channel,
                         struct ipc_message *message);
void ledger_on_append(struct ledger *ledger, struct channel *channel, struct ipc_message *message);
void ledger_on_find(struct ledger *ledger, struct channel *channel, struct ipc_message *message);
void ledger_on_get(struct ledger *ledger, struct channel *channel, struct ipc_message *message);
void ledger_on_dmarc_find(struct ledger *ledger, struct channel *channel,
                          struct ipc_message *message);
/* Has the writer look at size and age of the traces, and of the counts for reports. */
void ledger_on_retention(struct ledger *ledger, struct channel *channel,
                         struct ipc_message *message);
void ledger_on_locks(struct ledger *ledger, struct channel *channel, struct ipc_message *message);

/* What counts for logins from this client; NULL: from anybody. */
struct throttle_limits ledger_throttle_limits(struct ledger *ledger,
                                              const struct ip_address *client);
/* Records a login in table and file, the latter now and then. */
void ledger_note_login(struct ledger *ledger, struct user *user);
/* Commits what was appended; in the writer's thread. */
void ledger_commit_traces(struct ledger_writer *writer);

#endif
