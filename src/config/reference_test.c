/*
 * The schema table itself: defaults against bounds, what is made from it, and whether config.h and
 * the committed pages say the same. argv[1] is the root of the source tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "config/config.h"
#include "config/load.h"
#include "config/reference.h"
#include "config/scalar.h"
#include "config/writer.h"

#define FILE_MAX ((size_t)4 << 20)

static const char *source_root = ".";

static struct str
read_source(struct arena *arena, const char *name)
{
    struct str path = arena_printf(arena, "%s/%s", source_root, name);
    FILE *file = fopen(path.p, "rb");
    if (file == NULL) {
        fail_msg("cannot read %s", path.p);
    }
    char *text = arena_alloc(arena, FILE_MAX);
    assert_non_null(text);
    size_t n = fread(text, 1, FILE_MAX, file);
    fclose(file);
    return str_make(text, n);
}

static const struct config *
load(struct str text)
{
    struct arena *arena = arena_create(FILE_MAX);
    const struct config *config = NULL;
    struct config_errors errors;
    enum status status = config_load_text(arena, text, &config, &errors);
    for (size_t i = 0; i < errors.count; i++) {
        struct str line = config_error_format(arena, STR("t"), &errors.items[i]);
        print_error("%.*s\n", STR_ARG(line));
    }
    assert_int_equal(status, STATUS_OK);
    arena_destroy(&arena);
    return config;
}

/* Calls the visitor for every map of the schema. */
static void
for_each_map(void (*visit)(struct writer *writer, const struct schema_map *map,
                           const struct schema_field *field, const char *path))
{
    struct buf out;
    buf_init(&out, FILE_MAX);
    struct writer writer = {.out = &out, .arena = arena_create(2 * FILE_MAX)};
    map_walk(&writer, &schema_root, NULL, "", visit);
    arena_destroy(&writer.arena);
    buf_free(&out);
}

static bool
parses(struct arena *arena, const struct schema_field *field, struct str text)
{
    max_align_t room[16];
    struct scalar_input in = {.arena = arena, .field = field, .text = text};
    assert_true(scalar_type_of(field->type)->size <= sizeof room);
    return scalar_type_of(field->type)->parse(&in, room);
}

/* The default is taken, so are both bounds, and one step outside of each is refused. */
static void
check_bounds(struct arena *arena, const struct schema_field *field)
{
    bool is_number = field->type == SCHEMA_COUNT || field->type == SCHEMA_PORT ||
                     field->type == SCHEMA_SIZE || field->type == SCHEMA_DURATION;
    if (!is_number) {
        return;
    }
    const char *unit = field->type == SCHEMA_DURATION ? "ms" : "";
    assert_true(field->least < field->most);
    assert_true(parses(arena, field, arena_printf(arena, "%ju%s", (uintmax_t)field->least, unit)));
    assert_true(parses(arena, field, arena_printf(arena, "%ju%s", (uintmax_t)field->most, unit)));
    assert_false(
        parses(arena, field, arena_printf(arena, "%ju%s", (uintmax_t)field->most + 1, unit)));
    if (field->least > 0) {
        assert_false(
            parses(arena, field, arena_printf(arena, "%ju%s", (uintmax_t)field->least - 1, unit)));
    }
    char text[SCALAR_TEXT_MAX];
    assert_true(parses(arena, field, str_from_cstr(scalar_bound(field, field->least, text))));
    assert_true(parses(arena, field, str_from_cstr(scalar_bound(field, field->most, text))));
}

static void
check_rows(struct writer *writer, const struct schema_map *map, const struct schema_field *group,
           const char *path)
{
    (void)group;
    (void)path;
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        assert_true(field->doc != NULL && field->doc[strlen(field->doc) - 1] == '.');
        assert_true((field->type == SCHEMA_MAP) == (field->map != NULL));
        assert_true((field->type == SCHEMA_CHOICE) == (field->choices != NULL));
        assert_true(field->offset < map->size);
        bool scalar = field->map == NULL && !field->is_list;
        /* Exactly one of: required, has a default, says what holds without it. */
        int kinds = field->required + (field->fallback != NULL) + (field->unset != NULL);
        assert_int_equal(kinds, field->map != NULL && !field->is_list && kinds == 0 ? 0 : 1);
        if (scalar && field->fallback == NULL) {
            assert_non_null(field->example);
        }
        if (field->fallback != NULL) {
            assert_true(parses(writer->arena, field, str_from_cstr(field->fallback)));
        }
        if (scalar) {
            check_bounds(writer->arena, field);
        } else if (field->is_list) {
            assert_true(field->most > 0);
        }
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(map->fields[k].name, field->name);
        }
    }
}

