#include "roles/relay/session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

/* Pieces given to one sendmsg(2). */
#define PIECES_MAX   64
/* Octets of one read: replies are short. */
#define INPUT_MAX    4096
/* Octets of one TLS record. */
#define RECORD_MAX   16384
/* Of a login by SCRAM. */
#define NONCE_OCTETS 18
/* Content that the server must take within queue.timeouts.data_block. */
#define BLOCK        65536

/* The one thing about sessions that is counted across threads and caches. */
static atomic_size_t open_sessions;

size_t
relay_session_count(void)
{
    return atomic_load(&open_sessions);
}

/* ---- waiting */

/* Milliseconds that may still be waited; never negative. */
static int64_t
time_left(const struct relay_session *session, int64_t stage_deadline_ms)
{
    int64_t until = stage_deadline_ms;
    if (session->deadline_ms != 0 && session->deadline_ms < until) {
        until = session->deadline_ms;
    }
    int64_t left = until - clock_monotonic_ms();
    return left > 0 ? left : 0;
}

/* Waits for `events`; 0 at the deadline, else what came. */
static short
wait_for(const struct relay_session *session, short events, int64_t stage_deadline_ms)
{
    struct pollfd p = {.fd = session->fd, .events = events};
    int ready;
    do {
        int64_t left = time_left(session, stage_deadline_ms);
        ready = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? p.revents : 0;
}

static int64_t
stage_timeout_ms(const struct relay_session *session)
{
    const struct config_client_timeouts *t = &session->config->queue.timeouts;
    switch (smtp_client_stage(session->client)) {
    case SMTP_CLIENT_STAGE_GREETING:
        return t->greeting_ms;
    case SMTP_CLIENT_STAGE_TLS:
        return t->tls_handshake_ms;
    case SMTP_CLIENT_STAGE_DATA:
        return t->data_init_ms;
    case SMTP_CLIENT_STAGE_CONTENT:
        return t->data_block_ms;
    case SMTP_CLIENT_STAGE_END:
        return t->data_end_ms;
    case SMTP_CLIENT_STAGE_QUIT:
        return t->quit_ms;
    case SMTP_CLIENT_STAGE_HELLO:
    case SMTP_CLIENT_STAGE_AUTH:
    case SMTP_CLIENT_STAGE_READY:
    case SMTP_CLIENT_STAGE_RSET:
    case SMTP_CLIENT_STAGE_MAIL:
    case SMTP_CLIENT_STAGE_RCPT:
    case SMTP_CLIENT_STAGE_CLOSED:
        break;
    }
    return t->command_ms;
}

/*
 * The time-out of a stage begins anew with each stage, reply or block of content; not with each
 * octet, or a server that lets them drip would keep a worker for days.
 */
static void
stage_clock(struct relay_session *session)
{
    enum smtp_client_stage stage = smtp_client_stage(session->client);
    uint64_t replies = smtp_client_replies(session->client);
    bool goes_on = session->stage_deadline_ms != 0 && stage == session->stage &&
                   replies == session->replies && session->written < BLOCK;
    if (!goes_on) {
        session->stage = stage;
        session->replies = replies;
        session->written = 0;
        session->stage_deadline_ms = clock_monotonic_ms() + stage_timeout_ms(session);
    }
}

/* ---- octets */

static enum status
status_of_errno(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return STATUS_AGAIN;
    }
    return errno == ECONNRESET || errno == EPIPE ? STATUS_END : STATUS_IO;
}

static enum status
read_some(struct relay_session *session, char *out, size_t size, size_t *n_out)
{
    if (session->tls != NULL) {
        return tls_io_read(tls_stream_io(session->tls), out, size, n_out);
    }
    ssize_t n = recv(session->fd, out, size, 0);
    if (n < 0) {
        return status_of_errno();
    }
    *n_out = (size_t)n;
    return n > 0 ? STATUS_OK : STATUS_END;
}

static enum status
write_plain(struct relay_session *session, const struct str *pieces, size_t count, size_t *n_out)
{
    struct iovec iov[PIECES_MAX];
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    for (size_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].n};
    }
    ssize_t n = sendmsg(session->fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
        return status_of_errno();
    }
    *n_out = (size_t)n;
    return STATUS_OK;
}

