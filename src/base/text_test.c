#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

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
        cmocka_unit_test(test_a_long_log_line_is_cut_between_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
