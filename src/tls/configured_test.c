#include "tls/configured.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *ciphers;
    const char *ciphersuites;
    const char *groups;
    const char *key;  /* at fault; NULL: all is well */
    const char *word; /* that the error names */
} rows[] = {
    {"", "", "", NULL, NULL},
    {"ECDHE+AESGCM:ECDHE+CHACHA20", "TLS_AES_256_GCM_SHA384", "X25519:P-256", NULL, NULL},
    {TLS_SERVER_CIPHERS, "", "", NULL, NULL},
    {TLS_CLIENT_CIPHERS, "", "", NULL, NULL},
    {"HIGH:!aNULL:!RC4:!NOT_IN_THIS_LIBRARY:@STRENGTH", "", "", NULL, NULL},
    {"ECDHE-RSA-AES128-GCM-SHA256, AES256-SHA +SHA1", "", "", NULL, NULL},
    {"ECDHE+AESGMC", "", "", "tls.ciphers", "\"ECDHE+AESGMC\""},
    /* OpenSSL alone takes these two, and leaves the misspelt word out. */
    {"ECDHE+AESGCM:ECDHE+CHACHA2O", "", "", "tls.ciphers", "\"ECDHE+CHACHA2O\""},
    {"", "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA265", "", "tls.ciphersuites",
     "\"TLS_AES_128_GCM_SHA265\""},
    {"", "TLS_AES", "", "tls.ciphersuites", "\"TLS_AES\""},
    {"", "", "X2551", "tls.groups", "\"X2551\""},
    {"", "", "X25519:P-257", "tls.groups", "\"P-257\""},
    {"", "", "?X25519MLKEM768:X25519", NULL, NULL},
    {"", "", "?no-such-group:X25519:?nor-this:?P-256", NULL, NULL},
    {"", "", "?X25519", NULL, NULL},
    {"", "", "X25519:no-such-group", "tls.groups", "\"no-such-group\""},
    {"", "", "?no-such-group:?nor-this", "tls.groups", "nothing is left"},
    {"", "", "X25519:?", "tls.groups", "\"?\""},
    {"", "", "X25519:??P-256", "tls.groups", "\"??P-256\""},
    {"ECDHE+AESGCM:!ALL", "", "", "tls.ciphers", "nothing is left"},
    {"AES128-SHA:AES256-GCM-SHA384", "", "", "tls.ciphers", "RSA key exchange"},
};

static void
each_word_has_to_mean_something(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_tls tls = {.ciphers = str_from_cstr(rows[i].ciphers),
                                 .ciphersuites = str_from_cstr(rows[i].ciphersuites),
                                 .groups = str_from_cstr(rows[i].groups)};
        const char *key = NULL;
        char error[TLS_ERROR_MAX] = "";
        enum status status = tls_configured_check(&tls, &key, error);
        if (rows[i].key == NULL) {
            assert_string_equal(error, "");
            assert_int_equal(status, STATUS_OK);
            continue;
        }
        assert_int_equal(status, STATUS_SYNTAX);
        assert_string_equal(key, rows[i].key);
        assert_non_null(strstr(error, rows[i].word));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_has_to_mean_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
