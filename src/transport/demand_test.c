#include "transport/demand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "transport/verdict.h"

#define LEAST_NO TRANSPORT_WISH_NO_TLS
#define LEAST_IF TRANSPORT_WISH_OPPORTUNISTIC
#define LEAST_E  TRANSPORT_WISH_ENCRYPTION
#define LEAST_A  TRANSPORT_WISH_AUTHENTICATION

enum sts { STS_NO, STS_OFF, STS_TEST, STS_TEST_OTHER, STS_ENFORCE, STS_OTHER };
enum message { PLAIN, REQUIRE, NO_DEMANDS, BOTH };
enum way { MX_SECURE, MX_UNSIGNED, BY_NAME };

/*
 * The table: configuration of the hop, floor of the zone, DANE, MTA-STS, the message, how the host
 * was found; and the demand: level, by what, why, "clear" where the clear will do, "skip" and the
 * result where the host must not be used.
 */
static const struct {
    enum transport_wish configured, floor;
    enum dane_state dane;
    enum sts sts;
    enum message message;
    enum way way;
    const char *want;
} cases[] = {
    /* Nothing demands more than TLS where it can be had. */
    {LEAST_IF, LEAST_NO, DANE_NOT_ASKED, STS_NO, PLAIN, MX_SECURE,
     "nothing opportunistic clear no-policy-found"},
    {LEAST_IF, LEAST_IF, DANE_NONE, STS_NO, PLAIN, MX_SECURE,
     "nothing opportunistic clear no-policy-found"},
    {LEAST_IF, LEAST_NO, DANE_INSECURE, STS_OFF, PLAIN, MX_SECURE,
     "nothing opportunistic clear no-policy-found"},
    /* The configuration. */
    {LEAST_NO, LEAST_NO, DANE_NOT_ASKED, STS_NO, PLAIN, BY_NAME,
     "nothing no-tls clear no-policy-found"},
    {LEAST_NO, LEAST_NO, DANE_USABLE, STS_ENFORCE, PLAIN, BY_NAME,
     "nothing no-tls clear no-policy-found"},
    {LEAST_NO, LEAST_E, DANE_NONE, STS_NO, PLAIN, BY_NAME, "encryption zone no-policy-found"},
    {LEAST_E, LEAST_NO, DANE_NONE, STS_NO, PLAIN, BY_NAME, "encryption configured no-policy-found"},
    {LEAST_E, LEAST_A, DANE_NONE, STS_NO, PLAIN, BY_NAME,
     "authentication webpki zone no-policy-found"},
    {LEAST_A, LEAST_NO, DANE_NONE, STS_NO, PLAIN, BY_NAME,
     "authentication webpki configured no-policy-found"},
    {LEAST_A, LEAST_NO, DANE_USABLE, STS_NO, PLAIN, BY_NAME, "authentication tlsa dane tlsa"},
    /* DANE, and before MTA-STS (transport.md 2, 12, 46). */
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_NO, PLAIN, MX_SECURE, "authentication tlsa dane tlsa"},
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_ENFORCE, PLAIN, MX_SECURE,
     "authentication tlsa dane tlsa"},
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_OTHER, PLAIN, MX_SECURE, "authentication tlsa dane tlsa"},
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_TEST, PLAIN, MX_SECURE, "authentication tlsa dane tlsa"},
    {LEAST_IF, LEAST_NO, DANE_FAILED, STS_NO, PLAIN, MX_SECURE,
     "nothing dane-failed skip:dnssec-invalid tlsa"},
    {LEAST_IF, LEAST_NO, DANE_FAILED, STS_ENFORCE, PLAIN, MX_SECURE,
     "nothing dane-failed skip:dnssec-invalid tlsa"},
    {LEAST_IF, LEAST_NO, DANE_UNUSABLE, STS_NO, PLAIN, MX_SECURE, "encryption dane-unusable tlsa"},
    {LEAST_IF, LEAST_NO, DANE_UNUSABLE, STS_TEST, PLAIN, MX_SECURE,
     "encryption dane-unusable sts testing"},
    {LEAST_IF, LEAST_NO, DANE_UNUSABLE, STS_ENFORCE, PLAIN, MX_SECURE,
     "authentication webpki sts sts"},
    /* MTA-STS (transport.md 29, 40, 45). */
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_ENFORCE, PLAIN, MX_SECURE, "authentication webpki sts sts"},
    {LEAST_IF, LEAST_NO, DANE_INSECURE, STS_ENFORCE, PLAIN, MX_UNSIGNED,
     "authentication webpki sts sts"},
    {LEAST_E, LEAST_NO, DANE_NOT_ASKED, STS_ENFORCE, PLAIN, MX_UNSIGNED,
     "authentication webpki sts sts"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_OTHER, PLAIN, MX_SECURE,
     "nothing sts-mx skip:validation-failure sts"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_TEST, PLAIN, MX_SECURE,
     "nothing sts-testing clear sts testing"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_TEST_OTHER, PLAIN, MX_SECURE,
     "nothing sts-testing clear sts testing"},
    {LEAST_E, LEAST_NO, DANE_NONE, STS_TEST, PLAIN, MX_SECURE, "encryption configured sts testing"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_OFF, PLAIN, MX_SECURE,
     "nothing opportunistic clear no-policy-found"},
    /* REQUIRETLS (RFC 8689 4.2.1). */
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_NO, REQUIRE, MX_SECURE, "authentication tlsa dane tlsa"},
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_NO, REQUIRE, MX_UNSIGNED,
     "authentication requiretls-mx skip:validation-failure tlsa"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_NO, REQUIRE, MX_SECURE,
     "authentication webpki requiretls no-policy-found"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_NO, REQUIRE, MX_UNSIGNED,
     "nothing requiretls-mx skip:validation-failure no-policy-found"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_ENFORCE, REQUIRE, MX_UNSIGNED,
     "authentication webpki sts sts"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_TEST, REQUIRE, MX_UNSIGNED,
     "authentication webpki requiretls sts testing"},
    {LEAST_IF, LEAST_NO, DANE_UNUSABLE, STS_NO, REQUIRE, MX_SECURE,
     "authentication webpki requiretls tlsa"},
    {LEAST_E, LEAST_NO, DANE_NOT_ASKED, STS_NO, REQUIRE, BY_NAME,
     "authentication webpki requiretls no-policy-found"},
    {LEAST_NO, LEAST_NO, DANE_NOT_ASKED, STS_NO, REQUIRE, BY_NAME,
     "nothing requiretls-no-tls skip:validation-failure no-policy-found"},
    {LEAST_IF, LEAST_NO, DANE_FAILED, STS_NO, REQUIRE, MX_SECURE,
     "authentication dane-failed skip:dnssec-invalid tlsa"},
    /* TLS-Required: No (transport.md 50): the floor stays; nothing beside REQUIRETLS. */
    {LEAST_IF, LEAST_NO, DANE_NOT_ASKED, STS_ENFORCE, NO_DEMANDS, MX_SECURE,
     "nothing tls-required-no clear no-policy-found"},
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_OTHER, NO_DEMANDS, MX_SECURE,
     "nothing tls-required-no clear no-policy-found"},
    {LEAST_IF, LEAST_E, DANE_NOT_ASKED, STS_ENFORCE, NO_DEMANDS, MX_SECURE,
     "encryption zone no-policy-found"},
    {LEAST_IF, LEAST_A, DANE_NOT_ASKED, STS_NO, NO_DEMANDS, MX_SECURE,
     "authentication webpki zone no-policy-found"},
    {LEAST_IF, LEAST_NO, DANE_USABLE, STS_NO, BOTH, MX_SECURE, "authentication tlsa dane tlsa"},
    {LEAST_IF, LEAST_NO, DANE_NONE, STS_ENFORCE, BOTH, MX_SECURE, "authentication webpki sts sts"},
};

