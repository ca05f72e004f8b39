#include "transport/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "dns/source_zone.h"

static const char zone_text[] =
    "{\"plain.example\": [{\"type\": \"MX\", \"pref\": 20, \"value\": \"b.example\"},"
    "                     {\"type\": \"MX\", \"pref\": 10, \"value\": \"A.example\"}],"
    " \"equal.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"c.example\"},"
    "                     {\"type\": \"MX\", \"pref\": 10, \"value\": \"b.example\"},"
    "                     {\"type\": \"MX\", \"pref\": 5, \"value\": \"z.example\"},"
    "                     {\"type\": \"MX\", \"pref\": 10, \"value\": \"a.example\"}],"
    " \"none.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\"}],"
    " \"null.example\": [{\"type\": \"MX\", \"pref\": 0, \"value\": \".\"}],"
    " \"nullplus.example\": [{\"type\": \"MX\", \"pref\": 0, \"value\": \".\"},"
    "                        {\"type\": \"MX\", \"pref\": 10, \"value\": \"a.example\"}],"
    " \"bad.example\": [{\"type\": \"MX\", \"pref\": 0, \"value\": \"a/b\"}],"
    " \"sick.example\": [{\"type\": \"SERVFAIL\"}],"
    " \"slow.example\": [{\"type\": \"TIMEOUT\"}],"
    " \"bogus.example\": [{\"type\": \"MX\", \"pref\": 1, \"value\": \"a.example\","
    "                      \"secure\": \"bogus\"}],"
    " \"alias.example\": [{\"type\": \"CNAME\", \"value\": \"plain.example\"}],"
    " \"backup.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"a.example\"},"
    "                      {\"type\": \"MX\", \"pref\": 20, \"value\": \"GW.ours.example\"},"
    "                      {\"type\": \"MX\", \"pref\": 20, \"value\": \"b.example\"},"
    "                      {\"type\": \"MX\", \"pref\": 30, \"value\": \"c.example\"}],"
    " \"self.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"gw.ours.example\"},"
    "                    {\"type\": \"MX\", \"pref\": 20, \"value\": \"a.example\"}],"
    " \"both.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\"},"
    "                    {\"type\": \"A\", \"value\": \"192.0.2.2\"},"
    "                    {\"type\": \"AAAA\", \"value\": \"2001:db8::1\"}],"
    " \"half.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\"},"
    "                    {\"type\": \"AAAA\", \"error\": \"TIMEOUT\"}],"
    " \"cname.example\": [{\"type\": \"CNAME\", \"value\": \"both.example\"}],"
    " \"signed.example\": [{\"type\": \"MX\", \"pref\": 1, \"value\": \"a.example\","
    "                       \"secure\": true}],"
    " \"signedalias.example\": [{\"type\": \"CNAME\", \"value\": \"signed.example\","
    "                            \"secure\": true}],"
    " \"six.example\": [{\"type\": \"AAAA\", \"value\": \"2001:db8::1\", \"secure\": true}],"
    " \"four.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\", \"secure\": true},"
    "                     {\"type\": \"AAAA\", \"error\": \"TIMEOUT\"}],"
    " \"mixed.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\", \"secure\": false},"
    "                      {\"type\": \"AAAA\", \"value\": \"2001:db8::1\", \"secure\": true}],"
    " \"toweak.example\": [{\"type\": \"CNAME\", \"value\": \"both.example\","
    "                       \"secure\": true}],"
    " \"tofour.example\": [{\"type\": \"CNAME\", \"value\": \"four.example\","
    "                       \"secure\": true}],"
    " \"txt.example\": [{\"type\": \"TXT\", \"strings\": [\"x\"]}]}";

/* The last of those to choose from: nothing is moved. */
static uint64_t
pick_last(uint64_t bound)
{
    return bound - 1;
}

static uint64_t
pick_first(uint64_t bound)
{
    (void)bound;
    return 0;
}

struct world {
    struct arena *arena;
    struct dns_zone *zone;
    struct dns_source dns;
    struct mx_rules rules;
};

static int
setup(void **state)
{
    static struct world world;
    struct str error = STR("");
    world.arena = arena_create(1 << 20);
    if (dns_zone_create(world.arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE, &world.zone,
                        &error) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(error));
    }
    world.dns = dns_source_from_zone(world.zone);
    world.rules = (struct mx_rules){.own_name = STR("gw.ours.example"), .random_below = pick_last};
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    dns_zone_destroy(&world->zone);
    arena_destroy(&world->arena);
    return 0;
}

