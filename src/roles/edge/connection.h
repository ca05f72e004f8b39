/*
 * connection.h - one client's connection: its life, its phases, its reading and writing.
 *
 * A connection goes through phases in the order of enum connection_phase, skipping what does not
 * apply, and back from STARTTLS to the handshake. connection_run() carries it as far as it can go
 * now; then the loop waits for its socket, for its deadline, or for an answer of another role.
 * Whoever is called by the loop ends with connection_settle(), which frees what has been closed in
 * the meantime: inside, a closed connection stays valid.
 *
 * An idle connection has no buffers: what is read goes from the edge's one read buffer straight
 * into the SMTP core, and is copied only when the core has to wait.
 */
#ifndef POSTERN_ROLES_EDGE_CONNECTION_H
#define POSTERN_ROLES_EDGE_CONNECTION_H

#include "base/random.h"
#include "config/local_user.h"
#include "roles/edge/edge.h"
#include "trace/trace.h"

struct request;
struct sockaddr;
struct transaction;

enum connection_phase {
    CONNECTION_PROXY,     /* waiting for the PROXY header */
    CONNECTION_PREGREET,  /* the greeting is held back: who talks now is no SMTP client */
    CONNECTION_HANDSHAKE, /* TLS */
    CONNECTION_SMTP,
    CONNECTION_STARTTLS, /* "220 Go ahead" is being written; then the handshake */
    CONNECTION_LINGER,   /* all is said; what still comes is dropped, so that it is not reset */
};

/* What the session waits for in CONNECTION_SMTP. */
enum connection_need {
    CONNECTION_NEEDS_INPUT,
    CONNECTION_NEEDS_ROOM,   /* the client must read its replies first */
    CONNECTION_NEEDS_ANSWER, /* of another role */
    CONNECTION_NEEDS_TLS,    /* the output is to be written, then the handshake follows */
    CONNECTION_NEEDS_CLOSE,  /* the output is to be written, then it is over */
};

struct connection {
    struct edge *edge;
    struct connection *prev;
    struct connection *next;
    struct profile *profile; /* one reference */
    const struct profile_listener *listener;
    const struct config_zone *zone; /* in profile->config; NULL: in none */
    int fd;                         /* owned */
    struct event *event;
    short interest; /* EV_READ, EV_WRITE: what `event` is registered for; 0: not at all */
    struct wheel_entry deadline;
    enum connection_phase phase;
    enum connection_need need;
    bool closed;          /* connection_settle frees it */
    bool did_read;        /* since the last event */
    bool drained;         /* the last read took all there was: the next octets come with an event */
    bool progressed;      /* since the deadline was set: a command, content, a reply written */
    bool write_blocked;   /* the socket takes no more now */
    bool more_to_read;    /* it was not emptied: others get their turn first */
    bool muted;           /* its socket was readable while nobody wanted to read */
    bool by_proxy_itself; /* the PROXY header said LOCAL or UNKNOWN: in no zone */
    bool noteworthy;      /* something happened that the ledger should know of */
    const char *reason;   /* why it ends; static; NULL: not known yet */
    char local_user[LOCAL_USER_MAX]; /* "uid:33", as the kernel says; "": it came over IP */
    uint32_t local_uid;              /* his number */
    struct ip_address client;        /* of a local user: 127.0.0.1 */
    struct ip_address proxy;         /* who sent the PROXY header; all zero: none */
    struct ip_address server;
    uint16_t client_port;
    uint16_t server_port;
    struct admission_place place;
    struct tls_connection *tls;      /* NULL: in the clear */
    struct smtp_server *core;        /* NULL before the greeting */
    struct buf input;                /* read, but not taken by the core yet */
    uint64_t charged;                /* of edge->memory */
    struct request *request;         /* outstanding; NULL: none */
    struct transaction *transaction; /* NULL: none */
    char id[ID_LENGTH + 1];          /* of the session */
    struct trace trace;
    /* What record.c remembers of the command that is being answered. */
    struct str verb;            /* static text */
    struct str argument;        /* borrowed from the input; empty once the feed has returned */
    struct str mechanism;       /* of AUTH; static text */
    char *claimed_user;         /* in AUTH; owned */
    const char *why;            /* of the next refusal; static; NULL: it speaks for itself */
    const char *breach;         /* of the protocol, which ends the connection; static; NULL: none */
    bool recorded;              /* the next reply is in the trace already */
    int64_t opened_ms;          /* monotonic */
    int64_t content_started_ms; /* of the message data, or chunk, that is coming in */
    uint64_t content_octets;    /* of it since then, those of refused data too */
    uint64_t octets_in;
    uint64_t octets_out;
    uint64_t octets_dropped; /* while lingering */
    uint32_t commands;
};

/* A connection that was just accepted; owns fd. It may be closed already when this returns. */
void connection_open(struct edge *edge, const struct profile_listener *listener, int fd,
                     const struct sockaddr *peer);

/* Ends it without another word; `reason` is static and told in log and trace. */
void connection_close(struct connection *connection, const char *reason);
/* Frees it if it has been closed, else arranges for the next event and deadline. */
void connection_settle(struct connection *connection);
/* Says a 4yz or 5yz reply if the session can, and closes. */
void connection_end(struct connection *connection, const struct smtp_reply *reply,
                    const char *reason);
/* The edge stops: idle sessions end now, transactions may finish. */
void connection_stop(struct connection *connection, bool at_once);

/* The next phase, with its own deadline. */
void connection_enter(struct connection *connection, enum connection_phase phase);
/* Greets, and goes on as SMTP; see session_begin. */
void connection_begin_session(struct connection *connection, bool early_talk);
/* Its deadline has come; for the wheel. */
void connection_deadline_due(struct connection *connection);

/* Charges the difference to what it was charged before to the memory budget. */
void connection_charge(struct connection *connection);

/* ---- admit.c */
/* The client's address is known (connection itself, or PROXY header): admit it and go on. */
void connection_admit(struct connection *connection);

/* ---- phase.c */
/* Goes on as far as possible now. */
void connection_run(struct connection *connection);

/* ---- phase.c: reading and writing, in the clear or through TLS; statuses as in tls/server.h */
[[nodiscard]] enum status connection_read(struct connection *connection, char *out, size_t size,
                                          size_t *read_out);
[[nodiscard]] enum status connection_write(struct connection *connection, struct str octets,
                                           size_t *written_out);

/* Whether the client has sent more than what has been read. */
bool connection_input_waits(struct connection *connection);

/* ---- proxy.c */
void connection_run_proxy(struct connection *connection);

/* ---- session.c */
/* Creates the core and greets. With early_talk: refuses who spoke first. */
void session_begin(struct connection *connection, bool early_talk);
/* Feeds the core with `input` until it needs something; counts what was used. */
enum connection_need session_feed(struct connection *connection, struct str input,
                                  size_t *used_out);
void session_tls_started(struct connection *connection);
/* Goes on after an answer; for the callbacks of requests. */
void session_resume(struct connection *connection);

#endif
