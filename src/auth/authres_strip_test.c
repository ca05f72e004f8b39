#include "auth/authres_strip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void
test_claims(void **state)
{
    static const struct {
        struct str value;
        enum authres_claim want;
    } cases[] = {
        /* ours */
        {STR_INIT(" mx.example.net; dkim=pass"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" MX.Example.NET; dkim=pass"), AUTHRES_CLAIM_OURS},
        {STR_INIT("mx.example.net;dkim=pass"), AUTHRES_CLAIM_OURS},
        {STR_INIT("mx.example.net"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" mx.example.net.; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" mx.example.net..; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" mx.example.net 1; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" mx.example.net 2; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT("\r\n\tmx.example.net\r\n ; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" (other.example;) mx.example.net (x) 1 (y); none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" \"mx.example.net\"; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" \"mx.ex\\ample.net \"; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" mx.example.net; this is (no result"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" \xef\xbd\x8d\xef\xbd\x98.example.net; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT(" mx.exam\xc2\xadple.net; none"), AUTHRES_CLAIM_OURS},
        /* could be read as ours */
        {STR_INIT(" ; mx.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" mx.example.net dkim=pass"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" mx.example.net/1; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" mx.example.net:25; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" other.example mx.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" mx.exam(x)ple.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" mx.exam\r\n ple.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" (mx.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" other.example (\\); mx.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" (mx.example.net; dkim=pass) other.example; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" \"other.example; mx.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" \"other.example; mx.example.net\"; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" mx.example.net\0; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" m\0x.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" =?utf-8?Q?mx=2Eexample=2Enet?=; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" =?utf-8?B?bXguZXhhbXBsZS5uZXQ=?=; none"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" ;\xef\xbd\x8d\xef\xbd\x98.example.net; none"), AUTHRES_CLAIM_UNCLEAR},
        /* without authserv-id: whose it is depends on whether our name is in it */
        {STR_INIT(" dkim=pass header.d=mx.example.net"), AUTHRES_CLAIM_UNCLEAR},
        {STR_INIT(" dkim=pass header.d=other.example"), AUTHRES_CLAIM_OTHER},
        /* others */
        {STR_INIT(" other.example; dkim=pass header.d=mx.example.net"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" other.example; dkim=pass (mx.example.net)"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" example.net; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" a.mx.example.net; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" mx.example.net.evil; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" (hello) other.example; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" other/example; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(""), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" other.example 1; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(" other.example 2; none"), AUTHRES_CLAIM_VERSION},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(1u << 20);
        enum authres_claim got = authres_claims(arena, cases[i].value, STR("Mx.example.net"));
        if (got != cases[i].want) {
            fail_msg("%zu %.*s: %d", i, STR_ARG(cases[i].value), (int)got);
        }
        arena_destroy(&arena);
    }
}

static void
test_claims_with_other_names(void **state)
{
    static const struct {
        struct str id;
        struct str value;
        enum authres_claim want;
    } cases[] = {
        {STR_INIT("xn--mx-lka.example"), STR_INIT("m\xc3\xb8x.example; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT("m\xc3\xb8x.example"), STR_INIT("XN--MX-LKA.example; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT("m\xc3\xb8x.example"), STR_INIT("M\xc3\x98X.example; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT("m\xc3\xb8x.example"), STR_INIT("(xn--mx-lka.example) m\xc3\xb8x.example; none"),
         AUTHRES_CLAIM_OURS},
        {STR_INIT("gateway_1"), STR_INIT("Gateway_1; none"), AUTHRES_CLAIM_OURS},
        {STR_INIT("gateway_1"), STR_INIT("gateway_2; none"), AUTHRES_CLAIM_OTHER},
        {STR_INIT(""), STR_INIT("a; none"), AUTHRES_CLAIM_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(1u << 20);
        assert_int_equal(authres_claims(arena, cases[i].value, cases[i].id), cases[i].want);
        arena_destroy(&arena);
    }
}

/* What is done with the first field of a message, for a gateway mx.example.net. */
static enum authres_strip
strip_first(struct str content)
{
    static const struct mail_head_limits limits = {65536, 1000};
    static const struct str ids[] = {STR_INIT("mx.example.net"), STR_INIT("mx2.example.net")};
    struct authres_strip_names names = {ids, 2, STR("X-Postern-Verdict"), true};
    struct arena *arena = arena_create(1u << 20);
    struct mail_head head;
    assert_int_equal(mail_head_parse(arena, content, &limits, &head), STATUS_OK);
    enum authres_strip why = authres_strip_field(arena, &head.fields[0], &names);
    arena_destroy(&arena);
    return why;
}

/* Who wants to keep the fields of nobody can. */
static void
test_nameless_kept(void **state)
{
    static const struct mail_head_limits limits = {65536, 1000};
    static const struct str id = STR_INIT("mx.example.net");
    struct authres_strip_names names = {&id, 1, STR("X-Postern-Verdict"), false};
    struct arena *arena = arena_create(1u << 20);
    struct mail_head head;
    (void)state;
    assert_int_equal(mail_head_parse(arena,
                                     STR("Authentication-Results: dmarc=pass\r\n"
                                         "A: b\nAuthentication-Results: dmarc=pass\r\n\r\n"),
                                     &limits, &head),
                     STATUS_OK);
    for (size_t i = 0; i < head.field_count; i++) {
        assert_int_equal(authres_strip_field(arena, &head.fields[i], &names), AUTHRES_STRIP_KEEP);
    }
    arena_destroy(&arena);
}

static void
test_strips(void **state)
{
    static const struct {
        struct str content;
        enum authres_strip want;
    } cases[] = {
        {STR_INIT("Authentication-Results: mx.example.net; none\r\n\r\n"), AUTHRES_STRIP_OURS},
        {STR_INIT("AUTHENTICATION-results \t: mx2.example.net; none\r\n\r\n"), AUTHRES_STRIP_OURS},
        {STR_INIT("Authentication-Results: ;mx2.example.net; none\r\n\r\n"), AUTHRES_STRIP_UNCLEAR},
        {STR_INIT("Authentication-Results: other 3; none\r\n\r\n"), AUTHRES_STRIP_VERSION},
        {STR_INIT("Authentication-Results: dmarc=pass header.from=x\r\n\r\n"),
         AUTHRES_STRIP_NAMELESS},
        {STR_INIT("Authentication-Results: ; dmarc=pass\r\n\r\n"), AUTHRES_STRIP_NAMELESS},
        {STR_INIT("authentication-results:\r\n (x) DKIM (y)\r\n / 1 = pass\r\n\r\n"),
         AUTHRES_STRIP_NAMELESS},
        {STR_INIT("Authentication-Results: x-s_1=pass\r\n\r\n"), AUTHRES_STRIP_NAMELESS},
        {STR_INIT("Authentication-Results: other dmarc=pass\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("Authentication-Results: other.example; dmarc=pass\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("ARC-Authentication-Results: dmarc=pass\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("Subject: a\nAuthentication-Results : dmarc=pass\r\n\r\n"), AUTHRES_STRIP_HIDDEN},
        {STR_INIT("Authentication-Results: other; none\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("ARC-Authentication-Results: i=1; mx.example.net; none\r\n\r\n"),
         AUTHRES_STRIP_KEEP},
        {STR_INIT("Received-SPF: pass (mx.example.net: x)\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("x-postern-VERDICT: ok\r\n\r\n"), AUTHRES_STRIP_VERDICT},
        {STR_INIT("Subject: a\nAuthentication-Results: mx.example.net; none\r\n\r\n"),
         AUTHRES_STRIP_HIDDEN},
        {STR_INIT("Subject: a\rauthentication-results : mx.example.net; none\r\n\r\n"),
         AUTHRES_STRIP_HIDDEN},
        {STR_INIT("Subject: a\rX-Postern-Verdict: ok\r\n\r\n"), AUTHRES_STRIP_HIDDEN},
        {STR_INIT("Subject: a\r\r\n X-Postern-Verdict: ok\r\n\r\n"), AUTHRES_STRIP_HIDDEN},
        {STR_INIT("Subject: a\r\n X-Postern-Verdict: ok\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("Subject: a\nX-Postern-Verdict: ok\r\n\r\n"), AUTHRES_STRIP_HIDDEN},
        {STR_INIT("\xef\xbb\xbf"
                  "Authentication-Results: mx.example.net; none\r\n\r\n"),
         AUTHRES_STRIP_HIDDEN},
        {STR_INIT("Subject: a\nAuthentication-Results: other; none\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("Subject: a\nARC-Authentication-Results: i=1; mx.example.net\r\n\r\n"),
         AUTHRES_STRIP_KEEP},
        {STR_INIT("Subject: Authentication-Results: mx.example.net\r\n\r\n"), AUTHRES_STRIP_KEEP},
        {STR_INIT("Subject: a\r\n Authentication-Results: mx.example.net\r\n\r\n"),
         AUTHRES_STRIP_KEEP},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum authres_strip got = strip_first(cases[i].content);
        if (got != cases[i].want) {
            fail_msg("%.*s: %s", STR_ARG(cases[i].content), authres_strip_name(got));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_claims_with_other_names),
        cmocka_unit_test(test_strips),
        cmocka_unit_test(test_nameless_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
