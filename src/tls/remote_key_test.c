/* Handshakes with keys that are elsewhere, and signers that fail. */
#include "tls/remote_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tls/signing_key.h"
#include "tls/test_material.h"
#include "tls/test_pair.h"

/* ---- a signer in this process */

enum behaviour {
    SIGNS,
    FAILS,     /* with `status` */
    NOTHING,   /* STATUS_OK without a signature */
    TOO_LONG,  /* STATUS_OK with more than any signature has */
    LIES,      /* says that it is longer than there is room for */
    GARBAGE,   /* octets that have the length of a signature */
    OTHER_KEY, /* signs with `other` */
};

struct test_signer {
    struct tls_signing_key *key; /* owned */
    struct tls_signing_key *other;
    enum behaviour behaviour;
    enum status status;
    unsigned asked;
    uint16_t scheme; /* of the last time */
    struct tls_key_id id;
};

static enum status
test_sign(void *context, const struct tls_key_id *id, uint16_t scheme, struct str input,
          struct tls_signature *out)
{
    struct test_signer *signer = context;
    signer->asked++;
    signer->scheme = scheme;
    signer->id = *id;
    switch (signer->behaviour) {
    case FAILS:
        return signer->status;
    case NOTHING:
        out->n = 0;
        return STATUS_OK;
    case TOO_LONG:
        memset(out->octets, 1, sizeof out->octets);
        out->n = sizeof out->octets;
        return STATUS_OK;
    case LIES:
        out->n = (size_t)1 << 40;
        return STATUS_OK;
    case GARBAGE:
        memset(out->octets, 0x5a, 64);
        out->n = 64;
        return STATUS_OK;
    case OTHER_KEY:
        return tls_signing_key_sign(signer->other, scheme, input, out);
    case SIGNS:
        break;
    }
    return tls_signing_key_sign(signer->key, scheme, input, out);
}

/* ---- keys of all types */

static EVP_PKEY *
key_make(const char *type)
{
    if (strcmp(type, "RSA") == 0) {
        return EVP_RSA_gen(2048);
    }
    if (strcmp(type, "RSA-PSS") == 0) {
        EVP_PKEY *key = NULL;
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
        assert_int_equal(EVP_PKEY_keygen_init(context), 1);
        assert_int_equal(EVP_PKEY_keygen(context, &key), 1);
        EVP_PKEY_CTX_free(context);
        return key;
    }
    return strncmp(type, "P-", 2) == 0 ? EVP_EC_gen(type) : EVP_PKEY_Q_keygen(NULL, NULL, type);
}

/* A server whose key of that type only `signer` has. */
struct world {
    struct test_signer signer;
    struct tls_identity *identity;
    struct tls_server *server;
};

static struct tls_signing_key *
signing_key_of(const struct test_pem *pem)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_signing_key *key = NULL;
    assert_int_equal(tls_signing_key_parse(pem->key, &key, error), STATUS_OK);
    return key;
}

static void
world_open(struct world *world, const char *type, const struct tls_server_settings *settings)
{
    char error[TLS_ERROR_MAX] = "";
    struct test_pem pem = test_pem_of(key_make(type), "DNS:mx.example");
    *world = (struct world){.identity = NULL};
    world->signer.key = signing_key_of(&pem);
    struct tls_signer signer = {test_sign, &world->signer};
    if (tls_identity_parse_remote(pem.chain, &signer, &world->identity, error) != STATUS_OK) {
        fail_msg("%s: %s", type, error);
    }
    world->server = server_make(settings, &world->identity, 1);
    arena_destroy(&pem.arena);
}

static void
world_close(struct world *world)
{
    tls_server_unref(&world->server);
    tls_identity_unref(&world->identity);
    tls_signing_key_unref(&world->signer.key);
    tls_signing_key_unref(&world->signer.other);
}

/* ---- what works */

