#include "tls/scheme.h"

#include <strings.h>

/* SHA-1 and MD5 have numbers too and are not taken: OpenSSL's level 2 leaves them out as well. */
static const struct tls_scheme schemes[] = {
    {0x0301, "RSA", "SHA224", false, false},   {0x0401, "RSA", "SHA256", false, false},
    {0x0501, "RSA", "SHA384", false, false},   {0x0601, "RSA", "SHA512", false, false},
    {0x0303, "EC", "SHA224", false, false},    {0x0403, "EC", "SHA256", false, true},
    {0x0503, "EC", "SHA384", false, true},     {0x0603, "EC", "SHA512", false, true},
    {0x0804, "RSA", "SHA256", true, true},     {0x0805, "RSA", "SHA384", true, true},
    {0x0806, "RSA", "SHA512", true, true},     {0x0807, "ED25519", NULL, false, true},
    {0x0808, "ED448", NULL, false, true},      {0x0809, "RSA-PSS", "SHA256", true, true},
    {0x080a, "RSA-PSS", "SHA384", true, true}, {0x080b, "RSA-PSS", "SHA512", true, true},
};
#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

const struct tls_scheme *
tls_scheme_find(uint16_t number)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (schemes[i].number == number) {
            return &schemes[i];
        }
    }
    return NULL;
}

/* "SHA2-256" and "SHA256" are the same digest. */
static bool
digest_is(const char *name, const char *digest)
{
    static const char family[] = "SHA2-";
    if (name == NULL || digest == NULL) {
        return name == digest;
    }
    if (strncasecmp(name, family, sizeof family - 1) == 0) {
        return strcasecmp(name + sizeof family - 1, digest + sizeof "SHA" - 1) == 0;
    }
    return strcasecmp(name, digest) == 0;
}

const struct tls_scheme *
tls_scheme_choose(const char *key_type, const char *digest, bool pss)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        const struct tls_scheme *scheme = &schemes[i];
        if (strcasecmp(scheme->key_type, key_type) == 0 && scheme->pss == pss &&
            digest_is(digest, scheme->digest)) {
            return scheme;
        }
    }
    return NULL;
}

bool
tls_scheme_signs(const struct tls_scheme *scheme, enum tls_signable what)
{
    return what == TLS_SIGNABLE_1_2 || (what == TLS_SIGNABLE_1_3 && scheme->tls_1_3);
}
