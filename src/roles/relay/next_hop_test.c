#include "roles/relay/next_hop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char config_text[] =
    "hostname: gw.ours.example\n"
    "bounce: {postmaster: bob@ours.example}\n"
    "listeners:\n"
    "  - {address: 192.0.2.1, port: 25, kind: mx}\n"
    "  - {address: 0.0.0.0, port: 2525, kind: mx}\n"
    "  - {address: \"::\", port: 2526, kind: mx}\n"
    "domains:\n"
    "  - {name: ours.example, delivery: \"lmtp://inner.example:24\", tls: none}\n"
    "  - {name: sock.example, delivery: \"lmtp:/run/lmtp\"}\n"
    "  - {name: ip.example, delivery: \"lmtp://[2001:db8::5]:24\"}\n"
    "  - {name: hosted.example, delivery: mx}\n"
    "  - {name: gw.ours.example, delivery: \"lmtp://inner.example:24\", tls: none}\n"
    "routes:\n"
    "  - {domain: partner.example, to: \"smtp://relay.example:2025\", tls: required}\n"
    "  - {domain: .partner.example, to: mx, tls: required}\n";

static const struct config *
load_text(struct arena *arena, const char *first, const char *more)
{
    static struct config_errors errors;
    const struct config *config = NULL;
    struct str text = arena_printf(arena, "%s%s", first, more);
    if (config_load_text(arena, text, &config, &errors) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(config_error_format(arena, STR("test"), &errors.items[0])));
    }
    return config;
}

static const struct config *
load(struct arena *arena, const char *more)
{
    return load_text(arena, config_text, more);
}

struct hop_case {
    const char *address;
    const char *key; /* NULL: it leads nowhere */
    bool configured;
};

static void
check(const char *more, const struct hop_case *cases, size_t count)
{
    struct arena *arena = arena_create(1 << 20);
    const struct config *config = load(arena, more);
    for (size_t i = 0; i < count; i++) {
        struct next_hop hop;
        enum status status = next_hop_find(arena, config, str_from_cstr(cases[i].address), &hop);
        if (cases[i].key == NULL) {
            assert_int_equal(status, STATUS_SYNTAX);
            continue;
        }
        assert_int_equal(status, STATUS_OK);
        if (!str_eq(hop.key, str_from_cstr(cases[i].key)) ||
            hop.configured != cases[i].configured) {
            fail_msg("%s: got %.*s, want %s", cases[i].address, STR_ARG(hop.key), cases[i].key);
        }
    }
    config_unref(&config);
    arena_destroy(&arena);
}

static void
test_hops(void **state)
{
    static const struct hop_case cases[] = {
        {"a@ours.example", "lmtp:host:inner.example:24:none:0", true},
        {"\"a@b\"@ours.example", "lmtp:host:inner.example:24:none:0", true},
        {"postmaster", "lmtp:host:inner.example:24:none:0", true},
        {"a@sock.example", "lmtp:unix:/run/lmtp:0:opportunistic:0", true},
        {"a@ip.example", "lmtp:address:2001:db8::5:24:opportunistic:0", true},
        {"a@hosted.example", "smtp:mx:hosted.example:0:opportunistic:0", false},
        {"a@partner.example", "smtp:host:relay.example:2025:required:0", true},
        {"a@sub.partner.example", "smtp:mx:sub.partner.example:0:required:0", false},
        {"a@world.example", "smtp:mx:world.example:0:opportunistic:0", false},
        {"a@[192.0.2.9]", "smtp:address:192.0.2.9:0:opportunistic:0", false},
        {"a@[IPv6:2001:db8::1]", "smtp:address:2001:db8::1:0:opportunistic:0", false},
        {"a@[nonsense]", NULL, false},
        {"a@", NULL, false},
    };
    (void)state;
    check("", cases, sizeof cases / sizeof cases[0]);
}

static void
test_smart_host(void **state)
{
    static const struct hop_case cases[] = {
        {"a@world.example", "smtp:host:smart.example:25:required:0", true},
        {"a@[192.0.2.9]", "smtp:host:smart.example:25:required:0", true},
        {"a@partner.example", "smtp:host:relay.example:2025:required:0", true},
        {"a@ours.example", "lmtp:host:inner.example:24:none:0", true},
    };
    (void)state;
    check("smart_host: {to: \"smtp://smart.example\", tls: required}\n", cases,
          sizeof cases / sizeof cases[0]);
}

