#include "policy/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct check *
check_by_name(const char *name)
{
    size_t count;
    const struct check *table = checks_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static void
test_rows_are_complete(void **state)
{
    size_t count;
    const struct check *table = checks_table(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(check_by_name(table[i].name), &table[i]); /* no name twice */
        assert_int_equal(strspn(table[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                         strlen(table[i].name));
        assert_true(strlen(table[i].meaning) > 0);
        assert_non_null(table[i].run);
        assert_true(table[i].directions != 0 &&
                    (table[i].directions & ~(unsigned)(CHECK_INBOUND | CHECK_OUTBOUND)) == 0);
        assert_string_not_equal(check_stage_name(table[i].stage), "unknown");
    }
}

/* Each finding names a check of the table, and each check has a finding. */
static void
test_findings_and_checks_fit(void **state)
{
    size_t finding_count;
    size_t check_count;
    const struct finding_row *findings = finding_rows(&finding_count);
    const struct check *table = checks_table(&check_count);
    (void)state;
    for (size_t i = 0; i < finding_count; i++) {
        if (findings[i].check[0] != '\0' && check_by_name(findings[i].check) == NULL) {
            fail_msg("finding %s: no check %s", findings[i].name, findings[i].check);
        }
    }
    for (size_t i = 0; i < check_count; i++) {
        bool found = false;
        for (size_t k = 0; k < finding_count; k++) {
            found = found || strcmp(findings[k].check, table[i].name) == 0;
        }
        if (!found) {
            fail_msg("check %s has no finding", table[i].name);
        }
    }
}

/* DMARC rests on what others have left, so that they come first. */
static void
test_dmarc_comes_last(void **state)
{
    static const char *const before[] = {"spf", "dkim", "arc"};
    const struct check *dmarc = check_by_name("dmarc");
    (void)state;
    assert_non_null(dmarc);
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        const struct check *check = check_by_name(before[i]);
        assert_true(check == NULL || check->stage < dmarc->stage ||
                    (check->stage == dmarc->stage && check < dmarc));
    }
}

struct fixture {
    struct arena *arena;
    struct config config;
    struct mail_head head;
    struct check_input input;
    struct finding_list findings;
};

static void
fixture_open(struct fixture *f, enum check_direction direction)
{
    static const struct check_recipient recipients[2];
    memset(f, 0, sizeof *f);
    f->arena = arena_create(65536);
    f->config.hostname = STR("mx.kartapuce.example");
    f->config.limits.received_count = 50;
    f->input = (struct check_input){
        .arena = f->arena,
        .config = &f->config,
        .direction = direction,
        .helo = STR("localhost"),
        .recipients = recipients,
        .recipient_count = 2,
        .content = STR("\n"),
        .head = &f->head,
    };
    finding_list_init(&f->findings, f->arena);
}

/* Checks that need the DNS cannot run here, which is a finding too; those that can are counted. */
static void
test_runs_in_the_order_of_stages(void **state)
{
    static const enum finding_id want[] = {
        FINDING_HELO_NOT_QUALIFIED, FINDING_NULL_SENDER_MANY_RECIPIENTS, FINDING_FROM_MISSING,
        FINDING_DATE_MISSING,       FINDING_MESSAGE_ID_MISSING,          FINDING_LINE_BARE_LF,
    };
    struct fixture f;
    (void)state;
    fixture_open(&f, CHECK_INBOUND);
    checks_run(ROLE_FILTER, &f.input, &f.findings);
    size_t made = 0;
    for (size_t i = 0; i < f.findings.count; i++) {
        if (f.findings.items[i].id != FINDING_CHECK_FAILED) {
            assert_true(made < sizeof want / sizeof want[0]);
            assert_int_equal(f.findings.items[i].id, want[made++]);
        }
    }
    assert_int_equal(made, sizeof want / sizeof want[0]);
    arena_destroy(&f.arena);
}

static void
test_direction_and_role_choose(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, CHECK_OUTBOUND);
    checks_run(ROLE_FILTER, &f.input, &f.findings);
    assert_null(finding_list_find(&f.findings, FINDING_HELO_NOT_QUALIFIED));
    assert_non_null(finding_list_find(&f.findings, FINDING_FROM_MISSING));
    finding_list_init(&f.findings, f.arena);
    checks_run(ROLE_RELAY, &f.input, &f.findings);
    assert_int_equal(f.findings.count, 0);
    arena_destroy(&f.arena);
}

static enum status
check_that_cannot(const struct check_input *input, struct finding_list *findings)
{
    (void)input;
    (void)findings;
    return STATUS_TEMPORARY;
}

static void
test_a_check_that_fails_is_told(void **state)
{
    static const struct check broken = {
        .name = "broken", .run = check_that_cannot, .directions = CHECK_INBOUND};
    struct fixture f;
    (void)state;
    fixture_open(&f, CHECK_INBOUND);
    check_run(&broken, &f.input, &f.findings);
    const struct finding *failed = finding_list_find(&f.findings, FINDING_CHECK_FAILED);
    assert_non_null(failed);
    assert_true(str_eq(finding_evidence_get(failed, "check"), STR("broken")));
    assert_true(str_eq(finding_evidence_get(failed, "status"), STR("temporary")));
    arena_destroy(&f.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_findings_and_checks_fit),
        cmocka_unit_test(test_dmarc_comes_last),
        cmocka_unit_test(test_runs_in_the_order_of_stages),
        cmocka_unit_test(test_direction_and_role_choose),
        cmocka_unit_test(test_a_check_that_fails_is_told),
    };
    return cmocka_run_group_tests_name("policy checks", tests, NULL, NULL);
}
