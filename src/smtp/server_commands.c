/* The table of commands, and the commands that belong to the session: HELO to QUIT. */
#include "smtp/server_internal.h"

enum command_flag {
    BEFORE_TLS = 1 << 0,  /* also where TLS is required and missing (RFC 3207 4) */
    NEEDS_AUTH = 1 << 1,  /* 530 on submission listeners before AUTH (RFC 6409 4.3) */
    NO_ARGUMENT = 1 << 2, /* 501 for anything behind the verb */
    IDLE = 1 << 3,        /* brings no mail nearer; counted against limits.idle_commands */
    WAITS = 1 << 4,       /* the client must wait for the reply (RFC 2920 3.1) */
    ANY_TIME = 1 << 5,    /* what a HELO client may send more behind, too */
};

struct command {
    struct str verb;
    unsigned states; /* set of 1 << enum smtp_server_state */
    unsigned flags;
    struct smtp_action (*handler)(struct smtp_server *server, struct str argument);
    const char *rfc;
};

#define IN(state)      (1u << SMTP_STATE_##state)
#define IN_TRANSACTION (IN(MAIL) | IN(RCPT) | IN(BDAT) | IN(BDAT_FAILED))
#define IN_SESSION     (IN(READY) | IN_TRANSACTION)
#define ANYWHERE       (IN(GREETED) | IN_SESSION)

/* ---- HELO, EHLO ---- */

/* Memory for reading one name, the longest that smtp_domain_parse takes included. */
#define HELO_SCRATCH (32u * SMTP_DOMAIN_MAX)

static bool
is_printable_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return true;
}

/* RFC 5321 4.1.1.1 and 4.1.3. SMTP_HELO_NONE: not acceptable at all. */
static enum smtp_helo_form
helo_form(struct str name)
{
    struct ip_address ip;
    if (name.n == 0 || name.n > SMTP_DOMAIN_MAX || !is_printable_ascii(name)) {
        return SMTP_HELO_NONE;
    }
    if (name.p[0] == '[') {
        return smtp_literal_parse(name, &ip) == STATUS_OK ? SMTP_HELO_LITERAL : SMTP_HELO_MALFORMED;
    }
    struct arena *scratch = arena_create(4u * SMTP_DOMAIN_MAX);
    struct str domain;
    bool is_domain = smtp_domain_parse(scratch, name, 0, &domain) == STATUS_OK &&
                     ip_parse(name, &ip) != STATUS_OK;
    arena_destroy(&scratch);
    if (!is_domain) {
        return SMTP_HELO_MALFORMED;
    }
    return str_contains_char(name, '.') ? SMTP_HELO_DOMAIN : SMTP_HELO_LABEL;
}

/*
 * A name that is none, in a form that can be told and logged. Who submits mail is known by his
 * login: the name decides nothing, and printers and telephones do not let anybody mend it.
 */
static struct str
helo_mend(const struct smtp_server *server, struct arena *scratch, struct str name)
{
    struct str domain;
    if (name.n == 0) {
        return smtp_literal_format(scratch, &server->session.client);
    }
    if (smtp_domain_parse(scratch, name, SMTP_ADDRESS_UTF8, &domain) == STATUS_OK) {
        return domain;
    }
    name = str_head(name, SMTP_DOMAIN_MAX);
    char *text = arena_cstr(scratch, name);
    for (size_t i = 0; text != NULL && i < name.n; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            text[i] = '?';
        }
    }
    return str_make(text, text != NULL ? name.n : 0);
}

/* Notes who the client says it is; false when it was refused. Ends a transaction (4.1.1.1). */
static bool
take_helo(struct smtp_server *server, struct str name, bool esmtp)
{
    enum smtp_helo_form form = helo_form(name);
    struct arena *scratch = arena_create(HELO_SCRATCH);
    if (form == SMTP_HELO_NONE && server->settings->any_helo) {
        name = helo_mend(server, scratch, name);
        form = helo_form(name);
    }
    if (form != SMTP_HELO_NONE) {
        memcpy(server->helo, name.p, name.n);
        server->helo[name.n] = '\0';
        server->session.helo = str_make(server->helo, name.n);
        server->session.helo_form = form;
    }
    arena_destroy(&scratch);
    if (form == SMTP_HELO_NONE) {
        server_reply(server, SMTP_REPLY(501, 5, 5, 4, "A domain or an address literal, please"));
        return false;
    }
    server->session.esmtp = esmtp;
    server_transaction_end(server);
    server_set_state(server, SMTP_STATE_READY);
    return true;
}

