#include "mail/header_downgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UE      "\xc3\xbc"
#define AUTHORS MAIL_HEADER_DOWNGRADE_AUTHORS
#define EXACT   MAIL_HEADER_DOWNGRADE_LOSSLESS

struct header_case {
    const char *name;
    unsigned flags;
    const char *field;
    const char *want; /* NULL: denied */
    const char *why;
};

static const struct header_case cases[] = {
    {"ASCII keeps its octets", 0, "Subject:  a\r\n\tb  c \r\n", "Subject:  a\r\n\tb  c \r\n", ""},
    {"a subject", 0, "Subject: Gr" UE "n is good\r\n", "Subject: =?UTF-8?Q?Gr=C3=BCn?= is good\r\n",
     ""},
    {"a run with its blanks", 0, "Subject: a " UE "bbb " UE "ccc d\r\n",
     "Subject: a =?UTF-8?Q?=C3=BCbbb_=C3=BCccc?= d\r\n", ""},
    {"a blank between two encoded words", 0, "Subject: =?UTF-8?Q?x?= ab" UE "c\r\n",
     "Subject: =?UTF-8?Q?x?= =?UTF-8?Q?_ab=C3=BCc?=\r\n", ""},
    {"an unknown field", EXACT, "X-Place: M" UE "nchen\r\n",
     "X-Place: =?UTF-8?Q?M=C3=BCnchen?=\r\n", ""},
    {"another script", 0, "Subject: \xd0\x94\xd0\xb0\r\n", "Subject: =?UTF-8?B?0JTQsA==?=\r\n", ""},
    {"marks of encoded words", 0, "Subject: " UE "=?_\"\r\n",
     "Subject: =?UTF-8?Q?=C3=BC=3D=3F=5F=22?=\r\n", ""},
    {"folded text", 0, "Subject: a\r\n b" UE "x\r\n", "Subject: a =?UTF-8?Q?b=C3=BCx?=\r\n", ""},
    {"a display name", EXACT, "From: J" UE "rg \"M. X\" <j@a.example>\r\n",
     "From: =?UTF-8?Q?J=C3=BCrg_M=2E_X?= <j@a.example>\r\n", ""},
    {"quoted, with a backslash", 0, "To: \"J" UE "rg \\\"X\" <j@a.example>\r\n",
     "To: =?UTF-8?Q?J=C3=BCrg_=22X?= <j@a.example>\r\n", ""},
    {"several", 0, "To: a@x.example,\r\n Bob" UE " <b@x.example>, \"C, c\" <c@x.example>\r\n",
     "To: a@x.example, =?UTF-8?Q?Bob=C3=BC?= <b@x.example>, \"C, c\" <c@x.example>\r\n", ""},
    {"a domain", EXACT, "From: <j@b" UE "cher.example>\r\n", "From: j@xn--bcher-kva.example\r\n",
     ""},
    {"an address", 0, "Cc: " UE "x@a.example, b@a.example\r\n",
     "Cc: =?UTF-8?Q?=C3=BCx=40a=2Eexample?= :;, b@a.example\r\n", ""},
    {"an address with a name", 0, "To: Jo <" UE "x@a.example>\r\n",
     "To: Jo =?UTF-8?Q?=C3=BCx=40a=2Eexample?= :;\r\n", ""},
    {"an address with another name", 0, "To: Jon" UE " <" UE "x@a.example>\r\n",
     "To: =?UTF-8?Q?Jon=C3=BC?= =?UTF-8?Q?_=C3=BCx=40a=2Eexample?= :;\r\n", ""},
    {"an author's address", 0, "From: " UE "x@a.example\r\n", NULL,
     "an address in its header is not ASCII"},
    {"to answer to", 0, "Reply-To: " UE "x@a.example\r\n", NULL,
     "an address in its header is not ASCII"},
    {"sent again by", 0, "Resent-From: " UE "x@a.example\r\n", NULL,
     "an address in its header is not ASCII"},
    {"an author's, for a mailbox", AUTHORS, "From: " UE "x@a.example\r\n",
     "From: =?UTF-8?Q?=C3=BCx=40a=2Eexample?= :;\r\n", ""},
    {"an address, before signing", EXACT, "To: " UE "x@a.example\r\n", NULL,
     "an address in its header is not ASCII"},
    {"a group's name", 0, "To: Empf" UE "nger:;\r\n", "To: undisclosed-recipients:;\r\n", ""},
    {"no address", 0, "To: " UE " < >\r\n", "Downgraded-To: =?UTF-8?B?w7w=?= < >\r\n", ""},
    {"no author", AUTHORS, "From: " UE " < >\r\n", NULL, "its author cannot be read"},
    {"an identifier", 0, "Message-ID: <" UE "@x>\r\n",
     "Downgraded-Message-ID: =?UTF-8?Q?=3C=C3=BC=40x=3E?=\r\n", ""},
    {"an identifier, before signing", EXACT, "References: <" UE "@x>\r\n", NULL,
     "a field of its header must not be changed"},
    {"a trace", 0, "Received: from x\r\n\tfor <" UE "x@a.example>; date\r\n",
     "Received: from x\r\n\tfor <?x@a.example>; date\r\n", ""},
    {"a trace, before signing", EXACT, "Received: from " UE "\r\n", NULL,
     "a field of its header must not be changed"},
    {"a file name", EXACT,
     "Content-Type: text/plain; charset=utf-8\r\n ; name=\"a " UE ".txt\"\r\n",
     "Content-Type: text/plain;\r\n\tcharset=utf-8;\r\n\tname*0*=UTF-8''a%20%C3%BC.txt\r\n", ""},
    {"without quotes", 0, "Content-Disposition: attachment; filename=" UE "; x=y\r\n",
     "Content-Disposition: attachment;\r\n\tfilename*0*=UTF-8''%C3%BC;\r\n\tx=y\r\n", ""},
    {"a boundary", 0, "Content-Type: multipart/mixed; boundary=" UE "\r\n", NULL,
     "a parameter of its content is not ASCII"},
    {"a kind", 0, "Content-Type: " UE "/x\r\n", NULL, "it does not say clearly what it is"},
    {"a parameter that is none", 0, "Content-Type: text/plain; " UE "\r\n", NULL,
     "a parameter of its content cannot be read"},
    {"not UTF-8", AUTHORS, "Subject: \xfc\r\n", NULL, "its header is not UTF-8"},
    {"no field", AUTHORS, UE " x\r\n", NULL, "its header has a line that is no field"},
};

