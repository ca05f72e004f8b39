#include "mail/address_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* A list as "display|local|domain;...". */
static void
list_text(const struct mail_address_list *list, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const struct mail_mailbox *m = &list->items[i];
        used += (size_t)snprintf(out + used, size - used, "%s%.*s|%.*s|%.*s", i > 0 ? ";" : "",
                                 STR_ARG(m->display), STR_ARG(m->local), STR_ARG(m->domain));
    }
}

static void
test_lists(void **state)
{
    static const struct {
        struct str value;
        const char *want; /* NULL: no address list */
    } cases[] = {
        {STR_INIT("a@b.example"), "|a|b.example"},
        {STR_INIT(" <a@b>"), "|a|b"},
        {STR_INIT("Bob <a@b>"), "Bob|a|b"},
        {STR_INIT("\"Bob, the\\\" man\" <a@b>"), "\"Bob, the\\\" man\"|a|b"},
        {STR_INIT("Bob Q. Public <a.c+d@b>"), "Bob Q. Public|a.c+d|b"},
        {STR_INIT("\"a b\"@c"), "|\"a b\"|c"},
        {STR_INIT("<\"a@x\"@c>"), "|\"a@x\"|c"},
        {STR_INIT("a@[192.0.2.1]"), "|a|[192.0.2.1]"},
        {STR_INIT("a@b, C <d@e>"), "|a|b;C|d|e"},
        {STR_INIT("a@b,, ,c@d,"), "|a|b;|c|d"},
        {STR_INIT("(x) a (x) @ (x) b (x (y))"), "|a|b"},
        {STR_INIT("Bob\r\n <a@b>"), "Bob|a|b"},
        {STR_INIT("<@x,@y:a@b>"), "|a|b"},
        {STR_INIT("team: a@b, C <d@e>;"), "|a|b;C|d|e"},
        {STR_INIT("team:;"), ""},
        {STR_INIT("team: a@b;, c@d"), "|a|b;|c|d"},
        {STR_INIT("a@b, team: c@d;"), "|a|b;|c|d"},
        {STR_INIT("=?utf-8?q?caf=C3=A9?= <a@b>"), "=?utf-8?q?caf=C3=A9?=|a|b"},
        {STR_INIT("caf\xc3\xa9 <caf\xc3\xa9@b>"), "caf\xc3\xa9|caf\xc3\xa9|b"},
        {STR_INIT(""), NULL},
        {STR_INIT(","), NULL},
        {STR_INIT("Bob"), NULL},
        {STR_INIT("MAILER-DAEMON"), NULL},
        {STR_INIT("<>"), NULL},
        {STR_INIT("<a>"), NULL},
        {STR_INIT("a@"), NULL},
        {STR_INIT("@b"), NULL},
        {STR_INIT("a@b c@d"), NULL},
        {STR_INIT("a b@c"), NULL},
        {STR_INIT("a..b@c"), NULL},
        {STR_INIT(".a@b"), NULL},
        {STR_INIT("a@b."), NULL},
        {STR_INIT("a@b@c"), NULL},
        {STR_INIT("<a@b> <c@d>"), NULL},
        {STR_INIT("<a@b"), NULL},
        {STR_INIT("Bob <a@b> x"), NULL},
        {STR_INIT("\"Bob <a@b>"), NULL},
        {STR_INIT("(Bob <a@b>"), NULL},
        {STR_INIT("team: a@b"), NULL},
        {STR_INIT("team: x: a@b;;"), NULL},
        {STR_INIT("team: x: a@b;"), NULL},
        {STR_INIT("a@b;"), NULL},
        {STR_INIT("a@[b"), NULL},
        {STR_INIT("a@b\0"), NULL},
        {STR_INIT("\"a\0\" <a@b>"), NULL},
        {STR_INIT("(\0) a@b"), NULL},
        {STR_INIT("a@b\r\n "), "|a|b"},
        {STR_INIT("((((((((((((((((x)))))))))))))))) a@b"), "|a|b"},
        {STR_INIT("(((((((((((((((((x))))))))))))))))) a@b"), NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct mail_address_list list;
        char got[512] = "no list";
        enum status status = mail_address_list_parse(arena, cases[i].value, 10, &list);
        if (status == STATUS_OK) {
            list_text(&list, got, sizeof got);
        }
        bool same = cases[i].want == NULL ? status == STATUS_SYNTAX
                                          : status == STATUS_OK && strcmp(got, cases[i].want) == 0;
        if (!same) {
            fail_msg("\"%.*s\": %s", STR_ARG(cases[i].value), got);
        }
        arena_destroy(&arena);
    }
}

static void
test_limit(void **state)
{
    struct arena *arena = arena_create(65536);
    struct mail_address_list list = {.count = 4711};
    (void)state;
    assert_int_equal(mail_address_list_parse(arena, STR("a@b,c@d,e@f"), 2, &list), STATUS_LIMIT);
    assert_int_equal(list.count, 4711);
    assert_int_equal(mail_address_list_parse(arena, STR("a@b,c@d,e@f"), 3, &list), STATUS_OK);
    assert_int_equal(list.count, 3);
    arena_destroy(&arena);
    arena = arena_create(16);
    assert_int_equal(mail_address_list_parse(arena, STR("a@b"), 3, &list), STATUS_LIMIT);
    arena_destroy(&arena);
}

static void
test_truncated_at_every_octet(void **state)
{
    struct str whole = STR("\"A \\\" B\" (c (d)) <@x:e.f@g>, team: h@[::1], \"i\"@j; , k@l");
    (void)state;
    for (size_t n = 0; n <= whole.n; n++) {
        struct arena *arena = arena_create(65536);
        struct mail_address_list list;
        char *copy = malloc(n + (n == 0));
        memcpy(copy, whole.p, n);
        enum status status = mail_address_list_parse(arena, str_make(copy, n), 10, &list);
        assert_true(status == STATUS_OK || status == STATUS_SYNTAX);
        assert_true(n < whole.n || status == STATUS_OK);
        free(copy);
        arena_destroy(&arena);
    }
}

static void
test_message_ids(void **state)
{
    static const struct {
        struct str value;
        const char *want; /* NULL: no identifier */
    } cases[] = {
        {STR_INIT("<a@b>"), "<a@b>"},
        {STR_INIT(" (c) <a.b$c@[x]> (d) "), "<a.b$c@[x]>"},
        {STR_INIT("\r\n <a@b>"), "<a@b>"},
        {STR_INIT("<a@b@c>"), "<a@b@c>"},
        {STR_INIT("<caf\xc3\xa9@b>"), "<caf\xc3\xa9@b>"},
        {STR_INIT(""), NULL},
        {STR_INIT("a@b"), NULL},
        {STR_INIT("<a>"), NULL},
        {STR_INIT("<@b>"), NULL},
        {STR_INIT("<a@>"), NULL},
        {STR_INIT("<a@b"), NULL},
        {STR_INIT("<a b@c>"), NULL},
        {STR_INIT("<a@b> <c@d>"), NULL},
        {STR_INIT("<<a@b>"), NULL},
        {STR_INIT("<a@b> x"), NULL},
        {STR_INIT("<a\0@b>"), NULL},
        {STR_INIT("<a\x7f@b>"), NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str got = STR("none");
        enum status status = mail_message_id_parse(cases[i].value, &got);
        bool same = cases[i].want == NULL
                        ? status == STATUS_SYNTAX && str_eq(got, STR("none"))
                        : status == STATUS_OK && str_eq(got, str_from_cstr(cases[i].want));
        if (!same) {
            fail_msg("case %zu: %s \"%.*s\"", i, status_name(status), STR_ARG(got));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_truncated_at_every_octet),
        cmocka_unit_test(test_message_ids),
    };
    return cmocka_run_group_tests_name("mail addresses", tests, NULL, NULL);
}
