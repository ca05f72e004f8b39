#include "auth/crypto.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/private_key.h"
#include "base/encode.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

struct test_key {
    struct private_key *private;
    struct str public; /* in the arena */
};

static struct arena *arena;
static struct test_key rsa, rsa_other, ed25519;

static void
make_key(enum crypto_algorithm algorithm, struct test_key *key)
{
    assert_int_equal(private_key_generate(algorithm, 0, &key->private), STATUS_OK);
    assert_int_equal(private_key_public(key->private, arena, &key->public), STATUS_OK);
}

static int
setup(void **state)
{
    (void)state;
    arena = arena_create(1u << 20);
    make_key(CRYPTO_RSA_SHA256, &rsa);
    make_key(CRYPTO_RSA_SHA256, &rsa_other);
    make_key(CRYPTO_ED25519_SHA256, &ed25519);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    private_key_destroy(&rsa.private);
    private_key_destroy(&rsa_other.private);
    private_key_destroy(&ed25519.private);
    arena_destroy(&arena);
    return 0;
}

static struct str
sign(const struct test_key *key, struct str message, struct str *hash_out)
{
    uint8_t hash[CRYPTO_HASH_SIZE];
    struct buf signature;
    buf_init(&signature, CRYPTO_SIGNATURE_MAX);
    assert_int_equal(crypto_hash(message, hash), STATUS_OK);
    *hash_out = arena_str_dup(arena, str_make((const char *)hash, sizeof hash));
    struct crypto_signer signer = private_key_signer(key->private);
    assert_int_equal(signer.algorithm, private_key_algorithm(key->private));
    assert_int_equal(signer.sign(signer.ctx, *hash_out, &signature), STATUS_OK);
    struct str copy = arena_str_dup(arena, buf_str(&signature));
    buf_free(&signature);
    return copy;
}

/* The same with one octet changed. */
static struct str
changed(struct str s, size_t at)
{
    char *copy = arena_cstr(arena, s);
    assert_non_null(copy);
    copy[at] ^= 1;
    return str_make(copy, s.n);
}

static void
test_round_trip(void **state)
{
    const struct test_key *keys[] = {&rsa, &ed25519};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        enum crypto_algorithm algorithm = private_key_algorithm(keys[i]->private);
        struct public_key *key;
        struct str hash;
        struct str s = sign(keys[i], STR("message"), &hash);
        assert_int_equal(public_key_load(algorithm, keys[i]->public, &key, NULL), CRYPTO_KEY_OK);
        assert_int_equal(public_key_bits(key), private_key_bits(keys[i]->private));
        for (int again = 0; again < 3; again++) {
            assert_int_equal(public_key_verify(key, hash, s), CRYPTO_VALID);
            assert_int_equal(public_key_verify(key, changed(hash, 31), s), CRYPTO_INVALID);
            assert_int_equal(public_key_verify(key, hash, changed(s, 9)), CRYPTO_INVALID);
            assert_int_equal(public_key_verify(key, hash, str_head(s, s.n - 1)), CRYPTO_INVALID);
            assert_int_equal(public_key_verify(key, hash, STR("")), CRYPTO_INVALID);
            assert_int_equal(public_key_verify(key, str_head(hash, 31), s), CRYPTO_INVALID);
        }
        public_key_release(&key);
        assert_null(key);
    }
}

/* RFC 8463 A.2, and a signature of RFC 8032 7.1 test 1. */
static void
test_ed25519_vector(void **state)
{
    struct str public, signature, seed, derived;
    struct private_key *private;
    struct public_key *key;
    (void)state;
    assert_int_equal(hex_decode(arena,
                                STR("d75a980182b10ab7d54bfed3c964073a"
                                    "0ee172f3daa62325af021a68f707511a"),
                                &public),
                     STATUS_OK);
    assert_int_equal(
        hex_decode(arena,
                   STR("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                       "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100"
                       "b"),
                   &signature),
        STATUS_OK);
    assert_int_equal(
        base64_decode(arena, STR("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="), &seed),
        STATUS_OK);
    assert_int_equal(public_key_load(CRYPTO_ED25519_SHA256, public, &key, NULL), CRYPTO_KEY_OK);
    assert_int_equal(public_key_verify(key, STR(""), signature), CRYPTO_VALID);
    public_key_release(&key);
    assert_int_equal(private_key_from_seed(seed, &private), STATUS_OK);
    assert_int_equal(private_key_public(private, arena, &derived), STATUS_OK);
    assert_true(str_eq(derived, public));
    private_key_destroy(&private);
    assert_int_equal(private_key_from_seed(str_head(seed, 31), &private), STATUS_SYNTAX);
}

