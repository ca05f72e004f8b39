/*
 * dkim_sign.h - DKIM-Signature fields for a message that goes out (RFC 6376 5, RFC 8301, 8463).
 *
 * One field for each key, as a domain that has an RSA and an Ed25519 key wants it (RFC 8463 3). The
 * key itself may be in another process: it is asked through a struct crypto_signer and gets a hash.
 * The fields that people see and that change how a message is read are signed once more than they
 * occur, so that none can be added (RFC 6376 5.4, 8.15). Never with l= (8.2).
 */
#ifndef POSTERN_AUTH_DKIM_SIGN_H
#define POSTERN_AUTH_DKIM_SIGN_H

#include "auth/canonical.h"
#include "auth/crypto.h"
#include "auth/dkim_signature.h"

/* Columns of a folded line, without its CRLF; only a single long name goes beyond. */
#define DKIM_SIGN_COLUMNS    76u
/* Octets of all fields that are made for a message. */
#define DKIM_SIGN_FIELDS_MAX 65536u

/* A field that is to be signed. */
struct dkim_sign_field {
    struct str name;
    bool oversign; /* signed once more than it occurs; otherwise as often as it occurs */
};

struct dkim_sign_key {
    struct str selector; /* A-labels */
    struct crypto_signer signer;
};

struct dkim_sign_request {
    const struct mail_head *head;
    struct str body;     /* all that follows the header section */
    struct str domain;   /* d=, A-labels */
    struct str identity; /* i= in ASCII; empty: none is written */
    const struct dkim_sign_key *keys;
    size_t key_count;
    const struct dkim_sign_field *fields; /* NULL: dkim_sign_fields */
    size_t field_count;
    enum canonical head_form; /* CANONICAL_RELAXED unless there is a reason */
    enum canonical body_form;
    int64_t time;    /* t= */
    int64_t expires; /* x=, after time; DKIM_NO_TIME: none */
};

/* What is signed where nothing else is asked for (RFC 6376 5.4.1). */
extern const struct dkim_sign_field dkim_sign_fields[];
extern const size_t dkim_sign_field_count;

/*
 * Appends the fields, each with its final CRLF, in the order of the keys; they belong on top of the
 * message as it is. STATUS_SYNTAX: no From field (5.4), a name that cannot stand in the field, or a
 * message that begins with a blank, which would continue a field put on top of it;
 * STATUS_LIMIT: too many fields to sign, or past a ceiling; else what a signer returned. Nothing is
 * appended on failure.
 */
[[nodiscard]] enum status dkim_sign(struct arena *arena, const struct dkim_sign_request *request,
                                    struct buf *fields_out);

#endif
