/*
 * dmarc_record.h - DMARC policy records (RFC 9989 4.7, 4.8).
 *
 * The grammar is lenient where the RFC is: unknown tags are ignored, and so are pct, rf and ri of
 * RFC 7489; what is not in order is left at its default (4.8). Three things are not: "v=DMARC1"
 * comes first and is case-sensitive (4.7), no tag occurs twice (RFC 6376 3.2, whose tag lists these
 * are), and a policy that cannot be read makes the record useless, or a p=none when it asks for
 * reports (4.10.1).
 */
#ifndef POSTERN_AUTH_DMARC_RECORD_H
#define POSTERN_AUTH_DMARC_RECORD_H

#include "base/arena.h"

/* Octets of a record, tags of it that are looked at, addresses kept of one tag. */
#define DMARC_RECORD_MAX 65535u
#define DMARC_TAGS_MAX   64u
#define DMARC_URIS_MAX   16u

/* In rising order. */
enum dmarc_policy {
    DMARC_POLICY_NONE = 0,
    DMARC_POLICY_QUARANTINE = 1,
    DMARC_POLICY_REJECT = 2,
};

enum dmarc_alignment {
    DMARC_ALIGNMENT_RELAXED,
    DMARC_ALIGNMENT_STRICT,
};

enum dmarc_psd {
    DMARC_PSD_UNKNOWN, /* "u": may or may not be an organizational domain */
    DMARC_PSD_YES,     /* "y": a public suffix domain */
    DMARC_PSD_NO,      /* "n": an organizational domain */
};

/* fo: when failure reports are wanted. A set. */
enum dmarc_failure_option {
    DMARC_FAILURE_ALL = 1 << 0,  /* "0", the default: nothing aligned passed */
    DMARC_FAILURE_ANY = 1 << 1,  /* "1": something did not pass aligned */
    DMARC_FAILURE_DKIM = 1 << 2, /* "d" */
    DMARC_FAILURE_SPF = 1 << 3,  /* "s" */
};

/* What is wrong in a record. A set. */
enum dmarc_fault {
    DMARC_FAULT_SYNTAX = 1 << 0, /* a place that is no tag, or not printable */
    DMARC_FAULT_P = 1 << 1,      /* no readable policy */
    DMARC_FAULT_SP = 1 << 2,
    DMARC_FAULT_NP = 1 << 3,
    DMARC_FAULT_ALIGNMENT = 1 << 4, /* adkim or aspf */
    DMARC_FAULT_PSD = 1 << 5,
    DMARC_FAULT_T = 1 << 6,
    DMARC_FAULT_FO = 1 << 7,
    DMARC_FAULT_URI = 1 << 8,   /* in rua or ruf */
    DMARC_FAULT_LIMIT = 1 << 9, /* more tags or addresses than are looked at */
};

/* One place of rua or ruf. */
struct dmarc_uri {
    struct str text;     /* the URI without an obsolete size */
    struct str address;  /* of a mailto: URI, decoded (RFC 6068 2); empty: cannot be reported to */
    uint64_t size_limit; /* octets, from the obsolete "!10m"; 0: none. To be ignored (4.8) */
};

struct dmarc_record {
    struct str text;
    /*
     * False: the policy cannot be read and no reports are asked for, so that DMARC does not apply
     * (4.10.1). It still counts as a record that was found, and its psd does.
     */
    bool is_usable;
    enum dmarc_policy p;
    bool has_sp, has_np;
    enum dmarc_policy sp, np; /* meaningful with has_sp, has_np */
    enum dmarc_alignment adkim, aspf;
    enum dmarc_psd psd;
    bool testing;                      /* t=y */
    unsigned failure;                  /* of enum dmarc_failure_option */
    struct str fo;                     /* as written; "0" by default */
    const struct dmarc_uri *rua, *ruf; /* in the arena */
    size_t rua_count, ruf_count;
    unsigned faults; /* of enum dmarc_fault */
};

enum dmarc_record_result {
    DMARC_RECORD_OK,        /* a record; see is_usable */
    DMARC_RECORD_FOREIGN,   /* does not begin with v=DMARC1: not a DMARC record */
    DMARC_RECORD_DUPLICATE, /* a tag occurs twice: none of it counts */
};

/*
 * Reads a record. STATUS_LIMIT: the arena is full. *record_out is only filled with DMARC_RECORD_OK;
 * its views are borrowed from the text, which must outlive it.
 */
[[nodiscard]] enum status dmarc_record_parse(struct arena *arena, struct str text,
                                             enum dmarc_record_result *result_out,
                                             struct dmarc_record *record_out);

/* True when the text begins with a version tag of this DMARC (4.10, steps 2 and 6). */
bool dmarc_record_is_ours(struct str text);

/* "none", "quarantine", "reject"; static, never NULL. */
const char *dmarc_policy_name(enum dmarc_policy policy);
/* The faults of a record as words with blanks between, in the arena; empty: none. */
struct str dmarc_record_faults_text(struct arena *arena, unsigned faults);

#endif
