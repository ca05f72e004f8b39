#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/arc_verify.h"
#include "auth/checks.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "check/test_message.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define FROM(domain) STR_INIT("From: a@" domain "\r\n\r\n")
#define OWN          "kartapuce.example"
#define AT(place)    "domain=kartapuce.example place=" place " client=192.0.2.9)"

struct own_case {
    struct str content;
    struct str sender;
    enum spf_result spf; /* of the sender's domain */
    enum spf_result helo;
    enum dkim_result dkim;
    struct str signer; /* empty: not signed */
    const char *want;
};

static const struct own_case cases[] = {
    /* neither author nor sender is ours */
    {FROM("mail.example"), STR_INIT("a@mail.example"), SPF_RESULT_FAIL, SPF_RESULT_NONE,
     DKIM_RESULT_NONE, STR_INIT(""), ""},
    {FROM("xkartapuce.example"), STR_INIT("a@example"), SPF_RESULT_FAIL, SPF_RESULT_NONE,
     DKIM_RESULT_NONE, STR_INIT(""), ""},
    {FROM("mail.example"), STR_INIT(""), SPF_RESULT_FAIL, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""), ""},
    /* a mailing list: its own sender and signature, our author */
    {FROM(OWN), STR_INIT("l@list.example"), SPF_RESULT_PASS, SPF_RESULT_PASS, DKIM_RESULT_PASS,
     STR_INIT("list.example"), "own_domain_unproven(" AT("From")},
    /* a service with our signature, or permitted by our record */
    {FROM(OWN), STR_INIT("b@service.example"), SPF_RESULT_PASS, SPF_RESULT_NONE, DKIM_RESULT_PASS,
     STR_INIT(OWN), "own_domain_proven(" AT("From")},
    {FROM(OWN), STR_INIT("a@" OWN), SPF_RESULT_PASS, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""), "own_domain_proven(" AT("sender") " own_domain_proven(" AT("From")},
    {FROM(OWN), STR_INIT("a@" OWN), SPF_RESULT_FAIL, SPF_RESULT_NONE, DKIM_RESULT_PASS,
     STR_INIT("mail." OWN), "own_domain_proven(" AT("sender") " own_domain_proven(" AT("From")},
    /* our record disowns the client, and nothing speaks for the message */
    {FROM(OWN), STR_INIT("a@" OWN), SPF_RESULT_FAIL, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""), "own_domain_forged(" AT("sender") " own_domain_forged(" AT("From")},
    {FROM("mail.example"), STR_INIT("a@" OWN), SPF_RESULT_FAIL, SPF_RESULT_FAIL, DKIM_RESULT_FAIL,
     STR_INIT(OWN), "own_domain_forged(" AT("sender")},
    /* it does not, or something speaks for it or might */
    {FROM(OWN), STR_INIT("a@" OWN), SPF_RESULT_SOFTFAIL, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""), "own_domain_unproven(" AT("sender") " own_domain_unproven(" AT("From")},
    {FROM(OWN), STR_INIT("a@" OWN), SPF_RESULT_NONE, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""), "own_domain_unproven(" AT("sender") " own_domain_unproven(" AT("From")},
    {FROM("mail.example"), STR_INIT("a@" OWN), SPF_RESULT_FAIL, SPF_RESULT_PASS, DKIM_RESULT_NONE,
     STR_INIT(""), "own_domain_unproven(" AT("sender")},
    {FROM("mail.example"), STR_INIT("a@" OWN), SPF_RESULT_FAIL, SPF_RESULT_NONE, DKIM_RESULT_PASS,
     STR_INIT("mail.example"), "own_domain_unproven(" AT("sender")},
    {FROM("mail.example"), STR_INIT("a@" OWN), SPF_RESULT_FAIL, SPF_RESULT_NONE,
     DKIM_RESULT_TEMPERROR, STR_INIT(OWN), "own_domain_unproven(" AT("sender")},
    {FROM(OWN), STR_INIT("a@other.example"), SPF_RESULT_FAIL, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""), "own_domain_unproven(" AT("From")},
    {FROM(OWN), STR_INIT(""), SPF_RESULT_FAIL, SPF_RESULT_FAIL, DKIM_RESULT_NONE, STR_INIT(""),
     "own_domain_unproven(" AT("From")},
    /* below our domain, in any case, and among several authors */
    {FROM("KARTAPUCE.example"), STR_INIT("a@mail.example"), SPF_RESULT_NONE, SPF_RESULT_NONE,
     DKIM_RESULT_NONE, STR_INIT(""),
     "own_domain_unproven(domain=KARTAPUCE.example place=From client=192.0.2.9)"},
    {FROM("pay." OWN), STR_INIT("a@x.pay." OWN), SPF_RESULT_NONE, SPF_RESULT_NONE, DKIM_RESULT_NONE,
     STR_INIT(""),
     "own_domain_unproven(domain=x.pay.kartapuce.example place=sender client=192.0.2.9) "
     "own_domain_unproven(domain=pay.kartapuce.example place=From client=192.0.2.9)"},
    {STR_INIT("From: a@mail.example, b@" OWN "\r\n\r\n"), STR_INIT("a@mail.example"),
     SPF_RESULT_PASS, SPF_RESULT_PASS, DKIM_RESULT_NONE, STR_INIT(""),
     "own_domain_unproven(" AT("From")},
    {STR_INIT("To: a@" OWN "\r\n\r\n"), STR_INIT("a@mail.example"), SPF_RESULT_NONE,
     SPF_RESULT_NONE, DKIM_RESULT_NONE, STR_INIT(""), ""},
};

