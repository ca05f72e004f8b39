#include "transport/tlsa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tls/test_material.h"

/* transport.md 11: 0 to 3 octets, digests of any length: no crash, and not usable. */
static void
test_lengths(void **state)
{
    char octets[80] = {0};
    (void)state;
    for (unsigned usage = 0; usage < 5; usage++) {
        for (unsigned selector = 0; selector < 3; selector++) {
            for (unsigned matching = 0; matching < 4; matching++) {
                for (size_t n = 0; n <= sizeof octets - 3; n++) {
                    octets[0] = (char)usage;
                    octets[1] = (char)selector;
                    octets[2] = (char)matching;
                    struct str record = str_make(octets, n + 3);
                    struct dns_tlsa tlsa;
                    bool want = (usage == 2 || usage == 3) && selector < 2 &&
                                ((matching == 1 && n == 32) || (matching == 2 && n == 64));
                    bool got = dns_rdata_tlsa(record, &tlsa) == STATUS_OK && tlsa_is_usable(&tlsa);
                    assert_int_equal(got, want);
                }
            }
        }
    }
}

static void
test_short_records(void **state)
{
    struct arena *arena = arena_create(1 << 16);
    const struct str records[] = {STR(""), STR("\3"), STR("\3\1"), STR("\3\1\1")};
    const struct dns_answer answer = {.records = records, .record_count = 4};
    struct tlsa_set set;
    (void)state;
    assert_int_equal(tlsa_set_read(arena, &answer, &set), STATUS_OK);
    assert_int_equal(set.count, 0);
    assert_int_equal(set.unusable, 4);
    arena_destroy(&arena);
}

/* ---- Full(0) */

struct der {
    unsigned char *octets;
    struct str text;
};

static struct der
der_make(struct test_pem pem, bool key)
{
    struct der der = {.octets = NULL};
    BIO *bio = BIO_new_mem_buf(pem.chain.p, (int)pem.chain.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    int n = key ? i2d_PUBKEY(X509_get0_pubkey(certificate), &der.octets)
                : i2d_X509(certificate, &der.octets);
    assert_true(n > 0);
    der.text = str_make((const char *)der.octets, (size_t)n);
    X509_free(certificate);
    BIO_free(bio);
    return der;
}

static void
test_whole_certificates_and_keys(void **state)
{
    struct test_pem pem = test_pem_make("DNS:mx.example", false);
    (void)state;
    for (uint8_t selector = 0; selector < 2; selector++) {
        struct der der = der_make(pem, selector == 1);
        struct dns_tlsa tlsa = {TLSA_USAGE_DANE_TA, selector, TLSA_MATCHING_FULL, der.text};
        assert_true(tlsa_is_usable(&tlsa));
        tlsa.usage = TLSA_USAGE_PKIX_EE;
        assert_false(tlsa_is_usable(&tlsa));
        tlsa.usage = TLSA_USAGE_DANE_EE;
        tlsa.selector ^= 1;
        assert_false(tlsa_is_usable(&tlsa));
        tlsa.selector ^= 1;
        for (size_t n = 0; n < der.text.n; n++) { /* cut anywhere, it is none */
            tlsa.data = str_head(der.text, n);
            assert_false(tlsa_is_usable(&tlsa));
        }
        char *longer = malloc(der.text.n + 1);
        memcpy(longer, der.text.p, der.text.n);
        longer[der.text.n] = 0;
        tlsa.data = str_make(longer, der.text.n + 1);
        assert_false(tlsa_is_usable(&tlsa)); /* an octet behind it */
        free(longer);
        OPENSSL_free(der.octets);
    }
    arena_destroy(&pem.arena);
}

/* ---- sets */

#define ROW_OCTETS 67u

/* "311a": usage, selector, matching, and the octet that its digest is full of. */
static struct str
record_make(struct arena *arena, const char *text)
{
    char *octets = arena_alloc(arena, ROW_OCTETS);
    size_t n = text[2] == '2' ? 64 : 32;
    for (size_t i = 0; i < 3; i++) {
        octets[i] = (char)(text[i] - '0');
    }
    memset(octets + 3, text[3], n);
    return str_make(octets, n + 3);
}

static void
test_sets(void **state)
{
    static const struct {
        const char *records; /* parted by blanks */
        const char *want;
        size_t unusable, weaker;
    } cases[] = {
        {"311a", "311a", 0, 0},
        {"211b 311a", "311a 211b", 0, 0},
        {"311b 311a", "311a 311b", 0, 0},
        {"111a 011b 311a", "311a", 2, 0},
        {"411a 331a 313a", "", 3, 0},
        /* RFC 7671 9: the better digest of each usage and selector */
        {"311a 312b", "312b", 0, 1},
        {"311a 311c 312b 301d", "312b 301d", 0, 2},
        {"211a 312b", "312b 211a", 0, 0},
        {"201a 212b 211c", "212b 201a", 0, 1},
        {"112b 311a", "311a", 1, 0}, /* one that cannot be used takes nothing's place */
    };
    struct arena *arena = arena_create(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str records[8];
        struct dns_answer answer = {.records = records};
        struct str rest = str_from_cstr(cases[i].records), word, got = STR("");
        struct tlsa_set set;
        bool more = true;
        while (more) {
            more = str_cut(rest, ' ', &word, &rest);
            records[answer.record_count++] = record_make(arena, word.p);
        }
        assert_int_equal(tlsa_set_read(arena, &answer, &set), STATUS_OK);
        for (size_t k = 0; k < set.count; k++) {
            const struct dns_tlsa *t = &set.items[k];
            got = arena_printf(arena, "%.*s%s%u%u%u%c", STR_ARG(got), k > 0 ? " " : "", t->usage,
                               t->selector, t->matching, t->data.p[0]);
        }
        if (!str_eq(got, str_from_cstr(cases[i].want)) || set.unusable != cases[i].unusable ||
            set.weaker != cases[i].weaker) {
            fail_msg("%s: got \"%.*s\", %zu unusable, %zu weaker", cases[i].records, STR_ARG(got),
                     set.unusable, set.weaker);
        }
    }
    arena_destroy(&arena);
}

static void
test_a_large_set_is_bounded(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct str records[100];
    const struct dns_answer answer = {.records = records, .record_count = 100};
    struct tlsa_set set;
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        char text[] = {'3', '1', '1', (char)(100 - i), '\0'};
        records[i] = record_make(arena, text);
    }
    assert_int_equal(tlsa_set_read(arena, &answer, &set), STATUS_OK);
    assert_int_equal(set.count, TLSA_RECORDS_MAX);
    assert_int_equal(set.too_many, 100 - TLSA_RECORDS_MAX);
    assert_int_equal(set.items[0].data.p[0], 1); /* the same ones in whatever order they come */
    arena_destroy(&arena);
}

static void
test_text(void **state)
{
    char text[TLSA_TEXT_MAX];
    struct dns_tlsa tlsa = {3, 1, 1, STR("\x01\xab\xff")};
    (void)state;
    assert_string_equal(tlsa_format(&tlsa, text), "3 1 1 01abff");
    tlsa.data = STR("0123456789012345678901234567890123456789");
    tlsa.usage = 255;
    assert_string_equal(tlsa_format(&tlsa, text), "255 1 1 30313233343536373839303132333435");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_short_records),
        cmocka_unit_test(test_whole_certificates_and_keys),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_a_large_set_is_bounded),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
