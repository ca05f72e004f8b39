#include "roles/role_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/packet.h"
#include "roles/memory_limit.h"
#include "roles/users.h"

/* The descriptor that the parent puts the control socket on. */
#define CONTROL_FD           3
/* How long the parent may take for its first words. */
#define BOOTSTRAP_TIMEOUT_MS 30000
#define ERRORS_ARENA         (1u << 20)

struct event_base *
role_loop(struct role_runtime *runtime)
{
    return runtime->loop;
}

enum role
role_self(const struct role_runtime *runtime)
{
    return runtime->definition->role;
}

uint32_t
role_instance(const struct role_runtime *runtime)
{
    return runtime->instance;
}

void *
role_state(const struct role_runtime *runtime)
{
    return runtime->state;
}

const struct config *
role_config(struct role_runtime *runtime)
{
    return runtime->config;
}

const struct config *
role_config_ref(struct role_runtime *runtime)
{
    pthread_mutex_lock(&runtime->config_mutex);
    const struct config *config = config_ref(runtime->config);
    pthread_mutex_unlock(&runtime->config_mutex);
    return config;
}

const char *
role_directory(const struct role_runtime *runtime)
{
    return runtime->directory;
}

struct channel *
role_parent(struct role_runtime *runtime)
{
    return runtime->control;
}

void
role_stopped(struct role_runtime *runtime)
{
    event_base_loopexit(runtime->loop, NULL);
}

/* ---- peers */

static void
on_peer_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct role_runtime *runtime = context;
    if (!runtime->running || runtime->definition->on_message == NULL) {
        ipc_message_free(&message);
        return;
    }
    runtime->definition->on_message(runtime->state, channel, message);
}

void
role_line_misbehaved(struct role_runtime *runtime, enum role peer, uint32_t instance)
{
    struct msg_misbehaved fields = {.role = (uint8_t)peer, .instance = instance};
    LOG_ERROR("a peer broke the rules", LOG_CSTR("peer", ipc_role_name(peer)),
              LOG_INT("instance", instance));
    if (channel_send(runtime->control, MSG_MISBEHAVED, 0, &fields) != STATUS_OK) {
        LOG_ERROR("the parent cannot be told");
    }
}

static void
tell_misbehaved(struct role_runtime *runtime, struct channel *channel)
{
    role_line_misbehaved(runtime, channel_peer(channel), channel_instance(channel));
}

static void
on_peer_change(void *context, struct channel *channel, bool up, enum status status)
{
    struct role_runtime *runtime = context;
    if (runtime->definition->on_peer != NULL && runtime->running) {
        runtime->definition->on_peer(runtime->state, channel, up);
    }
    if (!up && channel_peer(channel) == ROLE_CLI) {
        event_add(runtime->destroy_later, &(struct timeval){0}); /* it is in use until we return */
    } else if (!up && (status == STATUS_SYNTAX || status == STATUS_DENIED)) {
        tell_misbehaved(runtime, channel);
    }
}

struct channel *
role_peer_channel_create(struct role_runtime *runtime, enum role peer, uint32_t instance)
{
    struct channel_settings settings = {
        .loop = runtime->loop,
        .self = runtime->definition->role,
        .peer = peer,
        .instance = instance,
        .on_message = on_peer_message,
        .on_change = on_peer_change,
        .context = runtime,
    };
    return channel_create(&settings);
}

struct channel *
role_channel(struct role_runtime *runtime, enum role peer, uint32_t instance)
{
    if ((unsigned)peer >= ROLE_COUNT || instance >= ROLE_INSTANCES_MAX ||
        !role_are_peers(runtime->definition->role, peer)) {
        return NULL;
    }
    return runtime->peers[peer][instance];
}

void
role_peer_misbehaved(struct role_runtime *runtime, struct channel *channel)
{
    if (channel_peer(channel) != ROLE_CLI) {
        tell_misbehaved(runtime, channel); /* the parent ends it, and then the line goes down */
    }
}

static void
create_peers(struct role_runtime *runtime)
{
    for (unsigned peer = 0; peer < ROLE_COUNT; peer++) {
        bool const wanted = role_are_peers(runtime->definition->role, (enum role)peer);
        for (uint32_t i = 0; wanted && i < role_row((enum role)peer)->processes_most; i++) {
            runtime->peers[peer][i] = role_peer_channel_create(runtime, (enum role)peer, i);
        }
    }
}

/* ---- what the parent says */