static void
test_rows(void **state)
{
    (void)state;
    for_each_map(check_rows);
}

static struct str header_text;

/* The comment of a member in config.h begins with its default and bounds in brackets. */
static void
check_header(struct writer *writer, const struct schema_map *map, const struct schema_field *group,
             const char *path)
{
    (void)group;
    struct str open = arena_printf(writer->arena, "\nstruct %s {", map->c_struct);
    size_t start = str_find(header_text, open);
    assert_true(start != STR_NPOS);
    struct str body = str_skip(header_text, start);
    body = str_head(body, str_find(body, STR("\n};")));
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        if (field->fallback == NULL) {
            continue;
        }
        struct str member = arena_printf(writer->arena, " %s%s;", field->name,
                                         field->type == SCHEMA_DURATION ? "_ms" : "");
        size_t at = str_find(body, member);
        char least[SCALAR_TEXT_MAX];
        char most[SCALAR_TEXT_MAX];
        bool bounded = field->least != 0 || field->most != 0;
        struct str want = bounded && field->type != SCHEMA_PORT && field->type != SCHEMA_TEXT
                              ? arena_printf(writer->arena, "[%s, %s..%s]", field->fallback,
                                             scalar_bound(field, field->least, least),
                                             scalar_bound(field, field->most, most))
                              : arena_printf(writer->arena, "[%s", field->fallback);
        struct str rest = str_skip(body, at == STR_NPOS ? body.n : at + member.n);
        size_t next = str_find_char(rest, ';');
        if (at == STR_NPOS || str_find(str_head(rest, next), want) == STR_NPOS) {
            struct str quoted = arena_printf(writer->arena, "[\"%s\"]", field->fallback);
            if (at == STR_NPOS || str_find(str_head(rest, next), quoted) == STR_NPOS) {
                fail_msg("config.h: %s.%s: want %.*s", path, field->name, STR_ARG(want));
            }
        }
    }
}

static void
test_header(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4 * FILE_MAX);
    struct str first = read_source(arena, "src/config/config.h");
    struct str second = read_source(arena, "src/config/config_outgoing.h");
    header_text = arena_printf(arena, "%.*s%.*s", STR_ARG(first), STR_ARG(second));
    for_each_map(check_header);
    arena_destroy(&arena);
}

/* What `config defaults` prints is a configuration with exactly the defaults. */
static void
test_defaults_load(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, CONFIG_REFERENCE_MAX);
    assert_int_equal(config_write_defaults(&out), STATUS_OK);
    const struct config *written = load(buf_str(&out));
    const struct config *plain =
        load(STR("hostname: mx.example.com\n"
                 "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\n"));
    assert_memory_equal(&written->limits, &plain->limits, sizeof plain->limits);
    assert_memory_equal(&written->queue, &plain->queue, sizeof plain->queue);
    assert_memory_equal(&written->callout, &plain->callout, sizeof plain->callout);
    assert_memory_equal(&written->submission, &plain->submission, sizeof plain->submission);
    assert_memory_equal(&written->retention, &plain->retention, sizeof plain->retention);
    assert_memory_equal(&written->logging, &plain->logging, sizeof plain->logging);
    assert_memory_equal(&written->metrics, &plain->metrics, sizeof plain->metrics);
    assert_memory_equal(&written->resolver, &plain->resolver, sizeof plain->resolver);
    assert_int_equal(written->domains.count, 0);
    assert_int_equal(written->smart_host.to.kind, CONFIG_DELIVERY_NONE);
    assert_true(str_eq(written->smtp.banner, plain->smtp.banner));
    config_unref(&written);
    config_unref(&plain);
    buf_free(&out);
}

/* With every "#" that hides a key taken away, the file is right but for two examples. */
static void
test_defaults_uncommented(void **state)
{
    (void)state;
    struct buf out;
    struct buf bare;
    buf_init(&out, CONFIG_REFERENCE_MAX);
    buf_init(&bare, CONFIG_REFERENCE_MAX);
    assert_int_equal(config_write_defaults(&out), STATUS_OK);
    struct str rest = buf_str(&out);
    struct str line;
    while (str_cut(rest, '\n', &line, &rest)) {
        /* One excludes stub_root, the other goes with recipients: list. */
        bool skipped = str_starts_with(line, STR("#  forwarders:")) ||
                       str_starts_with(line, STR("#    list:"));
        bool hidden = line.n > 1 && line.p[0] == '#' && line.p[1] != ' ';
        hidden = hidden || str_starts_with(line, STR("#  "));
        if (!skipped) {
            struct str kept = hidden ? str_skip(line, 1) : line;
            assert_int_equal(buf_printf(&bare, "%.*s\n", STR_ARG(kept)), STATUS_OK);
        }
    }
    const struct config *config = load(buf_str(&bare));
    assert_int_equal(config->domains.count, 1);
    assert_int_equal(config->domains.items[0].aliases.count, 1);
    assert_int_equal(config->zones.count, 1);
    assert_int_equal(config->routes.count, 1);
    assert_int_equal(config->tls.certificates.count, 1);
    config_unref(&config);
    buf_free(&out);
    buf_free(&bare);
}