static const struct dns_tlsa record = {3, 1, 1, STR_INIT("x")};

static struct dane
dane_of(enum dane_state state)
{
    struct dane dane = {.state = state};
    if (state == DANE_USABLE || state == DANE_UNUSABLE) {
        dane.base = STR("base.example");
        dane.set = (struct tlsa_set){.items = &record, .count = state == DANE_USABLE};
    } else if (state == DANE_FAILED) {
        dane.result = TLS_RESULT_DNSSEC_INVALID;
    }
    return dane;
}

static struct transport_sts
sts_of(enum sts sts)
{
    static const enum sts_mode modes[] = {STS_MODE_NONE,    STS_MODE_NONE,    STS_MODE_TESTING,
                                          STS_MODE_TESTING, STS_MODE_ENFORCE, STS_MODE_ENFORCE};
    return (struct transport_sts){.known = sts != STS_NO,
                                  .mode = modes[sts],
                                  .matches = sts == STS_TEST || sts == STS_ENFORCE,
                                  .id = STR("id1")};
}

static struct transport_origin
origin_of(enum way way)
{
    static const enum transport_way ways[] = {TRANSPORT_WAY_MX, TRANSPORT_WAY_MX,
                                              TRANSPORT_WAY_CONFIGURED};
    return (struct transport_origin){.way = ways[way],
                                     .domain = STR("example"),
                                     .security = way == MX_SECURE ? DNS_SECURITY_SECURE
                                                                  : DNS_SECURITY_INSECURE};
}

