#include "smtp/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DATE ";\r\n\tMon, 23 Nov 2026 17:48:14 +0000\r\n"

struct row {
    const char *client;
    struct smtp_received received;
    const char *want;
};

static const struct row rows[] = {
    {"192.0.2.7",
     {.helo = STR_INIT("client.example"),
      .helo_form = SMTP_HELO_DOMAIN,
      .client_name = STR_INIT("reverse.example"),
      .id = STR_INIT("ABC"),
      .esmtp = true,
      .tls = true,
      .tls_version = STR_INIT("TLSv1.3"),
      .tls_cipher = STR_INIT("TLS_AES_256_GCM_SHA384"),
      .tls_bits = 256,
      .recipient = STR_INIT("c@d.example")},
     "Received: from client.example (reverse.example [192.0.2.7])\r\n"
     "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))\r\n"
     "\tby mx.example (Postern) with ESMTPS id ABC\r\n"
     "\tfor <c@d.example>" DATE},
    {"2001:db8::1",
     {.helo = STR_INIT("[IPv6:2001:db8::1]"), .helo_form = SMTP_HELO_LITERAL},
     "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
     "\tby mx.example (Postern) with SMTP" DATE},
    {"192.0.2.7",
     {.helo = STR_INIT("a)(b\\c_d"), .helo_form = SMTP_HELO_MALFORMED, .esmtp = true},
     "Received: from [192.0.2.7] ([192.0.2.7])\r\n"
     "\t(HELO a??b?c_d)\r\n"
     "\tby mx.example (Postern) with ESMTP" DATE},
    {"192.0.2.7",
     {.helo = STR_INIT("[127.0.0.1]"),
      .helo_form = SMTP_HELO_LITERAL,
      .hide_client = true,
      .esmtp = true,
      .authenticated = true,
      .smtputf8 = true,
      .recipient = STR_INIT("\xc3\xa9@d.example")},
     "Received: from client.invalid (address withheld)\r\n"
     "\tby mx.example (Postern) with UTF8SMTPA" DATE},
    /* A user of the machine: no host, whatever it said, and whether or not hosts are hidden. */
    {"127.0.0.1",
     {.local_user = STR_INIT("33"),
      .helo = STR_INIT("elsewhere.example"),
      .helo_form = SMTP_HELO_DOMAIN,
      .client_name = STR_INIT("reverse.example"),
      .hide_client = true,
      .id = STR_INIT("ABC"),
      .esmtp = true,
      .authenticated = true},
     "Received: from localhost (local user, uid 33)\r\n"
     "\tby mx.example (Postern) with ESMTPA id ABC" DATE},
    {"127.0.0.1",
     {.local_user = STR_INIT("4294967295"),
      .helo = STR_INIT("a)(b"),
      .helo_form = SMTP_HELO_MALFORMED,
      .recipient = STR_INIT("c@d.example")},
     "Received: from localhost (local user, uid 4294967295)\r\n"
     "\tby mx.example (Postern) with SMTP\r\n"
     "\tfor <c@d.example>" DATE},
};

static void
test_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(65536);
        struct smtp_received received = rows[i].received;
        received.by = STR("mx.example");
        received.wall_ms = 1795456094000;
        assert_int_equal(ip_parse(str_from_cstr(rows[i].client), &received.client), STATUS_OK);
        struct str got = smtp_received_format(arena, &received);
        if (!str_eq(got, str_from_cstr(rows[i].want))) {
            print_error("got:  %.*s\nwant: %s\n", STR_ARG(got), rows[i].want);
            fail();
        }
        arena_destroy(&arena);
    }
}

static void
test_with_keywords(void **state)
{
    (void)state;
    static const struct {
        bool esmtp, tls, authenticated, smtputf8;
        const char *want;
    } cases[] = {
        {false, false, false, false, "SMTP"},   {true, false, false, false, "ESMTP"},
        {true, false, true, false, "ESMTPA"},   {true, true, false, false, "ESMTPS"},
        {true, true, true, false, "ESMTPSA"},   {true, false, false, true, "UTF8SMTP"},
        {true, false, true, true, "UTF8SMTPA"}, {true, true, false, true, "UTF8SMTPS"},
        {true, true, true, true, "UTF8SMTPSA"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(smtp_with_keyword(cases[i].esmtp, cases[i].tls, cases[i].authenticated,
                                              cases[i].smtputf8),
                            cases[i].want);
    }
}

static void
test_no_room(void **state)
{
    (void)state;
    struct arena *arena = arena_create(64);
    struct smtp_received received = {.by = STR_INIT("mx.example")};
    assert_null(smtp_received_format(arena, &received).p);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_with_keywords),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
