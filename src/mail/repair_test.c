#include "mail/repair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct mail_head_limits ample = {65536, 1000};

/* "name:count@offset ..." */
static const char *
notes_text(struct arena *arena, const struct mail_repair_notes *notes)
{
    struct str text = STR("");
    for (size_t i = 0; i < notes->count; i++) {
        text = arena_printf(arena, "%.*s%s%s:%zu@%zu", STR_ARG(text), i > 0 ? " " : "",
                            mail_repair_name(notes->items[i].repair), notes->items[i].count,
                            notes->items[i].offset);
    }
    return arena_cstr(arena, text);
}

static struct mail_repair_input
input_of(const struct mail_head *head, struct str content)
{
    return (struct mail_repair_input){.head = head,
                                      .content = content,
                                      .limits = &ample,
                                      .sender = STR("scan@dev.example"),
                                      .domain = STR("dom.example")};
}

struct repair_case {
    struct str content;
    const char *want;  /* head, "|", body */
    const char *notes; /* "": the message is as it was */
};

#define FROM "From: a@b.example\r\n"
#define REST "\r\nbody\r\n"

static const struct repair_case cases[] = {
    {STR_INIT(FROM "Subject: x\r\n" REST), FROM "Subject: x\r\n\r\n|body\r\n", ""},
    /* a header without separator, and none at all */
    {STR_INIT(FROM "Scan of today\r\nSecond line\r\n\r\nmore\r\n"),
     FROM "\r\n|Scan of today\r\nSecond line\r\n\r\nmore\r\n", "header_end:1@19"},
    {STR_INIT(FROM "Scan of today\r\nFrom: x@y\r\n\r\n"),
     FROM "\r\n|Scan of today\r\nFrom: x@y\r\n\r\n", "header_end:1@19"},
    {STR_INIT("Scan of today\r\nbody\r\n"),
     "From: <scan@dev.example>\r\n\r\n|Scan of today\r\nbody\r\n", "header_end:1@0 from:1@0"},
    {STR_INIT(" a\r\nbody\r\n"), "From: <scan@dev.example>\r\n\r\n| a\r\nbody\r\n",
     "header_end:1@0 from:1@0"},
    {STR_INIT("\r\nbody\r\n"), "From: <scan@dev.example>\r\n\r\n|body\r\n", "from:1@0"},
    {STR_INIT(FROM "last line"), FROM "\r\n|last line", "header_end:1@19"},
    {STR_INIT(FROM ": x\r\n" REST), FROM "\r\n|: x\r\n\r\nbody\r\n", "header_end:1@19"},
    {STR_INIT(FROM "X Job Name: 5\r\n" REST), FROM "\r\n|X Job Name: 5\r\n\r\nbody\r\n",
     "header_end:1@19"},
    /* mbox lines */
    {STR_INIT("From a@b Mon Jan  1 10:00:00 2026\r\n" FROM REST), FROM "\r\n|body\r\n",
     "mbox_line:1@0"},
    {STR_INIT(">From a@b Mon Jan  1 10:00:00 2026\r\n" FROM REST), FROM "\r\n|body\r\n",
     "mbox_line:1@0"},
    {STR_INIT("From a@b\r\n" FROM "Junk\r\n" REST), FROM "\r\n|Junk\r\n\r\nbody\r\n",
     "mbox_line:1@0 header_end:1@29"},
    {STR_INIT(FROM "From a@b Mon Jan  1 10:00:00 2026\r\n" REST),
     FROM "\r\n|From a@b Mon Jan  1 10:00:00 2026\r\n\r\nbody\r\n", "header_end:1@19"},
    /* names */
    {STR_INIT(FROM "Reply To: x@y\r\nmessage  id : <a@b>\r\n" REST),
     FROM "Reply-To: x@y\r\nmessage-id: <a@b>\r\n\r\n|body\r\n", "field_name:2@19"},
    {STR_INIT(FROM "Content Type: a/b;\r\n\tc=d\r\nJunk\r\n" REST),
     FROM "Content-Type: a/b;\r\n\tc=d\r\n\r\n|Junk\r\n\r\nbody\r\n",
     "header_end:1@45 field_name:1@19"},
    {STR_INIT(" Reply To: x\r\n" FROM REST),
     "From: <scan@dev.example>\r\n\r\n| Reply To: x\r\n" FROM "\r\nbody\r\n",
     "header_end:1@0 from:1@0"},
    {STR_INIT(FROM "Content Transfer Encoding: 8bit\r\n" REST),
     FROM "Content-Transfer-Encoding: 8bit\r\n\r\n|body\r\n", "field_name:1@19"},
    {STR_INIT("From : a@b.example\r\nJunk\r\n"), "From: a@b.example\r\n\r\n|Junk\r\n",
     "header_end:1@20 blank_in_name:1@0"},
    {STR_INIT("From : a@b.example\r\nSubject\t: x\r\n" REST), FROM "Subject: x\r\n\r\n|body\r\n",
     "blank_in_name:2@0"},
    /* lines of blanks */
    {STR_INIT("Subject: a\r\n \t\r\n b\r\n \r\n" FROM REST),
     "Subject: a\r\n b\r\n" FROM "\r\n|body\r\n", "blank_fold:1@0"},
    {STR_INIT("Subject:\r\n \r\n\t\r\n" FROM REST), "Subject: \r\n" FROM "\r\n|body\r\n",
     "blank_fold:1@0"},
    {STR_INIT("Subject: a\r\n b\r\n" FROM REST), "Subject: a\r\n b\r\n" FROM "\r\n|body\r\n", ""},
    /* characters */
    {STR_INIT(FROM "Subject: a\x07"
                   "b\x7f\r\n" REST),
     FROM "Subject: a b \r\n\r\n|body\r\n", "control:1@19"},
    {STR_INIT(FROM "Subject: Caf\xe9 am Gr\xfc"
                   "nen Tor\r\n" REST),
     FROM
     "Subject: =?windows-1252?B?Q2Fm6Q==?= am =?windows-1252?B?R3L8bmVu?= Tor\r\n\r\n|body\r\n",
     "8bit:1@19"},
    {STR_INIT(FROM "Subject: \xe9 \xe9\r\n" REST),
     FROM "Subject: =?windows-1252?B?6SDp?=\r\n\r\n|body\r\n", "8bit:1@19"},
    {STR_INIT(FROM "Subject: Caf\xc3\xa9\r\n" REST),
     FROM "Subject: =?UTF-8?B?Q2Fmw6k=?=\r\n\r\n|body\r\n", "8bit:1@19"},
    {STR_INIT("From: M\xfcller <a@b.example>\r\n" REST),
     "From: =?windows-1252?B?TfxsbGVy?= <a@b.example>\r\n\r\n|body\r\n", "8bit:1@0"},
    {STR_INIT("From: \"M\xfcller, A\\\\\" <a@b.example>\r\n" REST),
     "From: =?windows-1252?B?TfxsbGVyLCBBXA==?= <a@b.example>\r\n\r\n|body\r\n", "8bit:1@0"},
    {STR_INIT("From: M\xfcller<a@b.example>\r\n" REST),
     "From: =?windows-1252?B?TfxsbGVy?= <a@b.example>\r\n\r\n|body\r\n", "8bit:1@0"},
    {STR_INIT(FROM "To: a@b (M\xfcller), \xe9@x\r\n" REST),
     FROM "To: a@b (=?windows-1252?B?TfxsbGVy?= ), \xe9@x\r\n\r\n|body\r\n", "8bit:1@19"},
    /* repeated: the first stays */
    {STR_INIT(FROM "MIME-Version: 1.0\r\nContent-Type: a/b\r\nMime-version: 1.0\r\n"
                   "Content-Type: c/d\r\nSubject: a\r\nSubject: b\r\nDate: x\r\nDate: y\r\n" REST),
     FROM "MIME-Version: 1.0\r\nContent-Type: a/b\r\nSubject: a\r\nDate: x\r\n\r\n|body\r\n",
     "repeated:4@57"},
    {STR_INIT(FROM "X: a\r\nX: a\r\nReceived: a\r\nReceived: a\r\n" REST),
     FROM "X: a\r\nX: a\r\nReceived: a\r\nReceived: a\r\n\r\n|body\r\n", ""},
    {STR_INIT(FROM FROM REST), FROM "\r\n|body\r\n", "repeated:1@19"},
    {STR_INIT(FROM "From: c@b.example\r\n" REST), FROM "From: c@b.example\r\n\r\n|body\r\n", ""},
    {STR_INIT(FROM "Sender: a@b\r\nSender: c@b\r\n" REST),
     FROM "Sender: a@b\r\nSender: c@b\r\n\r\n|body\r\n", ""},
    /* authors without a domain */
    {STR_INIT("From: scanner\r\n" REST), "From: <scanner@dom.example>\r\n\r\n|body\r\n",
     "domain:1@0"},
    {STR_INIT("From: root (Cron Daemon)\r\n" REST),
     "From: <root@dom.example> (Cron Daemon)\r\n\r\n|body\r\n", "domain:1@0"},
    {STR_INIT("From: root (root@host)\r\n" REST),
     "From: <root@dom.example> (root@host)\r\n\r\n|body\r\n", "domain:1@0"},
    {STR_INIT("From: scan@[192.0.2.7]\r\n" REST), "From: <scan@dom.example>\r\n\r\n|body\r\n",
     "domain:1@0"},
    {STR_INIT("From: Scan <scan@[192.0.2.7]>\r\n" REST),
     "From: Scan <scan@dom.example>\r\n\r\n|body\r\n", "domain:1@0"},
    {STR_INIT("From:\r\n" REST), "From: <scan@dev.example>\r\n\r\n|body\r\n", "from:1@0"},
    {STR_INIT("From: <>\r\n" REST), "From: <scan@dev.example>\r\n\r\n|body\r\n", "from:1@0"},
    {STR_INIT("From: (nobody)\r\n" REST), "From: \"nobody\" <scan@dev.example>\r\n\r\n|body\r\n",
     "from:1@0"},
    {STR_INIT("From: Floor 2, \"Scan\" <>\r\n" REST),
     "From: \"Floor 2 Scan\" <scan@dev.example>\r\n\r\n|body\r\n", "from:1@0"},
    {STR_INIT("From: =?utf-8?Q?B=C3=BCro?= 2\r\n" REST),
     "From: =?utf-8?Q?B=C3=BCro?= 2 <scan@dev.example>\r\n\r\n|body\r\n", "from:1@0"},
    {STR_INIT("From: <scanner>\r\n" REST), "From: <scanner@dom.example>\r\n\r\n|body\r\n",
     "domain:1@0"},
    {STR_INIT("From: \"Scanner 2\" <scan-2.x>\r\nSender: scan\r\n" REST),
     "From: \"Scanner 2\" <scan-2.x@dom.example>\r\nSender: <scan@dom.example>\r\n\r\n|body\r\n",
     "domain:2@0"},
    {STR_INIT("From: Big Scanner\r\n" REST),
     "From: \"Big Scanner\" <scan@dev.example>\r\n\r\n|body\r\n", "from:1@0"},
    {STR_INIT("From: a@b.example <scan>\r\n" REST), "From: a@b.example <scan>\r\n\r\n|body\r\n",
     ""},
    {STR_INIT(FROM "To: bob\r\n" REST), FROM "To: bob\r\n\r\n|body\r\n", ""},
    {STR_INIT("Subject: x\r\n" REST), "From: <scan@dev.example>\r\nSubject: x\r\n\r\n|body\r\n",
     "from:1@0"},
    /* everything at once, in one field too */
    {STR_INIT("Reply To : caf\xe9\x01\r\n \r\n <x@y>\r\nFrom : scanner\r\nJunk"),
     "Reply-To: =?windows-1252?B?Y2Fm6Q==?= \r\n <x@y>\r\nFrom: <scanner@dom.example>\r\n\r\n|Junk",
     "header_end:1@45 field_name:1@0 blank_in_name:1@28 blank_fold:1@0 control:1@0 8bit:1@0 "
     "domain:1@28"},
    /* what could be two fields afterwards stays as it is, and is refused by who looks at it */
    {STR_INIT(FROM "Subject: a\rb\x07\r\n" REST), FROM "Subject: a\rb\x07\r\n\r\n|body\r\n",
     "control:1@19"},
};

