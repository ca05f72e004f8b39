/* Good configurations: what is read, and how it is looked up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"

#define ERROR_ROOM ((size_t)1 << 20)

/* The least that every file needs; shortens the cases. Ends on line 2. */
#define HEAD                                                                                       \
    "hostname: mx.example.com\n"                                                                   \
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"

#define DOMAIN_HEAD                                                                                \
    HEAD "bounce: {postmaster: p@x.example}\n"                                                     \
         "domains:\n- name: a.example\n  delivery: mx\n  aliases:\n"

static const struct config *
load(const char *text)
{
    struct arena *arena = arena_create(ERROR_ROOM);
    const struct config *config = NULL;
    struct config_errors errors;
    if (config_load_text(arena, str_from_cstr(text), &config, &errors) != STATUS_OK) {
        for (size_t i = 0; i < errors.count; i++) {
            struct str line = config_error_format(arena, STR("t"), &errors.items[i]);
            print_error("%.*s\n", STR_ARG(line));
        }
        fail_msg("the configuration was refused");
    }
    assert_int_equal(errors.count, 0);
    arena_destroy(&arena);
    return config;
}

static const char full[] =
    "hostname: MX.Kartapuce.com\n"
    "directories: {state: /srv/state}\n"
    "listeners:\n"
    "  - {address: 127.0.10.1, port: 25, kind: mx, proxy_protocol: [10.0.0.0/8, \"::1\"]}\n"
    "  - {address: 127.0.10.1, port: 465, kind: smtps}\n"
    "  - {address: \"::1\", port: 587, kind: submission}\n"
    "  - {address: \"::1\", port: 24, kind: mx, tls: none}\n"
    "tls:\n"
    "  minimum: 1.3\n"
    "  certificates: [{certificate: /c.pem, key: /k.pem}]\n"
    "domains:\n"
    "  - name: kartapuce.com\n"
    "    delivery: lmtp://127.0.10.2\n"
    "    tls: none\n"
    "    aliases:\n"
    "      - {name: Sales, to: [bob@kartapuce.com, X@GMail.example]}\n"
    "      - {name: bob, to: [bob@kartapuce.com, tom@elsewhere.example]}\n"
    "    catch_all: '\"bob smith\"@kartapuce.com'\n"
    "  - name: b\xc3\xbc"
    "cher.example\n"
    "    delivery: \"smtp://[2001:db8::1]:2525\"\n"
    "    recipients: list\n"
    "    list: [\"zoe@b\xc3\xbc"
    "cher.example\", anna@xn--bcher-kva.example]\n"
    "    plus_separator: \"-\"\n"
    "  - {name: sock.example, delivery: lmtp:/run/lmtp, recipients: any, plus_addressing: false}\n"
    "routes:\n"
    "  - {domain: example.net, to: \"smtp://relay.example.net\", tls: required}\n"
    "  - {domain: .example.net, to: mx}\n"
    "smart_host: smtp://smart.example:26\n"
    "zones:\n"
    "  - {name: inside, networks: [127.0.10.0/24, 10.0.0.0/8], relay: true}\n"
    "  - {name: printer, networks: [10.1.2.3], minimum_tls: required}\n"
    "  - {name: six, networks: [\"2001:db8::/32\"]}\n"
    "limits: {message_size: 10MB, data_rate: 1000, timeouts: {command: 90, data: 1500ms}}\n"
    "checks: [{finding: helo_malformed, action: reject}, {finding: date_past, action: hold}]\n"
    "queue: {retry_factor: 1.5, warn_after: 0}\n"
    "bounce: {postmaster: bob@kartapuce.com}\n"
    "logging: {level: debug, format: json}\n"
    "resolver: {stub_root: 127.0.53.1@5353, trust_anchors: [/root.key], local_zones: [test]}\n";

#define HEAD_FOR_DANE                                                                              \
    "hostname: mx.kartapuce.com\n"                                                                 \
    "bounce: {postmaster: bob@kartapuce.com}\n"                                                    \
    "listeners: [{address: 127.0.0.1, port: 25, kind: mx}]\n"                                      \
    "dane: {exceptions: [{domain: broken.example, until: 2027-01-31, "                             \
    "reason: their zone is broken}]}\n"

static void
assert_text(struct str got, const char *want)
{
    if (!str_eq(got, str_from_cstr(want))) {
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
    }
}

/* An exception holds to the end of its last day, for its own domain. */
static void
test_dane_exceptions(void **state)
{
    static const int64_t end_ms = 1801440000000; /* 2027-02-01T00:00:00Z */
    const struct config *c = load(HEAD_FOR_DANE);
    (void)state;
    assert_true(c->dane.enabled && c->dane.insecure_mx);
    const struct config_dane_exception *e =
        config_dane_exception_for(c, str_from_cstr("Broken.Example"), end_ms - 1);
    assert_non_null(e);
    assert_text(e->reason, "their zone is broken");
    assert_null(config_dane_exception_for(c, str_from_cstr("broken.example"), end_ms));
    assert_null(config_dane_exception_for(c, str_from_cstr("a.broken.example"), 0));
    config_unref(&c);
}