static const char *
describe(struct arena *arena, const struct transport_demand *d)
{
    return arena_printf(arena, "%s%s%s %s%s%s%s %s%s", transport_level_name(d->level),
                        !d->skip && d->by != TRANSPORT_BY_NOBODY ? " " : "",
                        d->skip ? "" : transport_by_name(d->by), transport_reason_name(d->reason),
                        d->may_clear ? " clear" : "", d->skip ? " skip:" : "",
                        d->skip ? tls_result_name(d->result) : "", tls_policy_type_name(d->policy),
                        d->testing ? " testing" : "")
        .p;
}

static void
test_demands(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dane dane = dane_of(cases[i].dane);
        const struct transport_facts facts = {
            .host = STR("mx.example"),
            .origin = origin_of(cases[i].way),
            .configured = cases[i].configured,
            .floor = cases[i].floor,
            .dane = &dane,
            .sts = sts_of(cases[i].sts),
            .requiretls = cases[i].message == REQUIRE || cases[i].message == BOTH,
            .tls_required_no = cases[i].message == NO_DEMANDS || cases[i].message == BOTH,
        };
        struct transport_demand demand = transport_decide(&facts);
        const char *got = describe(arena, &demand);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("row %zu: got \"%s\", want \"%s\"", i, got, cases[i].want);
        }
        bool tlsa = demand.by == TRANSPORT_BY_TLSA && !demand.skip;
        assert_true(!tlsa || str_eq(demand.server_name, STR("base.example")));
        assert_true(tlsa || demand.skip || str_eq(demand.server_name, STR("mx.example")));
    }
    arena_destroy(&arena);
}

static void
test_a_local_socket_has_no_tls(void **state)
{
    const struct transport_facts facts = {
        .is_local = true, .configured = LEAST_E, .floor = LEAST_A, .requiretls = true};
    struct transport_demand demand = transport_decide(&facts);
    const struct transport_shown shown = {.offered = false};
    (void)state;
    assert_true(demand.no_tls && demand.may_clear && !demand.skip);
    assert_true(transport_judge(&demand, &shown).pass);
}

/* ---- verdicts */

#define BY_TLSA                                                                                    \
    {                                                                                              \
        .level = TRANSPORT_AUTHENTICATION, .by = TRANSPORT_BY_TLSA                                 \
    }
#define BY_ROOTS                                                                                   \
    {                                                                                              \
        .level = TRANSPORT_AUTHENTICATION, .by = TRANSPORT_BY_WEBPKI                               \
    }
#define ENCRYPTED                                                                                  \
    {                                                                                              \
        .level = TRANSPORT_ENCRYPTION                                                              \
    }
#define ANYTHING                                                                                   \
    {                                                                                              \
        .may_clear = true                                                                          \
    }

static const struct tls_facts tls_good = {
    .trusted = true, .name_matches = true, .alternative_name_matches = true, .dane_matched = true};
static const struct tls_facts tls_no_tlsa = {.trusted = true,
                                             .name_matches = true,
                                             .alternative_name_matches = true,
                                             .problem = TLS_PROBLEM_NO_MATCH};
static const struct tls_facts tls_only_tlsa = {.dane_matched = true,
                                               .problem = TLS_PROBLEM_UNTRUSTED};
