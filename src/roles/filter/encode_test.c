/* What is encoded before it is signed, and what stays as it is. */
#include "roles/filter/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mail/long_lines.h"
#include "smtp/envelope.h"

#define TEXT "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
#define HAND "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n"
#define EACH "\xc3\xa9" /* é */

static const struct {
    const char *head;
    const char *body;
    uint64_t size_most;
    bool wanted;
    const char *body_out;
    const char *trace; /* NULL: nothing was to be told */
} cases[] = {
    {TEXT "\r\n", "caf" EACH "\r\n", 1000, true, "caf=C3=A9\r\n",
     "event=content_encoded why=signing\n"},
    {TEXT "\r\n", "cafe\r\n", 1000, true, "cafe\r\n", NULL},
    {TEXT "\r\n", "caf" EACH "\r\n", 1000, false, "caf" EACH "\r\n", NULL},
    {TEXT "\r\n", "caf" EACH "\r\n", 10, true, "caf" EACH "\r\n",
     "event=content_encoded why=signing problem=\"it would be too large\"\n"},
    {TEXT "\r\n", "caf" EACH "\n", 1000, true, "caf" EACH "\n",
     "event=content_encoded why=signing problem=\"it has bare line ends\"\n"},
    {HAND "\r\n", "--b\r\n\r\n" EACH "\r\n--b--\r\n", 1000, true,
     "--b\r\n\r\n" EACH "\r\n--b--\r\n",
     "event=content_encoded why=signing problem=\"a part is signed or encrypted and must not be "
     "changed\"\n"},
};

static void
check(size_t i, struct arena *arena)
{
    struct config config = {.limits.message_size = cases[i].size_most,
                            .authentication.dkim.encode_8bit = cases[i].wanted};
    struct outgoing_input input = {.arena = arena, .config = &config};
    struct outgoing_copy copy = {.flags = SMTP_MESSAGE_8BITMIME | SMTP_MESSAGE_HAS_8BIT,
                                 .head = str_from_cstr(cases[i].head),
                                 .body = str_from_cstr(cases[i].body)};
    bool const is_new = strcmp(cases[i].body, cases[i].body_out) != 0;
    struct trace trace;
    struct buf text;
    trace_init(&trace, NULL);
    buf_init(&text, 1000);
    assert_int_equal(filter_encode(&input, &copy, &trace), STATUS_OK);
    if (!str_eq(copy.body, str_from_cstr(cases[i].body_out))) {
        fail_msg("%zu: %.*s", i, STR_ARG(copy.body));
    }
    assert_int_equal(str_find(copy.head, STR("Content-Transfer-Encoding: quoted-printable\r\n")) !=
                         STR_NPOS,
                     is_new);
    assert_int_equal(copy.flags == 0, is_new);
    struct trace_reader reader;
    struct trace_event event;
    bool told = trace_reader_init(&reader, trace_events(&trace)) == STATUS_OK &&
                trace_reader_next(&reader, &event) == STATUS_OK;
    assert_int_equal(told, cases[i].trace != NULL);
    if (told) {
        assert_int_equal(trace_event_print(&event, &text), STATUS_OK);
        if (str_find(buf_str(&text), str_from_cstr(cases[i].trace)) == STR_NPOS) {
            fail_msg("%zu: %.*s", i, STR_ARG(buf_str(&text)));
        }
    }
    outgoing_free(&copy, 1);
    buf_free(&text);
    trace_free(&trace);
}

static void
test_what_is_encoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_create(1u << 20);
        check(i, arena);
        arena_destroy(&arena);
    }
}

