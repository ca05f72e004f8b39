#include <stdlib.h>

#include "auth/authres.h"
#include "auth/authres_strip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A field that reads as ours is ours, however it is dressed up; all fields can be asked about. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mail_head_limits limits = {65536, 100};
    static const struct str id = STR_INIT("mx.example");
    struct authres_strip_names names = {&id, 1, STR("X-Verdict"), true};
    struct str content = str_make((const char *)data, size);
    struct arena *arena = arena_create(8u << 20);
    struct mail_head head;
    struct authres authres;
    if (authres_parse(arena, content, &authres) == STATUS_OK &&
        str_eq_nocase(authres.authserv_id, id) &&
        authres_claims(arena, content, id) == AUTHRES_CLAIM_OTHER) {
        abort();
    }
    if (mail_head_parse(arena, content, &limits, &head) == STATUS_OK) {
        for (size_t i = 0; i < head.field_count; i++) {
            (void)authres_strip_field(arena, &head.fields[i], &names);
        }
    }
    arena_destroy(&arena);
    return 0;
}
