#include "roles/parent/parent.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/definitions.h"
#include "roles/parent/child.h"
#include "roles/parent/clients.h"
#include "roles/parent/directories.h"
#include "roles/parent/hand_out.h"
#include "roles/parent/notify.h"
#include "roles/parent/report.h"
#include "roles/parent/restart.h"

/* What a role may take to end in order. */
#define STOP_GRACE_MS    10000
/* As much of a reason as a warning of the status can tell. */
#define REJECTED_MAX     500
/* How often the certificate files are looked at. */
#define WATCH_INTERVAL_S 5

struct parent {
    const char *config_file;
    struct event_base *loop;
    const struct config *started_with; /* one reference */
    struct material *material;
    struct listen_set listeners;
    int metrics_fd; /* -1: none */
    int lock_fd;
    int notify_fd;                   /* to the service manager; -1: none */
    int command_sockets[ROLE_COUNT]; /* of those that commands connect to */
    struct event *command_listener;
    struct report_server *reports;
    uint64_t generation;
    int64_t started_ms;
    struct child children[ROLE_PROCESSES_MAX];
    size_t child_count;
    bool complete;  /* those that start last have been started, too */
    int clients_fd; /* the counts of clients (tally.h), of so many processes */
    uint32_t clients_of;
    bool stopping;
    unsigned stop_stage; /* roles that have been stopped, from the end of the table */
    struct event *stop_timer;
    int exit_status;
    char rejected[REJECTED_MAX]; /* why what is new was not taken, for the status; "" */
};

static void parent_stop(struct parent *parent, int exit_status);
static void parent_stop_stage(struct parent *parent);

/* ---- children */

static enum status
parent_equip(struct parent *parent, struct child *child)
{
    enum status status = child_send_material(child, parent->material, &parent->listeners);
    const struct role_row *row = role_row(child->role);
    if (status == STATUS_OK && row->commands) {
        status =
            child_send_socket(child, MSG_CONTROL_LISTENER, parent->command_sockets[child->role]);
    }
    if (status == STATUS_OK && (row->gets & ROLE_GETS_CLIENTS) != 0) {
        status = child_send_clients(child, parent->clients_fd, parent->clients_of);
    }
    if (status == STATUS_OK && (row->gets & ROLE_GETS_METRICS) != 0 && parent->metrics_fd >= 0) {
        status = child_send_socket(child, MSG_LISTENER, parent->metrics_fd);
    }
    for (size_t i = 0; status == STATUS_OK && i < parent->child_count; i++) {
        struct child *peer = &parent->children[i];
        if (child_is_up(peer) && role_are_peers(child->role, peer->role)) {
            status = child_join(child, peer);
        }
    }
    return status == STATUS_OK ? child_send_start(child, parent->generation) : status;
}

static void
parent_start_child(struct parent *parent, struct child *child)
{
    enum status status = child_spawn(child);
    child->owed = false;
    if (status == STATUS_OK) {
        status = parent_equip(parent, child);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("a role could not be set up", LOG_CSTR("name", ipc_role_name(child->role)),
                  LOG_CSTR("status", status_name(status)));
        if (child->pid > 0) {
            kill(child->pid, SIGKILL); /* its end starts it again */
        } else {
            child_schedule_restart(child);
        }
    }
}

static void
on_restart(evutil_socket_t fd, short what, void *context)
{
    struct child *child = context;
    struct parent *parent = channel_context(child->control);
    (void)fd;
    (void)what;
    if (!parent->stopping && child->pid == 0) {
        child->restarts++;
        parent_start_child(parent, child);
    }
}

static bool
parent_all_ready(const struct parent *parent)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (!parent->children[i].ready) {
            return false;
        }
    }
    return true;
}

static void parent_add_child(struct parent *parent, enum role role, uint32_t instance);

