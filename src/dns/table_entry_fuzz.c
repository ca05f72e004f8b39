/* Any octets as an entry of the resolver's table, for the question that they name themselves. */
#include "dns/table_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(1u << 20);
    struct str octets = str_make((const char *)data, size);
    uint16_t type = 0;
    uint16_t n = 0;
    struct str name = STR("a.example");
    struct dns_answer answer = {0};
    if (size > 10) {
        memcpy(&type, data, sizeof type);
        memcpy(&n, data + 8, sizeof n);
        name = str_head(str_skip(octets, 10), n);
    }
    if (dns_table_entry_read(octets, arena, name, type, &answer) == STATUS_OK) {
        char again[4096];
        size_t const written = dns_table_entry_write(again, sizeof again, name, type, &answer);
        if (written != 0 && (written != size || memcmp(again, data, size) != 0)) {
            __builtin_trap(); /* what is read is what was written */
        }
    }
    arena_destroy(&arena);
    return 0;
}
