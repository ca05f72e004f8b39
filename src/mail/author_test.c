#include "mail/author.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct mail_head_limits ample = {65536, 1000};

static struct mail_author
author_of(struct arena *arena, struct str content)
{
    struct mail_head head;
    struct mail_author author;
    assert_int_equal(mail_head_parse(arena, content, &ample, &head), STATUS_OK);
    assert_int_equal(mail_author_read(arena, &head, &author), STATUS_OK);
    return author;
}

/* "kind domain" or "kind doubt". */
static const char *
author_text(struct arena *arena, struct str content)
{
    struct mail_author author = author_of(arena, content);
    const char *kind = mail_author_kind_name(author.kind);
    assert_int_equal(mail_author_is_known(&author), author.domain.n > 0);
    if (author.domain.n > 0) {
        assert_int_equal(author.doubt, MAIL_DOUBT_NONE);
        return arena_printf(arena, "%s %.*s", kind, STR_ARG(author.domain)).p;
    }
    return arena_printf(arena, "%s %s", kind, mail_author_doubt_name(author.doubt)).p;
}

struct author_case {
    struct str content;
    const char *want;
};

static void
check(const struct author_case *cases, size_t count, const char *before, const char *behind)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str content =
            arena_printf(arena, "%s%.*s%s", before, STR_ARG(cases[i].content), behind);
        /* printf would stop at a NUL */
        content = str_find_char(cases[i].content, '\0') == STR_NPOS ? content : cases[i].content;
        const char *got = author_text(arena, content);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu \"%.*s\": got \"%s\"", i, STR_ARG(cases[i].content), got);
        }
        arena_destroy(&arena);
    }
}

