#include "smtp/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct smtp_param_rules all = {
    .dsn = true, .smtputf8 = true, .auth = true, .message_size = 1000};

#define A25  "aaaaaaaaaaaaaaaaaaaaaaaaa"
#define A100 A25 A25 A25 A25

struct mail_row {
    const char *input;
    uint16_t code; /* 0: good */
    struct smtp_envelope want;
};

static const struct mail_row mail_rows[] = {
    {"", 0, {.size = 0}},
    {" SIZE=1000  BODY=7BIT", 0, {.size = 1000, .body = SMTP_BODY_7BIT}},
    {"body=8bitMIME smtputf8", 0, {.body = SMTP_BODY_8BITMIME, .smtputf8 = true}},
    {"RET=full ENVID=a+2Bb+20c", 0, {.ret = SMTP_DSN_RET_FULL, .envid = STR_INIT("a+b c")}},
    {"ENVID=" A100, 0, {.envid = STR_INIT(A100)}},
    {"AUTH=<>", 0, {.size = 0}},
    {"AUTH=a+2B", 0, {.size = 0}},
    {"SIZE=1001", 552, {.size = 0}},
    {"SIZE=18446744073709551616", 552, {.size = 0}},
    {"SIZE=000000000000000000001", 501, {.size = 0}},
    {"SIZE=-1", 501, {.size = 0}},
    {"SIZE=", 501, {.size = 0}},
    {"SMTPUTF8=yes", 501, {.size = 0}},
    {"ENVID=" A100 "a", 501, {.size = 0}},
    {"ENVID=a+0D+0A", 501, {.size = 0}},
    {"ENVID=a+", 501, {.size = 0}},
    {"ENVID=a+2b", 501, {.size = 0}},
    {"ENVID", 501, {.size = 0}},
    {"RET", 501, {.size = 0}},
    {"AUTH", 501, {.size = 0}},
    {"A=b=c", 501, {.size = 0}},
    {"-A=b", 501, {.size = 0}},
    {"A_B=c", 501, {.size = 0}},
    {"SIZE=1 size=1", 501, {.size = 0}},
    {"XYZ", 555, {.size = 0}},
    {"NOTIFY=NEVER", 555, {.size = 0}},
    {"BODY=BINARYMIME", 555, {.size = 0}},
    {"A B C D E F G H I J K L M N O P Q", 501, {.size = 0}},
};

static void
test_mail(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mail_rows / sizeof mail_rows[0]; i++) {
        const struct mail_row *row = &mail_rows[i];
        struct arena *arena = arena_create(65536);
        struct smtp_envelope got = {.size = 0};
        struct smtp_reply reply = {.code = 0};
        bool good = smtp_mail_params_parse(arena, str_from_cstr(row->input), &all, &got, &reply);
        if (good != (row->code == 0) || (!good && reply.code != row->code)) {
            print_error("%s: %u\n", row->input, reply.code);
            fail();
        }
        if (good) {
            assert_int_equal(got.size, row->want.size);
            assert_int_equal(got.body, row->want.body);
            assert_int_equal(got.smtputf8, row->want.smtputf8);
            assert_int_equal(got.ret, row->want.ret);
            assert_true(str_eq(got.envid, row->want.envid));
        }
        arena_destroy(&arena);
    }
}

struct rcpt_row {
    const char *input;
    bool smtputf8;
    uint16_t code;
    struct smtp_recipient want;
};

