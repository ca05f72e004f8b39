#include "cli/sendmail_session.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "smtp/params.h"

/* Past what the service may take for any answer (FILTER_ANSWER_MS, call-outs). */
#define ANSWER_TIMEOUT_S 600
#define COMMAND_MAX      4096u
#define COPY_SIZE        65536u

/* ---- what went wrong */

int
sendmail_exit_status(const struct smtp_reply *reply)
{
    const struct smtp_enhanced *enhanced = &reply->enhanced;
    if (reply->code < 400) {
        return EX_OK;
    }
    if (reply->code < 500) {
        return EX_TEMPFAIL;
    }
    if (enhanced->subject == 1 && enhanced->detail != 7 && enhanced->detail != 8) {
        return EX_NOUSER;
    }
    if (enhanced->subject == 7) {
        return EX_NOPERM;
    }
    return enhanced->subject == 6 ? EX_DATAERR : EX_UNAVAILABLE;
}

/* What the server answered to `what`, in one line. */
static int
tell_refusal(const struct sendmail_session *session, const char *what)
{
    const struct smtp_reply *reply = &session->reply;
    int exit_status = sendmail_exit_status(reply);
    fprintf(stderr, "postern sendmail: %s was refused: %u %u.%u.%u ", what, reply->code,
            reply->enhanced.class, reply->enhanced.subject, reply->enhanced.detail);
    cli_print_text(stderr, reply->text);
    fprintf(stderr, "; the message was not sent\n");
    return exit_status != EX_OK ? exit_status : EX_PROTOCOL;
}

static int
tell_lost(const char *when)
{
    return cli_fail("sendmail", EX_TEMPFAIL, "Postern ended the connection %s; try again later",
                    when);
}

/* ---- octets */