/* The value of the only From field. */
static const struct author_case values[] = {
    {STR_INIT("jack@mail.example"), "one mail.example"},
    {STR_INIT("Jack <jack@MAIL.Example>"), "one mail.example"},
    {STR_INIT("\"Jack\" <jack@mail.example>"), "one mail.example"},
    {STR_INIT("(Jack) jack@mail.example (at home)"), "one mail.example"},
    {STR_INIT("jack@mail.example (jack@mail.example)"), "one mail.example"},
    {STR_INIT("\r\n Jack\r\n <jack@mail.example>"), "one mail.example"},
    {STR_INIT("\"jack smith\"@mail.example"), "one mail.example"},
    {STR_INIT("jack@a_b.mail.example"), "one a_b.mail.example"},
    {STR_INIT("a@b.example, c@B.example"), "several b.example"},
    {STR_INIT("a@b.example, c@d.example"), "several_domains none"},
    {STR_INIT("a@b.example, c@x.b.example"), "several_domains none"},
    /* RFC 9989 5.3.1: U-labels become A-labels */
    {STR_INIT("j\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc"
              "cher.example>"),
     "one xn--bcher-kva.example"},
    {STR_INIT("a@b\xc3\xbc"
              "cher.example, b@xn--bcher-kva.example"),
     "several xn--bcher-kva.example"},
    /* no domain */
    {STR_INIT(""), "malformed none"},
    {STR_INIT("Jack"), "malformed none"},
    {STR_INIT("\"Test 1.1.5\""), "malformed none"},
    {STR_INIT("team:;"), "malformed none"},
    {STR_INIT("jack@[192.0.2.1]"), "malformed none"},
    {STR_INIT("jack@mail_.-x"), "malformed none"},
    {STR_INIT("a@b.example, jack@[192.0.2.1]"), "malformed none"},
    {STR_INIT("jack@\xff.example"), "malformed none"},
    /* grammar that some readers overlook */
    {STR_INIT("admin@legitimate.example <x@attack.example>"), "malformed none"},
    {STR_INIT("<x@attack.example>admin@legitimate.example"), "malformed none"},
    {STR_INIT("<admin@legitimate.example>\\,<x@attack.example>"), "malformed none"},
    {STR_INIT("<<<><joe@mail.example>>>"), "one mail.example"},
    {STR_INIT("\"(bob@bob.example)\" joe@mail.example"), "malformed none"},
    {STR_INIT("Mail From:<joe@mail.example>"), "one mail.example"},
    {STR_INIT("=?utf-8?b?PGFkbWluQGxlZ2l0aW1hdGUuZXhhbXBsZT4=?=,<x@attack.example>"),
     "malformed none"},
    {STR_INIT("admin@legitimate.example,<x@attack.example>"), "several_domains none"},
    /* grammar that readers take differently */
    {STR_INIT("<@legitimate.example,@any.example:x@attack.example>"), "ambiguous route"},
    {STR_INIT("team: a@b.example;"), "one b.example"},
    {STR_INIT("\"admin@legitimate.example\": x@attack.example;"), "ambiguous group"},
    {STR_INIT("<@b.example,@b.example:a@b.example>"), "one b.example"},
    {STR_INIT("=?utf-8?q?bob?=@attack.example"), "one attack.example"},
    {STR_INIT("=?utf-8?q?bob?= <=?utf-8?q?b=40attack.example?=@attack.example>"),
     "one attack.example"},
    {STR_INIT("x@attack.example (@bob, call me)"), "one attack.example"},
    {STR_INIT("x@attack.example (@legitimate.example)"), "ambiguous comment"},
    {STR_INIT("(<admin@legitimate.example>) x@attack.example"), "ambiguous comment"},
    {STR_INIT("x@attack.example (was admin@legitimate.example.)"), "ambiguous comment"},
    {STR_INIT("\"a\\\" <admin@legitimate.example>, \\\"\" <x@attack.example>"),
     "ambiguous quoted_address"},
    {STR_INIT("\"a \\\"x\\\" b\" <x@attack.example>"), "one attack.example"},
    {STR_INIT("\"\\a x@b.\xc3\xbc, c\" <x@b.\xc3\xbc>"), "one b.xn--tda"},
    {STR_INIT("\"admin@legitimate.example\" <x@attack.example>"), "one attack.example"},
    {STR_INIT("\"admin@legitimate.example>\"@attack.example"), "ambiguous local_part"},
    {STR_INIT("admin\xef\xbc\xa0legitimate.example@attack.example"), "ambiguous local_part"},
    {STR_INIT("caf\xe9@attack.example"), "ambiguous local_part"},
    {STR_INIT("caf\xe9 <x@attack.example>"), "one attack.example"},
    {STR_INIT("=?utf-8?q?admin=40legitimate.example?=@attack.example"), "ambiguous encoded_word"},
    {STR_INIT("=?utf-8?b?PGFkbWluQGxlZ2l0aW1hdGUuZXhhbXBsZT4=?= <x@attack.example>"),
     "ambiguous encoded_word"},
    {STR_INIT("=?utf-8?q?admin=40legitimate.example=2C?= <x@attack.example>"),
     "ambiguous encoded_word"},
    {STR_INIT("=?utf-8?q?admin=40legitimate.example=00?= <x@attack.example>"),
     "ambiguous encoded_word"},
    {STR_INIT("=?utf-8?q?M=C3=BCller=2C_Bob_(bob=40mail.example)_via_list?= <x@list.example>"),
     "one list.example"},
    {STR_INIT("=?utf-8?q?=3Cx=40attack.example=3E?= <x@attack.example>"), "one attack.example"},
    {STR_INIT("=?utf-8?q?bob=40mail.example?= <x@list.example>"), "one list.example"},
    {STR_INIT("\"=?utf-8?q?bob=40mail.example?=\"\r\n <x@list.example>"), "one list.example"},
    {STR_INIT(
         "=?utf-8?q?a?= <a@list.example>, \"bob@mail.example\" =?utf-8?q?b?=\r\n <b@list.example>"),
     "several list.example"},
    {STR_INIT("=?utf-8?q?J=C3=B6rg?= <x@ list.example>"), "one list.example"},
    {STR_INIT("=?utf-8?q?J=C3=B6rg?= <x@(at)\r\n list.example (home)>"), "one list.example"},
    {STR_INIT("=?utf-8?q?J=C3=B6rg=3Ca=40_legitimate.example=3E?= <x@list.example>"),
     "ambiguous encoded_word"},
    {STR_INIT("(=?utf-8?q?=29_=3Cadmin=40legitimate.example=3E=2C_=28?=) x@attack.example"),
     "ambiguous encoded_word"},
    {STR_INIT("\"a\x01\" <x@attack.example>"), "ambiguous control"},
    {STR_INIT("a\x7f <x@attack.example>"), "ambiguous control"},
};

