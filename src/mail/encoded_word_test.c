#include "mail/encoded_word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define FFFD        "\xef\xbf\xbd"

static void
test_decode(void **state)
{
    static const struct {
        struct str value;
        struct str want;
    } cases[] = {
        {STR_INIT("plain text"), STR_INIT("plain text")},
        {STR_INIT(""), STR_INIT("")},
        {STR_INIT("=?utf-8?q?caf=C3=A9?="), STR_INIT("caf\xc3\xa9")},
        {STR_INIT("=?UTF-8?B?Y2Fmw6k=?="), STR_INIT("caf\xc3\xa9")},
        {STR_INIT("=?utf-8*fr?Q?caf=c3=a9_au_lait?= !"), STR_INIT("caf\xc3\xa9 au lait !")},
        {STR_INIT("=?iso-8859-1?q?caf=E9?="), STR_INIT("caf\xc3\xa9")},
        {STR_INIT("=?iso-8859-15?q?5=A4?="), STR_INIT("5\xe2\x82\xac")},
        {STR_INIT("=?windows-1252?q?=80=81?="), STR_INIT("\xe2\x82\xac" FFFD)},
        {STR_INIT("=?x-unknown?q?a=E9b?="), STR_INIT("a" FFFD "b")},
        /* RFC 2047 8: the examples of display. */
        {STR_INIT("=?ISO-8859-1?Q?a?="), STR_INIT("a")},
        {STR_INIT("=?ISO-8859-1?Q?a?= b"), STR_INIT("a b")},
        {STR_INIT("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?="), STR_INIT("ab")},
        {STR_INIT("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?="), STR_INIT("ab")},
        {STR_INIT("=?ISO-8859-1?Q?a_b?="), STR_INIT("a b")},
        {STR_INIT("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), STR_INIT("a b")},
        /* A character cut in two. */
        {STR_INIT("=?utf-8?q?caf=C3?= =?utf-8?q?=A9?="), STR_INIT("caf\xc3\xa9")},
        {STR_INIT("=?utf-8?b?Y2Fmww==?= =?utf-8?q?=A9?="), STR_INIT("caf\xc3\xa9")},
        {STR_INIT("=?utf-8?q?=C3?= =?iso-8859-1?q?=A9?="), STR_INIT(FFFD "\xc2\xa9")},
        /* What is none stays. */
        {STR_INIT("=?utf-8?x?abc?="), STR_INIT("=?utf-8?x?abc?=")},
        {STR_INIT("=?utf-8?q?abc"), STR_INIT("=?utf-8?q?abc")},
        {STR_INIT("=?utf-8?q?a b?="), STR_INIT("=?utf-8?q?a b?=")},
        {STR_INIT("=??q?abc?="), STR_INIT("=??q?abc?=")},
        {STR_INIT("=?=?utf-8?q?a?="), STR_INIT("=?a")},
        {STR_INIT("a=?utf-8?q?b?=c"), STR_INIT("abc")},
        {STR_INIT("=?utf-8?q?a=4?="), STR_INIT("a=4")},
        {STR_INIT("=?utf-8?q?a=zz?="), STR_INIT("a=zz")},
        {STR_INIT("=?utf-8?b?YQ?="), STR_INIT("a")},
        {STR_INIT("=?utf-8?b?*?="), STR_INIT("")},
        /* One line, whatever was encoded. */
        {STR_INIT("=?utf-8?q?a=0D=0Ab=00=1B=09c=7F?="),
         STR_INIT("a" FFFD FFFD "b" FFFD FFFD " c" FFFD)},
        {STR_INIT("=?utf-8?q?=C2=9B?="), STR_INIT(FFFD FFFD)},
        {STR_INIT("=?iso-8859-15?q?=9B?="), STR_INIT(FFFD)},
        {STR_INIT("caf\xe9 caf\xc3\xa9 \xed\xa0\x80"),
         STR_INIT("caf" FFFD " caf\xc3\xa9 " FFFD FFFD FFFD)},
        {STR_INIT("\xf0\x9f\x98\x80"), STR_INIT("\xf0\x9f\x98\x80")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct str got = mail_text_decode(arena, cases[i].value, 1000);
        if (!str_eq(got, cases[i].want)) {
            fail_msg("case %zu: got \"%.*s\"", i, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

/* Cut at every length and truncated at every octet: always UTF-8, never longer than asked. */
static void
test_bounded_and_whole_characters(void **state)
{
    struct str whole = STR("x \xf0\x9f\x98\x80 =?utf-8?b?4oKs?= =?iso-8859-1?q?=E9?= \xc3\xa9");
    (void)state;
    for (size_t n = 0; n <= whole.n; n++) {
        char *copy = malloc(n + (n == 0));
        memcpy(copy, whole.p, n);
        for (size_t most = 0; most < 24; most++) {
            struct arena *arena = arena_create(65536);
            struct str got = mail_text_decode(arena, str_make(copy, n), most);
            assert_true(got.n <= most);
            assert_true(str_is_utf8(got));
            arena_destroy(&arena);
        }
        free(copy);
    }
    /* What did not fit ends the text, also where something behind it would fit. */
    struct arena *arena = arena_create(65536);
    assert_true(str_eq(mail_text_decode(arena, STR("=?windows-1252?q?ab=80c?="), 4), STR("ab")));
    arena_destroy(&arena);
    struct arena *tiny = arena_create(16);
    assert_null(mail_text_decode(tiny, whole, 1000).p);
    arena_destroy(&tiny);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_bounded_and_whole_characters),
    };
    return cmocka_run_group_tests_name("mail encoded words", tests, NULL, NULL);
}
