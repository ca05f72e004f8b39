/* Passwords and SCRAM keys, against the example of RFC 7677 3. */
#include "store/credential.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/encode.h"

#define AUTH_MESSAGE                                                                               \
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"                                                               \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"      \
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static struct str
decode(struct arena *arena, const char *text)
{
    struct str octets;
    assert_int_equal(base64_decode(arena, str_from_cstr(text), &octets), STATUS_OK);
    return octets;
}

static void
scram_agrees_with_rfc_7677(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4096);
    struct credential credential = {.iterations = 0};
    uint8_t signature[CREDENTIAL_KEY];
    struct str proof = decode(arena, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    struct str salt = decode(arena, "W22ZaJ0SNY7soEsUEjb6gQ==");
    assert_int_equal(credential_scram_keys(STR("pencil"), salt, 4096, &credential), STATUS_OK);
    assert_true(credential_check_scram(&credential, STR(AUTH_MESSAGE), proof, signature));
    struct str got = base64_encode(arena, str_make((char *)signature, sizeof signature));
    assert_true(str_eq(got, STR("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    arena_destroy(&arena);
}

static void
scram_refuses_what_is_not_the_proof(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4096);
    struct credential credential = {.iterations = 0};
    uint8_t signature[CREDENTIAL_KEY] = {0};
    static const uint8_t untouched[CREDENTIAL_KEY];
    struct str salt = decode(arena, "W22ZaJ0SNY7soEsUEjb6gQ==");
    char proof[CREDENTIAL_KEY + 1] = {0};
    assert_int_equal(credential_scram_keys(STR("pencil"), salt, 4096, &credential), STATUS_OK);
    memcpy(proof, decode(arena, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").p, CREDENTIAL_KEY);
    for (size_t i = 0; i < CREDENTIAL_KEY; i++) {
        proof[i] ^= 1;
        assert_false(credential_check_scram(&credential, STR(AUTH_MESSAGE),
                                            str_make(proof, CREDENTIAL_KEY), signature));
        proof[i] ^= 1;
    }
    assert_false(credential_check_scram(&credential, STR(AUTH_MESSAGE "x"),
                                        str_make(proof, CREDENTIAL_KEY), signature));
    for (size_t n = 0; n <= CREDENTIAL_KEY + 1; n++) {
        bool right =
            credential_check_scram(&credential, STR(AUTH_MESSAGE), str_make(proof, n), signature);
        assert_int_equal(right, n == CREDENTIAL_KEY);
        assert_true(right || n > CREDENTIAL_KEY ||
                    memcmp(signature, untouched, sizeof signature) == 0);
    }
    /* other passwords, other counts give other keys */
    assert_int_equal(credential_scram_keys(STR("pencil"), salt, 4097, &credential), STATUS_OK);
    assert_false(credential_check_scram(&credential, STR(AUTH_MESSAGE),
                                        str_make(proof, CREDENTIAL_KEY), signature));
    arena_destroy(&arena);
}

static void
passwords_are_checked(void **state)
{
    (void)state;
    struct credential credential;
    struct credential again;
    assert_int_equal(credential_make(STR("correct horse \xc3\xa4"), &credential), STATUS_OK);
    assert_int_equal(credential_make(STR("correct horse \xc3\xa4"), &again), STATUS_OK);
    assert_string_not_equal(credential.argon2, again.argon2);
    assert_memory_not_equal(credential.salt, again.salt, sizeof again.salt);
    assert_true(
        str_starts_with(str_from_cstr(credential.argon2), STR("$argon2id$v=19$m=32768,t=3")));
    assert_true(credential_check_password(credential.argon2, STR("correct horse \xc3\xa4")));
    assert_false(credential_check_password(credential.argon2, STR("correct horse \xc3\xa5")));
    assert_false(credential_check_password(credential.argon2, STR("")));
    assert_false(credential_check_password("{CRYPT}!", STR("")));
}

static void
longest_password_is_bounded(void **state)
{
    (void)state;
    static char password[CREDENTIAL_PASSWORD_MAX + 1];
    struct credential credential;
    memset(password, 'p', sizeof password);
    assert_int_equal(credential_make(str_make(password, sizeof password), &credential),
                     STATUS_LIMIT);
    assert_int_equal(credential_make(str_make(password, sizeof password - 1), &credential),
                     STATUS_OK);
    assert_true(
        credential_check_password(credential.argon2, str_make(password, sizeof password - 1)));
    assert_false(credential_check_password(credential.argon2, str_make(password, sizeof password)));
}

static void
fake_salts_are_stable(void **state)
{
    (void)state;
    const uint8_t secret[CREDENTIAL_KEY] = {1};
    const uint8_t other[CREDENTIAL_KEY] = {2};
    uint8_t a[CREDENTIAL_SALT];
    uint8_t b[CREDENTIAL_SALT];
    credential_fake_salt(secret, STR("eve@example.com"), a);
    credential_fake_salt(secret, STR("eve@example.com"), b);
    assert_memory_equal(a, b, sizeof a);
    credential_fake_salt(secret, STR("eva@example.com"), b);
    assert_memory_not_equal(a, b, sizeof a);
    credential_fake_salt(other, STR("eve@example.com"), b);
    assert_memory_not_equal(a, b, sizeof a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram_agrees_with_rfc_7677),
        cmocka_unit_test(scram_refuses_what_is_not_the_proof),
        cmocka_unit_test(passwords_are_checked),
        cmocka_unit_test(longest_password_is_bounded),
        cmocka_unit_test(fake_salts_are_stable),
    };
    return credential_init() == STATUS_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
