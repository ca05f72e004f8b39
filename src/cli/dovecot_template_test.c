#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/dovecot_template.h"

static const struct config_delivery TCP = {
    .kind = CONFIG_DELIVERY_LMTP_TCP,
    .text = STR_INIT("lmtp://127.0.10.2:24"),
    .host = STR_INIT("127.0.10.2"),
    .port = 24,
};
static const struct config_delivery UNIX = {
    .kind = CONFIG_DELIVERY_LMTP_UNIX,
    .text = STR_INIT("lmtp:/run/dovecot/lmtp"),
    .path = STR_INIT("/run/dovecot/lmtp"),
};

static struct dovecot_settings
as_root(void)
{
    return (struct dovecot_settings){
        .base_directory = STR("/run/dovecot"),
        .mail_directory = STR("/var/vmail"),
        .mail_user = STR("vmail"),
        .mail_group = STR("mail"),
        .mail_uid_first = 120,
        .users_file = STR("/var/lib/postern/ledger/dovecot-users"),
        .started_as_root = true,
        .users_group = STR("postern-ledger"),
        .lmtp_group = STR("postern-relay"),
        .certificate = STR("/etc/postern/cert.pem"),
        .key = STR("/etc/postern/key.pem"),
        .imaps_address = STR("*"),
        .imaps_port = 993,
        .plus_separator = '+',
        .lmtp_count = 2,
        .lmtp = {TCP, UNIX},
    };
}

static void
expect_holds(const struct dovecot_settings *settings, const char *const *parts, bool wanted)
{
    struct buf out;
    buf_init(&out, DOVECOT_TEMPLATE_CEILING);
    struct str offender = {0};
    assert_int_equal(dovecot_template_write(&out, settings, &offender), STATUS_OK);
    for (size_t i = 0; parts[i] != NULL; i++) {
        bool found = str_find(buf_str(&out), str_from_cstr(parts[i])) != STR_NPOS;
        if (found != wanted) {
            print_error("%s: %s\n", wanted ? "missing" : "should not be there", parts[i]);
        }
        assert_int_equal(found, wanted);
    }
    buf_free(&out);
}

static void
test_started_as_root(void **state)
{
    (void)state;
    static const char *const WANT[] = {
        "\nssl = required\n",
        "\ndisable_plaintext_auth = yes\n",
        "\nssl_min_protocol = TLSv1.2\n",
        "\nssl_cert = </etc/postern/cert.pem\n",
        "  inet_listener imap {\n    port = 0\n",
        "    address = *\n    port = 993\n    ssl = yes\n",
        "  inet_listener lmtp-1 {\n    address = 127.0.10.2\n    port = 24\n",
        "  unix_listener /run/dovecot/lmtp {\n    mode = 0660\n    group = postern-relay\n",
        "args = scheme=ARGON2ID username_format=%Lu /var/lib/postern/ledger/dovecot-users\n",
        "uid=vmail gid=mail home=/var/vmail/%Ld/%Ln\n",
        "\nfirst_valid_uid = 120\n",
        "  extra_groups = postern-ledger\n",
        "\nrecipient_delimiter = +\n",
        NULL,
    };
    static const char *const NOT[] = {"chroot", "default_internal_user", NULL};
    struct dovecot_settings settings = as_root();
    expect_holds(&settings, WANT, true);
    expect_holds(&settings, NOT, false);
}

/* Dovecot has an LMTP socket of its own: told of, or taken away. */
static void
test_its_own_lmtp_socket(void **state)
{
    (void)state;
    static const char *const ELSEWHERE[] = {"  unix_listener lmtp {\n    mode = 0\n  }\n", NULL};
    static const char *const OWN[] = {
        "  unix_listener lmtp {\n    mode = 0660\n    group = postern-relay\n  }\n", NULL};
    struct dovecot_settings settings = as_root();
    expect_holds(&settings, ELSEWHERE, true);
    expect_holds(&settings, OWN, false);
    settings.lmtp[1].path = STR("lmtp");
    expect_holds(&settings, ELSEWHERE, false);
    expect_holds(&settings, OWN, true);
}

static void
test_started_by_a_user(void **state)
{
    (void)state;
    static const char *const WANT[] = {
        "default_internal_user = bob\n",
        "default_internal_group = staff\n",
        "default_login_user = bob\n",
        "service anvil {\n  chroot =\n}\n",
        "service imap-login {\n  chroot =\n",
        "\nssl_min_protocol = TLSv1.3\n",
        NULL,
    };
    static const char *const NOT[] = {"extra_groups", "recipient_delimiter", "user = root", "0666",
                                      NULL};
    struct dovecot_settings settings = as_root();
    settings.process_user = STR("bob");
    settings.process_group = STR("staff");
    settings.started_as_root = false;
    settings.users_group = STR("");
    settings.lmtp_group = STR("");
    settings.plus_separator = 0;
    settings.tls_minimum = CONFIG_TLS_1_3;
    expect_holds(&settings, WANT, true);
    expect_holds(&settings, NOT, false);
}

static void
test_postern_has_no_accounts(void **state)
{
    (void)state;
    static const char *const WANT[] = {"  user = root\n", "    mode = 0666\n", NULL};
    static const char *const NOT[] = {"extra_groups", "group = ", "chroot", NULL};
    struct dovecot_settings settings = as_root();
    settings.users_group = STR("");
    settings.lmtp_group = STR("");
    expect_holds(&settings, WANT, true);
    expect_holds(&settings, NOT, false);
}

static void
test_what_the_format_would_misread_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {"/a b", "/a#b", "/a\nlog_path = x", "/%u", "/$x", "/a{",
                                      "<x",   "/a\"", "/\xc3\xa9"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct dovecot_settings settings = as_root();
        settings.mail_directory = str_from_cstr(BAD[i]);
        struct buf out;
        buf_init(&out, DOVECOT_TEMPLATE_CEILING);
        struct str offender = {0};
        assert_int_equal(dovecot_template_write(&out, &settings, &offender), STATUS_SYNTAX);
        assert_true(str_eq(offender, settings.mail_directory));
        assert_int_equal(buf_length(&out), 0);
        buf_free(&out);
    }
}

static void
test_ceiling_is_told(void **state)
{
    (void)state;
    struct dovecot_settings settings = as_root();
    struct str offender = {0};
    struct buf whole;
    buf_init(&whole, DOVECOT_TEMPLATE_CEILING);
    assert_int_equal(dovecot_template_write(&whole, &settings, &offender), STATUS_OK);
    for (size_t ceiling = 0; ceiling < buf_length(&whole); ceiling++) {
        struct buf out;
        buf_init(&out, ceiling);
        assert_int_equal(dovecot_template_write(&out, &settings, &offender), STATUS_LIMIT);
        buf_free(&out);
    }
    buf_free(&whole);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_started_as_root),
        cmocka_unit_test(test_its_own_lmtp_socket),
        cmocka_unit_test(test_started_by_a_user),
        cmocka_unit_test(test_postern_has_no_accounts),
        cmocka_unit_test(test_what_the_format_would_misread_is_refused),
        cmocka_unit_test(test_ceiling_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
