#include "tls/dane.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "dns/name.h"

bool
tls_dane_prepare(SSL_CTX *context)
{
    if (SSL_CTX_dane_enable(context) != 1) {
        ERR_clear_error();
        return false;
    }
    /* RFC 7672 3.1.1: for mail, DANE-EE is about the key alone. */
    (void)SSL_CTX_dane_set_flags(context, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    return true;
}

static bool
name_text(struct str name, char text[DNS_NAME_TEXT_MAX + 1])
{
    if (name.n == 0 || name.n > DNS_NAME_TEXT_MAX || str_contains_char(name, '\0')) {
        return false;
    }
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return true;
}

static enum status
apply_names(SSL *ssl, const struct tls_dane *dane)
{
    char text[DNS_NAME_TEXT_MAX + 1];
    for (size_t i = 0; i < dane->name_count; i++) {
        if (!name_text(dane->names[i], text)) {
            return STATUS_SYNTAX;
        }
        int done = i == 0 ? SSL_dane_enable(ssl, text) : SSL_add1_host(ssl, text);
        if (done != 1) {
            ERR_clear_error();
            return STATUS_LIMIT;
        }
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return dane->name_count > 0 ? STATUS_OK : STATUS_SYNTAX;
}

enum status
tls_dane_apply(SSL *ssl, const struct tls_dane *dane)
{
    enum status status = apply_names(ssl, dane);
    for (size_t i = 0; status == STATUS_OK && i < dane->count; i++) {
        const struct dns_tlsa *t = &dane->records[i];
        /* 0: it cannot be used; the others may. */
        if (SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
                              (const unsigned char *)t->data.p, t->data.n) < 0) {
            status = STATUS_LIMIT;
        }
    }
    ERR_clear_error();
    return status;
}

int
tls_dane_matched(SSL *ssl, struct dns_tlsa *tlsa_out)
{
    const unsigned char *data = NULL;
    size_t n = 0;
    struct dns_tlsa tlsa;
    int depth = SSL_get0_dane_authority(ssl, NULL, NULL);
    if (depth < 0 || SSL_get_verify_result(ssl) != X509_V_OK ||
        SSL_get0_dane_tlsa(ssl, &tlsa.usage, &tlsa.selector, &tlsa.matching, &data, &n) < 0) {
        return -1;
    }
    tlsa.data = str_make((const char *)data, n);
    *tlsa_out = tlsa;
    return depth;
}
