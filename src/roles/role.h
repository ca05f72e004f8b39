/*
 * role.h - what every role has in common: how it is started, connected, confined, reloaded,
 * stopped.
 *
 * A role is one process of the same binary (`postern role NAME INSTANCE`, started by the parent
 * with its control socket as descriptor 3). role_main() receives the configuration and the sockets
 * to the peers, changes the user, opens what the role needs (open), enters the sandbox, starts it
 * (start) and runs the loop. A role's own file supplies a const struct role_definition and nothing
 * global.
 *
 * Everything here runs in the loop's thread unless it says otherwise. A callback that is NULL is
 * not called.
 */
#ifndef POSTERN_ROLES_ROLE_H
#define POSTERN_ROLES_ROLE_H

#include "config/config.h"
#include "ipc/channel.h"
#include "ipc/role_table.h"
#include "roles/metrics.h"

#define ROLE_METRICS_MAX  256
/* What a role can warn of at one time, and how long a warning is, with its NUL. */
#define ROLE_WARNINGS_MAX 8
#define ROLE_WARNING_SIZE 256

struct event_base;
struct role_runtime;

/* What a role adds to status and /metrics: "queue_messages" 12. */
struct role_metrics {
    struct record_metric items[ROLE_METRICS_MAX];
    size_t count;
    /* What an administrator should see to; whole sentences. */
    char warnings[ROLE_WARNINGS_MAX][ROLE_WARNING_SIZE];
    size_t warning_count;
};

/* What the table of roles (ipc/roles.def) cannot say: what a role does, in C. */
struct role_definition {
    enum role role;
    /* How many processes the configuration asks for; only where the table leaves it open, and held
     * to its limits. Called in the parent. */
    uint32_t (*processes)(const struct config *config);
    /* Octets of address space that its configuration lets the role take, beyond those of the table
     * (memory_limit.h). */
    uint64_t (*memory)(const struct config *config);
    /*
     * Opens files and databases with the role's own user, before the sandbox. *state_out is the
     * role's state, given to all other callbacks. On failure it has logged why, and the role ends.
     */
    enum status (*open)(struct role_runtime *runtime, void **state_out);
    /* After the sandbox: threads, timers, listening. Peers may connect before or after. */
    enum status (*start)(struct role_runtime *runtime, void *state);
    /* A message that is not a reply; the callee owns it. From a command the peer is ROLE_CLI. */
    channel_on_message *on_message; /* context: the state */
    /*
     * A peer has come (again) or gone; also, right after `start`, each peer that is there already.
     * A ROLE_CLI channel is destroyed after its `up == false`.
     */
    void (*on_peer)(void *state, struct channel *channel, bool up);
    /* A new configuration; the old one stays valid for whoever holds a reference. */
    void (*reload)(void *state, const struct config *config);
    /* A certificate (PEM, owned by the callee) before start, and again at each reload. */
    void (*certificate)(void *state, struct str name, int chain_pem_fd);
    /* The key of a certificate, in the same way. */
    void (*key)(void *state, struct str name, int key_pem_fd);
    /*
     * A new socket to a peer, before start or later. True: the callee owns it, and the frame makes
     * no channel of it. For a role that talks to a peer outside of the loop.
     */
    bool (*line)(void *state, enum role peer, uint32_t instance, int fd);
    /* A listening socket, by its index in config->listeners; the callee owns it. */
    void (*listener)(void *state, uint32_t index, int fd);
    /* The counts of clients that the edges share (tally.h), before start; the callee owns it. */
    void (*clients)(void *state, int fd, uint32_t processes);
    /*
     * Stop taking work; finish what is under way, then call role_stopped. After `grace_ms` the
     * parent ends the role.
     */
    void (*stop)(void *state, int grace_ms);
    void (*metrics)(void *state, struct role_metrics *metrics_out);
    /* Frees the state; after the loop has ended. */
    void (*close)(void *state);
};

/* The entry point of `postern role NAME INSTANCE`; returns the exit status of the process. */
int role_main(const struct role_definition *definition, uint32_t instance);

/* The loop of the main thread, which owns it. */
struct event_base *role_loop(struct role_runtime *runtime);
enum role role_self(const struct role_runtime *runtime);
uint32_t role_instance(const struct role_runtime *runtime);
/* The state that `open` made. */
void *role_state(const struct role_runtime *runtime);
/*
 * The configuration now; borrowed until the loop turns. Who keeps it longer, or uses it in another
 * thread, takes config_ref. Thread-safe when used as role_config_ref.
 */
const struct config *role_config(struct role_runtime *runtime);
const struct config *role_config_ref(struct role_runtime *runtime);
/* The role's own directory for files, "<state>/<role>"; NUL-terminated. */
const char *role_directory(const struct role_runtime *runtime);

/* The channel to a peer role (instance 0 but for edges); never NULL for a peer of the table. */
struct channel *role_channel(struct role_runtime *runtime, enum role peer, uint32_t instance);

/* The line to the parent, for the few roles that ask it something (the console: status). */
struct channel *role_parent(struct role_runtime *runtime);

/* Says that `stop` has done its work; the loop ends. */
void role_stopped(struct role_runtime *runtime);

/* Adds a metric; more than ROLE_METRICS_MAX are left out. */
void role_metric_add(struct role_metrics *metrics, enum role_metric metric, int64_t value);

/*
 * Adds one of several values of a metric: `name` is static and has its labels behind it,
 * `findings_total{finding="spf_fail"}`, or is a part of a histogram. What labels may say is bounded
 * by a table of the program, never by what comes from outside.
 */
void role_metric_add_named(struct role_metrics *metrics, const char *name, int64_t value);
/* Adds a warning for the status; more than ROLE_WARNINGS_MAX are left out. */
void role_warn(struct role_metrics *metrics, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A message that cannot be right from this peer (its fields contradict each other): closes the
 * channel and has the parent end the peer. The decoder's own refusals lead here too.
 */
void role_peer_misbehaved(struct role_runtime *runtime, struct channel *channel);
/* The same of a peer whose socket the role has for itself (`line`). Thread-safe. */
void role_line_misbehaved(struct role_runtime *runtime, enum role peer, uint32_t instance);

#endif
