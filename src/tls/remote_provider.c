/*
 * A provider of OpenSSL 3.0 that is built in, provider-keymgmt(7): its keys are a public half and
 * an id. Whatever is asked about a key, its public half answers, which is a key of the default
 * provider.
 *
 * Private halves are never exported: an export that includes one fails, and so OpenSSL does not
 * try to sign with the default provider what only the signer can (EVP_DigestSignInit looks there
 * first). Every fetch without a provider's name prefers the default one, so that nothing else in
 * the process meets this one by chance.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/remote_internal.h"

/* How tls_remote_key_create hands its key over to key_import. */
#define PARAM_KEY "postern-key"

/* ---- the key */

struct remote_key *
remote_key_ref(struct remote_key *key)
{
    atomic_fetch_add(&key->references, 1);
    return key;
}

void
remote_key_unref(struct remote_key *key)
{
    if (key != NULL && atomic_fetch_sub(&key->references, 1) == 1) {
        EVP_PKEY_free(key->public_key);
        free(key);
    }
}

static void *
key_new(const char *type)
{
    struct remote_key *key = calloc(1, sizeof *key);
    if (key != NULL) {
        atomic_init(&key->references, 1);
        key->type = type;
    }
    return key;
}

static void *
key_new_rsa(void *provider)
{
    (void)provider;
    return key_new("RSA");
}

static void *
key_new_rsa_pss(void *provider)
{
    (void)provider;
    return key_new("RSA-PSS");
}

static void *
key_new_ec(void *provider)
{
    (void)provider;
    return key_new("EC");
}

static void *
key_new_ed25519(void *provider)
{
    (void)provider;
    return key_new("ED25519");
}

static void *
key_new_ed448(void *provider)
{
    (void)provider;
    return key_new("ED448");
}

static void
key_free(void *keydata)
{
    remote_key_unref(keydata);
}

static int
key_has(const void *keydata, int selection)
{
    const struct remote_key *key = keydata;
    if (key->public_key == NULL) {
        return 0;
    }
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || key->is_remote ? 1 : 0;
}

static int
key_match(const void *keydata1, const void *keydata2, int selection)
{
    const struct remote_key *a = keydata1;
    const struct remote_key *b = keydata2;
    (void)selection;
    return a->public_key != NULL && b->public_key != NULL &&
                   EVP_PKEY_eq(a->public_key, b->public_key) == 1
               ? 1
               : 0;
}

/* ---- into the provider and out of it */

static void
key_fill(struct remote_key *key, const struct remote_key *from)
{
    EVP_PKEY_up_ref(from->public_key);
    key->public_key = from->public_key;
    key->is_remote = true;
    key->id = from->id;
    key->signer = from->signer;
}

/* A public key of another provider, to be compared (EVP_PKEY_eq with a certificate's). */
static int
key_import_public(struct remote_key *key, const OSSL_PARAM params[])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, key->type, "provider=default");
    /* The library takes a list that it does not change. */
    OSSL_PARAM *list = OSSL_PARAM_dup(params);
    int done = context != NULL && list != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
               EVP_PKEY_fromdata(context, &key->public_key, EVP_PKEY_PUBLIC_KEY, list) == 1;
    OSSL_PARAM_free(list);
    EVP_PKEY_CTX_free(context);
    return done;
}

static int
key_import(void *keydata, int selection, const OSSL_PARAM params[])
{
    struct remote_key *key = keydata;
    const struct remote_key *from = NULL;
    const OSSL_PARAM *own = OSSL_PARAM_locate_const(params, PARAM_KEY);
    (void)selection;
    if (key->public_key != NULL) {
        return 0;
    }
    if (own == NULL) {
        return key_import_public(key, params);
    }
    if (own->data_size != sizeof(struct remote_key *)) {
        return 0;
    }
    memcpy(&from, own->data, sizeof(struct remote_key *));
    key_fill(key, from);
    return 1;
}

static int
key_export(void *keydata, int selection, OSSL_CALLBACK *take, void *context)
{
    const struct remote_key *key = keydata;
    OSSL_PARAM *params = NULL;
    if (key->public_key == NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ||
        EVP_PKEY_todata(key->public_key, EVP_PKEY_PUBLIC_KEY, &params) != 1) {
        return 0;
    }
    int done = take(params, context);
    OSSL_PARAM_free(params);
    return done;
}

/* Types of parameters, for both ways: what may come is what the types below have in public. */
static const OSSL_PARAM *
key_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_octet_ptr(PARAM_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)selection;
    return types;
}

/* ---- facts */

static int
key_get_params(void *keydata, OSSL_PARAM params[])
{
    const struct remote_key *key = keydata;
    return key->public_key != NULL && EVP_PKEY_get_params(key->public_key, params) == 1 ? 1 : 0;
}

static const OSSL_PARAM *
key_gettable(void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)provider;
    return params;
}

static const char *
key_operation_ec(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *
key_operation_rsa(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

/* ---- tables */

typedef void (*function)(void);
#define KEY_FUNCTIONS(make)                                                                        \
    {OSSL_FUNC_KEYMGMT_NEW, (function)(make)}, {OSSL_FUNC_KEYMGMT_FREE, (function)key_free},       \
        {OSSL_FUNC_KEYMGMT_HAS, (function)key_has},                                                \
        {OSSL_FUNC_KEYMGMT_MATCH, (function)key_match},                                            \
        {OSSL_FUNC_KEYMGMT_IMPORT, (function)key_import},                                          \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (function)key_types},                                     \
        {OSSL_FUNC_KEYMGMT_EXPORT, (function)key_export},                                          \
        {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (function)key_types},                                     \
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, (function)key_get_params},                                  \
    {                                                                                              \
        OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (function)key_gettable                                  \
    }