static struct smtp_action
helo(struct smtp_server *server, struct str argument)
{
    if (take_helo(server, argument, false)) {
        server_reply(server, (struct smtp_reply){.code = 250, .text = server->settings->hostname});
    }
    return server_no_action();
}

static enum status
append_auth(const struct smtp_server *server, struct buf *text)
{
    static const enum smtp_auth_mechanism order[] = {
        SMTP_AUTH_SCRAM_SHA_256_PLUS, SMTP_AUTH_SCRAM_SHA_256, SMTP_AUTH_PLAIN, SMTP_AUTH_LOGIN};
    unsigned offered = server_auth_offered(server);
    enum status status = offered != 0 ? buf_append(text, STR("\nAUTH")) : STATUS_OK;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if ((offered & order[i]) != 0 && status == STATUS_OK) {
            status = buf_printf(text, " %s", sasl_mechanism_name(order[i]));
        }
    }
    return status;
}

/* RFC 9422: what this server holds to. */
static enum status
append_limits(const struct smtp_server *server, struct buf *text)
{
    const struct smtp_server_limits *limits = &server->settings->limits;
    enum status status = buf_printf(text, "\nLIMITS RCPTMAX=%u", limits->recipients);
    if (status == STATUS_OK && limits->transactions != 0) {
        status = buf_printf(text, " MAILMAX=%u", limits->transactions);
    }
    return status;
}

/* Each extension by its name in the IANA registry; the order says nothing. */
static enum status
ehlo_text(const struct smtp_server *server, struct buf *text)
{
    const struct smtp_server_settings *settings = server->settings;
    bool starttls = settings->tls != SMTP_TLS_NONE && !server->session.tls;
    enum status status =
        buf_printf(text, "%.*s\nPIPELINING\nSIZE %llu\n8BITMIME%s%s%s\nENHANCEDSTATUSCODES%s",
                   STR_ARG(settings->hostname), (unsigned long long)settings->limits.message_size,
                   settings->smtputf8 ? "\nSMTPUTF8" : "", settings->chunking ? "\nCHUNKING" : "",
                   settings->dsn ? "\nDSN" : "", starttls ? "\nSTARTTLS" : "");
    if (status == STATUS_OK) {
        status = append_auth(server, text);
    }
    if (status == STATUS_OK) {
        status = append_limits(server, text);
    }
    return status == STATUS_OK ? buf_append(text, STR("\nHELP")) : status;
}

static struct smtp_action
ehlo(struct smtp_server *server, struct str argument)
{
    if (!take_helo(server, argument, true)) {
        return server_no_action();
    }
    struct buf text;
    buf_init(&text, SMTP_SERVER_OUTPUT_HIGH);
    enum status status = ehlo_text(server, &text);
    server_reply(server, status == STATUS_OK
                             ? (struct smtp_reply){.code = 250, .text = buf_str(&text)}
                             : smtp_reply_for_status(status));
    buf_free(&text);
    return server_no_action();
}

/* ---- STARTTLS ---- */

static struct smtp_action
starttls(struct smtp_server *server, struct str argument)
{
    (void)argument;
    if (server->session.tls) {
        server_reply(server, SMTP_REPLY(503, 5, 5, 1, "TLS is already active"));
        return server_no_action();
    }
    if (server->settings->tls == SMTP_TLS_NONE) {
        server_reply(server, SMTP_REPLY(502, 5, 5, 1, "STARTTLS is not offered"));
        return server_no_action();
    }
    if (server->tls_unavailable) { /* RFC 3207 4 */
        server_reply(server, SMTP_REPLY(454, 4, 7, 0, "TLS is not available now; try again later"));
        return server_no_action();
    }
    server_reply(server, SMTP_REPLY(220, 2, 0, 0, "Go ahead"));
    server_set_state(server, SMTP_STATE_WAIT_TLS);
    return (struct smtp_action){.kind = SMTP_ACTION_START_TLS};
}

/* ---- the small ones ---- */

static struct smtp_action
rset(struct smtp_server *server, struct str argument)
{
    (void)argument;
    server_transaction_end(server);
    if (server->state != SMTP_STATE_GREETED) {
        server_set_state(server, SMTP_STATE_READY);
    }
    server_reply(server, SMTP_REPLY(250, 2, 0, 0, "Ok"));
    return server_no_action();
}

static struct smtp_action
noop(struct smtp_server *server, struct str argument)
{
    (void)argument; /* RFC 5321 4.1.1.9: may be there, is ignored */
    server_reply(server, SMTP_REPLY(250, 2, 0, 0, "Ok"));
    return server_no_action();
}

