#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/random.h"

static void
test_base64(void **state)
{
    static const struct {
        struct str text;
        struct str octets;
        bool valid;
    } cases[] = {
        {STR_INIT(""), STR_INIT(""), true},
        {STR_INIT("Zg=="), STR_INIT("f"), true},
        {STR_INIT("Zm8="), STR_INIT("fo"), true},
        {STR_INIT("Zm9v"), STR_INIT("foo"), true},
        {STR_INIT("AAECA/8="), STR_INIT("\0\1\2\3\xff"), true},
        {STR_INIT("Zh=="), STR_INIT(""), false}, /* spare bits */
        {STR_INIT("Zm9="), STR_INIT(""), false},
        {STR_INIT("Zg="), STR_INIT(""), false},
        {STR_INIT("Z==="), STR_INIT(""), false},
        {STR_INIT("Zg==Zg=="), STR_INIT(""), false}, /* padding within */
        {STR_INIT("Zm 9"), STR_INIT(""), false},
        {STR_INIT("Zm9\n"), STR_INIT(""), false},
        {STR_INIT("Zm-_"), STR_INIT(""), false},
    };
    struct arena *arena = arena_create(4096);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str got;
        enum status status = base64_decode(arena, cases[i].text, &got);
        assert_int_equal(status, cases[i].valid ? STATUS_OK : STATUS_SYNTAX);
        if (cases[i].valid) {
            assert_true(str_eq(got, cases[i].octets));
            assert_true(str_eq(base64_encode(arena, cases[i].octets), cases[i].text));
        }
    }
    arena_destroy(&arena);
}

static void
test_hex(void **state)
{
    struct arena *arena = arena_create(4096);
    struct str got;
    (void)state;
    assert_true(str_eq(hex_encode(arena, STR("\x00\xab\xff")), STR("00abff")));
    assert_int_equal(hex_decode(arena, STR("00ABff"), &got), STATUS_OK);
    assert_true(str_eq(got, STR("\x00\xab\xff")));
    assert_int_equal(hex_decode(arena, STR("0"), &got), STATUS_SYNTAX);
    assert_int_equal(hex_decode(arena, STR("0g"), &got), STATUS_SYNTAX);
    arena_destroy(&arena);
}

static void
test_dates(void **state)
{
    struct arena *arena = arena_create(4096);
    (void)state;
    assert_true(
        str_eq(clock_format_rfc5322(arena, 1795456094123), STR("Mon, 23 Nov 2026 17:48:14 +0000")));
    assert_true(
        str_eq(clock_format_rfc3339(arena, 1795456094123), STR("2026-11-23T17:48:14.123Z")));
    assert_true(str_eq(clock_format_rfc5322(arena, 0), STR("Thu, 1 Jan 1970 00:00:00 +0000")));
    arena_destroy(&arena);
}

static void
test_identifiers_sort_by_time(void **state)
{
    char a[ID_LENGTH + 1];
    char b[ID_LENGTH + 1];
    char c[ID_LENGTH + 1];
    (void)state;
    id_make(1795456094123, a);
    id_make(1795456094124, b);
    id_make(1795456094124, c);
    assert_int_equal(strlen(a), ID_LENGTH);
    assert_true(strcmp(a, b) < 0);
    assert_memory_equal(b, c, 9);
    assert_string_not_equal(b, c);
}

static void
test_random_below(void **state)
{
    bool seen[5] = {false};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = random_below(5);
        assert_true(v < 5);
        seen[v] = true;
    }
    for (int i = 0; i < 5; i++) {
        assert_true(seen[i]);
    }
}

static void
test_log_lines(void **state)
{
    char line[LOG_LINE_MAX];
    const struct log_field fields[] = {LOG_STR("id", STR("01KB")),
                                       LOG_STR("text", STR("a \"b\"\nc\xff")),
                                       LOG_INT("n", -3),
                                       LOG_STR("none", STR("")),
                                       {.key = NULL}};
    (void)state;
    const struct log_line info = {0, "edge", LOG_LEVEL_INFO, "it happened", fields};
    const struct log_line warning = {0, "edge", LOG_LEVEL_WARN, "x", fields};
    log_format_line(&info, LOG_FORMAT_KEYVALUE, line);
    assert_string_equal(line, "time=1970-01-01T00:00:00.000Z level=info role=edge "
                              "event=\"it happened\" id=01KB "
                              "text=\"a \\u0022b\\u0022\\u000ac\\u00ff\" n=-3 none=\"\"\n");
    log_format_line(&warning, LOG_FORMAT_JSON, line);
    assert_string_equal(line, "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\","
                              "\"role\":\"edge\",\"event\":\"x\",\"id\":\"01KB\","
                              "\"text\":\"a \\u0022b\\u0022\\u000ac\\u00ff\",\"n\":-3,"
                              "\"none\":\"\"}\n");
}

