#include "transport/tls_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void
test_names(void **state)
{
    (void)state;
    /* RFC 8460 4.3, in its order. */
    static const char *const words[] = {"starttls-not-supported", "certificate-host-mismatch",
                                        "certificate-expired",    "certificate-not-trusted",
                                        "validation-failure",     "tlsa-invalid",
                                        "dnssec-invalid",         "dane-required",
                                        "sts-policy-fetch-error", "sts-policy-invalid",
                                        "sts-webpki-invalid"};
    assert_int_equal(TLS_RESULT_COUNT_, 1 + sizeof words / sizeof words[0]);
    for (unsigned i = 1; i < TLS_RESULT_COUNT_; i++) {
        assert_string_equal(tls_result_name((enum tls_result)i), words[i - 1]);
        assert_int_equal(tls_result_find(str_from_cstr(words[i - 1])), i);
        assert_true(tls_result_text((enum tls_result)i)[0] != '\0');
    }
    assert_string_equal(tls_result_name(TLS_RESULT_SUCCESS), "success");
    assert_int_equal(tls_result_find(STR("TLSA-Invalid")), TLS_RESULT_TLSA_INVALID);
    assert_int_equal(tls_result_find(STR("success")), TLS_RESULT_SUCCESS);
    assert_int_equal(tls_result_find(STR("")), TLS_RESULT_SUCCESS);
}

static void
test_policy_types(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TLS_POLICY_COUNT_; i++) {
        const char *name = tls_policy_type_name((enum tls_policy_type)i);
        assert_int_equal(tls_policy_type_find(str_from_cstr(name)), i);
    }
    assert_int_equal(tls_policy_type_find(STR("STS")), TLS_POLICY_STS);
    assert_int_equal(tls_policy_type_find(STR("dane")), TLS_POLICY_COUNT_);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_policy_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
