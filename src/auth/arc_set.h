/*
 * arc_set.h - the ARC sets of a message: collected, put in order, and their form checked (RFC 8617
 * 4, 5.2 steps 1 to 3). Nothing here computes a signature or asks the DNS, so a chain that is too
 * long or broken costs no more than reading its fields once.
 *
 * All views are borrowed from the content whose header section was parsed; the rest is in the
 * arena.
 */
#ifndef POSTERN_AUTH_ARC_SET_H
#define POSTERN_AUTH_ARC_SET_H

#include "auth/dkim_signature.h"
#include "mail/fields.h"

/* RFC 8617 4.2.1 and 5.2: the largest instance, and so the most sets. */
#define ARC_SETS_MAX 50u

/* The parts of a set, in the order in which a seal covers them (RFC 8617 5.1.1). */
enum arc_part {
    ARC_PART_RESULTS,   /* ARC-Authentication-Results */
    ARC_PART_SIGNATURE, /* ARC-Message-Signature */
    ARC_PART_SEAL,      /* ARC-Seal */
    ARC_PART_COUNT_,    /* not a part */
};

/* "ARC-Authentication-Results", ...; static, never NULL. */
const char *arc_part_name(enum arc_part part);
/* Which part a field is; ARC_PART_COUNT_ for any other field. */
enum arc_part arc_part_find(const struct mail_field *field);

enum arc_cv {
    ARC_CV_NONE,
    ARC_CV_PASS,
    ARC_CV_FAIL,
};

/* "none", "pass", "fail"; static, never NULL. */
const char *arc_cv_name(enum arc_cv cv);

/* An ARC-Message-Signature (RFC 8617 4.1.2): a DKIM-Signature but for a few tags. */
struct arc_message_signature {
    const char *fault; /* static, for people: why it cannot be valid; NULL: its form is good */
    struct dkim_signature dkim;
    bool has_form; /* there is a c= */
};

/* An ARC-Seal (RFC 8617 4.1.3). */
struct arc_seal_tags {
    const char *fault;    /* as above */
    struct str domain;    /* d=, lower case, A-labels */
    struct str selector;  /* s=, the same */
    struct str signature; /* b=, octets */
    struct str b_value;   /* b= in the field with what surrounds it */
    enum arc_cv cv;       /* cv= */
};

struct arc_set {
    unsigned instance;
    const struct mail_field *fields[ARC_PART_COUNT_];
    struct str results; /* of the ARC-Authentication-Results, behind "i=N;" */
    struct arc_message_signature signature;
    struct arc_seal_tags seal;
};

enum arc_structure {
    ARC_STRUCTURE_NONE,   /* there is no ARC field */
    ARC_STRUCTURE_GOOD,   /* RFC 8617 5.2 step 3 holds */
    ARC_STRUCTURE_ENDED,  /* the newest seal says cv=fail (step 2): nothing may be added (5.1) */
    ARC_STRUCTURE_BROKEN, /* sets are missing, doubled, too many, or their form is bad */
};

struct arc_chain {
    enum arc_structure structure;
    const char *fault;          /* static, for people; NULL with NONE and GOOD */
    unsigned fault_instance;    /* whose it is; 0: of the whole */
    unsigned highest;           /* the highest instance that could be read; 0: none */
    const struct arc_set *sets; /* sets[i - 1] is instance i; only with GOOD */
    size_t count;               /* highest with GOOD, else 0 */
};

/* Collects the sets of a header section. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status arc_chain_collect(struct arena *arena, const struct mail_head *head,
                                            struct arc_chain *chain_out);

#endif
