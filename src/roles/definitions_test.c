/* The definitions of the roles against their table, whatever rows it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "roles/definitions.h"
#include "roles/memory_limit.h"
#include "roles/users.h"

/* A small configuration, with `more` at its end. */
static const struct config *
load(const char *more)
{
    static struct config_errors errors;
    struct arena *arena = arena_create(1u << 20);
    const struct config *config = NULL;
    struct str text = arena_printf(arena,
                                   "hostname: mx.example.com\n"
                                   "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n%s\n",
                                   more);
    if (config_load_text(arena, text, &config, &errors) != STATUS_OK) {
        fail_msg("%u: %.*s", errors.items[0].line, STR_ARG(errors.items[0].text));
    }
    arena_destroy(&arena);
    return config;
}

/* Each process has a definition, which does what its row says of it, and nobody else has one. */
static void
test_definitions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        const struct role_row *row = role_row((enum role)i);
        const struct role_definition *definition = role_definition_of((enum role)i);
        assert_int_equal(ipc_role_find(str_from_cstr(row->name)), i);
        assert_int_equal(definition != NULL, row->processes_most > 0);
        if (definition == NULL) {
            continue;
        }
        assert_int_equal(definition->role, i);
        assert_int_equal(definition->processes != NULL, row->processes_least < row->processes_most);
        assert_int_equal(definition->certificate != NULL,
                         (row->gets & (ROLE_GETS_CERTIFICATES | ROLE_GETS_ROOTS)) != 0);
        assert_int_equal(definition->key != NULL, (row->gets & ROLE_GETS_KEYS) != 0);
        assert_int_equal(definition->listener != NULL,
                         (row->gets & (ROLE_GETS_LISTENERS | ROLE_GETS_METRICS)) != 0);
        assert_int_equal(definition->clients != NULL, (row->gets & ROLE_GETS_CLIENTS) != 0);
        assert_true(definition->on_message != NULL || (row->peers == 0 && !row->commands));
    }
    assert_null(role_definition_of(ROLE_COUNT));
}

static void
test_peers(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ROLE_COUNT; a++) {
        assert_false(role_are_peers((enum role)a, (enum role)a));
        assert_false(role_are_peers((enum role)a, ROLE_COUNT));
        assert_false(role_are_peers(ROLE_COUNT, (enum role)a));
        assert_true(role_row((enum role)a)->processes_most > 0 ||
                    role_row((enum role)a)->peers == 0);
        assert_int_equal(role_row((enum role)a)->peers >> ROLE_COUNT, 0);
        for (unsigned b = 0; b < ROLE_COUNT; b++) {
            assert_int_equal(role_are_peers((enum role)a, (enum role)b),
                             role_are_peers((enum role)b, (enum role)a));
        }
    }
    assert_true(role_are_peers(ROLE_FILTER, ROLE_SPOOL));
    assert_false(role_are_peers(ROLE_EDGE, ROLE_SPOOL));
}

/* How many processes there are: what the configuration asks for, within the limits of the table. */
static void
test_processes(void **state)
{
    static const struct {
        const char *text;
        enum role role;
        uint32_t want;
    } cases[] = {
        {"workers: {edge: 3}", ROLE_EDGE, 3},
        {"workers: {edge: 64}", ROLE_EDGE, 64},
        {"metrics: {enabled: false}", ROLE_CONSOLE, 0},
        {"metrics: {enabled: true}", ROLE_CONSOLE, 1},
        {"", ROLE_SPOOL, 1},
        {"", ROLE_PARENT, 0},
        {"", ROLE_CLI, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct config *config = load(cases[i].text);
        assert_int_equal(role_processes(cases[i].role, config), cases[i].want);
        config_unref(&config);
    }
    const struct config *config = load("");
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        assert_in_range(role_processes((enum role)i, config),
                        role_row((enum role)i)->processes_least,
                        role_row((enum role)i)->processes_most);
    }
    config_unref(&config);
}

/* No two roles have a user in common where none was set up for them. */
static void
test_users(void **state)
{
    const struct config *config = load("run_as: nobody-of-this-name");
    (void)state;
    for (unsigned a = 1; a < ROLE_COUNT; a++) {
        for (unsigned b = 0; b < a; b++) {
            uid_t uids[2];
            gid_t gids[2];
            role_user_find(config, (enum role)a, &uids[0], &gids[0]);
            role_user_find(config, (enum role)b, &uids[1], &gids[1]);
            bool const both = role_row((enum role)a)->processes_most > 0 &&
                              role_row((enum role)b)->processes_most > 0;
            assert_true(!both || (uids[0] != uids[1] && gids[0] != gids[1]));
            assert_true(uids[0] != 0 && gids[0] != 0);
        }
    }
    config_unref(&config);
}

/* What the configuration lets a role take is added to its row. */
static void
test_memory(void **state)
{
    const struct config *small = load("limits: {message_size: 1MiB, memory: 64MiB}\n"
                                      "workers: {filter: 1}\nqueue: {connections: 10}\n"
                                      "resolver: {cache_size: 8MiB}");
    const struct config *large = load("limits: {message_size: 50MiB, memory: 512MiB}\n"
                                      "workers: {filter: 8}\nqueue: {connections: 100}\n"
                                      "resolver: {cache_size: 64MiB}");
    (void)state;
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        const struct role_definition *definition = role_definition_of((enum role)i);
        if (definition == NULL) {
            continue;
        }
        uint64_t const row = role_row((enum role)i)->sandbox.memory_bytes;
        uint64_t const less = role_memory_limit(definition, small);
        uint64_t const more = role_memory_limit(definition, large);
        assert_true(row >= 256u << 20);
        assert_true(definition->memory != NULL ? less <= more && row < more
                                               : row == less && row == more);
    }
    config_unref(&small);
    config_unref(&large);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions), cmocka_unit_test(test_peers),
        cmocka_unit_test(test_processes),   cmocka_unit_test(test_users),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("role definitions", tests, NULL, NULL);
}