static void
test_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct mail_head head;
        struct mail_repaired mended;
        assert_int_equal(mail_head_parse(arena, cases[i].content, &ample, &head), STATUS_OK);
        struct mail_repair_input input = input_of(&head, cases[i].content);
        assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
        struct str got = arena_printf(arena, "%.*s|%.*s", STR_ARG(mended.head.raw),
                                      STR_ARG(str_skip(cases[i].content, mended.body_offset)));
        const char *notes = notes_text(arena, &mended.notes);
        if (!str_eq(got, str_from_cstr(cases[i].want)) || strcmp(notes, cases[i].notes) != 0) {
            fail_msg("case %zu: \"%.*s\" \"%s\"", i, STR_ARG(got), notes);
        }
        arena_destroy(&arena);
    }
}

/* A signature stays whole but for what would be refused, or read in two ways. */
static void
test_signed(void **state)
{
    static const struct repair_case signed_cases[] = {
        {STR_INIT("DKIM-Signature: x\r\nSubject: a\r\n \r\n" FROM "X: a\r\n \r\nY : b\r\n"
                  "Z: \xc3\xa9\r\n\r\n"),
         "DKIM-Signature: x\r\nSubject: a\r\n" FROM "X: a\r\n \r\nY : b\r\nZ: \xc3\xa9\r\n\r\n|",
         "blank_fold:1@19"},
        {STR_INIT("DKIM-Signature: x\r\n" FROM "Z: \xe9\r\nTo: a\r\nTo: b\r\n\r\n"),
         "DKIM-Signature: x\r\n" FROM "Z: =?windows-1252?B?6Q==?=\r\nTo: a\r\n\r\n|",
         "8bit:1@38 repeated:1@51"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(signed_cases); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct mail_head head;
        struct mail_repaired mended;
        assert_int_equal(mail_head_parse(arena, signed_cases[i].content, &ample, &head), STATUS_OK);
        struct mail_repair_input input = input_of(&head, signed_cases[i].content);
        assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
        struct str got = arena_printf(arena, "%.*s|", STR_ARG(mended.head.raw));
        const char *notes = notes_text(arena, &mended.notes);
        if (!str_eq(got, str_from_cstr(signed_cases[i].want)) ||
            strcmp(notes, signed_cases[i].notes) != 0) {
            fail_msg("case %zu: \"%.*s\" \"%s\"", i, STR_ARG(got), notes);
        }
        arena_destroy(&arena);
    }
}

static void
test_what_cannot_be_added(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct mail_head head;
    struct mail_repaired mended;
    (void)state;
    /* of the null path no author can be made, and without a domain none completed */
    struct str content = STR("Subject: x\r\n\r\n");
    assert_int_equal(mail_head_parse(arena, content, &ample, &head), STATUS_OK);
    struct mail_repair_input input = input_of(&head, content);
    input.sender = STR("");
    assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
    assert_int_equal(mended.notes.count, 0);
    input.sender = STR("\xc3\xa9@dev.example");
    assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
    assert_int_equal(mended.notes.count, 0);
    content = STR("From: scanner\r\n\r\n");
    assert_int_equal(mail_head_parse(arena, content, &ample, &head), STATUS_OK);
    input = input_of(&head, content);
    input.domain = STR("");
    assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
    assert_string_equal(notes_text(arena, &mended.notes), "from:1@0"); /* the sender's is one */
    input.sender = STR("");
    assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
    assert_int_equal(mended.notes.count, 0);
    /* UTF-8 is regular where it was announced; other octets are not */
    content = STR(FROM "Subject: \xc3\xa9\r\nX: \xe9\r\n\r\n");
    assert_int_equal(mail_head_parse(arena, content, &ample, &head), STATUS_OK);
    input = input_of(&head, content);
    input.smtputf8 = true;
    assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
    assert_string_equal(notes_text(arena, &mended.notes), "8bit:1@32");
    arena_destroy(&arena);
}

/* Words of at most 75 octets, each on a line, cut between characters. */
static void
test_long_text(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct mail_head head;
    struct mail_repaired mended;
    struct buf text;
    (void)state;
    buf_init(&text, 4096);
    assert_int_equal(buf_append(&text, STR(FROM "Subject: ")), STATUS_OK);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(buf_append(&text, STR("\xc3\xa9")), STATUS_OK);
    }
    assert_int_equal(buf_append(&text, STR("\r\n\r\n")), STATUS_OK);
    assert_int_equal(mail_head_parse(arena, buf_str(&text), &ample, &head), STATUS_OK);
    struct mail_repair_input input = input_of(&head, buf_str(&text));
    assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
    struct str value = mail_head_value(arena, &mended.head, MAIL_FIELD_SUBJECT);
    struct str word;
    size_t words = 0;
    while (value.n > 0) {
        str_cut(value, ' ', &word, &value);
        assert_true(word.n <= 75 && str_starts_with(word, STR("=?UTF-8?B?w6nD")) &&
                    str_ends_with(word, STR("?=")));
        words++;
    }
    assert_int_equal(words, 6);
    buf_free(&text);
    arena_destroy(&arena);
}

