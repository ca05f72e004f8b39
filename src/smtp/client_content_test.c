#include "smtp/client_content.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"

struct content_case {
    struct str content;
    struct str data;  /* as DATA sends it */
    struct str chunk; /* as BDAT sends it */
};

static const struct content_case cases[] = {
    {STR_INIT(""), STR_INIT(".\r\n"), STR_INIT("")},
    {STR_INIT("a"), STR_INIT("a\r\n.\r\n"), STR_INIT("a\r\n")},
    {STR_INIT("a\r\n"), STR_INIT("a\r\n.\r\n"), STR_INIT("a\r\n")},
    {STR_INIT("a\r\n\r\nb\r\n"), STR_INIT("a\r\n\r\nb\r\n.\r\n"), STR_INIT("a\r\n\r\nb\r\n")},
    {STR_INIT("."), STR_INIT("..\r\n.\r\n"), STR_INIT(".\r\n")},
    {STR_INIT(".\r\n"), STR_INIT("..\r\n.\r\n"), STR_INIT(".\r\n")},
    {STR_INIT("..\r\n"), STR_INIT("...\r\n.\r\n"), STR_INIT("..\r\n")},
    {STR_INIT("a\r\n.\r\nb\r\n"), STR_INIT("a\r\n..\r\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n")},
    {STR_INIT("a\r\n.b\r\n.c\r\n"), STR_INIT("a\r\n..b\r\n..c\r\n.\r\n"),
     STR_INIT("a\r\n.b\r\n.c\r\n")},
    {STR_INIT("a.b\r\n"), STR_INIT("a.b\r\n.\r\n"), STR_INIT("a.b\r\n")},
    {STR_INIT("a\nb"), STR_INIT("a\r\nb\r\n.\r\n"), STR_INIT("a\r\nb\r\n")},
    {STR_INIT("a\rb"), STR_INIT("a\r\nb\r\n.\r\n"), STR_INIT("a\r\nb\r\n")},
    {STR_INIT("a\n.\nb"), STR_INIT("a\r\n..\r\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n")},
    {STR_INIT("a\r.\rb"), STR_INIT("a\r\n..\r\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n")},
    {STR_INIT("a\n.\r\nb"), STR_INIT("a\r\n..\r\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n")},
    {STR_INIT("a\r\n.\nb"), STR_INIT("a\r\n..\r\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n")},
    {STR_INIT("a\r\r\nb"), STR_INIT("a\r\n\r\nb\r\n.\r\n"), STR_INIT("a\r\n\r\nb\r\n")},
    {STR_INIT("a\n\r\nb"), STR_INIT("a\r\n\r\nb\r\n.\r\n"), STR_INIT("a\r\n\r\nb\r\n")},
    {STR_INIT("a\n"), STR_INIT("a\r\n.\r\n"), STR_INIT("a\r\n")},
    {STR_INIT("a\r"), STR_INIT("a\r\n.\r\n"), STR_INIT("a\r\n")},
    {STR_INIT("\n"), STR_INIT("\r\n.\r\n"), STR_INIT("\r\n")},
    {STR_INIT("\r"), STR_INIT("\r\n.\r\n"), STR_INIT("\r\n")},
};

/* Writes with parts of `step` octets: what next gives is skipped only in part. */
static struct str
write_all(struct str head, struct str body, bool dots, size_t step, struct buf *out)
{
    struct smtp_content_form form;
    struct smtp_content_writer writer;
    smtp_content_look(head, body, &form);
    smtp_content_writer_start(&writer, head, body, &form, dots);
    for (;;) {
        struct smtp_content_writer ahead = writer;
        struct str piece;
        if (!smtp_content_writer_next(&ahead, &piece)) {
            break;
        }
        assert_true(piece.n > 0);
        piece = str_head(piece, step);
        assert_int_equal(buf_append(out, piece), STATUS_OK);
        smtp_content_writer_skip(&writer, piece.n);
    }
    if (!dots) {
        assert_int_equal(buf_length(out), form.size);
    }
    return buf_str(out);
}

static void
check(struct str content, struct str want, bool dots)
{
    for (size_t at = 0; at <= content.n; at++) {
        for (size_t step = 1; step <= content.n + 1; step++) {
            struct buf out;
            buf_init(&out, 1 << 20);
            struct str got =
                write_all(str_head(content, at), str_skip(content, at), dots, step, &out);
            if (!str_eq(got, want)) {
                fail_msg("split %zu, step %zu: got \"%.*s\", want \"%.*s\"", at, step, STR_ARG(got),
                         STR_ARG(want));
            }
            buf_free(&out);
        }
    }
}

static void
test_framing_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(cases[i].content, cases[i].data, true);
        check(cases[i].content, cases[i].chunk, false);
    }
}

static void
test_skip_over_many_pieces(void **state)
{
    struct str content = STR("a\n.b\r\n.c\rd");
    struct str want = STR("a\r\n..b\r\n..c\r\nd\r\n.\r\n");
    struct smtp_content_form form;
    (void)state;
    smtp_content_look(content, STR(""), &form);
    for (size_t n = 0; n <= want.n; n++) {
        struct smtp_content_writer writer;
        struct str piece;
        char rest[64];
        size_t length = 0;
        smtp_content_writer_start(&writer, content, STR(""), &form, true);
        smtp_content_writer_skip(&writer, n);
        while (smtp_content_writer_next(&writer, &piece)) {
            memcpy(rest + length, piece.p, piece.n);
            length += piece.n;
        }
        assert_true(str_eq(str_make(rest, length), str_skip(want, n)));
    }
}

