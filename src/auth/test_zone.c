#include "auth/test_zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

#define JSON_MAX (1u << 20)

static void
add(struct buf *json, const char *text)
{
    assert_int_equal(buf_append(json, str_from_cstr(text)), STATUS_OK);
}

static void
add_strings(struct buf *json, struct str value)
{
    struct str string;
    bool more = true;
    const char *separator = "\"strings\": [";
    while (more) {
        more = str_cut(value, '|', &string, &value);
        assert_int_equal(buf_printf(json, "%s\"%.*s\"", separator, STR_ARG(string)), STATUS_OK);
        separator = ", ";
    }
    add(json, "]");
}

static void
add_record(struct buf *json, const struct test_record *record)
{
    assert_int_equal(buf_printf(json, "{\"type\": \"%s\", \"pref\": 1, ", record->type), STATUS_OK);
    if (strcmp(record->type, "TXT") == 0) {
        add_strings(json, str_from_cstr(record->value));
    } else {
        assert_int_equal(buf_printf(json, "\"value\": \"%s\"", record->value), STATUS_OK);
    }
    add(json, "}");
}

struct dns_zone *
test_zone_create(const struct test_record *records, size_t count)
{
    struct dns_zone *zone = NULL;
    struct str error = STR("");
    struct buf json;
    struct arena *arena = arena_create(1 << 20);
    buf_init(&json, JSON_MAX);
    add(&json, "{");
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && strcmp(records[i].owner, records[i - 1].owner) == 0;
        if (same) {
            add(&json, ", ");
        } else {
            assert_int_equal(buf_printf(&json, "%s\"%s\": [", i > 0 ? "], " : "", records[i].owner),
                             STATUS_OK);
        }
        if (records[i].type[0] != '\0') {
            add_record(&json, &records[i]);
        }
    }
    add(&json, count > 0 ? "]}" : "}");
    if (dns_zone_create(arena, buf_str(&json), DNS_SECURITY_INSECURE, &zone, &error) != STATUS_OK) {
        fail_msg("zone: %.*s", STR_ARG(error));
    }
    buf_free(&json);
    arena_destroy(&arena);
    return zone;
}
