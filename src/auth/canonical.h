/*
 * canonical.h - the two canonical forms of header fields and bodies that signatures are made over
 * (RFC 6376 3.4), for DKIM and ARC.
 *
 * A body is taken in pieces of any size; what comes out does not depend on where it was cut. Only
 * CRLF is a line end: a bare CR or LF is an octet like others. Work is linear, memory constant.
 */
#ifndef POSTERN_AUTH_CANONICAL_H
#define POSTERN_AUTH_CANONICAL_H

#include <openssl/evp.h>

#include "base/buf.h"

#define CANONICAL_HASH_SIZE 32u /* SHA-256 */
/* No "l=": the whole body counts. */
#define CANONICAL_NO_LIMIT  UINT64_MAX

enum canonical {
    CANONICAL_SIMPLE,
    CANONICAL_RELAXED,
};

/* "simple", "relaxed"; static, never NULL. */
const char *canonical_name(enum canonical form);

/* ---- header fields */

/*
 * Appends the canonical form of a raw field ("Name: value CRLF", folding included), always with a
 * final CRLF. STATUS_LIMIT: past the ceiling of `out`; STATUS_SYNTAX: there is no colon.
 */
[[nodiscard]] enum status canonical_header(enum canonical form, struct str raw, struct buf *out);
/*
 * The same for the field that holds the signature itself: with the octets of `without`, a view into
 * raw (the value of "b=" with all blanks around it), taken out, and no final CRLF (RFC 6376 3.7).
 */
[[nodiscard]] enum status canonical_signature_header(enum canonical form, struct str raw,
                                                     struct str without, struct buf *out);

/* ---- bodies */

/* Takes octets of the canonical body, in order; the pieces have no meaning. */
typedef void canonical_sink(void *ctx, const char *p, size_t n);

/* Everything is internal but `length`. */
struct canonical_body {
    enum canonical form;
    canonical_sink *sink;
    void *ctx;
    uint64_t limit;
    uint64_t length; /* octets of the canonical body so far, also those beyond the limit */
    uint64_t lines;  /* line ends held back: they may be the empty lines at the end */
    bool cr;         /* a CR held back that may be half a line end */
    bool blank;      /* relaxed: blanks held back that may be at the end of a line */
};

/* Only the first `limit` octets go to the sink (RFC 6376 3.4.5, 3.5 "l="). */
void canonical_body_init(struct canonical_body *body, enum canonical form, uint64_t limit,
                         canonical_sink *sink, void *ctx);
void canonical_body_feed(struct canonical_body *body, struct str chunk);
/* The end of the body; `length` is final then. */
void canonical_body_finish(struct canonical_body *body);

/* SHA-256 over a canonical body. */
struct canonical_hash {
    struct canonical_body body;
    EVP_MD_CTX *digest;
    bool own; /* the digest is ours to free */
    bool failed;
};

/*
 * The hash must stay where it is until it is finished. STATUS_TEMPORARY: OpenSSL would not; nothing
 * to release then.
 */
[[nodiscard]] enum status canonical_hash_init(struct canonical_hash *hash, enum canonical form,
                                              uint64_t limit);
/* The same with a digest of the caller's, for one hash at a time, which saves making one. */
[[nodiscard]] enum status canonical_hash_init_with(struct canonical_hash *hash, enum canonical form,
                                                   uint64_t limit, EVP_MD_CTX *digest);
void canonical_hash_feed(struct canonical_hash *hash, struct str chunk);
/* Ends it and releases what it holds, also on failure (STATUS_TEMPORARY). */
[[nodiscard]] enum status canonical_hash_finish(struct canonical_hash *hash,
                                                uint8_t octets_out[CANONICAL_HASH_SIZE]);

#endif
