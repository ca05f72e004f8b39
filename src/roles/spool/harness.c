#include "roles/spool/harness.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "ipc/packet.h"
#include "roles/spool.h"
#include "roles/spool/internal.h"
#include "store/delivery.h"

static const char usual_config[] =
    "hostname: mx.inside.example\n"
    "domains:\n"
    "  - {name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"
    "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0}\n"
    "bounce: {postmaster: postmaster@inside.example}\n"
    "listeners:\n"
    "  - {address: 127.0.0.1, port: 2525, kind: mx}\n";

/* ---- the frame of a role, as much as the spool uses */

/* Filter, relay, ledger, command, control. */
#define SOCKETS 5

struct role_runtime {
    struct event_base *loop;
    const struct config *config;
    char directory[64];
    struct channel *filter;
    struct channel *relay;
    struct channel *ledger;
    struct channel *command;
    struct event *control;
    void *state;
};

struct event_base *
role_loop(struct role_runtime *runtime)
{
    return runtime->loop;
}

const struct config *
role_config(struct role_runtime *runtime)
{
    return runtime->config;
}

const char *
role_directory(const struct role_runtime *runtime)
{
    return runtime->directory;
}

struct channel *
role_channel(struct role_runtime *runtime, enum role peer, uint32_t instance)
{
    (void)instance;
    if (peer == ROLE_VAULT) {
        return NULL; /* nothing is signed */
    }
    return peer == ROLE_FILTER ? runtime->filter
                               : (peer == ROLE_RELAY ? runtime->relay : runtime->ledger);
}

void
role_stopped(struct role_runtime *runtime)
{
    event_base_loopbreak(runtime->loop);
}

void
role_metric_add(struct role_metrics *metrics, enum role_metric metric, int64_t value)
{
    (void)metrics;
    (void)metric;
    (void)value;
}

void
role_metric_add_named(struct role_metrics *metrics, const char *name, int64_t value)
{
    (void)metrics;
    (void)name;
    (void)value;
}

void
role_warn(struct role_metrics *metrics, const char *format, ...)
{
    (void)metrics;
    (void)format;
}

void
role_peer_misbehaved(struct role_runtime *runtime, struct channel *channel)
{
    (void)runtime;
    (void)channel;
    abort();
}

static void
on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct role_runtime *runtime = context;
    spool_role.on_message(runtime->state, channel, message);
}

static void
on_change(void *context, struct channel *channel, bool up, enum status status)
{
    struct role_runtime *runtime = context;
    (void)status;
    spool_role.on_peer(runtime->state, channel, up);
}

/* As if their time had passed. */
static void
expire_leases(struct spool_role *role)
{
    for (struct lease *lease = role->leases; lease != NULL; lease = lease->hh.next) {
        lease->deadline_ms = 0;
    }
}

/* A new socket for the role named by the octet that comes with it, or without one: leases end; the
 * end: stop orderly. */
static void
on_control(evutil_socket_t fd, short what, void *context)
{
    struct role_runtime *runtime = context;
    struct str packet;
    int fds[IPC_FDS_MAX];
    size_t count;
    (void)what;
    bool received = packet_receive(fd, &packet, fds, &count) == STATUS_OK;
    if (received && count == 0) {
        expire_leases(runtime->state);
        return;
    }
    if (!received || count != 1) {
        event_del(runtime->control);
        spool_role.stop(runtime->state, 10000);
        return;
    }
    struct channel *channel = packet.p[0] == 'r' ? runtime->relay : runtime->filter;
    if (channel_connect(channel, fds[0]) != STATUS_OK) {
        _exit(6);
    }
}

static struct channel *
open_channel(struct role_runtime *runtime, enum role peer)
{
    struct channel_settings settings = {.loop = runtime->loop,
                                        .self = ROLE_SPOOL,
                                        .peer = peer,
                                        .on_message = on_message,
                                        .on_change = on_change,
                                        .context = runtime};
    return channel_create(&settings);
}

