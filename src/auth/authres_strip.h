/*
 * authres_strip.h - which fields of a message from outside speak in our name, and so must go.
 *
 * RFC 8601 5: whoever trusts our Authentication-Results trusts every field with our authserv-id, so
 * none may come in from outside. Those who read the field differ in how well they read; so a field
 * is ours when any of them could take it for ours: whatever the letter case, comments, folding,
 * quoting, final dots, version, U-labels for A-labels. A field that cannot be read is ours when our
 * authserv-id is anywhere in it, and nobody's, which is believed where it is read at all, when a
 * result stands where the authserv-id belongs.
 *
 * Left in place: fields of others (RFC 8601 5 has them kept), Received-SPF (we do not write it),
 * and ARC-Authentication-Results (part of a chain that would break, and believed only when its
 * chain is good).
 */
#ifndef POSTERN_AUTH_AUTHRES_STRIP_H
#define POSTERN_AUTH_AUTHRES_STRIP_H

#include "mail/fields.h"

enum authres_claim {
    AUTHRES_CLAIM_OTHER,   /* somebody else's */
    AUTHRES_CLAIM_OURS,    /* our authserv-id */
    AUTHRES_CLAIM_UNCLEAR, /* not certain to be somebody else's */
    AUTHRES_CLAIM_VERSION, /* in a version that nobody knows: not from outside (RFC 8601 5) */
};

/*
 * Whose field a raw Authentication-Results value says to be. `authserv_id` is a name in any form;
 * nothing is claimed when it is empty. UNCLEAR too when the arena is full.
 */
enum authres_claim authres_claims(struct arena *arena, struct str value, struct str authserv_id);

enum authres_strip {
    AUTHRES_STRIP_KEEP,
    AUTHRES_STRIP_OURS,     /* AUTHRES_CLAIM_OURS */
    AUTHRES_STRIP_UNCLEAR,  /* AUTHRES_CLAIM_UNCLEAR */
    AUTHRES_STRIP_VERSION,  /* AUTHRES_CLAIM_VERSION */
    AUTHRES_STRIP_NAMELESS, /* it has no authserv-id, so that readers who take that believe it */
    AUTHRES_STRIP_HIDDEN,   /* such a field within another one, behind a bare CR or LF */
    AUTHRES_STRIP_VERDICT,  /* our verdict header */
    AUTHRES_STRIP_COUNT_,   /* not a reason */
};

struct authres_strip_names {
    const struct str *authserv_ids; /* ours, and those of hosts that believe each other's */
    size_t authserv_id_count;
    struct str verdict; /* name of the header with our verdict; empty: none */
    bool nameless; /* fields of nobody too: RFC 8601 5 lets a border remove any that it likes */
};

/* Whether and why a field of a message from outside must be taken out. */
enum authres_strip authres_strip_field(struct arena *arena, const struct mail_field *field,
                                       const struct authres_strip_names *names);

/* "ours", "unclear", ...; static, never NULL. For people: "it claims to be ours", ... */
const char *authres_strip_name(enum authres_strip why);
const char *authres_strip_text(enum authres_strip why);

#endif
