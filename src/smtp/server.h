/*
 * server.h - the SMTP server's protocol core: octets in, actions and reply octets out, no I/O.
 *
 * The edge role owns sockets, TLS, timers and the other roles; this core owns the protocol (RFC
 * 5321 and the extensions listed in doc/rfc.md) and its limits. The edge's loop for one connection:
 *
 *     smtp_server_create(); [smtp_server_tls_started() first where TLS is implicit]
 *     smtp_server_start();                        the greeting is in the output
 *     for each read:  while there is input, or the last feed asked to go on:
 *         action = smtp_server_feed(server, input, &used);  drop `used` octets of the input
 *         do the action (see enum smtp_action_kind)
 *     write smtp_server_output() when feed returned NONE, FLUSH, START_TLS, WAIT or CLOSE
 *
 * Replies are collected, so that pipelined commands are answered with one write. An action that
 * asks somebody is answered by its result function, at any later time; until then feed takes
 * nothing and returns WAIT, and the octets that were not used stay with the caller. After a result,
 * feed again, also with empty input. Result functions may be called from within the handling of the
 * action.
 *
 * The core decides nothing about relaying, users or content: CHECK_SENDER, CHECK_RECIPIENT, the
 * AUTH actions and MESSAGE are where the edge refuses.
 *
 * Ownership: everything an action or an event points to is borrowed until the next call that takes
 * the server, except where a longer life is told. Settings are borrowed for the server's life.
 * Memory: about 1 KiB before a transaction; SMTP_SERVER_*_CEILING bound the rest. One thread.
 */
#ifndef POSTERN_SMTP_SERVER_H
#define POSTERN_SMTP_SERVER_H

#include "base/buf.h"
#include "smtp/envelope.h"
#include "smtp/reply.h"

/* What a session (greeting to close, or to STARTTLS) and a transaction may keep in memory, bytes.
 */
#define SMTP_SERVER_SESSION_CEILING     (16u * 1024u)
/* Each recipient costs its text and about 200 bytes; checked against recipients_max on creation. */
#define SMTP_SERVER_TRANSACTION_CEILING (4u * 1024u * 1024u)
/* feed returns FLUSH while at least this much output waits. */
#define SMTP_SERVER_OUTPUT_HIGH         (16u * 1024u)
/* Most octets of a command line, and of a line of an AUTH exchange, that can be configured. */
#define SMTP_SERVER_LINE_CEILING        65536u
/* What RFC 4954 4 names for the latter, with its CRLF. */
#define SMTP_SERVER_AUTH_LINE           12288u
/* BDAT chunks under this size are counted against limits.small_chunks. */
#define SMTP_SERVER_SMALL_CHUNK         1024u
/* Recipients above this cannot be configured. */
#define SMTP_SERVER_RECIPIENTS_CEILING  10000u

/* ---- settings: one a listener ---- */

enum smtp_listener_kind {
    SMTP_LISTENER_MX,         /* 25: anybody may send to our domains */
    SMTP_LISTENER_SUBMISSION, /* 587: nothing without AUTH (RFC 6409) */
    SMTP_LISTENER_SMTPS,      /* 465: the same, TLS before the greeting (RFC 8314) */
};

enum smtp_tls_mode {
    SMTP_TLS_NONE,          /* STARTTLS is not offered */
    SMTP_TLS_OPPORTUNISTIC, /* offered */
    SMTP_TLS_REQUIRED,      /* 530 5.7.0 for mail before it (RFC 3207 4) */
};

enum smtp_bare_lf {
    SMTP_BARE_LF_REFUSE, /* the message is refused (521) and the connection closed */
    SMTP_BARE_LF_DATA,   /* an octet like others; refused all the same next to a dot */
    /* Becomes CRLF; refused all the same where a dot alone follows, which is no end of data. */
    SMTP_BARE_LF_NORMALIZE,
};

