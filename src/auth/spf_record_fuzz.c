/* Fuzz target: the text of a record. What was accepted lies within the record and within bounds. */
#include <stdlib.h>

#include "auth/spf_macro.h"
#include "auth/spf_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void
check_directive(const struct spf_directive *directive)
{
    require(directive->text.n > 0 && str_contains_char(STR("+-~?"), directive->qualifier));
    require(directive->ip4_prefix <= 32 && directive->ip6_prefix <= 128);
    require(directive->domain.n == 0 || spf_domain_spec_check(directive->domain) == STATUS_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(4u << 20);
    struct spf_record record;
    struct str problem = {NULL, 0};
    struct str text = str_make((const char *)data, size);
    if (spf_record_parse(arena, text, &record, &problem) == STATUS_OK) {
        require(spf_record_is_version1(text) && str_is_ascii(text));
        for (size_t i = 0; i < record.directive_count; i++) {
            check_directive(&record.directives[i]);
        }
    } else {
        require(problem.n > 0 && str_is_ascii(problem));
    }
    arena_destroy(&arena);
    return 0;
}