static struct smtp_action
help(struct smtp_server *server, struct str argument)
{
    (void)argument;
    server_reply(server, SMTP_REPLY(214, 2, 0, 0,
                                    "HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT\n"
                                    "RSET NOOP HELP VRFY QUIT\n"
                                    "See RFC 5321"));
    return server_no_action();
}

/* RFC 5321 3.5.3 and 7.3: who exists is not told here. */
static struct smtp_action
vrfy(struct smtp_server *server, struct str argument)
{
    if (argument.n == 0) {
        server_reply(server, SMTP_REPLY(501, 5, 5, 4, "VRFY whom?"));
    } else {
        server_reply(server, SMTP_REPLY(252, 2, 1, 5, "Cannot VRFY; send mail and see"));
    }
    return server_no_action();
}

static struct smtp_action
expn(struct smtp_server *server, struct str argument)
{
    (void)argument;
    server_reply(server, SMTP_REPLY(502, 5, 5, 1, "EXPN is not offered"));
    return server_no_action();
}

static struct smtp_action
quit(struct smtp_server *server, struct str argument)
{
    (void)argument;
    server_reply_and_close(server, SMTP_REPLY(221, 2, 0, 0, "Bye"));
    return server_no_action();
}

/* ---- the table ---- */

/*
 * BDAT is allowed everywhere: its octets follow at once and have to be read past in any case.
 *
 * RFC 2920 3.1 has VRFY, EXPN, NOOP and QUIT end a group too; they do no harm, and clients differ.
 * What stands behind STARTTLS is dropped (RFC 3207 4.2).
 */
/* clang-format off */
static const struct command command_table[] = {
    /* verb, states, flags, handler, RFC and section */
    {STR_INIT("HELO"), ANYWHERE, WAITS, helo, "RFC 5321 4.1.1.1"},
    {STR_INIT("EHLO"), ANYWHERE, BEFORE_TLS | WAITS, ehlo, "RFC 5321 4.1.1.1"},
    {STR_INIT("MAIL"), IN(READY), NEEDS_AUTH, server_mail, "RFC 5321 4.1.1.2"},
    {STR_INIT("RCPT"), IN(MAIL) | IN(RCPT), 0, server_rcpt, "RFC 5321 4.1.1.3"},
    {STR_INIT("DATA"), IN(MAIL) | IN(RCPT), NO_ARGUMENT | WAITS, server_data, "RFC 5321 4.1.1.4"},
    {STR_INIT("BDAT"), ANYWHERE, BEFORE_TLS | ANY_TIME, server_bdat, "RFC 3030 2"},
    {STR_INIT("RSET"), ANYWHERE, NO_ARGUMENT | IDLE, rset, "RFC 5321 4.1.1.5"},
    {STR_INIT("VRFY"), ANYWHERE, NEEDS_AUTH | IDLE, vrfy, "RFC 5321 4.1.1.6"},
    {STR_INIT("EXPN"), ANYWHERE, NEEDS_AUTH | IDLE, expn, "RFC 5321 4.1.1.7"},
    {STR_INIT("HELP"), ANYWHERE, IDLE, help, "RFC 5321 4.1.1.8"},
    {STR_INIT("NOOP"), ANYWHERE, BEFORE_TLS | IDLE, noop, "RFC 5321 4.1.1.9"},
    {STR_INIT("QUIT"), ANYWHERE, BEFORE_TLS | NO_ARGUMENT | ANY_TIME, quit, "RFC 5321 4.1.1.10"},
    {STR_INIT("STARTTLS"), IN(READY), BEFORE_TLS | NO_ARGUMENT | ANY_TIME, starttls, "RFC 3207 4"},
    {STR_INIT("AUTH"), IN(READY), WAITS, server_auth, "RFC 4954 4"},
};
/* clang-format on */

static const struct command *
command_find(struct str verb)
{
    for (size_t i = 0; i < sizeof command_table / sizeof command_table[0]; i++) {
        if (str_eq_nocase(verb, command_table[i].verb)) {
            return &command_table[i];
        }
    }
    return NULL;
}

/*
 * What the trace may see: of AUTH the mechanism, of an unknown line nothing, because it may be the
 * password of a client that lost step.
 */
