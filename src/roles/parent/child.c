#include "roles/parent/child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/role_table.h"

#define CONTROL_FD 3

/* In the new process, between fork and exec: only calls that are safe there. */
_Noreturn static void
become_role(const char *name, const char *instance, int control)
{
    char program[] = "postern";
    char command[] = "role";
    char name_copy[32];
    char instance_copy[16];
    snprintf(name_copy, sizeof name_copy, "%s", name);
    snprintf(instance_copy, sizeof instance_copy, "%s", instance);
    char *const args[] = {program, command, name_copy, instance_copy, NULL};
    if (control == CONTROL_FD) {
        fcntl(CONTROL_FD, F_SETFD, 0);
    } else if (dup2(control, CONTROL_FD) < 0) {
        _exit(126);
    }
    close_range(CONTROL_FD + 1, ~0u, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", args);
    _exit(127);
}

enum status
child_spawn(struct child *child)
{
    int pair[2];
    char instance[16];
    snprintf(instance, sizeof instance, "%u", child->instance);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        LOG_ERROR("no socket for a role", LOG_CSTR("reason", strerror(errno)));
        return STATUS_IO;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_role(ipc_role_name(child->role), instance, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        LOG_ERROR("no process for a role", LOG_CSTR("reason", strerror(errno)));
        close(pair[0]);
        return STATUS_IO;
    }
    child->pid = pid;
    child->ready = false;
    child->started_ms = clock_monotonic_ms();
    return channel_connect(child->control, pair[0]);
}

static enum status
send_certificates(struct child *child, const struct material *material)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < material->certificate_count; i++) {
        const struct material_certificate *c = &material->certificates[i];
        struct msg_certificate fields = {c->name, c->chain_fd};
        status = channel_send(child->control, MSG_CERTIFICATE, 0, &fields);
    }
    return status;
}

static enum status
send_keys(struct child *child, const struct material *material)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < material->certificate_count; i++) {
        const struct material_certificate *c = &material->certificates[i];
        struct msg_signing_key fields = {c->name, c->key_fd};
        status = channel_send(child->control, MSG_SIGNING_KEY, 0, &fields);
    }
    return status;
}

static enum status
send_listeners(struct child *child, const struct listen_set *listeners)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < listeners->count; i++) {
        struct msg_listener fields = {(uint32_t)i, listeners->items[i].fd};
        status = channel_send(child->control, MSG_LISTENER, 0, &fields);
    }
    return status;
}

enum status
child_send_material(struct child *child, const struct material *material,
                    const struct listen_set *listeners)
{
    struct msg_configure fields = {0, material->file_name, material->config_fd};
    enum status status = channel_send(child->control, MSG_CONFIGURE, 0, &fields);
    uint32_t const gets = role_row(child->role)->gets;
    if (status == STATUS_OK && (gets & ROLE_GETS_CERTIFICATES) != 0) {
        status = send_certificates(child, material);
    }
    if (status == STATUS_OK && (gets & ROLE_GETS_KEYS) != 0) {
        status = send_keys(child, material);
    }
    if (status == STATUS_OK && (gets & ROLE_GETS_ROOTS) != 0 && material->roots_fd >= 0) {
        struct msg_certificate roots = {STR("tls.trusted_roots"), material->roots_fd};
        status = channel_send(child->control, MSG_CERTIFICATE, 0, &roots);
    }
    if (status == STATUS_OK && (gets & ROLE_GETS_LISTENERS) != 0) {
        status = send_listeners(child, listeners);
    }
    return status;
}

enum status
child_send_start(struct child *child, uint64_t generation)
{
    struct msg_start fields = {generation};
    return channel_send(child->control, MSG_START, 0, &fields);
}

enum status
child_send_clients(struct child *child, int table, uint32_t processes)
{
    struct msg_clients fields = {processes, table};
    return channel_send(child->control, MSG_CLIENTS, 0, &fields);
}

enum status
child_send_socket(struct child *child, enum msg_type type, int fd)
{
    if (type == MSG_LISTENER) {
        struct msg_listener fields = {0, fd};
        return channel_send(child->control, MSG_LISTENER, 0, &fields);
    }
    struct msg_control_listener fields = {fd};
    return channel_send(child->control, MSG_CONTROL_LISTENER, 0, &fields);
}

static enum status
send_peer(struct child *to, const struct child *peer, int fd)
{
    struct msg_peer fields = {(uint8_t)peer->role, peer->instance, fd};
    return channel_send(to->control, MSG_PEER, 0, &fields);
}

enum status
child_join(struct child *a, struct child *b)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        LOG_ERROR("no socket between roles", LOG_CSTR("reason", strerror(errno)));
        return STATUS_IO;
    }
    enum status status = send_peer(a, b, pair[0]);
    if (status == STATUS_OK) {
        status = send_peer(b, a, pair[1]);
    }
    close(pair[0]);
    close(pair[1]);
    return status;
}

void
child_log_end(const struct child *child, int wait_status)
{
    bool signalled = WIFSIGNALED(wait_status);
    LOG_AT(child->stopping ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "a role has ended",
           LOG_CSTR("name", ipc_role_name(child->role)), LOG_INT("instance", child->instance),
           LOG_INT("pid", child->pid),
           LOG_CSTR("signal", signalled ? strsignal(WTERMSIG(wait_status)) : "none"),
           LOG_INT("status", signalled ? 0 : WEXITSTATUS(wait_status)));
}

void
child_schedule_restart(struct child *child)
{
    struct timeval wait = {child->backoff_ms / 1000, child->backoff_ms % 1000 * 1000};
    event_add(child->restart, &wait);
    child->backoff_ms *= 2;
    if (child->backoff_ms > CHILD_BACKOFF_MOST_MS) {
        child->backoff_ms = CHILD_BACKOFF_MOST_MS;
    }
}
