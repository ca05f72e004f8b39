/* What overrides a failure of DMARC: exceptions of the configuration, and switching it off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/override.h"
#include "auth/results.h"
#include "mail/author.h"

#define ARENA_ROOM (1u << 20)
#define HEAD       "hostname: mx.example.com\nlisteners: [{address: 127.0.0.1, port: 25, kind: mx}]\n"

/* The reason and its comment, or "none". */
static void
check(const char *settings, const char *domain, const char *want)
{
    struct arena *arena = arena_create(ARENA_ROOM);
    struct config_errors *errors = arena_alloc(arena, sizeof *errors);
    const struct config *config = NULL;
    struct str text = arena_printf(arena, HEAD "%s", settings);
    struct mail_author author = {.domain = str_from_cstr(domain)};
    struct auth_results auth = {.author = &author};
    struct check_input input = {.arena = arena, .auth = &auth};
    const struct dmarc_override *override = NULL;
    assert_int_equal(config_load_text(arena, text, &config, errors), STATUS_OK);
    input.config = config;
    assert_int_equal(auth_override_find(&input, &override), STATUS_OK);
    struct str got = override == NULL
                         ? STR("none")
                         : arena_printf(arena, "%s: %.*s", dmarc_override_name(override->reason),
                                        STR_ARG(override->comment));
    if (!str_eq(got, str_from_cstr(want))) {
        fail_msg("%s with %sgot %.*s, want %s", domain, settings, STR_ARG(got), want);
    }
    config_unref(&config);
    arena_destroy(&arena);
}

static void
test_exceptions(void **state)
{
    static const char exceptions[] =
        "authentication: {dmarc: {exceptions: [{domain: a.example, reason: lists}, "
        "{domain: .b.example}]}}\n";
    (void)state;
    check("", "a.example", "none");
    check(exceptions, "a.example", "local_policy: lists");
    check(exceptions, "x.a.example", "none");
    check(exceptions, "x.b.example", "local_policy: ");
    check(exceptions, "b.example", "none");
    check(exceptions, "xb.example", "none");
    check(exceptions, "", "none");
}

static void
test_not_enforced(void **state)
{
    (void)state;
    check("authentication: {dmarc: {enforce: false}}\n", "a.example", "local_policy: ");
    check("authentication: {dmarc: {enforce: true}}\n", "a.example", "none");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_not_enforced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
