/*
 * test_server.h - a web server for tests that says over TLS what its script has, right or wrong, to
 * one client after the other, in a thread of its own. What fails in it ends the test.
 */
#ifndef POSTERN_FETCH_TEST_SERVER_H
#define POSTERN_FETCH_TEST_SERVER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/str.h"

#define TEST_REQUEST_MAX 8192

/* What it does once it has read a request. The parts come in this order. */
struct test_script {
    const char *text; /* written; NULL: nothing */
    size_t more;      /* so many octets "x" behind it */
    bool more_lines;  /* instead of octets: that many header lines */
    bool drip;        /* the text comes an octet at a time, for ever */
    bool hang;        /* then silence, until the client goes */
    bool cut;         /* it ends without close_notify */
    bool before_tls;  /* the silence comes before the handshake */
    bool clear;       /* no TLS: the text comes at once */
};

struct test_server {
    uint16_t port; /* of 127.0.0.1 */
    int listener;
    SSL_CTX *context;
    const struct test_script *script;
    pthread_t thread;
    atomic_bool ending;
    atomic_uint connections;
    char request[TEST_REQUEST_MAX]; /* the last one; read it after test_server_stop */
    size_t request_length;
};

/* A certificate that signs itself, with its key. `names` is a subjectAltName in OpenSSL's syntax or
 * NULL; it holds for `from_s` to `until_s`, counted in seconds from now. */
struct test_certificate {
    X509 *certificate;
    EVP_PKEY *key;
    char pem[4096];
};

void test_certificate_make(const char *common_name, const char *names, long from_s, long until_s,
                           struct test_certificate *certificate_out);
void test_certificate_free(struct test_certificate *certificate);

void test_server_start(struct test_server *server, const struct test_certificate *certificate,
                       const struct test_script *script);
void test_server_stop(struct test_server *server);

#endif
