#include "mail/downgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mail/long_lines.h"

#define UE "\xc3\xbc"
#define MV "MIME-Version: 1.0\r\n"

struct downgrade_case {
    const char *name;
    const char *head, *body;
    const char *want_head, *want_body; /* NULL: denied */
    const char *why;
};

static const struct downgrade_case cases[] = {
    {"plain text",
     MV "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
     "Gr" UE "n = gut\r\nFrom here\r\n.dot\r\nblank \r\n",
     MV "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
     "Gr=C3=BCn =3D gut\r\n=46rom here\r\n=2Edot\r\nblank=20\r\n", NULL},
    {"no MIME at all", "Subject: s\r\n\r\n", UE "\r\n",
     "Subject: s\r\n" MV "Content-Type: text/plain; charset=unknown-8bit\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
     "=C3=BC\r\n", NULL},
    {"long line", MV "\r\n",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" UE "\r\n",
     MV "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=C3=\r\n=BC\r\n",
     NULL},
    {"not text", MV "Content-Type: application/x; a=b; \r\n\r\n", "\xff\xfe\r\n",
     MV "Content-Type: application/x; a=b; \r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "//4NCg==\r\n", NULL},
    {"multipart: only what must be",
     MV "Content-Type: multipart/mixed; boundary=\"x y\"\r\nContent-Transfer-Encoding: 8bit\r\n"
        "\r\n",
     "preamble\r\n--x y\r\n\r\nascii\r\n--x y \r\nContent-Type: text/html\r\n\r\n" UE
     "\r\n--x y--\r\nepilogue\r\n",
     MV "Content-Type: multipart/mixed; boundary=\"x y\"\r\nContent-Transfer-Encoding: 7bit\r\n"
        "\r\n",
     "preamble\r\n--x y\r\n\r\nascii\r\n--x y \r\nContent-Type: text/html\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n--x y--\r\nepilogue\r\n",
     NULL},
    {"a boundary longer than boundaries are",
     MV "Content-Type: multipart/mixed; boundary=\""
        "01234567890123456789012345678901234567890123456789012345678901234567890\"\r\n\r\n",
     UE, NULL, NULL, "a part does not say clearly what it is"},
    {"nothing but an end", MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
     "--b--\r\n" UE "\r\n", NULL, NULL, "a multipart has no parts"},
    {"a line that is no field", MV "no field\r\n\r\n", UE, NULL, NULL, "a header has a line"},
    {"a part without a header", MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
     "--b\r\n\r\n" UE "\r\n--b--\r\n",
     MV "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
     "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n--b--\r\n", NULL},
    {"an enclosed message", MV "Content-Type: message/rfc822\r\n\r\n",
     MV "Subject: in\r\n\r\n" UE "\r\n",
     MV "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
     MV "Subject: in\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n", NULL},
    {"a message of RFC 6532", MV "Content-Type: message/global-headers\r\n\r\n",
     "Subject: " UE "\r\n",
     MV "Content-Type: message/global-headers\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
     "Subject: =C3=BC\r\n", NULL},
    {"one with a body", MV "Content-Type: message/global\r\n\r\n", "Subject: " UE "\r\n\r\nx\r\n",
     MV "Content-Type: message/global\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
     "Subject: =C3=BC\r\n\r\nx\r\n", NULL},
    {"nested", MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
     "--a\r\nContent-Type: multipart/alternative; boundary=aa\r\n\r\n--aa\r\n\r\n" UE
     "\r\n--aa--\r\n\r\n--a--",
     MV "Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
     "--a\r\nContent-Type: multipart/alternative; boundary=aa\r\n"
     "Content-Transfer-Encoding: 7bit\r\n\r\n--aa\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n--aa--\r\n\r\n--a--",
     NULL},
    {"signed", MV "Content-Type: multipart/signed; boundary=a\r\n\r\n",
     "--a\r\n\r\n" UE "\r\n--a--\r\n", NULL, NULL, "a part is signed or encrypted"},
    {"8-bit header", "Subject: " UE "\r\n\r\n", "text\r\n", NULL, NULL, "its header has"},
    {"8-bit header of a part", MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
     "--a\r\nContent-Description: " UE "\r\n\r\nx\r\n--a--\r\n", NULL, NULL, "its header has"},
    {"two types", MV "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", UE, NULL, NULL,
     "a part says twice"},
    {"two boundaries", MV "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n", UE, NULL,
     NULL, "a part does not say clearly"},
    {"no boundary", MV "Content-Type: multipart/mixed\r\n\r\n", UE, NULL, NULL,
     "a multipart names no"},
    {"no parts", MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n", UE "\r\n", NULL, NULL,
     "a multipart has no parts"},
    {"no end", MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n", "--a\r\n\r\n" UE "\r\n",
     NULL, NULL, "a multipart does not end"},
    {"8-bit preamble", MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
     UE "\r\n--a\r\n\r\nx\r\n--a--\r\n", NULL, NULL, "there are 8-bit octets between"},
    {"8-bit epilogue", MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
     "--a\r\n\r\nx\r\n--a--\r\n" UE "\r\n", NULL, NULL, "there are 8-bit octets behind"},
    {"base 64 that is none", MV "Content-Transfer-Encoding: base64\r\n\r\n", UE, NULL, NULL,
     "a part has 8-bit octets in spite"},
    {"a delivery status", MV "Content-Type: message/delivery-status\r\n\r\n", UE, NULL, NULL,
     "a part of this kind"},
    {"MIME without its version", "Content-Type: text/html\r\n\r\n", UE, NULL, NULL,
     "it has MIME fields"},
};

static void
check(const struct downgrade_case *c)
{
    struct arena *arena = arena_create(1 << 20);
    struct buf head, body;
    const char *why = "";
    buf_init(&head, 65536);
    buf_init(&body, 65536);
    enum status status =
        mail_downgrade(arena, str_from_cstr(c->head), str_from_cstr(c->body), &head, &body, &why);
    if (status != (c->want_head != NULL ? STATUS_OK : STATUS_DENIED)) {
        fail_msg("%s: %s %s", c->name, status_name(status), why);
    }
    if (c->want_head == NULL) {
        assert_true(str_starts_with(str_from_cstr(why), str_from_cstr(c->why)));
    } else if (!str_eq(buf_str(&head), str_from_cstr(c->want_head)) ||
               !str_eq(buf_str(&body), str_from_cstr(c->want_body))) {
        struct str h = buf_str(&head), b = buf_str(&body);
        fail_msg("%s: got \"%.*s\" \"%.*s\"", c->name, STR_ARG(h), STR_ARG(b));
    }
    buf_free(&head);
    buf_free(&body);
    arena_destroy(&arena);
}

static void
test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i]);
    }
}

