#include "smtp/client_scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/encode.h"

#define DIGEST 32u

/* saslname: a comma and an equals sign are escaped (RFC 5802 5.1). */
static struct str
encode_user(struct arena *arena, struct str user)
{
    char *out = arena_alloc(arena, 3 * user.n + 1);
    size_t n = 0;
    for (size_t i = 0; out != NULL && i < user.n; i++) {
        const char *escape = user.p[i] == ',' ? "=2C" : user.p[i] == '=' ? "=3D" : NULL;
        if (escape != NULL) {
            memcpy(out + n, escape, 3);
            n += 3;
        } else {
            out[n++] = user.p[i];
        }
    }
    return str_make(out, n);
}

struct str
scram_client_begin(struct scram_client *scram, struct arena *arena,
                   const struct smtp_client_login *login, struct str nonce)
{
    struct str user = encode_user(arena, login->user);
    *scram = (struct scram_client){.password = login->password, .nonce = nonce};
    if (user.p == NULL) {
        return str_make(NULL, 0);
    }
    struct str first = arena_printf(arena, "n,,n=%.*s,r=%.*s", STR_ARG(user), STR_ARG(nonce));
    scram->first_bare = str_skip(first, 3);
    return first;
}

/* Takes "k=value" from the front of a comma-separated list. */
static bool
take_attribute(struct str *rest, char key, struct str *value_out)
{
    struct str item;
    struct str tail;
    str_cut(*rest, ',', &item, &tail);
    if (item.n < 2 || item.p[0] != key || item.p[1] != '=') {
        return false;
    }
    *value_out = str_skip(item, 2);
    *rest = tail;
    return true;
}

static bool
hmac(const uint8_t key[DIGEST], struct str text, uint8_t out[DIGEST])
{
    unsigned n = 0;
    return HMAC(EVP_sha256(), key, DIGEST, (const unsigned char *)text.p, text.n, out, &n) !=
               NULL &&
           n == DIGEST;
}

/* The proof, and the signature that the server must show (RFC 5802 3). */
static bool
make_proof(struct scram_client *scram, struct str salt, uint64_t iterations,
           struct str auth_message, uint8_t proof[DIGEST])
{
    uint8_t salted[DIGEST], client_key[DIGEST], stored_key[DIGEST], server_key[DIGEST];
    unsigned n = 0;
    bool done =
        PKCS5_PBKDF2_HMAC(scram->password.p, (int)scram->password.n, (const unsigned char *)salt.p,
                          (int)salt.n, (int)iterations, EVP_sha256(), DIGEST, salted) == 1 &&
        hmac(salted, STR("Client Key"), client_key) &&
        EVP_Digest(client_key, DIGEST, stored_key, &n, EVP_sha256(), NULL) == 1 &&
        hmac(stored_key, auth_message, proof) && hmac(salted, STR("Server Key"), server_key) &&
        hmac(server_key, auth_message, scram->server_signature);
    for (size_t i = 0; done && i < DIGEST; i++) {
        proof[i] ^= client_key[i];
    }
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    OPENSSL_cleanse(stored_key, sizeof stored_key);
    OPENSSL_cleanse(server_key, sizeof server_key);
    return done;
}

/* server-first-message: "r=" nonce ",s=" salt ",i=" iterations */
static enum status
answer_first(struct scram_client *scram, struct arena *arena, struct str challenge,
             struct str *answer_out)
{
    struct str rest = challenge;
    struct str nonce, salt64, count, salt;
    uint64_t iterations;
    uint8_t proof[DIGEST];
    if (!take_attribute(&rest, 'r', &nonce) || !take_attribute(&rest, 's', &salt64) ||
        !take_attribute(&rest, 'i', &count) || nonce.n <= scram->nonce.n ||
        !str_starts_with(nonce, scram->nonce) || base64_decode(arena, salt64, &salt) != STATUS_OK ||
        salt.n == 0 || str_parse_u64(count, UINT32_MAX, &iterations) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (iterations < SCRAM_CLIENT_ITERATIONS_MIN || iterations > SCRAM_CLIENT_ITERATIONS_MAX) {
        return STATUS_LIMIT;
    }
    struct str without_proof = arena_printf(arena, "c=biws,r=%.*s", STR_ARG(nonce));
    struct str auth_message = arena_printf(arena, "%.*s,%.*s,%.*s", STR_ARG(scram->first_bare),
                                           STR_ARG(challenge), STR_ARG(without_proof));
    if (without_proof.p == NULL || auth_message.p == NULL ||
        !make_proof(scram, salt, iterations, auth_message, proof)) {
        return STATUS_LIMIT;
    }
    struct str proof64 = base64_encode(arena, str_make((const char *)proof, sizeof proof));
    *answer_out = arena_printf(arena, "%.*s,p=%.*s", STR_ARG(without_proof), STR_ARG(proof64));
    scram->answered = true;
    return proof64.p != NULL && answer_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* server-final-message: "v=" signature, or "e=" error */
static enum status
answer_final(struct scram_client *scram, struct arena *arena, struct str challenge,
             struct str *answer_out)
{
    struct str rest = challenge;
    struct str signature64, signature;
    if (!take_attribute(&rest, 'v', &signature64) ||
        base64_decode(arena, signature64, &signature) != STATUS_OK || signature.n != DIGEST ||
        CRYPTO_memcmp(signature.p, scram->server_signature, DIGEST) != 0) {
        return STATUS_DENIED;
    }
    scram->proven = true;
    *answer_out = str_make(NULL, 0);
    return STATUS_OK;
}

enum status
scram_client_answer(struct scram_client *scram, struct arena *arena, struct str challenge,
                    struct str *answer_out)
{
    if (scram->proven) {
        return STATUS_SYNTAX;
    }
    return scram->answered ? answer_final(scram, arena, challenge, answer_out)
                           : answer_first(scram, arena, challenge, answer_out);
}

bool
scram_client_is_proven(const struct scram_client *scram)
{
    return scram->proven;
}
