#include "auth/hasher.h"

static void
hasher_release(void *object)
{
    struct hasher *hasher = object;
    EVP_MD_CTX_free(hasher->digest);
    buf_free(&hasher->text);
}

struct hasher *
hasher_create(struct arena *arena, struct str body)
{
    struct hasher *hasher = arena_alloc(arena, sizeof *hasher);
    if (hasher == NULL) {
        return NULL;
    }
    buf_init(&hasher->text, HASHER_TEXT_MAX);
    hasher->body = body;
    hasher->digest = EVP_MD_CTX_new();
    if (hasher->digest == NULL || arena_on_destroy(arena, hasher_release, hasher) != STATUS_OK) {
        EVP_MD_CTX_free(hasher->digest);
        return NULL;
    }
    return hasher;
}

static enum status
hash_body(struct hasher *hasher, enum canonical form, uint64_t limit, struct body_hash *hash)
{
    struct canonical_hash canonical;
    enum status status = canonical_hash_init_with(&canonical, form, limit, hasher->digest);
    if (status == STATUS_OK) {
        canonical_hash_feed(&canonical, hasher->body);
        status = canonical_hash_finish(&canonical, hash->octets);
        hash->form = form;
        hash->limit = limit;
        hash->length = canonical.body.length;
    }
    return status;
}

enum status
hasher_body(struct hasher *hasher, enum canonical form, uint64_t limit,
            const struct body_hash **hash_out)
{
    size_t i = 0;
    while (i < hasher->body_count &&
           (hasher->bodies[i].form != form || hasher->bodies[i].limit != limit)) {
        i++;
    }
    if (i == HASHER_BODIES_MAX) {
        return STATUS_LIMIT;
    }
    if (i == hasher->body_count) {
        enum status status = hash_body(hasher, form, limit, &hasher->bodies[i]);
        if (status != STATUS_OK) {
            return status;
        }
        hasher->body_count++;
    }
    *hash_out = &hasher->bodies[i];
    return STATUS_OK;
}

enum status
hasher_text(struct hasher *hasher, uint8_t hash_out[CRYPTO_HASH_SIZE])
{
    enum status status = crypto_hash_with(hasher->digest, buf_str(&hasher->text), hash_out);
    buf_clear(&hasher->text);
    return status;
}
