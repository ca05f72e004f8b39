/*
 * client.h - the SMTP and LMTP client's protocol core: octets in, octets and actions out, no I/O.
 *
 * The relay owns sockets, TLS and timers; this core owns the protocol (RFC 5321 and the extensions
 * it uses: 1870, 2033, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 9422). One connection:
 *
 *     smtp_client_create();
 *     action = smtp_client_feed(client, what was read)
 *         WAIT       write the output, then read and feed
 *         START_TLS  do a handshake, then smtp_client_tls_started() or smtp_client_failed()
 *         READY      smtp_client_login(), _send(), _probe() or _quit(); then write, read and feed
 *                    again
 *         CLOSED     close; smtp_client_failure() tells why, if it was not by QUIT
 *
 * After a send, when feed returns READY or CLOSED every recipient has its result, also when the
 * connection was lost on the way: what the next hop did not clearly take is temporary, what it took
 * or refused before stays so. With PIPELINING a transaction is written at once, and with CHUNKING
 * its content, too.
 *
 * Replies are hostile input: bounded (client_reply.h), and what is no reply ends the session.
 * Plaintext behind the reply to STARTTLS ends it, too (RFC 3207 6): it may be an attacker's.
 *
 * Ownership: messages and settings are borrowed, the settings for the client's life, a message
 * until READY or CLOSED. Results and failures are borrowed until the next send or probe. One
 * thread.
 */
#ifndef POSTERN_SMTP_CLIENT_H
#define POSTERN_SMTP_CLIENT_H

#include "smtp/client_content.h"
#include "smtp/envelope.h"
#include "smtp/reply.h"

/* Text of a reply that is kept, octets. */
#define SMTP_CLIENT_TEXT_MAX              480u
/* Recipients of one transaction; RFC 5321 4.5.3.1.8 lets servers refuse more than 100. */
#define SMTP_CLIENT_RECIPIENTS_MAX        1000u
/* Larger content is sent by BDAT only when the replies to RCPT are in: it may not be wanted. */
#define SMTP_CLIENT_PIPELINED_CONTENT_MAX (256u * 1024u)
/* Memory of one transaction's results, and of commands that wait to be written. */
#define SMTP_CLIENT_TRANSACTION_CEILING   (2u * 1024u * 1024u)
#define SMTP_CLIENT_OUTPUT_CEILING        (2u * 1024u * 1024u)

enum smtp_client_protocol {
    SMTP_CLIENT_SMTP,
    SMTP_CLIENT_LMTP, /* RFC 2033: LHLO, and one reply per recipient after the content */
};

enum smtp_client_tls {
    SMTP_CLIENT_TLS_NEVER,
    SMTP_CLIENT_TLS_IF_OFFERED, /* STARTTLS that is refused: goes on in the clear */
    SMTP_CLIENT_TLS_REQUIRED,
};

/* What EHLO may offer and this client uses. */
enum smtp_client_keyword {
    SMTP_CLIENT_KEYWORD_PIPELINING,
    SMTP_CLIENT_KEYWORD_CHUNKING,
    SMTP_CLIENT_KEYWORD_8BITMIME,
    SMTP_CLIENT_KEYWORD_SMTPUTF8,
    SMTP_CLIENT_KEYWORD_DSN,
    SMTP_CLIENT_KEYWORD_STARTTLS,
    SMTP_CLIENT_KEYWORD_SIZE,
    SMTP_CLIENT_KEYWORD_LIMITS,
    SMTP_CLIENT_KEYWORD_AUTH,
};

/* How to log in (RFC 4954). */
enum smtp_client_mechanism {
    SMTP_CLIENT_MECHANISM_PLAIN,
    SMTP_CLIENT_MECHANISM_LOGIN,
    SMTP_CLIENT_MECHANISM_SCRAM_SHA_256,
};

/* Who we are to a server that asks. */
struct smtp_client_login {
    struct str user;
    struct str password;
};

struct smtp_client_settings {
    enum smtp_client_protocol protocol;
    enum smtp_client_tls tls;
    struct str hostname; /* our name, for EHLO */
    unsigned ignore;     /* set of 1 << enum smtp_client_keyword: taken for not offered */
};

