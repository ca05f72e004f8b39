#include "tls/signable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tls/scheme.h"

/* Octets that are put together. */
struct octets {
    char p[TLS_SIGNABLE_MAX + 64];
    size_t n;
};

static void
add(struct octets *to, const char *p, size_t n)
{
    assert_true(to->n + n <= sizeof to->p);
    memcpy(to->p + to->n, p, n);
    to->n += n;
}

static void
add_many(struct octets *to, char c, size_t n)
{
    assert_true(to->n + n <= sizeof to->p);
    memset(to->p + to->n, c, n);
    to->n += n;
}

static void
add_number(struct octets *to, size_t number)
{
    char big[2] = {(char)(number >> 8), (char)(number & 255)};
    add(to, big, sizeof big);
}

static enum tls_signable
judge(const struct octets *octets)
{
    return tls_handshake_signable(str_make(octets->p, octets->n));
}

/* ---- TLS 1.3 */

static struct octets
certificate_verify(size_t spaces, const char *context, size_t context_length, size_t hash)
{
    struct octets octets = {.n = 0};
    add_many(&octets, ' ', spaces);
    add(&octets, context, context_length);
    add_many(&octets, '\x5a', hash);
    return octets;
}

#define SERVER_CONTEXT "TLS 1.3, server CertificateVerify"

static void
of_tls_1_3_only_a_servers_certificate_verify(void **state)
{
    static const struct {
        size_t spaces;
        const char *context;
        size_t context_length;
        size_t hash;
        enum tls_signable want;
    } rows[] = {
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_1_3},
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 48, TLS_SIGNABLE_1_3},
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 0, TLS_SIGNABLE_NOT},
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 20, TLS_SIGNABLE_NOT},
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 31, TLS_SIGNABLE_NOT},
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 33, TLS_SIGNABLE_NOT},
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 64, TLS_SIGNABLE_NOT},
        {63, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_NOT},
        {65, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_NOT},
        {0, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_NOT},
        /* without the NUL; a client's; another protocol's (RFC 9345) */
        {64, SERVER_CONTEXT, sizeof SERVER_CONTEXT - 1, 32, TLS_SIGNABLE_NOT},
        {64, "TLS 1.3, client CertificateVerify", sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_NOT},
        {64, "TLS, server delegated credentials", sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_NOT},
        {64, "tls 1.3, server CertificateVerify", sizeof SERVER_CONTEXT, 32, TLS_SIGNABLE_NOT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct octets octets = certificate_verify(rows[i].spaces, rows[i].context,
                                                  rows[i].context_length, rows[i].hash);
        if (judge(&octets) != rows[i].want) {
            fail_msg("row %zu", i);
        }
    }
}

/* ---- TLS 1.2 */

static struct octets
randoms(const char *end)
{
    struct octets octets = {.n = 0};
    add_many(&octets, '\x11', 32);
    add_many(&octets, '\x22', 24);
    add(&octets, end, 8);
    return octets;
}

static struct octets
curve(const char *end, int type, size_t group, size_t said, size_t point)
{
    struct octets octets = randoms(end);
    char head[] = {(char)type, (char)(group >> 8), (char)group, (char)said};
    add(&octets, head, sizeof head);
    add_many(&octets, '\x04', point);
    return octets;
}

#define SENTINEL "DOWNGRD\001"