/* A tag and a length in its shortest form; returns what follows them. */
static unsigned char *
put_head(unsigned char *p, unsigned char tag, size_t length)
{
    *p++ = tag;
    if (length >= 0x80) {
        *p++ = length < 0x100 ? 0x81 : 0x82;
    }
    if (length >= 0x100) {
        *p++ = (unsigned char)(length >> 8);
    }
    *p++ = (unsigned char)length;
    return p;
}

/* A bare RSAPublicKey with a modulus of so many bits, all ones, and this exponent, an INTEGER. */
static struct str
bare_rsa_with(size_t bits, struct str exponent)
{
    unsigned char *start = arena_alloc(arena, bits / 8 + 64);
    unsigned char number[8];
    size_t octets = bits / 8 + 1; /* the first is 0, or the odd bits */
    size_t head = (size_t)(put_head(number, 0x02, octets) - number);
    assert_non_null(start);
    unsigned char *p = put_head(start, 0x30, head + octets + exponent.n);
    p = put_head(p, 0x02, octets);
    memset(p, 0xff, octets);
    p[0] = (unsigned char)((1u << bits % 8) - 1);
    p += octets;
    memcpy(p, exponent.p, exponent.n);
    return str_make((char *)start, (size_t)(p - start) + exponent.n);
}

/* The same with the exponent 65537. */
static struct str
bare_rsa(size_t bits)
{
    return bare_rsa_with(bits, STR("\x02\x03\x01\x00\x01"));
}

static void
test_sizes(void **state)
{
    static const struct {
        size_t bits;
        enum crypto_key_result want;
    } cases[] = {{512, CRYPTO_KEY_SMALL},  {1023, CRYPTO_KEY_SMALL}, {1024, CRYPTO_KEY_OK},
                 {1025, CRYPTO_KEY_OK},    {2048, CRYPTO_KEY_OK},    {4095, CRYPTO_KEY_OK},
                 {4096, CRYPTO_KEY_OK},    {4097, CRYPTO_KEY_LARGE}, {8192, CRYPTO_KEY_LARGE},
                 {16384, CRYPTO_KEY_LARGE}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct public_key *key = NULL;
        unsigned bits = 0;
        enum crypto_key_result got =
            public_key_load(CRYPTO_RSA_SHA256, bare_rsa(cases[i].bits), &key, &bits);
        if (got != cases[i].want || bits != cases[i].bits) {
            fail_msg("%zu bits: got %d and %u", cases[i].bits, (int)got, bits);
        }
        public_key_release(&key);
    }
}

