/*
 * client_internal.h - what the files of the client core share. Nobody else includes it.
 *
 * client.c              life, feeding, output, failures
 * client_session.c      greeting, EHLO and what it offers, STARTTLS, QUIT
 * client_auth.c         AUTH
 * client_transaction.c  MAIL to the verdict on the content
 * client_obstacles.c    results, and what is not sent at all
 */
#ifndef POSTERN_SMTP_CLIENT_INTERNAL_H
#define POSTERN_SMTP_CLIENT_INTERNAL_H

#include "base/buf.h"
#include "smtp/client.h"
#include "smtp/client_reply.h"
#include "smtp/client_scram.h"

/*
 * The commands of a transaction, in the order they are sent and answered:
 * [RSET] MAIL RCPT... then DATA and CONTENT, or CONTENT alone (BDAT), or nothing (probe).
 */
enum client_command {
    COMMAND_RSET,
    COMMAND_MAIL,
    COMMAND_RCPT,
    COMMAND_DATA,
    COMMAND_CONTENT,
    COMMAND_NONE, /* past the last */
};

/* A place in that order; `index` is the recipient of RCPT, and of CONTENT's replies in LMTP. */
struct client_cursor {
    enum client_command command;
    size_t index;
};

/* What the server said to a recipient's RCPT. */
struct client_place {
    bool is_sent;     /* false: it had its result before */
    bool is_accepted; /* 2yz */
};

struct client_transaction {
    struct arena *arena; /* results and places; made with the first transaction */
    struct smtp_client_message message;
    struct smtp_client_result *results;
    struct client_place *places;
    size_t accepted_count;
    struct client_cursor next;    /* to be sent */
    struct client_cursor awaited; /* the next reply is for this one */
    bool probe;
    bool chunked;       /* BDAT, not DATA */
    bool smtputf8;      /* the parameter is given */
    bool mail_accepted; /* there is a transaction at the server */
    bool ended;         /* the verdict on the content has come: nothing to reset */
    bool empty_dot;     /* 354 though no recipient was accepted: only a dot is sent */
    bool answered;
    bool chunking_failed; /* BDAT is offered and not known */
};

/* A login under way. What is in it is secret. */
struct client_login {
    struct arena *arena; /* wiped at its end; NULL: none is under way */
    struct smtp_client_login with;
    struct str nonce;
    struct str first; /* what AUTH brings along, or the first challenge gets */
    bool initial_sent;
    enum smtp_client_mechanism mechanism;
    unsigned tried; /* set of 1 << enum smtp_client_mechanism */
    unsigned challenges;
    struct scram_client scram;
};

struct smtp_client {
    const struct smtp_client_settings *settings; /* borrowed */
    enum smtp_client_stage stage;
    enum smtp_client_action action; /* what feed returns when there is nothing to read */
    struct smtp_reply_reader reader;
    uint64_t replies;
    struct buf output; /* commands; they go out before content */
    struct smtp_content_writer content;
    bool has_content; /* `content` waits to be written behind the output */
    struct smtp_client_offers offers;
    struct smtp_client_failure failure;
    char failure_text[SMTP_CLIENT_TEXT_MAX];
    bool encrypted;
    bool tls_refused;
    bool said_helo; /* EHLO was refused */
    bool needs_rset;
    bool logged_in;
    struct client_login login;
    struct client_transaction transaction;
};

/* ---- client.c ---- */
/* Adds to the output; past its ceiling the session fails. */
void client_write(struct smtp_client *client, struct str s);
void client_printf(struct smtp_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the session; `reply` (copied, cut) is the server's, or our own words with code 0. */
void client_fail(struct smtp_client *client, enum smtp_client_problem problem,
                 const struct smtp_reply *reply);
/* The reply makes no sense here. */
void client_fail_reply(struct smtp_client *client, const struct smtp_reply *reply);
void client_ready(struct smtp_client *client);
/*
 * A reply's text in at most SMTP_CLIENT_TEXT_MAX octets: of a longer one the beginning and the end,
 * which is where its reason stands. Borrowed from text or, when it was cut, from `room`.
 */
struct str client_text_cut(struct str text, char room[SMTP_CLIENT_TEXT_MAX]);

/* ---- client_session.c ---- */
void client_hello(struct smtp_client *client);
/* Handles the reply in a stage that belongs to no transaction. */
void client_session_reply(struct smtp_client *client, const struct smtp_reply *reply);

/* ---- client_auth.c ---- */
/* The bit of a mechanism, 1 << enum smtp_client_mechanism; 0: it is not used here. */
unsigned client_mechanism_find(struct str name);
void client_auth_reply(struct smtp_client *client, const struct smtp_reply *reply);
/* Wipes what is left of a login. */
void client_login_forget(struct smtp_client *client);

/* ---- client_obstacles.c ---- */
/* The result of a recipient that has none yet; the text is copied (cut). */
void client_result_set(struct client_transaction *t, size_t i, enum smtp_client_outcome outcome,
                       enum smtp_client_stage stage, const struct smtp_reply *reply);
/* The same for all that have none. */
void client_result_set_all(struct client_transaction *t, enum smtp_client_outcome outcome,
                           enum smtp_client_stage stage, const struct smtp_reply *reply);
/* Gives their results to recipients that cannot be sent to this server, or to any. */
void client_find_obstacles(struct smtp_client *client);

/* ---- client_transaction.c ---- */
void client_transaction_reply(struct smtp_client *client, const struct smtp_reply *reply);
/* All of the content has been written. */
void client_transaction_content_written(struct smtp_client *client);
/* The session has failed: recipients without a result become temporary. */
void client_transaction_fail(struct smtp_client *client);

#endif