static void
parent_start_role(struct parent *parent, enum role role)
{
    const struct config *config = parent->material->config;
    uint32_t const count = role_processes(role, config);
    if ((role_row(role)->gets & ROLE_GETS_CLIENTS) != 0) {
        parent->clients_of = count;
        if (clients_make(config, count, &parent->clients_fd) != STATUS_OK) {
            parent_stop(parent, EXIT_FAILURE);
            return;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        parent_add_child(parent, role, i);
    }
}

/* Those that start last, or the others. */
static void
parent_start_roles(struct parent *parent, bool last)
{
    for (unsigned role = 0; role < ROLE_COUNT && !parent->stopping; role++) {
        if (role_row((enum role)role)->starts_last == last) {
            parent_start_role(parent, (enum role)role);
        }
    }
}

/* Mail is let in only when everything behind the door stands. */
static void
parent_consider_door(struct parent *parent)
{
    if (!parent_all_ready(parent) || parent->stopping) {
        return;
    }
    if (parent->complete) {
        LOG_INFO("all roles are ready", LOG_INT("generation", parent->generation));
        notify_send(parent->notify_fd, NOTIFY_READY);
        return;
    }
    parent->complete = true;
    parent_start_roles(parent, true);
}

static struct generation
parent_generation(const struct parent *parent)
{
    return (struct generation){parent->generation, parent->material, &parent->listeners};
}

static void
parent_child_ready(struct parent *parent, struct child *child, uint64_t generation)
{
    child->ready = true;
    child->ever_ready = true;
    struct generation now = parent_generation(parent);
    hand_out_owed(&now, child, generation, parent->children, parent->child_count);
    parent_consider_door(parent);
}

static struct child *
parent_find_child(struct parent *parent, enum role role, uint32_t instance)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (parent->children[i].role == role && parent->children[i].instance == instance) {
            return &parent->children[i];
        }
    }
    return NULL;
}

static void
parent_end_misbehaver(struct parent *parent, const struct msg_misbehaved *fields)
{
    struct child *child = parent_find_child(parent, (enum role)fields->role, fields->instance);
    if (child != NULL && child->pid > 0) {
        LOG_ERROR("ending a role that broke the rules",
                  LOG_CSTR("name", ipc_role_name(child->role)), LOG_INT("pid", child->pid));
        kill(child->pid, SIGKILL);
    }
}

static void
on_child_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct parent *parent = context;
    struct child *child =
        parent_find_child(parent, channel_peer(channel), channel_instance(channel));
    if (child == NULL) {
        ipc_message_free(&message);
        return;
    }
    switch ((int)message->type) {
    case MSG_READY:
        parent_child_ready(parent, child, MSG_BODY(message, ready)->generation);
        break;
    case MSG_MISBEHAVED:
        parent_end_misbehaver(parent, MSG_BODY(message, misbehaved));
        break;
    case MSG_STATUS_REQUEST:
        report_to_channel(parent->reports, channel, message->request);
        break;
    default:
        LOG_ERROR("an unexpected message from a role",
                  LOG_CSTR("message", ipc_type_name(message->type)));
        break;
    }
    ipc_message_free(&message);
}

static void
parent_add_child(struct parent *parent, enum role role, uint32_t instance)
{
    struct child *child = &parent->children[parent->child_count++];
    struct channel_settings settings = {
        .loop = parent->loop,
        .self = ROLE_PARENT,
        .peer = role,
        .instance = instance,
        .on_message = on_child_message,
        .context = parent,
    };
    *child =
        (struct child){.role = role, .instance = instance, .backoff_ms = CHILD_BACKOFF_FIRST_MS};
    child->control = channel_create(&settings);
    child->restart = event_new(parent->loop, -1, 0, on_restart, child);
    parent_start_child(parent, child);
}

