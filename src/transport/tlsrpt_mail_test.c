#include "transport/tlsrpt_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/gzip.h"
#include "transport/tlsrpt_report.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct str json = STR_INIT("{\"policies\":[]}");

static struct tlsrpt_mail
example(struct str gzip)
{
    return (struct tlsrpt_mail){.from = STR("tls-reports@kartapuce.com"),
                                .to = STR("rua@example.net"),
                                .submitter = STR("kartapuce.com"),
                                .policy_domain = STR("xn--aca-6ma.example"),
                                .unique = STR("01H5KQ0V3N8R2E7M"),
                                .start_s = 1459468800,
                                .end_s = 1459555199,
                                .now_ms = 1459556000000,
                                .gzip = gzip};
}

static struct str
gzip_of(struct buf *room, struct str text)
{
    buf_init(room, 1 << 20);
    assert_int_equal(gzip_encode(text, room), STATUS_OK);
    return buf_str(room);
}

/* 57: the submitter is a domain in id, subject and file name. */
static void
test_writing(void **state)
{
    static const char *const lines[] = {
        "Subject: Report Domain: xn--aca-6ma.example\r\n Submitter: kartapuce.com\r\n"
        " Report-ID: <01H5KQ0V3N8R2E7M@kartapuce.com>\r\n",
        "\r\nTLS-Report-Domain: xn--aca-6ma.example\r\n",
        "\r\nTLS-Report-Submitter: kartapuce.com\r\n",
        "\r\nTLS-Required: No\r\n",
        "\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "\tfilename=\"kartapuce.com!xn--aca-6ma.example!1459468800!1459555199!01H5KQ0V3N8R2E7M"
        ".json.gz\"\r\n",
        "\r\nContent-Type: application/tlsrpt+gzip\r\n",
    };
    struct buf room;
    struct arena *arena = arena_create(1 << 20);
    struct tlsrpt_mail mail = example(gzip_of(&room, json));
    struct str message = tlsrpt_mail_write(arena, &mail);
    struct tlsrpt_mail_found found;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (str_find(message, str_from_cstr(lines[i])) == STR_NPOS) {
            fail_msg("no \"%s\" in\n%.*s", lines[i], STR_ARG(message));
        }
    }
    assert_true(str_eq(tlsrpt_mail_report_id(arena, &mail), STR("01H5KQ0V3N8R2E7M@kartapuce.com")));
    assert_true(tlsrpt_mail_is_report(arena, message));
    assert_int_equal(tlsrpt_mail_read(arena, message, &found), STATUS_OK);
    assert_true(str_eq(found.report, mail.gzip));
    assert_true(str_eq(found.policy_domain, mail.policy_domain));
    assert_true(str_eq(found.submitter, mail.submitter));
    buf_free(&room);
    arena_destroy(&arena);
}

/* No line of a message is too long, with names as long as they can be and a large report. */
static void
test_lines(void **state)
{
    char label[254];
    struct buf room;
    struct arena *arena = arena_create(4 << 20);
    char *text = malloc(100000);
    (void)state;
    memset(label, 'a', sizeof label);
    label[63] = label[127] = label[191] = '.';
    for (size_t i = 0; i < 100000; i++) {
        text[i] = (char)(unsigned char)(i * i >> 5);
    }
    struct tlsrpt_mail mail = example(gzip_of(&room, str_make(text, 100000)));
    mail.submitter = mail.policy_domain = str_make(label, 253);
    struct str rest = tlsrpt_mail_write(arena, &mail);
    assert_true(rest.n > 0);
    while (rest.n > 0) {
        size_t end = str_find(rest, STR("\r\n"));
        assert_in_range(end, 0, 998);
        rest = str_skip(rest, end + 2);
    }
    free(text);
    buf_free(&room);
    arena_destroy(&arena);
    arena = arena_create(256);
    assert_true(tlsrpt_mail_write(arena, &mail).p == NULL);
    arena_destroy(&arena);
}

#define HEAD  "TLS-Report-Domain: example.net\r\nTLS-Report-Submitter: a.example\r\n"
#define MULTI HEAD "Content-Type: multipart/report; report-type=tlsrpt; boundary=\"b\\ \";\r\n\r\n"

