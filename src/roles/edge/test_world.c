#include "roles/edge/test_world.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ipc/channel.h"
#include "roles/edge.h"
#include "roles/role_test_parent.h"
#include "roles/vault/vault.h"
#include "tls/self_signed.h"

#define WAIT_MS          10000
#define CONFIG_TEXT_SIZE 8192

static const char config_head[] =
    "hostname: mx.ours.example\n"
    "workers: {edge: 1}\n"
    "bounce: {postmaster: bob@ours.example}\n"
    "listeners:\n"
    "  - {address: 127.0.0.1, port: 2525, kind: mx}\n"
    "  - {address: 127.0.0.1, port: 2587, kind: submission}\n"
    "  - {address: 127.0.0.1, port: 2465, kind: smtps}\n"
    "  - {address: 127.0.0.1, port: 2526, kind: mx, proxy_protocol: [127.0.0.9/32]}\n"
    "domains:\n"
    "  - name: ours.example\n"
    "    delivery: lmtp://127.0.0.1:24\n"
    "    aliases:\n"
    "      - {name: sales, to: [bob@ours.example, tom@theirs.example]}\n"
    "      - {name: f\xc3\xbcr, to: [tom@theirs.example, f\xc3\xbcr@theirs.example]}\n"
    "  - {name: asked.example, delivery: \"smtp://127.0.0.1:26\", recipients: callout}\n"
    "zones:\n"
    "  - {name: inside, networks: [127.0.0.7/32, 127.0.0.9/32], relay: true}\n"
    "  - {name: branch, networks: [127.0.0.8/32]}\n";

/* ---- messages to the edge, as its parent */

static void
send_configuration(struct world *world, const char *more)
{
    char text[CONFIG_TEXT_SIZE];
    int n = snprintf(text, sizeof text, "%s%s", config_head, more);
    assert_in_range(n, 1, sizeof text - 1);
    role_test_configure(world->control, "/tmp", text);
}

static void
send_certificate(struct world *world)
{
    struct arena *arena = arena_create(16384);
    struct str chain;
    struct str key;
    struct msg_certificate fields = {.name = STR("self-signed")};
    assert_int_equal(
        tls_self_signed_create(arena, STR("mx.ours.example"), clock_wall_ms(), &chain, &key),
        STATUS_OK);
    assert_int_equal(ipc_memfd_create("chain", chain, &fields.chain_pem), STATUS_OK);
    test_signer_hand_out(&world->signer, key);
    role_test_send(world->control, MSG_CERTIFICATE, 0, &fields);
    close(fields.chain_pem);
    arena_destroy(&world->key_arena);
    world->key_arena = arena;
    world->key = key;
}

static void
offer(struct world *world, uint32_t index, int socket)
{
    struct msg_listener fields = {.index = index, .socket = socket};
    assert_int_equal(listen(socket, 1024), 0);
    role_test_send(world->control, MSG_LISTENER, 0, &fields);
    close(socket);
}

/* A new socket each time the configuration is handed out: the old one's port ends with it. */
static void
send_listener(struct world *world, uint32_t index)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &length), 0);
    world->ports[index] = ntohs(sa.sin_port);
    offer(world, index, fd);
}

/* The kernel chooses the name, as it chooses a port. */
static void
send_local_listener(struct world *world)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name.sun_family), 0);
    world->local_length = sizeof world->local;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&world->local, &world->local_length), 0);
    offer(world, WORLD_LOCAL, fd);
}

static void
wait_ready(struct world *world)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    world->ready = false;
    while (!world->ready) {
        assert_true(clock_monotonic_ms() < end);
        world_wait(world, -1, 20);
    }
}

static void
hand_out(struct world *world, const char *more)
{
    struct msg_start start = {.generation = 1};
    send_configuration(world, more);
    send_certificate(world);
    for (uint32_t i = 0; i < WORLD_LOCAL; i++) {
        send_listener(world, i);
    }
    send_local_listener(world);
    role_test_send(world->control, MSG_START, 0, &start);
    wait_ready(world);
}

