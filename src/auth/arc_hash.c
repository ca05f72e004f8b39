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

/*
 * The hash for one set's seal. `all` holds the sets before it, and then this one as later seals
 * cover it; `own` is where the hash is made, and `all` itself for the last set.
 */
static enum status
hash_set(const struct arc_sealed_set *set, EVP_MD_CTX *all, EVP_MD_CTX *own, struct buf *text,
         uint8_t *hash_out)
{
    enum status status = STATUS_OK;
    for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_SEAL && status == STATUS_OK;
         part++) {
        status = canonical_header(CANONICAL_RELAXED, set->raw[part], text);
    }
    if (status == STATUS_OK) {
        status = digest_text(all, text);
    }
    if (status == STATUS_OK && own != all && EVP_MD_CTX_copy_ex(own, all) != 1) {
        status = STATUS_TEMPORARY;
    }
    if (status == STATUS_OK) {
        status = canonical_signature_header(CANONICAL_RELAXED, set->raw[ARC_PART_SEAL],
                                            set->b_value, text);
    }
    if (status == STATUS_OK) {
        status = digest_text(own, text);
    }
    if (status == STATUS_OK && EVP_DigestFinal_ex(own, hash_out, NULL) != 1) {
        status = STATUS_TEMPORARY;
    }
    if (status != STATUS_OK || own == all) {
        return status;
    }
    status = canonical_header(CANONICAL_RELAXED, set->raw[ARC_PART_SEAL], text);
    return status == STATUS_OK ? digest_text(all, text) : status;
}

enum status
arc_seal_hashes(struct hasher *hasher, const struct arc_sealed_set *sets, size_t count,
                uint8_t (*hashes_out)[CRYPTO_HASH_SIZE])
{
    EVP_MD_CTX *all = hasher->digest;
    EVP_MD_CTX *own = count > 1 ? EVP_MD_CTX_new() : NULL;
    enum status status = STATUS_TEMPORARY;
    if ((count <= 1 || own != NULL) && EVP_DigestInit_ex2(all, crypto_sha256(), NULL) == 1) {
        status = STATUS_OK;
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = hash_set(&sets[i], all, i + 1 < count ? own : all, &hasher->text, hashes_out[i]);
    }
    buf_clear(&hasher->text);
    EVP_MD_CTX_free(own);
    return status;
}
