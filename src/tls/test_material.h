/*
 * test_material.h - certificates made on the spot for tests.
 */
#ifndef POSTERN_TLS_TEST_MATERIAL_H
#define POSTERN_TLS_TEST_MATERIAL_H

#include "tls/identity.h"

struct evp_pkey_st;

struct test_pem {
    struct arena *arena; /* owned; destroy it */
    struct str chain;
    struct str key;
};

/* A certificate whose subjectAltName is `names` in OpenSSL's syntax ("DNS:a.example,DNS:*.b"). */
struct test_pem test_pem_make(const char *names, bool rsa);
/* The same with a key that is made already and is taken over. */
struct test_pem test_pem_of(struct evp_pkey_st *key, const char *names);
/* The same with an RSA key of so many bits. */
struct test_pem test_pem_make_rsa(const char *names, unsigned bits);
/* The same, parsed; the caller owns the reference. */
struct tls_identity *test_identity_make(const char *names, bool rsa);

#endif
