#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/checks.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "auth/test_zone.h"
#include "check/test_message.h"
#include "mail/author.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct test_record records[] = {
    {"_dmarc.reject.example", "TXT", "v=DMARC1; p=reject; sp=quarantine"},
    {"x.reject.example", "A", "192.0.2.1"},
    {"_dmarc.hold.example", "TXT", "v=DMARC1; p=reject; t=y"},
    {"_dmarc.none.example", "TXT", "v=DMARC1; p=none; adkim=?"},
    {"_dmarc.quiet.example", "TXT", "v=DMARC1; p=none"},
    {"_dmarc.test.example", "TXT", "v=DMARC1; p=quarantine; t=y"},
    {"_dmarc.np.example", "TXT", "v=DMARC1; p=none; np=reject"},
    {"lost.np.example", "TIMEOUT", ""},
    {"_dmarc.news.shop.example", "TXT", "v=DMARC1; p=reject"},
    {"_dmarc.twice.example", "TXT", "v=DMARC1; p=none"},
    {"_dmarc.twice.example", "TXT", "v=DMARC1; p=reject"},
    {"_dmarc.late.example", "TIMEOUT", ""},
};

/* "result:domain" of a check, or NULL: it could not be made. */
struct world {
    struct test_message message;
    struct dns_zone *zone;
    struct dns_source dns;
    struct auth_results auth;
    struct spf_outcome spf;
    struct dkim_outcome signature;
    struct dkim_outcomes dkim;
};

static void
world_open(struct world *world, struct str content)
{
    *world = (struct world){.zone = test_zone_create(records, COUNT_OF(records))};
    test_message_open(&world->message, content);
    world->dns = dns_source_from_zone(world->zone);
    world->message.input.dns = &world->dns;
    world->message.input.auth = &world->auth;
    world->spf.result = SPF_RESULT_NONE;
    world->spf.domain = STR("mail.example");
    world->auth.spf_mailfrom = &world->spf;
    world->dkim.items = &world->signature;
    world->auth.dkim = &world->dkim;
}

static void
world_close(struct world *world)
{
    test_message_close(&world->message);
    dns_zone_destroy(&world->zone);
}

static void
sign(struct world *world, enum dkim_result result, struct str domain)
{
    world->signature = (struct dkim_outcome){.result = result, .signature = {.domain = domain}};
    world->dkim.count = 1;
    world->dkim.total = 1;
}

#define FROM(domain) STR_INIT("From: a@" domain "\r\n\r\n")

struct finding_case {
    struct str content;
    enum spf_result spf;
    struct str spf_domain;
    enum dkim_result dkim;
    struct str dkim_domain; /* empty: not signed */
    const char *want;
};

