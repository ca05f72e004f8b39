/* Any octets as the text of a key record, and the key in it read, and tried on a signature. */
#include <stdlib.h>

#include "auth/dkim_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char zeros[CRYPTO_SIGNATURE_MAX];
    struct dkim_key_set set = {.count = 1};
    struct str text = str_make((const char *)data, size);
    bool record = dkim_key_is_record(text);
    if (dkim_key_parse(text, &set.keys[0]) == DKIM_PROBLEM_NONE) {
        unsigned bits;
        struct dkim_key_use use;
        enum dkim_problem problem = dkim_key_usable(&set.keys[0], &bits);
        const struct dkim_trial trial = {.algorithm = set.keys[0].algorithm,
                                         .hash = str_make(zeros, CRYPTO_HASH_SIZE),
                                         .signature = str_make(zeros, (bits + 7) / 8)};
        enum dkim_problem verdict = dkim_key_set_verify(&set, NULL, &trial, &use);
        /* No key that cannot be used can make a signature pass. */
        if (!record || (problem != DKIM_PROBLEM_NONE && verdict == DKIM_PROBLEM_NONE)) {
            abort();
        }
    }
    return 0;
}
