#include "roles/resolver/anchors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY_A "257 3 13 AAAA"
#define KEY_B "257 3 13 BBBB"
#define HEAD                                                                                       \
    "; autotrust trust anchor file\n;;id: . 1\n;;last_queried: 1 ;;Thu\n"                          \
    ";;next_probe_time: 1795776117 ;;Fri Nov 27 10:41:57 2026\n"

struct fixture {
    char directory[64];
    char file[96];
    struct anchors *anchors;
    struct str names[2];
    struct config_resolver config;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.config = {.dnssec = true}};
    snprintf(fixture.directory, sizeof fixture.directory, "/tmp/anchors-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    snprintf(fixture.file, sizeof fixture.file, "%s/seed", fixture.directory);
    fixture.names[0] = str_from_cstr(fixture.file);
    fixture.anchors = anchors_create(fixture.directory);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    anchors_destroy(&fixture->anchors);
    snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    return system(command); /* NOLINT(cert-env33-c): a name that we have made */
}

static void
write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static enum status
select_seed(struct fixture *fixture, const char *text)
{
    write_text(fixture->file, text);
    fixture->config.trust_anchors.items = fixture->names;
    fixture->config.trust_anchors.count = 1;
    return anchors_select(fixture->anchors, &fixture->config);
}

static void
assert_text(const struct buf *buf, const char *want)
{
    struct str got = buf_str(buf);
    if (!str_eq(got, str_from_cstr(want))) {
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
    }
}

/* ---- state files */