/* Small pieces share a record: one record a piece would cost a packet each. */
static enum status
write_tls(struct relay_session *session, const struct str *pieces, size_t count, size_t *n_out)
{
    char record[RECORD_MAX];
    size_t n = 0;
    if (pieces[0].n >= sizeof record) {
        return tls_io_write(tls_stream_io(session->tls), str_head(pieces[0], sizeof record), n_out);
    }
    for (size_t i = 0; i < count && n < sizeof record; i++) {
        struct str part = str_head(pieces[i], sizeof record - n);
        memcpy(record + n, part.p, part.n);
        n += part.n;
    }
    return tls_io_write(tls_stream_io(session->tls), str_make(record, n), n_out);
}

/* Writes what the client has, as far as the socket takes it. STATUS_OK: nothing is left. */
static enum status
write_output(struct relay_session *session)
{
    struct str pieces[PIECES_MAX];
    size_t count;
    while ((count = smtp_client_output(session->client, pieces, PIECES_MAX)) > 0) {
        size_t n = 0;
        enum status status = session->tls != NULL ? write_tls(session, pieces, count, &n)
                                                  : write_plain(session, pieces, count, &n);
        if (status != STATUS_OK) {
            return status;
        }
        session->written += n;
        smtp_client_output_written(session->client, n);
    }
    return STATUS_OK;
}

/* Reads once and feeds. STATUS_AGAIN: there was nothing. */
static enum status
read_input(struct relay_session *session, enum smtp_client_action *action)
{
    char input[INPUT_MAX];
    size_t n = 0;
    enum status status = read_some(session, input, sizeof input, &n);
    if (status == STATUS_OK) {
        *action = smtp_client_feed(session->client, str_make(input, n));
    }
    return status;
}

/* ---- running */

/*
 * Who has closed a connection and never acknowledged our last octets cannot have read them, so the
 * end of the message is not with him. What a network that fails leaves unacknowledged says nothing.
 */
static bool
last_octets_are_unreceived(const struct relay_session *session, enum status status)
{
    int unacknowledged = 0;
    return status == STATUS_END && ioctl(session->fd, TIOCOUTQ, &unacknowledged) == 0 &&
           unacknowledged > 0;
}

static void
fail_lost(struct relay_session *session, enum status status)
{
    char text[SMTP_CLIENT_TEXT_MAX];
    const char *reason = "the server closed the connection";
    if (session->tls != NULL && status == STATUS_SYNTAX) {
        reason = tls_io_error(tls_stream_io(session->tls));
    } else if (status == STATUS_IO) {
        reason = strerrordesc_np(errno);
    }
    session->end_unreceived = last_octets_are_unreceived(session, status);
    snprintf(text, sizeof text, "connection lost %s: %s",
             smtp_client_stage_words(smtp_client_stage(session->client)),
             reason != NULL ? reason : "unknown error");
    smtp_client_failed(session->client, SMTP_CLIENT_LOST, str_from_cstr(text));
}

static void
fail_timeout(struct relay_session *session)
{
    char text[SMTP_CLIENT_TEXT_MAX];
    enum smtp_client_stage stage = smtp_client_stage(session->client);
    if (stage == SMTP_CLIENT_STAGE_GREETING) {
        snprintf(text, sizeof text, "no greeting in time");
    } else {
        snprintf(text, sizeof text, "no answer in time %s", smtp_client_stage_words(stage));
    }
    smtp_client_failed(session->client, SMTP_CLIENT_TIMEOUT, str_from_cstr(text));
}

/* The events to wait for: a server that talks while it is written to must be read. */
static short
events_wanted(const struct relay_session *session, enum status written)
{
    bool writing = written == STATUS_AGAIN;
    if (session->tls != NULL && writing && !tls_io_wants_write(tls_stream_io(session->tls))) {
        return POLLIN;
    }
    return writing ? POLLIN | POLLOUT : POLLIN;
}

