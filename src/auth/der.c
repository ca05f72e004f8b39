#include "auth/der.h"

#define DER_INTEGER    0x02
#define DER_BIT_STRING 0x03
#define DER_SEQUENCE   0x30

/* Content longer than this is not read: two octets of length. */
#define LENGTH_OCTETS_MAX 2u

/* AlgorithmIdentifier of rsaEncryption (1.2.840.113549.1.1.1), with parameters NULL, and absent. */
static const char rsa_with_null[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
static const char rsa_alone[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";

/* Takes one element with this tag; definite lengths in their shortest form only. */
static bool
take(struct str *rest, unsigned char tag, struct str *content_out)
{
    const unsigned char *p = (const unsigned char *)rest->p;
    if (rest->n < 2 || p[0] != tag) {
        return false;
    }
    size_t octets = p[1] < 0x80 ? 0 : (size_t)(p[1] & 0x7f);
    size_t length = octets == 0 ? p[1] : 0;
    if (p[1] == 0x80 || octets > LENGTH_OCTETS_MAX || rest->n < 2 + octets) {
        return false;
    }
    for (size_t i = 0; i < octets; i++) {
        length = length << 8 | p[2 + i];
    }
    if ((octets == 1 && length < 0x80) || (octets == 2 && length < 0x100) ||
        rest->n - 2 - octets < length) {
        return false;
    }
    *content_out = str_make(rest->p + 2 + octets, length);
    *rest = str_skip(*rest, 2 + octets + length);
    return true;
}

/* A positive INTEGER; the zero octet that keeps it positive is cut. */
static bool
take_positive(struct str *rest, struct str *number_out)
{
    struct str number;
    if (!take(rest, DER_INTEGER, &number) || number.n == 0 || (number.p[0] & 0x80) != 0) {
        return false;
    }
    if (number.p[0] == 0) {
        number = str_skip(number, 1);
        if (number.n == 0 || (number.p[0] & 0x80) == 0) {
            return false; /* zero, or not the shortest form */
        }
    }
    *number_out = number;
    return true;
}

static bool
take_rsa(struct str octets, struct der_rsa *rsa)
{
    struct str numbers;
    return take(&octets, DER_SEQUENCE, &numbers) && octets.n == 0 &&
           take_positive(&numbers, &rsa->modulus) && take_positive(&numbers, &rsa->exponent) &&
           numbers.n == 0;
}

/* The RSAPublicKey in a SubjectPublicKeyInfo. */
static bool
take_info(struct str octets, struct str *key_out)
{
    struct str info;
    struct str algorithm;
    struct str bits;
    if (!take(&octets, DER_SEQUENCE, &info) || octets.n > 0 ||
        !take(&info, DER_SEQUENCE, &algorithm) || !take(&info, DER_BIT_STRING, &bits) ||
        info.n > 0 || bits.n == 0 || bits.p[0] != 0) {
        return false;
    }
    *key_out = str_skip(bits, 1);
    return str_eq(algorithm, str_make(rsa_with_null, sizeof rsa_with_null - 1)) ||
           str_eq(algorithm, str_make(rsa_alone, sizeof rsa_alone - 1));
}

enum status
der_rsa_public(struct str octets, struct der_rsa *rsa_out)
{
    struct der_rsa rsa;
    struct str key = octets;
    struct str inner;
    if (take_info(octets, &inner)) {
        key = inner;
    }
    if (!take_rsa(key, &rsa)) {
        return STATUS_SYNTAX;
    }
    *rsa_out = rsa;
    return STATUS_OK;
}