/* What breaks the grammar, and names one domain to whoever reads it. */
static const struct author_case irregular[] = {
    {STR_INIT("a@b.example <a@b.example>"), "one b.example"},
    {STR_INIT("A@B.example <a@b.Example>"), "several b.example"},
    {STR_INIT("info@b.example <a@b.example>"), "several b.example"},
    {STR_INIT("a@b.example<a@b.example>"), "one b.example"},
    {STR_INIT("Bob, the man <a@b.example>"), "one b.example"},
    {STR_INIT("Meyer, Anna; sales: <a@b.example>"), "one b.example"},
    {STR_INIT("Bob: sales <a@b.example>"), "one b.example"},
    {STR_INIT("Bob [work] <a@b.example>"), "one b.example"},
    {STR_INIT("Bob (work <a@b.example>"), "one b.example"},
    {STR_INIT("Bob work) <a@b.example>"), "one b.example"},
    {STR_INIT("Bob <work> <a@b.example>"), "one b.example"},
    {STR_INIT("Bob <a@b.example> work"), "one b.example"},
    {STR_INIT("a@b.example;"), "one b.example"},
    {STR_INIT("Bob <a@b.example>;"), "one b.example"},
    {STR_INIT("<a@b.example>; <c@b.example>"), "several b.example"},
    {STR_INIT("a@b.example c@b.example"), "several b.example"},
    {STR_INIT("Bob   <  a@b.example  "), "one b.example"},
    {STR_INIT("Bob <a@b.example"), "one b.example"},
    {STR_INIT("Bob a@b.example>"), "one b.example"},
    {STR_INIT("Bob a@b.example"), "one b.example"},
    {STR_INIT("<<a@b.example>>"), "one b.example"},
    {STR_INIT("[a@b.example]"), "one b.example"},
    {STR_INIT("<a@b.example.>"), "one b.example"},
    {STR_INIT("\"Bob \"the man\" <a@b.example>"), "one b.example"},
    {STR_INIT("Bob \\<a@b.example>"), "one b.example"},
    {STR_INIT("'a@b.example' <a@b.example>"), "one b.example"},
    {STR_INIT("mailto:a@b.example"), "one b.example"},
    {STR_INIT("<mailto:a@b.example>"), "one b.example"},
    {STR_INIT("team: a@b.example"), "one b.example"},
    {STR_INIT("team: x: a@b.example;;"), "one b.example"},
    {STR_INIT(".a..b.@docomo.example"), "one docomo.example"},
    {STR_INIT("Bob <.a..b.@docomo.example>"), "one docomo.example"},
    {STR_INIT("caf\xe9, M\xfcller <a@b.example>"), "one b.example"},
    {STR_INIT("M\xc3\xbcller, caf\xc3\xa9 <a@b.example>"), "one b.example"},
    {STR_INIT("=?utf-8?q?Bob_=3Ca=40b.example=3E?="), "one b.example"},
    {STR_INIT("=?utf-8?q?Bob?= =?utf-8?q?=3Ca=40b.example=3E?="), "one b.example"},
    {STR_INIT("\"=?utf-8?q?Bob,?= <a@b.example>"), "one b.example"},
    {STR_INIT("=?utf-8?q?Bob <a@b.example>"), "one b.example"},
    {STR_INIT("Bob,\r\n the man\r\n\t<a@b.example>"), "one b.example"},
    {STR_INIT("Meyer @ Work <a@b.example>"), "one b.example"},
    {STR_INIT("Bob the @bob, me <a@b.example>"), "one b.example"},
    {STR_INIT("Bob, me @ <a@b.example>"), "one b.example"},
    {STR_INIT("a @ b.example, me <a@b.example>"), "several b.example"},
    {STR_INIT("a@(x)b.example, me <a@b.example>x"), "one b.example"},
    {STR_INIT("a@b\xc3\xbc"
              "cher.example <a@xn--bcher-kva.example>"),
     "one xn--bcher-kva.example"},
    {STR_INIT("jack@mail.example."), "one mail.example"},
    {STR_INIT("Bob, me <a@b.example_>"), "one b.example_"},
    {STR_INIT("'a@b.example <a@b.example>"), "several b.example"},
    {STR_INIT("\"x\\\"y\"@b.example, me <a@b.example>x"), "ambiguous local_part"},
    /* two domains, however they are written */
    {STR_INIT("Bob, the man <a@b.example> <c@d.example>"), "malformed none"},
    {STR_INIT("a@sub.b.example <a@b.example>"), "malformed none"},
    {STR_INIT("a@b.example <a@d.example"), "malformed none"},
    {STR_INIT("a@b.example; c@d.example"), "malformed none"},
    {STR_INIT("a@b.example@d.example"), "malformed none"},
    {STR_INIT("a@b.example .d.example, me"), "malformed none"},
    {STR_INIT("a@b.example. d.example, me"), "malformed none"},
    {STR_INIT("a@b.example(x).d.example, me"), "malformed none"},
    {STR_INIT("a@b.example.(x)d.example, me"), "malformed none"},
    {STR_INIT("a@b.example\\.d.example"), "malformed none"},
    {STR_INIT("a@b.example\x01.d.example"), "malformed none"},
    {STR_INIT("a@b.example[.d.example"), "malformed none"},
    {STR_INIT("a@[192.0.2.1] <a@b.example>"), "malformed none"},
    {STR_INIT("a@b.example <a@[192.0.2.1]>"), "malformed none"},
    {STR_INIT("a@home <a@b.example>"), "malformed none"},
    {STR_INIT("Bob @ d.example <a@b.example>"), "malformed none"},
    {STR_INIT("Bob the @d.example, me <a@b.example>"), "malformed none"},
    {STR_INIT("Bob the @d .example, me <a@b.example>"), "malformed none"},
    {STR_INIT("c @ d . example <a@b.example>"), "malformed none"},
    {STR_INIT("c @d(x).example <a@b.example>"), "malformed none"},
    {STR_INIT("c @d.(x)example <a@b.example>"), "malformed none"},
    {STR_INIT("c @d\xe3\x80\x82"
              "example me <a@b.example>"),
     "malformed none"},
    {STR_INIT("c @d\xef\xbc\x8e"
              "example me <a@b.example>"),
     "malformed none"},
    {STR_INIT("c @d\xef\xbd\xa1"
              "example me <a@b.example>"),
     "malformed none"},
    {STR_INIT("=?utf-8?q?c_=40_d_=2E_example?=, me <a@b.example>"), "malformed none"},
    {STR_INIT("Bob the @\xe4\xbd\x90\xe8\x97\xa4, me <a@b.example>"), "one b.example"},
    {STR_INIT("Bob the @d. example me <a@b.example>"), "malformed none"},
    {STR_INIT("c@\"d.example\", me <a@b.example>"), "malformed none"},
    {STR_INIT("=?utf-8?q?c=40d.example?=, me <a@b.example>"), "malformed none"},
    {STR_INIT("=?utf-8?q?c=40d.example=00?=, me <a@b.example>"), "malformed none"},
    {STR_INIT("=?utf-8?q?Bob_=3Cc=40d.example=3E?="), "one d.example"},
    {STR_INIT("c\xef\xbc\xa0"
              "d.example, me <a@b.example>"),
     "malformed none"},
    {STR_INIT("c\xef\xb9\xab"
              "d.example, me <a@b.example>"),
     "malformed none"},
    {STR_INIT("\"c@d.example\" x, me <a@b.example>"), "malformed none"},
    {STR_INIT("(c@d.example) x, me <a@b.example>"), "malformed none"},
    {STR_INIT("a@(b.example, me"), "malformed none"},
    {STR_INIT("@b.example, me"), "malformed none"},
    {STR_INIT("\"c@b.example>\"@b.example, me <a@b.example>x"), "ambiguous local_part"},
    {STR_INIT("Bob\x01, me <a@b.example>"), "ambiguous control"},
};

