/*
 * test_pair.h - both ends of one TLS connection over a socket pair, for tests of the server's side.
 */
#ifndef POSTERN_TLS_TEST_PAIR_H
#define POSTERN_TLS_TEST_PAIR_H

#include <openssl/ssl.h>

#include "tls/server.h"

/* Time for ticket keys, in milliseconds. */
extern int64_t test_now_ms;

/* Both ends, driven in turn. */
struct pair {
    int fds[2];
    SSL_CTX *context;
    SSL *client;
    struct tls_connection *server;
    enum status status; /* of the server's handshake */
    int client_done;    /* 1: finished, -1: failed */
};

/* Settings with tickets, for the listener "mx 25" and the time above. */
struct tls_server_settings default_settings(void);
/* A server; the test fails when there is none. */
struct tls_server *server_make(const struct tls_server_settings *settings,
                               struct tls_identity *const *identities, size_t count);
/* Connects; `version` is the only one that the client speaks (TLS1_3_VERSION). */
void pair_open(struct pair *pair, struct tls_server *server, int version);
/* One turn of each side that is not done. */
void pair_step(struct pair *pair);
/* Goes on until both sides are done. */
void pair_handshake(struct pair *pair);
void pair_close(struct pair *pair);

#endif