static const struct rcpt_row rcpt_rows[] = {
    {"", false, 0, {.notify = 0}},
    {"NOTIFY=NEVER", false, 0, {.notify = SMTP_DSN_NOTIFY_NEVER}},
    {"notify=success,DELAY", false, 0, {.notify = SMTP_DSN_NOTIFY_SUCCESS | SMTP_DSN_NOTIFY_DELAY}},
    {"ORCPT=RFC822;a+2Bb@c",
     false,
     0,
     {.orcpt_type = STR_INIT("rfc822"), .orcpt = STR_INIT("a+b@c")}},
    {"ORCPT=utf-8;a\\x{E9}@c",
     false,
     0,
     {.orcpt_type = STR_INIT("utf-8"), .orcpt = STR_INIT("a\xc3\xa9@c")}},
    {"ORCPT=utf-8;\\x{1F600}@c",
     false,
     0,
     {.orcpt_type = STR_INIT("utf-8"), .orcpt = STR_INIT("\xf0\x9f\x98\x80@c")}},
    {"ORCPT=utf-8;\xc3\xa9@c",
     true,
     0,
     {.orcpt_type = STR_INIT("utf-8"), .orcpt = STR_INIT("\xc3\xa9@c")}},
    {"ORCPT=utf-8;a\\x{2B}b@c",
     false,
     0,
     {.orcpt_type = STR_INIT("utf-8"), .orcpt = STR_INIT("a+b@c")}},
    {"ORCPT=utf-8;\xc3\xa9@c", false, 501, {.notify = 0}},
    {"ORCPT=rfc822;\xc3\xa9@c", true, 501, {.notify = 0}},
    {"ORCPT=utf-8;\\x{D800}@c", false, 501, {.notify = 0}},
    {"ORCPT=utf-8;\\x{110000}@c", false, 501, {.notify = 0}},
    {"ORCPT=utf-8;\\x{0D}@c", false, 501, {.notify = 0}},
    {"ORCPT=utf-8;a+2Bb@c", false, 501, {.notify = 0}},
    {"ORCPT=utf-8;\\x{}@c", false, 501, {.notify = 0}},
    {"ORCPT=utf-8;\\x{E9", false, 501, {.notify = 0}},
    {"ORCPT=rfc822;a+0D+0Ab", false, 501, {.notify = 0}},
    {"ORCPT=rfc822;", false, 501, {.notify = 0}},
    {"ORCPT=;a@b", false, 501, {.notify = 0}},
    {"ORCPT=a@b", false, 501, {.notify = 0}},
    {"NOTIFY=NEVER,FAILURE", false, 501, {.notify = 0}},
    {"NOTIFY=FAILURE,FAILURE", false, 501, {.notify = 0}},
    {"NOTIFY=FAILURE,", false, 501, {.notify = 0}},
    {"NOTIFY=SOMETIMES", false, 501, {.notify = 0}},
    {"SIZE=1", false, 555, {.notify = 0}},
};

static void
test_rcpt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rcpt_rows / sizeof rcpt_rows[0]; i++) {
        const struct rcpt_row *row = &rcpt_rows[i];
        struct arena *arena = arena_create(65536);
        struct smtp_recipient got = {.notify = 0};
        struct smtp_reply reply = {.code = 0};
        bool good = smtp_rcpt_params_parse(arena, str_from_cstr(row->input), &all, row->smtputf8,
                                           &got, &reply);
        if (good != (row->code == 0) || (!good && reply.code != row->code)) {
            print_error("%s: %u\n", row->input, reply.code);
            fail();
        }
        if (good) {
            assert_int_equal(got.notify, row->want.notify);
            assert_true(str_eq(got.orcpt_type, row->want.orcpt_type));
            assert_true(str_eq(got.orcpt, row->want.orcpt));
        }
        arena_destroy(&arena);
    }
}

static void
test_xtext_round_trip(void **state)
{
    (void)state;
    struct arena *arena = arena_create(65536);
    char all_octets[256];
    for (size_t i = 0; i < sizeof all_octets; i++) {
        all_octets[i] = (char)i;
    }
    struct str text = smtp_xtext_encode(arena, str_make(all_octets, sizeof all_octets));
    struct str octets;
    assert_true(str_is_ascii(text) && !str_contains_char(text, '='));
    assert_int_equal(smtp_xtext_decode(arena, text, &octets), STATUS_OK);
    assert_true(str_eq(octets, str_make(all_octets, sizeof all_octets)));
    assert_int_equal(smtp_xtext_decode(arena, STR("a=b"), &octets), STATUS_SYNTAX);
    assert_int_equal(smtp_xtext_decode(arena, STR("a b"), &octets), STATUS_SYNTAX);
    assert_int_equal(smtp_xtext_decode(arena, STR("+4"), &octets), STATUS_SYNTAX);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail),
        cmocka_unit_test(test_rcpt),
        cmocka_unit_test(test_xtext_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