/* The client has everything that may be negotiated, old suites too; and it checks the signature. */
static void
every_type_of_key_in_both_versions(void **state)
{
    static const struct {
        const char *type;
        int version;
        const char *ciphers;
        uint16_t scheme;
    } rows[] = {
        {"RSA", TLS1_3_VERSION, NULL, 0x0804},
        {"RSA", TLS1_2_VERSION, NULL, 0x0804},
        {"RSA", TLS1_2_VERSION, "DHE-RSA-AES128-SHA256", 0x0804},
        {"RSA-PSS", TLS1_3_VERSION, NULL, 0x0809},
        {"RSA-PSS", TLS1_2_VERSION, NULL, 0x0809},
        {"P-256", TLS1_3_VERSION, NULL, 0x0403},
        {"P-256", TLS1_2_VERSION, NULL, 0x0403},
        {"P-384", TLS1_3_VERSION, NULL, 0x0503},
        {"P-384", TLS1_2_VERSION, NULL, 0},
        {"P-521", TLS1_3_VERSION, NULL, 0x0603},
        {"ED25519", TLS1_3_VERSION, NULL, 0x0807},
        {"ED25519", TLS1_2_VERSION, NULL, 0x0807},
        {"ED448", TLS1_3_VERSION, NULL, 0x0808},
    };
    struct tls_server_settings settings = default_settings();
    (void)state;
    settings.opportunistic = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world world;
        struct pair pair;
        world_open(&world, rows[i].type, &settings);
        pair_open(&pair, world.server, rows[i].version);
        if (rows[i].ciphers != NULL) {
            assert_int_equal(SSL_set_cipher_list(pair.client, rows[i].ciphers), 1);
        }
        pair_handshake(&pair);
        if (pair.status != STATUS_OK || pair.client_done != 1) {
            fail_msg("row %zu: %s", i, tls_io_error(tls_connection_io(pair.server)));
        }
        assert_int_equal(world.signer.asked, 1);
        assert_true(rows[i].scheme == 0 || rows[i].scheme == world.signer.scheme);
        assert_memory_equal(&world.signer.id, tls_signing_key_id(world.signer.key),
                            sizeof world.signer.id);
        pair_close(&pair);
        world_close(&world);
    }
}

/* What old clients offer of signatures: PKCS#1 with each digest, and ECDSA. */
static void
signatures_that_clients_ask_for(void **state)
{
    static const struct {
        const char *type;
        const char *signatures;
        uint16_t scheme; /* 0: none can be agreed upon */
    } rows[] = {
        {"RSA", "RSA+SHA256", 0x0401},     {"RSA", "RSA+SHA384", 0x0501},
        {"RSA", "RSA+SHA512", 0x0601},     {"RSA", "RSA+SHA224", 0x0301},
        {"RSA", "RSA-PSS+SHA512", 0x0806}, {"P-256", "ECDSA+SHA512", 0x0603},
        {"P-256", "ECDSA+SHA224", 0x0303}, {"RSA", "RSA+SHA1", 0},
        {"P-256", "ECDSA+SHA1", 0},
    };
    struct tls_server_settings settings = default_settings();
    (void)state;
    struct world worlds[2];
    world_open(&worlds[0], "RSA", &settings);
    world_open(&worlds[1], "P-256", &settings);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world *world = &worlds[strcmp(rows[i].type, "RSA") == 0 ? 0 : 1];
        struct pair pair;
        world->signer.scheme = 0;
        pair_open(&pair, world->server, TLS1_2_VERSION);
        SSL_set_security_level(pair.client, 0);
        char text[32]; /* the library's macro wants changeable text */
        snprintf(text, sizeof text, "%s", rows[i].signatures);
        assert_int_equal(SSL_set1_sigalgs_list(pair.client, text), 1);
        pair_handshake(&pair);
        bool done = pair.status == STATUS_OK && pair.client_done == 1;
        if (done != (rows[i].scheme != 0) || world->signer.scheme != rows[i].scheme) {
            fail_msg("row %zu", i);
        }
        pair_close(&pair);
    }
    world_close(&worlds[0]);
    world_close(&worlds[1]);
}

/* RSA key exchange takes a decryption, which no signer offers (RFC 5246 7.4.7.1). */
static void
there_is_no_rsa_key_exchange(void **state)
{
    static const char *const ciphers[] = {"AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256"};
    struct tls_server_settings settings = default_settings();
    (void)state;
    for (unsigned own = 0; own < 2; own++) {
        struct world world;
        settings.opportunistic = true;
        settings.ciphers = own == 1 ? STR("ECDHE+AESGCM:RSA+AES:AES128-SHA") : STR("");
        world_open(&world, "RSA", &settings);
        for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
            struct pair pair;
            pair_open(&pair, world.server, TLS1_2_VERSION);
            assert_int_equal(SSL_set_cipher_list(pair.client, ciphers[i]), 1);
            pair_handshake(&pair);
            assert_int_equal(pair.status, STATUS_SYNTAX);
            assert_string_equal(tls_io_error(tls_connection_io(pair.server)), "no shared cipher");
            pair_close(&pair);
        }
        assert_int_equal(world.signer.asked, 0);
        world_close(&world);
    }
}

