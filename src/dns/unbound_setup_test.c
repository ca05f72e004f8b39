#include "dns/unbound_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The answer to "a. IN A" with one record, and without any. */
#define HEADER(answers) "\0\0\x81\x80\0\1\0" answers "\0\0\0\0"
#define QUESTION        "\1a\0\0\1\0\1"
#define WITH_RECORD     HEADER("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
#define WITHOUT_RECORD  HEADER("\0") QUESTION

/* RFC 4035 4.3, 5.5: what is bogus is an answer that failed, whatever its response code. */
static void
test_answers(void **state)
{
    static const struct {
        int rcode;
        enum dns_security security;
        struct str packet;
        enum dns_outcome want;
        size_t records;
    } cases[] = {
        {0, DNS_SECURITY_SECURE, STR_INIT(WITH_RECORD), DNS_OUTCOME_ANSWER, 1},
        {0, DNS_SECURITY_INSECURE, STR_INIT(WITHOUT_RECORD), DNS_OUTCOME_NODATA, 0},
        {0, DNS_SECURITY_BOGUS, STR_INIT(WITH_RECORD), DNS_OUTCOME_SERVFAIL, 0},
        {0, DNS_SECURITY_BOGUS, STR_INIT(WITHOUT_RECORD), DNS_OUTCOME_SERVFAIL, 0},
        {0, DNS_SECURITY_INSECURE, STR_INIT("?"), DNS_OUTCOME_SERVFAIL, 0},
        {3, DNS_SECURITY_SECURE, STR_INIT(""), DNS_OUTCOME_NXDOMAIN, 0},
        {3, DNS_SECURITY_INSECURE, STR_INIT(""), DNS_OUTCOME_NXDOMAIN, 0},
        {3, DNS_SECURITY_INDETERMINATE, STR_INIT(""), DNS_OUTCOME_NXDOMAIN, 0},
        {3, DNS_SECURITY_BOGUS, STR_INIT(""), DNS_OUTCOME_SERVFAIL, 0},
        {2, DNS_SECURITY_INSECURE, STR_INIT(""), DNS_OUTCOME_SERVFAIL, 0},
        {2, DNS_SECURITY_BOGUS, STR_INIT(""), DNS_OUTCOME_SERVFAIL, 0},
        /* what is in the buffer is of another question */
        {2, DNS_SECURITY_SECURE, STR_INIT(WITH_RECORD), DNS_OUTCOME_SERVFAIL, 0},
        {5, DNS_SECURITY_INSECURE, STR_INIT(WITH_RECORD), DNS_OUTCOME_SERVFAIL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct dns_answer answer;
        struct unbound_result result = {.rcode = cases[i].rcode,
                                        .security = cases[i].security,
                                        .packet = cases[i].packet,
                                        .why = "the reason"};
        unbound_read_answer(arena, &result, STR("a"), DNS_TYPE_A, &answer);
        if (answer.outcome != cases[i].want || answer.record_count != cases[i].records ||
            answer.security != cases[i].security) {
            fail_msg("case %zu: %s, %zu records", i, dns_outcome_name(answer.outcome),
                     answer.record_count);
        }
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests_name("dns unbound_setup", tests, NULL, NULL);
}
