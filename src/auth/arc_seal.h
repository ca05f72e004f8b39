/*
 * arc_seal.h - adding an ARC set to a message that is sent on (RFC 8617 5.1).
 *
 * The message is the one that leaves: whatever else changes it (also a DKIM-Signature) is done
 * before. The verification is the one of the message as it came, which says what "cv=" is told. The
 * keys may live in another process: only hashes go to the signer.
 */
#ifndef POSTERN_AUTH_ARC_SEAL_H
#define POSTERN_AUTH_ARC_SEAL_H

#include "auth/arc_verify.h"

struct arc_seal_settings {
    struct str domain;                  /* d=, A-labels */
    struct str selector;                /* s= */
    const struct crypto_signer *signer; /* RSA: RFC 8617 has no other algorithm */
    struct str results; /* what was found: a value as authres_write makes it, without "i=" */
    int64_t now;        /* t=, seconds since 1970 */
    /*
     * Names of the fields to be signed with colons between, each as often as it is written there;
     * empty: those of ARC_SEAL_HEADERS, all that there are, and From once more, so that none can be
     * added. RFC 8617 4.1.2 forbids Authentication-Results and the fields of ARC.
     */
    struct str headers;
    /* Tags in the order of the alphabet and b= in one piece, to compare with other sealers. */
    bool plain;
};

/* What is signed of a message unless the settings say otherwise (RFC 6376 5.4.1, RFC 8617 4.1.2).
 */
#define ARC_SEAL_HEADERS                                                                           \
    "From:Sender:Reply-To:To:Cc:Subject:Date:Message-ID:In-Reply-To:References:MIME-Version:"      \
    "Content-Type:Content-Transfer-Encoding:List-Id:List-Unsubscribe:List-Unsubscribe-Post:"       \
    "DKIM-Signature"

enum arc_seal_result {
    ARC_SEAL_DONE,
    ARC_SEAL_ENDED, /* the newest seal says cv=fail: nothing is added (RFC 8617 5.1 step 2) */
    ARC_SEAL_FULL,  /* there are 50 sets already (4.2.1) */
};

/* "done", "ended", "full"; static, never NULL. */
const char *arc_seal_result_name(enum arc_seal_result result);

struct arc_sealing {
    enum arc_seal_result result;
    unsigned instance; /* of the new set; 0 unless DONE */
    enum arc_cv cv;    /* what its seal says */
    /* Values of the new fields, folded, without final CRLF. To be prepended in this order, so that
     * the ARC-Seal is on top. Empty unless DONE. */
    struct str values[ARC_PART_COUNT_];
};

/*
 * Seals. `head` and `body` are of the message that leaves, `verification` of the one that came.
 * STATUS_SYNTAX: settings that make no field; STATUS_LIMIT: the arena is full, or more fields are
 * to be signed than DKIM_NAMES_MAX; STATUS_BUG: the verification is of another message; the
 * signer's errors.
 */
[[nodiscard]] enum status arc_seal(struct arena *arena, const struct mail_head *head,
                                   struct str body, const struct arc_verification *verification,
                                   const struct arc_seal_settings *settings,
                                   struct arc_sealing *sealing_out);

#endif
