/* Any octets as the value of a DKIM-Signature, and of an ARC-Message-Signature. */
#include <stdlib.h>

#include "auth/dkim_signature.h"
#include "dns/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

static void
check(struct str text, const struct dkim_signature *signature, bool arc)
{
    struct dns_wire_name wire;
    require(dns_name_to_wire(signature->domain, &wire) == STATUS_OK);
    require(dns_name_to_wire(signature->selector, &wire) == STATUS_OK);
    require(str_is_ascii(signature->domain) && str_is_ascii(signature->selector));
    require(signature->name_count >= 1 && signature->name_count <= DKIM_NAMES_MAX);
    require(signature->body_hash.n == CANONICAL_HASH_SIZE && signature->signature.n > 0);
    require(signature->signature_raw.p >= text.p &&
            signature->signature_raw.p + signature->signature_raw.n <= text.p + text.n);
    if (!arc) {
        size_t at = str_rfind_char(signature->identity, '@');
        require(at != STR_NPOS);
        require(dns_name_is_within(str_skip(signature->identity, at + 1), signature->domain));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    for (unsigned flags = 0; flags < 4; flags++) {
        struct arena *arena = arena_create(4u << 20);
        struct dkim_signature signature;
        bool arc = (flags & DKIM_SIGNATURE_ARC) != 0;
        if (dkim_signature_parse(arena, text, flags, &signature) == DKIM_PROBLEM_NONE) {
            check(text, &signature, arc);
        }
        arena_destroy(&arena);
    }
    return 0;
}