static void
ignore_errors(void)
{
    /* Tests of failures would fill the log; POSTERN_TEST_LOG=1 shows it. */
    log_init("spool", getenv("POSTERN_TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
             LOG_FORMAT_KEYVALUE);
    if (getenv("POSTERN_TEST_LOG") == NULL && freopen("/dev/null", "w", stderr) == NULL) {
        _exit(9);
    }
}

extern void __lsan_do_leak_check(void) __attribute__((weak));

static void
child_main(struct harness *harness, const int fds[SOCKETS], uint64_t file_limit)
{
    struct role_runtime runtime = {0};
    struct config_errors *errors = calloc(1, sizeof *errors);
    struct arena *arena = arena_create(4 * 1024 * 1024);
    ignore_errors();
    memcpy(runtime.directory, harness->directory, sizeof runtime.directory);
    struct str text = str_from_cstr(harness->config);
    if (config_load_text(arena, text, &runtime.config, errors) != STATUS_OK) {
        _exit(8);
    }
    if (file_limit > 0) {
        struct rlimit limit = {file_limit, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    evthread_use_pthreads();
    runtime.loop = event_base_new();
    runtime.filter = open_channel(&runtime, ROLE_FILTER);
    runtime.relay = open_channel(&runtime, ROLE_RELAY);
    runtime.ledger = open_channel(&runtime, ROLE_LEDGER);
    runtime.command = open_channel(&runtime, ROLE_CLI);
    if (spool_role.open(&runtime, &runtime.state) != STATUS_OK ||
        spool_role.start(&runtime, runtime.state) != STATUS_OK ||
        channel_connect(runtime.filter, fds[0]) != STATUS_OK ||
        channel_connect(runtime.relay, fds[1]) != STATUS_OK ||
        channel_connect(runtime.ledger, fds[2]) != STATUS_OK ||
        channel_connect(runtime.command, fds[3]) != STATUS_OK) {
        _exit(7);
    }
    runtime.control = event_new(runtime.loop, fds[4], EV_READ | EV_PERSIST, on_control, &runtime);
    event_add(runtime.control, NULL);
    ((struct spool_role *)runtime.state)->started_ms -= harness->uptime_ms;
    event_base_dispatch(runtime.loop);
    spool_role.close(runtime.state);
    event_free(runtime.control);
    channel_destroy(&runtime.filter);
    channel_destroy(&runtime.relay);
    channel_destroy(&runtime.ledger);
    channel_destroy(&runtime.command);
    event_base_free(runtime.loop);
    config_unref(&runtime.config);
    arena_destroy(&arena);
    free(errors);
    if (__lsan_do_leak_check != NULL) {
        __lsan_do_leak_check(); /* in a build with AddressSanitizer: _exit would skip it */
    }
    _exit(0);
}

/* ---- start and end */

void
harness_create(struct harness *harness, const char *config)
{
    *harness = (struct harness){.config = config != NULL ? config : usual_config};
    snprintf(harness->directory, sizeof harness->directory, "/tmp/spool_test.XXXXXX");
    assert_non_null(mkdtemp(harness->directory));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void
harness_destroy(struct harness *harness)
{
    harness_kill(harness);
    nftw(harness->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Our end of a new pair of sockets. */
static int
new_pair(int *theirs_out)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(packet_prepare_socket(pair[0]), STATUS_OK);
    *theirs_out = pair[1];
    return pair[0];
}

void
harness_start(struct harness *harness, uint64_t file_limit)
{
    int *ours[SOCKETS] = {&harness->filter, &harness->relay, &harness->ledger, &harness->command,
                          &harness->control};
    int theirs[SOCKETS];
    for (int i = 0; i < SOCKETS; i++) {
        *ours[i] = new_pair(&theirs[i]);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < SOCKETS; i++) {
            close(*ours[i]);
        }
        child_main(harness, theirs, file_limit);
    }
    for (int i = 0; i < SOCKETS; i++) {
        close(theirs[i]);
    }
    harness->pid = pid;
}

static void
replace(struct harness *harness, const char *who, int *socket)
{
    int theirs;
    close(*socket);
    *socket = new_pair(&theirs);
    assert_int_equal(packet_send(harness->control, str_from_cstr(who), &theirs, 1), STATUS_OK);
    close(theirs);
}

void
harness_new_relay(struct harness *harness)
{
    replace(harness, "r", &harness->relay);
}

void
harness_new_filter(struct harness *harness)
{
    replace(harness, "f", &harness->filter);
}

void
harness_limit_files(struct harness *harness, uint64_t file_limit)
{
    struct rlimit limit = {file_limit > 0 ? file_limit : RLIM_INFINITY, RLIM_INFINITY};
    assert_int_equal(prlimit(harness->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static int
reap(struct harness *harness)
{
    int status = -1;
    if (harness->pid == 0) {
        return 0;
    }
    waitpid(harness->pid, &status, 0);
    harness->pid = 0;
    close(harness->filter);
    close(harness->relay);
    close(harness->ledger);
    close(harness->command);
    if (harness->control >= 0) {
        close(harness->control);
    }
    return status;
}

void
harness_kill(struct harness *harness)
{
    if (harness->pid != 0) {
        kill(harness->pid, SIGKILL);
    }
    (void)reap(harness);
}

void
harness_stop(struct harness *harness)
{
    close(harness->control);
    harness->control = -1;
    /* Traces that nobody acknowledges would hold it up: the ledger answers what there is. */
    for (;;) {
        struct ipc_message *message;
        struct pollfd p = {.fd = harness->ledger, .events = POLLIN};
        if (poll(&p, 1, HARNESS_TIMEOUT_MS) <= 0 ||
            channel_plain_receive(harness->ledger, ROLE_SPOOL, ROLE_LEDGER, 0, &message) !=
                STATUS_OK) {
            break;
        }
        enum status status =
            channel_plain_send(harness->ledger, MSG_TRACE_ACK, message->request, NULL);
        ipc_message_free(&message);
        if (status != STATUS_OK) {
            break;
        }
    }
    int status = reap(harness);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- the filter */

static struct str
text_or(const char *text, const char *otherwise)
{
    return str_from_cstr(text != NULL ? text : otherwise);
}

uint64_t
harness_commit_send(struct harness *harness, const struct harness_mail *mail, char *id_out)
{
    static const char *const usual[] = {"bob@inside.example"};
    const char *const *names = mail->recipient_count > 0 ? mail->recipients : usual;
    size_t n = mail->recipient_count > 0 ? mail->recipient_count : 1;
    struct record_recipient *recipients = calloc(n, sizeof *recipients);
    char id[ID_LENGTH + 1];
    int fd = -1;
    assert_non_null(recipients);
    id_make(clock_wall_ms(), id);
    for (size_t i = 0; i < n; i++) {
        recipients[i] = (struct record_recipient){.address = str_from_cstr(names[i]),
                                                  .original = str_from_cstr(names[i]),
                                                  .orcpt = text_or(mail->orcpt, ""),
                                                  .notify = mail->notify};
    }
    struct str content = mail->content.n > 0
                             ? mail->content
                             : STR("Subject: original\r\n\r\nThe body of a message.\r\n");
    struct msg_commit commit = {
        .id = text_or(mail->id, id),
        .received_ms = clock_wall_ms(),
        .sender = text_or(mail->sender, "sender@out.example"),
        .ret = mail->ret,
        .envid = text_or(mail->envid, ""),
        .flags = mail->flags,
        .priority = mail->priority,
        .hold = text_or(mail->hold, ""),
        .recipients = {recipients, n},
        .head = ipc_body_inline(STR("Received: by mx\r\nSubject: original\r\n\r\n")),
        .content = ipc_body_inline(content),
        .content_offset = mail->content.n > 0 ? 0 : 21,
    };
    if (content.n > IPC_BODY_INLINE_MAX) {
        assert_int_equal(ipc_memfd_create("content", content, &fd), STATUS_OK);
        assert_int_equal(ipc_memfd_seal(fd), STATUS_OK);
        commit.content = ipc_body_fd(fd, content.n);
    }
    if (id_out != NULL) {
        memcpy(id_out, commit.id.p, ID_LENGTH + 1);
    }
    uint64_t request = ++harness->request;
    enum status status = channel_plain_send(harness->filter, MSG_COMMIT, request, &commit);
    free(recipients);
    if (fd >= 0) {
        close(fd);
    }
    return status == STATUS_OK ? request : 0;
}

int
harness_commit_receive(struct harness *harness, uint64_t *request_out)
{
    struct ipc_message *reply;
    if (channel_plain_receive(harness->filter, ROLE_SPOOL, ROLE_FILTER, HARNESS_TIMEOUT_MS,
                              &reply) != STATUS_OK) {
        return -1;
    }
    assert_int_equal(reply->type, MSG_COMMIT_REPLY);
    int outcome = MSG_BODY(reply, commit_reply)->outcome;
    *request_out = reply->request;
    ipc_message_free(&reply);
    return outcome;
}

int
harness_commit(struct harness *harness, const struct harness_mail *mail, char *id_out)
{
    uint64_t answered;
    uint64_t request = harness_commit_send(harness, mail, id_out);
    int outcome = harness_commit_receive(harness, &answered);
    assert_true(outcome < 0 || answered == request);
    return outcome;
}

/* ---- the relay */

void
harness_capacity(struct harness *harness, uint32_t total)
{
    struct msg_relay_capacity capacity = {.total = total};
    assert_int_equal(channel_plain_send(harness->relay, MSG_RELAY_CAPACITY, 0, &capacity),
                     STATUS_OK);
}

void
harness_expire_leases(struct harness *harness)
{
    assert_int_equal(packet_send(harness->control, STR("x"), NULL, 0), STATUS_OK);
}

struct ipc_message *
harness_deliver(struct harness *harness, int timeout_ms)
{
    struct ipc_message *deliver;
    if (channel_plain_receive(harness->relay, ROLE_SPOOL, ROLE_RELAY, timeout_ms, &deliver) !=
        STATUS_OK) {
        return NULL;
    }
    assert_int_equal(deliver->type, MSG_DELIVER);
    return deliver;
}

void
harness_report(struct harness *harness, struct ipc_message *deliver, uint8_t outcome, uint16_t code,
               const char *enhanced, const char *text)
{
    const struct msg_deliver *d = MSG_BODY(deliver, deliver);
    struct record_delivery_result *results = calloc(d->recipients.n, sizeof *results);
    assert_non_null(results);
    for (size_t i = 0; i < d->recipients.n; i++) {
        results[i] = (struct record_delivery_result){.number = d->recipients.items[i].number,
                                                     .outcome = outcome,
                                                     .code = code,
                                                     .enhanced = str_from_cstr(enhanced),
                                                     .text = str_from_cstr(text),
                                                     .remote = STR("mx.far.example")};
    }
    struct msg_delivery_report report = {
        .lease = d->lease, .connected = code != 0, .results = {results, d->recipients.n}};
    assert_int_equal(channel_plain_send(harness->relay, MSG_DELIVERY_REPORT, 0, &report),
                     STATUS_OK);
    free(results);
    ipc_message_free(&deliver);
}

/* ---- commands */

struct ipc_message *
harness_ask(struct harness *harness, enum msg_type type, const void *fields)
{
    struct ipc_message *reply = NULL;
    assert_int_equal(channel_plain_send(harness->command, type, 1, fields), STATUS_OK);
    assert_int_equal(
        channel_plain_receive(harness->command, ROLE_SPOOL, ROLE_CLI, HARNESS_TIMEOUT_MS, &reply),
        STATUS_OK);
    return reply;
}

size_t
harness_count(struct harness *harness)
{
    struct msg_queue_list list = {.limit = 100};
    size_t count = 0;
    do {
        struct ipc_message *reply = harness_ask(harness, MSG_QUEUE_LIST, &list);
        const struct msg_queue_list_reply *r = MSG_BODY(reply, queue_list_reply);
        assert_int_equal(r->error.n, 0);
        count += r->messages.n;
        list.after = r->next;
        ipc_message_free(&reply);
    } while (list.after != 0);
    return count;
}

void
harness_wait_count(struct harness *harness, size_t count)
{
    int64_t end = clock_monotonic_ms() + HARNESS_TIMEOUT_MS;
    while (harness_count(harness) != count) {
        assert_true(clock_monotonic_ms() < end);
    }
}

/* ---- small helpers of the tests */

int
harness_setup(void **state)
{
    struct harness *harness = calloc(1, sizeof *harness);
    assert_non_null(harness);
    harness_create(harness, NULL);
    harness_start(harness, 0);
    *state = harness;
    return 0;
}

int
harness_teardown(void **state)
{
    struct harness *harness = *state;
    if (harness->pid != 0) {
        harness_stop(harness);
    }
    harness_destroy(harness);
    free(harness);
    return 0;
}

const struct msg_deliver *
harness_deliver_of(const struct ipc_message *message)
{
    assert_non_null(message);
    return MSG_BODY(message, deliver);
}

void
harness_assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_from_cstr(want))) {
        print_error("got \"%.*s\", want \"%s\"\n", STR_ARG(got), want);
    }
    assert_true(str_eq(got, str_from_cstr(want)));
}

bool
harness_has(struct str text, const char *part)
{
    return str_find(text, str_from_cstr(part)) != STR_NPOS;
}
