/*
 * client.h - the client's side of TLS, towards next hops.
 *
 * A server's certificate never decides here whether the connection goes on: mail between servers is
 * encrypted opportunistically (RFC 7435), where any encryption is better than none. What the
 * certificate is worth is found out and told (tls_stream_facts): it chains to a trusted root or it
 * does not, it is good for the name that was called or it is not, it matches a TLSA record
 * (tls_stream_compare) or it does not. Whoever demands more decides by these facts.
 *
 * A struct tls_client is read-only after its creation and may be used by many threads; a stream
 * belongs to one thread at a time. Sockets are non-blocking (io.h).
 */
#ifndef POSTERN_TLS_CLIENT_H
#define POSTERN_TLS_CLIENT_H

#include "tls/dane.h"
#include "tls/identity.h"
#include "tls/io.h"

#define TLS_FINGERPRINT_SIZE 32
/* Certificates of a chain that the facts tell of. */
#define TLS_CHAIN_TOLD_MAX   5u
/* Largest text of trusted certificates, in octets. */
#define TLS_TRUST_PEM_MAX    (8u << 20)
/* TLS 1.2; forward secrecy first, old servers last, nothing without authentication. */
#define TLS_CLIENT_CIPHERS                                                                         \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:RSA+AES:!aNULL:!eNULL"

struct tls_client;
struct tls_stream;

struct tls_client_settings {
    bool only_1_3;
    struct str groups;       /* OpenSSL's syntax; empty: the library's own list */
    struct str ciphers;      /* of TLS 1.2; empty: TLS_CLIENT_CIPHERS */
    struct str ciphersuites; /* of TLS 1.3; empty: the library's own list */
    struct str trust_pem;    /* certificates that are trusted; empty: none is */
};

/*
 * The caller owns one reference to *client_out. STATUS_SYNTAX with a text in error_out when a
 * setting is not understood; STATUS_LIMIT for more than TLS_TRUST_PEM_MAX.
 */
[[nodiscard]] enum status tls_client_create(const struct tls_client_settings *settings,
                                            struct tls_client **client_out,
                                            char error_out[static TLS_ERROR_MAX]);
/* How many certificates can be read in PEM from the beginning of a text; 0: it is none. */
size_t tls_trust_count(struct str pem);

/* Thread-safe. */
struct tls_client *tls_client_ref(struct tls_client *client);
/* Gives one reference back and sets *client to NULL; NULL is allowed. Thread-safe. */
void tls_client_unref(struct tls_client **client);

/*
 * The client's side over a connected non-blocking socket, which stays the caller's. `host` is what
 * the certificate is compared with and, unless it is an address, told to the server (SNI); empty:
 * neither. STATUS_LIMIT when there is no memory, STATUS_SYNTAX when `host` cannot be a name.
 */
[[nodiscard]] enum status tls_stream_create(struct tls_client *client, int fd, struct str host,
                                            struct tls_stream **stream_out);
/* Frees it without a word to the peer, sets *stream to NULL; NULL is allowed. */
void tls_stream_destroy(struct tls_stream **stream);

/* Its octets (io.h), as long as it lives. */
struct tls_io *tls_stream_io(struct tls_stream *stream);

/*
 * Before the handshake: TLSA records decide what the certificate is worth instead of the trusted
 * roots (RFC 7671, RFC 7672 3). Errors as in tls_dane_apply.
 */
[[nodiscard]] enum status tls_stream_compare(struct tls_stream *stream,
                                             const struct tls_dane *dane);

/* Why a certificate is not trusted, or no TLSA record matches. */
enum tls_problem {
    TLS_PROBLEM_NONE,
    TLS_PROBLEM_EXPIRED,
    TLS_PROBLEM_NAME,      /* under DANE-TA: of no name that counts */
    TLS_PROBLEM_NO_MATCH,  /* no TLSA record matches */
    TLS_PROBLEM_UNTRUSTED, /* anything else, also that there is no certificate */
};

/* What was agreed and who the server is; the texts are the library's and static. */
struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    const char *group;   /* of the key exchange: "x25519"; "" where there is none */
    unsigned bits;
    /* The certificate chains to a trusted root and is in its time; after tls_stream_compare: it
     * matches a record. */
    bool trusted;
    bool name_matches;             /* it is good for `host` */
    bool alternative_name_matches; /* the same, by its subjectAltName alone (RFC 8461 4.2) */
    enum tls_problem problem;      /* NONE when it is trusted */
    const char *trust_error;       /* why it is not trusted; "" when it is */
    int64_t not_after_ms; /* its end, milliseconds since 1970; 0: there is no certificate */
    unsigned char fingerprint[TLS_FINGERPRINT_SIZE]; /* SHA-256 of the certificate */

    /* SHA-256 of the certificates that the server sent, its own first. */
    unsigned char chain[TLS_CHAIN_TOLD_MAX][TLS_FINGERPRINT_SIZE];
    size_t chain_count;

    bool dane_matched;    /* a TLSA record matched; these are set then: */
    int dane_depth;       /* of the certificate in the chain; 0 is the server's own */
    struct dns_tlsa tlsa; /* the record; borrowed from the stream */
};

/* After the handshake. */
void tls_stream_facts(const struct tls_stream *stream, struct tls_facts *facts_out);

#endif
