#include "policy/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct arena *arena;
    struct config config;
    struct decision_rules *rules;
    struct finding_list findings;
};

static void
fixture_open(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->arena = arena_create(65536);
    f->rules = decision_rules_create(&f->config, NULL);
    finding_list_init(&f->findings, f->arena);
}

static void
fixture_close(struct fixture *f)
{
    decision_rules_destroy(&f->rules);
    arena_destroy(&f->arena);
}

static void
test_decisions(void **state)
{
    static const struct {
        enum finding_id findings[4]; /* 0 ends */
        enum check_direction direction;
        const char *action;
        enum finding_id cause; /* 0: none */
        unsigned code;
        const char *tags;
    } cases[] = {
        {{0}, CHECK_INBOUND, "accept", 0, 0, ""},
        {{FINDING_DATE_PAST}, CHECK_INBOUND, "accept", 0, 0, ""},
        {{FINDING_DATE_MISSING}, CHECK_INBOUND, "tag", FINDING_DATE_MISSING, 0, "date_missing"},
        {{FINDING_DATE_MISSING}, CHECK_OUTBOUND, "accept", 0, 0, ""},
        {{FINDING_DATE_FUTURE, FINDING_FROM_MALFORMED, FINDING_DATE_FUTURE},
         CHECK_INBOUND,
         "tag",
         FINDING_DATE_FUTURE,
         0,
         "date_future, from_malformed"},
        {{FINDING_FROM_MALFORMED}, CHECK_OUTBOUND, "reject", FINDING_FROM_MALFORMED, 554, ""},
        {{FINDING_DATE_FUTURE, FINDING_FROM_REPEATED, FINDING_LINE_NUL},
         CHECK_INBOUND,
         "reject",
         FINDING_FROM_REPEATED,
         554,
         "date_future"},
        {{FINDING_CHECK_FAILED}, CHECK_INBOUND, "defer", FINDING_CHECK_FAILED, 451, ""},
        {{FINDING_CHECK_FAILED, FINDING_LOOP_RECEIVED},
         CHECK_INBOUND,
         "reject",
         FINDING_LOOP_RECEIVED,
         554,
         ""},
        {{FINDING_HEADER_TOO_LARGE}, CHECK_INBOUND, "reject", FINDING_HEADER_TOO_LARGE, 552, ""},
        {{FINDING_HELO_OWN_NAME}, CHECK_INBOUND, "reject", FINDING_HELO_OWN_NAME, 550, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        fixture_open(&f);
        for (size_t k = 0; k < 4 && cases[i].findings[k] != 0; k++) {
            finding_list_add(&f.findings, cases[i].findings[k],
                             &(const struct finding_evidence){.key = NULL});
        }
        struct decision got = decision_make(f.rules, cases[i].direction, &f.findings, f.arena);
        bool refused = got.action >= CONFIG_ACTION_DEFER;
        bool same = strcmp(config_action_name(got.action), cases[i].action) == 0 &&
                    (got.cause != NULL ? got.cause->id : 0) == cases[i].cause &&
                    (refused ? got.reply.code : 0) == cases[i].code &&
                    str_eq(got.tags, str_from_cstr(cases[i].tags)) &&
                    (!refused || smtp_reply_is_valid(&got.reply));
        if (!same) {
            fail_msg("case %zu: %s code %u tags \"%.*s\"", i, config_action_name(got.action),
                     (unsigned)got.reply.code, STR_ARG(got.tags));
        }
        fixture_close(&f);
    }
}

/* Whatever is found, by whichever rule, the reply can be sent. */
static void
test_every_finding_has_a_reply(void **state)
{
    size_t count;
    const struct finding_row *rows = finding_rows(&count);
    struct fixture f;
    (void)state;
    fixture_open(&f);
    for (size_t i = 0; i < count; i++) {
        for (unsigned direction = CHECK_INBOUND; direction <= CHECK_OUTBOUND; direction++) {
            finding_list_init(&f.findings, f.arena);
            finding_list_add(&f.findings, rows[i].id,
                             &(const struct finding_evidence){.key = NULL});
            struct decision got =
                decision_make(f.rules, (enum check_direction)direction, &f.findings, f.arena);
            if (got.action == CONFIG_ACTION_DEFER || got.action == CONFIG_ACTION_REJECT) {
                assert_true(smtp_reply_is_valid(&got.reply));
                assert_int_equal(smtp_reply_is_temporary(&got.reply),
                                 got.action == CONFIG_ACTION_DEFER);
                assert_true(got.reply.text.n > 0 && got.reply.text.n < 200);
            }
        }
    }
    fixture_close(&f);
}

static void
test_bare_lf_as_configured(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    FINDING_ADD(&f.findings, LINE_BARE_LF);
    struct decision got = decision_make(f.rules, CHECK_INBOUND, &f.findings, f.arena);
    assert_int_equal(got.action, CONFIG_ACTION_REJECT);
    decision_rules_destroy(&f.rules);
    f.config.limits.bare_lf = CONFIG_BARE_LF_DATA;
    f.rules = decision_rules_create(&f.config, NULL);
    got = decision_make(f.rules, CHECK_INBOUND, &f.findings, f.arena);
    assert_int_equal(got.action, CONFIG_ACTION_TAG);
    fixture_close(&f);
}

static void
test_configuration_overrides(void **state)
{
    static const struct {
        struct config_check check;
        enum check_direction direction;
        const char *action;
        unsigned code;
    } cases[] = {
        {{FINDING_DATE_PAST, CONFIG_ACTION_REJECT}, CHECK_INBOUND, "reject", 554},
        {{FINDING_DATE_PAST, CONFIG_ACTION_REJECT}, CHECK_OUTBOUND, "reject", 554},
        {{FINDING_DATE_PAST, CONFIG_ACTION_HOLD}, CHECK_INBOUND, "hold", 0},
        {{FINDING_FROM_MISSING, CONFIG_ACTION_DEFER}, CHECK_INBOUND, "defer", 451},
        {{FINDING_FROM_MISSING, CONFIG_ACTION_ACCEPT}, CHECK_INBOUND, "accept", 0},
        {{FINDING_CHECK_FAILED, CONFIG_ACTION_REJECT}, CHECK_INBOUND, "reject", 554},
        {{FINDING_CHECK_FAILED, CONFIG_ACTION_ACCEPT}, CHECK_INBOUND, "accept", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        fixture_open(&f);
        f.config.checks = (struct config_checks){&cases[i].check, 1};
        decision_rules_destroy(&f.rules);
        f.rules = decision_rules_create(&f.config, NULL);
        finding_list_add(&f.findings, cases[i].check.finding,
                         &(const struct finding_evidence){.key = NULL});
        struct decision got = decision_make(f.rules, cases[i].direction, &f.findings, f.arena);
        bool refused = got.action >= CONFIG_ACTION_DEFER;
        assert_string_equal(config_action_name(got.action), cases[i].action);
        assert_int_equal(refused ? got.reply.code : 0, cases[i].code);
        assert_true(!refused || smtp_reply_is_valid(&got.reply));
        fixture_close(&f);
    }
}

static void
test_what_cannot_be_tagged_is_deferred(void **state)
{
    struct fixture f;
    struct arena *full = arena_create(1);
    (void)state;
    fixture_open(&f);
    FINDING_ADD(&f.findings, DATE_MISSING);
    struct decision got = decision_make(f.rules, CHECK_INBOUND, &f.findings, full);
    assert_int_equal(got.action, CONFIG_ACTION_DEFER);
    assert_int_equal(got.reply.code, 451);
    arena_destroy(&full);
    fixture_close(&f);
}

/* What is refused for the sake of DMARC alone is noted where DMARC is not followed. */
static void
test_dmarc_that_is_not_enforced(void **state)
{
    static const enum finding_id for_dmarc[] = {
        FINDING_DMARC_AUTHOR_UNKNOWN,  FINDING_DMARC_TEMPERROR,      FINDING_DMARC_FAIL_REJECT,
        FINDING_DMARC_FAIL_QUARANTINE, FINDING_FROM_SEVERAL_DOMAINS, FINDING_FROM_AMBIGUOUS,
    };
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof for_dmarc / sizeof for_dmarc[0]); i++) {
        struct fixture f;
        fixture_open(&f);
        decision_rules_destroy(&f.rules);
        f.config.authentication.dmarc.enforce = i % 2 == 0;
        f.rules = decision_rules_create(&f.config, NULL);
        finding_list_add(&f.findings, for_dmarc[i / 2],
                         &(const struct finding_evidence){.key = NULL});
        struct decision got = decision_make(f.rules, CHECK_INBOUND, &f.findings, f.arena);
        assert_int_equal(got.action == CONFIG_ACTION_TAG, i % 2 == 1);
        assert_int_equal(got.action >= CONFIG_ACTION_HOLD, i % 2 == 0);
        fixture_close(&f);
    }
}

