#include "roles/resolver/test_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/packet.h"
#include "roles/resolver.h"

#define CONTROL_FD 3

static void
must(bool done, const char *what)
{
    if (!done) {
        fprintf(stderr, "the resolver under test: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void
make_pair(int pair[static 2])
{
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "no socket pair");
    must(packet_prepare_socket(pair[0]) == STATUS_OK, "no room in a socket");
}

static void
send_config(struct test_process *process, const char *settings)
{
    char text[8192];
    int fd;
    int n = snprintf(text, sizeof text,
                     "hostname: mx.example.com\n"
                     "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
                     "directories: {state: %s, run: %s}\n"
                     "logging: {level: warn}\n"
                     "resolver: %s\n",
                     process->state, process->state, settings);
    must(n > 0 && (size_t)n < sizeof text, "settings too long");
    must(ipc_memfd_create("config", str_make(text, (size_t)n), &fd) == STATUS_OK, "no memfd");
    struct msg_configure configure = {
        .generation = ++process->generation, .file_name = STR("test"), .text = fd};
    must(channel_plain_send(process->control, MSG_CONFIGURE, 0, &configure) == STATUS_OK,
         "configure");
    close(fd);
}

static void
send_start(struct test_process *process)
{
    struct msg_start start = {.generation = process->generation};
    struct ipc_message *message;
    must(channel_plain_send(process->control, MSG_START, 0, &start) == STATUS_OK, "start");
    must(channel_plain_receive(process->control, ROLE_RESOLVER, ROLE_PARENT, TEST_PROCESS_WAIT_MS,
                               &message) == STATUS_OK &&
             message->type == MSG_READY,
         "it does not become ready");
    ipc_message_free(&message);
}

static void
make_directories(const char *state)
{
    char path[512];
    snprintf(path, sizeof path, "%s/resolver", state);
    mkdir(state, 0755);
    chmod(state, 0755);
    mkdir(path, 0777);
    chmod(path, 0777); /* for whichever user the role becomes */
}

static void
run_role(int control)
{
    must(dup2(control, CONTROL_FD) == CONTROL_FD, "dup2");
    close_range(CONTROL_FD + 1, ~0u, 0);
    _exit(role_main(&resolver_role, 0));
}

/* The first that a filter hears. */
static void
take_table(struct test_process *process)
{
    struct ipc_message *message;
    process->view = dns_view_create();
    must(channel_plain_receive(process->filter, ROLE_RESOLVER, ROLE_FILTER, TEST_PROCESS_WAIT_MS,
                               &message) == STATUS_OK &&
             message->type == MSG_DNS_TABLE,
         "the filter gets no table");
    dns_view_take(process->view, message);
}

void
test_process_launch(struct test_process *process, const char *state)
{
    int control[2];
    *process = (struct test_process){.state = state};
    make_directories(state);
    make_pair(control);
    fflush(NULL);
    process->pid = fork();
    must(process->pid >= 0, "no process");
    if (process->pid == 0) {
        run_role(control[1]);
    }
    close(control[1]);
    process->control = control[0];
}

void
test_process_begin(struct test_process *process, const char *settings)
{
    int filter[2];
    make_pair(filter);
    process->filter = filter[0];
    send_config(process, settings);
    struct msg_peer peer = {.role = ROLE_FILTER, .socket = filter[1]};
    must(channel_plain_send(process->control, MSG_PEER, 0, &peer) == STATUS_OK, "peer");
    close(filter[1]);
    send_start(process);
    take_table(process);
}

void
test_process_reload(struct test_process *process, const char *settings)
{
    send_config(process, settings);
    send_start(process);
}

void
test_process_stop(struct test_process *process)
{
    struct msg_stop stop = {.grace_ms = 1000};
    int status = 0;
    must(channel_plain_send(process->control, MSG_STOP, 0, &stop) == STATUS_OK, "stop");
    must(waitpid(process->pid, &status, 0) == process->pid, "it was not our child");
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it did not end orderly");
    close(process->control);
    close(process->filter);
    dns_view_destroy(&process->view);
}

struct ipc_message *
test_process_call(struct test_process *process, enum msg_type type, const void *fields)
{
    struct ipc_message *reply;
    uint64_t const request = ++process->request;
    must(channel_plain_send(process->filter, type, request, fields) == STATUS_OK,
         "a question cannot be sent");
    must(channel_plain_receive(process->filter, ROLE_RESOLVER, ROLE_FILTER, TEST_PROCESS_WAIT_MS,
                               &reply) == STATUS_OK &&
             reply->request == request,
         "a question has no answer");
    return reply;
}

struct ipc_message *
test_process_status(struct test_process *process)
{
    struct ipc_message *reply = NULL;
    must(channel_plain_send(process->control, MSG_STATUS_REQUEST, 1, NULL) == STATUS_OK &&
             channel_plain_receive(process->control, ROLE_RESOLVER, ROLE_PARENT,
                                   TEST_PROCESS_WAIT_MS, &reply) == STATUS_OK &&
             reply->type == MSG_STATUS_REPLY,
         "it does not tell its status");
    return reply;
}

int64_t
test_process_metric(const struct ipc_message *status, const char *name)
{
    const struct msg_status_reply *reply = MSG_BODY(status, status_reply);
    for (size_t i = 0; i < reply->metrics.n; i++) {
        if (str_eq(reply->metrics.items[i].name, str_from_cstr(name))) {
            return reply->metrics.items[i].value;
        }
    }
    return -1;
}
