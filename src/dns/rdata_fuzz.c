/* Fuzz target: all readers of records on the same octets; what is read as a name is written again.
 */
#include "dns/rdata.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(struct arena *arena, struct str name)
{
    struct dns_wire_name wire;
    struct str again, rest;
    if (dns_name_to_wire(name, &wire) != STATUS_OK ||
        dns_name_from_wire(arena, str_make((const char *)wire.octets, wire.n), &again, &rest) !=
            STATUS_OK ||
        !str_eq(name, again)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(1 << 20);
    struct str rdata = str_make((const char *)data, size);
    const struct str *strings;
    const struct ip_address *ips;
    size_t count;
    struct str name;
    struct dns_mx mx;
    struct dns_tlsa tlsa;
    struct dns_soa soa;
    struct dns_answer answer = {.records = &rdata, .record_count = 1};
    if (dns_rdata_name(arena, rdata, &name) == STATUS_OK) {
        check_name(arena, name);
    }
    if (dns_name_normalize(arena, rdata, &name) == STATUS_OK) {
        check_name(arena, name);
    }
    (void)!dns_rdata_mx(arena, rdata, &mx);
    (void)!dns_rdata_txt(arena, rdata, &name);
    (void)!dns_rdata_txt_strings(arena, rdata, &strings, &count);
    (void)!dns_rdata_tlsa(rdata, &tlsa);
    (void)!dns_rdata_soa(arena, rdata, &soa);
    (void)!dns_answer_addresses(arena, &answer, &ips, &count);
    (void)dns_name_is_host(rdata);
    (void)dns_name_is_within(rdata, str_skip(rdata, size / 2));
    arena_destroy(&arena);
    return 0;
}