void
world_start(struct world *world, const char *more)
{
    *world =
        (struct world){.filter = -1, .ledger = -1, .relay = -1, .vault = -1, .filter_code = 250};
    buf_init(&world->submitted.events, TRACE_MAX);
    buf_init(&world->session_begin, TRACE_MAX);
    buf_init(&world->session_events, TRACE_MAX);
    buf_init(&world->message_events, TRACE_MAX);
    world->pid = role_test_launch(&edge_role, &world->control);
    test_signer_start(&world->signer);
    world->filter = role_test_peer(world->control, ROLE_FILTER);
    world->ledger = role_test_peer(world->control, ROLE_LEDGER);
    world->relay = role_test_peer(world->control, ROLE_RELAY);
    world->vault = role_test_peer(world->control, ROLE_VAULT);
    test_signer_join(&world->signer, world->control);
    hand_out(world, more);
}

void
world_reload(struct world *world, const char *more)
{
    hand_out(world, more);
}

void
world_end(struct world *world)
{
    int const fds[] = {world->control, world->filter, world->ledger, world->relay, world->vault};
    if (world->pid > 0) {
        kill(world->pid, SIGKILL);
        waitpid(world->pid, NULL, 0);
    }
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    test_signer_end(&world->signer);
    arena_destroy_wiped(&world->key_arena);
    free(world->submitted.content);
    buf_free(&world->submitted.events);
    buf_free(&world->session_begin);
    buf_free(&world->session_events);
    buf_free(&world->message_events);
}

void
world_stop(struct world *world, uint32_t grace_ms)
{
    struct msg_stop stop = {.grace_ms = grace_ms};
    role_test_send(world->control, MSG_STOP, 0, &stop);
}

int
world_wait_exit(struct world *world)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    int status = 0;
    while (waitpid(world->pid, &status, WNOHANG) == 0) {
        assert_true(clock_monotonic_ms() < end);
        world_wait(world, -1, 20);
    }
    world->pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void
world_filter_down(struct world *world)
{
    close(world->filter);
    world->filter = -1;
}

void
world_filter_up(struct world *world)
{
    world->filter = role_test_peer(world->control, ROLE_FILTER);
}

void
world_signer_down(struct world *world)
{
    test_signer_end(&world->signer);
}

void
world_signer_up(struct world *world)
{
    test_signer_start(&world->signer);
    test_signer_join(&world->signer, world->control);
    test_signer_hand_out(&world->signer, world->key);
}

void
world_vault_down(struct world *world)
{
    close(world->vault);
    world->vault = -1;
}

/* ---- the other roles */

static void
copy_text(char *out, size_t size, struct str text)
{
    assert_true(text.n < size);
    memcpy(out, text.p != NULL ? text.p : "", text.n);
    out[text.n] = '\0';
}

static void
keep_content(struct world_submitted *submitted, const struct ipc_body *body)
{
    struct ipc_body_view view;
    assert_int_equal(ipc_body_view_open(body, &view), STATUS_OK);
    free(submitted->content);
    submitted->content = malloc(view.octets.n + 1);
    assert_non_null(submitted->content);
    memcpy(submitted->content, view.octets.p, view.octets.n);
    submitted->content[view.octets.n] = '\0';
    submitted->content_size = view.octets.n;
    submitted->by_memfd = body->fd >= 0;
    ipc_body_view_close(&view);
}

static void
answer_submit(struct world *world, uint64_t request, uint16_t code)
{
    char text[64];
    bool positive = code < 400;
    snprintf(text, sizeof text, "%s %s", positive ? "Accepted" : "Refused", world->submitted.id);
    struct msg_submit_reply reply = {.code = code,
                                     .enhanced = positive     ? STR("2.0.0")
                                                 : code < 500 ? STR("4.7.1")
                                                              : STR("5.7.1"),
                                     .text = str_from_cstr(text)};
    role_test_send(world->filter, MSG_SUBMIT_REPLY, request, &reply);
}

void
world_filter_answer(struct world *world, uint16_t code)
{
    answer_submit(world, world->unanswered, code);
}