/* A set. */
enum smtp_auth_mechanism {
    SMTP_AUTH_PLAIN = 1 << 0,
    SMTP_AUTH_LOGIN = 1 << 1,
    SMTP_AUTH_SCRAM_SHA_256 = 1 << 2,
    SMTP_AUTH_SCRAM_SHA_256_PLUS = 1 << 3, /* offered where TLS gave a channel binding */
};

/* 0 is no limit only where it says so. */
struct smtp_server_limits {
    size_t command_line;    /* octets of a command line with its CRLF; to the ceiling above */
    size_t auth_line;       /* the same of AUTH and the lines of its exchange */
    uint64_t message_size;  /* octets of content (RFC 1870); 0: none */
    size_t text_line;       /* octets of a content line without CRLF; RFC 5321: 998 */
    unsigned recipients;    /* a transaction; told as RCPTMAX; 1 to the ceiling above */
    unsigned transactions;  /* MAIL commands a connection; told as MAILMAX; 0: none */
    unsigned commands;      /* a connection; 0: none */
    unsigned idle_commands; /* NOOP, HELP, VRFY, RSET, ... between two accepted messages */
    unsigned errors;        /* 5yz replies since the last accepted message; then 421 */
    unsigned auth_failures; /* a connection; the last is answered 421 */
    unsigned received;      /* Received fields; above: a loop, 554 5.4.6 (RFC 5321 6.3) */
    unsigned small_chunks;  /* BDAT chunks under SMTP_SERVER_SMALL_CHUNK octets a message */
    uint64_t discard;       /* octets of refused content that are read past; then it closes */
};

/* Milliseconds; RFC 5321 4.5.3.2 asks for 5 minutes for a command, 3 for data. */
struct smtp_server_timeouts {
    int64_t command_ms;
    int64_t data_ms; /* between two pieces of content */
    int64_t auth_ms; /* for a line of the AUTH exchange */
};

struct smtp_server_settings {
    struct str hostname; /* in greeting, EHLO and Received */
    struct str greeting; /* text after "220 hostname "; empty: "ESMTP" */
    enum smtp_listener_kind kind;
    enum smtp_tls_mode tls;
    enum smtp_bare_lf bare_lf;
    unsigned auth;         /* set of enum smtp_auth_mechanism; 0: AUTH is not offered */
    bool auth_without_tls; /* offers AUTH in the clear; for tests on loopback only */
    bool smtputf8;         /* the extensions that can be turned off */
    bool chunking;
    bool dsn;
    bool strict_paths;            /* refuse "TO: <a@b>" and "TO:a@b" (RFC 5321 3.3) */
    bool long_local_parts;        /* accept local parts above 64 octets */
    bool refuse_malformed_header; /* 554 5.6.0 for a header line that is no field */
    bool refuse_early_talk;       /* close on input before the greeting */
    bool any_helo;                /* HELO and EHLO with any name, or none: what devices send */
    struct smtp_server_limits limits;
    struct smtp_server_timeouts timeouts;
    /* Unpredictable octets; NULL: random_bytes. Tests put their own here. */
    void (*random)(void *p, size_t n);
};

/* Fills *settings with the defaults of the three kinds; the caller sets hostname and certificate
 * dependent members (tls, auth) afterwards. */
void smtp_server_settings_init(struct smtp_server_settings *settings, enum smtp_listener_kind kind);

/* ---- states ---- */

enum smtp_server_state {
    SMTP_STATE_CONNECTED,   /* before the greeting */
    SMTP_STATE_GREETED,     /* no HELO or EHLO yet, or none since STARTTLS */
    SMTP_STATE_READY,       /* HELO or EHLO seen, no transaction */
    SMTP_STATE_MAIL,        /* sender accepted, no recipient yet */
    SMTP_STATE_RCPT,        /* at least one recipient accepted */
    SMTP_STATE_BDAT,        /* between two chunks */
    SMTP_STATE_BDAT_FAILED, /* a chunk was refused; the rest of its message is swallowed */
    SMTP_STATE_DATA,        /* reading content up to CRLF.CRLF */
    SMTP_STATE_CHUNK,       /* reading the octets of a chunk */
    SMTP_STATE_AUTH,        /* waiting for a line of the AUTH exchange */
    SMTP_STATE_WAIT_TLS,
    SMTP_STATE_WAIT_SENDER,
    SMTP_STATE_WAIT_RECIPIENT,
    SMTP_STATE_WAIT_PASSWORD,
    SMTP_STATE_WAIT_SCRAM_BEGIN,
    SMTP_STATE_WAIT_SCRAM_VERIFY,
    SMTP_STATE_WAIT_MESSAGE,
    SMTP_STATE_CLOSING,
    SMTP_STATE_COUNT_, /* not a state */
};