/* A header in UTF-8, and whether the message needs SMTPUTF8 afterwards. */
static void
test_headers(void **state)
{
    static const struct {
        const char *head, *head_out, *recipient;
        uint32_t flags_out;
        const char *problem;
    } heads[] = {
        {"Subject: caf" EACH "\r\n\r\n", "Subject: =?UTF-8?Q?caf=C3=A9?=\r\n\r\n", "a@b.example", 0,
         ""},
        {"Subject: caf" EACH "\r\n\r\n", "Subject: =?UTF-8?Q?caf=C3=A9?=\r\n\r\n",
         EACH "@b.example", SMTP_MESSAGE_SMTPUTF8, ""},
        {"To: " EACH "@b.example\r\n\r\n", "To: " EACH "@b.example\r\n\r\n", "a@b.example",
         SMTP_MESSAGE_SMTPUTF8 | SMTP_MESSAGE_HEADER_8BIT, "an address in its header is not ASCII"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct arena *arena = arena_create(1u << 20);
        struct config config = {.limits.message_size = 1000,
                                .authentication.dkim.encode_8bit = true};
        struct outgoing_input input = {.arena = arena, .config = &config};
        struct record_recipient recipient = {.address = str_from_cstr(heads[i].recipient)};
        struct outgoing_copy copy = {.flags = SMTP_MESSAGE_SMTPUTF8 | SMTP_MESSAGE_HEADER_8BIT,
                                     .recipients = &recipient,
                                     .recipient_count = 1,
                                     .head = str_from_cstr(heads[i].head),
                                     .body = STR("x\r\n")};
        struct trace trace;
        struct trace_reader reader;
        struct trace_event event;
        struct buf text;
        trace_init(&trace, NULL);
        buf_init(&text, 1000);
        assert_int_equal(filter_encode(&input, &copy, &trace), STATUS_OK);
        assert_true(str_eq(copy.head, str_from_cstr(heads[i].head_out)));
        assert_int_equal(copy.flags, heads[i].flags_out);
        assert_int_equal(trace_reader_init(&reader, trace_events(&trace)), STATUS_OK);
        assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
        assert_int_equal(trace_event_print(&event, &text), STATUS_OK);
        assert_true(str_find(buf_str(&text), STR("event=header_encoded why=signing")) != STR_NPOS);
        assert_true(str_find(buf_str(&text), str_from_cstr(heads[i].problem)) != STR_NPOS);
        buf_free(&text);
        trace_free(&trace);
        arena_destroy(&arena);
    }
}

/* Lines of more than 998 octets: folded and encoded, also when 8-bit octets are encoded afterwards.
 */
static void
test_long_lines(void **state)
{
    static char line[2001];
    struct arena *arena = arena_create(1u << 20);
    struct config config = {.limits.message_size = 100000, .authentication.dkim.encode_8bit = true};
    struct outgoing_input input = {.arena = arena, .config = &config};
    struct trace trace;
    (void)state;
    memset(line, 'x', 2000);
    struct outgoing_copy copy = {
        .head = arena_printf(arena,
                             "MIME-Version: 1.0\r\nReferences: <%s>\r\n"
                             "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
                             line),
        .body = arena_printf(arena, "--b\r\n\r\n%s\r\n--b\r\n\r\n" EACH "\r\n--b--\r\n", line)};
    trace_init(&trace, NULL);
    assert_int_equal(filter_fit_lines(&input, &copy, &trace), STATUS_OK);
    assert_false(mail_has_long_line(copy.head));
    assert_false(mail_has_long_line(copy.body));
    assert_false(str_is_ascii(copy.body));
    assert_int_equal(filter_encode(&input, &copy, &trace), STATUS_OK);
    assert_false(mail_has_long_line(copy.body));
    assert_true(str_is_ascii(copy.body));
    assert_true(str_find(copy.body, STR("xxx=\r\nxxx")) != STR_NPOS);
    assert_true(str_find(copy.body, STR("\r\n=C3=A9\r\n")) != STR_NPOS);
    outgoing_free(&copy, 1);
    /* What fits is not touched, what must not be changed stays. */
    struct str head = STR(HAND "\r\n");
    struct outgoing_copy hand = {.head = head,
                                 .body = arena_printf(arena, "--b\r\n\r\n%s\r\n--b--\r\n", line)};
    struct str body = hand.body;
    assert_int_equal(filter_fit_lines(&input, &hand, &trace), STATUS_OK);
    assert_true(hand.head.p == head.p && hand.body.p == body.p);
    trace_free(&trace);
    arena_destroy(&arena);
}

static void
test_an_arena_that_is_full(void **state)
{
    (void)state;
    bool done = false;
    for (size_t ceiling = 64; ceiling < 65536 && !done; ceiling += 64) {
        struct arena *arena = arena_create(ceiling);
        struct config config = {.limits.message_size = 1000,
                                .authentication.dkim.encode_8bit = true};
        struct outgoing_input input = {.arena = arena, .config = &config};
        struct outgoing_copy copy = {.head = STR(TEXT "\r\n"), .body = STR("caf" EACH "\r\n")};
        struct trace trace;
        trace_init(&trace, NULL);
        enum status status = filter_encode(&input, &copy, &trace);
        assert_true(status == STATUS_OK || status == STATUS_LIMIT);
        done = status == STATUS_OK && str_is_ascii(copy.body);
        outgoing_free(&copy, 1);
        trace_free(&trace);
        arena_destroy(&arena);
    }
    assert_true(done);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_encoded),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_an_arena_that_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