static enum status
take_configure(struct role_runtime *runtime, struct ipc_message *message)
{
    struct msg_configure *fields = MSG_BODY(message, configure);
    struct arena *arena = arena_create(CONFIG_TEXT_MAX + ERRORS_ARENA);
    struct config_errors *errors = arena_alloc(arena, sizeof *errors);
    const struct config *config = NULL;
    enum status status = STATUS_LIMIT;
    if (errors != NULL) {
        status = config_load_text(arena, ipc_memfd_read(arena, fields->text, CONFIG_TEXT_MAX),
                                  &config, errors);
    }
    arena_destroy(&arena);
    if (status != STATUS_OK) {
        LOG_ERROR("the configuration from the parent cannot be read",
                  LOG_CSTR("status", status_name(status)));
        return status;
    }
    config_unref(&runtime->next_config);
    runtime->next_config = config;
    return STATUS_OK;
}

static enum status
take_peer(struct role_runtime *runtime, struct ipc_message *message)
{
    struct msg_peer *fields = MSG_BODY(message, peer);
    struct channel *channel = role_channel(runtime, (enum role)fields->role, fields->instance);
    if (channel == NULL) {
        return STATUS_SYNTAX;
    }
    int fd = ipc_message_take_fd(message, &fields->socket);
    if (runtime->definition->line != NULL &&
        runtime->definition->line(runtime->state, (enum role)fields->role, fields->instance, fd)) {
        return STATUS_OK;
    }
    return channel_connect(channel, fd);
}

static void
take_certificate(struct role_runtime *runtime, struct ipc_message *message)
{
    struct msg_certificate *fields = MSG_BODY(message, certificate);
    if (runtime->definition->certificate == NULL) {
        return;
    }
    int chain = ipc_message_take_fd(message, &fields->chain_pem);
    runtime->definition->certificate(runtime->state, fields->name, chain);
}

static void
take_key(struct role_runtime *runtime, struct ipc_message *message)
{
    struct msg_signing_key *fields = MSG_BODY(message, signing_key);
    if (runtime->definition->key != NULL) {
        int key = ipc_message_take_fd(message, &fields->key_pem);
        runtime->definition->key(runtime->state, fields->name, key);
    }
}

static void
take_listener(struct role_runtime *runtime, struct ipc_message *message)
{
    struct msg_listener *fields = MSG_BODY(message, listener);
    if (runtime->definition->listener != NULL) {
        int fd = ipc_message_take_fd(message, &fields->socket);
        runtime->definition->listener(runtime->state, fields->index, fd);
    }
}

static void
take_clients(struct role_runtime *runtime, struct ipc_message *message)
{
    struct msg_clients *fields = MSG_BODY(message, clients);
    if (runtime->definition->clients != NULL) {
        int fd = ipc_message_take_fd(message, &fields->table);
        runtime->definition->clients(runtime->state, fd, fields->processes);
    }
}

static void
adopt_config(struct role_runtime *runtime, uint64_t generation)
{
    pthread_mutex_lock(&runtime->config_mutex);
    const struct config *old = runtime->config;
    runtime->config = runtime->next_config;
    runtime->next_config = NULL;
    pthread_mutex_unlock(&runtime->config_mutex);
    config_unref(&old);
    runtime->generation = generation;
    log_set(runtime->config->logging.level, runtime->config->logging.format);
}

static void
tell_ready(struct role_runtime *runtime)
{
    struct msg_ready ready = {.generation = runtime->generation};
    if (channel_send(runtime->control, MSG_READY, 0, &ready) != STATUS_OK) {
        LOG_ERROR("the parent cannot be told of readiness");
    }
}

static void
take_start(struct role_runtime *runtime, struct ipc_message *message)
{
    if (runtime->next_config != NULL) {
        adopt_config(runtime, MSG_BODY(message, start)->generation);
        if (sandbox_limit_memory(role_memory_limit(runtime->definition, runtime->config)) !=
            STATUS_OK) {
            LOG_WARN("the memory limit stays as it was");
        }
        if (runtime->definition->reload != NULL) {
            runtime->definition->reload(runtime->state, runtime->config);
        }
    }
    tell_ready(runtime);
}

static void
take_stop(struct role_runtime *runtime, struct ipc_message *message)
{
    if (runtime->definition->stop != NULL) {
        runtime->definition->stop(runtime->state, (int)MSG_BODY(message, stop)->grace_ms);
    } else {
        role_stopped(runtime);
    }
}