static void
of_tls_1_2_only_the_parameters_of_a_known_curve(void **state)
{
    static const struct {
        const char *end;
        int type;
        size_t group;
        size_t said;
        size_t point;
        enum tls_signable want;
    } rows[] = {
        {SENTINEL, 3, 23, 65, 65, TLS_SIGNABLE_1_2},
        {SENTINEL, 3, 24, 97, 97, TLS_SIGNABLE_1_2},
        {SENTINEL, 3, 25, 133, 133, TLS_SIGNABLE_1_2},
        {SENTINEL, 3, 28, 129, 129, TLS_SIGNABLE_1_2},
        {SENTINEL, 3, 29, 32, 32, TLS_SIGNABLE_1_2},
        {SENTINEL, 3, 30, 56, 56, TLS_SIGNABLE_1_2},
        /* another size than the curve has, or than is said */
        {SENTINEL, 3, 23, 97, 97, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 23, 33, 33, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 29, 65, 65, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 29, 32, 31, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 29, 32, 33, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 29, 0, 0, TLS_SIGNABLE_NOT},
        /* unknown, weak, not named (explicit curves: RFC 8422 5.4) */
        {SENTINEL, 3, 0, 32, 32, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 19, 49, 49, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 256, 32, 32, TLS_SIGNABLE_NOT},
        {SENTINEL, 3, 0x1d1d, 32, 32, TLS_SIGNABLE_NOT},
        {SENTINEL, 1, 29, 32, 32, TLS_SIGNABLE_NOT},
        {SENTINEL, 2, 29, 32, 32, TLS_SIGNABLE_NOT},
        /* a server without TLS 1.3, and one that fell back to TLS 1.1 */
        {"12345678", 3, 29, 32, 32, TLS_SIGNABLE_NOT},
        {"DOWNGRD\0", 3, 29, 32, 32, TLS_SIGNABLE_NOT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct octets octets =
            curve(rows[i].end, rows[i].type, rows[i].group, rows[i].said, rows[i].point);
        if (judge(&octets) != rows[i].want) {
            fail_msg("row %zu", i);
        }
    }
}

static void
a_compressed_point_is_refused(void **state)
{
    struct octets octets = curve(SENTINEL, 3, 23, 65, 65);
    (void)state;
    octets.p[68] = 2;
    assert_int_equal(judge(&octets), TLS_SIGNABLE_NOT);
}

static struct octets
field(size_t prime, size_t generator, size_t key)
{
    struct octets octets = randoms(SENTINEL);
    add_number(&octets, prime);
    add_many(&octets, '\xff', prime);
    add_number(&octets, generator);
    add_many(&octets, '\x02', generator);
    add_number(&octets, key);
    add_many(&octets, '\x33', key);
    return octets;
}

static void
of_tls_1_2_only_the_parameters_of_a_sound_field(void **state)
{
    static const struct {
        size_t prime;
        size_t generator;
        size_t key;
        enum tls_signable want;
    } rows[] = {
        {256, 1, 256, TLS_SIGNABLE_1_2},   {384, 1, 384, TLS_SIGNABLE_1_2},
        {1024, 1, 1024, TLS_SIGNABLE_1_2}, {256, 256, 255, TLS_SIGNABLE_1_2},
        {255, 1, 255, TLS_SIGNABLE_NOT},   {128, 1, 128, TLS_SIGNABLE_NOT},
        {1025, 1, 1024, TLS_SIGNABLE_NOT}, {256, 0, 256, TLS_SIGNABLE_NOT},
        {256, 257, 256, TLS_SIGNABLE_NOT}, {256, 1, 0, TLS_SIGNABLE_NOT},
        {256, 1, 257, TLS_SIGNABLE_NOT},   {0, 0, 0, TLS_SIGNABLE_NOT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct octets octets = field(rows[i].prime, rows[i].generator, rows[i].key);
        if (judge(&octets) != rows[i].want) {
            fail_msg("row %zu", i);
        }
    }
    struct octets even = field(256, 1, 256);
    even.p[64 + 2 + 255] = 2;
    assert_int_equal(judge(&even), TLS_SIGNABLE_NOT);
    struct octets zero = field(256, 1, 256);
    zero.p[64 + 2] = 0;
    assert_int_equal(judge(&zero), TLS_SIGNABLE_NOT);
}

/* ---- all of them */

/* Every part of what is taken, and every one of it with something behind, is refused. */
static void
it_is_the_whole_or_nothing(void **state)
{
    struct octets whole[] = {
        certificate_verify(64, SERVER_CONTEXT, sizeof SERVER_CONTEXT, 32),
        curve(SENTINEL, 3, 23, 65, 65),
        field(256, 1, 256),
    };
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        struct octets *octets = &whole[i];
        assert_int_not_equal(judge(octets), TLS_SIGNABLE_NOT);
        for (size_t n = 0; n < octets->n; n++) {
            assert_int_equal(tls_handshake_signable(str_make(octets->p, n)), TLS_SIGNABLE_NOT);
        }
        add_many(octets, '\x01', 1);
        assert_int_equal(judge(octets), TLS_SIGNABLE_NOT);
    }
}

static void
other_texts_are_refused(void **state)
{
    static char large[TLS_SIGNABLE_MAX + 1];
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("TLS 1.3, server CertificateVerify"),
        STR_INIT("-----BEGIN CERTIFICATE REQUEST-----"),
        STR_INIT("\x30\x82\x01\x0a"),
        STR_INIT("from:alice@example.com\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(tls_handshake_signable(rows[i]), TLS_SIGNABLE_NOT);
    }
    assert_int_equal(tls_handshake_signable(str_make(large, sizeof large)), TLS_SIGNABLE_NOT);
    assert_int_equal(tls_handshake_signable(str_make(NULL, 0)), TLS_SIGNABLE_NOT);
}

/* ---- schemes */

static void
schemes_are_for_their_version(void **state)
{
    static const struct {
        uint16_t number;
        bool known;
        bool tls_1_3;
    } rows[] = {
        {0x0401, true, false},  {0x0501, true, false},  {0x0601, true, false},
        {0x0301, true, false},  {0x0403, true, true},   {0x0503, true, true},
        {0x0603, true, true},   {0x0303, true, false},  {0x0804, true, true},
        {0x080b, true, true},   {0x0807, true, true},   {0x0808, true, true},
        {0x0201, false, false}, {0x0203, false, false}, {0x0101, false, false},
        {0, false, false},      {0xffff, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tls_scheme *scheme = tls_scheme_find(rows[i].number);
        assert_int_equal(scheme != NULL, rows[i].known);
        if (scheme != NULL) {
            assert_int_equal(tls_scheme_signs(scheme, TLS_SIGNABLE_1_3), rows[i].tls_1_3);
            assert_true(tls_scheme_signs(scheme, TLS_SIGNABLE_1_2));
            assert_false(tls_scheme_signs(scheme, TLS_SIGNABLE_NOT));
        }
    }
}

static void
schemes_are_chosen_by_key_digest_and_padding(void **state)
{
    static const struct {
        const char *type;
        const char *digest;
        bool pss;
        uint16_t want;
    } rows[] = {
        {"RSA", "SHA256", false, 0x0401},  {"RSA", "SHA2-256", true, 0x0804},
        {"rsa", "sha2-512", true, 0x0806}, {"RSA-PSS", "SHA384", true, 0x080a},
        {"EC", "SHA2-384", false, 0x0503}, {"ED25519", NULL, false, 0x0807},
        {"ED448", NULL, false, 0x0808},    {"RSA-PSS", "SHA256", false, 0},
        {"RSA", "SHA1", false, 0},         {"RSA", NULL, false, 0},
        {"EC", "SHA256", true, 0},         {"EC", "SHA3-256", false, 0},
        {"EC", "SHA2-512/256", false, 0},  {"ED25519", "SHA256", false, 0},
        {"DSA", "SHA256", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tls_scheme *scheme =
            tls_scheme_choose(rows[i].type, rows[i].digest, rows[i].pss);
        if ((scheme != NULL ? scheme->number : 0) != rows[i].want) {
            fail_msg("row %zu", i);
        }
    }
}

/* Parameters that are also one DER SEQUENCE, as a request for a certificate is. */
static void
what_is_der_too_is_refused(void **state)
{
    (void)state;
    struct octets small = curve(SENTINEL, 3, 25, 133, 133);
    assert_int_equal(judge(&small), TLS_SIGNABLE_1_2);
    memcpy(small.p, "\x30\x81", 2);
    small.p[2] = (char)(small.n - 3);
    assert_int_equal(judge(&small), TLS_SIGNABLE_NOT);
    small.p[2]++; /* a client's random number that only begins like one */
    assert_int_equal(judge(&small), TLS_SIGNABLE_1_2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_der_too_is_refused),
        cmocka_unit_test(of_tls_1_3_only_a_servers_certificate_verify),
        cmocka_unit_test(of_tls_1_2_only_the_parameters_of_a_known_curve),
        cmocka_unit_test(a_compressed_point_is_refused),
        cmocka_unit_test(of_tls_1_2_only_the_parameters_of_a_sound_field),
        cmocka_unit_test(it_is_the_whole_or_nothing),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(schemes_are_for_their_version),
        cmocka_unit_test(schemes_are_chosen_by_key_digest_and_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
