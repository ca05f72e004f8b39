/*
 * {"op": "crypto", "alg": "ed25519" | "rsa-sha256", "public_key", "msg", "sig"}
 *     -> {"valid": true, "bits"}  or {"valid": false, "problem"}
 *
 * What DKIM and ARC call a signature over a message: the octets of a public key as DNS has them,
 * the message, the signature. RSA signs the SHA-256 hash of the message, Ed25519 the message
 * itself.
 */
#include "auth/crypto.h"
#include "cli/check_op.h"

static const char *
key_problem(enum crypto_key_result result)
{
    static const char *const texts[] = {"", "malformed", "small", "large", "failed"};
    return texts[result];
}

json_t *
check_op_crypto(struct check_op *op)
{
    struct str alg;
    struct str public_octets;
    struct str message;
    struct str signature;
    struct public_key *key;
    uint8_t hash[CRYPTO_HASH_SIZE];
    if (!check_op_octets(op, "alg", &alg) || !check_op_octets(op, "public_key", &public_octets) ||
        !check_op_octets(op, "msg", &message) || !check_op_octets(op, "sig", &signature)) {
        return check_op_error("crypto: expected \"alg\", \"public_key\", \"msg\" and \"sig\"");
    }
    bool rsa = str_eq(alg, STR("rsa-sha256"));
    if (!rsa && !str_eq(alg, STR("ed25519"))) {
        return check_op_error("crypto: \"alg\" is \"rsa-sha256\" or \"ed25519\"");
    }
    enum crypto_key_result result =
        public_key_load(rsa ? CRYPTO_RSA_SHA256 : CRYPTO_ED25519_SHA256, public_octets, &key, NULL);
    if (result != CRYPTO_KEY_OK) {
        return json_pack("{s:b, s:s}", "valid", false, "problem", key_problem(result));
    }
    if (rsa && crypto_hash(message, hash) == STATUS_OK) {
        message = str_make((const char *)hash, sizeof hash);
    }
    bool valid = public_key_verify(key, message, signature) == CRYPTO_VALID;
    unsigned bits = public_key_bits(key);
    public_key_release(&key);
    return valid ? json_pack("{s:b, s:i}", "valid", true, "bits", (int)bits)
                 : json_pack("{s:b, s:s}", "valid", false, "problem", "signature");
}