/* The exponent 1 verifies what anybody writes; others are no exponents, or too much work. */
static void
test_exponents(void **state)
{
    static const struct {
        struct str integer;
        enum crypto_key_result want;
    } cases[] = {
        {STR_INIT("\x02\x01\x03"), CRYPTO_KEY_OK},
        {STR_INIT("\x02\x01\x11"), CRYPTO_KEY_OK},
        {STR_INIT("\x02\x02\x01\x01"), CRYPTO_KEY_OK},
        {STR_INIT("\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff"), CRYPTO_KEY_OK},
        {STR_INIT("\x02\x09\x01\xff\xff\xff\xff\xff\xff\xff\xff"), CRYPTO_KEY_MALFORMED},
        {STR_INIT("\x02\x01\x01"), CRYPTO_KEY_MALFORMED},
        {STR_INIT("\x02\x02\x00\x01"), CRYPTO_KEY_MALFORMED},
        {STR_INIT("\x02\x01\x00"), CRYPTO_KEY_MALFORMED},
        {STR_INIT("\x02\x01\x02"), CRYPTO_KEY_MALFORMED},
        {STR_INIT("\x02\x01\xff"), CRYPTO_KEY_MALFORMED},
        {STR_INIT("\x02\x00"), CRYPTO_KEY_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct public_key *key = NULL;
        struct str octets = bare_rsa_with(1024, cases[i].integer);
        enum crypto_key_result got = public_key_load(CRYPTO_RSA_SHA256, octets, &key, NULL);
        if (got != cases[i].want) {
            fail_msg("case %zu: got %d", i, (int)got);
        }
        public_key_release(&key);
    }
}

/* What no signer can have made: no point of the curve, points of small order, other spellings. */
static void
test_ed25519_points(void **state)
{
    static const char *const cases[] = {
        "0000000000000000000000000000000000000000000000000000000000000000", /* order 4 */
        "0100000000000000000000000000000000000000000000000000000000000000", /* the neutral one */
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* order 2 */
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", /* order 8 */
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", /* order 8 */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p for 0 */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1 for 1 */
        "0200000000000000000000000000000000000000000000000000000000000000", /* not on the curve */
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct public_key *key = NULL;
        struct str octets;
        assert_int_equal(hex_decode(arena, str_from_cstr(cases[i]), &octets), STATUS_OK);
        if (public_key_load(CRYPTO_ED25519_SHA256, octets, &key, NULL) != CRYPTO_KEY_MALFORMED) {
            fail_msg("%s is taken for a key", cases[i]);
        }
    }
}

/* Every octet of a key missing, doubled or changed: read or not, but never more than it. */
static void
test_malformed(void **state)
{
    struct public_key *key = NULL;
    struct str bare = bare_rsa(1024);
    (void)state;
    for (size_t n = 0; n < rsa.public.n; n++) {
        assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, str_head(rsa.public, n), &key, NULL),
                         CRYPTO_KEY_MALFORMED);
    }
    for (size_t n = 0; n < bare.n; n++) {
        assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, str_head(bare, n), &key, NULL),
                         CRYPTO_KEY_MALFORMED);
    }
    char *copy = arena_alloc(arena, rsa.public.n + 1);
    assert_non_null(copy);
    memcpy(copy, rsa.public.p, rsa.public.n);
    struct str longer = str_make(copy, rsa.public.n + 1);
    assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, longer, &key, NULL), CRYPTO_KEY_MALFORMED);
    /* An even modulus, an even exponent. */
    assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, changed(bare, bare.n - 6), &key, NULL),
                     CRYPTO_KEY_MALFORMED);
    assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, changed(bare, bare.n - 1), &key, NULL),
                     CRYPTO_KEY_MALFORMED);
    assert_int_equal(public_key_load(CRYPTO_ED25519_SHA256, rsa.public, &key, NULL),
                     CRYPTO_KEY_MALFORMED);
    assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, ed25519.public, &key, NULL),
                     CRYPTO_KEY_MALFORMED);
    assert_int_equal(public_key_load(CRYPTO_RSA_SHA256, STR(""), &key, NULL), CRYPTO_KEY_MALFORMED);
    assert_null(key);
}

