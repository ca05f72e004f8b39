#include "smtp/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4      "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"
#define TCP6_TAIL                                                                                  \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"         \
    "\xc8\x22\x00\x19"
#define V1_LONGEST                                                                                 \
    "PROXY TCP6 1111:2222:3333:4444:5555:6666:7777:8888 "                                          \
    "1111:2222:3333:4444:5555:6666:7777:8888 51234 25\r\n"
/* 107 octets without an end: one too many whatever comes next. */
#define V1_ENDLESS                                                                                 \
    "PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaa"

struct row {
    const char *what;
    struct str input;
    enum status want;
    size_t used;
    const char *source; /* NULL: local */
    uint16_t port;
};

static const struct row rows[] = {
    {"TCP4", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 51234 25\r\nEHLO x\r\n"), STATUS_OK, 41,
     "192.0.2.1", 51234},
    {"TCP6", STR_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 51234 25\r\n"), STATUS_OK, 45,
     "2001:db8::1", 51234},
    {"longest", STR_INIT(V1_LONGEST), STATUS_OK, 101, "1111:2222:3333:4444:5555:6666:7777:8888",
     51234},
    {"UNKNOWN", STR_INIT("PROXY UNKNOWN\r\n"), STATUS_OK, 15, NULL, 0},
    {"UNKNOWN with text", STR_INIT("PROXY UNKNOWN a b c\r\nEHLO"), STATUS_OK, 21, NULL, 0},
    {"endless", STR_INIT(V1_ENDLESS), STATUS_LIMIT, 0, NULL, 0},
    {"UNKNOWNX", STR_INIT("PROXY UNKNOWNX\r\n"), STATUS_SYNTAX, 0, NULL, 0},
    {"lower case", STR_INIT("proxy TCP4 192.0.2.1 192.0.2.2 51234 25\r\n"), STATUS_SYNTAX, 0, NULL,
     0},
    {"UDP4", STR_INIT("PROXY UDP4 192.0.2.1 192.0.2.2 51234 25\r\n"), STATUS_SYNTAX, 0, NULL, 0},
    {"two blanks", STR_INIT("PROXY TCP4  192.0.2.1 192.0.2.2 51234 25\r\n"), STATUS_SYNTAX, 0, NULL,
     0},
    {"blank at the end", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 51234 25 \r\n"), STATUS_SYNTAX, 0,
     NULL, 0},
    {"too few", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 51234\r\n"), STATUS_SYNTAX, 0, NULL, 0},
    {"port too large", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n"), STATUS_SYNTAX, 0,
     NULL, 0},
    {"port with zero", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 051 25\r\n"), STATUS_SYNTAX, 0,
     NULL, 0},
    {"port with sign", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 +51 25\r\n"), STATUS_SYNTAX, 0,
     NULL, 0},
    {"address of the other family", STR_INIT("PROXY TCP4 2001:db8::1 192.0.2.2 51234 25\r\n"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"address out of range", STR_INIT("PROXY TCP4 192.0.2.256 192.0.2.2 51234 25\r\n"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"bare LF", STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 51234 25\n"), STATUS_SYNTAX, 0, NULL, 0},
    {"bare CR", STR_INIT("PROXY TCP4 192.0.2.1\r192.0.2.2 51234 25\r\n"), STATUS_SYNTAX, 0, NULL,
     0},
    {"NUL", STR_INIT("PROXY UNKNOWN \0\r\n"), STATUS_SYNTAX, 0, NULL, 0},
    {"EHLO", STR_INIT("EHLO client.example\r\n"), STATUS_SYNTAX, 0, NULL, 0},
    {"nothing", STR_INIT(""), STATUS_AGAIN, 0, NULL, 0},

    {"v2 TCP4", STR_INIT(SIGNATURE TCP4 "EHLO"), STATUS_OK, 28, "192.0.2.1", 51234},
    {"v2 TCP6", STR_INIT(SIGNATURE "\x21\x21\x00\x24" TCP6_TAIL), STATUS_OK, 52, "2001:db8::1",
     51234},
    {"v2 LOCAL", STR_INIT(SIGNATURE "\x20\x00\x00\x00"), STATUS_OK, 16, NULL, 0},
    {"v2 LOCAL with addresses",
     STR_INIT(SIGNATURE "\x20\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"),
     STATUS_OK, 28, NULL, 0},
    {"v2 UNSPEC", STR_INIT(SIGNATURE "\x21\x00\x00\x02xx"), STATUS_OK, 18, NULL, 0},
    {"v2 UDP4",
     STR_INIT(SIGNATURE "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"v2 Unix", STR_INIT(SIGNATURE "\x21\x31\x00\x01x"), STATUS_SYNTAX, 0, NULL, 0},
    {"v2 version 3", STR_INIT(SIGNATURE "\x31\x11\x00\x0c"), STATUS_SYNTAX, 0, NULL, 0},
    {"v2 command 2", STR_INIT(SIGNATURE "\x22\x11\x00\x0c"), STATUS_SYNTAX, 0, NULL, 0},
    {"v2 short", STR_INIT(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"v2 huge", STR_INIT(SIGNATURE "\x21\x11\xff\xff"), STATUS_LIMIT, 0, NULL, 0},
    {"v2 TLV",
     STR_INIT(SIGNATURE "\x21\x11\x00\x11\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"
                        "\x04\x00\x02zz"),
     STATUS_OK, 33, "192.0.2.1", 51234},
    {"v2 TLV cut",
     STR_INIT(SIGNATURE "\x21\x11\x00\x11\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"
                        "\x04\x00\x03zz"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"v2 TLV head cut",
     STR_INIT(SIGNATURE "\x21\x11\x00\x0e\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"
                        "\x04\x00"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"v2 checksum wrong",
     STR_INIT(SIGNATURE "\x21\x11\x00\x13\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"
                        "\x03\x00\x04zzzz"),
     STATUS_SYNTAX, 0, NULL, 0},
    {"v2 checksum right",
     STR_INIT(SIGNATURE "\x21\x11\x00\x13\xc0\x00\x02\x01\xc0\x00\x02\x02\xc8\x22\x00\x19"
                        "\x03\x00\x04"
                        "\x2c\xaa\xb9\xde"),
     STATUS_OK, 35, "192.0.2.1", 51234},
};

static void
check_row(const struct row *row)
{
    struct smtp_proxy proxy = {.local = false};
    size_t used = 0;
    char text[IP_TEXT_MAX];
    enum status got = smtp_proxy_parse(row->input, &proxy, &used);
    if (got != row->want || used != row->used) {
        fail_msg("%s: got %s, %zu octets", row->what, status_name(got), used);
    }
    if (got != STATUS_OK) {
        return;
    }
    assert_int_equal(proxy.local, row->source == NULL);
    if (row->source != NULL) {
        assert_string_equal(ip_format(&proxy.source, text), row->source);
        assert_int_equal(proxy.source_port, row->port);
        assert_int_equal(proxy.destination_port, 25);
    }
}

static void
headers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_row(&rows[i]);
    }
}

/*
 * What comes in pieces: every beginning of a good header asks for more, and every beginning of a
 * bad one asks for more or is refused already; it is never taken.
 */
static void
headers_are_read_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t whole = rows[i].want == STATUS_OK ? rows[i].used : rows[i].input.n;
        bool refused = false;
        for (size_t n = 0; n < whole; n++) {
            struct smtp_proxy proxy;
            size_t used;
            enum status got = smtp_proxy_parse(str_head(rows[i].input, n), &proxy, &used);
            bool ok = got == STATUS_AGAIN || (rows[i].want != STATUS_OK && got == rows[i].want);
            if (!ok || (refused && got == STATUS_AGAIN)) {
                fail_msg("%s: first %zu octets: %s", rows[i].what, n, status_name(got));
            }
            refused = got != STATUS_AGAIN;
        }
    }
}

static void
headers_are_recognised(void **state)
{
    (void)state;
    assert_true(smtp_proxy_is_header(STR("PROXY TCP4")));
    assert_true(smtp_proxy_is_header(STR(SIGNATURE)));
    assert_false(smtp_proxy_is_header(STR("PROXY")));
    assert_false(smtp_proxy_is_header(STR("\r\n\r\nEHLO x")));
    assert_false(smtp_proxy_is_header(STR("")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(headers_are_read_at_every_split),
        cmocka_unit_test(headers_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
