#include "roles/role_test_parent.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/packet.h"

/* Where a role finds its control socket. */
#define CONTROL_FD       3
#define CONFIG_TEXT_SIZE 16384

void
role_test_send(int fd, enum msg_type type, uint64_t request, const void *fields)
{
    assert_int_equal(channel_plain_send(fd, type, request, fields), STATUS_OK);
}

pid_t
role_test_launch(const struct role_definition *role, int *control_out)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pair[0]);
        if (pair[1] != CONTROL_FD) {
            dup2(pair[1], CONTROL_FD);
        }
        close_range(CONTROL_FD + 1, ~0u, 0);
        _exit(role_main(role, 0));
    }
    close(pair[1]);
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    assert_int_equal(packet_prepare_socket(pair[0]), STATUS_OK);
    *control_out = pair[0];
    return pid;
}

static void
check_configuration(struct str text)
{
    static struct config_errors errors;
    struct arena *arena = arena_create(1u << 20);
    const struct config *config = NULL;
    if (config_load_text(arena, text, &config, &errors) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(config_error_format(arena, STR("test.yaml"), &errors.items[0])));
    }
    config_unref(&config);
    arena_destroy(&arena);
}

void
role_test_configure(int control, const char *directory, const char *rest)
{
    char text[CONFIG_TEXT_SIZE];
    int n = snprintf(text, sizeof text, "directories: {state: %s, run: %s}\n%s", directory,
                     directory, rest);
    int fd;
    assert_in_range(n, 1, sizeof text - 1);
    check_configuration(str_make(text, (size_t)n));
    assert_int_equal(ipc_memfd_create("config", str_make(text, (size_t)n), &fd), STATUS_OK);
    struct msg_configure configure = {
        .generation = 1, .file_name = STR("postern.yaml"), .text = fd};
    role_test_send(control, MSG_CONFIGURE, 0, &configure);
    close(fd);
}

int
role_test_peer(int control, enum role other)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(packet_prepare_socket(pair[0]), STATUS_OK);
    struct msg_peer peer = {.role = (uint8_t)other, .socket = pair[1]};
    role_test_send(control, MSG_PEER, 0, &peer);
    close(pair[1]);
    return pair[0];
}

int
role_test_command(int control, const char *directory)
{
    struct msg_control_listener listener = {.socket =
                                                socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/s", directory);
    unlink(address.sun_path);
    assert_int_equal(bind(listener.socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener.socket, 4), 0);
    role_test_send(control, MSG_CONTROL_LISTENER, 0, &listener);
    close(listener.socket);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void
role_test_ready(int control, enum role self)
{
    struct ipc_message *ready = NULL;
    assert_int_equal(channel_plain_receive(control, self, ROLE_PARENT, ROLE_TEST_WAIT_MS, &ready),
                     STATUS_OK);
    assert_int_equal(ready->type, MSG_READY);
    ipc_message_free(&ready);
}
