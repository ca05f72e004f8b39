/*
 * server_internal.h - what the files of the server core share. Nobody else includes it.
 *
 * server.c           life, feeding, results, replies and the one function that changes state
 * server_commands.c  the command table and the commands of the session
 * server_mail.c      MAIL and RCPT
 * server_data.c      DATA, BDAT and the content
 * server_auth.c      AUTH
 */
#ifndef POSTERN_SMTP_SERVER_INTERNAL_H
#define POSTERN_SMTP_SERVER_INTERNAL_H

#include "smtp/content.h"
#include "smtp/line.h"
#include "smtp/sasl.h"
#include "smtp/server.h"

/* An open transaction; in its own arena. */
struct transaction {
    struct arena *arena;
    struct smtp_envelope envelope;
    size_t recipients_room;          /* allocated in envelope.recipients */
    struct smtp_recipient candidate; /* being asked about */
    unsigned recipients_tried;
    struct smtp_content content;
    unsigned small_chunks;
    bool error_noted;
    bool body_given; /* BODY actions have been returned */
};

/* An open AUTH exchange; in its own arena, which is wiped. */
struct auth {
    struct arena *arena;
    struct sasl_exchange exchange;
};

/* The chunk that is being read. */
struct chunk {
    uint64_t left;
    bool last;
    bool refused;            /* its octets are swallowed, then `reply` is given */
    struct smtp_reply reply; /* static text */
};

struct smtp_server {
    const struct smtp_server_settings *settings; /* borrowed */
    struct smtp_server_hooks hooks;
    enum smtp_server_state state;
    enum smtp_server_state state_before; /* of CHUNK: where a refused chunk returns to */
    struct smtp_session session;
    char helo[SMTP_DOMAIN_MAX + 1];  /* what session.helo points to */
    struct arena *arena;             /* of the session: TLS facts, user; NULL until needed */
    struct transaction *transaction; /* NULL: none */
    struct auth *auth;               /* NULL: none */
    struct smtp_line_reader line;
    struct buf output;
    struct chunk chunk;
    unsigned commands;
    unsigned idle_commands;
    unsigned errors;
    unsigned auth_failures;
    bool tls_unavailable; /* for the moment */
    bool discard_pending;
    bool more_input; /* octets stand behind the line, or the end of content, that is handled */
    bool ahead;      /* a HELO client sent more before its message was answered */
};

/* ---- server.c ---- */
void server_set_state(struct smtp_server *server, enum smtp_server_state state);
void server_note(struct smtp_server *server, enum smtp_anomaly anomaly);
void server_event(struct smtp_server *server, const struct smtp_event *event);
/* Queues a reply; counts 5yz and turns the one that is too many into 421 and CLOSING. */
void server_reply(struct smtp_server *server, struct smtp_reply reply);
/* Queues a reply and closes. */
void server_reply_and_close(struct smtp_server *server, struct smtp_reply reply);
/* Ends the transaction, if any; asks the caller to drop a body that was begun. */
void server_transaction_end(struct smtp_server *server);
/* The session's arena, made when first needed. */
struct arena *server_arena(struct smtp_server *server);
/* A reply from outside as it may be sent: not positive, else a 451. */
struct smtp_reply server_refusal(const struct smtp_reply *reply);

/* Whether the client has sent more than what is being handled. */
bool server_input_waits(const struct smtp_server *server);
/*
 * Ends the session of a client that did not wait. Whoever cannot hear our replies (a browser that
 * was sent here, an injected request) sends all at once: nothing behind the point where a client
 * has to wait is run, whatever the reply there would have been (RFC 2920 3.1).
 */
void server_out_of_turn(struct smtp_server *server);

/* ---- server_commands.c ---- */
struct smtp_action server_command(struct smtp_server *server, struct str line);
/* Whether a command line that begins with this octet is another protocol's. */
bool server_is_foreign_octet(char first);
/* Ends the session of a client that speaks another protocol. */
void server_not_smtp(struct smtp_server *server);
/* The reply to a line that smtp_line_read did not give. */
void server_bad_line(struct smtp_server *server, enum smtp_line_result result);

/* ---- handlers: the argument has no blanks at its ends ---- */
struct smtp_action server_mail(struct smtp_server *server, struct str argument);
struct smtp_action server_rcpt(struct smtp_server *server, struct str argument);
struct smtp_action server_data(struct smtp_server *server, struct str argument);
struct smtp_action server_bdat(struct smtp_server *server, struct str argument);
struct smtp_action server_auth(struct smtp_server *server, struct str argument);

/* ---- server_data.c ---- */
/* In DATA or CHUNK: takes content from the front of input. */
struct smtp_action server_content(struct smtp_server *server, struct str input, size_t *used_out);

/* ---- server_auth.c ---- */
struct smtp_action server_auth_line(struct smtp_server *server, struct str line);
void server_auth_end(struct smtp_server *server);
/* Counts a failed attempt, replies, back to READY. */
void server_auth_fail(struct smtp_server *server, struct smtp_reply reply);
/* The mechanisms that can be used now, a set; 0 when AUTH is not available now. */
unsigned server_auth_offered(const struct smtp_server *server);

static inline struct smtp_action
server_no_action(void)
{
    return (struct smtp_action){.kind = SMTP_ACTION_NONE};
}

#endif