static struct str page_text;

static void
check_page(struct writer *writer, const struct schema_map *map, const struct schema_field *group,
           const char *path)
{
    (void)group;
    (void)path;
    for (size_t i = 0; i < map->count; i++) {
        struct str doc = str_from_cstr(map->fields[i].doc);
        struct str entry = arena_printf(writer->arena, "`%s`", map->fields[i].name);
        assert_true(str_find(page_text, entry) != STR_NPOS);
        /* The first words are in one line in every form. */
        assert_true(str_find(page_text, str_head(doc, 12)) != STR_NPOS);
    }
}

static void
test_markdown(void **state)
{
    (void)state;
    struct arena *arena = arena_create(2 * FILE_MAX);
    struct buf out;
    buf_init(&out, CONFIG_REFERENCE_MAX);
    assert_int_equal(config_write_markdown(&out), STATUS_OK);
    page_text = buf_str(&out);
    for_each_map(check_page);
    if (!str_eq(read_source(arena, "doc/configuration.md"), page_text)) {
        fail_msg("doc/configuration.md is out of date: postern config reference > "
                 "doc/configuration.md");
    }
    buf_free(&out);
    arena_destroy(&arena);
}

static void
test_manual(void **state)
{
    (void)state;
    struct arena *arena = arena_create(2 * FILE_MAX);
    struct buf out;
    buf_init(&out, CONFIG_REFERENCE_MAX);
    assert_int_equal(config_write_manual(&out), STATUS_OK);
    if (!str_eq(read_source(arena, "doc/man/postern.yaml.5"), buf_str(&out))) {
        fail_msg("doc/man/postern.yaml.5 is out of date: postern config reference --man > "
                 "doc/man/postern.yaml.5");
    }
    buf_free(&out);
    arena_destroy(&arena);
}

static void
check_json_map(const json_t *schema, const struct schema_map *map)
{
    const json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), map->count);
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        const json_t *property = json_object_get(properties, field->name);
        assert_true(json_is_string(json_object_get(property, "description")));
        assert_int_equal(json_object_get(property, "default") != NULL, field->fallback != NULL);
        if (field->is_list) {
            property = json_object_get(property, "items");
        } else if (field->map != NULL && field->map->shorthand != NULL) {
            property = json_array_get(json_object_get(property, "anyOf"), 1);
        }
        if (field->map != NULL) {
            check_json_map(property, field->map);
        }
    }
}

static void
test_json_schema(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, CONFIG_REFERENCE_MAX);
    assert_int_equal(config_write_json_schema(&out), STATUS_OK);
    struct str text = buf_str(&out);
    json_error_t error;
    json_t *schema = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(schema);
    assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    check_json_map(schema, &schema_root);
    json_t *port = json_object_get(
        json_object_get(json_object_get(json_object_get(schema, "properties"), "metrics"),
                        "properties"),
        "port");
    assert_int_equal(json_integer_value(json_object_get(port, "maximum")), 65535);
    assert_int_equal(json_integer_value(json_object_get(port, "default")), 9154);
    json_decref(schema);
    buf_free(&out);
}

static void
test_ceiling(void **state)
{
    (void)state;
    enum status (*const writers[])(struct buf * out) = {config_write_defaults,
                                                        config_write_markdown, config_write_manual,
                                                        config_write_json_schema};
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        struct buf out;
        buf_init(&out, 100);
        assert_int_equal(writers[i](&out), STATUS_LIMIT);
        buf_free(&out);
    }
}

int
main(int argc, char **argv)
{
    if (argc > 1) {
        source_root = argv[1];
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_header),
        cmocka_unit_test(test_defaults_load), cmocka_unit_test(test_defaults_uncommented),
        cmocka_unit_test(test_markdown),      cmocka_unit_test(test_manual),
        cmocka_unit_test(test_json_schema),   cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