static void
command_event(struct smtp_server *server, const struct command *command, struct str argument)
{
    struct smtp_event event = {.kind = SMTP_EVENT_COMMAND, .verb = STR("unknown")};
    if (command != NULL) {
        event.verb = command->verb;
        event.argument = argument;
        event.rfc = command->rfc;
    }
    if (command != NULL && command->handler == server_auth) {
        unsigned mechanism = sasl_mechanism_find(str_head(argument, str_find_char(argument, ' ')));
        event.argument = str_from_cstr(sasl_mechanism_name((enum smtp_auth_mechanism)mechanism));
    }
    server_event(server, &event);
}

/* Counts the command; false when there were too many and the connection ends. */
static bool
command_count(struct smtp_server *server, const struct command *command)
{
    const struct smtp_server_limits *limits = &server->settings->limits;
    server->commands++;
    if (command != NULL && (command->flags & IDLE) != 0) {
        server->idle_commands++;
    }
    if ((limits->commands != 0 && server->commands > limits->commands) ||
        server->idle_commands > limits->idle_commands) {
        server_reply_and_close(server, SMTP_REPLY(421, 4, 7, 0, "Too many commands"));
        return false;
    }
    return true;
}

static struct smtp_reply
wrong_state_reply(const struct smtp_server *server, const struct command *command)
{
    if (server->state == SMTP_STATE_GREETED) {
        return SMTP_REPLY(503, 5, 5, 1, "Say EHLO or HELO first");
    }
    if (server->state == SMTP_STATE_BDAT || server->state == SMTP_STATE_BDAT_FAILED) {
        return SMTP_REPLY(503, 5, 5, 1, "Within BDAT; finish with LAST or RSET"); /* 3030 2 */
    }
    if (command->handler == server_mail) {
        return SMTP_REPLY(503, 5, 5, 1, "Sender already given");
    }
    if (command->handler == server_rcpt || command->handler == server_data) {
        return SMTP_REPLY(503, 5, 5, 1, "Sender not yet given");
    }
    return SMTP_REPLY(503, 5, 5, 1, "Not within a mail transaction");
}

/* Whether the command may run now; replies if not. */
static bool
command_admit(struct smtp_server *server, const struct command *command, struct str argument)
{
    const struct smtp_server_settings *settings = server->settings;
    struct smtp_reply reply;
    if (settings->tls == SMTP_TLS_REQUIRED && !server->session.tls &&
        (command->flags & BEFORE_TLS) == 0) {
        reply = SMTP_REPLY(530, 5, 7, 0, "Must issue a STARTTLS command first");
    } else if ((command->states & (1u << server->state)) == 0) {
        reply = wrong_state_reply(server, command);
    } else if (settings->kind != SMTP_LISTENER_MX && server->session.user.n == 0 &&
               (command->flags & NEEDS_AUTH) != 0) {
        reply = SMTP_REPLY(530, 5, 7, 0, "Authentication required");
    } else if ((command->flags & NO_ARGUMENT) != 0 && argument.n > 0) {
        reply = SMTP_REPLY(501, 5, 5, 4, "This command takes no argument");
    } else {
        return true;
    }
    server_reply(server, reply);
    return false;
}

/* ---- other protocols and clients that do not wait ---- */

/* Methods of HTTP and its kin, for requests that do not name their protocol. */
static const struct str foreign_verbs[] = {
    STR_INIT("GET"),    STR_INIT("POST"),    STR_INIT("PUT"),   STR_INIT("HEAD"),
    STR_INIT("DELETE"), STR_INIT("OPTIONS"), STR_INIT("TRACE"), STR_INIT("PATCH"),
    STR_INIT("PRI"),    STR_INIT("CONNECT"),
};

/* How a last word, or a banner, begins that names its protocol: "HTTP/1.1", "SSH-2.0-x". */
static const struct str foreign_words[] = {
    STR_INIT("HTTP/"), STR_INIT("SIP/"), STR_INIT("RTSP/"), STR_INIT("SSH-"), STR_INIT("ICY/"),
};

bool
server_is_foreign_octet(char first)
{
    unsigned char c = (unsigned char)first;
    bool blank = c == '\0' || c == '\t' || c == '\r' || c == '\n';
    return (c < ' ' && !blank) || c > '~';
}

void
server_not_smtp(struct smtp_server *server)
{
    server_note(server, SMTP_ANOMALY_NOT_SMTP);
    server_reply_and_close(server,
                           SMTP_REPLY(554, 5, 5, 0, "This is a mail server; it speaks SMTP"));
}

