/* Any octets as the state file of the root's trust anchors. */
#include "roles/resolver/anchors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct anchor_zone zone = {.name = "."};
    buf_init(&zone.seed, ANCHOR_OCTETS_MAX);
    buf_init(&zone.trusted, ANCHOR_OCTETS_MAX);
    if (anchor_zone_parse(&zone, str_make((const char *)data, size)) == STATUS_OK &&
        buf_length(&zone.trusted) == 0 && zone.revoked == 0) {
        __builtin_trap(); /* a zone lost its anchors without a revocation */
    }
    anchor_zone_fini(&zone);
    return 0;
}
