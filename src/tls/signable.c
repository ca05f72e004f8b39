#include "tls/signable.h"

#include <stdint.h>

/* X.690: a SEQUENCE, and lengths of one and of two octets that follow. */
#define DER_SEQUENCE       0x30
#define DER_LENGTH_1       0x81
#define DER_LENGTH_2       0x82
#define RANDOM_SIZE        32u
#define PADDING_SIZE       64u
/* RFC 8422 5.4: ECCurveType named_curve. */
#define NAMED_CURVE        3
#define POINT_UNCOMPRESSED 4
/* Of finite fields: what OpenSSL's level 2 takes at the least, and RFC 7919's largest. */
#define PRIME_MIN          (2048u / 8)
#define PRIME_MAX          (8192u / 8)

/* ---- reading */

static uint16_t
octet(struct str text, size_t at)
{
    return (unsigned char)text.p[at];
}

/* Cuts a vector with a length of two octets off; false when it is not whole. */
static bool
take_vector(struct str *rest, struct str *vector_out)
{
    if (rest->n < 2) {
        return false;
    }
    size_t n = (size_t)octet(*rest, 0) << 8 | octet(*rest, 1);
    if (rest->n - 2 < n) {
        return false;
    }
    *vector_out = str_head(str_skip(*rest, 2), n);
    *rest = str_skip(*rest, 2 + n);
    return true;
}

/* ---- TLS 1.3 */

static bool
is_certificate_verify(struct str input)
{
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* with its NUL */
    if (input.n < PADDING_SIZE + sizeof context) {
        return false;
    }
    for (size_t i = 0; i < PADDING_SIZE; i++) {
        if (input.p[i] != ' ') {
            return false;
        }
    }
    struct str rest = str_skip(input, PADDING_SIZE);
    if (!str_starts_with(rest, str_make(context, sizeof context))) {
        return false;
    }
    size_t hash = rest.n - sizeof context;
    return hash == 32 || hash == 48;
}

/* ---- TLS 1.2 */

/* By IANA's registry TLS Supported Groups: from 224 bits, which is OpenSSL's level 2. */
static const struct {
    uint16_t group;
    uint16_t point_size;
    bool prefixed; /* the point begins with 4: it is not compressed (RFC 8422 5.4.1) */
} curves[] = {
    {20, 57, true},  {21, 57, true},  {22, 65, true},  {23, 65, true},
    {24, 97, true},  {25, 133, true}, {26, 65, true},  {27, 97, true},
    {28, 129, true}, {29, 32, false}, {30, 56, false},
};

/* RFC 8422 5.4: curve type, named curve, and a point with a length of one octet. */
static bool
are_curve_parameters(struct str params)
{
    if (params.n < 5 || params.p[0] != NAMED_CURVE) {
        return false;
    }
    uint16_t group = (uint16_t)(octet(params, 1) << 8 | octet(params, 2));
    uint16_t size = octet(params, 3);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (curves[i].group == group) {
            return size == curves[i].point_size && params.n == 4u + size &&
                   (!curves[i].prefixed || params.p[4] == POINT_UNCOMPRESSED);
        }
    }
    return false;
}

/* RFC 5246 7.4.3, ServerDHParams: dh_p, dh_g, dh_Ys; numbers without leading zeros but the last. */
static bool
are_field_parameters(struct str params)
{
    struct str prime;
    struct str generator;
    struct str key;
    if (!take_vector(&params, &prime) || !take_vector(&params, &generator) ||
        !take_vector(&params, &key) || params.n > 0) {
        return false;
    }
    return prime.n >= PRIME_MIN && prime.n <= PRIME_MAX && prime.p[0] != 0 &&
           octet(prime, prime.n - 1) % 2 == 1 && generator.n > 0 && generator.n <= prime.n &&
           generator.p[0] != 0 && key.n > 0 && key.n <= prime.n;
}

/*
 * True for one DER SEQUENCE of the whole input: a request or a certificate could be made to look
 * like parameters. A client's random number does so by chance, once in sixteen million handshakes
 * at most. Below 128 octets, where the length is one octet, there is no room for a public key.
 */
static bool
is_der_sequence(struct str input)
{
    if (input.n < 128 || octet(input, 0) != DER_SEQUENCE) {
        return false;
    }
    bool one = octet(input, 1) == DER_LENGTH_1 && 3u + octet(input, 2) == input.n;
    bool two = octet(input, 1) == DER_LENGTH_2 &&
               4u + (size_t)(octet(input, 2) << 8 | octet(input, 3)) == input.n;
    return one || two;
}

static bool
is_server_key_exchange(struct str input)
{
    static const char sentinel[] = {'D', 'O', 'W', 'N', 'G', 'R', 'D', 1};
    size_t const at = (size_t)2 * RANDOM_SIZE;
    if (input.n <= at || is_der_sequence(input)) {
        return false;
    }
    struct str end = str_make(input.p + at - sizeof sentinel, sizeof sentinel);
    if (!str_eq(end, str_make(sentinel, sizeof sentinel))) {
        return false;
    }
    struct str params = str_skip(input, at);
    return are_curve_parameters(params) || are_field_parameters(params);
}

enum tls_signable
tls_handshake_signable(struct str input)
{
    if (input.n > TLS_SIGNABLE_MAX) {
        return TLS_SIGNABLE_NOT;
    }
    if (is_certificate_verify(input)) {
        return TLS_SIGNABLE_1_3;
    }
    return is_server_key_exchange(input) ? TLS_SIGNABLE_1_2 : TLS_SIGNABLE_NOT;
}
