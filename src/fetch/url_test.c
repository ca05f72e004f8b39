#include "fetch/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L253                                                                                       \
    L63 "." L63 "." L63 "."                                                                        \
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_taken(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
        const char *target;
    } cases[] = {
        {"https://example.com", "example.com", 0, "/"},
        {"https://example.com/", "example.com", 0, "/"},
        {"HTTPS://Example.COM/", "Example.COM", 0, "/"},
        {"https://mta-sts.example.com/.well-known/mta-sts.txt", "mta-sts.example.com", 0,
         "/.well-known/mta-sts.txt"},
        {"https://example.com:443/a?b=c/../d", "example.com", 443, "/a?b=c/../d"},
        {"https://xn--bcher-kva.example/%C3%BC", "xn--bcher-kva.example", 0, "/%C3%BC"},
        {"https://example.com:65535/...", "example.com", 65535, "/..."},
        {"https://example.com/a:@b", "example.com", 0, "/a:@b"},
        {"https://1.example.c0m/", "1.example.c0m", 0, "/"},
        {"https://" L253 "/", L253, 0, "/"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetch_url url;
        if (fetch_url_parse(str_from_cstr(cases[i].text), &url) != STATUS_OK) {
            fail_msg("%s is refused", cases[i].text);
        }
        assert_true(str_eq(url.host, str_from_cstr(cases[i].host)));
        assert_int_equal(url.port, cases[i].port);
        assert_true(str_eq(url.target, str_from_cstr(cases[i].target)));
    }
}

static void
test_refused(void **state)
{
    static const char long_label[] = "https://" L63 "a.example/";
    static const char long_host[] = "https://a" L253 "/";
    static const char *const cases[] = {
        "",
        "https",
        "https://",
        "https:///",
        "https:/example.com/",
        "https:\\\\example.com/",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://example.com/a\tb",
        "https://example.com/a\r\nHost: other.example",
        "https://example.com?a=b",
        "https://example.com#a",
        "https://example.com/#a",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com:443@other.example/",
        "https://example.com\\@other.example/",
        "https://localhost/",
        "https://example.com./",
        "https://.example.com/",
        "https://example..com/",
        "https://-a.example/",
        "https://a-.example/",
        "https://a_b.example/",
        "https://a%2eexample.com/",
        "https://\xc3\xbcmlaut.example/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0x1/",
        "https://0177.0.0.01/",
        "https://a.0x7f000001/",
        "https://[::1]/",
        "https://[::1]:443/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:0443/",
        "https://example.com:65536/",
        "https://example.com:443:443/",
        "https://example.com:+443/",
        "https://example.com:99999999999999999999/",
        "https://example.com/%",
        "https://example.com/%4",
        "https://example.com/%4g",
        "https://example.com/a/../b",
        "https://example.com/.",
        "https://example.com/..",
        "https://example.com/a/%2E%2e/b",
        "https://example.com/.%2e",
        "https://example.com/..?a",
        "https://example.com/\"",
        "https://example.com/<a>",
        "https://example.com/{a}",
        "https://example.com/a|b",
        "https://example.com/\x7f",
        "https://example.com/\xc3\xbc",
        long_label,
        long_host,
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetch_url url = {.port = 7};
        if (fetch_url_parse(str_from_cstr(cases[i]), &url) != STATUS_SYNTAX) {
            fail_msg("%s is taken", cases[i]);
        }
        assert_int_equal(url.port, 7);
    }
}

static void
test_octets_and_lengths(void **state)
{
    char text[FETCH_URL_MAX + 1];
    struct fetch_url url;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "https://example.com/", 20);
    assert_int_equal(fetch_url_parse(str_make(text, FETCH_URL_MAX), &url), STATUS_OK);
    assert_int_equal(url.target.n, FETCH_URL_MAX - 19);
    assert_int_equal(fetch_url_parse(str_make(text, FETCH_URL_MAX + 1), &url), STATUS_LIMIT);
    text[30] = '\0'; /* what a C library would take for the end */
    assert_int_equal(fetch_url_parse(str_make(text, 40), &url), STATUS_SYNTAX);
    text[30] = 'a';
    text[9] = '\0';
    assert_int_equal(fetch_url_parse(str_make(text, 40), &url), STATUS_SYNTAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_octets_and_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