static struct ip_address
address(const char *text)
{
    struct ip_address ip;
    assert_int_equal(ip_parse(str_from_cstr(text), &ip), STATUS_OK);
    return ip;
}

static void
test_full(void **state)
{
    (void)state;
    const struct config *c = load(full);
    assert_text(c->hostname, "mx.kartapuce.com");
    assert_text(c->directories.state, "/srv/state");
    assert_text(c->directories.run, "/run/postern");
    assert_int_equal(c->listeners.count, 4);
    assert_int_equal(c->listeners.items[0].tls, CONFIG_TLS_OPPORTUNISTIC);
    assert_int_equal(c->listeners.items[0].proxy_protocol.count, 2);
    assert_int_equal(c->listeners.items[1].tls, CONFIG_TLS_REQUIRED);
    assert_int_equal(c->listeners.items[2].tls, CONFIG_TLS_REQUIRED);
    assert_int_equal(c->listeners.items[3].tls, CONFIG_TLS_NONE);
    assert_int_equal(c->tls.minimum, CONFIG_TLS_1_3);
    assert_text(c->tls.certificates.items[0].key, "/k.pem");
    assert_int_equal(c->smart_host.to.kind, CONFIG_DELIVERY_SMTP);
    assert_int_equal(c->smart_host.to.port, 26);
    assert_int_equal(c->smart_host.tls, CONFIG_TLS_OPPORTUNISTIC);
    assert_int_equal(c->limits.message_size, 10000000);
    assert_int_equal(c->limits.data_rate, 1000);
    assert_int_equal(c->limits.timeouts.command_ms, 90000);
    assert_int_equal(c->limits.timeouts.data_ms, 1500);
    assert_int_equal(c->limits.timeouts.auth_ms, 60000);
    assert_float_equal(c->queue.retry_factor, 1.5, 0.0);
    assert_int_equal(c->queue.warn_after_ms, 0);
    assert_int_equal(c->logging.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->logging.format, LOG_FORMAT_JSON);
    assert_int_equal(c->resolver.stub_root.port, 5353);
    assert_text(c->resolver.trust_anchors.items[0], "/root.key");
    config_unref(&c);
    assert_null(c);
}

static void
test_domains(void **state)
{
    (void)state;
    const struct config *c = load(full);
    const struct config_domain *d = config_domain_find(c, STR("KARTAPUCE.com"));
    assert_non_null(d);
    assert_int_equal(d->delivery.kind, CONFIG_DELIVERY_LMTP_TCP);
    assert_int_equal(d->delivery.port, 24);
    assert_true(d->delivery.host_is_ip);
    assert_text(d->delivery.text, "lmtp://127.0.10.2");
    assert_text(d->catch_all.local, "bob smith");
    assert_text(d->catch_all.text, "\"bob smith\"@kartapuce.com");
    assert_int_equal(d->recipients, CONFIG_RECIPIENTS_USERS);
    const struct config_alias *alias = config_alias_find(d, STR("SALES"));
    assert_non_null(alias);
    assert_text(alias->to.items[1].text, "X@gmail.example");
    assert_null(config_alias_find(d, STR("sale")));
    assert_text(config_plus_base(d, STR("bob+news+x")), "bob");
    assert_text(config_plus_base(d, STR("+news")), "");
    assert_text(config_plus_base(d, STR("")), "");

    d = config_domain_find(c, STR("B\xc3\xbc"
                                  "CHER.example"));
    assert_non_null(d);
    assert_ptr_equal(d, config_domain_find(c, STR("xn--bcher-kva.example")));
    assert_int_equal(d->delivery.kind, CONFIG_DELIVERY_SMTP);
    assert_text(d->delivery.host, "2001:db8::1");
    assert_int_equal(d->delivery.port, 2525);
    assert_true(config_list_contains(d, STR("Anna")));
    assert_true(config_list_contains(d, STR("zoe")));
    assert_false(config_list_contains(d, STR("bob")));
    assert_text(config_plus_base(d, STR("bob-news")), "bob");

    d = config_domain_find(c, STR("sock.example"));
    assert_non_null(d);
    assert_int_equal(d->delivery.kind, CONFIG_DELIVERY_LMTP_UNIX);
    assert_text(d->delivery.path, "/run/lmtp");
    assert_text(config_plus_base(d, STR("bob+news")), "");
    assert_null(config_domain_find(c, STR("")));
    assert_null(config_domain_find(c, STR("kartapuce.com.evil.example")));
    assert_null(config_domain_find(c, STR("\xff.example")));
    config_unref(&c);
}

static void
test_checks(void **state)
{
    (void)state;
    const struct config *c = load(full);
    assert_int_equal(c->checks.count, 2);
    assert_int_equal(c->checks.items[0].finding, FINDING_HELO_MALFORMED);
    assert_int_equal(c->checks.items[0].action, CONFIG_ACTION_REJECT);
    assert_int_equal(c->checks.items[1].finding, FINDING_DATE_PAST);
    assert_int_equal(c->checks.items[1].action, CONFIG_ACTION_HOLD);
    assert_string_equal(config_action_name(CONFIG_ACTION_HOLD), "hold");
    config_unref(&c);
}

