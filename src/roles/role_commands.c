/* Commands that connect to a role's own socket. */
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "roles/role_internal.h"

static void
on_destroy_later(evutil_socket_t fd, short what, void *context)
{
    struct role_runtime *runtime = context;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        if (runtime->commands[i] != NULL && !channel_is_connected(runtime->commands[i])) {
            channel_destroy(&runtime->commands[i]);
        }
    }
}

static void
on_command(evutil_socket_t listener, short what, void *context)
{
    struct role_runtime *runtime = context;
    (void)what;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        if (runtime->commands[i] == NULL) {
            runtime->commands[i] = role_peer_channel_create(runtime, ROLE_CLI, (uint32_t)i);
            if (channel_connect(runtime->commands[i], fd) != STATUS_OK) {
                channel_destroy(&runtime->commands[i]);
            }
            return;
        }
    }
    LOG_WARN("too many commands at one time", LOG_INT("most", COMMANDS_MAX));
    close(fd);
}

enum status
role_listen_for_commands(struct role_runtime *runtime, int fd)
{
    if (runtime->command_listener != NULL) {
        close(fd);
        return STATUS_OK;
    }
    runtime->command_listener =
        event_new(runtime->loop, fd, EV_READ | EV_PERSIST, on_command, runtime);
    runtime->destroy_later = event_new(runtime->loop, -1, 0, on_destroy_later, runtime);
    if (runtime->command_listener == NULL || runtime->destroy_later == NULL ||
        event_add(runtime->command_listener, NULL) != 0) {
        return STATUS_IO;
    }
    return STATUS_OK;
}