static void
test_cache(void **state)
{
    struct key_cache *cache = key_cache_create(2);
    const struct str texts[] = {base64_encode(arena, rsa.public),
                                base64_encode(arena, rsa_other.public),
                                base64_encode(arena, ed25519.public)};
    struct public_key *keys[3];
    struct public_key *again;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(key_cache_load(cache, CRYPTO_RSA_SHA256, texts[i], &keys[i], NULL),
                         CRYPTO_KEY_OK);
    }
    /* The first is used again, so that the second makes room for the third. */
    assert_int_equal(key_cache_load(cache, CRYPTO_RSA_SHA256, texts[0], &again, NULL),
                     CRYPTO_KEY_OK);
    assert_ptr_equal(again, keys[0]);
    public_key_release(&again);
    assert_int_equal(key_cache_load(cache, CRYPTO_ED25519_SHA256, texts[2], &keys[2], NULL),
                     CRYPTO_KEY_OK);
    assert_int_equal(key_cache_count(cache), 2);
    assert_int_equal(key_cache_load(cache, CRYPTO_RSA_SHA256, texts[0], &again, NULL),
                     CRYPTO_KEY_OK);
    assert_ptr_equal(again, keys[0]);
    public_key_release(&again);
    assert_int_equal(key_cache_load(cache, CRYPTO_RSA_SHA256, texts[1], &again, NULL),
                     CRYPTO_KEY_OK);
    assert_ptr_not_equal(again, keys[1]);
    public_key_release(&again);
    /* The same octets as another kind of key are another key. */
    assert_int_equal(key_cache_load(cache, CRYPTO_ED25519_SHA256, texts[0], &again, NULL),
                     CRYPTO_KEY_MALFORMED);
    key_cache_destroy(&cache);
    struct str hash;
    struct str signature = sign(&rsa, STR("a"), &hash);
    assert_int_equal(public_key_verify(keys[0], hash, signature), CRYPTO_VALID);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        public_key_release(&keys[i]);
    }
}

struct crowd {
    struct key_cache *cache;
    struct str texts[2];
    struct str hash;
    struct str signature;
    int failures;
};

static void *
crowd_member(void *ctx)
{
    struct crowd *crowd = ctx;
    for (int i = 0; i < 300; i++) {
        struct public_key *key;
        struct str text = crowd->texts[i % 3 == 0];
        if (key_cache_load(crowd->cache, CRYPTO_RSA_SHA256, text, &key, NULL) != CRYPTO_KEY_OK) {
            __atomic_fetch_add(&crowd->failures, 1, __ATOMIC_RELAXED);
            continue;
        }
        enum crypto_verdict want = i % 3 == 0 ? CRYPTO_INVALID : CRYPTO_VALID;
        if (public_key_verify(key, crowd->hash, crowd->signature) != want) {
            __atomic_fetch_add(&crowd->failures, 1, __ATOMIC_RELAXED);
        }
        public_key_release(&key);
    }
    return NULL;
}

/* Many threads, one key each time, and a cache that always has to make room. */
static void
test_threads(void **state)
{
    struct crowd crowd = {
        .cache = key_cache_create(1),
        .texts = {base64_encode(arena, rsa.public), base64_encode(arena, rsa_other.public)}};
    pthread_t threads[8];
    (void)state;
    crowd.signature = sign(&rsa, STR("a"), &crowd.hash);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(crowd.failures, 0);
    key_cache_destroy(&crowd.cache);
}

static void
test_private_keys(void **state)
{
    const struct test_key *keys[] = {&rsa, &ed25519};
    struct private_key *copy;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct buf pem;
        struct str public;
        buf_init(&pem, PRIVATE_KEY_PEM_MAX);
        assert_int_equal(private_key_to_pem(keys[i]->private, &pem), STATUS_OK);
        assert_true(str_starts_with(buf_str(&pem), STR("-----BEGIN PRIVATE KEY-----\n")));
        assert_int_equal(private_key_from_pem(buf_str(&pem), &copy), STATUS_OK);
        assert_int_equal(private_key_public(copy, arena, &public), STATUS_OK);
        assert_true(str_eq(public, keys[i]->public));
        private_key_destroy(&copy);
        buf_free_wiped(&pem);
    }
    assert_int_equal(private_key_from_pem(STR("nonsense"), &copy), STATUS_SYNTAX);
    assert_int_equal(private_key_from_pem(STR(""), &copy), STATUS_SYNTAX);
    assert_int_equal(private_key_generate(CRYPTO_RSA_SHA256, 1024, &copy), STATUS_LIMIT);
    assert_int_equal(private_key_generate(CRYPTO_RSA_SHA256, 8192, &copy), STATUS_LIMIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_ed25519_vector),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_exponents),
        cmocka_unit_test(test_ed25519_points), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_cache),          cmocka_unit_test(test_threads),
        cmocka_unit_test(test_private_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