/* The front of the line up to the first blank or slash ("GET/"), and its last word. */
static void
foreign_parts(struct str line, struct str *verb_out, struct str *last_out)
{
    size_t start = line.n;
    size_t end = 0;
    while (start > 0 && line.p[start - 1] != ' ' && line.p[start - 1] != '\t') {
        start--;
    }
    while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t' && line.p[end] != '/') {
        end++;
    }
    *verb_out = str_head(line, end);
    *last_out = str_skip(line, start);
}

static bool
is_foreign(struct str line)
{
    struct str verb;
    struct str last;
    foreign_parts(line, &verb, &last);
    for (size_t i = 0; i < sizeof foreign_verbs / sizeof foreign_verbs[0]; i++) {
        if (str_eq_nocase(verb, foreign_verbs[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof foreign_words / sizeof foreign_words[0]; i++) {
        if (str_starts_with_nocase(line, foreign_words[i]) ||
            str_starts_with_nocase(last, foreign_words[i])) {
            return true;
        }
    }
    return false;
}

/*
 * Whether more has come where the client had to wait. PIPELINING is learnt from the reply to EHLO:
 * without one nothing may be pipelined. What stands behind a command that we do not know may be
 * its content.
 */
static bool
is_out_of_turn(const struct smtp_server *server, const struct command *command)
{
    unsigned flags = command != NULL ? command->flags : WAITS;
    bool ahead = server->ahead && (command == NULL || command->handler != quit);
    bool must_wait = (flags & WAITS) != 0 || (!server->session.esmtp && (flags & ANY_TIME) == 0);
    return ahead || (must_wait && server_input_waits(server));
}

struct smtp_action
server_command(struct smtp_server *server, struct str line)
{
    line = str_trim(line); /* RFC 5321 4.1.1: trailing white space is tolerated */
    size_t verb_length = str_find_char(line, ' ');
    struct str verb = str_head(line, verb_length);
    struct str argument = str_trim(str_skip(line, verb.n));
    const struct command *command = command_find(verb);
    command_event(server, command, argument);
    if (command == NULL && is_foreign(line)) {
        server_not_smtp(server);
        return server_no_action();
    }
    if (is_out_of_turn(server, command)) {
        server_out_of_turn(server);
        return server_no_action();
    }
    if (!command_count(server, command)) {
        return server_no_action();
    }
    const struct smtp_server_limits *limits = &server->settings->limits;
    bool auth = command != NULL && command->handler == server_auth;
    if (line.n + 2 > (auth ? limits->auth_line : limits->command_line)) {
        server_note(server, SMTP_ANOMALY_LINE_TOO_LONG);
        server_reply(server, SMTP_REPLY(500, 5, 5, 2, "Line too long")); /* 5321 4.5.3.1.9 */
    } else if (command == NULL) {
        server_reply(server, SMTP_REPLY(500, 5, 5, 1, "Unknown command"));
    } else if (command_admit(server, command, argument)) {
        return command->handler(server, argument);
    }
    return server_no_action();
}

void
server_bad_line(struct smtp_server *server, enum smtp_line_result result)
{
    bool auth = server->state == SMTP_STATE_AUTH;
    struct smtp_reply reply = SMTP_REPLY(500, 5, 5, 2, "Line too long");
    switch (result) {
    case SMTP_LINE_BARE_LF:
    case SMTP_LINE_BARE_CR:
        /* What follows may be somebody else's idea of a command: nothing more is read. */
        server_note(server,
                    result == SMTP_LINE_BARE_LF ? SMTP_ANOMALY_BARE_LF : SMTP_ANOMALY_BARE_CR);
        server_reply_and_close(server, SMTP_REPLY(521, 5, 5, 2, "Lines must end in CR LF"));
        return;
    case SMTP_LINE_FLOOD:
        server_note(server, SMTP_ANOMALY_LINE_TOO_LONG);
        server_reply_and_close(server, reply);
        return;
    case SMTP_LINE_NUL:
        server_note(server, SMTP_ANOMALY_NUL);
        reply = SMTP_REPLY(500, 5, 5, 2, "NUL in a line");
        break;
    case SMTP_LINE_TOO_LONG:
        server_note(server, SMTP_ANOMALY_LINE_TOO_LONG);
        if (auth) {
            reply = SMTP_REPLY(500, 5, 5, 6, "Authentication exchange line is too long");
        }
        break;
    case SMTP_LINE_OK:
    case SMTP_LINE_MORE:
        return;
    }
    if (server_input_waits(server)) {
        server_out_of_turn(server); /* it may have been DATA */
    } else if (auth) {
        server_auth_fail(server, reply);
    } else {
        server_reply(server, reply);
    }
}
