#include <stdlib.h>

#include "auth/arc_override.h"
#include "dns/source_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of the corpus; its private half is lost. */
static const char zone_text[] =
    "{\"x._domainkey.a.example\": [{\"type\": \"TXT\", \"strings\": [\"p="
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC0JrtSQ4LB/sfzI/eeV4Yc6YRgU4aPB/29urDH"
    "fO1dr2S5ghuUNxEcdBPy7T3ddelsnsJIaIWo88AeLtx0+kxaqYLI1Ll4IbxDqviij+1AJ2vQktdK"
    "Z8pP6ZDyOm0o/8CMLoCKer2j6zBm2QncoZRJtGcO22vA7weq8ZpD0JAjewIDAQAB"
    "\"]}],"
    " \"late._domainkey.a.example\": [{\"type\": \"TIMEOUT\"}]}";

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

/* What must hold of any verification. */
static void
check(struct arena *arena, const struct arc_verification *verification)
{
    static const struct str trusted[] = {STR_INIT("a.example"), STR_INIT(".example")};
    struct arc_voucher voucher;
    struct authres_result result;
    size_t count = verification->chain.count;
    require(count <= ARC_SETS_MAX && verification->oldest_pass <= count);
    require((verification->result == ARC_RESULT_FAIL) == (verification->reason.n > 0));
    for (size_t i = 0; i < count; i++) {
        const struct arc_set_verdict *verdict = &verification->sets[i];
        require(verdict->set->instance == i + 1 && verdict->set->seal.fault == NULL);
        require(verification->result != ARC_RESULT_PASS || verdict->seal == ARC_CHECK_PASS);
    }
    bool vouched = arc_override(arena, verification, trusted, 2, STR("author.example"), &voucher);
    require(!vouched || (verification->result == ARC_RESULT_PASS && voucher.instance <= count));
    require(arc_authres(arena, verification, STR("192.0.2.1"), &result) == STATUS_OK);
    require(arc_override_comment(arena, verification).p != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mail_head_limits limits = {65536, 400};
    static struct dns_zone *zone;
    static struct key_cache *keys;
    static struct dns_source dns;
    struct str message = str_make((const char *)data, size);
    struct arena *arena = arena_create(16u << 20);
    struct mail_head head;
    if (zone == NULL) {
        struct str error;
        require(dns_zone_create(arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE, &zone,
                                &error) == STATUS_OK);
        keys = key_cache_create(4);
        dns = dns_source_from_zone(zone);
    }
    if (mail_head_parse(arena, message, &limits, &head) == STATUS_OK) {
        struct arc_verify_input input = {
            .head = &head, .body = str_skip(message, head.raw.n), .now = 1700000000};
        struct dkim_lookup lookup;
        struct arc_verification verification;
        dkim_lookup_init(&lookup, arena, &dns, keys);
        enum status status = arc_verify(arena, &input, &lookup, &verification);
        require(status == STATUS_OK || status == STATUS_LIMIT);
        if (status == STATUS_OK) {
            check(arena, &verification);
        }
    }
    arena_destroy(&arena);
    return 0;
}
