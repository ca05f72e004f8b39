#include "store/credential.h"

#include <openssl/evp.h>
#include <sodium.h>

#include "base/random.h"

_Static_assert(CREDENTIAL_ARGON2_TEXT >= crypto_pwhash_STRBYTES, "the text of Argon2id fits");
_Static_assert(CREDENTIAL_KEY == crypto_hash_sha256_BYTES, "SHA-256");
_Static_assert(CREDENTIAL_KEY == crypto_auth_hmacsha256_BYTES, "HMAC-SHA-256");

enum status
credential_init(void)
{
    return sodium_init() < 0 ? STATUS_BUG : STATUS_OK;
}

static void
hmac(const uint8_t key[static CREDENTIAL_KEY], struct str text, uint8_t out[static CREDENTIAL_KEY])
{
    crypto_auth_hmacsha256(out, (const unsigned char *)text.p, text.n, key);
}

enum status
credential_scram_keys(struct str password, struct str salt, uint32_t iterations,
                      struct credential *credential_out)
{
    uint8_t salted[CREDENTIAL_KEY];
    uint8_t client_key[CREDENTIAL_KEY];
    /* RFC 5802 2.2: Hi() is PBKDF2 (RFC 8018 5.2) with HMAC-SHA-256 and one block. */
    if (PKCS5_PBKDF2_HMAC(password.p != NULL ? password.p : "", (int)password.n,
                          (const unsigned char *)salt.p, (int)salt.n, (int)iterations, EVP_sha256(),
                          sizeof salted, salted) != 1) {
        return STATUS_LIMIT;
    }
    hmac(salted, STR("Client Key"), client_key);
    crypto_hash_sha256(credential_out->stored_key, client_key, sizeof client_key);
    hmac(salted, STR("Server Key"), credential_out->server_key);
    credential_out->iterations = iterations;
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client_key, sizeof client_key);
    return STATUS_OK;
}

enum status
credential_make(struct str password, struct credential *credential_out)
{
    struct credential credential = {.iterations = 0};
    if (password.n > CREDENTIAL_PASSWORD_MAX) {
        return STATUS_LIMIT;
    }
    if (crypto_pwhash_str_alg(credential.argon2, password.p != NULL ? password.p : "", password.n,
                              CREDENTIAL_ARGON2_PASSES, CREDENTIAL_ARGON2_MEMORY,
                              crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return STATUS_LIMIT;
    }
    random_bytes(credential.salt, sizeof credential.salt);
    struct str salt = {(const char *)credential.salt, sizeof credential.salt};
    enum status status = credential_scram_keys(password, salt, CREDENTIAL_ITERATIONS, &credential);
    if (status == STATUS_OK) {
        *credential_out = credential;
    }
    return status;
}

bool
credential_check_password(const char *argon2, struct str password)
{
    return password.n <= CREDENTIAL_PASSWORD_MAX &&
           crypto_pwhash_str_verify(argon2, password.p != NULL ? password.p : "", password.n) == 0;
}

bool
credential_check_scram(const struct credential *credential, struct str auth_message,
                       struct str client_proof, uint8_t signature_out[static CREDENTIAL_KEY])
{
    uint8_t client_key[CREDENTIAL_KEY]; /* first ClientSignature, then the key that it hides */
    uint8_t hashed[CREDENTIAL_KEY];
    if (client_proof.n != CREDENTIAL_KEY) {
        return false;
    }
    hmac(credential->stored_key, auth_message, client_key);
    for (size_t i = 0; i < CREDENTIAL_KEY; i++) {
        client_key[i] ^= (uint8_t)client_proof.p[i];
    }
    crypto_hash_sha256(hashed, client_key, sizeof client_key);
    bool right = sodium_memcmp(hashed, credential->stored_key, sizeof hashed) == 0;
    if (right) {
        hmac(credential->server_key, auth_message, signature_out);
    }
    sodium_memzero(client_key, sizeof client_key);
    return right;
}

void
credential_fake_salt(const uint8_t secret[static CREDENTIAL_KEY], struct str name,
                     uint8_t salt_out[static CREDENTIAL_SALT])
{
    uint8_t mac[CREDENTIAL_KEY];
    hmac(secret, name, mac);
    memcpy(salt_out, mac, CREDENTIAL_SALT);
}
