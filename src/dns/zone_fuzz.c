/* Fuzz target: the JSON form of a zone, and questions to it. */
#include "dns/source_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_MX, DNS_TYPE_TXT,
                                     DNS_TYPE_CNAME};
    struct arena *arena = arena_create(1 << 20);
    struct dns_zone *zone;
    struct str error;
    struct dns_answer answer;
    if (dns_zone_create(arena, str_make((const char *)data, size), DNS_SECURITY_INSECURE, &zone,
                        &error) == STATUS_OK) {
        struct dns_source source = dns_source_from_zone(zone);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            (void)!dns_resolve(&source, arena, STR("a.example"), types[i], &answer);
        }
        dns_zone_destroy(&zone);
    }
    arena_destroy(&arena);
    return 0;
}