static const struct tls_facts tls_expired = {
    .name_matches = true, .alternative_name_matches = true, .problem = TLS_PROBLEM_EXPIRED};
static const struct tls_facts tls_other_name = {.trusted = true, .problem = TLS_PROBLEM_NAME};
static const struct tls_facts tls_only_cn = {.trusted = true, .name_matches = true};
static const struct tls_facts tls_self_signed = {
    .name_matches = true, .alternative_name_matches = true, .problem = TLS_PROBLEM_UNTRUSTED};

static const struct {
    struct transport_demand demand;
    const struct tls_facts *tls; /* NULL: there is no TLS */
    bool offered;
    bool pass;
    enum tls_result result;
} verdicts[] = {
    {BY_TLSA, &tls_good, true, true, TLS_RESULT_SUCCESS},
    {BY_TLSA, &tls_only_tlsa, true, true, TLS_RESULT_SUCCESS},     /* transport.md 20, 23 */
    {BY_TLSA, &tls_no_tlsa, true, false, TLS_RESULT_TLSA_INVALID}, /* 22, 46 */
    {BY_TLSA, &tls_expired, true, false, TLS_RESULT_CERTIFICATE_EXPIRED},
    {BY_TLSA, &tls_other_name, true, false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {BY_TLSA, NULL, false, false, TLS_RESULT_STARTTLS_NOT_SUPPORTED},
    {BY_TLSA, NULL, true, false, TLS_RESULT_VALIDATION_FAILURE},
    {BY_ROOTS, &tls_good, true, true, TLS_RESULT_SUCCESS},
    {BY_ROOTS, &tls_only_tlsa, true, false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {BY_ROOTS, &tls_expired, true, false, TLS_RESULT_CERTIFICATE_EXPIRED},
    {BY_ROOTS, &tls_self_signed, true, false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {BY_ROOTS, &tls_other_name, true, false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH}, /* 42 */
    {BY_ROOTS, &tls_only_cn, true, false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},    /* 43 */
    {BY_ROOTS, NULL, false, false, TLS_RESULT_STARTTLS_NOT_SUPPORTED},
    {ENCRYPTED, &tls_self_signed, true, true, TLS_RESULT_SUCCESS}, /* 12 */
    {ENCRYPTED, NULL, true, false, TLS_RESULT_VALIDATION_FAILURE},
    {ENCRYPTED, NULL, false, false, TLS_RESULT_STARTTLS_NOT_SUPPORTED},
    {ANYTHING, &tls_expired, true, true, TLS_RESULT_SUCCESS},
    {ANYTHING, NULL, false, true, TLS_RESULT_STARTTLS_NOT_SUPPORTED},
    {ANYTHING, NULL, true, true, TLS_RESULT_VALIDATION_FAILURE},
    /* 40: tested, not enforced */
    {{.testing = true, .may_clear = true},
     &tls_self_signed,
     true,
     true,
     TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {{.testing = true, .may_clear = true}, &tls_good, true, true, TLS_RESULT_SUCCESS},
    {{.testing = true, .may_clear = true}, NULL, false, true, TLS_RESULT_STARTTLS_NOT_SUPPORTED},
    {{.skip = true, .result = TLS_RESULT_DNSSEC_INVALID},
     &tls_good,
     true,
     false,
     TLS_RESULT_DNSSEC_INVALID},
    {{.no_tls = true, .may_clear = true}, NULL, true, true, TLS_RESULT_SUCCESS},
};

static void
test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        const struct transport_shown shown = {verdicts[i].offered, verdicts[i].tls};
        struct transport_verdict got = transport_judge(&verdicts[i].demand, &shown);
        if (got.pass != verdicts[i].pass || got.result != verdicts[i].result) {
            fail_msg("row %zu: got %d %s, want %d %s", i, got.pass, tls_result_name(got.result),
                     verdicts[i].pass, tls_result_name(verdicts[i].result));
        }
    }
}

static void
test_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TRANSPORT_REASON_COUNT_; i++) {
        enum transport_reason reason = (enum transport_reason)i;
        assert_true(transport_reason_name(reason)[0] != '\0');
        assert_true(transport_reason_text(reason)[0] != '\0');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demands),
        cmocka_unit_test(test_a_local_socket_has_no_tls),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
