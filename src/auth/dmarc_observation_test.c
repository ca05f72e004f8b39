#include "auth/dmarc_observation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/dkim_verify.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "check/test_message.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* A message that failed under p=reject, with three signatures. */
struct world {
    struct test_message message;
    struct auth_results auth;
    struct spf_outcome spf;
    struct dkim_outcome signatures[4];
    struct dkim_outcomes dkim;
    struct dmarc_uri rua;
    struct dmarc_record record;
    struct dmarc_outcome dmarc;
};

static void
world_open(struct world *world)
{
    *world = (struct world){
        .spf = {.result = SPF_RESULT_SOFTFAIL, .domain = STR_INIT("bounce.example")},
        .signatures =
            {
                {.result = DKIM_RESULT_FAIL,
                 .signature = {.domain = STR_INIT("a.example"), .selector = STR_INIT("s1")}},
                {.result = DKIM_RESULT_PASS,
                 .signature = {.domain = STR_INIT("b.example"), .selector = STR_INIT("s2")}},
                {.result = DKIM_RESULT_PERMERROR},
                {.result = DKIM_RESULT_PASS,
                 .signature = {.domain = STR_INIT("a.example"), .selector = STR_INIT("s3")}},
            },
        .record = {.text = STR_INIT("v=DMARC1; p=reject; rua=mailto:d@a.example"),
                   .is_usable = true,
                   .p = DMARC_POLICY_REJECT,
                   .rua_count = 1},
        .dmarc = {.result = DMARC_RESULT_FAIL,
                  .author_domain = STR_INIT("a.example"),
                  .record_domain = STR_INIT("a.example"),
                  .policy = DMARC_POLICY_REJECT,
                  .effective = DMARC_POLICY_REJECT},
    };
    test_message_open(&world->message, STR("\r\n"));
    world->message.input.sender = STR("x@bounce.example");
    world->message.input.auth = &world->auth;
    world->dkim = (struct dkim_outcomes){world->signatures, COUNT_OF(world->signatures),
                                         COUNT_OF(world->signatures)};
    world->record.rua = &world->rua;
    world->dmarc.record = &world->record;
    world->auth.spf_mailfrom = &world->spf;
    world->auth.dkim = &world->dkim;
    world->auth.dmarc = &world->dmarc;
}

static const char *
line_of(struct world *world, enum dmarc_disposition disposition)
{
    struct dmarc_observation observation;
    dmarc_observation_gather(&world->message.input, disposition, STR("kartapuce.example"),
                             &observation);
    struct str line = dmarc_observation_encode(world->message.arena, &observation);
    assert_non_null(line.p);
    return line.p;
}

static void
test_line(void **state)
{
    struct world world;
    (void)state;
    world_open(&world);
    assert_string_equal(
        line_of(&world, DMARC_DISPOSITION_REJECT),
        "{\"at\":\"a.example\",\"comment\":\"\",\"disposition\":3,\"dkim\":false,"
        "\"from\":\"a.example\",\"ip\":\"192.0.2.9\",\"mail_from\":\"bounce.example\","
        "\"rcpt_to\":\"kartapuce.example\",\"reason\":0,"
        "\"record\":\"v=DMARC1; p=reject; rua=mailto:d@a.example\","
        "\"signatures\":[[\"a.example\",\"s3\",\"pass\"],[\"b.example\",\"s2\",\"pass\"],"
        "[\"a.example\",\"s1\",\"fail\"]],"
        "\"spf\":false,\"spf_domain\":\"bounce.example\",\"spf_result\":\"softfail\",\"v\":1}");
    test_message_close(&world.message);
}

