/*
 * setting.h - settings of TLS contexts that are texts; for client.c and server.c.
 */
#ifndef POSTERN_TLS_SETTING_H
#define POSTERN_TLS_SETTING_H

#include <openssl/ssl.h>

#include "base/str.h"

/* One of the library's functions that take a text; 1 is success. */
typedef int tls_setting_apply(SSL_CTX *context, const char *text);

/* Applies `value`, or `fallback` (NULL: the library's own) when it is empty; false when refused. */
bool tls_setting_text(SSL_CTX *context, struct str value, const char *fallback,
                      tls_setting_apply *apply);
/* SSL_CTX_set_cipher_list without what a server of ours never does: RSA key exchange. */
int tls_setting_server_ciphers(SSL_CTX *context, const char *text);
/*
 * SSL_CTX_set1_groups_list, with names that may be left out: one that begins with ? is taken where
 * the library has it (OpenSSL 3.5 reads such lists by itself, 3.0 does not). 0 also when none is
 * left. On failure the groups of the context are any.
 */
int tls_setting_groups(SSL_CTX *context, const char *text);

#endif
