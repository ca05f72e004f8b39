/* The JSON schema (draft 2020-12), for editors that complete and check YAML. */
#include <jansson.h>
#include <stdlib.h>

#include "config/config.h"
#include "config/load.h"
#include "config/reference.h"
#include "config/scalar.h"
#include "config/writer.h"

static json_t *map_schema(struct writer *writer, const struct schema_map *map);

/* jansson returns an error only without memory or with text that is not UTF-8. */
static void
set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        abort();
    }
}

static void
append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        abort();
    }
}

/* ["array", "null"]: a key of which everything below is commented out counts as not written. */
static json_t *
type_or(const char *type, const char *other)
{
    return json_pack("[ss]", type, other);
}

static json_t *
choices_enum(const struct schema_choice *choices)
{
    json_t *names = json_array();
    for (; choices->name != NULL; choices++) {
        append(names, json_string(choices->name));
    }
    return names;
}

/* A bound of a number, in the unit in which it is written. */
static json_t *
bound(const struct schema_field *field, uint64_t value)
{
    return field->type == SCHEMA_DECIMAL ? json_real((double)value / 1000.0)
                                         : json_integer((json_int_t)value);
}

static json_t *
scalar_schema(const struct schema_field *field, bool is_item)
{
    const struct scalar_type *type = scalar_type_of(field->type);
    json_t *schema = json_object();
    bool with_unit = field->type == SCHEMA_DURATION || field->type == SCHEMA_SIZE;
    set(schema, "type", with_unit ? type_or("string", "integer") : json_string(type->json_type));
    if (field->type == SCHEMA_CHOICE) {
        set(schema, "enum", choices_enum(field->choices));
    }
    if (type->pattern != NULL) {
        set(schema, "pattern", json_string(type->pattern));
    }
    bool bounded = !is_item && (field->least != 0 || field->most != 0);
    if (bounded && type->plain_only) {
        set(schema, "minimum", bound(field, field->least));
        set(schema, "maximum", bound(field, field->most));
    } else if (bounded && field->type == SCHEMA_TEXT) {
        set(schema, "minLength", bound(field, field->least));
        set(schema, "maxLength", bound(field, field->most));
    }
    return schema;
}

/* The default in the type that the value has in YAML. */
static json_t *
fallback_json(struct writer *writer, const struct schema_field *field)
{
    union {
        bool boolean;
        uint32_t count;
        uint16_t port;
        double decimal;
    } value;
    switch ((int)field->type) {
    case SCHEMA_BOOL:
        load_fallback(writer->arena, field, &value.boolean);
        return json_boolean(value.boolean);
    case SCHEMA_COUNT:
        load_fallback(writer->arena, field, &value.count);
        return json_integer(value.count);
    case SCHEMA_PORT:
        load_fallback(writer->arena, field, &value.port);
        return json_integer(value.port);
    case SCHEMA_DECIMAL:
        load_fallback(writer->arena, field, &value.decimal);
        return json_real(value.decimal);
    default:
        return json_string(field->fallback);
    }
}

static const char *
description(struct writer *writer, const struct schema_field *field)
{
    const char *values = field_values(writer, field);
    struct str text = field->unset != NULL
                          ? arena_printf(writer->arena, "%s (%s; without it: %s)", field->doc,
                                         values, field->unset)
                          : arena_printf(writer->arena, "%s (%s)", field->doc, values);
    return text.p != NULL ? text.p : "";
}

static json_t *
list_schema(struct writer *writer, const struct schema_field *field)
{
    json_t *schema = json_object();
    set(schema, "type", type_or("array", "null"));
    if (field->least > 0) {
        set(schema, "minItems", json_integer((json_int_t)field->least));
    }
    set(schema, "maxItems", json_integer((json_int_t)field->most));
    set(schema, "items",
        field->map != NULL ? map_schema(writer, field->map) : scalar_schema(field, true));
    return schema;
}

/* A group; with a shorthand, that value alone may stand for it. */
static json_t *
group_schema(struct writer *writer, const struct schema_field *field)
{
    json_t *group = map_schema(writer, field->map);
    set(group, "type", type_or("object", "null"));
    for (size_t i = 0; field->map->shorthand != NULL && i < field->map->count; i++) {
        if (strcmp(field->map->fields[i].name, field->map->shorthand) == 0) {
            return json_pack("{s:[oo]}", "anyOf", scalar_schema(&field->map->fields[i], false),
                             group);
        }
    }
    return group;
}

static json_t *
field_schema(struct writer *writer, const struct schema_field *field)
{
    json_t *schema = field->is_list       ? list_schema(writer, field)
                     : field->map != NULL ? group_schema(writer, field)
                                          : scalar_schema(field, false);
    set(schema, "description", json_string(description(writer, field)));
    if (field->fallback != NULL) {
        set(schema, "default", fallback_json(writer, field));
    }
    return schema;
}

static json_t *
map_schema(struct writer *writer, const struct schema_map *map)
{
    json_t *schema = json_object();
    json_t *properties = json_object();
    json_t *required = json_array();
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        set(properties, field->name, field_schema(writer, field));
        if (field->required) {
            append(required, json_string(field->name));
        }
    }
    set(schema, "type", json_string("object"));
    set(schema, "additionalProperties", json_false());
    set(schema, "properties", properties);
    set(schema, "required", required);
    return schema;
}

enum status
config_write_json_schema(struct buf *out)
{
    struct writer writer = {.out = out, .arena = arena_create(CONFIG_REFERENCE_MAX)};
    json_t *schema = json_object();
    set(schema, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    set(schema, "title", json_string("The configuration of Postern"));
    json_t *root = map_schema(&writer, &schema_root);
    if (json_object_update(schema, root) != 0) {
        abort();
    }
    json_decref(root);
    char *text = json_dumps(schema, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(schema);
    if (text == NULL) {
        abort();
    }
    writer_put(&writer, "%s\n", text);
    free(text);
    arena_destroy(&writer.arena);
    return writer.status;
}
