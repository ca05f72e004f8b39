/* Whose mail is mended, and with which domain. */
#include "check/mend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/test_message.h"

static const struct config_zone relay = {
    .relay = true, .repair = true, .domain = STR_INIT("z.example")};
static const struct config_zone plain_relay = {.relay = true, .repair = true};
static const struct config_zone strict = {.relay = true, .repair = false};
static const struct config_zone partner = {.relay = false, .repair = true};

static void
test_whose(void **state)
{
    static const struct {
        enum check_direction direction;
        const char *user;
        const struct config_zone *zone;
        const char *want; /* From; NULL: as it came */
    } cases[] = {
        {CHECK_OUTBOUND, "", &relay, " <scan@z.example>"},
        {CHECK_OUTBOUND, "", &plain_relay, " <scan@mx.kartapuce.example>"},
        {CHECK_OUTBOUND, "", &strict, NULL},
        {CHECK_OUTBOUND, "bob@kartapuce.example", NULL, " \"scan\" <bob@kartapuce.example>"},
        {CHECK_OUTBOUND, "bob@kartapuce.example", &strict, " \"scan\" <bob@kartapuce.example>"},
        {CHECK_OUTBOUND, "scan@kartapuce.example", NULL, " <scan@kartapuce.example>"},
        {CHECK_OUTBOUND, "bob", &relay, " <scan@z.example>"},
        {CHECK_OUTBOUND, "bob", NULL, " <scan@mx.kartapuce.example>"},
        {CHECK_INBOUND, "", &relay, NULL},
        {CHECK_INBOUND, "", &partner, NULL},
        {CHECK_INBOUND, "", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        struct mail_repaired mended;
        test_message_open(&message, STR("From: scan\r\n\r\nbody"));
        message.input.direction = cases[i].direction;
        message.input.user = str_from_cstr(cases[i].user);
        message.input.body_offset = 4711;
        assert_int_equal(check_mend(&message.input, cases[i].zone, &mended), STATUS_OK);
        const char *want = cases[i].want != NULL ? cases[i].want : " scan";
        struct str got = message.input.head->first[MAIL_FIELD_FROM]->value;
        if (!str_eq(got, str_from_cstr(want))) {
            fail_msg("case %zu: \"%.*s\"", i, STR_ARG(got));
        }
        assert_int_equal(message.input.repairs != NULL, cases[i].want != NULL);
        assert_int_equal(message.input.body_offset, cases[i].want != NULL ? 14 : 4711);
        test_message_close(&message);
    }
}

/* What a user wrote without a domain becomes an address that is the user's own. */
static void
test_own_address(void **state)
{
    static const struct {
        const char *user, *sender;
        const char *content, *want; /* From */
        bool any_author;            /* own_sender: false */
    } cases[] = {
        {"bob@kartapuce.example", "bob@kartapuce.example", "From: root (Cron Daemon)\r\n\r\n",
         " \"root\" <bob@kartapuce.example> (Cron Daemon)", false},
        {"bob@kartapuce.example", "", "From: Scanner <scan>\r\n\r\n",
         " Scanner <bob@kartapuce.example>", false},
        {"bob@kartapuce.example", "bob+scan@kartapuce.example", "From: scan@[192.0.2.1]\r\n\r\n",
         " \"scan\" <bob+scan@kartapuce.example>", false},
        {"bob@kartapuce.example", "ceo@kartapuce.example", "From: ceo\r\n\r\n",
         " \"ceo\" <bob@kartapuce.example>", false},
        {"bob@kartapuce.example", "", "From: BOB\r\n\r\n", " <BOB@kartapuce.example>", false},
        {"bob@kartapuce.example", "", "From: bob+x\r\n\r\n", " <bob+x@kartapuce.example>", false},
        {"bob@kartapuce.example", "", "Subject: x\r\n\r\n", " <bob@kartapuce.example>", false},
        {"bob@kartapuce.example", "", "From: scan\r\n\r\n", " <scan@kartapuce.example>", true},
        {"uid:33", "web@kartapuce.example", "From: root (Cron Daemon)\r\n\r\n",
         " <root@kartapuce.example> (Cron Daemon)", false},
        {"uid:33", "", "From: root\r\n\r\n", " <root@kartapuce.example>", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        struct mail_repaired mended;
        test_message_open(&message, str_from_cstr(cases[i].content));
        struct config config = *message.config;
        config.submission.own_sender = !cases[i].any_author;
        message.input.config = &config;
        message.input.direction = CHECK_OUTBOUND;
        message.input.user = str_from_cstr(cases[i].user);
        message.input.sender = str_from_cstr(cases[i].sender);
        assert_int_equal(check_mend(&message.input, NULL, &mended), STATUS_OK);
        struct str got = message.input.head->first[MAIL_FIELD_FROM]->value;
        if (!str_eq(got, str_from_cstr(cases[i].want))) {
            fail_msg("case %zu: \"%.*s\"", i, STR_ARG(got));
        }
        message.input.sender = STR("");
        assert_string_equal(test_message_check(&message, check_submission_identity), "");
        test_message_close(&message);
    }
}

/* What was not read cannot be mended. */
static void
test_over_limit(void **state)
{
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("From: scan\r\n\r\n"));
    message.input.direction = CHECK_OUTBOUND;
    assert_true(check_mend_is_wanted(&message.input, &relay));
    message.input.head_over_limit = true;
    assert_false(check_mend_is_wanted(&message.input, &relay));
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose),
        cmocka_unit_test(test_own_address),
        cmocka_unit_test(test_over_limit),
    };
    return cmocka_run_group_tests_name("check mend", tests, NULL, NULL);
}