static const OSSL_DISPATCH rsa_functions[] = {
    KEY_FUNCTIONS(key_new_rsa),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (function)key_operation_rsa},
    {0, NULL},
};
static const OSSL_DISPATCH rsa_pss_functions[] = {
    KEY_FUNCTIONS(key_new_rsa_pss),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (function)key_operation_rsa},
    {0, NULL},
};
static const OSSL_DISPATCH ec_functions[] = {
    KEY_FUNCTIONS(key_new_ec),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (function)key_operation_ec},
    {0, NULL},
};
static const OSSL_DISPATCH ed25519_functions[] = {KEY_FUNCTIONS(key_new_ed25519), {0, NULL}};
static const OSSL_DISPATCH ed448_functions[] = {KEY_FUNCTIONS(key_new_ed448), {0, NULL}};

/* The names are OpenSSL's: an EVP_PKEY is recognized by them. */
static const OSSL_ALGORITHM key_algorithms[] = {
    {"RSA:rsaEncryption", "provider=" REMOTE_PROVIDER, rsa_functions, NULL},
    {"RSA-PSS:RSASSA-PSS", "provider=" REMOTE_PROVIDER, rsa_pss_functions, NULL},
    {"EC:id-ecPublicKey", "provider=" REMOTE_PROVIDER, ec_functions, NULL},
    {"ED25519", "provider=" REMOTE_PROVIDER, ed25519_functions, NULL},
    {"ED448", "provider=" REMOTE_PROVIDER, ed448_functions, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT) {
        return key_algorithms;
    }
    return operation == OSSL_OP_SIGNATURE ? remote_signature_algorithms : NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
              const OSSL_DISPATCH **functions_out, void **provider_out)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (function)provider_query},
        {0, NULL},
    };
    static char
        nothing; /* the provider's context: there is no state, and NULL would be a failure */
    (void)handle;
    (void)core;
    *functions_out = functions;
    *provider_out = &nothing;
    return 1;
}

/* ---- errors */

static int error_library; /* OpenSSL's number for our errors; 0: not initialized */

static ERR_STRING_DATA error_texts[] = {
    {ERR_PACK(0, 0, REMOTE_REASON_UNSUPPORTED), "the signer has no such kind of signature"},
    {ERR_PACK(0, 0, REMOTE_REASON_NO_ANSWER), "the signer did not answer"},
    {ERR_PACK(0, 0, REMOTE_REASON_REFUSED), "the signer refused to sign"},
    {ERR_PACK(0, 0, REMOTE_REASON_UNKNOWN_KEY), "the signer does not have the key"},
    {ERR_PACK(0, 0, REMOTE_REASON_RUBBISH), "what the signer answered is no signature"},
    {ERR_PACK(0, 0, REMOTE_REASON_FAILED), "the signer failed"},
    {0, NULL},
};

void
remote_raise(enum remote_reason reason)
{
    ERR_raise(error_library, reason);
}

/* ---- for callers */

/* For as long as the process lives. The default one is no longer there by itself. */
static OSSL_PROVIDER *loaded[2];

/* With the library's own end; else the addresses would be lost before what they point to. */
static void
unload(void)
{
    OSSL_PROVIDER_unload(loaded[1]);
    OSSL_PROVIDER_unload(loaded[0]);
}

enum status
tls_remote_key_init(char error_out[static TLS_ERROR_MAX])
{
    if (error_library != 0) {
        return STATUS_OK;
    }
    if (OSSL_PROVIDER_add_builtin(NULL, REMOTE_PROVIDER, provider_init) != 1 ||
        (loaded[0] = OSSL_PROVIDER_load(NULL, "default")) == NULL ||
        (loaded[1] = OSSL_PROVIDER_load(NULL, REMOTE_PROVIDER)) == NULL ||
        EVP_set_default_properties(NULL, "?provider=default") != 1) {
        tls_error_take("the provider for keys of the signer cannot be used", error_out);
        return STATUS_IO;
    }
    if (OPENSSL_atexit(unload) != 1) {
        unload();
        snprintf(error_out, TLS_ERROR_MAX, "no room for the library's end");
        return STATUS_IO;
    }
    error_library = ERR_get_next_error_library();
    ERR_load_strings(error_library, error_texts);
    return STATUS_OK;
}

enum status
tls_key_id_of(const EVP_PKEY *key, struct tls_key_id *id_out)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    bool done = n > 0 && EVP_Digest(der, (size_t)n, id_out->octets, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    ERR_clear_error();
    return done ? STATUS_OK : STATUS_IO;
}

enum status
tls_remote_key_create(EVP_PKEY *public_key, const struct tls_signer *signer, EVP_PKEY **key_out,
                      char error_out[static TLS_ERROR_MAX])
{
    struct remote_key from = {.public_key = public_key, .signer = *signer};
    struct remote_key *pointer = &from;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(PARAM_KEY, &pointer, sizeof(struct remote_key *)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    const char *type = EVP_PKEY_get0_type_name(public_key);
    EVP_PKEY_CTX *context = NULL;
    if (error_library != 0 && type != NULL && tls_key_id_of(public_key, &from.id) == STATUS_OK) {
        context = EVP_PKEY_CTX_new_from_name(NULL, type, "provider=" REMOTE_PROVIDER);
    }
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        tls_error_take("the signer has no use for a key of this type", error_out);
    }
    EVP_PKEY_CTX_free(context);
    if (key == NULL) {
        return STATUS_SYNTAX;
    }
    *key_out = key;
    return STATUS_OK;
}
