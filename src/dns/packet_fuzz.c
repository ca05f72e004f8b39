/* Any octets as a DNS message that answers whatever it says it asks. */
#include "dns/name.h"
#include "dns/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = {DNS_TYPE_A,   DNS_TYPE_MX,  DNS_TYPE_CNAME, DNS_TYPE_TXT,
                                     DNS_TYPE_PTR, DNS_TYPE_SOA, DNS_TYPE_DNSKEY};
    struct arena *arena = arena_create(1u << 20);
    struct str packet = str_make((const char *)data, size);
    struct str name = STR("a.example");
    struct str rest;
    struct dns_answer answer = {0};
    if (size > 12 && dns_name_from_wire(arena, str_skip(packet, 12), &name, &rest) != STATUS_OK) {
        name = STR("a.example");
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (dns_packet_answer(arena, packet, name, types[i], &answer) == STATUS_LIMIT) {
            break;
        }
    }
    arena_destroy(&arena);
    return 0;
}