/* Where a session stands; also which time-out counts, and what a trace says. */
enum smtp_client_stage {
    SMTP_CLIENT_STAGE_GREETING,
    SMTP_CLIENT_STAGE_HELLO, /* EHLO, LHLO or HELO */
    SMTP_CLIENT_STAGE_TLS,   /* STARTTLS or the handshake */
    SMTP_CLIENT_STAGE_AUTH,
    SMTP_CLIENT_STAGE_READY,
    SMTP_CLIENT_STAGE_RSET,
    SMTP_CLIENT_STAGE_MAIL,
    SMTP_CLIENT_STAGE_RCPT,
    SMTP_CLIENT_STAGE_DATA,    /* waiting for 354 */
    SMTP_CLIENT_STAGE_CONTENT, /* content is being written */
    SMTP_CLIENT_STAGE_END,     /* all was written, and the server may take it; also before the
                                  replies to MAIL and RCPT, when BDAT went with them */
    SMTP_CLIENT_STAGE_QUIT,
    SMTP_CLIENT_STAGE_CLOSED,
};

/* "greeting", "hello", ...; static, never NULL. */
const char *smtp_client_stage_name(enum smtp_client_stage stage);
/* When something happened, for people: "before the greeting", "after RCPT"; static. */
const char *smtp_client_stage_words(enum smtp_client_stage stage);

/* Why a session ended. */
enum smtp_client_problem {
    SMTP_CLIENT_OK,            /* it did not, or by QUIT */
    SMTP_CLIENT_REFUSED,       /* the greeting or EHLO and HELO were refused, or 421 came */
    SMTP_CLIENT_PROTOCOL,      /* a reply that is not SMTP, or makes no sense here */
    SMTP_CLIENT_LOST,          /* the connection broke or was closed */
    SMTP_CLIENT_TIMEOUT,       /* the server did not answer in time */
    SMTP_CLIENT_TLS_MISSING,   /* TLS is required and not offered, or STARTTLS was refused */
    SMTP_CLIENT_TLS_FAILED,    /* the handshake failed */
    SMTP_CLIENT_TLS_INJECTION, /* plaintext behind the reply to STARTTLS */
    SMTP_CLIENT_LOGIN_FAILED,  /* refused, or there is no way to log in */
};

struct smtp_client_failure {
    enum smtp_client_problem problem;
    enum smtp_client_stage stage;
    struct smtp_reply reply; /* the server's; or with code 0 our own words */
};

/* What the server offers; told by its last EHLO. */
struct smtp_client_offers {
    char name[SMTP_DOMAIN_MAX + 1]; /* what it calls itself */
    bool esmtp;                     /* EHLO or LHLO was accepted */
    bool pipelining;
    bool chunking;
    bool eightbitmime;
    bool smtputf8;
    bool dsn;
    bool starttls;
    unsigned mechanisms; /* set of 1 << enum smtp_client_mechanism */
    uint64_t size_max;   /* octets; 0: not told */
    /* RFC 9422; 0: not told */
    uint32_t mail_max; /* transactions of a connection */
    uint32_t rcpt_max; /* recipients of a transaction */
};

struct smtp_client_recipient {
    struct str address; /* normal form (address.h) */
    struct str orcpt;   /* as received, "rfc822;..." in xtext; empty: none */
    unsigned notify;    /* set of enum smtp_dsn_notify */
};

struct smtp_client_message {
    struct str sender; /* normal form; empty: the null path */
    enum smtp_dsn_ret ret;
    struct str envid; /* not encoded; empty: none */
    bool smtputf8;    /* came with SMTPUTF8: 8-bit octets in its header are UTF-8 (RFC 6532) */
    const struct smtp_client_recipient *recipients;
    size_t recipient_count;               /* 1 to SMTP_CLIENT_RECIPIENTS_MAX */
    struct str head;                      /* the header section with its empty line */
    struct str body;                      /* what follows it */
    const struct smtp_content_form *form; /* of head and body: smtp_content_look() */
};

enum smtp_client_outcome {
    SMTP_CLIENT_PENDING,
    SMTP_CLIENT_TAKEN,    /* the server answers for it now; of a probe: it would take it */
    SMTP_CLIENT_DEFERRED, /* a temporary refusal, or nobody knows */
    SMTP_CLIENT_FAILED,   /* a permanent refusal, or it can never be sent there */
};

struct smtp_client_result {
    enum smtp_client_outcome outcome;
    enum smtp_client_stage stage; /* in which it was decided */
    struct smtp_reply reply;      /* the server's; or with code 0 our own words */
    bool lacks_feature; /* FAILED only because this server does not offer what another one may */
};