static const char *
plan_text(struct arena *arena, const struct mx_plan *plan)
{
    struct str text = STR("");
    for (size_t i = 0; i < plan->count; i++) {
        text = arena_printf(arena, "%.*s%s%.*s/%u", STR_ARG(text), i > 0 ? " " : "",
                            STR_ARG(plan->hosts[i].name), plan->hosts[i].preference);
    }
    if (plan->outcome != MX_FOUND) {
        const struct smtp_enhanced *e = &plan->reply.enhanced;
        text = arena_printf(arena, "%s %u %u.%u.%u",
                            plan->outcome == MX_PERMANENT ? "permanent" : "temporary",
                            plan->reply.code, e->class, e->subject, e->detail);
    }
    return text.p;
}

static void
test_plans(void **state)
{
    static const struct {
        const char *domain;
        const char *want;
        bool implicit;
    } cases[] = {
        {"plain.example", "a.example/10 b.example/20", false},
        {"equal.example", "z.example/5 a.example/10 b.example/10 c.example/10", false},
        {"none.example", "none.example/0", true},
        {"null.example", "permanent 556 5.1.10", false},
        {"nullplus.example", "a.example/10", false},
        {"bad.example", "permanent 0 5.4.4", false},
        {"absent.example", "permanent 0 5.1.2", false},
        {"sick.example", "temporary 0 4.4.3", false},
        {"slow.example", "temporary 0 4.4.3", false},
        {"bogus.example", "temporary 0 4.4.3", false},
        {"alias.example", "a.example/10 b.example/20", false},
        {"backup.example", "a.example/10", false},
        {"self.example", "permanent 0 5.4.6", false},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mx_plan plan;
        assert_int_equal(mx_plan_make(world->arena, &world->dns, str_from_cstr(cases[i].domain),
                                      &world->rules, &plan),
                         STATUS_OK);
        const char *got = plan_text(world->arena, &plan);
        if (strcmp(got, cases[i].want) != 0 || plan.implicit != cases[i].implicit) {
            fail_msg("%s: got \"%s\", want \"%s\"", cases[i].domain, got, cases[i].want);
        }
    }
}

static void
test_implicit_self_is_a_loop(void **state)
{
    struct world *world = *state;
    struct mx_plan plan;
    world->rules.own_name = STR("none.example");
    assert_int_equal(
        mx_plan_make(world->arena, &world->dns, STR("none.example"), &world->rules, &plan),
        STATUS_OK);
    assert_string_equal(plan_text(world->arena, &plan), "permanent 0 5.4.6");
}

static void
test_equals_are_shuffled(void **state)
{
    struct world *world = *state;
    struct mx_plan plan;
    world->rules.random_below = pick_first;
    assert_int_equal(
        mx_plan_make(world->arena, &world->dns, STR("equal.example"), &world->rules, &plan),
        STATUS_OK);
    /* z alone is first whatever chance says; of the three others, each pick swaps with the last. */
    assert_string_equal(plan_text(world->arena, &plan),
                        "z.example/5 b.example/10 c.example/10 a.example/10");
}