/* Of anybody's message only what is obsolete. */
static void
test_obsolete(void **state)
{
    static const struct {
        struct str content;
        bool only_needed;
        const char *want;
    } rows[] = {
        {STR_INIT("A: b\r\n \r\n" FROM "X : y\r\n\t\r\nSubject: \xe9\r\nSubject: z\r\n\r\n"), false,
         "A: b\r\n" FROM "X: y\r\nSubject: \xe9\r\nSubject: z\r\n\r\n"},
        {STR_INIT("A: b\r\n \r\n" FROM "X : y\r\n\t\r\n\r\n"), true,
         "A: b\r\n" FROM "X : y\r\n\t\r\n\r\n"},
        {STR_INIT("X : y\r\nFrom : a@b.example\r\n \r\nX : z\r\n\r\n"), true,
         "X: y\r\n" FROM "X : z\r\n\r\n"},
        {STR_INIT("X : y\r\n\r\n"), true, "X: y\r\n\r\n"},
        {STR_INIT("Bad line\r\nX : y\r\n\r\n"), false, "Bad line\r\nX: y\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct mail_head head;
        struct mail_edits edits;
        assert_int_equal(mail_head_parse(arena, rows[i].content, &ample, &head), STATUS_OK);
        mail_edits_init(&edits, arena, &head);
        assert_int_equal(mail_repair_obsolete(&edits, rows[i].only_needed), STATUS_OK);
        struct str got = mail_edits_apply(&edits);
        if (!str_eq(got, str_from_cstr(rows[i].want))) {
            fail_msg("case %zu: \"%.*s\"", i, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

/* A message cut off anywhere is mended, or left alone, within its octets. */
static void
test_cut_anywhere(void **state)
{
    struct str whole =
        STR("From x\r\nReply To : \"caf\xe9\\\" \x01\" <x@y>\r\n \r\nFrom: =?x \xc3\xa9 scan\r\n"
            "Subject: a\r\nSubject: b\r\nJunk\r\nbody");
    (void)state;
    for (size_t n = 0; n <= whole.n; n++) {
        struct arena *arena = arena_create(1 << 20);
        struct mail_head head;
        struct mail_repaired mended;
        char *copy = malloc(n + (n == 0));
        memcpy(copy, whole.p, n);
        struct str content = str_make(copy, n);
        assert_int_equal(mail_head_parse(arena, content, &ample, &head), STATUS_OK);
        struct mail_repair_input input = input_of(&head, content);
        assert_int_equal(mail_repair_own(arena, &input, &mended), STATUS_OK);
        assert_true(mended.body_offset <= n);
        free(copy);
        arena_destroy(&arena);
    }
}

static void
test_full_arena(void **state)
{
    struct str content = STR("Reply To: \xe9\x01\r\n \r\nSubject: a\r\nSubject: b\r\nJunk\r\n");
    struct arena *arena = arena_create(1 << 20);
    struct mail_head head;
    bool done = false;
    (void)state;
    assert_int_equal(mail_head_parse(arena, content, &ample, &head), STATUS_OK);
    for (size_t size = 16; size < 65536 && !done; size += 64) {
        struct arena *small = arena_create(size);
        struct mail_repaired mended = {.body_offset = 4711};
        struct mail_repair_input input = input_of(&head, content);
        enum status status = mail_repair_own(small, &input, &mended);
        assert_true(status == STATUS_OK || (status == STATUS_LIMIT && mended.body_offset == 4711));
        done = status == STATUS_OK;
        arena_destroy(&small);
    }
    assert_true(done);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_long_text),  cmocka_unit_test(test_what_cannot_be_added),
        cmocka_unit_test(test_obsolete),   cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_full_arena),
    };
    return cmocka_run_group_tests_name("mail repair", tests, NULL, NULL);
}
