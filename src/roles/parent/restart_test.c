/* Which changed keys are told to need a restart, one by one and together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "roles/parent/restart.h"

#define ROOM ((size_t)1 << 20)
#define HEAD                                                                                       \
    "hostname: mx.example.com\n"                                                                   \
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"

static const struct config *
load(const char *text)
{
    struct arena *arena = arena_create(ROOM);
    const struct config *config = NULL;
    struct config_errors errors;
    if (config_load_text(arena, str_from_cstr(text), &config, &errors) != STATUS_OK) {
        fail_msg("%u: %.*s", errors.items[0].line, STR_ARG(errors.items[0].text));
    }
    arena_destroy(&arena);
    return config;
}

static void
test_keys(void **state)
{
    static const struct {
        const char *text;
        const char *refused;
        const char *later;
    } cases[] = {
        {HEAD, "", ""},
        {HEAD "limits: {errors: 5}\nlogging: {level: debug}\n", "", ""},
        {HEAD "directories: {state: /elsewhere}\n", "directories.state", ""},
        {HEAD "directories: {run: /elsewhere}\n", "directories.run", ""},
        {HEAD "run_as: other\n", "run_as", ""},
        {HEAD "metrics: {enabled: false}\n", "", "metrics.enabled"},
        {HEAD "metrics: {address: \"::1\"}\n", "", "metrics.address"},
        {HEAD "metrics: {port: 9155}\nworkers: {edge: 3, filter: 4}\nrun_as: other\n", "run_as",
         "metrics.port, workers.edge, workers.filter"},
    };
    (void)state;
    struct arena *arena = arena_create(ROOM);
    const struct config *started = load(HEAD);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct config *wanted = load(cases[i].text);
        struct str refused = restart_keys(RESTART_REFUSED, started, wanted, arena);
        struct str later = restart_keys(RESTART_LATER, started, wanted, arena);
        if (!str_eq(refused, str_from_cstr(cases[i].refused)) ||
            !str_eq(later, str_from_cstr(cases[i].later))) {
            fail_msg("%s: got refused \"%.*s\", later \"%.*s\"", cases[i].text, STR_ARG(refused),
                     STR_ARG(later));
        }
        assert_true(later.n <= RESTART_KEYS_MAX);
        config_unref(&wanted);
    }
    config_unref(&started);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