/* One turn: writes, waits, reads. */
static void
session_turn(struct relay_session *session, enum smtp_client_action *action)
{
    enum status written = write_output(session);
    stage_clock(session);
    if (written != STATUS_OK && written != STATUS_AGAIN) {
        /* What the server said before it closed is worth more than the fact that it did. */
        while (*action == SMTP_CLIENT_WAIT && read_input(session, action) == STATUS_OK) {
        }
        if (*action == SMTP_CLIENT_WAIT) {
            fail_lost(session, written);
        }
        return;
    }
    short ready = POLLIN;
    if (session->tls == NULL || tls_io_pending(tls_stream_io(session->tls)) == 0) {
        ready = wait_for(session, events_wanted(session, written), session->stage_deadline_ms);
    }
    if (ready == 0) {
        fail_timeout(session);
        return;
    }
    if ((ready & ~POLLOUT) == 0) {
        return;
    }
    enum status status = read_input(session, action);
    if (status != STATUS_OK && status != STATUS_AGAIN) {
        fail_lost(session, status);
    }
}

static void
describe_tls(struct relay_session *session)
{
    static const char *const by[] = {
        [TRANSPORT_BY_NOBODY] = "", [TRANSPORT_BY_TLSA] = ", DANE", [TRANSPORT_BY_WEBPKI] = ""};
    const struct transport_demand *demand = session->demand;
    tls_stream_facts(session->tls, &session->facts);
    snprintf(session->tls_text, sizeof session->tls_text, "%s %s%s", session->facts.version,
             session->facts.cipher,
             demand->reason == TRANSPORT_REASON_STS ? ", MTA-STS" : by[demand->by]);
}

/* Whether TLS is what is demanded; if not, the session ends before anything is said over it. */
static bool
is_good_enough(struct relay_session *session)
{
    const struct transport_shown shown = {.offered = true, .tls = &session->facts};
    struct transport_verdict verdict = transport_judge(session->demand, &shown);
    char text[SMTP_CLIENT_TEXT_MAX];
    session->result = verdict.result;
    if (!verdict.pass) {
        snprintf(text, sizeof text, "TLS is not as demanded: %s; %s",
                 tls_result_text(verdict.result), transport_reason_text(session->demand->reason));
        smtp_client_failed(session->client, SMTP_CLIENT_TLS_FAILED, str_from_cstr(text));
    }
    return verdict.pass;
}

/* The client's side, with what the server is compared with. */
static enum status
create_stream(struct relay_session *session)
{
    const struct transport_demand *demand = session->demand;
    enum status status =
        tls_stream_create(session->tls_client, session->fd, demand->server_name, &session->tls);
    if (status == STATUS_OK && demand->by == TRANSPORT_BY_TLSA) {
        const struct dane *dane = demand->dane;
        const struct tls_dane compared = {.records = dane->set.items,
                                          .count = dane->set.count,
                                          .names = dane->names,
                                          .name_count = dane->name_count};
        status = tls_stream_compare(session->tls, &compared);
    }
    return status;
}

static bool
handshake(struct relay_session *session)
{
    int64_t deadline_ms = clock_monotonic_ms() + session->config->queue.timeouts.tls_handshake_ms;
    enum status status = create_stream(session);
    if (status != STATUS_OK) {
        smtp_client_failed(session->client, SMTP_CLIENT_TLS_FAILED,
                           STR("TLS cannot be started for this host name"));
        return false;
    }
    while ((status = tls_io_handshake(tls_stream_io(session->tls))) == STATUS_AGAIN) {
        short events = tls_io_wants_write(tls_stream_io(session->tls)) ? POLLOUT : POLLIN;
        if (wait_for(session, events, deadline_ms) == 0) {
            smtp_client_failed(session->client, SMTP_CLIENT_TLS_FAILED,
                               STR("the TLS handshake did not end in time"));
            return false;
        }
    }
    if (status != STATUS_OK) {
        char text[SMTP_CLIENT_TEXT_MAX];
        snprintf(text, sizeof text, "the TLS handshake failed: %s",
                 tls_io_error(tls_stream_io(session->tls)));
        smtp_client_failed(session->client, SMTP_CLIENT_TLS_FAILED, str_from_cstr(text));
        return false;
    }
    describe_tls(session);
    if (!is_good_enough(session)) {
        return false;
    }
    smtp_client_tls_started(session->client);
    return true;
}