static void
parent_child_ended(struct parent *parent, struct child *child, int wait_status)
{
    bool const settled = clock_monotonic_ms() - child->started_ms >= CHILD_SETTLED_MS;
    child_log_end(child, wait_status);
    child->pid = 0;
    child->ready = false;
    if (parent->stopping) {
        parent_stop_stage(parent);
        return;
    }
    if (!child->ever_ready && child->restarts + 1 >= CHILD_FIRST_TRIES) {
        LOG_ERROR("a role cannot be started; its own messages above say why",
                  LOG_CSTR("name", ipc_role_name(child->role)));
        parent_stop(parent, EXIT_FAILURE);
        return;
    }
    if (settled) {
        child->backoff_ms = CHILD_BACKOFF_FIRST_MS;
    }
    child_schedule_restart(child);
}

static void
on_sigchld(evutil_socket_t fd, short what, void *context)
{
    struct parent *parent = context;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < parent->child_count; i++) {
        struct child *child = &parent->children[i];
        int wait_status;
        if (child->pid > 0 && waitpid(child->pid, &wait_status, WNOHANG) == child->pid) {
            parent_child_ended(parent, child, wait_status);
        }
    }
}

/* ---- stop */

static void
on_stop_timer(evutil_socket_t fd, short what, void *context)
{
    struct parent *parent = context;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < parent->child_count; i++) {
        struct child *child = &parent->children[i];
        if (child->stopping && child->pid > 0) {
            LOG_WARN("a role did not end in time", LOG_CSTR("name", ipc_role_name(child->role)),
                     LOG_INT("pid", child->pid));
            kill(child->pid, SIGKILL);
        }
    }
}

static bool
parent_stop_role(struct parent *parent, enum role role)
{
    struct msg_stop fields = {.grace_ms = STOP_GRACE_MS};
    bool alive = false;
    for (size_t i = 0; i < parent->child_count; i++) {
        struct child *child = &parent->children[i];
        if (child->role != role || child->pid == 0) {
            continue;
        }
        alive = true;
        if (!child->stopping) {
            child->stopping = true;
            if (channel_send(child->control, MSG_STOP, 0, &fields) != STATUS_OK) {
                kill(child->pid, SIGKILL);
            }
        }
    }
    return alive;
}

/* Goes on to the next kind of role when the last one has ended. */
static void
parent_stop_stage(struct parent *parent)
{
    struct timeval grace = {STOP_GRACE_MS / 1000 + 1, 0};
    while (parent->stop_stage < ROLE_COUNT) {
        if (parent_stop_role(parent, (enum role)(ROLE_COUNT - 1 - parent->stop_stage))) {
            event_add(parent->stop_timer, &grace);
            return;
        }
        parent->stop_stage++;
    }
    event_base_loopexit(parent->loop, NULL);
}

static void
parent_stop(struct parent *parent, int exit_status)
{
    if (parent->stopping) {
        return;
    }
    parent->stopping = true;
    parent->exit_status = exit_status;
    LOG_INFO("stopping");
    notify_send(parent->notify_fd, NOTIFY_STOPPING);
    parent_stop_stage(parent);
}

static void
on_stop_signal(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    parent_stop(context, EXIT_SUCCESS);
}

/* ---- reload */

/* Hands a new generation, which becomes the parent's, to all roles. On failure it is destroyed. */
static enum status
parent_take(struct parent *parent, struct material *material, struct arena *arena,
            struct str *reason_out)
{
    struct listen_set listeners;
    enum status status = material_equip(material, arena, reason_out);
    if (status == STATUS_OK) {
        status =
            listen_set_open(material->config, &parent->listeners, arena, &listeners, reason_out);
    }
    if (status != STATUS_OK) {
        material_destroy(&material);
        return status;
    }
    listen_set_close(&parent->listeners);
    parent->listeners = listeners;
    material_destroy(&parent->material);
    parent->material = material;
    parent->generation++;
    notify_send(parent->notify_fd, NOTIFY_RELOADING);
    log_set(material->config->logging.level, material->config->logging.format);
    struct generation now = parent_generation(parent);
    hand_out(&now, parent->children, parent->child_count);
    LOG_INFO("reloaded", LOG_INT("generation", parent->generation));
    return STATUS_OK;
}