/* A resumed session takes no signature. */
static void
a_resumed_session_asks_nobody(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_server_settings settings = default_settings();
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct pair first;
        struct pair again;
        struct tls_info infos[2];
        char got[8];
        size_t n;
        world_open(&world, "P-256", &settings);
        pair_open(&first, world.server, versions[i]);
        pair_handshake(&first);
        assert_int_equal(first.status, STATUS_OK);
        assert_int_equal(tls_io_write(tls_connection_io(first.server), STR("220 "), &n), STATUS_OK);
        assert_int_equal(SSL_read(first.client, got, sizeof got), 4); /* and the ticket */
        tls_connection_info(first.server, &infos[0]);
        world.signer.behaviour = FAILS;
        pair_open(&again, world.server, versions[i]);
        SSL_SESSION *session = SSL_get1_session(first.client);
        assert_int_equal(SSL_set_session(again.client, session), 1);
        pair_handshake(&again);
        assert_int_equal(again.status, STATUS_OK);
        tls_connection_info(again.server, &infos[1]);
        assert_true(infos[1].resumed);
        assert_int_equal(world.signer.asked, 1);
        /* tls-server-end-point stays what the first one had */
        assert_int_equal(infos[0].end_point_length, 32);
        assert_memory_equal(infos[0].end_point, infos[1].end_point, 32);
        SSL_SESSION_free(session);
        pair_close(&first);
        pair_close(&again);
        world_close(&world);
    }
}

#define MANY 40

