#include <stdlib.h>

#include "auth/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

/* What is written from any values is one field, and is read back by the letter of the standard. */
static void
check_written(struct arena *arena, const struct authres *authres, bool utf8)
{
    struct authres_write_options options = {.utf8 = utf8};
    struct authres back;
    struct str value;
    if (authres_write(arena, authres, &options, &value) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < value.n; i++) {
        require(value.p[i] != '\0' && (utf8 || (unsigned char)value.p[i] < 0x80));
        require(value.p[i] != '\r' ||
                (value.n - i > 2 && value.p[i + 1] == '\n' && value.p[i + 2] == ' '));
        require(value.p[i] != '\n' || (i > 0 && value.p[i - 1] == '\r'));
    }
    enum status status = authres_parse(arena, value, &back);
    require(status == STATUS_LIMIT || status == STATUS_OK);
    if (status == STATUS_OK) {
        require(back.deviations == 0 && back.result_count == authres->result_count);
    }
}

/* The octets as values of a result. */
static void
write_values(struct arena *arena, struct str text)
{
    struct authres_property property = {STR("p"), STR("q"), text};
    struct authres_result result = {STR("x"), 1, STR("y"), text, text, &property, 1};
    struct authres authres = {STR("mx.example"), 1, &result, 1, 0};
    check_written(arena, &authres, false);
    check_written(arena, &authres, true);
    authres.authserv_id = text;
    check_written(arena, &authres, true);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str value = str_make((const char *)data, size);
    struct arena *arena = arena_create(8u << 20);
    struct authres authres;
    if (authres_parse(arena, value, &authres) == STATUS_OK) {
        require(authres.authserv_id.n > 0 && authres.result_count <= AUTHRES_RESULTS_MAX);
        for (size_t i = 0; i < authres.result_count; i++) {
            require(authres.results[i].method.n > 0 && authres.results[i].result.n > 0);
        }
        check_written(arena, &authres, true);
    }
    write_values(arena, value);
    arena_destroy(&arena);
    return 0;
}