static const struct {
    struct str message;
    enum status want;
} messages[] = {
    /* alone, without multipart */
    {STR_INIT(HEAD "Content-Type: application/tlsrpt+json\r\n\r\n{\"policies\":[]}"), STATUS_OK},
    {STR_INIT(HEAD "Content-Type: Application/TLSRPT (x)\r\n"
                   "Content-Transfer-Encoding: BASE64\r\n\r\neyJwb2xp\r\n Y2llcyI6W119\r\n"),
     STATUS_OK},
    {STR_INIT(HEAD "Content-Type: application/json\r\nContent-Transfer-Encoding: "
                   "quoted-printable\r\n\r\n{\"poli=\r\ncies\"=3A[]}"),
     STATUS_OK},
    /* in parts, a boundary in quotes with a backslash, a preamble, blanks behind the delimiter */
    {STR_INIT(MULTI "preamble\r\n--b \r\n\r\ntext\r\n--b \r\nContent-Type: application/x-gzip\r\n"
                    "\r\n{\"policies\":[]}\r\n--b --\r\nepilogue"),
     STATUS_OK},
    /* the end is missing */
    {STR_INIT(MULTI "--b \r\nContent-Type: application/tlsrpt\r\n\r\n{\"policies\":[]}"),
     STATUS_OK},
    /* parts in a part */
    {STR_INIT(MULTI "--b \r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"
                    "Content-Type: application/octet-stream\r\n\r\n{\"policies\":[]}\r\n--c--\r\n"
                    "--b --\r\n"),
     STATUS_OK},
    /* no padding */
    {STR_INIT("Content-Type: application/tlsrpt\r\nContent-Transfer-Encoding: base64\r\n\r\n"
              "eyJwb2xpY2llcyI6W119"),
     STATUS_OK},
    {STR_INIT("Content-Type: application/tlsrpt\r\nContent-Transfer-Encoding: base64\r\n\r\n*"),
     STATUS_SYNTAX},
    {STR_INIT("Content-Type: application/tlsrpt\r\nContent-Transfer-Encoding: base64\r\n\r\na"),
     STATUS_SYNTAX},
    {STR_INIT("Subject: x\r\n\r\n{\"policies\":[]}"), STATUS_NOT_FOUND},
    {STR_INIT(""), STATUS_NOT_FOUND},
    {STR_INIT("Content-Type: text/html\r\n\r\n{\"policies\":[]}"), STATUS_NOT_FOUND},
    {STR_INIT("Content-Type: application/zip\r\n\r\n{\"policies\":[]}"), STATUS_NOT_FOUND},
    {STR_INIT("Content-Type: multipart/report\r\n\r\n--\r\n"), STATUS_NOT_FOUND},
    {STR_INIT(MULTI "--b\r\nContent-Type: application/tlsrpt\r\n\r\n{\"policies\":[]}\r\n"),
     STATUS_NOT_FOUND},
    {STR_INIT(MULTI "--b --\r\nContent-Type: application/tlsrpt\r\n\r\n{\"policies\":[]}\r\n"),
     STATUS_NOT_FOUND},
};

static void
test_reading(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        struct arena *arena = arena_create(4 << 20);
        struct tlsrpt_mail_found found;
        enum status got = tlsrpt_mail_read(arena, messages[i].message, &found);
        if (got != messages[i].want) {
            fail_msg("%zu: %.*s: got %s", i, STR_ARG(messages[i].message), status_name(got));
        }
        if (got == STATUS_OK && !str_eq(found.report, json)) {
            fail_msg("%zu: got \"%.*s\"", i, STR_ARG(found.report));
        }
        arena_destroy(&arena);
    }
}

/* A message that is cut off anywhere is read or not, and nothing worse. */
static void
test_cut(void **state)
{
    struct buf room;
    struct arena *arena = arena_create(64 << 20);
    struct tlsrpt_mail mail = example(gzip_of(&room, json));
    struct str message = tlsrpt_mail_write(arena, &mail);
    (void)state;
    for (size_t n = 0; n < message.n; n++) {
        struct arena *own = arena_create(1 << 20);
        struct tlsrpt_mail_found found;
        struct tlsrpt_report report;
        const char *problem;
        char *copy = malloc(n + 1); /* so that a reader beyond the end is seen */
        memcpy(copy, message.p, n);
        if (tlsrpt_mail_read(own, str_make(copy, n), &found) == STATUS_OK) {
            (void)tlsrpt_report_read(own, found.report, &report, &problem);
        }
        free(copy);
        arena_destroy(&own);
    }
    buf_free(&room);
    arena_destroy(&arena);
}

static void
test_limits(void **state)
{
    struct arena *arena = arena_create(64 << 20);
    struct tlsrpt_mail_found found;
    (void)state;
    char *large = calloc(1, TLSRPT_MAIL_MAX + 1);
    assert_int_equal(tlsrpt_mail_read(arena, str_make(large, TLSRPT_MAIL_MAX + 1), &found),
                     STATUS_LIMIT);
    free(large);
    /* more parts than are looked at */
    struct str part = STR("--b \r\n\r\nx\r\n");
    struct str text = STR(MULTI);
    for (unsigned i = 0; i < TLSRPT_PARTS_MAX; i++) {
        text = arena_concat(arena, (struct str[]){text, part}, 2);
    }
    text = arena_concat(
        arena, (struct str[]){text, STR("--b \r\nContent-Type: application/tlsrpt\r\n\r\n{}\r\n")},
        2);
    assert_int_equal(tlsrpt_mail_read(arena, text, &found), STATUS_NOT_FOUND);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_reading), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("transport tlsrpt_mail", tests, NULL, NULL);
}
