/*
 * Signatures with keys that are elsewhere, provider-signature(7): the whole of what is signed goes
 * to the signer of the key. Only what libssl does for a server is here: a digest and a padding are
 * chosen, and one call has all the octets.
 */
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "tls/remote_internal.h"
#include "tls/scheme.h"

#define DIGEST_NAME_MAX 32

struct signing {
    struct remote_key *key; /* one reference; NULL before the start */
    bool has_digest;
    char digest[DIGEST_NAME_MAX];
    bool pss;
};

static void *
signing_new(void *provider, const char *properties)
{
    (void)provider;
    (void)properties;
    return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *context)
{
    struct signing *signing = context;
    if (signing != NULL) {
        remote_key_unref(signing->key);
        free(signing);
    }
}

static void *
signing_dup(void *context)
{
    const struct signing *from = context;
    struct signing *signing = malloc(sizeof *signing);
    if (signing != NULL) {
        *signing = *from;
        if (signing->key != NULL) {
            remote_key_ref(signing->key);
        }
    }
    return signing;
}

/* ---- padding */

/* OpenSSL says it in words or in numbers; anything but PKCS#1 and PSS has no place in TLS. */
static bool
read_padding(const OSSL_PARAM *param, bool *pss_out)
{
    const char *text = NULL;
    int number = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING) {
        if (OSSL_PARAM_get_utf8_string_ptr(param, &text) != 1) {
            return false;
        }
        number = strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0       ? RSA_PKCS1_PSS_PADDING
                 : strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING
                                                                     : 0;
    } else if (OSSL_PARAM_get_int(param, &number) != 1) {
        return false;
    }
    *pss_out = number == RSA_PKCS1_PSS_PADDING;
    return *pss_out || number == RSA_PKCS1_PADDING;
}

/* The salt is as long as the digest (RFC 8446 4.2.3), and nothing else. */
static bool
salt_is_right(const OSSL_PARAM *param)
{
    const char *text = NULL;
    int number = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING) {
        return OSSL_PARAM_get_utf8_string_ptr(param, &text) == 1 &&
               strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
    }
    return OSSL_PARAM_get_int(param, &number) == 1 && number == RSA_PSS_SALTLEN_DIGEST;
}

static int
signing_set_params(void *context, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    if (params == NULL) {
        return 1;
    }
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    const OSSL_PARAM *salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if ((padding != NULL && !read_padding(padding, &signing->pss)) ||
        (salt != NULL && !salt_is_right(salt))) {
        remote_raise(REMOTE_REASON_UNSUPPORTED);
        return 0;
    }
    return 1;
}

static const OSSL_PARAM *
signing_settable(void *context, void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return params;
}

/* ---- signing */

static const struct tls_scheme *
signing_scheme(const struct signing *signing)
{
    return tls_scheme_choose(signing->key->type, signing->has_digest ? signing->digest : NULL,
                             signing->pss);
}

/* libssl asks with this too whether a key goes with a digest. */
static int
signing_start(void *context, const char *digest, void *keydata, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    struct remote_key *key = keydata;
    if (key == NULL || !key->is_remote || key->public_key == NULL) {
        return 0;
    }
    remote_key_ref(key);
    remote_key_unref(signing->key);
    signing->key = key;
    signing->pss = strcmp(key->type, "RSA-PSS") == 0;
    signing->has_digest = digest != NULL && digest[0] != '\0';
    if (signing->has_digest) {
        if (strlen(digest) >= sizeof signing->digest) {
            return 0;
        }
        memcpy(signing->digest, digest, strlen(digest) + 1);
    }
    return signing_scheme(signing) != NULL && signing_set_params(context, params) == 1 ? 1 : 0;
}

static enum remote_reason
reason_of(enum status status)
{
    switch (status) {
    case STATUS_AGAIN:
    case STATUS_TEMPORARY:
        return REMOTE_REASON_NO_ANSWER;
    case STATUS_DENIED:
        return REMOTE_REASON_REFUSED;
    case STATUS_NOT_FOUND:
        return REMOTE_REASON_UNKNOWN_KEY;
    case STATUS_SYNTAX:
        return REMOTE_REASON_RUBBISH;
    case STATUS_OK:
    case STATUS_END:
    case STATUS_LIMIT:
    case STATUS_IO:
    case STATUS_BUG:
        break;
    }
    return REMOTE_REASON_FAILED;
}

static int
signing_sign(void *context, unsigned char *out, size_t *length_out, size_t size,
             const unsigned char *input, size_t input_length)
{
    const struct signing *signing = context;
    const struct tls_scheme *scheme = signing->key != NULL ? signing_scheme(signing) : NULL;
    struct tls_signature signature = {.n = 0};
    if (scheme == NULL) {
        remote_raise(REMOTE_REASON_UNSUPPORTED);
        return 0;
    }
    const struct remote_key *key = signing->key;
    size_t most = (size_t)EVP_PKEY_get_size(key->public_key);
    if (out == NULL) {
        *length_out = most;
        return 1;
    }
    enum status status = key->signer.sign(key->signer.context, &key->id, scheme->number,
                                          str_make((const char *)input, input_length), &signature);
    if (status == STATUS_OK && (signature.n == 0 || signature.n > most || signature.n > size ||
                                signature.n > sizeof signature.octets)) {
        status = STATUS_SYNTAX;
    }
    if (status != STATUS_OK) {
        remote_raise(reason_of(status));
        return 0;
    }
    memcpy(out, signature.octets, signature.n);
    *length_out = signature.n;
    return 1;
}

typedef void (*function)(void);

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (function)signing_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (function)signing_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (function)signing_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (function)signing_start},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (function)signing_sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (function)signing_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (function)signing_settable},
    {0, NULL},
};

const OSSL_ALGORITHM remote_signature_algorithms[] = {
    {"RSA:rsaEncryption", "provider=" REMOTE_PROVIDER, functions, NULL},
    {"ECDSA", "provider=" REMOTE_PROVIDER, functions, NULL},
    {"ED25519", "provider=" REMOTE_PROVIDER, functions, NULL},
    {"ED448", "provider=" REMOTE_PROVIDER, functions, NULL},
    {NULL, NULL, NULL, NULL},
};