static const struct finding_case cases[] = {
    {FROM("reject.example"), SPF_RESULT_PASS, STR_INIT("x.reject.example"), DKIM_RESULT_NONE,
     STR_INIT(""), "dmarc_pass(from=reject.example by=spf domain=x.reject.example)"},
    {FROM("reject.example"), SPF_RESULT_PASS, STR_INIT("reject.example"), DKIM_RESULT_PASS,
     STR_INIT("reject.example"),
     "dmarc_pass(from=reject.example by=dkim spf domain=reject.example)"},
    {FROM("reject.example"), SPF_RESULT_SOFTFAIL, STR_INIT("reject.example"), DKIM_RESULT_FAIL,
     STR_INIT("reject.example"),
     "dmarc_fail_reject(from=reject.example policy_domain=reject.example policy=p=reject)"},
    {FROM("x.reject.example"), SPF_RESULT_PASS, STR_INIT("attack.example"), DKIM_RESULT_PASS,
     STR_INIT("attack.example"),
     "dmarc_fail_quarantine(from=x.reject.example policy_domain=reject.example "
     "policy=sp=quarantine)"},
    {FROM("hold.example"), SPF_RESULT_NONE, STR_INIT("hold.example"), DKIM_RESULT_NONE,
     STR_INIT(""),
     "dmarc_fail_quarantine(from=hold.example policy_domain=hold.example policy=p=reject t=y)"},
    {FROM("news.shop.example"), SPF_RESULT_NONE, STR_INIT("x.example"), DKIM_RESULT_PASS,
     STR_INIT("shop.example"),
     "dmarc_fail_reject(from=news.shop.example policy_domain=news.shop.example policy=p=reject "
     "parent=shop.example passed but has no DMARC record, so it is not aligned remedy=publish "
     "\"v=DMARC1; p=none\" at _dmarc.shop.example, or sign as news.shop.example)"},
    {FROM("none.example"), SPF_RESULT_NONE, STR_INIT("x.example"), DKIM_RESULT_NONE, STR_INIT(""),
     "dmarc_fail_none(from=none.example policy_domain=none.example policy=p=none) "
     "dmarc_record_faulty(from=none.example policy_domain=none.example faults=alignment "
     "problem=)"},
    {FROM("other.example"), SPF_RESULT_PASS, STR_INIT("other.example"), DKIM_RESULT_NONE,
     STR_INIT(""), "dmarc_none(from=other.example)"},
    {FROM("twice.example"), SPF_RESULT_PASS, STR_INIT("twice.example"), DKIM_RESULT_NONE,
     STR_INIT(""),
     "dmarc_none(from=twice.example) dmarc_record_faulty(from=twice.example policy_domain= "
     "faults= problem=several DMARC records, so that none of them counts: twice.example)"},
    {FROM("late.example"), SPF_RESULT_PASS, STR_INIT("late.example"), DKIM_RESULT_NONE,
     STR_INIT(""),
     "dmarc_temperror(from=late.example problem=the DNS does not tell the policy: "
     "late.example)"},
    {FROM("reject.example"), SPF_RESULT_NONE, STR_INIT("reject.example"), DKIM_RESULT_TEMPERROR,
     STR_INIT("reject.example"),
     "dmarc_temperror(from=reject.example problem=the DNS did not answer all that SPF, DKIM or "
     "alignment asked for: reject.example)"},
    /* where nothing is asked for, nothing is waited for: unless np= might ask */
    {FROM("quiet.example"), SPF_RESULT_TEMPERROR, STR_INIT("quiet.example"), DKIM_RESULT_NONE,
     STR_INIT(""),
     "dmarc_temperror_none(from=quiet.example problem=the DNS did not answer all that SPF, "
     "DKIM or alignment asked for: quiet.example)"},
    {FROM("test.example"), SPF_RESULT_TEMPERROR, STR_INIT("test.example"), DKIM_RESULT_NONE,
     STR_INIT(""),
     "dmarc_temperror_none(from=test.example problem=the DNS did not answer all that SPF, "
     "DKIM or alignment asked for: test.example)"},
    {FROM("lost.np.example"), SPF_RESULT_TEMPERROR, STR_INIT("lost.np.example"), DKIM_RESULT_NONE,
     STR_INIT(""),
     "dmarc_temperror(from=lost.np.example problem=the DNS did not answer all that SPF, DKIM "
     "or alignment asked for: lost.np.example)"},
    {STR_INIT("To: a@b.example\r\n\r\n"), SPF_RESULT_PASS, STR_INIT("a.example"), DKIM_RESULT_NONE,
     STR_INIT(""), "dmarc_author_unknown(author=none doubt=none)"},
    {STR_INIT("From: a@reject.example, b@other.example\r\n\r\n"), SPF_RESULT_PASS,
     STR_INIT("other.example"), DKIM_RESULT_NONE, STR_INIT(""),
     "dmarc_author_unknown(author=several_domains doubt=none)"},
    {STR_INIT("From: <@reject.example:a@other.example>\r\n\r\n"), SPF_RESULT_PASS,
     STR_INIT("other.example"), DKIM_RESULT_NONE, STR_INIT(""),
     "dmarc_author_unknown(author=ambiguous doubt=route)"},
};