bool
relay_session_run(struct relay_session *session)
{
    enum smtp_client_action action = smtp_client_feed(session->client, STR(""));
    session->stage_deadline_ms = 0;
    while (action == SMTP_CLIENT_WAIT || action == SMTP_CLIENT_START_TLS) {
        if (action == SMTP_CLIENT_START_TLS) {
            (void)handshake(session);
        } else {
            session_turn(session, &action);
        }
        action = smtp_client_feed(session->client, STR(""));
    }
    return action == SMTP_CLIENT_READY;
}

void
relay_session_failure(const struct relay_session *session,
                      struct relay_session_failure *failure_out)
{
    const struct smtp_client_failure *failure = smtp_client_failure(session->client);
    struct str text = str_head(failure->reply.text, sizeof failure_out->text);
    failure_out->stage = smtp_client_stage_name(failure->stage);
    failure_out->problem = failure->problem;
    failure_out->encrypted = smtp_client_is_encrypted(session->client);
    failure_out->unproved = failure_out->skip_host = false;
    failure_out->result = session->result;
    failure_out->facts = session->facts;
    failure_out->facts.tlsa = (struct dns_tlsa){0}; /* it lies in the connection, which closes */
    failure_out->judged = session->tls != NULL && session->facts.version != NULL;
    failure_out->reply = failure->reply;
    if (text.n > 0) {
        memcpy(failure_out->text, text.p, text.n);
    }
    failure_out->reply.text = str_make(failure_out->text, text.n);
}

/* ---- opening */

static socklen_t
target_sockaddr(const struct relay_target *target, struct sockaddr_storage *address)
{
    if (!target->is_unix) {
        return ip_to_sockaddr(&target->ip, target->port, address);
    }
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct str path = str_head(target->host, sizeof un.sun_path - 1);
    snprintf(un.sun_path, sizeof un.sun_path, "%.*s", STR_ARG(path));
    *address = (struct sockaddr_storage){.ss_family = AF_UNIX};
    memcpy(address, &un, sizeof un);
    return sizeof un;
}

/* Connects within the time-out; 0, or the error number. */
static int
connect_socket(struct relay_session *session, const struct relay_target *target)
{
    struct sockaddr_storage address;
    socklen_t length = target_sockaddr(target, &address);
    int64_t deadline_ms = clock_monotonic_ms() + session->config->queue.timeouts.connect_ms;
    int one = 1;
    session->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (session->fd < 0) {
        return errno;
    }
    if (connect(session->fd, (const struct sockaddr *)&address, length) != 0) {
        if (errno != EINPROGRESS) {
            return errno;
        }
        if (wait_for(session, POLLOUT, deadline_ms) == 0) {
            return ETIMEDOUT;
        }
    }
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return errno;
    }
    /* What is written at once is meant to go at once: the final dot must not wait for an ACK. */
    if (error == 0 && !target->is_unix) {
        (void)setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return error;
}

struct str
relay_target_text(const struct relay_target *target, char text[SESSION_REMOTE_MAX])
{
    char ip[IP_TEXT_MAX];
    struct str host =
        str_head(target->host, target->is_unix ? SESSION_REMOTE_MAX : SMTP_DOMAIN_MAX);
    if (target->is_unix) {
        snprintf(text, SESSION_REMOTE_MAX, "%.*s", STR_ARG(host));
        return str_from_cstr(text);
    }
    ip_format(&target->ip, ip);
    if (str_eq(host, str_from_cstr(ip))) {
        snprintf(text, SESSION_REMOTE_MAX, "[%s]:%u", ip, target->port);
    } else {
        snprintf(text, SESSION_REMOTE_MAX, "%.*s[%s]:%u", STR_ARG(host), ip, target->port);
    }
    return str_from_cstr(text);
}