/* A zone's actions come after those for everybody. */
static void
test_zones(void **state)
{
    static const struct config_check everybody = {FINDING_DATE_MISSING, CONFIG_ACTION_HOLD};
    static const struct config_check own = {FINDING_DATE_MISSING, CONFIG_ACTION_REJECT};
    struct config_zone zone = {.checks = {&own, 1}, .bare_lf = CONFIG_ZONE_BARE_LF_DATA};
    struct fixture f;
    (void)state;
    fixture_open(&f);
    f.config.checks = (struct config_checks){&everybody, 1};
    decision_rules_destroy(&f.rules);
    f.rules = decision_rules_create(&f.config, &zone);
    FINDING_ADD(&f.findings, DATE_MISSING);
    assert_int_equal(decision_make(f.rules, CHECK_INBOUND, &f.findings, f.arena).action,
                     CONFIG_ACTION_REJECT);
    f.findings.count = 0;
    FINDING_ADD(&f.findings, LINE_BARE_LF);
    assert_int_equal(decision_make(f.rules, CHECK_INBOUND, &f.findings, f.arena).action,
                     CONFIG_ACTION_TAG);
    decision_rules_destroy(&f.rules);
    zone.bare_lf = CONFIG_ZONE_BARE_LF_REFUSE;
    f.config.limits.bare_lf = CONFIG_BARE_LF_DATA;
    f.rules = decision_rules_create(&f.config, &zone);
    assert_int_equal(decision_make(f.rules, CHECK_INBOUND, &f.findings, f.arena).action,
                     CONFIG_ACTION_REJECT);
    fixture_close(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_every_finding_has_a_reply),
        cmocka_unit_test(test_bare_lf_as_configured),
        cmocka_unit_test(test_configuration_overrides),
        cmocka_unit_test(test_dmarc_that_is_not_enforced),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_what_cannot_be_tagged_is_deferred),
    };
    return cmocka_run_group_tests_name("policy decision", tests, NULL, NULL);
}