/* Somebody should look at what was not taken, until it is. */
static void
note_rejected(struct parent *parent, const char *what, enum status status, struct str reason)
{
    parent->rejected[0] = '\0';
    if (status != STATUS_OK) {
        snprintf(parent->rejected, sizeof parent->rejected,
                 "%s could not be taken, and the old stays in force: %.*s", what,
                 STR_ARG(str_head(reason, REJECTED_MAX / 2)));
    }
}

/* Takes the configuration file as it is now. *text_out as report_reload says. */
static enum status
parent_reload(struct parent *parent, struct arena *arena, struct str *text_out)
{
    struct material *material = NULL;
    struct str later = STR("");
    enum status status = material_read(parent->config_file, arena, &material, text_out);
    if (status == STATUS_OK) {
        struct str refused =
            restart_keys(RESTART_REFUSED, parent->started_with, material->config, arena);
        later = restart_keys(RESTART_LATER, parent->started_with, material->config, arena);
        if (refused.n > 0) {
            *text_out = arena_printf(arena, "%s: a change of %.*s takes a restart of Postern",
                                     parent->config_file, STR_ARG(refused));
            material_destroy(&material);
            status = STATUS_DENIED;
        } else {
            status = parent_take(parent, material, arena, text_out);
        }
    }
    note_rejected(parent, "the new configuration", status, *text_out);
    if (status != STATUS_OK) {
        LOG_ERROR("the configuration was not reloaded; the old one stays in force",
                  LOG_STR("reason", *text_out));
        return status;
    }
    if (later.n > 0) {
        LOG_WARN("changes of these keys take a restart", LOG_STR("keys", later));
    }
    *text_out = later;
    return STATUS_OK;
}

static void
on_reload_signal(evutil_socket_t fd, short what, void *context)
{
    struct parent *parent = context;
    struct arena *arena = arena_create(4u << 20);
    struct str text = STR("");
    (void)fd;
    (void)what;
    if (!parent->stopping && parent_reload(parent, arena, &text) != STATUS_OK) {
        LOG_DEBUG("reload refused");
    }
    arena_destroy(&arena);
}

/* Certificates only: a configuration file that somebody is at work on stays out of it. */
static void
on_watch(evutil_socket_t fd, short what, void *context)
{
    struct parent *parent = context;
    uint64_t now = material_fingerprint(parent->material->config);
    (void)fd;
    (void)what;
    if (now == parent->material->fingerprint || parent->stopping) {
        return;
    }
    /* What fails is tried again only when the files change once more. */
    parent->material->fingerprint = now;
    LOG_INFO("a certificate file has changed");
    struct arena *arena = arena_create(4u << 20);
    struct material *material = NULL;
    struct str reason = STR("");
    enum status status = material_renew(parent->material, arena, &material, &reason);
    if (status == STATUS_OK) {
        status = parent_take(parent, material, arena, &reason);
    }
    note_rejected(parent, "the new certificates", status, reason);
    if (status != STATUS_OK) {
        LOG_ERROR("the certificates were not taken; the old ones stay in force",
                  LOG_STR("reason", reason));
    }
    arena_destroy(&arena);
}

/* ---- commands: status, reload */

static enum status
reload_for_command(void *context, struct arena *arena, struct str *text_out)
{
    return parent_reload(context, arena, text_out);
}

static void
fill_report(void *context, struct report_facts *facts_out)
{
    struct parent *parent = context;
    facts_out->generation = parent->generation;
    facts_out->uptime_ms = (uint64_t)(clock_monotonic_ms() - parent->started_ms);
    facts_out->children = parent->children;
    facts_out->child_count = parent->child_count;
    facts_out->material = parent->material;
    facts_out->rejected = parent->rejected;
}

/* ---- start */

