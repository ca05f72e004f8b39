#include "tls/configured.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/setting.h"

/* What stands between the words of a list of ciphers, of cipher suites, and of groups. */
#define CIPHER_SEPARATORS ": ,;"
#define OTHER_SEPARATORS  ":"

struct tls_server_settings
tls_server_settings_of(const struct config_tls *tls, struct str session_context)
{
    return (struct tls_server_settings){
        .only_1_3 = tls->minimum == CONFIG_TLS_1_3,
        .session_tickets = tls->session_tickets,
        .prefer_server_order = tls->prefer_server_ciphers,
        .session_lifetime_ms = tls->session_lifetime_ms,
        .groups = tls->groups,
        .ciphers = tls->ciphers,
        .ciphersuites = tls->ciphersuites,
        .session_context = session_context,
    };
}

struct tls_client_settings
tls_client_settings_of(const struct config_tls *tls, struct str trust_pem)
{
    return (struct tls_client_settings){
        .only_1_3 = tls->minimum == CONFIG_TLS_1_3,
        .groups = tls->groups,
        .ciphers = tls->ciphers,
        .ciphersuites = tls->ciphersuites,
        .trust_pem = trust_pem,
    };
}

/* ---- words */

/*
 * One word of a list of ciphers. What is taken out (!, -) may well not be in this library at all,
 * and @ begins an order.
 */
static bool
cipher_word_is_known(SSL_CTX *context, struct str word)
{
    if (word.p[0] == '!' || word.p[0] == '-' || word.p[0] == '@') {
        return true;
    }
    if (word.p[0] == '+') {
        word = str_skip(word, 1);
    }
    return word.n == 0 || tls_setting_text(context, word, NULL, SSL_CTX_set_cipher_list);
}

static bool
ciphersuite_is_known(SSL_CTX *context, struct str word)
{
    return tls_setting_text(context, word, NULL, SSL_CTX_set_ciphersuites);
}

/* One that may be left out need not be known; it has to be a name all the same. */
static bool
group_is_known(SSL_CTX *context, struct str word)
{
    if (word.n > 1 && word.p[0] == '?') {
        return word.p[1] != '?';
    }
    return tls_setting_text(context, word, NULL, tls_setting_groups);
}

/* Cuts the next word off; false at the end. */
static bool
next_word(struct str *rest, const char *separators, struct str *word_out)
{
    size_t n = 0;
    while (rest->n > 0 && strchr(separators, rest->p[0]) != NULL) {
        *rest = str_skip(*rest, 1);
    }
    while (n < rest->n && strchr(separators, rest->p[n]) == NULL) {
        n++;
    }
    *word_out = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return n > 0;
}

enum { CIPHERS, CIPHERSUITES, GROUPS, ROW_COUNT };

static const struct {
    const char *key;
    const char *separators;
    bool (*is_known)(SSL_CTX *context, struct str word);
    tls_setting_apply *apply;
} rows[ROW_COUNT] = {
    [CIPHERS] = {"tls.ciphers", CIPHER_SEPARATORS, cipher_word_is_known, SSL_CTX_set_cipher_list},
    [CIPHERSUITES] = {"tls.ciphersuites", OTHER_SEPARATORS, ciphersuite_is_known,
                      SSL_CTX_set_ciphersuites},
    [GROUPS] = {"tls.groups", OTHER_SEPARATORS, group_is_known, tls_setting_groups},
};

/* The whole of a value as it will be used, then its words: the first at fault is told. */
static bool
value_is_good(SSL_CTX *context, size_t row, struct str value, char error_out[TLS_ERROR_MAX])
{
    struct str rest = value;
    struct str word;
    while (next_word(&rest, rows[row].separators, &word)) {
        if (!rows[row].is_known(context, word)) {
            snprintf(error_out, TLS_ERROR_MAX,
                     "OpenSSL knows no \"%.*s\"; expected a list as under openssl-ciphers(1)",
                     STR_ARG(word));
            return false;
        }
    }
    if (row == GROUPS && !tls_setting_text(context, value, NULL, rows[row].apply)) {
        snprintf(error_out, TLS_ERROR_MAX,
                 "nothing is left of this list: OpenSSL has none of the groups that may be left "
                 "out; add one without a question mark");
        return false;
    }
    if (!tls_setting_text(context, value, NULL, rows[row].apply)) {
        snprintf(error_out, TLS_ERROR_MAX, "OpenSSL cannot use this list: nothing is left of it");
        return false;
    }
    if (row == CIPHERS && !tls_setting_text(context, value, NULL, tls_setting_server_ciphers)) {
        snprintf(error_out, TLS_ERROR_MAX,
                 "nothing is left of this list for listeners, which never use RSA key exchange");
        return false;
    }
    return true;
}

enum status
tls_configured_check(const struct config_tls *tls, const char **key_out,
                     char error_out[static TLS_ERROR_MAX])
{
    const struct str values[] = {tls->ciphers, tls->ciphersuites, tls->groups};
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < ROW_COUNT; i++) {
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        if (context == NULL) {
            abort();
        }
        /* Words of suites that are too weak are words all the same. */
        SSL_CTX_set_security_level(context, 0);
        if (!str_is_empty(values[i]) && !value_is_good(context, i, values[i], error_out)) {
            *key_out = rows[i].key;
            status = STATUS_SYNTAX;
        }
        SSL_CTX_free(context);
        ERR_clear_error();
    }
    /* Last, all together and with the security level that counts. */
    struct tls_client_settings settings = tls_client_settings_of(tls, STR(""));
    struct tls_client *client = NULL;
    if (status == STATUS_OK && tls_client_create(&settings, &client, error_out) != STATUS_OK) {
        *key_out = "tls";
        status = STATUS_SYNTAX;
    }
    tls_client_unref(&client);
    return status;
}
