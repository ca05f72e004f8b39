/* Fuzz target: macro strings. Checking and expanding agree, and a target keeps its length. */
#include <stdlib.h>

#include "auth/spf_macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_use(struct str text, enum spf_macro_use use, const struct spf_macro_values *values)
{
    struct arena *arena = arena_create(1u << 20);
    struct str expanded = STR("");
    enum status status = spf_macro_expand(arena, text, use, values, &expanded);
    bool valid = spf_macro_check(text, use) == STATUS_OK;
    /* An expansion may end early, at its limit, and then never sees what is wrong behind it. */
    if ((status == STATUS_OK && !valid) || (status == STATUS_SYNTAX && valid) ||
        (use == SPF_MACRO_DOMAIN && expanded.n > SPF_TARGET_MAX)) {
        abort();
    }
    arena_destroy(&arena);
}

/* The sender's local part up to the first NUL, then the macro string. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spf_macro_values values = {
        .sender_domain = STR("email.example.com"),
        .domain = STR("email.example.com"),
        .helo = STR("mail.example.com"),
        .receiver = STR("mx.example.org"),
        .now = 1795456094,
    };
    struct str text = STR("");
    (void)str_cut(str_make((const char *)data, size), '\0', &values.local, &text);
    values.sender = values.local;
    (void)!ip_parse(STR("2001:db8::1"), &values.client);
    try_use(text, SPF_MACRO_DOMAIN, &values);
    try_use(text, SPF_MACRO_EXPLANATION, &values);
    (void)!spf_domain_spec_check(text);
    return 0;
}