enum smtp_client_action {
    SMTP_CLIENT_WAIT,
    SMTP_CLIENT_START_TLS,
    SMTP_CLIENT_READY,
    SMTP_CLIENT_CLOSED,
};

struct smtp_client;

/* A client that waits for a greeting. */
[[nodiscard]] struct smtp_client *smtp_client_create(const struct smtp_client_settings *settings);
/* NULL is allowed; sets *client to NULL. */
void smtp_client_destroy(struct smtp_client **client);

/* Takes what the server sent, all of it; empty input asks for the action again. */
[[nodiscard]] enum smtp_client_action smtp_client_feed(struct smtp_client *client,
                                                       struct str input);

/*
 * What waits to be written, as at most `most` pieces, borrowed until the client is next called;
 * returns how many. There may be more behind them. After a part was written tell how much.
 */
size_t smtp_client_output(const struct smtp_client *client, struct str *pieces, size_t most);
void smtp_client_output_written(struct smtp_client *client, size_t n);

/* A handshake succeeded: what was known about the server is forgotten (RFC 3207 4.2). */
void smtp_client_tls_started(struct smtp_client *client);
/*
 * The session ends from outside: LOST, TIMEOUT, TLS_FAILED or LOGIN_FAILED, with a text for people
 * (copied).
 * Recipients without a result become temporary. Nothing more is written.
 */
void smtp_client_failed(struct smtp_client *client, enum smtp_client_problem problem,
                        struct str text);

/*
 * When READY: begins a transaction. A recipient, sender or content that this server cannot take
 * (8BITMIME, SMTPUTF8, SIZE; RFC 6152 3, 6531 3.2, 1870 6.1) gets its result without being sent.
 * More recipients than smtp_client_recipients_most() are an error of the caller.
 */
void smtp_client_send(struct smtp_client *client, const struct smtp_client_message *message);
/* When READY: asks whether the server would take mail for the message's only recipient. */
void smtp_client_probe(struct smtp_client *client, const struct smtp_client_message *message);
/*
 * When READY: logs in by the best mechanism that the server offers, before anything is sent. READY
 * again when the server has accepted it; else the session ends with LOGIN_FAILED and the server's
 * reply. Both texts are copied, and wiped at the end of the login; `nonce` is random, printable,
 * without commas. Nothing that this core tells anybody has the password in it.
 */
void smtp_client_login(struct smtp_client *client, const struct smtp_client_login *with,
                       struct str nonce);
/* When READY: says good-bye; the session is CLOSED when it is answered. */
void smtp_client_quit(struct smtp_client *client);

/* Recipients that one transaction may have here. */
size_t smtp_client_recipients_most(const struct smtp_client *client);
/* Results of the last transaction, in the message's order; NULL before there was one. */
const struct smtp_client_result *smtp_client_results(const struct smtp_client *client);
/*
 * True when the server has answered any command of the last transaction. A reused connection that
 * is lost before was dead already: the message may be sent again at once over a new one.
 */
bool smtp_client_was_answered(const struct smtp_client *client);

/* True when the content of the last transaction went by BDAT. */
bool smtp_client_was_chunked(const struct smtp_client *client);
/*
 * True when BDAT was answered as a command that the server does not know, although it offers
 * CHUNKING: the session is CLOSED, because nobody knows what became of the content's octets, and
 * the message may be sent again by DATA.
 */
bool smtp_client_chunking_failed(const struct smtp_client *client);
/*
 * True when the session is CLOSED because all commands before BDAT were answered and BDAT was not:
 * the connection was lost or the time over.
 */
bool smtp_client_chunking_is_silent(const struct smtp_client *client);

/* What is waited for now. */
enum smtp_client_stage smtp_client_stage(const struct smtp_client *client);
/* Whole replies so far: what tells a server that answers from one that lets octets drip. */
uint64_t smtp_client_replies(const struct smtp_client *client);
/* What the server offered after the last EHLO; belongs to the client. */
const struct smtp_client_offers *smtp_client_offers(const struct smtp_client *client);
/* Why the session is CLOSED. */
const struct smtp_client_failure *smtp_client_failure(const struct smtp_client *client);
/* True from START_TLS on, when the handshake succeeded. */
bool smtp_client_is_encrypted(const struct smtp_client *client);
/* The server has accepted a login. */
bool smtp_client_is_logged_in(const struct smtp_client *client);
/* The server offered STARTTLS and then refused it; the session goes on in the clear. */
bool smtp_client_tls_was_refused(const struct smtp_client *client);

#endif