const char *smtp_server_state_name(enum smtp_server_state state);

/* ---- facts about the session ---- */

enum smtp_helo_form {
    SMTP_HELO_NONE,
    SMTP_HELO_DOMAIN,    /* a domain with at least two labels */
    SMTP_HELO_LABEL,     /* a single label ("localhost") */
    SMTP_HELO_LITERAL,   /* "[192.0.2.1]" */
    SMTP_HELO_MALFORMED, /* accepted, but none of RFC 5321 4.1.1.1 (bare address, underscore) */
};

/* What the edge tells after a handshake. The core copies it. */
struct smtp_tls_info {
    struct str version; /* "TLSv1.3" */
    struct str cipher;
    unsigned bits;
    struct str sni;              /* as the client sent it; empty: none */
    struct str tls_exporter;     /* 32 octets, RFC 9266; empty below TLS 1.3 */
    struct str server_end_point; /* hash of our certificate, RFC 5929 4; empty: not usable */
};

struct smtp_session {
    struct ip_address client;
    uint16_t client_port;
    /* As the client gave it. With any_helo: what is not printable ASCII is "?", and an address
     * literal stands for an empty name. */
    struct str helo;
    enum smtp_helo_form helo_form;
    bool esmtp; /* EHLO, not HELO */
    bool tls;
    struct smtp_tls_info tls_info;
    struct str user; /* authenticated identity; empty: none */
    enum smtp_auth_mechanism mechanism;
    unsigned transactions; /* MAIL commands so far */
    unsigned messages;     /* accepted so far */
    bool early_talk;       /* the client spoke before the greeting */
};

/* ---- events, for the trace ---- */

enum smtp_anomaly {
    SMTP_ANOMALY_EARLY_TALK,
    SMTP_ANOMALY_BARE_LF,
    SMTP_ANOMALY_BARE_CR,
    SMTP_ANOMALY_NUL,
    SMTP_ANOMALY_LINE_TOO_LONG,
    SMTP_ANOMALY_AFTER_STARTTLS, /* plaintext behind STARTTLS; it was dropped */
    SMTP_ANOMALY_OUT_OF_TURN,    /* more came where a reply had to be waited for; closed */
    SMTP_ANOMALY_NOT_SMTP,       /* HTTP, TLS, SSH, ... spoken to us; closed */
    SMTP_ANOMALY_PATH_FORM,      /* blank before the path, or no angle brackets */
    SMTP_ANOMALY_HEADER_MALFORMED,
    SMTP_ANOMALY_LOOP,
    SMTP_ANOMALY_TOO_LARGE,
};

const char *smtp_anomaly_name(enum smtp_anomaly anomaly);

enum smtp_event_kind {
    SMTP_EVENT_STATE,   /* from, to */
    SMTP_EVENT_COMMAND, /* verb, argument */
    SMTP_EVENT_REPLY,   /* reply */
    SMTP_EVENT_ANOMALY, /* anomaly */
};

struct smtp_event {
    enum smtp_event_kind kind;
    enum smtp_server_state from, to;
    struct str verb; /* upper case; "unknown" for what is no command */
    /* Raw octets of the client; of AUTH only the mechanism's name, of an unknown command nothing.
     */
    struct str argument;
    const char *rfc; /* of a known command: RFC and section, static */
    const struct smtp_reply *reply;
    enum smtp_anomaly anomaly;
};