static void
describe_target(struct relay_session *session, const struct relay_target *target)
{
    struct str host = str_head(target->host, SMTP_DOMAIN_MAX);
    session->ip = target->ip;
    session->port = target->port;
    if (!target->is_unix && host.n > 0) {
        memcpy(session->host, host.p, host.n);
    }
    (void)relay_target_text(target, session->remote);
}

static struct relay_session *
session_create(const struct relay_target *target, const struct relay_session_settings *settings)
{
    struct relay_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        abort();
    }
    atomic_fetch_add(&open_sessions, 1);
    session->fd = -1;
    session->config = config_ref(settings->config);
    session->tls_client = tls_client_ref(settings->tls);
    session->deadline_ms = settings->deadline_ms;
    session->demand = settings->demand;
    session->client_settings = (struct smtp_client_settings){
        .protocol = settings->protocol,
        .tls = settings->wanted,
        .hostname = session->config->hostname,
        .ignore = settings->ignore,
    };
    session->client = smtp_client_create(&session->client_settings);
    describe_target(session, target);
    return session;
}

enum status
relay_session_open(const struct relay_target *target, const struct relay_session_settings *settings,
                   struct relay_session **session_out, struct relay_session_failure *failure_out)
{
    struct relay_session *session = session_create(target, settings);
    int error = connect_socket(session, target);
    if (error != 0) {
        const char *reason = strerrordesc_np(error);
        int n = snprintf(failure_out->text, sizeof failure_out->text, "%s",
                         reason != NULL ? reason : "unknown error");
        failure_out->judged = failure_out->unproved = failure_out->skip_host = false;
        failure_out->stage = "connect";
        failure_out->encrypted = false;
        failure_out->problem = error == ETIMEDOUT ? SMTP_CLIENT_TIMEOUT : SMTP_CLIENT_LOST;
        failure_out->reply = (struct smtp_reply){.enhanced = {4, 4, 1}};
        failure_out->reply.text = str_head(str_from_cstr(failure_out->text), (size_t)n);
        relay_session_close(&session);
        return STATUS_TEMPORARY;
    }
    if (!relay_session_run(session)) {
        relay_session_failure(session, failure_out);
        relay_session_close(&session);
        return STATUS_TEMPORARY;
    }
    session->demand = NULL;
    *session_out = session;
    return STATUS_OK;
}

/* ---- login */

bool
relay_session_login(struct relay_session *session, const struct smtp_client_login *login)
{
    uint8_t octets[NONCE_OCTETS];
    char nonce[2 * NONCE_OCTETS + 1];
    random_bytes(octets, sizeof octets);
    for (size_t i = 0; i < sizeof octets; i++) {
        snprintf(nonce + 2 * i, 3, "%02x", octets[i]);
    }
    smtp_client_login(session->client, login, str_from_cstr(nonce));
    return relay_session_run(session);
}

void
relay_session_refuse_login(struct relay_session *session, struct str words)
{
    smtp_client_failed(session->client, SMTP_CLIENT_LOGIN_FAILED, words);
}

/* ---- idle, and the end */

bool
relay_session_is_quiet(const struct relay_session *session)
{
    struct pollfd p = {.fd = session->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

void
relay_session_leave(struct relay_session *session)
{
    smtp_client_quit(session->client);
    (void)write_output(session);
}

bool
relay_session_may_close(struct relay_session *session)
{
    enum smtp_client_action action = smtp_client_feed(session->client, STR(""));
    enum status status = STATUS_OK;
    while (action == SMTP_CLIENT_WAIT && status == STATUS_OK) {
        status = read_input(session, &action);
    }
    return action != SMTP_CLIENT_WAIT || status != STATUS_AGAIN;
}

void
relay_session_close(struct relay_session **session)
{
    struct relay_session *s = *session;
    if (s == NULL) {
        return;
    }
    if (s->tls != NULL) {
        tls_io_close_notify(tls_stream_io(s->tls));
        tls_stream_destroy(&s->tls);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    smtp_client_destroy(&s->client);
    tls_client_unref(&s->tls_client);
    config_unref(&s->config);
    free(s);
    atomic_fetch_sub(&open_sessions, 1);
    *session = NULL;
}
