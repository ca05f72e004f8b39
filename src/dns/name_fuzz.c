/* Any text and any octets as a name: what comes out is a name that the resolver can be asked for.
 */
#include "dns/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct arena *arena, struct str name)
{
    struct str again;
    if (!dns_name_is_question(name) || name.n > DNS_NAME_TEXT_MAX ||
        dns_name_normalize(arena, name, &again) != STATUS_OK || !dns_name_eq(name, again) ||
        !dns_name_is_within(name, again)) {
        __builtin_trap();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(1u << 16);
    struct str input = str_make((const char *)data, size);
    struct dns_wire_name wire;
    struct str name;
    struct str rest;
    if (dns_name_normalize(arena, input, &name) == STATUS_OK) {
        check(arena, name);
    } else if (dns_name_is_question(input)) {
        __builtin_trap();
    }
    if (dns_name_from_wire(arena, input, &name, &rest) == STATUS_OK) {
        check(arena, name);
        if (dns_name_to_wire(name, &wire) != STATUS_OK || wire.n + rest.n != size ||
            memcmp(wire.octets, data, wire.n) != 0) {
            __builtin_trap();
        }
    }
    (void)dns_name_is_host(input);
    arena_destroy(&arena);
    return 0;
}
