/*
 * tlsa.h - which of the TLSA records of a server can be used for mail, and in what words they are
 * told (RFC 6698 2.1, RFC 7671 5 and 9, RFC 7672 3.1).
 *
 * Usable are the usages DANE-TA(2) and DANE-EE(3) with a selector and a matching type that are
 * known, and with data that can be what they say: a digest of the right length, or a whole
 * certificate or key. PKIX-TA(0) and PKIX-EE(1) are not for mail (RFC 7672 3.1.3). A broken record
 * is no error: it is one that cannot be used.
 */
#ifndef POSTERN_TRANSPORT_TLSA_H
#define POSTERN_TRANSPORT_TLSA_H

#include "dns/rdata.h"

/* Usable records that are compared; of more, the same ones are left out each time. */
#define TLSA_RECORDS_MAX 64u
/* "3 1 1 " and the first octets of the data in hex, and what is written for the rest. */
#define TLSA_TEXT_MAX    48u

enum tlsa_usage {
    TLSA_USAGE_PKIX_TA = 0,
    TLSA_USAGE_PKIX_EE = 1,
    TLSA_USAGE_DANE_TA = 2,
    TLSA_USAGE_DANE_EE = 3,
};

enum tlsa_selector {
    TLSA_SELECTOR_CERTIFICATE = 0,
    TLSA_SELECTOR_KEY = 1,
};

enum tlsa_matching {
    TLSA_MATCHING_FULL = 0,
    TLSA_MATCHING_SHA256 = 1,
    TLSA_MATCHING_SHA512 = 2,
};

struct tlsa_set {
    const struct dns_tlsa *items; /* usable ones, DANE-EE first */
    size_t count;
    size_t unusable; /* records that cannot be used */
    size_t weaker;   /* left out because the same is there with a better digest (RFC 7671 9) */
    size_t too_many; /* left out past TLSA_RECORDS_MAX */
};

/* Whether one record can be used for mail. */
bool tlsa_is_usable(const struct dns_tlsa *tlsa);

/*
 * Reads the records of a TLSA answer. The set is an array in the arena; the data are borrowed from
 * the answer. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status tlsa_set_read(struct arena *arena, const struct dns_answer *answer,
                                        struct tlsa_set *set_out);

/* "3 1 1 8d02536c887482bc...", into `text`, which is returned. */
const char *tlsa_format(const struct dns_tlsa *tlsa, char text[static TLSA_TEXT_MAX]);

#endif