/* No value can begin another field or line, or change how a terminal shows the line. */
static void
test_values_in_a_log_line_are_escaped(void **state)
{
    static const struct {
        const char *value;
        const char *want;
    } rows[] = {
        {"plain@example.com", "plain@example.com"},
        {"a b", "\"a b\""},
        {"x=y", "\"x=y\""},
        {"x event=delivered", "\"x event=delivered\""},
        {"\" event=delivered id=\"", "\"\\u0022 event=delivered id=\\u0022\""},
        {"back\\slash", "\"back\\u005cslash\""},
        {"two\r\nlines", "\"two\\u000d\\u000alines\""},
        {"\x1b[2J", "\"\\u001b[2J\""},
        {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"c1\xc2\x9b", "\"c1\\u009b\""},
        {"\xe2\x80\xa8", "\"\\u2028\""},
        {"\xe2\x80\xae", "\"\\u202e\""},
        {"\xe2\x81\xa6", "\"\\u2066\""},
        {"\xe2\x82\xac", "\"\xe2\x82\xac\""},
        {"\xef\xbb\xbf", "\"\\ufeff\""},
        {"\xd8\x9c", "\"\\u061c\""},
        {"\xe2\x80\x8b", "\"\\u200b\""},
        {"\xf3\xa0\x81\x81", "\"\\udb40\\udc41\""},
        {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {"\xc3", "\"\\u00c3\""},
    };
    char line[LOG_LINE_MAX];
    char want[200];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct log_field fields[] = {LOG_CSTR("v", rows[i].value), {.key = NULL}};
        const struct log_line from = {0, "edge", LOG_LEVEL_INFO, "x", fields};
        log_format_line(&from, LOG_FORMAT_KEYVALUE, line);
        snprintf(want, sizeof want,
                 "time=1970-01-01T00:00:00.000Z level=info role=edge event=x v=%s\n", rows[i].want);
        assert_string_equal(line, want);
    }
}

static void
test_seconds_in_a_log_line(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {0, "0.000"}, {7, "0.007"}, {1250, "1.250"}, {-40, "-0.040"}, {86400000, "86400.000"}};
    char line[LOG_LINE_MAX];
    char want[200];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct log_field fields[] = {LOG_SECONDS("delay", rows[i].ms), {.key = NULL}};
        const struct log_line from = {0, "edge", LOG_LEVEL_INFO, "x", fields};
        log_format_line(&from, LOG_FORMAT_JSON, line);
        snprintf(want, sizeof want,
                 "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"role\":\"edge\","
                 "\"event\":\"x\",\"delay\":%s}\n",
                 rows[i].want);
        assert_string_equal(line, want);
    }
}

static void
test_a_long_log_line_is_cut_between_fields(void **state)
{
    static char room[2 * LOG_LINE_MAX];
    char line[LOG_LINE_MAX];
    (void)state;
    memset(room, 'x', sizeof room);
    const struct log_field fields[] = {
        LOG_INT("n", 1), LOG_STR("long", str_make(room, sizeof room)), {.key = NULL}};
    const struct log_line from = {0, "edge", LOG_LEVEL_WARN, "x", fields};
    size_t n = log_format_line(&from, LOG_FORMAT_JSON, line);
    assert_string_equal(line, "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\","
                              "\"role\":\"edge\",\"event\":\"x\",\"n\":1,\"cut\":true}\n");
    assert_int_equal(n, strlen(line));
}

/* What a line begins with when standard error is a pipe that JOURNAL_STREAM names, or does not. */
static void
logged_into_a_pipe(bool named, enum log_level level, char out[static 16])
{
    int pipe_fds[2];
    struct stat info;
    char stream[64];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(fstat(pipe_fds[1], &info), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino + (named ? 0 : 1));
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    int before = dup(STDERR_FILENO);
    assert_int_equal(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
    log_init("test", LOG_LEVEL_DEBUG, LOG_FORMAT_KEYVALUE);
    LOG_AT(level, "x");
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_init("test", LOG_LEVEL_DEBUG, LOG_FORMAT_KEYVALUE);
    memset(out, 0, 16);
    assert_int_equal(read(pipe_fds[0], out, 8), 8);
    close(before);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void
test_priorities_for_the_journal(void **state)
{
    static const char *const wanted[] = {"<3>time=", "<4>time=", "<6>time=", "<7>time="};
    char start[16];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        logged_into_a_pipe(true, (enum log_level)i, start);
        assert_string_equal(start, wanted[i]);
        logged_into_a_pipe(false, (enum log_level)i, start);
        assert_memory_equal(start, "time=", 5);
    }
    assert_false(log_is_journal(NULL, STDERR_FILENO));
    assert_false(log_is_journal("", STDERR_FILENO));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_identifiers_sort_by_time),
        cmocka_unit_test(test_random_below),
        cmocka_unit_test(test_log_lines),
        cmocka_unit_test(test_values_in_a_log_line_are_escaped),
        cmocka_unit_test(test_seconds_in_a_log_line),
        cmocka_unit_test(test_a_long_log_line_is_cut_between_fields),
        cmocka_unit_test(test_priorities_for_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