static void
test_values(void **state)
{
    (void)state;
    check(values, COUNT_OF(values), "Subject: x\r\nFrom: ", "\r\nTo: a@b\r\n\r\nFrom: y@z\r\n");
    check(irregular, COUNT_OF(irregular), "From: ", "\r\n\r\n");
}

/* Whole headers. */
static const struct author_case heads[] = {
    {STR_INIT("\r\n"), "none none"},
    {STR_INIT("From: x@a.example\r\n\r\n"), "one a.example"},
    {STR_INIT("fROM: x@a.example\r\n\r\n"), "one a.example"},
    {STR_INIT("Sender: x@a.example\r\nResent-From: x@a.example\r\n\r\n"), "none none"},
    {STR_INIT("From: x@a.example\r\nFrom: x@a.example\r\n\r\n"), "several_fields none"},
    {STR_INIT("From: x@a.example\r\nFROM: y@b.example\r\n\r\n"), "several_fields none"},
    {STR_INIT("From: x@a.example\r\nFrom : y@b.example\r\n\r\n"), "several_fields none"},
    {STR_INIT("From : x@a.example\r\n\r\n"), "one a.example"},
    {STR_INIT("From \t: Bob, me <x@a.example>\r\n\r\n"), "one a.example"},
    {STR_INIT(" From: x@a.example\r\nFrom: y@b.example\r\n\r\n"), "several_fields hidden_field"},
    {STR_INIT("From\r\n : x@a.example\r\nFrom: y@b.example\r\n\r\n"),
     "several_fields hidden_field"},
    {STR_INIT("From\r\n : x@a.example\r\nSender: y@b.example\r\n\r\n"), "none hidden_field"},
    {STR_INIT("Junk\r\n From: x@a.example\r\nFrom: y@b.example\r\n\r\n"),
     "several_fields hidden_field"},
    {STR_INIT("Subject: a\nFrom: x@a.example\r\nFrom: y@b.example\r\n\r\n"),
     "several_fields hidden_field"},
    {STR_INIT("Subject: a\rFrom: x@a.example\r\nFrom: y@b.example\r\n\r\n"),
     "several_fields hidden_field"},
    {STR_INIT("Subject: a\0From: x@a.example\r\nFrom: y@b.example\r\n\r\n"),
     "several_fields hidden_field"},
    {STR_INIT("From\0: x@a.example\r\n\r\n"), "none hidden_field"},
    /* a signature lists From on a folded line */
    {STR_INIT("DKIM-Signature: h=To:\r\n\tFrom:Subject\r\nFrom: y@b.example\r\n\r\n"),
     "one b.example"},
    {STR_INIT("Junk\r\nFrom: y@b.example\r\n\r\n"), "ambiguous header_end"},
    {STR_INIT("A: b\r\n \r\nFrom: y@b.example\r\n\r\n"), "one b.example"},
    {STR_INIT("A: b\r\nFrom: \r\n \t\r\n y@b.example\r\n\r\n"), "one b.example"},
    {STR_INIT("From: \"a\r\n b\\\"\r\n c\"\r\n \r\n <y@b.example>\r\n\r\n"), "one b.example"},
    {STR_INIT("From: \"a\r\n \t\r\n b\" <y@b.example>\r\n\r\n"), "ambiguous header_end"},
    {STR_INIT("A: b\n\nFrom\r\nFrom: y@b.example\r\n\r\n"), "ambiguous header_end"},
    {STR_INIT("From: y@b.example\r\nJunk\r\n\r\n"), "one b.example"},
    {STR_INIT("From: y@b.example\r\nA: b\r\n \r\n\r\n"), "one b.example"},
    {STR_INIT("From: y@b.example\0\r\n\r\n"), "malformed none"},
    {STR_INIT("From: (\0) y@b.example\r\n\r\n"), "ambiguous header_end"},
};