struct world {
    struct test_message message;
    struct auth_results auth;
    struct spf_outcome mailfrom;
    struct spf_outcome helo;
    struct dkim_outcome signature;
    struct dkim_outcomes dkim;
};

static void
world_open(struct world *world, const struct own_case *c)
{
    *world = (struct world){0};
    test_message_open(&world->message, c->content);
    size_t at = str_rfind_char(c->sender, '@');
    world->mailfrom.result = c->spf;
    world->mailfrom.domain = at != STR_NPOS ? str_skip(c->sender, at + 1) : STR(OWN);
    world->helo.result = c->helo;
    world->helo.domain = STR("mail.example");
    world->signature = (struct dkim_outcome){.result = c->dkim, .signature = {.domain = c->signer}};
    world->dkim.items = &world->signature;
    world->dkim.count = c->signer.n > 0;
    world->auth.spf_mailfrom = &world->mailfrom;
    world->auth.spf_helo = &world->helo;
    world->auth.dkim = &world->dkim;
    world->message.input.sender = c->sender;
    world->message.input.auth = &world->auth;
}

static void
test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world world;
        world_open(&world, &cases[i]);
        const char *got = test_message_check(&world.message, check_own_domain);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&world.message);
    }
}

/* What is not known, and what forwarders say, is no reason to call a message forged. */
static void
test_doubts(void **state)
{
    static const struct own_case forged = {FROM("mail.example"),
                                           STR_INIT("a@" OWN),
                                           SPF_RESULT_FAIL,
                                           SPF_RESULT_NONE,
                                           DKIM_RESULT_NONE,
                                           STR_INIT(""),
                                           ""};
    static const struct dmarc_override override = {DMARC_OVERRIDE_LOCAL_POLICY, STR_INIT("")};
    static const struct arc_verification pass = {.result = ARC_RESULT_PASS};
    static const struct arc_verification late = {.result = ARC_RESULT_FAIL, .temporary = true};
    static const struct arc_verification broken = {.result = ARC_RESULT_FAIL};
    static const struct {
        const struct dmarc_override *override;
        const struct arc_verification *arc;
        bool without_dkim;
        const char *want;
    } doubts[] = {
        {NULL, NULL, false, "own_domain_forged("},
        {NULL, &broken, false, "own_domain_forged("},
        {&override, NULL, false, "own_domain_unproven("},
        {NULL, &pass, false, "own_domain_unproven("},
        {NULL, &late, false, "own_domain_unproven("},
        {NULL, NULL, true, "own_domain_unproven("},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(doubts); i++) {
        struct world world;
        world_open(&world, &forged);
        world.auth.override = doubts[i].override;
        world.auth.arc = doubts[i].arc;
        world.auth.dkim = doubts[i].without_dkim ? NULL : world.auth.dkim;
        assert_ptr_equal(
            strstr(test_message_check(&world.message, check_own_domain), doubts[i].want),
            world.message.text);
        test_message_close(&world.message);
    }
}

/* Without results nothing is known; a header section that was not read has no author. */
static void
test_missing(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, &cases[7]);
    world.message.input.head_over_limit = true;
    assert_string_equal(test_message_check(&world.message, check_own_domain),
                        "own_domain_forged(" AT("sender"));
    world.auth.spf_mailfrom = NULL;
    assert_string_equal(test_message_check(&world.message, check_own_domain),
                        "own_domain_unproven(" AT("sender"));
    world.message.input.auth = NULL;
    assert_int_equal(check_own_domain(&world.message.input, &world.message.findings),
                     STATUS_TEMPORARY);
    test_message_close(&world.message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests_name("auth check_own_domain", tests, NULL, NULL);
}
