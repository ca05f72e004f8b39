/* What a stranger's name server answers for a key's record must not break the vault. */
#include "auth/crypto.h"
#include "dns/rdata.h"
#include "roles/vault/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t public_key[CRYPTO_ED25519_KEY_SIZE] = {1, 2, 3};
    struct arena *arena = arena_create(1u << 20);
    struct buf rdata;
    struct str shown;
    buf_init(&rdata, DNS_RDATA_MAX);
    /* The first octet says how: as rdata, or as the text of one record or of two. */
    bool as_text = size > 0 && (data[0] & 1) != 0;
    struct str text = str_make((const char *)data + (size > 0), size - (size > 0));
    if (!as_text || dns_rdata_put_txt(&rdata, text) == STATUS_OK) {
        struct str records[2] = {as_text ? buf_str(&rdata) : text, text};
        struct dns_answer answer = {.outcome = DNS_OUTCOME_ANSWER,
                                    .records = records,
                                    .record_count = size > 0 && (data[0] & 2) != 0 ? 2 : 1};
        for (unsigned i = 0; i < 2; i++) {
            enum key_seen seen = key_record_compare(
                arena, (enum crypto_algorithm)i,
                str_make((const char *)public_key, sizeof public_key), &answer, &shown);
            if (seen == KEY_SEEN_NOT_ASKED || seen >= KEY_SEEN_FAILED) {
                __builtin_trap(); /* an answer was given */
            }
        }
    }
    buf_free(&rdata);
    arena_destroy(&arena);
    return 0;
}