static void
take_submit(struct world *world, const struct ipc_message *message)
{
    struct world_submitted *s = &world->submitted;
    const struct msg_submit *fields = MSG_BODY(message, submit);
    struct ip_address client;
    s->count++;
    copy_text(s->id, sizeof s->id, fields->id);
    copy_text(s->sender, sizeof s->sender, fields->sender);
    copy_text(s->user, sizeof s->user, fields->user);
    copy_text(s->tls, sizeof s->tls, fields->tls);
    copy_text(s->zone, sizeof s->zone, fields->zone);
    copy_text(s->helo, sizeof s->helo, fields->helo);
    memcpy(client.octets, fields->client_ip.p, sizeof client.octets);
    ip_format(&client, s->client);
    s->recipient_count = 0;
    s->recipient_total = fields->recipients.n;
    for (size_t i = 0; i < fields->recipients.n && i < WORLD_RECIPIENTS_MAX; i++) {
        copy_text(s->recipients[s->recipient_count++], sizeof s->recipients[0],
                  fields->recipients.items[i].address);
    }
    assert_true(trace_is_valid(fields->events));
    buf_clear(&s->events);
    assert_int_equal(buf_append(&s->events, fields->events), STATUS_OK);
    keep_content(s, &fields->content);
    if (world->filter_is_silent) {
        world->unanswered = message->request;
    } else {
        answer_submit(world, message->request, world->filter_code);
    }
}

/* Users are bob and jack; nothing else exists. */
static bool
user_exists(struct str name)
{
    return str_eq(name, STR("bob@ours.example")) || str_eq(name, STR("jack@ours.example"));
}

static void
keep_trace(struct world *world, const struct record_trace_piece *piece)
{
    struct buf *kept =
        str_eq(piece->id, piece->session) ? &world->session_events : &world->message_events;
    assert_true(trace_is_valid(piece->events));
    /* A session comes in parts: with its message, and at its end. */
    if (kept == &world->session_events && !str_eq(piece->id, str_from_cstr(world->session_id))) {
        snprintf(world->session_id, sizeof world->session_id, "%.*s", STR_ARG(piece->id));
        buf_clear(&world->session_begin);
        assert_int_equal(buf_append(&world->session_begin, piece->events), STATUS_OK);
    }
    buf_clear(kept);
    assert_int_equal(buf_append(kept, piece->events), STATUS_OK);
}

static void
take_trace(struct world *world, const struct ipc_message *message)
{
    const struct msg_trace_append *fields = MSG_BODY(message, trace_append);
    for (size_t i = 0; i < fields->pieces.n; i++) {
        keep_trace(world, &fields->pieces.items[i]);
    }
    role_test_send(world->ledger, MSG_TRACE_ACK, message->request, NULL);
}

static void
take_password(struct world *world, const struct ipc_message *message)
{
    const struct msg_auth_password *fields = MSG_BODY(message, auth_password);
    bool right = user_exists(fields->user) && str_eq(fields->password, STR(WORLD_PASSWORD));
    struct msg_auth_reply reply = {.outcome = right ? SMTP_AUTH_OK : SMTP_AUTH_FAILED,
                                   .user = fields->user};
    role_test_send(world->ledger, MSG_AUTH_REPLY, message->request, &reply);
}

static void
take_for_ledger(struct world *world, const struct ipc_message *message)
{
    struct msg_recipient_lookup_reply lookup;
    switch ((int)message->type) {
    case MSG_RECIPIENT_LOOKUP:
        lookup.exists = user_exists(MSG_BODY(message, recipient_lookup)->name);
        role_test_send(world->ledger, MSG_RECIPIENT_LOOKUP_REPLY, message->request, &lookup);
        break;
    case MSG_TRACE_APPEND:
        take_trace(world, message);
        break;
    case MSG_AUTH_PASSWORD:
        take_password(world, message);
        break;
    default:
        fail_msg("the ledger was sent %s", ipc_type_name(message->type));
    }
}

static void
take_callout(struct world *world, const struct ipc_message *message)
{
    const struct msg_callout *fields = MSG_BODY(message, callout);
    struct msg_callout_reply reply = {.code = 550};
    world->callouts++;
    if (fields->utf8 != 0) {
        world->utf8_callouts++;
        reply.code = world->utf8_code;
        reply.enhanced = reply.code >= 500 ? STR("5.6.7") : STR("");
    } else if (!str_is_ascii(fields->address)) {
        reply.code = 553;
        reply.enhanced = STR("5.6.7");
    } else if (str_starts_with(fields->address, STR("bob@"))) {
        reply.code = 250;
    } else if (str_starts_with(fields->address, STR("later@"))) {
        reply.code = 450;
    }
    role_test_send(world->relay, MSG_CALLOUT_REPLY, message->request, &reply);
}