static void
answer_status(struct role_runtime *runtime, uint64_t request)
{
    struct role_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return;
    }
    if (runtime->definition->metrics != NULL) {
        runtime->definition->metrics(runtime->state, metrics);
    }
    struct record_warning warnings[ROLE_WARNINGS_MAX];
    for (size_t i = 0; i < metrics->warning_count; i++) {
        warnings[i].text = str_from_cstr(metrics->warnings[i]);
    }
    struct msg_status_reply reply = {.metrics = {metrics->items, metrics->count},
                                     .warnings = {warnings, metrics->warning_count}};
    if (channel_send(runtime->control, MSG_STATUS_REPLY, request, &reply) != STATUS_OK) {
        LOG_WARN("the status could not be told");
    }
    free(metrics);
}

static void
on_control_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct role_runtime *runtime = context;
    enum status status = STATUS_OK;
    (void)channel;
    switch ((int)message->type) {
    case MSG_CONFIGURE:
        status = take_configure(runtime, message);
        break;
    case MSG_CERTIFICATE:
        take_certificate(runtime, message);
        break;
    case MSG_SIGNING_KEY:
        take_key(runtime, message);
        break;
    case MSG_LISTENER:
        take_listener(runtime, message);
        break;
    case MSG_CLIENTS:
        take_clients(runtime, message);
        break;
    case MSG_CONTROL_LISTENER:
        status = role_listen_for_commands(
            runtime, ipc_message_take_fd(message, &MSG_BODY(message, control_listener)->socket));
        break;
    case MSG_PEER:
        status = take_peer(runtime, message);
        break;
    case MSG_START:
        take_start(runtime, message);
        break;
    case MSG_STOP:
        take_stop(runtime, message);
        break;
    case MSG_STATUS_REQUEST:
        answer_status(runtime, message->request);
        break;
    default:
        status = STATUS_DENIED;
        break;
    }
    if (status != STATUS_OK) {
        LOG_ERROR("a message of the parent could not be carried out",
                  LOG_CSTR("message", ipc_type_name(message->type)),
                  LOG_CSTR("status", status_name(status)));
    }
    ipc_message_free(&message);
}

static void
on_control_change(void *context, struct channel *channel, bool up, enum status status)
{
    (void)context;
    (void)channel;
    if (!up) {
        /* Without its parent a role has no purpose; what was acknowledged is on disk. */
        LOG_ERROR("the parent has gone", LOG_CSTR("status", status_name(status)));
        _exit(EXIT_FAILURE);
    }
}

/* ---- start */

/*
 * The messages up to `start` come before the sandbox and are read without the loop. Certificates,
 * listeners and peers are kept until `open` has made the state.
 */
#define BOOTSTRAP_MESSAGES_MAX 4096

struct bootstrap {
    struct ipc_message *messages[BOOTSTRAP_MESSAGES_MAX];
    size_t count;
};

static enum status
bootstrap_read(struct role_runtime *runtime, struct bootstrap *bootstrap)
{
    for (;;) {
        struct ipc_message *message;
        enum status status = channel_plain_receive(
            CONTROL_FD, ROLE_PARENT, runtime->definition->role, BOOTSTRAP_TIMEOUT_MS, &message);
        if (status != STATUS_OK) {
            return status;
        }
        if (message->type == MSG_CONFIGURE) {
            status = take_configure(runtime, message);
            ipc_message_free(&message);
            if (status != STATUS_OK) {
                return status;
            }
            continue;
        }
        if (message->type == MSG_START) {
            bool configured = runtime->next_config != NULL;
            if (configured) {
                adopt_config(runtime, MSG_BODY(message, start)->generation);
            }
            ipc_message_free(&message);
            return configured ? STATUS_OK : STATUS_SYNTAX;
        }
        if (bootstrap->count == BOOTSTRAP_MESSAGES_MAX) {
            ipc_message_free(&message);
            return STATUS_LIMIT;
        }
        bootstrap->messages[bootstrap->count++] = message;
    }
}

static enum status
enter_sandbox(struct role_runtime *runtime)
{
    struct sandbox_profile profile = role_row(runtime->definition->role)->sandbox;
    profile.memory_bytes = role_memory_limit(runtime->definition, runtime->config);
    struct sandbox_paths paths = {.writable = {runtime->directory}};
    /* What the C library and OpenSSL may want to read; the rest of the system is out of sight. */
    static const char *const readable[] = {"/etc/localtime", "/usr/share/zoneinfo", "/etc/ssl",
                                           "/dev/urandom"};
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        paths.readable[i] = readable[i];
    }
    return sandbox_enter(&profile, &paths);
}