struct smtp_server_hooks {
    void (*on_event)(void *ctx, const struct smtp_event *event); /* NULL: not wanted */
    /*
     * Whether the client has sent more than feed has been given. Asked where it has to wait for a
     * reply: once for EHLO, AUTH and DATA, and for each command of a client that says HELO. NULL:
     * there is no more than what feed is given.
     */
    bool (*input_waits)(void *ctx);
    void *ctx;
};

/* ---- actions ---- */

enum smtp_action_kind {
    /* All input is used; come back with more. */
    SMTP_ACTION_NONE,
    /* Write the output before feeding on: the client sends faster than it reads. */
    SMTP_ACTION_FLUSH,
    /* A result is outstanding; nothing was used. */
    SMTP_ACTION_WAIT,
    /*
     * Write the output, then do the server's side of a handshake; then smtp_server_tls_started().
     * What was in the input behind the command has been dropped, and the caller drops what else it
     * has read in the clear (RFC 3207 4.2). A failed handshake ends the connection.
     */
    SMTP_ACTION_START_TLS,
    /* May this sender send? -> smtp_server_sender_result. `sender`; the envelope has the rest. */
    SMTP_ACTION_CHECK_SENDER,
    /* Is this a recipient we accept from this client? -> smtp_server_recipient_result. */
    SMTP_ACTION_CHECK_RECIPIENT,
    /* Verify user and password -> smtp_server_auth_result. Never log the password. */
    SMTP_ACTION_AUTH_PASSWORD,
    /* Salt and iterations of this user's SCRAM keys -> smtp_server_scram_begin_result. */
    SMTP_ACTION_AUTH_SCRAM_BEGIN,
    /* Verify a client proof -> smtp_server_scram_verify_result. */
    SMTP_ACTION_AUTH_SCRAM_VERIFY,
    /* Append `content` to the message's body; then feed on. */
    SMTP_ACTION_BODY,
    /* The transaction ended without a message: drop what BODY gave; then feed on. */
    SMTP_ACTION_DISCARD,
    /* End of data: submit -> smtp_server_message_result. Envelope and facts live until then. */
    SMTP_ACTION_MESSAGE,
    /*
     * Write the output and close. Read and drop what still comes for a moment, or the client may
     * lose the last reply to a reset. Feed uses nothing from here on.
     */
    SMTP_ACTION_CLOSE,
};

/* RFC 5802: what the user's record holder needs. All borrowed; auth_message is RFC 5802 3. */
struct smtp_scram_request {
    struct str user;
    struct str auth_message;
    struct str client_proof; /* 32 octets */
};

struct smtp_action {
    enum smtp_action_kind kind;
    union {
        const struct smtp_address *sender;
        const struct smtp_recipient *recipient;
        struct {
            struct str user;
            struct str password;
        } password;
        struct smtp_scram_request scram; /* BEGIN: only user is set */
        struct str content;
        struct {
            const struct smtp_envelope *envelope;
            const struct smtp_content_facts *facts;
        } message;
    };
};

/* ---- the server ---- */

struct smtp_server;

/*
 * A server for one connection. `hooks` is copied and may be NULL. NULL when the settings are not
 * usable (hostname empty, a limit that must not be 0) or memory is out.
 */
[[nodiscard]] struct smtp_server *smtp_server_create(const struct smtp_server_settings *settings,
                                                     const struct ip_address *client,
                                                     uint16_t client_port,
                                                     const struct smtp_server_hooks *hooks);
/* Wipes what held secrets, frees all, sets *server to NULL. NULL is allowed. */
void smtp_server_destroy(struct smtp_server **server);

/*
 * Before the start: the client is this user, as something else than the protocol has proven (the
 * kernel, of a local user). He needs no AUTH then, and may not ask for another one. Copied.
 */
void smtp_server_identify(struct smtp_server *server, struct str user);

/* Queues the greeting. */
void smtp_server_start(struct smtp_server *server);
/*
 * The client sent something before the greeting (the edge saw its socket become readable while it
 * held the greeting back). Notes it; with refuse_early_talk queues 554 and closes. RFC 5321 4.3.1.
 */
