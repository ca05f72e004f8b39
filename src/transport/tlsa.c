#include "transport/tlsa.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#define SHA256_OCTETS 32u
#define SHA512_OCTETS 64u
/* Octets of the data that are shown: enough to tell two records apart. */
#define SHOWN_OCTETS  16u

/* ---- one record */

/* Full(0): the data are the whole certificate or key, and nothing behind it. */
static bool
is_whole(const struct dns_tlsa *tlsa)
{
    const unsigned char *at = (const unsigned char *)tlsa->data.p;
    const unsigned char *end = at + tlsa->data.n;
    bool read;
    if (tlsa->selector == TLSA_SELECTOR_CERTIFICATE) {
        X509 *certificate = d2i_X509(NULL, &at, (long)tlsa->data.n);
        read = certificate != NULL && X509_get0_pubkey(certificate) != NULL;
        X509_free(certificate);
    } else {
        EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)tlsa->data.n);
        read = key != NULL;
        EVP_PKEY_free(key);
    }
    ERR_clear_error();
    return read && at == end;
}

bool
tlsa_is_usable(const struct dns_tlsa *tlsa)
{
    bool usage = tlsa->usage == TLSA_USAGE_DANE_TA || tlsa->usage == TLSA_USAGE_DANE_EE;
    if (!usage || tlsa->selector > TLSA_SELECTOR_KEY) {
        return false;
    }
    switch (tlsa->matching) {
    case TLSA_MATCHING_FULL:
        return is_whole(tlsa);
    case TLSA_MATCHING_SHA256:
        return tlsa->data.n == SHA256_OCTETS;
    case TLSA_MATCHING_SHA512:
        return tlsa->data.n == SHA512_OCTETS;
    default:
        return false;
    }
}

const char *
tlsa_format(const struct dns_tlsa *tlsa, char text[static TLSA_TEXT_MAX])
{
    int n = snprintf(text, TLSA_TEXT_MAX, "%u %u %u ", tlsa->usage, tlsa->selector, tlsa->matching);
    for (size_t i = 0; i < tlsa->data.n && i < SHOWN_OCTETS && n + 2 < (int)TLSA_TEXT_MAX; i++) {
        n += snprintf(text + n, TLSA_TEXT_MAX - (size_t)n, "%02x", (unsigned char)tlsa->data.p[i]);
    }
    return text;
}

/* ---- the set */

/* DANE-EE before DANE-TA, keys before certificates, the better digest first. */
static int
compare_records(const void *a, const void *b)
{
    const struct dns_tlsa *x = a;
    const struct dns_tlsa *y = b;
    int usage = y->usage - x->usage;
    int selector = y->selector - x->selector;
    int matching = y->matching - x->matching;
    if (usage != 0 || selector != 0) {
        return usage != 0 ? usage : selector;
    }
    return matching != 0 ? matching : str_cmp(x->data, y->data);
}

/*
 * RFC 7671 9: of the digests that one usage and selector have, the strongest alone counts; a whole
 * certificate or key counts always. `items` are sorted.
 */
static bool
has_better_digest(const struct dns_tlsa *items, size_t at)
{
    const struct dns_tlsa *it = &items[at];
    if (it->matching != TLSA_MATCHING_SHA256) {
        return false;
    }
    for (size_t i = 0; i < at; i++) {
        if (items[i].usage == it->usage && items[i].selector == it->selector &&
            items[i].matching == TLSA_MATCHING_SHA512) {
            return true;
        }
    }
    return false;
}

/* Sorts what can be used, and leaves out what does not count. */
static void
choose(const struct dns_tlsa *from, size_t count, struct dns_tlsa *to, struct tlsa_set *set)
{
    for (size_t i = 0; i < count; i++) {
        if (has_better_digest(from, i)) {
            set->weaker++;
        } else if (set->count == TLSA_RECORDS_MAX) {
            set->too_many++;
        } else {
            to[set->count++] = from[i];
        }
    }
    set->items = to;
}

enum status
tlsa_set_read(struct arena *arena, const struct dns_answer *answer, struct tlsa_set *set_out)
{
    struct dns_tlsa *read = arena_alloc_array(arena, answer->record_count + 1, sizeof *read);
    struct dns_tlsa *chosen = arena_alloc_array(arena, TLSA_RECORDS_MAX, sizeof *chosen);
    struct tlsa_set set = {.count = 0};
    size_t count = 0;
    if (read == NULL || chosen == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < answer->record_count; i++) {
        if (dns_rdata_tlsa(answer->records[i], &read[count]) == STATUS_OK &&
            tlsa_is_usable(&read[count])) {
            count++;
        } else {
            set.unusable++;
        }
    }
    if (count > 1) {
        qsort(read, count, sizeof *read, compare_records);
    }
    choose(read, count, chosen, &set);
    *set_out = set;
    return STATUS_OK;
}
