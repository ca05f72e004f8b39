#include "tls/self_signed.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tls/identity.h"

#define DAY_MS     86400000LL
#define LONG_LABEL "a123456789b123456789c123456789d123456789e123456789f123456789"

static X509 *
parse(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

static void
certificates_fit_their_host(void **state)
{
    static const struct {
        const char *host;
        bool is_ip;
    } rows[] = {
        {"mx.kartapuce.com", false},
        {"localhost", false},
        {LONG_LABEL "." LONG_LABEL ".example", false},
        {"192.0.2.1", true},
        {"2001:db8::25", true},
    };
    int64_t now = 1793800000000;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(8192);
        struct str chain;
        struct str key;
        char error[TLS_ERROR_MAX];
        struct tls_identity *identity = NULL;
        assert_int_equal(
            tls_self_signed_create(arena, str_from_cstr(rows[i].host), now, &chain, &key),
            STATUS_OK);
        X509 *certificate = parse(chain);
        assert_int_equal(rows[i].is_ip ? X509_check_ip_asc(certificate, rows[i].host, 0)
                                       : X509_check_host(certificate, rows[i].host, 0, 0, NULL),
                         1);
        assert_int_equal(X509_check_ca(certificate), 0);
        assert_int_equal(X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0), 1);
        time_t start = (time_t)(now / 1000);
        assert_int_equal(X509_cmp_time(X509_get0_notBefore(certificate), &start), -1);
        assert_int_equal(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
        X509_free(certificate);
        assert_int_equal(tls_identity_parse(chain, key, &identity, error), STATUS_OK);
        assert_int_equal(tls_identity_not_after_ms(identity), now + TLS_SELF_SIGNED_DAYS * DAY_MS);
        tls_identity_unref(&identity);
        arena_destroy_wiped(&arena);
    }
}

static void
what_is_no_host_is_refused(void **state)
{
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("a b"),
        STR_INIT("a\0b"),
        STR_INIT("a/b"),
        STR_INIT("*.example"),
        STR_INIT("a,DNS:b"),
        STR_INIT("m\303\274.example"),
    };
    struct arena *arena = arena_create(8192);
    struct str chain;
    struct str key;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(tls_self_signed_create(arena, rows[i], 0, &chain, &key), STATUS_SYNTAX);
    }
    arena_destroy(&arena);
    arena = arena_create(64);
    assert_int_equal(tls_self_signed_create(arena, STR("mx.example"), 0, &chain, &key),
                     STATUS_LIMIT);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_fit_their_host),
        cmocka_unit_test(what_is_no_host_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