/* "SRS0=good=..." stands for tom@theirs.example. */
static void
take_srs(struct world *world, const struct ipc_message *message)
{
    const struct msg_srs *fields = MSG_BODY(message, srs);
    struct str kind = str_skip(fields->address, strlen("SRS0="));
    struct msg_srs_reply reply = {.outcome = VAULT_SRS_FORGED};
    world->reversals++;
    assert_int_equal(fields->direction, VAULT_SRS_REVERSE);
    assert_true(str_ends_with(fields->address, fields->domain));
    if (str_starts_with(kind, STR("good="))) {
        reply = (struct msg_srs_reply){VAULT_SRS_DONE, STR("tom@theirs.example")};
    } else if (str_starts_with(kind, STR("old="))) {
        reply.outcome = VAULT_SRS_EXPIRED;
    } else if (str_starts_with(kind, STR("none="))) {
        reply.outcome = VAULT_SRS_FOREIGN;
    } else if (str_starts_with(kind, STR("odd="))) {
        reply.outcome = VAULT_SRS_FAILED;
    }
    role_test_send(world->vault, MSG_SRS_REPLY, message->request, &reply);
}

/* One message from the edge on the line of `role`. */
static void
serve(struct world *world, int fd, enum role role)
{
    struct ipc_message *message = NULL;
    enum status status = channel_plain_receive(fd, ROLE_EDGE, role, 0, &message);
    if (status == STATUS_END) {
        return; /* the edge has ended; the test notices by itself */
    }
    assert_int_equal(status, STATUS_OK);
    switch ((int)role) {
    case ROLE_PARENT:
        world->ready |= message->type == MSG_READY;
        break;
    case ROLE_FILTER:
        take_submit(world, message);
        break;
    case ROLE_LEDGER:
        take_for_ledger(world, message);
        break;
    case ROLE_VAULT:
        take_srs(world, message);
        break;
    default:
        take_callout(world, message);
        break;
    }
    ipc_message_free(&message);
}

bool
world_wait(struct world *world, int fd, int timeout_ms)
{
    int64_t end = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        struct pollfd fds[] = {
            {world->control, POLLIN, 0}, {world->filter, POLLIN, 0}, {world->ledger, POLLIN, 0},
            {world->relay, POLLIN, 0},   {world->vault, POLLIN, 0},  {fd, POLLIN, 0},
        };
        static const enum role roles[] = {ROLE_PARENT, ROLE_FILTER, ROLE_LEDGER, ROLE_RELAY,
                                          ROLE_VAULT};
        int64_t left = end - clock_monotonic_ms();
        int n = poll(fds, 6, left > 0 ? (int)left : 0);
        for (size_t i = 0; i < 5; i++) {
            if ((fds[i].revents & POLLIN) != 0) {
                serve(world, fds[i].fd, roles[i]);
            }
        }
        if (fds[5].revents != 0) {
            return true;
        }
        if (n == 0 || (left <= 0 && n < 0)) {
            return false;
        }
        if ((fds[0].revents & POLLHUP) != 0) {
            return false; /* the edge has gone */
        }
    }
}

int64_t
world_metric(struct world *world, const char *name)
{
    struct ipc_message *message = NULL;
    role_test_send(world->control, MSG_STATUS_REQUEST, 7, NULL);
    do {
        ipc_message_free(&message);
        assert_int_equal(
            channel_plain_receive(world->control, ROLE_EDGE, ROLE_PARENT, WAIT_MS, &message),
            STATUS_OK);
    } while (message->type != MSG_STATUS_REPLY);
    const struct msg_status_reply *reply = MSG_BODY(message, status_reply);
    int64_t value = -1;
    for (size_t i = 0; i < reply->metrics.n; i++) {
        if (str_eq(reply->metrics.items[i].name, str_from_cstr(name))) {
            value = reply->metrics.items[i].value;
        }
    }
    world->warnings[0] = '\0';
    for (size_t i = 0; i < reply->warnings.n; i++) {
        size_t n = strlen(world->warnings);
        snprintf(world->warnings + n, sizeof world->warnings - n, "%.*s\n",
                 STR_ARG(reply->warnings.items[i].text));
    }
    ipc_message_free(&message);
    return value;
}
