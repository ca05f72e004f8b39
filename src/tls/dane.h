/*
 * dane.h - TLSA records for the library (inside of src/tls, and for tests): its own implementation
 * of RFC 6698 and RFC 7671 compares them, builds chains to trust anchors, compares names.
 */
#ifndef POSTERN_TLS_DANE_H
#define POSTERN_TLS_DANE_H

#include "dns/rdata.h"

struct ssl_st;
struct ssl_ctx_st;

/* What a server is compared with; borrowed. */
struct tls_dane {
    const struct dns_tlsa *records;
    size_t count;
    /* Names that a certificate under a trust anchor may have; the first is where the records are.
     * At least one. With DANE-EE(3) neither names nor dates count (RFC 7671 5.1). */
    const struct str *names;
    size_t name_count;
};

/* Makes contexts able to do it. False: there is no memory. */
[[nodiscard]] bool tls_dane_prepare(struct ssl_ctx_st *context);

/*
 * Before the handshake. Records that the library does not understand are left out; where none is
 * left nothing matches. STATUS_SYNTAX: a name cannot be one; STATUS_LIMIT: there is no memory.
 */
[[nodiscard]] enum status tls_dane_apply(struct ssl_st *ssl, const struct tls_dane *dane);

/* After the verification: the depth of the certificate that a record matched, with the record in
 * *tlsa_out (borrowed from the connection); -1: none did. */
int tls_dane_matched(struct ssl_st *ssl, struct dns_tlsa *tlsa_out);

#endif