static enum status
parent_open_sockets(struct parent *parent, struct arena *arena, struct str *reason_out)
{
    const struct config *config = parent->material->config;
    enum status status = listen_set_open(config, NULL, arena, &parent->listeners, reason_out);
    if (status != STATUS_OK) {
        return status;
    }
    for (unsigned role = 0; status == STATUS_OK && role < ROLE_COUNT; role++) {
        if (role_row((enum role)role)->commands) {
            status = listen_commands(config, (enum role)role, arena, &parent->command_sockets[role],
                                     reason_out);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    parent->reports = report_server_create(parent->loop, parent->command_sockets[ROLE_PARENT],
                                           parent, fill_report, reload_for_command);
    return listen_metrics(config, arena, &parent->metrics_fd, reason_out);
}

static enum status
parent_prepare(struct parent *parent, struct arena *arena, struct str *reason_out)
{
    enum status status = material_read(parent->config_file, arena, &parent->material, reason_out);
    if (status == STATUS_OK) {
        parent->started_with = config_ref(parent->material->config);
        log_set(parent->material->config->logging.level, parent->material->config->logging.format);
        status = directories_prepare(parent->material->config, arena, &parent->lock_fd, reason_out);
    }
    if (status == STATUS_OK) {
        status = material_equip(parent->material, arena, reason_out);
    }
    if (status == STATUS_OK) {
        status = parent_open_sockets(parent, arena, reason_out);
    }
    return status;
}

static void
parent_add_signal(struct parent *parent, int number, event_callback_fn callback)
{
    struct event *event = evsignal_new(parent->loop, number, callback, parent);
    if (event == NULL || event_add(event, NULL) != 0) {
        abort();
    }
}

static void
parent_run(struct parent *parent)
{
    struct timeval watch = {WATCH_INTERVAL_S, 0};
    struct event *watcher = event_new(parent->loop, -1, EV_PERSIST, on_watch, parent);
    parent->stop_timer = event_new(parent->loop, -1, 0, on_stop_timer, parent);
    parent_add_signal(parent, SIGCHLD, on_sigchld);
    parent_add_signal(parent, SIGTERM, on_stop_signal);
    parent_add_signal(parent, SIGINT, on_stop_signal);
    parent_add_signal(parent, SIGHUP, on_reload_signal);
    if (watcher == NULL || parent->stop_timer == NULL || event_add(watcher, &watch) != 0) {
        abort();
    }
    parent_start_roles(parent, false);
    event_base_dispatch(parent->loop);
}

int
parent_main(const char *config_file)
{
    static struct parent the_parent;
    struct parent *parent = &the_parent;
    struct arena *arena = arena_create(4u << 20);
    struct str reason = STR("");
    log_init("parent", LOG_LEVEL_INFO, LOG_FORMAT_KEYVALUE);
    signal(SIGPIPE, SIG_IGN);
    parent->config_file = config_file;
    parent->metrics_fd = -1;
    parent->notify_fd = notify_open(getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET"); /* the roles have nothing to tell */
    parent->generation = 1;
    parent->started_ms = clock_monotonic_ms();
    parent->loop = evthread_use_pthreads() == 0 ? event_base_new() : NULL;
    if (parent->loop == NULL) {
        arena_destroy(&arena);
        return EXIT_FAILURE;
    }
    enum status status = parent_prepare(parent, arena, &reason);
    if (status != STATUS_OK) {
        fprintf(stderr, "postern: %.*s\n", STR_ARG(reason));
        return EXIT_FAILURE;
    }
    arena_destroy(&arena);
    if (sandbox_enter_parent(role_row(ROLE_PARENT)->sandbox.memory_bytes) != STATUS_OK) {
        return EXIT_FAILURE;
    }
    LOG_INFO("starting", LOG_STR("hostname", parent->material->config->hostname),
             LOG_INT("listeners", parent->listeners.count), LOG_INT("pid", getpid()));
    parent_run(parent);
    directories_forget(parent->material->config, parent->lock_fd);
    LOG_INFO("stopped");
    return parent->exit_status;
}