static enum status
role_open_as_user(struct role_runtime *runtime)
{
    uid_t uid;
    gid_t gid;
    snprintf(runtime->directory, sizeof runtime->directory, "%.*s/%s",
             STR_ARG(runtime->config->directories.state), ipc_role_name(runtime->definition->role));
    role_user_find(runtime->config, runtime->definition->role, &uid, &gid);
    umask(0077); /* what a role keeps is its own, unless it says otherwise */
    enum status status = sandbox_set_user(uid, gid);
    /* After the change of user, which would undo it: no role outlives its parent. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (status == STATUS_OK && runtime->definition->open != NULL) {
        status = runtime->definition->open(runtime, &runtime->state);
    }
    return status;
}

/* A role that was started again finds its peers there already: it hears of them once it runs. */
static void
tell_peers_that_are_up(struct role_runtime *runtime)
{
    for (unsigned peer = 0; runtime->definition->on_peer != NULL && peer < ROLE_COUNT; peer++) {
        for (uint32_t i = 0; i < ROLE_INSTANCES_MAX; i++) {
            struct channel *channel = runtime->peers[peer][i];
            if (channel != NULL && channel_is_connected(channel)) {
                runtime->definition->on_peer(runtime->state, channel, true);
            }
        }
    }
}

static enum status
role_begin(struct role_runtime *runtime, struct bootstrap *bootstrap)
{
    struct channel_settings control = {
        .loop = runtime->loop,
        .self = runtime->definition->role,
        .peer = ROLE_PARENT,
        .on_message = on_control_message,
        .on_change = on_control_change,
        .context = runtime,
    };
    enum status status = bootstrap_read(runtime, bootstrap);
    if (status == STATUS_OK) {
        status = role_open_as_user(runtime);
    }
    if (status == STATUS_OK) {
        status = enter_sandbox(runtime);
    }
    if (status != STATUS_OK) {
        return status;
    }
    runtime->control = channel_create(&control);
    status = channel_connect(runtime->control, CONTROL_FD);
    for (size_t i = 0; status == STATUS_OK && i < bootstrap->count; i++) {
        on_control_message(runtime, runtime->control, bootstrap->messages[i]);
        bootstrap->messages[i] = NULL;
    }
    runtime->running = true;
    if (status == STATUS_OK && runtime->definition->start != NULL) {
        status = runtime->definition->start(runtime, runtime->state);
    }
    if (status == STATUS_OK) {
        tell_peers_that_are_up(runtime);
    }
    return status;
}

static void
role_end(struct role_runtime *runtime)
{
    runtime->running = false;
    if (runtime->definition->close != NULL && runtime->state != NULL) {
        runtime->definition->close(runtime->state);
    }
}

/*
 * Message bodies come and go by the thousand: without this the C library would give their memory
 * back to the kernel and ask for it again each time.
 */
static void
tune_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_ARENA_MAX, 4);
}

/* What `ps` and `top` show: the program was started by way of /proc/self/exe, so they would say
 * "exe". */
static void
name_process(enum role role)
{
    char name[16]; /* the kernel keeps 15 characters */
    snprintf(name, sizeof name, "postern-%s", ipc_role_name(role));
    prctl(PR_SET_NAME, name);
}

int
role_main(const struct role_definition *definition, uint32_t instance)
{
    static struct role_runtime the_runtime;
    struct role_runtime *runtime = &the_runtime;
    struct bootstrap *bootstrap = calloc(1, sizeof *bootstrap);
    tune_memory();
    name_process(definition->role);
    log_init(ipc_role_name(definition->role), LOG_LEVEL_INFO, LOG_FORMAT_KEYVALUE);
    /* Signals from a terminal reach the whole group: the parent alone decides what they mean. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
    pthread_mutex_init(&runtime->config_mutex, NULL);
    runtime->definition = definition;
    runtime->instance = instance;
    runtime->loop = bootstrap != NULL && evthread_use_pthreads() == 0 ? event_base_new() : NULL;
    if (runtime->loop == NULL || packet_prepare_socket(CONTROL_FD) != STATUS_OK) {
        LOG_ERROR("a role is started by `postern run`, not by hand");
        free(bootstrap);
        return EXIT_FAILURE;
    }
    create_peers(runtime);
    enum status status = role_begin(runtime, bootstrap);
    free(bootstrap);
    if (status != STATUS_OK) {
        LOG_ERROR("the role cannot start", LOG_CSTR("status", status_name(status)));
        return EXIT_FAILURE;
    }
    tell_ready(runtime);
    event_base_dispatch(runtime->loop);
    role_end(runtime);
    return EXIT_SUCCESS;
}