static void
test_states(void **state)
{
    static const struct {
        const char *text;
        enum status status;
        const char *trusted;
        unsigned pending, revoked;
    } cases[] = {
        {". IN DS 1 8 2 AB\n", STATUS_OK, ". IN DS 1 8 2 AB\n", 0, 0},
        {HEAD ". 4 IN DNSKEY " KEY_A " ;{id = 1} ;;state=2 [  VALID  ] ;;count=0\n", STATUS_OK,
         ". 4 IN DNSKEY " KEY_A "\n", 0, 0},
        {HEAD ". 4 IN DNSKEY " KEY_A " ;;state=3 [ MISSING ]\n", STATUS_OK,
         ". 4 IN DNSKEY " KEY_A "\n", 0, 0},
        /* a new one waits for its hold-down, the old one goes on */
        {HEAD ". 4 IN DNSKEY " KEY_A " ;;state=2\n. 4 IN DNSKEY " KEY_B " ;;state=1\n", STATUS_OK,
         ". 4 IN DNSKEY " KEY_A "\n", 1, 0},
        {HEAD ". 4 IN DNSKEY " KEY_A " ;;state=4\n. 4 IN DNSKEY " KEY_B " ;;state=2\n", STATUS_OK,
         ". 4 IN DNSKEY " KEY_B "\n", 0, 1},
        /* RFC 5011 5: all keys revoked */
        {HEAD ". 4 IN DNSKEY " KEY_A " ;;state=4\n", STATUS_OK, "", 0, 1},
        {HEAD ". 4 IN DNSKEY " KEY_A " ;;state=0\n. 4 IN DNSKEY " KEY_B " ;;state=2\n", STATUS_OK,
         ". 4 IN DNSKEY " KEY_B "\n", 0, 0},
        {HEAD, STATUS_SYNTAX, NULL, 0, 0},
        {"", STATUS_SYNTAX, NULL, 0, 0},
        {HEAD ". 4 IN DNSKEY " KEY_A " ;;state=1\n", STATUS_SYNTAX, NULL, 0, 0},
        {"example. IN DS 1 8 2 AB\n", STATUS_SYNTAX, NULL, 0, 0},
        {"rubbish", STATUS_SYNTAX, NULL, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct anchor_zone zone = {.name = "."};
        buf_init(&zone.seed, ANCHOR_OCTETS_MAX);
        buf_init(&zone.trusted, ANCHOR_OCTETS_MAX);
        enum status status = anchor_zone_parse(&zone, str_from_cstr(cases[i].text));
        if (status != cases[i].status) {
            fail_msg("case %zu: %s", i, status_name(status));
        }
        if (status == STATUS_OK) {
            assert_text(&zone.trusted, cases[i].trusted);
            assert_int_equal(zone.pending, cases[i].pending);
            assert_int_equal(zone.revoked, cases[i].revoked);
            assert_int_equal(zone.next_probe_s, cases[i].text[0] == '.' ? 0 : 1795776117);
        }
        anchor_zone_fini(&zone);
    }
}

/* ---- selection */

static void
test_both_root_keys_are_there(void **state)
{
    struct fixture *fixture = *state;
    size_t count;
    assert_int_equal(anchors_select(fixture->anchors, &fixture->config), STATUS_OK);
    struct anchor_zone *zones = anchors_zones(fixture->anchors, &count);
    assert_int_equal(count, 1);
    assert_string_equal(zones[0].name, ".");
    struct str trusted = buf_str(&zones[0].trusted);
    struct str first;
    struct str second;
    struct str rest;
    str_cut(trusted, '\n', &first, &rest);
    str_cut(rest, '\n', &second, &rest);
    assert_true(str_starts_with(first, STR(". IN DS 20326 8 2 ")));
    assert_true(str_starts_with(second, STR(". IN DS 38696 8 2 ")));
    assert_int_equal(rest.n, 0);
}

static void
test_without_dnssec_there_are_none(void **state)
{
    struct fixture *fixture = *state;
    size_t count;
    fixture->config.dnssec = false;
    assert_int_equal(anchors_select(fixture->anchors, &fixture->config), STATUS_OK);
    anchors_zones(fixture->anchors, &count);
    assert_int_equal(count, 0);
}

static void
test_seeds(void **state)
{
    static const struct {
        const char *text;
        enum status status;
        size_t zones;
    } cases[] = {
        {"; a comment\n\n. IN DS 1 8 2 AB\n", STATUS_OK, 1},
        {". IN DS 1 8 2 AB\nlocal. IN DS 2 8 2 CD\n. IN DS 3 8 2 EF", STATUS_OK, 2},
        {"relative IN DS 1 8 2 AB\n", STATUS_SYNTAX, 0},
        {"A. IN DS 1 8 2 AB\na. IN DS 2 8 2 AB\n", STATUS_OK, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *own;
        size_t count;
        setup(&own);
        assert_int_equal(select_seed(own, cases[i].text), cases[i].status);
        anchors_zones(((struct fixture *)own)->anchors, &count);
        assert_int_equal(count, cases[i].zones);
        assert_int_equal(teardown(&own), 0);
    }
}

static void
test_too_many_zones(void **state)
{
    char text[ANCHOR_ZONES_MAX * 32 + 64] = "";
    for (unsigned i = 0; i <= ANCHOR_ZONES_MAX; i++) {
        snprintf(text + strlen(text), 32, "z%u. IN DS 1 8 2 AB\n", i);
    }
    assert_int_equal(select_seed(*state, text), STATUS_LIMIT);
}

static void
test_a_missing_file(void **state)
{
    struct fixture *fixture = *state;
    size_t count;
    assert_int_equal(select_seed(fixture, ". IN DS 1 8 2 AB\n"), STATUS_OK);
    fixture->names[1] = STR("/nowhere/anchors");
    fixture->config.trust_anchors.count = 2;
    assert_int_equal(anchors_select(fixture->anchors, &fixture->config), STATUS_IO);
    anchors_zones(fixture->anchors, &count); /* what there was stays */
    assert_int_equal(count, 1);
}

/* ---- what becomes of a state */

static void
test_the_state_outlives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    size_t count;
    bool changed = false;
    assert_int_equal(select_seed(fixture, ". IN DNSKEY " KEY_A "\n"), STATUS_OK);
    struct anchor_zone *zone = anchors_zones(fixture->anchors, &count);
    /* the order and the TTL are no change */
    write_text(zone->path, HEAD ". 77 IN DNSKEY " KEY_A " ;;state=2\n");
    assert_int_equal(anchor_zone_load(zone, &changed), STATUS_OK);
    assert_false(changed);
    write_text(zone->path,
               HEAD ". 4 IN DNSKEY " KEY_B " ;;state=2\n. 4 IN DNSKEY " KEY_A " ;;state=4\n");
    assert_int_equal(anchor_zone_load(zone, &changed), STATUS_OK);
    assert_true(changed);
    anchors_destroy(&fixture->anchors);
    fixture->anchors = anchors_create(fixture->directory);
    assert_int_equal(select_seed(fixture, ". IN DNSKEY " KEY_A "\n"), STATUS_OK);
    zone = anchors_zones(fixture->anchors, &count);
    assert_text(&zone->trusted, ". 4 IN DNSKEY " KEY_B "\n"); /* the revoked one is not back */
    anchors_destroy(&fixture->anchors);
    fixture->anchors = anchors_create(fixture->directory);
    assert_int_equal(select_seed(fixture, ". IN DNSKEY " KEY_A "X\n"), STATUS_OK);
    zone = anchors_zones(fixture->anchors, &count);
    assert_text(&zone->trusted, ". IN DNSKEY " KEY_A "X\n"); /* another seed begins anew */
}

static void
test_a_broken_state_begins_anew(void **state)
{
    struct fixture *fixture = *state;
    size_t count;
    bool changed = false;
    assert_int_equal(select_seed(fixture, ". IN DNSKEY " KEY_A "\n"), STATUS_OK);
    struct anchor_zone *zone = anchors_zones(fixture->anchors, &count);
    write_text(zone->path, "torn");
    assert_int_equal(anchor_zone_load(zone, &changed), STATUS_OK);
    assert_false(changed);
    assert_text(&zone->trusted, ". IN DNSKEY " KEY_A "\n");
    struct stat st;
    assert_int_equal(stat(zone->path, &st), 0);
    assert_true(st.st_size > 4);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        TEST(test_both_root_keys_are_there),
        TEST(test_without_dnssec_there_are_none),
        cmocka_unit_test(test_seeds),
        TEST(test_too_many_zones),
        TEST(test_a_missing_file),
        TEST(test_the_state_outlives_a_restart),
        TEST(test_a_broken_state_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
