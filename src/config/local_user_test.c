/* Users of this machine: their names, and who of them may do what. */
#include "config/local_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ERROR_ROOM ((size_t)1 << 20)

#define LISTENERS "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"

static const struct config *
load(const char *more)
{
    struct arena *arena = arena_create(ERROR_ROOM);
    const struct config *config = NULL;
    struct config_errors errors;
    struct str text = arena_printf(arena, LISTENERS "%s", more);
    if (config_load_text(arena, text, &config, &errors) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(config_error_format(arena, STR("t"), &errors.items[0])));
    }
    arena_destroy(&arena);
    return config;
}

static void
names_are_written_and_read(void **state)
{
    static const struct {
        uint32_t uid;
        const char *name;
    } rows[] = {{0, "uid:0"}, {33, "uid:33"}, {UINT32_MAX, "uid:4294967295"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[LOCAL_USER_MAX];
        uint32_t uid = 4711;
        struct str text = local_user_name(rows[i].uid, name);
        assert_string_equal(name, rows[i].name);
        assert_int_equal(text.n, strlen(rows[i].name));
        assert_true(local_user_parse(text, &uid));
        assert_int_equal(uid, rows[i].uid);
    }
}

/* What is no such name gives no number: an account cannot become one. */
static void
other_names_are_none(void **state)
{
    static const char *const rows[] = {
        "",
        "33",
        "uid:",
        "uid:x",
        "uid:33@a.example",
        "uid:33 ",
        "uid: 33",
        "uid:-1",
        "uid:4294967296",
        "UID:33",
        "gid:33",
        "xuid:33",
        "uid@a.example",
        "bob@ours.example",
        "uid:99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t uid = 4711;
        if (local_user_parse(str_from_cstr(rows[i]), &uid)) {
            fail_msg("%s was read as %u", rows[i], (unsigned)uid);
        }
        assert_int_equal(uid, 4711);
    }
}

struct right {
    const char *user;
    bool may_submit;
    bool may_use_any_sender;
};

static void
check_rights(const char *more, const struct right *rows, size_t count)
{
    const struct config *config = load(more);
    for (size_t i = 0; i < count; i++) {
        struct str user = str_from_cstr(rows[i].user);
        if (local_user_may_submit(config, user) != rows[i].may_submit ||
            local_user_may_use_any_sender(config, user) != rows[i].may_use_any_sender) {
            fail_msg("%s with %s", rows[i].user, more);
        }
    }
    config_unref(&config);
}

#define CHECK_RIGHTS(more, ...)                                                                    \
    do {                                                                                           \
        static const struct right rows[] = {__VA_ARGS__};                                          \
        check_rights((more), rows, sizeof rows / sizeof rows[0]);                                  \
    } while (false)

static void
rights_are_as_configured(void **state)
{
    (void)state;
    CHECK_RIGHTS("hostname: mx.a.example\n", {"uid:0", true, true}, {"uid:33", true, false});
    CHECK_RIGHTS("hostname: mx.a.example\nsendmail: {users: [\"uid:33\"]}\n", {"uid:0", true, true},
                 {"uid:33", true, false}, {"uid:3", false, false}, {"uid:333", false, false});
    CHECK_RIGHTS("hostname: mx.a.example\nsendmail: {users: [\"uid:7*\", \"uid:33\"]}\n",
                 {"uid:7", true, false}, {"uid:701", true, false}, {"uid:17", false, false});
    CHECK_RIGHTS("hostname: mx.a.example\nsendmail: {any_sender: [\"uid:33\"]}\n",
                 {"uid:33", true, true}, {"uid:34", true, false}, {"uid:0", true, true});
    /* A pattern for everybody is one for local users, not for those who have logged in. */
    CHECK_RIGHTS("hostname: mx.a.example\nsendmail: {any_sender: [\"*\"]}\n",
                 {"uid:33", true, true}, {"bob@a.example", true, false}, {"", true, false});
}

#define DOMAINS                                                                                    \
    "bounce: {postmaster: p@a.example}\n"                                                          \
    "domains: [{name: b.example, delivery: mx}, {name: a.example, delivery: mx}]\n"

static void
addresses_without_a_domain_get_one(void **state)
{
    static const struct {
        const char *config;
        const char *want;
    } rows[] = {
        {"hostname: mx.b.example\nsendmail: {domain: x.example}\n" DOMAINS, "x.example"},
        {"hostname: b.example\n" DOMAINS, "b.example"},
        {"hostname: mx.b.example\n" DOMAINS, "b.example"},
        {"hostname: MX.B.example\n" DOMAINS, "b.example"},
        {"hostname: mx.deep.b.example\n" DOMAINS, "a.example"}, /* directly below only */
        {"hostname: mx.else.example\n" DOMAINS, "a.example"},   /* the first by name */
        {"hostname: mx.else.example\n", "mx.else.example"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct config *config = load(rows[i].config);
        struct str got = local_user_domain(config);
        if (!str_eq(got, str_from_cstr(rows[i].want))) {
            fail_msg("%s: %.*s", rows[i].config, STR_ARG(got));
        }
        config_unref(&config);
    }
}

static void
domains_that_every_local_user_may_use(void **state)
{
    static const struct {
        const char *domain;
        bool want;
    } rows[] = {
        {"a.example", true},       {"B.Example", true},
        {"mx.else.example", true}, {"MX.else.EXAMPLE", true},
        {"x.example", true},       {"X.Example", true},
        {"else.example", false},   {"sub.a.example", false},
        {"theirs.example", false}, {"", false},
    };
    (void)state;
    const struct config *config =
        load("hostname: mx.else.example\nsendmail: {domain: x.example}\n" DOMAINS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (local_user_may_use_domain(config, str_from_cstr(rows[i].domain)) != rows[i].want) {
            fail_msg("%s", rows[i].domain);
        }
    }
    config_unref(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_written_and_read),
        cmocka_unit_test(other_names_are_none),
        cmocka_unit_test(rights_are_as_configured),
        cmocka_unit_test(addresses_without_a_domain_get_one),
        cmocka_unit_test(domains_that_every_local_user_may_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