static void
test_routes_and_zones(void **state)
{
    (void)state;
    const struct config *c = load(full);
    const struct config_route *exact = config_route_find(c, STR("Example.net"));
    assert_non_null(exact);
    assert_int_equal(exact->tls, CONFIG_TLS_REQUIRED);
    const struct config_route *below = config_route_find(c, STR("a.b.example.net"));
    assert_non_null(below);
    assert_true(below->with_subdomains);
    assert_int_equal(below->to.kind, CONFIG_DELIVERY_MX);
    assert_null(config_route_find(c, STR("badexample.net")));
    assert_null(config_route_find(c, STR("net")));
    assert_null(config_route_find(c, STR("")));

    static const struct {
        const char *ip;
        const char *zone;
    } cases[] = {
        {"127.0.10.9", "inside"},
        {"10.9.9.9", "inside"},
        {"10.1.2.3", "printer"},
        {"10.1.2.4", "inside"},
        {"2001:db8::5", "six"},
        {"192.0.2.1", NULL},
        {"::1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_address ip = address(cases[i].ip);
        const struct config_zone *zone = config_zone_for_ip(c, &ip);
        assert_text(zone != NULL ? zone->name : STR("none"),
                    cases[i].zone != NULL ? cases[i].zone : "none");
    }
    struct ip_address proxy = address("10.2.3.4");
    assert_true(config_networks_contain(&c->listeners.items[0].proxy_protocol, &proxy));
    assert_false(config_networks_contain(&c->listeners.items[1].proxy_protocol, &proxy));
    config_unref(&c);
}

/* Self-reference is the mailbox, groups with nothing in them are their defaults. */
static const char *const good_cases[] = {
    HEAD,
    HEAD "limits:\nqueue: ~\ndomains:\nroutes: []\nsmart_host:\n",
    HEAD "smart_host: {to: mx, tls: required}\n",
    DOMAIN_HEAD "  - {name: bob, to: [bob@a.example, bob+x@a.example, x@y.example]}\n"
                "  - {name: all, to: [bob@a.example]}\n",
    HEAD "tls: {self_signed: false, certificates: [{certificate: /a, key: /b}]}\n",
    "hostname: mx.example.com\ntls: {self_signed: false}\n"
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx, tls: none}]\n",
    "{\"hostname\": \"mx.example.com\", \"listeners\": [{\"address\": \"::\", \"port\": 25, "
    "\"kind\": \"mx\"}, {\"address\": \"0.0.0.0\", \"port\": 25, \"kind\": \"mx\"}]}",
    HEAD "metrics: {enabled: false, port: 2525}\n",
    HEAD "metrics: {enabled: false, address: 192.0.2.1}\n",
    HEAD "metrics: {address: \"::1\"}\n",
    HEAD "zones: [{name: all, networks: [0.0.0.0/0, \"::/0\"]}]\n",
    /* What nobody outside can have may be trusted as widely as it goes. */
    HEAD "zones: [{name: a, relay: true, networks: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, "
         "127.0.0.0/8, 100.64.0.0/10, \"fc00::/7\", \"fe80::/10\", 192.0.0.0/9, 192.128.0.0/9, "
         "192.0.2.0/24, \"2001::/16\", \"2001:db8::/32\"]}]\n",
    HEAD "zones: [{name: a, relay: true, networks: [11.0.0.0/8, 11.1.0.0/16]}]\n",
    HEAD "domains: [{name: a.example, delivery: mx, recipients: callout}]\n",
    HEAD "domains: [{name: a.example, delivery: mx, recipients: list, list: [postmaster@a.example]"
         "}]\n",
};

static void
test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        const struct config *config = load(good_cases[i]);
        assert_non_null(config);
        config_unref(&config);
    }
}

/* Every prefix of a good file is either good or refused with at least one error. */
static void
test_prefixes(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof full; n++) {
        struct arena *arena = arena_create(ERROR_ROOM);
        const struct config *config = NULL;
        struct config_errors errors;
        enum status status = config_load_text(arena, str_make(full, n), &config, &errors);
        assert_int_equal(status == STATUS_OK, errors.count == 0);
        assert_int_equal(status == STATUS_OK, config != NULL);
        config_unref(&config);
        arena_destroy(&arena);
    }
}

static void
test_references(void **state)
{
    (void)state;
    const struct config *first = load(HEAD);
    const struct config *second = config_ref(first);
    assert_ptr_equal(first, second);
    config_unref(&first);
    assert_null(first);
    assert_text(second->hostname, "mx.example.com");
    config_unref(&second);
    config_unref(&second);
    assert_string_equal(config_tls_mode_name(CONFIG_TLS_REQUIRED), "required");
    assert_string_equal(config_tls_version_name(CONFIG_TLS_1_2), "1.2");
    assert_string_equal(config_recipients_name(CONFIG_RECIPIENTS_CALLOUT), "callout");
    assert_string_equal(config_listener_kind_name(CONFIG_LISTENER_SMTPS), "smtps");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_dane_exceptions),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_routes_and_zones),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
