/*
 * server.h - the server's side of TLS: contexts of listeners, connections over sockets.
 *
 * TLS 1.2 and 1.3 with forward secrecy and authenticated encryption (fewer demands where clear text
 * would be taken, see TLS_SERVER_CIPHERS_OPPORTUNISTIC); no renegotiation, no
 * compression, no early data; clients are not asked for certificates; of ALPN only "smtp" is taken,
 * or none. One struct tls_server per
 * listener holds the settings, the identities (chosen by SNI, RFC 6066 3; the first where the
 * client names no host that is known) and the ticket keys. A reload makes new servers; a connection
 * keeps the one it began with.
 *
 * Sockets are non-blocking (io.h). Everything runs in one thread. Contexts come from octets:
 * nothing here opens a file.
 */
#ifndef POSTERN_TLS_SERVER_H
#define POSTERN_TLS_SERVER_H

#include "tls/identity.h"
#include "tls/io.h"

#define TLS_IDENTITIES_MAX    1000
#define TLS_EXPORTER_SIZE     32
#define TLS_END_POINT_MAX     64
/* What one connection costs beside its buffers, in octets; measured, for memory budgets. */
#define TLS_CONNECTION_MEMORY (18u * 1024u)

struct tls_server;
struct tls_connection;

struct tls_server_settings {
    bool only_1_3;                 /* TLS 1.2 is refused */
    bool session_tickets;          /* resumption; off: every handshake is a full one */
    bool prefer_server_order;      /* of cipher suites */
    bool opportunistic;            /* without TLS the same would come in the clear */
    int64_t session_lifetime_ms;   /* of a ticket */
    struct str groups;             /* OpenSSL's syntax; empty: the library's own list */
    struct str ciphers;            /* of TLS 1.2; empty: one of the two lists below; never kRSA */
    struct str ciphersuites;       /* of TLS 1.3; empty: the library's own list */
    struct str session_context;    /* names the listener: sessions of others are not resumed */
    int64_t (*monotonic_ms)(void); /* NULL: clock_monotonic_ms */
};

/* TLS 1.2: ephemeral elliptic curves and authenticated encryption, nothing else. */
#define TLS_SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
/*
 * Where it is opportunistic (RFC 7435 3): older mail servers too, whose mail would otherwise be
 * read by everybody on the way. Nothing anonymous, no RC4, no triple DES; and never an RSA key
 * exchange, for which whoever holds the key would have to decrypt (remote_key.h).
 */
#define TLS_SERVER_CIPHERS_OPPORTUNISTIC                                                           \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!PSK:!SRP"

/*
 * A server with at least one identity; takes its own references. The caller owns one reference to
 * *server_out. STATUS_SYNTAX with a text in error_out when a setting is not understood,
 * STATUS_LIMIT above TLS_IDENTITIES_MAX.
 */
[[nodiscard]] enum status tls_server_create(const struct tls_server_settings *settings,
                                            struct tls_identity *const *identities, size_t count,
                                            struct tls_server **server_out,
                                            char error_out[static TLS_ERROR_MAX]);
struct tls_server *tls_server_ref(struct tls_server *server);
/* Gives one reference back and sets *server to NULL; NULL is allowed. */
void tls_server_unref(struct tls_server **server);
/* The index of the identity that is used for a host name; 0 when none has it. */
size_t tls_server_find_identity(const struct tls_server *server, struct str host_name);

/* ---- connections */

/*
 * The server's side over a connected non-blocking socket, which stays the caller's. Nothing is
 * written yet. STATUS_LIMIT when there is no memory.
 */
[[nodiscard]] enum status tls_connection_create(struct tls_server *server, int fd,
                                                struct tls_connection **connection_out);
/* Frees it without a word to the peer, sets *connection to NULL; NULL is allowed. */
void tls_connection_destroy(struct tls_connection **connection);

/* Its octets (io.h), as long as it lives. */
struct tls_io *tls_connection_io(struct tls_connection *connection);

/* What was agreed; the text is the library's and static. */
struct tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    unsigned bits;
    bool resumed;
    char server_name[TLS_HOST_NAME_MAX + 1]; /* SNI; empty: none */
    /* Channel binding tls-exporter (RFC 9266); of TLS 1.3 only, else length 0. */
    unsigned char exporter[TLS_EXPORTER_SIZE];
    size_t exporter_length;
    /*
     * Channel binding tls-server-end-point (RFC 5929 4), of the certificate that the client has
     * seen, in a resumed session when that began; length 0 where it is not defined (a signature
     * without a digest).
     */
    unsigned char end_point[TLS_END_POINT_MAX];
    size_t end_point_length;
};

/* After the handshake. */
void tls_connection_info(const struct tls_connection *connection, struct tls_info *info_out);

#endif