static void
check(const struct header_case *c)
{
    struct arena *arena = arena_create(1 << 20);
    struct str head = arena_printf(arena, "%s\r\n", c->field);
    struct str want = arena_printf(arena, "%s\r\n", c->want != NULL ? c->want : "");
    struct buf out;
    const char *why = "";
    buf_init(&out, 65536);
    enum status status = mail_header_downgrade(arena, head, c->flags, &out, &why);
    struct str got = buf_str(&out);
    if (status != (c->want != NULL ? STATUS_OK : STATUS_DENIED) ||
        !str_eq(str_from_cstr(why), str_from_cstr(c->why)) ||
        (c->want != NULL && !str_eq(got, want))) {
        fail_msg("%s: %s \"%s\", got \"%.*s\"", c->name, status_name(status), why, STR_ARG(got));
    }
    buf_free(&out);
    arena_destroy(&arena);
}

static void
test_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i]);
    }
}

/* Long text: lines of 76 octets, words of 75, no character cut in two (RFC 2047 2 and 5). */
static void
test_long_text(void **state)
{
    static const char *const characters[] = {UE, "\xe2\x82\xac", ("a" UE), "abcdefgh \xd0\x94"};
    (void)state;
    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct buf head, out;
        const char *why = "";
        buf_init(&head, 65536);
        buf_init(&out, 65536);
        assert_int_equal(buf_append(&head, STR("Subject: ")), STATUS_OK);
        for (unsigned k = 0; k < 200; k++) {
            assert_int_equal(buf_append(&head, str_from_cstr(characters[i])), STATUS_OK);
        }
        assert_int_equal(buf_append(&head, STR("\r\n\r\n")), STATUS_OK);
        assert_int_equal(mail_header_downgrade(arena, buf_str(&head), 0, &out, &why), STATUS_OK);
        struct str rest = buf_str(&out);
        assert_true(str_is_ascii(rest));
        for (size_t end; (end = str_find(rest, STR("\r\n"))) != STR_NPOS;
             rest = str_skip(rest, end + 2)) {
            assert_true(end <= 76);
            /* A character begins the word behind its start, and none is left at its end. */
            size_t cut = str_find(str_head(rest, end), STR("?Q?=B"));
            assert_true(cut == STR_NPOS);
        }
        buf_free(&head);
        buf_free(&out);
        arena_destroy(&arena);
    }
}

static void
test_long_parameter(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct buf head, out;
    const char *why = "";
    (void)state;
    buf_init(&head, 65536);
    buf_init(&out, 65536);
    assert_int_equal(buf_append(&head, STR("Content-Type: a/b; name=")), STATUS_OK);
    for (unsigned k = 0; k < 30; k++) {
        assert_int_equal(buf_append(&head, STR(UE)), STATUS_OK);
    }
    assert_int_equal(buf_append(&head, STR("\r\n\r\n")), STATUS_OK);
    assert_int_equal(mail_header_downgrade(arena, buf_str(&head), 0, &out, &why), STATUS_OK);
    assert_true(str_find(buf_str(&out), STR(";\r\n\tname*0*=UTF-8''%C3%BC%C3")) != STR_NPOS);
    assert_true(str_find(buf_str(&out), STR(";\r\n\tname*1*=%")) != STR_NPOS);
    assert_true(str_find(buf_str(&out), STR(";\r\n\tname*3*=%")) != STR_NPOS);
    /* Out of room in every place. */
    for (size_t ceiling = 0; ceiling < buf_length(&out); ceiling++) {
        struct buf small;
        buf_init(&small, ceiling);
        assert_int_equal(mail_header_downgrade(arena, buf_str(&head), 0, &small, &why),
                         STATUS_LIMIT);
        buf_free(&small);
    }
    buf_free(&head);
    buf_free(&out);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_long_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