/* A word of 1000 octets, too long for a line. */
#define TEN      "0123456789"
#define HUNDRED  TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static const struct {
    const char *name;
    const char *head, *body;
    const char *encoding; /* what the result says of the part; NULL: denied */
    const char *has, *why;
} long_cases[] = {
    {"text", MV "\r\n", THOUSAND "\r\n", "quoted-printable", "0123456789=\r\n", ""},
    {"no MIME at all", "Subject: s\r\n\r\n", THOUSAND "\r\n", "quoted-printable", "=\r\n", ""},
    {"not text", MV "Content-Type: application/x\r\n\r\n", THOUSAND "\r\n", "base64", "MDEy", ""},
    {"base64 on one line",
     MV "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n", THOUSAND "\r\n",
     "base64", "012345\r\n678901", ""},
    {"quoted-printable on one line", MV "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
     "=3D=\r\na=3D" THOUSAND "\r\n", "quoted-printable", "=3D=\r\na=3D0123", ""},
    {"one part of two; the other keeps its octets",
     MV "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
     "--b\r\n\r\n" UE "\r\n--b\r\n\r\n" THOUSAND "\r\n--b--\r\n", "quoted-printable",
     "--b\r\n\r\n" UE "\r\n--b\r\n", ""},
    {"an enclosed message with a long field", MV "Content-Type: message/rfc822\r\n\r\n",
     MV "References: <a> <" THOUSAND ">\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
     "base64", "References: <a>\r\n <0123", ""},
    {"signed", MV "Content-Type: multipart/signed; boundary=b\r\n\r\n",
     "--b\r\n\r\n" THOUSAND "\r\n--b--\r\n", NULL, "", "a part is signed"},
    {"between the parts", MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
     THOUSAND "\r\n--b\r\n\r\nx\r\n--b--\r\n", NULL, "", "there are long lines between"},
    {"behind the parts", MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
     "--b\r\n\r\nx\r\n--b--\r\n" THOUSAND, NULL, "", "there are long lines behind"},
};