static void
test_heads(void **state)
{
    (void)state;
    check(heads, COUNT_OF(heads), "", "");
}

static void
test_what_is_kept(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct mail_author author =
        author_of(arena, STR("From: Jack <Jack@a.example>\r\nFrom: y@b.example\r\n\r\n"));
    (void)state;
    assert_int_equal(author.field_count, 2);
    assert_int_equal(author.field->offset, 0);
    assert_int_equal(author.mailbox_count, 1);
    assert_true(str_eq(author.mailboxes[0].local, STR("Jack")));
    assert_true(str_eq(author.mailboxes[0].domain, STR("a.example")));
    arena_destroy(&arena);
}

/* A user is asked about each address that somebody could take for his. */
static void
test_what_could_be_read(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct mail_author author =
        author_of(arena, STR("From: ceo@a.example \"x y\"@A.example 'b@a.example' <b@a.example>\r\n"
                             "\r\n"));
    (void)state;
    assert_true(author.irregular);
    assert_int_equal(author.mailbox_count, 3);
    assert_true(str_eq(author.mailboxes[0].local, STR("ceo")));
    assert_true(str_eq(author.mailboxes[1].local, STR("\"x y\"")));
    assert_true(str_eq(author.mailboxes[2].local, STR("b")));
    author = author_of(arena, STR("From: b@a.example\r\n\r\n"));
    assert_false(author.irregular);
    arena_destroy(&arena);
}

