/*
 * signing_key.h - a private key that signs TLS handshakes and nothing else.
 *
 * The other half of remote_key.h, for the process that holds the keys. What is to be signed is
 * judged first (signable.h): there is no way to have anything else signed. Read-only and counted;
 * any number of threads may sign with one key at a time.
 */
#ifndef POSTERN_TLS_SIGNING_KEY_H
#define POSTERN_TLS_SIGNING_KEY_H

#include "tls/remote_key.h"

struct tls_signing_key;

/*
 * Reads a private key in PEM. The caller owns one reference to *key_out. STATUS_SYNTAX with a text
 * in error_out when it cannot be read or is of a type that has no scheme; STATUS_LIMIT above
 * TLS_PEM_MAX.
 */
[[nodiscard]] enum status tls_signing_key_parse(struct str pem, struct tls_signing_key **key_out,
                                                char error_out[static TLS_ERROR_MAX]);
struct tls_signing_key *tls_signing_key_ref(struct tls_signing_key *key);
/* Gives one reference back and sets *key to NULL; NULL is allowed. */
void tls_signing_key_unref(struct tls_signing_key **key);

/* Borrowed from the key. */
const struct tls_key_id *tls_signing_key_id(const struct tls_signing_key *key);

/*
 * Signs by the scheme of that number (scheme.h). STATUS_DENIED for what is no TLS handshake's, or
 * not of a version that has the scheme; STATUS_SYNTAX for a scheme that is unknown or of another
 * type of key; STATUS_IO when the library fails.
 */
[[nodiscard]] enum status tls_signing_key_sign(const struct tls_signing_key *key, uint16_t scheme,
                                               struct str input,
                                               struct tls_signature *signature_out);

#endif
