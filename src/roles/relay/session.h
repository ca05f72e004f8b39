/*
 * session.h - one connection to a next hop: socket, TLS and the client core, in plain waiting
 * calls.
 *
 * A session belongs to one thread at a time. Every wait ends at the time-out of its stage
 * (queue.timeouts) or at the session's own deadline, whichever is earlier.
 */
#ifndef POSTERN_ROLES_RELAY_SESSION_H
#define POSTERN_ROLES_RELAY_SESSION_H

#include "config/config.h"
#include "smtp/client.h"
#include "tls/client.h"
#include "transport/verdict.h"

/* "mx.example.com[192.0.2.1]:25", "TLSv1.3 TLS_AES_256_GCM_SHA384". */
#define SESSION_REMOTE_MAX 300u
#define SESSION_TLS_MAX    160u

/* One address to be called. */
struct relay_target {
    bool is_unix;
    struct str host; /* its name, for TLS and people; the path of a Unix socket */
    struct ip_address ip;
    uint16_t port;
    uint16_t preference;               /* of its MX record */
    struct transport_origin origin;    /* how the host was found */
    struct transport_address security; /* how its address was */
    const struct dane *dane;           /* borrowed from the route; NULL: there is no name */
    const struct config_dane_exception *exception; /* why it was not asked for; or NULL */
};

struct relay_session_settings {
    const struct config *config; /* the session takes its own reference */
    struct tls_client *tls;      /* the same */
    enum smtp_client_protocol protocol;
    enum smtp_client_tls wanted;
    const struct transport_demand *demand; /* what TLS must show */
    unsigned ignore;                       /* what EHLO offers in vain: smtp_client_settings */
    int64_t deadline_ms; /* monotonic: all of it ends then; 0: no limit but those of the stages */
};

/* Why a session could not be opened, or how it ended. */
struct relay_session_failure {
    const char *stage; /* connect, or smtp_client_stage_name; static */
    enum smtp_client_problem problem;
    bool encrypted;          /* TLS was in use */
    struct smtp_reply reply; /* the server's, or our own words with code 0; text in `text` */
    char text[SMTP_CLIENT_TEXT_MAX];
    bool unproved;          /* an answer in the clear, where a server must prove who it is */
    bool skip_host;         /* none of the host's addresses may be used */
    bool judged;            /* TLS was made and is not as demanded; these are set then: */
    enum tls_result result; /* what it lacks */
    struct tls_facts facts; /* without what is borrowed from the connection */
};

struct relay_session {
    int fd;
    struct tls_stream *tls; /* NULL: in the clear */
    struct smtp_client *client;
    struct smtp_client_settings client_settings;
    const struct config *config;
    struct tls_client *tls_client;
    int64_t deadline_ms;
    struct tls_facts facts;                /* when tls is not NULL */
    const struct transport_demand *demand; /* while it is being opened; else NULL */
    enum tls_result result;                /* of the verdict on TLS */
    struct ip_address ip;
    uint16_t port;
    char host[SMTP_DOMAIN_MAX + 1];
    char remote[SESSION_REMOTE_MAX];
    char tls_text[SESSION_TLS_MAX]; /* empty: in the clear */
    uint32_t transactions;
    bool configured;     /* the hop is ours to repair (next_hop.h) */
    bool tls_lost;       /* in the clear because STARTTLS was refused or failed */
    bool end_unreceived; /* LOST, and the server cannot have the end of what was sent */
    bool spent; /* the server seems to have had enough of it: not used for another message */

    /* what the time-out of the stage is counted from */
    enum smtp_client_stage stage;
    uint64_t replies;
    size_t written;
    int64_t stage_deadline_ms;

    /* of the cache of idle sessions */
    struct relay_session *older;
    struct relay_session *newer;
    int64_t idle_since_ms;
};

/* "mx.example.com[192.0.2.1]:25" or the path of a Unix socket, into `text`. */
struct str relay_target_text(const struct relay_target *target, char text[SESSION_REMOTE_MAX]);

/*
 * Connects, takes the greeting, says EHLO, starts TLS if it is wanted and offered. On success the
 * session is READY and the caller's. STATUS_TEMPORARY otherwise, with *failure_out.
 */
[[nodiscard]] enum status relay_session_open(const struct relay_target *target,
                                             const struct relay_session_settings *settings,
                                             struct relay_session **session_out,
                                             struct relay_session_failure *failure_out);

/* Sessions that are open now, in the whole process. */
size_t relay_session_count(void);

/*
 * Logs in at a session that is READY. False: it is CLOSED, relay_session_failure tells why. The
 * password is copied and wiped.
 */
[[nodiscard]] bool relay_session_login(struct relay_session *session,
                                       const struct smtp_client_login *login);
/* Ends a session that may not log in, with our own words. */
void relay_session_refuse_login(struct relay_session *session, struct str words);

/* Writes and reads until the client is READY (true) or CLOSED (false). */
[[nodiscard]] bool relay_session_run(struct relay_session *session);

/* How a CLOSED session ended. */
void relay_session_failure(const struct relay_session *session,
                           struct relay_session_failure *failure_out);

/*
 * False when the server has sent something, or closed, while nothing was asked of it. Does not
 * wait.
 */
bool relay_session_is_quiet(const struct relay_session *session);

/* Says QUIT if that is possible at once; relay_session_may_close tells when the answer has come. */
void relay_session_leave(struct relay_session *session);
/* After relay_session_leave: true when the server has answered or closed. Does not wait. */
bool relay_session_may_close(struct relay_session *session);

/* Closes and frees; sets *session to NULL. NULL is allowed. */
void relay_session_close(struct relay_session **session);

#endif