/* Their steps interleave. */
static void
many_at_a_time(void **state)
{
    static struct pair pairs[MANY];
    struct tls_server_settings settings = default_settings();
    struct world world;
    (void)state;
    world_open(&world, "RSA", &settings);
    for (size_t i = 0; i < MANY; i++) {
        pair_open(&pairs[i], world.server, i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
    }
    for (unsigned turn = 0; turn < 20; turn++) {
        for (size_t i = 0; i < MANY; i++) {
            pair_step(&pairs[i]);
        }
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(pairs[i].status, STATUS_OK);
        assert_int_equal(pairs[i].client_done, 1);
        pair_close(&pairs[i]);
    }
    assert_int_equal(world.signer.asked, MANY);
    world_close(&world);
}

/* A host with an RSA and a curve's certificate, both remote. */
static void
two_keys_for_one_host(void **state)
{
    struct tls_server_settings settings = default_settings();
    struct world rsa;
    struct world ec;
    struct pair pair;
    (void)state;
    world_open(&rsa, "RSA", &settings);
    world_open(&ec, "P-256", &settings);
    struct tls_identity *both[] = {rsa.identity, ec.identity};
    struct tls_server *server = server_make(&settings, both, 2);
    for (unsigned i = 0; i < 2; i++) {
        pair_open(&pair, server, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(pair.client, i == 0 ? "ECDHE-RSA-AES128-GCM-SHA256"
                                                                 : "ECDHE-ECDSA-AES128-GCM-SHA256"),
                         1);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        pair_close(&pair);
    }
    assert_int_equal(rsa.signer.asked, 1);
    assert_int_equal(ec.signer.asked, 1);
    tls_server_unref(&server);
    world_close(&rsa);
    world_close(&ec);
}

/* ---- what does not */

static void
a_signer_that_fails(void **state)
{
    static const struct {
        enum behaviour behaviour;
        enum status status;
        const char *want; /* the server's error; NULL: the client notices */
    } rows[] = {
        {FAILS, STATUS_TEMPORARY, "the signer did not answer"},
        {FAILS, STATUS_AGAIN, "the signer did not answer"},
        {FAILS, STATUS_DENIED, "the signer refused to sign"},
        {FAILS, STATUS_NOT_FOUND, "the signer does not have the key"},
        {FAILS, STATUS_SYNTAX, "what the signer answered is no signature"},
        {FAILS, STATUS_IO, "the signer failed"},
        {NOTHING, STATUS_OK, "what the signer answered is no signature"},
        {TOO_LONG, STATUS_OK, "what the signer answered is no signature"},
        {LIES, STATUS_OK, "what the signer answered is no signature"},
        {GARBAGE, STATUS_OK, NULL},
        {OTHER_KEY, STATUS_OK, NULL},
    };
    static const char *const types[] = {"RSA", "P-256"};
    struct tls_server_settings settings = default_settings();
    struct world worlds[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world_open(&worlds[i], types[i], &settings);
        struct test_pem other = test_pem_of(key_make(types[i]), "DNS:mx.example");
        worlds[i].signer.other = signing_key_of(&other);
        arena_destroy(&other.arena);
    }
    for (size_t i = 0; i < 4 * sizeof rows / sizeof rows[0]; i++) {
        size_t row = i / 4;
        struct world *world = &worlds[i % 2];
        struct pair pair;
        world->signer.behaviour = rows[row].behaviour;
        world->signer.status = rows[row].status;
        pair_open(&pair, world->server, i / 2 % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
        pair_handshake(&pair);
        assert_int_equal(pair.client_done, -1);
        if (rows[row].want != NULL) {
            assert_int_equal(pair.status, STATUS_SYNTAX);
            assert_string_equal(tls_io_error(tls_connection_io(pair.server)), rows[row].want);
        }
        pair_close(&pair);
        /* and the next one is as if nothing had been */
        world->signer.behaviour = SIGNS;
        pair_open(&pair, world->server, TLS1_3_VERSION);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        pair_close(&pair);
    }
    world_close(&worlds[0]);
    world_close(&worlds[1]);
}

/* The key cannot be had from what the process holds, and the library does not sign without. */
static void
the_private_half_is_not_there(void **state)
{
    struct tls_server_settings settings = default_settings();
    struct world world;
    BIGNUM *d = NULL;
    unsigned char *der = NULL;
    (void)state;
    world_open(&world, "RSA", &settings);
    EVP_PKEY *key = tls_identity_key(world.identity);
    assert_int_equal(EVP_PKEY_get_bn_param(key, "d", &d), 0);
    assert_null(d);
    assert_true(i2d_PrivateKey(key, &der) <= 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 0);
    BIO_free(bio);
    ERR_clear_error();
    world_close(&world);
}

/* Other keys of the process are still the library's own. */
static void
other_keys_are_not_touched(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[128];
    size_t n = sizeof signature;
    (void)state;
    assert_non_null(key);
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &n, (const unsigned char *)"a", 1), 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static void
a_signing_key_signs_nothing_else(void **state)
{
    struct test_pem pem = test_pem_make("DNS:mx.example", false);
    struct tls_signing_key *key = signing_key_of(&pem);
    struct tls_signature signature;
    char verify[130];
    (void)state;
    memset(verify, ' ', 64);
    memcpy(verify + 64, "TLS 1.3, server CertificateVerify", 34);
    memset(verify + 98, 1, 32);
    struct str good = str_make(verify, sizeof verify);
    assert_int_equal(tls_signing_key_sign(key, 0x0403, good, &signature), STATUS_OK);
    assert_true(signature.n > 60);
    assert_int_equal(tls_signing_key_sign(key, 0x0403, str_head(good, 129), &signature),
                     STATUS_DENIED);
    assert_int_equal(tls_signing_key_sign(key, 0x0403, STR("hello"), &signature), STATUS_DENIED);
    /* no scheme of TLS 1.3, of another type, unknown */
    assert_int_equal(tls_signing_key_sign(key, 0x0303, good, &signature), STATUS_DENIED);
    assert_int_equal(tls_signing_key_sign(key, 0x0804, good, &signature), STATUS_SYNTAX);
    assert_int_equal(tls_signing_key_sign(key, 0x0203, good, &signature), STATUS_SYNTAX);
    tls_signing_key_unref(&key);
    arena_destroy(&pem.arena);
}

static void
keys_that_cannot_be_read(void **state)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_signing_key *key = NULL;
    (void)state;
    assert_int_equal(tls_signing_key_parse(STR(""), &key, error), STATUS_SYNTAX);
    assert_int_equal(tls_signing_key_parse(STR("-----BEGIN PRIVATE KEY-----\n"), &key, error),
                     STATUS_SYNTAX);
    struct test_pem pem = test_pem_make("DNS:mx.example", false);
    assert_int_equal(tls_signing_key_parse(pem.chain, &key, error), STATUS_SYNTAX);
    arena_destroy(&pem.arena);
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *exchange = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    char *text;
    PEM_write_bio_PrivateKey(bio, exchange, NULL, NULL, 0, NULL, NULL);
    long n = BIO_get_mem_data(bio, &text);
    assert_int_equal(tls_signing_key_parse(str_make(text, (size_t)n), &key, error), STATUS_SYNTAX);
    assert_string_equal(error, "a key of the type X25519 cannot sign TLS handshakes");
    assert_null(key);
    EVP_PKEY_free(exchange);
    BIO_free(bio);
}

static int
prepare(void **state)
{
    char error[TLS_ERROR_MAX] = "";
    (void)state;
    if (tls_library_init() != STATUS_OK || tls_remote_key_init(error) != STATUS_OK ||
        tls_remote_key_init(error) != STATUS_OK) {
        print_message("%s\n", error);
        return -1;
    }
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_of_key_in_both_versions),
        cmocka_unit_test(signatures_that_clients_ask_for),
        cmocka_unit_test(there_is_no_rsa_key_exchange),
        cmocka_unit_test(a_resumed_session_asks_nobody),
        cmocka_unit_test(many_at_a_time),
        cmocka_unit_test(two_keys_for_one_host),
        cmocka_unit_test(a_signer_that_fails),
        cmocka_unit_test(the_private_half_is_not_there),
        cmocka_unit_test(other_keys_are_not_touched),
        cmocka_unit_test(a_signing_key_signs_nothing_else),
        cmocka_unit_test(keys_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