static void
test_plan_is_bounded(void **state)
{
    struct world *world = *state;
    struct buf json;
    struct dns_zone *zone;
    struct str error = STR("");
    struct mx_plan plan;
    buf_init(&json, 1 << 16);
    assert_int_equal(buf_append(&json, STR("{\"many.example\": [")), STATUS_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(
            buf_printf(&json, "%s{\"type\": \"MX\", \"pref\": %d, \"value\": \"m%d.example\"}",
                       i > 0 ? "," : "", i, i),
            STATUS_OK);
    }
    assert_int_equal(buf_append(&json, STR("]}")), STATUS_OK);
    assert_int_equal(
        dns_zone_create(world->arena, buf_str(&json), DNS_SECURITY_INSECURE, &zone, &error),
        STATUS_OK);
    struct dns_source dns = dns_source_from_zone(zone);
    assert_int_equal(mx_plan_make(world->arena, &dns, STR("many.example"), &world->rules, &plan),
                     STATUS_OK);
    assert_int_equal(plan.count, MX_HOSTS_MAX);
    assert_int_equal(plan.hosts[0].preference, 0);
    dns_zone_destroy(&zone);
    buf_free(&json);
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *host;
        const char *want;
    } cases[] = {
        {"both.example", "2001:db8::1 192.0.2.1 192.0.2.2"},
        {"cname.example", "2001:db8::1 192.0.2.1 192.0.2.2"},
        {"half.example", "192.0.2.1"},
        {"txt.example", "permanent 5.4.4"},
        {"absent.example", "permanent 5.4.4"},
        {"sick.example", "temporary 4.4.3"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mx_addresses found;
        struct str text = STR("");
        char ip[IP_TEXT_MAX];
        assert_int_equal(mx_addresses_find(world->arena, &world->dns, str_from_cstr(cases[i].host),
                                           &world->rules, &found),
                         STATUS_OK);
        for (size_t k = 0; k < found.count; k++) {
            text = arena_printf(world->arena, "%.*s%s%s", STR_ARG(text), k > 0 ? " " : "",
                                ip_format(&found.items[k], ip));
        }
        if (found.outcome != MX_FOUND) {
            const struct smtp_enhanced *e = &found.reply.enhanced;
            text = arena_printf(world->arena, "%s %u.%u.%u",
                                found.outcome == MX_PERMANENT ? "permanent" : "temporary", e->class,
                                e->subject, e->detail);
        }
        if (!str_eq(text, str_from_cstr(cases[i].want))) {
            fail_msg("%s: got \"%.*s\", want \"%s\"", cases[i].host, STR_ARG(text), cases[i].want);
        }
    }
}

static void
test_security_and_canonical_names_are_kept(void **state)
{
    static const struct {
        bool is_host;
        const char *name;
        const char *want;
    } cases[] = {
        {false, "plain.example", "insecure plain.example"},
        {false, "alias.example", "insecure plain.example"},
        {false, "signed.example", "secure signed.example"},
        {false, "signedalias.example", "secure signed.example"},
        {false, "bogus.example", "bogus bogus.example"},
        {false, "none.example", "insecure none.example"},
        {true, "both.example", "insecure both.example"},
        {true, "six.example", "secure six.example"}, /* transport.md 15: IPv6 only */
        {true, "four.example", "secure four.example"},
        {true, "mixed.example", "insecure mixed.example"},
        {true, "toweak.example", "insecure both.example"},
        {true, "tofour.example", "secure four.example"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str name = str_from_cstr(cases[i].name);
        struct mx_plan plan = {0};
        struct mx_addresses found = {0};
        enum status status =
            cases[i].is_host
                ? mx_addresses_find(world->arena, &world->dns, name, &world->rules, &found)
                : mx_plan_make(world->arena, &world->dns, name, &world->rules, &plan);
        assert_int_equal(status, STATUS_OK);
        struct str canonical = cases[i].is_host ? found.canonical : plan.canonical;
        const char *security = dns_security_name(cases[i].is_host ? found.security : plan.security);
        struct str got = arena_printf(world->arena, "%s %.*s", security, STR_ARG(canonical));
        if (!str_eq(got, str_from_cstr(cases[i].want))) {
            fail_msg("%s: got \"%.*s\", want \"%s\"", cases[i].name, STR_ARG(got), cases[i].want);
        }
    }
}

/* transport.md 8: the answer that there is no MX may be signed, and the domain have DANE. */
static void
test_signed_absence_of_mx(void **state)
{
    struct world *world = *state;
    struct dns_zone *zone;
    struct str error = STR("");
    struct mx_plan plan;
    assert_int_equal(
        dns_zone_create(world->arena,
                        STR("{\"lone.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\"}]}"),
                        DNS_SECURITY_SECURE, &zone, &error),
        STATUS_OK);
    struct dns_source dns = dns_source_from_zone(zone);
    assert_int_equal(mx_plan_make(world->arena, &dns, STR("lone.example"), &world->rules, &plan),
                     STATUS_OK);
    assert_true(plan.implicit);
    assert_int_equal(plan.security, DNS_SECURITY_SECURE);
    assert_string_equal(plan_text(world->arena, &plan), "lone.example/0");
    dns_zone_destroy(&zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plans, setup, teardown),
        cmocka_unit_test_setup_teardown(test_implicit_self_is_a_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equals_are_shuffled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_security_and_canonical_names_are_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_signed_absence_of_mx, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