static void
test_limits(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct mail_head head;
    struct mail_author author = {.field_count = 4711};
    size_t used = 6;
    char *text = arena_alloc(arena, 16 + 4 * (MAIL_AUTHORS_MAX + 1));
    (void)state;
    memcpy(text, "From: ", used);
    for (size_t i = 0; i <= MAIL_AUTHORS_MAX; i++) {
        memcpy(text + used, "a@b,", 4);
        used += 4;
    }
    memcpy(text + used, "\r\n\r\n", 4);
    assert_int_equal(mail_head_parse(arena, str_make(text, used + 4), &ample, &head), STATUS_OK);
    /* what the message will be at the next trial too */
    assert_int_equal(mail_author_read(arena, &head, &author), STATUS_OK);
    assert_int_equal(author.kind, MAIL_AUTHOR_MALFORMED);
    assert_int_equal(author.field_count, 1);
    author.field_count = 4711;
    struct arena *small = arena_create(64);
    /* exactly as many as there may be: it is the arena that is full */
    memcpy(text + used - 4, "\r\n\r\n", 4);
    assert_int_equal(mail_head_parse(arena, str_make(text, used), &ample, &head), STATUS_OK);
    assert_int_equal(mail_author_read(small, &head, &author), STATUS_LIMIT);
    assert_int_equal(mail_head_parse(arena, STR("From: a@b, c@b\r\n\r\n"), &ample, &head),
                     STATUS_OK);
    assert_int_equal(mail_author_read(small, &head, &author), STATUS_LIMIT);
    assert_int_equal(author.field_count, 4711);
    arena_destroy(&small);
    arena_destroy(&arena);
}

/* "From: all of us" and so many addresses, without anything between them. */
static enum mail_author_kind
kind_of_many(size_t count)
{
    struct arena *arena = arena_create(8u << 20);
    struct buf text;
    struct mail_head head;
    struct mail_author author;
    buf_init(&text, 65536);
    assert_int_equal(buf_append(&text, STR("From: all of us")), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(buf_printf(&text, " a%zu@b.example", i), STATUS_OK);
    }
    assert_int_equal(buf_append(&text, STR("\r\n\r\n")), STATUS_OK);
    assert_int_equal(mail_head_parse(arena, buf_str(&text), &ample, &head), STATUS_OK);
    assert_int_equal(mail_author_read(arena, &head, &author), STATUS_OK);
    buf_free(&text);
    arena_destroy(&arena);
    return author.kind;
}

