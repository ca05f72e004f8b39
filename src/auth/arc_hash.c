#include "auth/arc_hash.h"

/* Adds what `text` holds, and empties it. */
static enum status
digest_text(EVP_MD_CTX *digest, struct buf *text)
{
    struct str octets = buf_str(text);
    bool good = EVP_DigestUpdate(digest, octets.p, octets.n) == 1;
    buf_clear(text);
    return good ? STATUS_OK : STATUS_TEMPORARY;
}

/* The hash for one set's seal, made in `own`; then the seal as others cover it goes to `all`. */
static enum status
hash_set(const struct arc_sealed_set *set, EVP_MD_CTX *all, EVP_MD_CTX *own, uint8_t *hash_out)
{
    struct buf text;
    enum status status = STATUS_OK;
    buf_init(&text, 2 * (set->raw[0].n + set->raw[1].n + set->raw[2].n) + 64);
    for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_SEAL && status == STATUS_OK;
         part++) {
        status = canonical_header(CANONICAL_RELAXED, set->raw[part], &text);
    }
    if (status == STATUS_OK) {
        status = digest_text(all, &text);
    }
    if (status == STATUS_OK && EVP_MD_CTX_copy_ex(own, all) != 1) {
        status = STATUS_TEMPORARY;
    }
    if (status == STATUS_OK) {
        status = canonical_signature_header(CANONICAL_RELAXED, set->raw[ARC_PART_SEAL],
                                            set->b_value, &text);
    }
    if (status == STATUS_OK) {
        status = digest_text(own, &text);
    }
    if (status == STATUS_OK && EVP_DigestFinal_ex(own, hash_out, NULL) != 1) {
        status = STATUS_TEMPORARY;
    }
    if (status == STATUS_OK) {
        status = canonical_header(CANONICAL_RELAXED, set->raw[ARC_PART_SEAL], &text);
    }
    if (status == STATUS_OK) {
        status = digest_text(all, &text);
    }
    buf_free(&text);
    return status;
}

enum status
arc_seal_hashes(const struct arc_sealed_set *sets, size_t count,
                uint8_t (*hashes_out)[CRYPTO_HASH_SIZE])
{
    EVP_MD_CTX *all = EVP_MD_CTX_new();
    EVP_MD_CTX *own = EVP_MD_CTX_new();
    enum status status = STATUS_TEMPORARY;
    if (all != NULL && own != NULL && EVP_DigestInit_ex2(all, crypto_sha256(), NULL) == 1) {
        status = STATUS_OK;
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = hash_set(&sets[i], all, own, hashes_out[i]);
    }
    EVP_MD_CTX_free(all);
    EVP_MD_CTX_free(own);
    return status;
}

/* ---- bodies */

enum status
arc_body_hash(struct str body, enum canonical form, uint64_t limit,
              uint8_t hash_out[CRYPTO_HASH_SIZE], uint64_t *length_out)
{
    struct canonical_hash hash;
    enum status status = canonical_hash_init(&hash, form, limit);
    if (status == STATUS_OK) {
        canonical_hash_feed(&hash, body);
        status = canonical_hash_finish(&hash, hash_out);
        *length_out = hash.body.length;
    }
    return status;
}
