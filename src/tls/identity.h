/*
 * identity.h - a certificate with its chain and private key (or with somebody who has that), and
 * the host names it is good for.
 *
 * The parent reads the files; a role gets their octets, since it may open none itself. Identities
 * are read-only and counted: a reload makes new ones, and connections keep those they began with.
 * The names are the DNS names of subjectAltName; the common name counts only where there are none
 * (RFC 6125 6.4.4). A wildcard stands for exactly one left-most label (RFC 6125 6.4.3).
 */
#ifndef POSTERN_TLS_IDENTITY_H
#define POSTERN_TLS_IDENTITY_H

#include "tls/remote_key.h"

/* Largest PEM text of a chain or a key, in octets. */
#define TLS_PEM_MAX       (1u << 20)
/* Most certificates above the first one in a chain. */
#define TLS_CHAIN_MAX     16
/* Most names of one certificate; further ones are not used. */
#define TLS_NAMES_MAX     1000
/* Longest host name, in octets. */
#define TLS_HOST_NAME_MAX 255

struct tls_identity;

/*
 * Reads the PEM text of a chain (its own certificate first) and of its key. The caller owns one
 * reference to *identity_out. STATUS_SYNTAX with a text in error_out when one of them cannot be
 * read or the key is not that of the certificate; STATUS_LIMIT past the bounds above.
 */
[[nodiscard]] enum status tls_identity_parse(struct str chain_pem, struct str key_pem,
                                             struct tls_identity **identity_out,
                                             char error_out[static TLS_ERROR_MAX]);
/*
 * The same without the key: `signer` has it (remote_key.h) and is asked in each handshake. Its
 * context must outlive the identity. tls_remote_key_init comes before.
 */
[[nodiscard]] enum status tls_identity_parse_remote(struct str chain_pem,
                                                    const struct tls_signer *signer,
                                                    struct tls_identity **identity_out,
                                                    char error_out[static TLS_ERROR_MAX]);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
/* Gives one reference back and sets *identity to NULL; NULL is allowed. */
void tls_identity_unref(struct tls_identity **identity);

/* Names in lower case, wildcards as "*.example.com"; borrowed from the identity. */
size_t tls_identity_name_count(const struct tls_identity *identity);
struct str tls_identity_name(const struct tls_identity *identity, size_t index);
/* End of validity in milliseconds since 1970; INT64_MAX when it cannot be read. */
int64_t tls_identity_not_after_ms(const struct tls_identity *identity);
/* Its beginning; INT64_MIN when it cannot be read. */
int64_t tls_identity_not_before_ms(const struct tls_identity *identity);

/* For server.c: what OpenSSL is given; borrowed. */
struct x509_st *tls_identity_certificate(const struct tls_identity *identity);
struct evp_pkey_st *tls_identity_key(const struct tls_identity *identity);
struct stack_st_X509 *tls_identity_chain(const struct tls_identity *identity);

#endif
