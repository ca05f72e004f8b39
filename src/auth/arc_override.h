/*
 * arc_override.h - whether a chain of sealers that the administrator trusts says that a message was
 * authentic before it was forwarded (RFC 8617 7.2), so that a failure of DMARC may be overridden.
 */
#ifndef POSTERN_AUTH_ARC_OVERRIDE_H
#define POSTERN_AUTH_ARC_OVERRIDE_H

#include "auth/arc_verify.h"

struct arc_voucher {
    unsigned instance;      /* of the set that vouches */
    struct str sealer;      /* its domain */
    struct str authserv_id; /* as it calls itself */
};

/*
 * True when the chain passed and, going down from its newest set, every set was sealed by a trusted
 * domain up to one that reports dmarc=pass for `author_domain` (an A-label name; the report's
 * header.from must name it). A set by anybody else ends the search: behind it the message may have
 * been changed at will. So does a set that reports anything else than one dmarc=pass for that
 * domain beside it. `trusted` are domains; with a dot at the beginning (".example.com") all below
 * one.
 */
bool arc_override(struct arena *arena, const struct arc_verification *verification,
                  const struct str *trusted, size_t trusted_count, struct str author_domain,
                  struct arc_voucher *voucher_out);

/*
 * The comment for the override in an aggregate report (RFC 8617 7.2.2): "arc=pass as[2].d=...
 * as[2].s=... as[1].d=... remote-ip[1]=...". {NULL,0} when the arena is full.
 */
struct str arc_override_comment(struct arena *arena, const struct arc_verification *verification);

#endif