/* RFC 9990 3.1.1.7 */
static void
test_reasons(void **state)
{
    static const struct dmarc_override override = {DMARC_OVERRIDE_TRUSTED_FORWARDER,
                                                   STR_INIT("arc=pass")};
    static const struct {
        enum dmarc_result result;
        enum dmarc_policy effective;
        const struct dmarc_override *override;
        enum dmarc_disposition disposition;
        enum dmarc_disposition want;
        enum dmarc_override_reason reason;
    } rows[] = {
        {DMARC_RESULT_FAIL, DMARC_POLICY_REJECT, NULL, DMARC_DISPOSITION_REJECT,
         DMARC_DISPOSITION_REJECT, DMARC_OVERRIDE_NONE},
        {DMARC_RESULT_FAIL, DMARC_POLICY_REJECT, NULL, DMARC_DISPOSITION_NONE,
         DMARC_DISPOSITION_NONE, DMARC_OVERRIDE_LOCAL_POLICY},
        {DMARC_RESULT_FAIL, DMARC_POLICY_QUARANTINE, NULL, DMARC_DISPOSITION_QUARANTINE,
         DMARC_DISPOSITION_QUARANTINE, DMARC_OVERRIDE_POLICY_TEST_MODE},
        {DMARC_RESULT_FAIL, DMARC_POLICY_REJECT, &override, DMARC_DISPOSITION_NONE,
         DMARC_DISPOSITION_NONE, DMARC_OVERRIDE_TRUSTED_FORWARDER},
        {DMARC_RESULT_PASS, DMARC_POLICY_REJECT, &override, DMARC_DISPOSITION_NONE,
         DMARC_DISPOSITION_PASS, DMARC_OVERRIDE_NONE},
        {DMARC_RESULT_PASS, DMARC_POLICY_REJECT, NULL, DMARC_DISPOSITION_REJECT,
         DMARC_DISPOSITION_REJECT, DMARC_OVERRIDE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dmarc_observation got;
        struct world world;
        world_open(&world);
        world.dmarc.result = rows[i].result;
        world.dmarc.effective = rows[i].effective;
        world.auth.override = rows[i].override;
        dmarc_observation_gather(&world.message.input, rows[i].disposition, STR(""), &got);
        if (got.disposition != rows[i].want || got.reason != rows[i].reason) {
            fail_msg("case %zu: %s, %s", i, dmarc_disposition_name(got.disposition),
                     dmarc_override_name(got.reason));
        }
        test_message_close(&world.message);
    }
}

static void
test_there_and_back(void **state)
{
    struct world world;
    struct dmarc_observation back;
    (void)state;
    world_open(&world);
    world.message.input.sender = STR("");
    world.dmarc.dkim_aligned = STR("a.example");
    struct str line = str_from_cstr(line_of(&world, DMARC_DISPOSITION_QUARANTINE));
    assert_int_equal(dmarc_observation_decode(world.message.arena, line, &back), STATUS_OK);
    assert_true(ip_eq(&back.source, &world.message.input.client));
    assert_int_equal(back.envelope_from.n, 0);
    assert_true(back.dkim_aligned && !back.spf_aligned);
    assert_int_equal(back.dkim_count, 3);
    assert_true(str_eq(dmarc_observation_encode(world.message.arena, &back), line));
    /* cut anywhere, it is none of ours */
    for (size_t n = 0; n < line.n; n++) {
        back.dkim_count = 4711;
        assert_int_equal(dmarc_observation_decode(world.message.arena, str_head(line, n), &back),
                         STATUS_SYNTAX);
        assert_int_equal(back.dkim_count, 4711);
    }
    test_message_close(&world.message);
}

static void
test_lines_that_are_none(void **state)
{
    static const char *const changes[][2] = {
        {"\"v\":1", "\"v\":0"},
        {"\"v\":1", "\"v\":2"},
        {"\"ip\":\"192.0.2.9\"", "\"ip\":\"192.0.2\""},
        {"\"disposition\":3", "\"disposition\":4"},
        {"\"disposition\":3", "\"disposition\":-1"},
        {"\"reason\":0", "\"reason\":6"},
        {"\"reason\":0", "\"reason\":\"none\""},
        {"\"dkim\":false", "\"dkim\":0"},
        {"\"at\":", "\"to\":"},
        {"\"s3\"", "3"},
        {"\"s3\",", ""},
    };
    struct world world;
    (void)state;
    world_open(&world);
    const char *line = line_of(&world, DMARC_DISPOSITION_REJECT);
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        struct dmarc_observation got;
        const char *at = strstr(line, changes[i][0]);
        assert_non_null(at);
        struct str changed = arena_printf(world.message.arena, "%.*s%s%s", (int)(at - line), line,
                                          changes[i][1], at + strlen(changes[i][0]));
        assert_int_equal(dmarc_observation_decode(world.message.arena, changed, &got),
                         STATUS_SYNTAX);
    }
    test_message_close(&world.message);
}

static void
test_which_are_wanted(void **state)
{
    struct world world;
    (void)state;
    world_open(&world);
    assert_true(dmarc_observation_is_wanted(&world.dmarc));
    world.dmarc.result = DMARC_RESULT_TEMPERROR;
    assert_false(dmarc_observation_is_wanted(&world.dmarc));
    world.dmarc.result = DMARC_RESULT_PASS;
    assert_true(dmarc_observation_is_wanted(&world.dmarc));
    world.record.rua_count = 0;
    assert_false(dmarc_observation_is_wanted(&world.dmarc));
    world.dmarc.record = NULL;
    assert_false(dmarc_observation_is_wanted(&world.dmarc));
    test_message_close(&world.message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_which_are_wanted),
    };
    return cmocka_run_group_tests_name("auth dmarc_observation", tests, NULL, NULL);
}
