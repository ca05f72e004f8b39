/*
 * configured.h - TLS as the configuration has it: settings for server.h and client.h, and whether
 * the library takes them.
 *
 * OpenSSL passes over words of a list that it does not know as long as one is left, so that a
 * misspelt cipher would silently be a missing one. Here each word has to mean something.
 */
#ifndef POSTERN_TLS_CONFIGURED_H
#define POSTERN_TLS_CONFIGURED_H

#include "config/config.h"
#include "tls/client.h"
#include "tls/server.h"

/* Views into `tls` and the other arguments. */
struct tls_server_settings tls_server_settings_of(const struct config_tls *tls,
                                                  struct str session_context);
struct tls_client_settings tls_client_settings_of(const struct config_tls *tls,
                                                  struct str trust_pem);

/*
 * Whether OpenSSL can make contexts of a server and of a client with these settings. STATUS_SYNTAX
 * otherwise, with the key at fault ("tls.ciphers", static) and what is wrong with it.
 */
[[nodiscard]] enum status tls_configured_check(const struct config_tls *tls, const char **key_out,
                                               char error_out[static TLS_ERROR_MAX]);

#endif
