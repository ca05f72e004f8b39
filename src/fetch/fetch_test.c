#include "fetch/source_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_judgement(void **state)
{
    static const struct {
        unsigned status;
        const char *type;
        size_t size;
        enum fetch_outcome outcome;
    } cases[] = {
        {200, "text/plain", 10, FETCH_OUTCOME_OK},
        {200, "Text/Plain; charset=utf-8", 100, FETCH_OUTCOME_OK},
        {200, "text/plain;charset=\"x\"", 0, FETCH_OUTCOME_OK},
        {200, " text/plain ; a=b", 1, FETCH_OUTCOME_OK},
        {200, "image/svg+xml", 1, FETCH_OUTCOME_OK},
        {200, "text/plain", 101, FETCH_OUTCOME_TOO_LARGE},
        {200, "text/html", 10, FETCH_OUTCOME_WRONG_TYPE},
        {200, "", 10, FETCH_OUTCOME_WRONG_TYPE},
        {200, "text/plain, text/html", 10, FETCH_OUTCOME_WRONG_TYPE},
        {200, "text/plainer", 10, FETCH_OUTCOME_WRONG_TYPE},
        {200, "text", 10, FETCH_OUTCOME_WRONG_TYPE},
        {404, "text/plain", 10, FETCH_OUTCOME_NOT_FOUND},
        {410, "", 10, FETCH_OUTCOME_NOT_FOUND},
        {201, "text/plain", 10, FETCH_OUTCOME_STATUS},
        {203, "text/plain", 10, FETCH_OUTCOME_STATUS},
        {204, "text/plain", 0, FETCH_OUTCOME_STATUS},
        {206, "text/plain", 10, FETCH_OUTCOME_STATUS},
        {300, "text/plain", 10, FETCH_OUTCOME_STATUS},
        {301, "text/plain", 10, FETCH_OUTCOME_REDIRECT},
        {302, "text/plain", 10, FETCH_OUTCOME_REDIRECT},
        {303, "text/plain", 10, FETCH_OUTCOME_REDIRECT},
        {304, "text/plain", 0, FETCH_OUTCOME_STATUS},
        {307, "text/plain", 10, FETCH_OUTCOME_REDIRECT},
        {308, "text/plain", 10, FETCH_OUTCOME_REDIRECT},
        {403, "text/plain", 10, FETCH_OUTCOME_STATUS},
        {500, "text/plain", 10, FETCH_OUTCOME_STATUS},
        {0, "text/plain", 10, FETCH_OUTCOME_STATUS},
    };
    static const struct str types[] = {STR_INIT("text/plain"), STR_INIT("image/svg+xml")};
    struct fetch_request request = {.size_max = 100, .media_types = types, .media_type_count = 2};
    const char *why;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetch_answer answer = {cases[i].status, str_from_cstr(cases[i].type), cases[i].size};
        enum fetch_outcome outcome = fetch_judge(&request, &answer, &why);
        if (outcome != cases[i].outcome) {
            fail_msg("%u \"%s\" %zu: %s", cases[i].status, cases[i].type, cases[i].size,
                     fetch_outcome_name(outcome));
        }
        assert_int_equal(outcome == FETCH_OUTCOME_OK, why[0] == '\0');
    }
    struct fetch_request any = {.size_max = 1};
    struct fetch_answer answer = {.http_status = 200, .size = 1};
    assert_int_equal(fetch_judge(&any, &answer, &why), FETCH_OUTCOME_OK);
}

static void
test_bounds_of_requests(void **state)
{
    static const struct str types[] = {STR_INIT("text/plain"), STR_INIT("text/x\r\nHost: a")};
    const struct {
        struct fetch_request request;
        enum status status;
    } cases[] = {
        {{.url = STR("https://a.example/"), .size_max = 1, .timeout_ms = 1}, STATUS_OK},
        {{.url = STR("http://a.example/"), .size_max = 1, .timeout_ms = 1}, STATUS_SYNTAX},
        {{.url = STR("https://a.example/"), .size_max = 0, .timeout_ms = 1}, STATUS_SYNTAX},
        {{.url = STR("https://a.example/"), .size_max = FETCH_SIZE_MAX + 1, .timeout_ms = 1},
         STATUS_SYNTAX},
        {{.url = STR("https://a.example/"), .size_max = 1, .timeout_ms = 0}, STATUS_SYNTAX},
        {{.url = STR("https://a.example/"), .size_max = 1, .timeout_ms = FETCH_TIMEOUT_MAX_MS + 1},
         STATUS_SYNTAX},
        {{.url = STR("https://a.example/"),
          .size_max = 1,
          .timeout_ms = 1,
          .media_types = types,
          .media_type_count = 2},
         STATUS_SYNTAX},
    };
    struct fetch_table table = {0};
    struct fetch_source source = fetch_source_from_table(&table);
    struct arena *arena = arena_create(4096);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetch_response response = {.http_status = 7};
        assert_int_equal(fetch_get(&source, arena, &cases[i].request, &response), cases[i].status);
        assert_int_equal(response.http_status, cases[i].status == STATUS_OK ? 0 : 7);
    }
    assert_int_equal(table.requests, 1);
    arena_destroy(&arena);
}

static void
test_table(void **state)
{
    static const struct str types[] = {STR_INIT("text/plain")};
    static const struct fetch_table_entry entries[] = {
        {STR_INIT("https://a.example/"),
         {.content_type = STR_INIT("text/plain"), .body = STR_INIT("version: STSv1")}},
        {STR_INIT("https://b.example/"),
         {.content_type = STR_INIT("text/html"), .body = STR_INIT("<p>")}},
        {STR_INIT("https://c.example/"), {.http_status = 301}},
        {STR_INIT("https://d.example/"), {.outcome = FETCH_OUTCOME_TLS_EXPIRED}},
    };
    static const struct {
        const char *url;
        enum fetch_outcome outcome;
        unsigned status;
        bool temporary;
    } cases[] = {
        {"https://a.example/", FETCH_OUTCOME_OK, 200, false},
        {"https://b.example/", FETCH_OUTCOME_WRONG_TYPE, 200, false},
        {"https://c.example/", FETCH_OUTCOME_REDIRECT, 301, false},
        {"https://d.example/", FETCH_OUTCOME_TLS_EXPIRED, 0, false},
        {"https://e.example/", FETCH_OUTCOME_NAME, 0, true},
    };
    struct fetch_table table = {entries, sizeof entries / sizeof entries[0], 0};
    struct fetch_source source = fetch_source_from_table(&table);
    struct arena *arena = arena_create(4096);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetch_request request = {.url = str_from_cstr(cases[i].url),
                                        .size_max = 100,
                                        .timeout_ms = 1000,
                                        .media_types = types,
                                        .media_type_count = 1};
        struct fetch_response response;
        assert_int_equal(fetch_get(&source, arena, &request, &response), STATUS_OK);
        assert_string_equal(fetch_outcome_name(response.outcome),
                            fetch_outcome_name(cases[i].outcome));
        assert_int_equal(response.http_status, cases[i].status);
        assert_int_equal(response.body.n > 0, cases[i].outcome == FETCH_OUTCOME_OK);
        assert_int_equal(fetch_is_temporary(&response), cases[i].temporary);
    }
    assert_int_equal(table.requests, 5);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_bounds_of_requests),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