static void
test_look(void **state)
{
    static const struct {
        struct str head, body;
        struct smtp_content_form want;
    } looks[] = {
        {STR_INIT("A: b\r\n\r\n"), STR_INIT("text\r\n"), {.size = 14}},
        {STR_INIT("A: b\r\n\r\n"), STR_INIT(".\r\n"), {.size = 11, .has_dots = true}},
        {STR_INIT("A: \xc3\xbc\r\n\r\n"),
         STR_INIT(""),
         {.size = 9, .has_8bit = true, .header_has_8bit = true}},
        {STR_INIT("A: b\r\n\r\n"), STR_INIT("\xc3\xbc\r\n"), {.size = 12, .has_8bit = true}},
        {STR_INIT("A: b\r\n\r\n"),
         STR_INIT("a\nb\0"),
         {.size = 15, .has_bare = true, .has_nul = true}},
        {STR_INIT("A: b\r\n\r"), STR_INIT("\nx\r\n"), {.size = 11}},
        {STR_INIT("\r"), STR_INIT(".\r\n"), {.size = 5, .has_bare = true}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        struct smtp_content_form form;
        smtp_content_look(looks[i].head, looks[i].body, &form);
        assert_int_equal(form.size, looks[i].want.size);
        assert_int_equal(form.has_8bit, looks[i].want.has_8bit);
        assert_int_equal(form.header_has_8bit, looks[i].want.header_has_8bit);
        assert_int_equal(form.has_nul, looks[i].want.has_nul);
        assert_int_equal(form.has_bare, looks[i].want.has_bare);
        assert_int_equal(form.has_dots, looks[i].want.has_dots);
    }
}

/* ---- what others have found out about end-of-data sequences */

/* The strings of the suite are code points that stand for octets. */
static struct str
octets_of(struct str utf8, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < utf8.n; i++) {
        unsigned char c = (unsigned char)utf8.p[i];
        if (c >= 0xc0 && i + 1 < utf8.n) {
            c = (unsigned char)((c & 0x1f) << 6 | ((unsigned char)utf8.p[++i] & 0x3f));
        }
        out[n++] = (char)c;
    }
    return str_make(out, n);
}

static bool
has_bare_line_end(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) {
            return true;
        }
        if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')) {
            return true;
        }
    }
    return false;
}

static void
check_outbound(const char *id, struct str content)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    struct str data = write_all(content, STR(""), true, SIZE_MAX, &out);
    if (has_bare_line_end(data) || str_find(data, STR("\r\n.\r\n")) != data.n - 5) {
        fail_msg("%s: an end of data can be read out of it", id);
    }
    buf_free(&out);
    data = write_all(content, STR(""), false, SIZE_MAX, &out);
    if (has_bare_line_end(data)) {
        fail_msg("%s: bare line ends in a chunk", id);
    }
    buf_free(&out);
}

/* Every text of up to SEQUENCE_MAX of the octets that end-of-data sequences are made of. */
#define SEQUENCE_MAX 6u

static void
test_every_sequence_around_a_dot(void **state)
{
    static const char alphabet[] = {'\r', '\n', '.', 'x', '\0'};
    size_t const letters = sizeof alphabet;
    size_t count = 1;
    (void)state;
    for (size_t n = 1; n <= SEQUENCE_MAX; n++) {
        count *= letters;
        for (size_t i = 0; i < count; i++) {
            char text[SEQUENCE_MAX + 8] = "A: b\r\n\r\n";
            char id[64];
            size_t rest = i;
            size_t const head = n % 2 == 0 ? 8 : 6; /* behind a blank line, or in the header */
            for (size_t k = 0; k < n; k++) {
                text[head + k] = alphabet[rest % letters];
                rest /= letters;
            }
            snprintf(id, sizeof id, "%zu of %zu octets", i, n);
            check_outbound(id, str_make(text, head + n));
        }
    }
}

/* What others have collected, where it is at hand. */
static void
test_outbound_smuggling(void **state)
{
    const char *folder = getenv("POSTERN_CONFORMANCE");
    char path[4096];
    size_t i;
    json_t *test;
    unsigned count = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/smuggling/eod-sequences/cases.json",
             folder != NULL ? folder : SOURCE_ROOT "/../shared/conformance");
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, NULL);
    if (root == NULL) {
        /* Neither there nor where $POSTERN_CONFORMANCE says; the sequences are tried above. */
        assert_null(folder);
        return;
    }
    json_array_foreach(json_object_get(root, "cases"), i, test)
    {
        const json_t *body = json_object_get(test, "body");
        if (strcmp(json_string_value(json_object_get(test, "kind")), "outbound") != 0) {
            continue;
        }
        char *octets = malloc(json_string_length(body) + 1);
        check_outbound(
            json_string_value(json_object_get(test, "id")),
            octets_of(str_make(json_string_value(body), json_string_length(body)), octets));
        free(octets);
        count++;
    }
    json_decref(root);
    assert_true(count > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing_at_every_split),
        cmocka_unit_test(test_skip_over_many_pieces),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_every_sequence_around_a_dot),
        cmocka_unit_test(test_outbound_smuggling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