static void
test_self(void **state)
{
    static const struct {
        const char *ip;
        uint16_t port;
        bool want;
    } cases[] = {
        {"192.0.2.1", 25, true},     {"192.0.2.1", 26, false},   {"192.0.2.2", 25, false},
        {"192.0.2.7", 2525, true},   {"192.0.2.8", 2525, false}, {"127.0.0.1", 2525, true},
        {"127.3.2.1", 2525, true},   {"0.0.0.0", 2525, true},    {"127.0.0.1", 25, false},
        {"2001:db8::7", 2526, true}, {"::1", 2526, true},        {"2001:db8::8", 2526, false},
    };
    struct arena *arena = arena_create(1 << 20);
    const struct config *config = load(arena, "");
    struct ip_address own[2], ip;
    (void)state;
    assert_int_equal(ip_parse(STR("192.0.2.7"), &own[0]), STATUS_OK);
    assert_int_equal(ip_parse(STR("2001:db8::7"), &own[1]), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ip_parse(str_from_cstr(cases[i].ip), &ip), STATUS_OK);
        if (next_hop_is_self(config, own, 2, &ip, cases[i].port) != cases[i].want) {
            fail_msg("%s:%u", cases[i].ip, cases[i].port);
        }
    }
    config_unref(&config);
    arena_destroy(&arena);
}

/* What an administrator sends another way keeps its TLS, and what is ignored everywhere. */
static void
test_rerouted(void **state)
{
    (void)state;
    struct next_hop hop;
    struct arena *arena = arena_create(1 << 20);
    const struct config *config = load(arena, "queue: {ignore_ehlo: [CHUNKING]}\n");
    assert_int_equal(next_hop_find_rerouted(arena, config, STR("a@partner.example"),
                                            STR("smtp://other.example:2525"), &hop),
                     STATUS_OK);
    assert_true(str_eq(hop.key, STR("smtp:host:other.example:2525:required:2")));
    assert_int_equal(
        next_hop_find_rerouted(arena, config, STR("a@partner.example"), STR("mx"), &hop),
        STATUS_SYNTAX);
    config_unref(&config);
    arena_destroy(&arena);
}

/* To a server that the configuration has a login for: as all its mail. */
static void
test_rerouted_to_a_server_with_a_login(void **state)
{
    static const struct {
        const char *to;
        bool login;
    } cases[] = {
        {"smtp://smart.example:587", true},  {"smtp://SMART.example:587", true},
        {"smtp://smart.example:25", false},  {"lmtp://smart.example:587", false},
        {"smtp://other.example:587", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct next_hop hop;
        struct arena *arena = arena_create(1 << 20);
        const struct config *config =
            load(arena, "smart_host: {to: \"smtp://smart.example:587\", login: {user: us}}\n");
        assert_int_equal(next_hop_find_rerouted(arena, config, STR("a@free.example"),
                                                str_from_cstr(cases[i].to), &hop),
                         STATUS_OK);
        if ((hop.login != NULL) != cases[i].login) {
            fail_msg("%s: the login is %s", cases[i].to, cases[i].login ? "missing" : "given away");
        }
        if (cases[i].login) {
            assert_true(hop.login != NULL && str_eq(hop.login->user, STR("us")));
            assert_int_equal(hop.tls, CONFIG_TLS_REQUIRED);
            assert_true(str_eq(hop.name, STR("smart.example")));
        }
        config_unref(&config);
        arena_destroy(&arena);
    }
}

/* To a server that the configuration names: never with less TLS than its other mail. */
static void
test_rerouted_to_a_server_of_the_configuration(void **state)
{
    static const struct {
        const char *to;
        const char *key;
    } cases[] = {
        {"smtp://one.example:25", "smtp:host:one.example:25:required:0"},
        {"smtp://two.example:25", "smtp:host:two.example:25:required:2:2:us"},
        {"smtp://three.example:25", "smtp:host:three.example:25:required:2"},
        {"smtp://four.example:25", "smtp:host:four.example:25:opportunistic:0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct next_hop hop;
        struct arena *arena = arena_create(1 << 20);
        const struct config *config =
            load_text(arena,
                      "hostname: gw.ours.example\n"
                      "bounce: {postmaster: bob@ours.example}\n"
                      "listeners: [{address: 192.0.2.1, port: 25, kind: mx}]\n",
                      "routes:\n"
                      "  - {domain: a.example, to: \"smtp://one.example:25\"}\n"
                      "  - {domain: b.example, to: \"smtp://one.example:25\", tls: required}\n"
                      "  - {domain: c.example, to: \"smtp://two.example:25\","
                      " ignore_ehlo: [CHUNKING]}\n"
                      "  - {domain: d.example, to: \"smtp://two.example:25\","
                      " login: {user: us}}\n"
                      "  - {domain: e.example, to: \"smtp://four.example:25\"}\n"
                      "domains:\n"
                      "  - {name: far.example, delivery: \"smtp://three.example:25\","
                      " tls: required, ignore_ehlo: [CHUNKING]}\n");
        assert_int_equal(next_hop_find_rerouted(arena, config, STR("a@free.example"),
                                                str_from_cstr(cases[i].to), &hop),
                         STATUS_OK);
        assert_string_equal(arena_str_dup(arena, hop.key).p, cases[i].key);
        config_unref(&config);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hops),
        cmocka_unit_test(test_rerouted),
        cmocka_unit_test(test_rerouted_to_a_server_with_a_login),
        cmocka_unit_test(test_rerouted_to_a_server_of_the_configuration),
        cmocka_unit_test(test_smart_host),
        cmocka_unit_test(test_self),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