void smtp_server_input_before_greeting(struct smtp_server *server);
/*
 * A handshake succeeded: before smtp_server_start where TLS is implicit, or after START_TLS, when
 * everything known about the session is forgotten (RFC 3207 4.2).
 */
void smtp_server_tls_started(struct smtp_server *server, const struct smtp_tls_info *info);
/*
 * Whether a handshake could succeed now, as far as the edge knows; it could from the start. While
 * not, STARTTLS gets 454 4.7.0 (RFC 3207 4): the client comes again, or goes on as its policy
 * allows.
 */
void smtp_server_tls_available(struct smtp_server *server, bool available);
/*
 * Ends the session from outside: 421 4.4.2 after a time-out, 421 4.3.2 at shutdown, 421 4.3.1 under
 * memory pressure, 554 instead of a greeting. Queues the reply (at once, also while content is
 * being read); the next feed returns CLOSE. Outstanding results are no longer expected and are
 * ignored.
 */
void smtp_server_end(struct smtp_server *server, const struct smtp_reply *reply);

/* See the head of this file. *used_out is the number of octets of input that were taken. */
[[nodiscard]] struct smtp_action smtp_server_feed(struct smtp_server *server, struct str input,
                                                  size_t *used_out);

/* Replies that wait to be written; borrowed until the next call. */
struct str smtp_server_output(const struct smtp_server *server);
/* The first n octets of the output have been written. */
void smtp_server_output_written(struct smtp_server *server, size_t n);

/*
 * Results. `reply` NULL: accepted. A reply that is not valid (smtp_reply_is_valid) or positive
 * becomes 451 4.3.0. A result nobody waits for is ignored.
 */
void smtp_server_sender_result(struct smtp_server *server, const struct smtp_reply *reply);
void smtp_server_recipient_result(struct smtp_server *server, const struct smtp_reply *reply);
/* Here a reply must be given, for acceptance too: it tells the id ("250 2.0.0 Ok: queued as ...").
 */
void smtp_server_message_result(struct smtp_server *server, const struct smtp_reply *reply);

enum smtp_auth_outcome {
    SMTP_AUTH_OK,
    SMTP_AUTH_FAILED,    /* wrong user or password, not told apart: 535 5.7.8 */
    SMTP_AUTH_TEMPORARY, /* 454 4.7.0 */
    SMTP_AUTH_THROTTLED, /* too many guesses: 421 4.7.0 and close */
};

/* `identity`: the user's canonical name, for session and trace; copied. Read only when OK. */
void smtp_server_auth_result(struct smtp_server *server, enum smtp_auth_outcome outcome,
                             struct str identity);
/*
 * OK: salt (1 to 64 octets) and iterations (4096 at least, RFC 7677 4). For an unknown user the
 * holder of the records gives OK with a salt made from a secret and the name, so that names cannot
 * be found out.
 */
void smtp_server_scram_begin_result(struct smtp_server *server, enum smtp_auth_outcome outcome,
                                    struct str salt, unsigned iterations);
/* OK: identity, and the server signature (32 octets, RFC 5802 3). */
void smtp_server_scram_verify_result(struct smtp_server *server, enum smtp_auth_outcome outcome,
                                     struct str identity, struct str server_signature);

enum smtp_server_state smtp_server_state(const struct smtp_server *server);
/* Octets of memory that the session and its transaction hold beyond an idle server. */
size_t smtp_server_memory(const struct smtp_server *server);
/* How long to wait for the client now, in milliseconds; 0: it is not the client's turn. */
int64_t smtp_server_timeout_ms(const struct smtp_server *server);
/* Facts of the session; borrowed, valid until the next call that takes the server. */
const struct smtp_session *smtp_server_session(const struct smtp_server *server);
/* The open transaction; NULL when there is none. */
const struct smtp_envelope *smtp_server_envelope(const struct smtp_server *server);

#endif