static void
test_long_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof long_cases / sizeof long_cases[0]; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct buf head, body;
        const char *why = "";
        buf_init(&head, 65536);
        buf_init(&body, 65536);
        enum status status =
            mail_shorten_lines(arena, str_from_cstr(long_cases[i].head),
                               str_from_cstr(long_cases[i].body), &head, &body, &why);
        if (long_cases[i].encoding == NULL) {
            assert_int_equal(status, STATUS_DENIED);
            assert_true(str_starts_with(str_from_cstr(why), str_from_cstr(long_cases[i].why)));
        } else {
            struct str all =
                arena_printf(arena, "%.*s%.*s", STR_ARG(buf_str(&head)), STR_ARG(buf_str(&body)));
            struct str says = arena_printf(arena, "Content-Transfer-Encoding: %s\r\n\r\n",
                                           long_cases[i].encoding);
            assert_int_equal(status, STATUS_OK);
            assert_false(mail_has_long_line(all));
            if (str_find(all, says) == STR_NPOS ||
                str_find(all, str_from_cstr(long_cases[i].has)) == STR_NPOS) {
                fail_msg("%s: %.*s", long_cases[i].name, STR_ARG(all));
            }
        }
        buf_free(&head);
        buf_free(&body);
        arena_destroy(&arena);
    }
}

/* RFC 2045 6.7 (5): at most 76 characters with the soft line break, wherever it falls. */
static void
test_soft_line_breaks(void **state)
{
    (void)state;
    for (size_t n = 70; n < 80; n++) {
        struct arena *arena = arena_create(1 << 20);
        struct buf head, body;
        const char *why = "";
        struct str text = arena_printf(arena, "%.*s" UE "x", (int)n, HUNDRED);
        buf_init(&head, 65536);
        buf_init(&body, 65536);
        assert_int_equal(mail_downgrade(arena, STR(MV "\r\n"), text, &head, &body, &why),
                         STATUS_OK);
        for (struct str rest = buf_str(&body); rest.n > 0;) {
            size_t end = str_find(rest, STR("\r\n"));
            end = end == STR_NPOS ? rest.n : end;
            assert_true(end <= 76);
            rest = str_skip(rest, end + 2);
        }
        buf_free(&head);
        buf_free(&body);
        arena_destroy(&arena);
    }
}

static void
test_bounds(void **state)
{
    struct arena *arena = arena_create(8 << 20);
    struct buf head, body, message;
    const char *why = "";
    (void)state;
    buf_init(&head, 65536);
    buf_init(&body, 8);
    assert_int_equal(mail_downgrade(arena, STR(MV "\r\n"), STR(UE UE UE UE), &head, &body, &why),
                     STATUS_LIMIT);
    buf_free(&head);
    buf_free(&body);
    /* Messages in messages. */
    buf_init(&message, 1 << 20);
    buf_init(&head, 1 << 20);
    buf_init(&body, 1 << 20);
    for (unsigned i = 0; i < MAIL_DOWNGRADE_DEPTH_MAX + 2; i++) {
        assert_int_equal(buf_append(&message, STR("Content-Type: message/rfc822\r\n\r\n")),
                         STATUS_OK);
    }
    assert_int_equal(buf_append(&message, STR(UE)), STATUS_OK);
    assert_int_equal(mail_downgrade(arena, STR(MV "Content-Type: message/rfc822\r\n\r\n"),
                                    buf_str(&message), &head, &body, &why),
                     STATUS_DENIED);
    assert_string_equal(why, "its parts are nested too deep");
    buf_clear(&message);
    for (unsigned i = 0; i < MAIL_DOWNGRADE_PARTS_MAX + 1; i++) {
        assert_int_equal(buf_append(&message, STR("--a\r\n\r\nx\r\n")), STATUS_OK);
    }
    assert_int_equal(buf_append(&message, STR("--a\r\n\r\n" UE "\r\n--a--")), STATUS_OK);
    assert_int_equal(mail_downgrade(arena,
                                    STR(MV "Content-Type: multipart/mixed; boundary=a\r\n\r\n"),
                                    buf_str(&message), &head, &body, &why),
                     STATUS_DENIED);
    assert_string_equal(why, "it has too many parts");
    buf_free(&message);
    buf_free(&head);
    buf_free(&body);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_soft_line_breaks),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