static void
test_many_loosely(void **state)
{
    (void)state;
    assert_int_equal(kind_of_many(MAIL_AUTHORS_MAX), MAIL_AUTHOR_SEVERAL);
    assert_int_equal(kind_of_many(MAIL_AUTHORS_MAX + 1), MAIL_AUTHOR_MALFORMED);
}

/* "From: " + before + n times c + behind */
static enum mail_author_kind
kind_of_large(const char *before, char c, size_t n, const char *behind)
{
    static const struct mail_head_limits large = {1u << 20, 1000};
    struct arena *arena = arena_create(8u << 20);
    struct mail_head head;
    struct mail_author author;
    char *fill = arena_alloc(arena, n);
    assert_non_null(fill);
    memset(fill, c, n);
    struct str text = arena_printf(arena, "%s%.*s%s\r\n\r\n", before, (int)n, fill, behind);
    assert_int_equal(mail_head_parse(arena, text, &large, &head), STATUS_OK);
    assert_int_equal(mail_author_read(arena, &head, &author), STATUS_OK);
    arena_destroy(&arena);
    return author.kind;
}

/* What would take minutes if text were read again for each of its characters. */
static void
test_large(void **state)
{
    static const char *const name = "From: \"=?x ";
    static const char *const address = "\" <ceo@a>";
    size_t around = strlen(name) + strlen(address) + 2;
    (void)state;
    assert_int_equal(kind_of_large(name, '@', MAIL_AUTHOR_FIELD_MAX - around, address),
                     MAIL_AUTHOR_ONE);
    assert_int_equal(kind_of_large(name, '@', MAIL_AUTHOR_FIELD_MAX - around + 1, address),
                     MAIL_AUTHOR_MALFORMED);
    assert_int_equal(kind_of_large(name, '@', 248u << 10, address), MAIL_AUTHOR_MALFORMED);
    assert_int_equal(kind_of_large("From: a@b\r\nX: ", '\r', 900u << 10, "x"), MAIL_AUTHOR_ONE);
    assert_int_equal(kind_of_large("From: a@b\r\nX: ", '\r', 900u << 10, "From:"),
                     MAIL_AUTHOR_SEVERAL_FIELDS);
}

static void
test_domains(void **state)
{
    static const struct {
        struct str domain;
        const char *want; /* NULL: none */
    } cases[] = {
        {STR_INIT("Example.COM"), "example.com"},
        {STR_INIT("b\xc3\xbc"
                  "cher.example"),
         "xn--bcher-kva.example"},
        {STR_INIT("_x.example.com"), "_x.example.com"},
        {STR_INIT("localhost"), "localhost"},
        {STR_INIT(""), NULL},
        {STR_INIT("example.com."), NULL},
        {STR_INIT("a..b"), NULL},
        {STR_INIT("legitimate.com'a.attack.com"), NULL},
        {STR_INIT("legitimate.com\0.attack.com"), NULL},
        {STR_INIT("a b.example"), NULL},
        {STR_INIT("[192.0.2.1]"), NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct str got = STR("");
        enum status status = mail_domain_normalize(arena, cases[i].domain, &got);
        const char *want = cases[i].want != NULL ? cases[i].want : "";
        if ((status == STATUS_OK) != (cases[i].want != NULL) || !str_eq(got, str_from_cstr(want))) {
            fail_msg("case %zu: %s \"%.*s\"", i, status_name(status), STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_heads),
        cmocka_unit_test(test_what_is_kept), cmocka_unit_test(test_what_could_be_read),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_domains),
        cmocka_unit_test(test_large),        cmocka_unit_test(test_many_loosely),
    };
    return cmocka_run_group_tests_name("mail author", tests, NULL, NULL);
}