static bool
send_all(int fd, struct str octets)
{
    while (octets.n > 0) {
        ssize_t n = send(fd, octets.p, octets.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        octets = str_skip(octets, (size_t)n);
    }
    return true;
}

static bool
fill_buffer(struct sendmail_session *session)
{
    ssize_t n;
    do {
        n = recv(session->fd, session->buffer, sizeof session->buffer, 0);
    } while (n < 0 && errno == EINTR);
    session->buffer_used = 0;
    session->buffer_n = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The next reply into session->reply. False: there is none. */
static bool
read_reply(struct sendmail_session *session, bool enhanced)
{
    enum status status = STATUS_AGAIN;
    while (status == STATUS_AGAIN) {
        if (session->buffer_used == session->buffer_n && !fill_buffer(session)) {
            return false;
        }
        struct str input = str_make(session->buffer + session->buffer_used,
                                    session->buffer_n - session->buffer_used);
        size_t used = 0;
        status = smtp_reply_read(&session->reader, input, enhanced, &used, &session->reply);
        session->buffer_used += used;
    }
    return status == STATUS_OK;
}

/* Says a command and reads the reply to it. */
static bool ask(struct sendmail_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
ask(struct sendmail_session *session, const char *format, ...)
{
    char line[COMMAND_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 2, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line - 2) {
        return false;
    }
    memcpy(line + n, "\r\n", 2);
    return send_all(session->fd, str_make(line, (size_t)n + 2)) && read_reply(session, true);
}

/* ---- beginning and end */

static int
connect_to(const char *path, int *fd_out)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct timeval timeout = {ANSWER_TIMEOUT_S, 0};
    if (strlen(path) >= sizeof sa.sun_path) {
        return cli_fail("sendmail", EX_CONFIG, "%s is too long for a socket", path);
    }
    memcpy(sa.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof sa) != 0) {
        int reason = errno;
        if (fd >= 0) {
            close(fd);
        }
        return cli_fail("sendmail", EX_TEMPFAIL,
                        "no mail is taken at %s (%s); the message was not sent", path,
                        reason == ENOENT || reason == ECONNREFUSED ? "Postern is not running"
                                                                   : strerror(reason));
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    *fd_out = fd;
    return EX_OK;
}

int
sendmail_session_open(struct sendmail_session *session, struct arena *arena, const char *path)
{
    struct str rest;
    *session = (struct sendmail_session){.fd = -1, .arena = arena};
    smtp_reply_reader_init(&session->reader);
    int exit_status = connect_to(path, &session->fd);
    if (exit_status != EX_OK) {
        return exit_status;
    }
    if (!read_reply(session, false)) {
        return tell_lost("at once");
    }
    if (session->reply.code != 220) {
        return tell_refusal(session, "the connection");
    }
    struct str greeting = session->reply.text;
    str_cut(greeting, ' ', &greeting, &rest);
    session->domain = arena_str_dup(arena, greeting);
    if (!ask(session, "EHLO localhost")) {
        return tell_lost("at EHLO");
    }
    return session->reply.code == 250 ? EX_OK : tell_refusal(session, "EHLO");
}

void
sendmail_session_close(struct sendmail_session *session)
{
    if (session->fd >= 0) {
        close(session->fd);
    }
    smtp_reply_reader_fini(&session->reader);
}

/* ---- the message */

static bool
needs_utf8(const struct sendmail_envelope *envelope)
{
    bool utf8 = !str_is_ascii(envelope->sender);
    for (size_t i = 0; i < envelope->recipient_count && !utf8; i++) {
        utf8 = !str_is_ascii(envelope->recipients[i]);
    }
    return utf8;
}

static int
say_sender(struct sendmail_session *session, const struct sendmail_envelope *envelope)
{
    const char *id = envelope->envelope_id;
    struct str encoded =
        id != NULL ? smtp_xtext_encode(session->arena, str_from_cstr(id)) : STR("");
    const char *part = envelope->return_part;
    bool said = ask(session, "MAIL FROM:<%.*s> SIZE=%zu%s%s%s%s%s%.*s", STR_ARG(envelope->sender),
                    envelope->content.n, str_is_ascii(envelope->content) ? "" : " BODY=8BITMIME",
                    needs_utf8(envelope) ? " SMTPUTF8" : "", part != NULL ? " RET=" : "",
                    part != NULL ? part : "", id != NULL ? " ENVID=" : "", STR_ARG(encoded));
    if (!said) {
        return tell_lost("at the sender");
    }
    return session->reply.code == 250 ? EX_OK : tell_refusal(session, "the sender");
}

static int
say_recipients(struct sendmail_session *session, const struct sendmail_envelope *envelope)
{
    const char *notify = envelope->notify;
    int exit_status = EX_OK;
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        struct str address = envelope->recipients[i];
        if (!ask(session, "RCPT TO:<%.*s>%s%s", STR_ARG(address), notify != NULL ? " NOTIFY=" : "",
                 notify != NULL ? notify : "")) {
            return tell_lost("at a recipient");
        }
        if (session->reply.code != 250) {
            char what[COMMAND_MAX];
            snprintf(what, sizeof what, "the recipient %.*s", STR_ARG(address));
            int refused = tell_refusal(session, what);
            /* A lasting refusal is not made better by trying again. */
            exit_status =
                exit_status == EX_OK || exit_status == EX_TEMPFAIL ? refused : exit_status;
        }
    }
    return exit_status;
}

/* RFC 5321 4.5.2: a dot at the beginning of a line is doubled. */
static bool
send_content(int fd, struct str content)
{
    while (content.n > 0) {
        size_t n = 0;
        if (content.p[0] == '.' && !send_all(fd, STR("."))) {
            return false;
        }
        do { /* up to the next line with a dot */
            size_t line = str_find_char(str_skip(content, n), '\n');
            n = line == STR_NPOS ? content.n : n + line + 1;
        } while (n < content.n && content.p[n] != '.');
        if (!send_all(fd, str_head(content, n))) {
            return false;
        }
        content = str_skip(content, n);
    }
    return send_all(fd, STR(".\r\n"));
}

int
sendmail_session_send(struct sendmail_session *session, const struct sendmail_envelope *envelope)
{
    int exit_status = say_sender(session, envelope);
    if (exit_status == EX_OK) {
        exit_status = say_recipients(session, envelope);
    }
    if (exit_status != EX_OK) {
        return exit_status;
    }
    if (!ask(session, "DATA")) {
        return tell_lost("before the message");
    }
    if (session->reply.code != 354) {
        return tell_refusal(session, "the message");
    }
    /* A server that refuses a message while it comes says so and closes: its reply can still be
     * read. */
    bool sent = send_content(session->fd, envelope->content);
    if (!read_reply(session, true)) {
        return tell_lost(sent ? "before it said what became of the message" : "within the message");
    }
    if (session->reply.code != 250) {
        return tell_refusal(session, "the message");
    }
    ask(session, "QUIT");
    return EX_OK;
}

/* ---- a session of somebody else */

static bool
write_all(int fd, struct str octets)
{
    while (octets.n > 0) {
        ssize_t n = write(fd, octets.p, octets.n);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        octets = str_skip(octets, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* One read from `from`. False: it is at its end. */
static bool
copy_some(int from, int to, bool to_socket)
{
    static char buffer[COPY_SIZE];
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    struct str octets = str_make(buffer, (size_t)n);
    return to_socket ? send_all(to, octets) : write_all(to, octets);
}

int
sendmail_session_copy(const char *path)
{
    int fd = -1;
    int exit_status = connect_to(path, &fd);
    if (exit_status != EX_OK) {
        return exit_status;
    }
    struct pollfd polled[2] = {{.fd = fd, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
    bool open = true;
    while (open && (poll(polled, 2, -1) >= 0 || errno == EINTR)) {
        if (polled[1].revents != 0 && !copy_some(STDIN_FILENO, fd, true)) {
            shutdown(fd, SHUT_WR);
            polled[1].fd = -1;
            polled[1].revents = 0;
        }
        open = polled[0].revents == 0 || copy_some(fd, STDOUT_FILENO, false);
    }
    close(fd);
    return EX_OK;
}