static void
test_findings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world world;
        world_open(&world, cases[i].content);
        world.spf.result = cases[i].spf;
        world.spf.domain = cases[i].spf_domain;
        if (cases[i].dkim_domain.n > 0) {
            sign(&world, cases[i].dkim, cases[i].dkim_domain);
        }
        const char *got = test_message_check(&world.message, check_dmarc);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        assert_non_null(world.auth.author);
        assert_non_null(world.auth.dmarc);
        world_close(&world);
    }
}

/* A signature that leaves out a part of the body authenticates nobody. */
static void
test_body_limit(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, STR("From: a@reject.example\r\n\r\n"));
    sign(&world, DKIM_RESULT_PASS, STR("reject.example"));
    world.signature.body_limited = true;
    world.signature.body_uncovered = 1;
    assert_string_equal(
        test_message_check(&world.message, check_dmarc),
        "dmarc_fail_reject(from=reject.example policy_domain=reject.example policy=p=reject)");
    world_close(&world);
}

/* Not to have looked is not the same as to have found nothing. */
static void
test_missing_results(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, STR("From: a@reject.example\r\n\r\n"));
    world.auth.dkim = NULL;
    (void)test_message_check(&world.message, check_dmarc);
    assert_int_equal(world.auth.dmarc->result, DMARC_RESULT_TEMPERROR);
    world_close(&world);
    world_open(&world, STR("From: a@reject.example\r\n\r\n"));
    world.auth.spf_mailfrom = NULL;
    (void)test_message_check(&world.message, check_dmarc);
    assert_int_equal(world.auth.dmarc->result, DMARC_RESULT_TEMPERROR);
    sign(&world, DKIM_RESULT_PASS, STR("reject.example"));
    (void)test_message_check(&world.message, check_dmarc);
    assert_int_equal(world.auth.dmarc->result, DMARC_RESULT_PASS);
    world.message.input.dns = NULL;
    assert_int_equal(check_dmarc(&world.message.input, &world.message.findings), STATUS_TEMPORARY);
    world.message.input.dns = &world.dns;
    world.message.input.auth = NULL;
    assert_int_equal(check_dmarc(&world.message.input, &world.message.findings), STATUS_TEMPORARY);
    world_close(&world);
}

static void
test_override(void **state)
{
    static const struct dmarc_override override = {DMARC_OVERRIDE_TRUSTED_FORWARDER,
                                                   STR_INIT("arc=pass")};
    struct world world;
    (void)state;
    world_open(&world, STR("From: a@reject.example\r\n\r\n"));
    world.auth.override = &override;
    assert_string_equal(test_message_check(&world.message, check_dmarc),
                        "dmarc_fail_overridden(from=reject.example policy_domain=reject.example "
                        "policy=p=reject reason=trusted_forwarder comment=arc=pass)");
    assert_int_equal(world.auth.dmarc->result, DMARC_RESULT_FAIL);
    world_close(&world);
    world_open(&world, STR("From: a@none.example\r\n\r\n"));
    world.auth.override = &override;
    assert_non_null(strstr(test_message_check(&world.message, check_dmarc), "dmarc_fail_none("));
    world_close(&world);
    world_open(&world, STR("From: a@late.example\r\n\r\n"));
    world.auth.override = &override;
    assert_non_null(strstr(test_message_check(&world.message, check_dmarc), "dmarc_temperror("));
    world_close(&world);
}

static void
test_head_over_limit(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, STR(""));
    world.message.head = (struct mail_head){0};
    world.message.input.head_over_limit = true;
    assert_string_equal(test_message_check(&world.message, check_dmarc),
                        "dmarc_author_unknown(author=header_too_large doubt=none)");
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_missing_results), cmocka_unit_test(test_override),
        cmocka_unit_test(test_head_over_limit),
    };
    return cmocka_run_group_tests_name("auth check_dmarc", tests, NULL, NULL);
}
