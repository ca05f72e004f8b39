#include "config/load.h"

#include <stdlib.h>

#include "config/scalar.h"

/* How the members of lists look in config.h: struct config_texts and its like. */
struct any_list {
    const void *items;
    size_t count;
};

/* The way to a value, for errors: "domains[0].aliases[2].to". */
struct path {
    const struct path *up;
    const char *name; /* NULL: an index */
    size_t index;
};

struct loader {
    struct arena *arena; /* the configuration's */
    struct report *report;
};

static void load_map(struct loader *loader, const struct schema_map *map, struct yaml_node *node,
                     const struct path *path, void *object);

static struct str
path_text(struct report *report, const struct path *path)
{
    if (path == NULL) {
        return STR("");
    }
    struct str up = path_text(report, path->up);
    if (path->name == NULL) {
        return arena_printf(report->arena, "%.*s[%zu]", STR_ARG(up), path->index);
    }
    return arena_printf(report->arena, "%.*s%s%s", STR_ARG(up), up.n > 0 ? "." : "", path->name);
}

static const char *
field_name(const void *map, size_t i)
{
    return ((const struct schema_map *)map)->fields[i].name;
}

static const struct schema_field *
field_find(const struct schema_map *map, struct str name)
{
    for (size_t i = 0; i < map->count; i++) {
        if (str_eq(name, str_from_cstr(map->fields[i].name))) {
            return &map->fields[i];
        }
    }
    return NULL;
}

/* "it; did you mean "that"?; because" after an error about a value. */
static void
report_value(struct loader *loader, const struct schema_field *field, const struct yaml_node *node,
             const struct path *path, const struct scalar_input *in)
{
    struct report *report = loader->report;
    struct str where = path_text(report, path);
    struct str expected = scalar_expected(report->arena, field);
    struct str found = report_quote(report, in->text);
    struct str more = {0};
    if (in->reason != NULL) {
        more = arena_printf(report->arena, "; %s", in->reason);
    }
    if (in->suggestion != NULL) {
        more = arena_printf(report->arena, "%.*s; did you mean \"%s\"?", STR_ARG(more),
                            in->suggestion);
    }
    report_add(report, node->place, "%.*s: expected %.*s, found %.*s%.*s", STR_ARG(where),
               STR_ARG(expected), STR_ARG(found), STR_ARG(more));
}

static void
load_scalar(struct loader *loader, const struct schema_field *field, struct yaml_node *node,
            const struct path *path, void *out)
{
    const struct scalar_type *type = scalar_type_of(field->type);
    struct report *report = loader->report;
    if (node->kind != YAML_SCALAR || yaml_is_null(node)) {
        node->wrong = true;
        struct str where = path_text(report, path);
        struct str expected = scalar_expected(report->arena, field);
        report_add(report, node->place, "%.*s: expected %.*s, found %s", STR_ARG(where),
                   STR_ARG(expected), yaml_kind_name(node));
        return;
    }
    struct scalar_input in = {.arena = loader->arena, .field = field, .text = node->text};
    if (type->plain_only && !node->plain) {
        in.reason = "leave out the quotation marks";
    } else if (type->parse(&in, out)) {
        return;
    }
    node->wrong = true;
    report_value(loader, field, node, path, &in);
}

void
load_fallback(struct arena *arena, const struct schema_field *field, void *out)
{
    struct scalar_input in = {
        .arena = arena, .field = field, .text = str_from_cstr(field->fallback)};
    if (!scalar_type_of(field->type)->parse(&in, out)) {
        abort();
    }
}

static void
report_wrong_count(struct loader *loader, const struct schema_field *field,
                   const struct yaml_node *node, const struct path *path)
{
    struct str where = path_text(loader->report, path);
    report_add(loader->report, node->place, "%.*s: expected %llu to %llu entries, found %zu",
               STR_ARG(where), (unsigned long long)field->least, (unsigned long long)field->most,
               node->count);
}

/* A single value where a list belongs: show how the list is written. */
static void
report_no_list(struct loader *loader, const struct yaml_node *node, const struct path *path)
{
    struct report *report = loader->report;
    struct str where = path_text(report, path);
    if (node->kind == YAML_SCALAR) {
        struct str found = report_quote(report, node->text);
        report_add(report, node->place, "%.*s: expected a list, found %.*s; write it in [ ]",
                   STR_ARG(where), STR_ARG(found));
        return;
    }
    report_add(report, node->place,
               "%.*s: expected a list, found a map; put \"- \" before each entry", STR_ARG(where));
}

static void
load_list(struct loader *loader, const struct schema_field *field, struct yaml_node *node,
          const struct path *path, void *out)
{
    bool is_empty = yaml_is_null(node);
    if (node->kind != YAML_LIST && !is_empty) {
        report_no_list(loader, node, path);
        return;
    }
    if (node->count < field->least || node->count > field->most) {
        report_wrong_count(loader, field, node, path);
        return;
    }
    if (node->count == 0) {
        return;
    }
    size_t size = field->map != NULL ? field->map->size : scalar_type_of(field->type)->size;
    char *items = arena_alloc_array(loader->arena, node->count, size);
    if (items == NULL) {
        report_add(loader->report, node->place, "the configuration is too large");
        return;
    }
    size_t i = 0;
    for (struct yaml_node *item = node->first; item != NULL; item = item->next, i++) {
        struct path step = {.up = path, .index = i};
        if (report_is_full(loader->report)) {
            return;
        }
        if (field->map != NULL) {
            load_map(loader, field->map, item, &step, items + i * size);
        } else {
            load_scalar(loader, field, item, &step, items + i * size);
        }
    }
    struct any_list list = {items, node->count};
    memcpy(out, &list, sizeof list);
}

static void
load_value(struct loader *loader, const struct schema_field *field, struct yaml_node *node,
           const struct path *path, void *out)
{
    if (field->is_list) {
        load_list(loader, field, node, path, out);
    } else if (field->type != SCHEMA_MAP) {
        load_scalar(loader, field, node, path, out);
    } else if (!yaml_is_null(node)) {
        /* A group of which all lines are commented out is the same as none: defaults. */
        load_map(loader, field->map, node, path, out);
    }
}

/* The values of a map of which nothing was written. */
static void
load_defaults(struct loader *loader, const struct schema_map *map, char *object)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        if (field->is_list) {
            continue;
        }
        if (field->type == SCHEMA_MAP) {
            load_defaults(loader, field->map, object + field->offset);
        } else if (field->fallback != NULL) {
            load_fallback(loader->arena, field, object + field->offset);
        }
    }
}

/* "a, b, c": the keys of a map; for one with many, where they are listed. */
static struct str
keys_text(struct report *report, const struct schema_map *map)
{
    if (map->count > 10) {
        return STR("postern config reference lists the keys");
    }
    struct str text = STR("the keys here are ");
    for (size_t i = 0; i < map->count; i++) {
        text = arena_printf(report->arena, "%.*s%s%s", STR_ARG(text), i == 0 ? "" : ", ",
                            map->fields[i].name);
    }
    return text;
}

static void
report_unknown_key(struct loader *loader, const struct schema_map *map,
                   const struct yaml_node *child, const struct path *path)
{
    struct report *report = loader->report;
    struct str where = path_text(report, path);
    struct str key = report_quote(report, child->key);
    const char *colon = where.n > 0 ? ": " : "";
    const char *suggestion = suggest_name(child->key, map, map->count, field_name);
    if (suggestion != NULL) {
        report_add(report, child->key_place, "%.*s%sunknown key %.*s; did you mean \"%s\"?",
                   STR_ARG(where), colon, STR_ARG(key), suggestion);
        return;
    }
    struct str keys = keys_text(report, map);
    report_add(report, child->key_place, "%.*s%sunknown key %.*s; %.*s", STR_ARG(where), colon,
               STR_ARG(key), STR_ARG(keys));
}

/* True when the key stood before in the same map; reported then. */
static bool
is_repeated(struct loader *loader, const struct yaml_node *map, const struct yaml_node *child,
            const struct path *path)
{
    for (const struct yaml_node *before = map->first; before != child; before = before->next) {
        if (str_eq(before->key, child->key)) {
            struct str where = path_text(loader->report, path);
            struct str key = report_quote(loader->report, child->key);
            report_add(loader->report, child->key_place,
                       "%.*s%sthe key %.*s is given twice; the first is on line %u", STR_ARG(where),
                       where.n > 0 ? ": " : "", STR_ARG(key), before->key_place.line);
            return true;
        }
    }
    return false;
}

static void
load_entries(struct loader *loader, const struct schema_map *map, struct yaml_node *node,
             const struct path *path, char *object)
{
    for (struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (report_is_full(loader->report)) {
            return;
        }
        const struct schema_field *field = field_find(map, child->key);
        if (field == NULL) {
            report_unknown_key(loader, map, child, path);
        } else if (!is_repeated(loader, node, child, path)) {
            struct path step = {.up = path, .name = field->name};
            load_value(loader, field, child, &step, object + field->offset);
        }
    }
}

static void
check_required(struct loader *loader, const struct schema_map *map, const struct yaml_node *node,
               const struct path *path)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        if (!field->required || yaml_map_get(node, field->name) != NULL) {
            continue;
        }
        struct report *report = loader->report;
        struct str where = path_text(report, path);
        struct str expected =
            field->is_list ? STR("a list") : scalar_expected(report->arena, field);
        report_add(report, node->place, "%.*s%s\"%s\" is missing; expected %.*s", STR_ARG(where),
                   where.n > 0 ? ": " : "", field->name, STR_ARG(expected));
    }
}

static void
load_map(struct loader *loader, const struct schema_map *map, struct yaml_node *node,
         const struct path *path, void *object)
{
    load_defaults(loader, map, object);
    if (node->kind == YAML_MAP) {
        load_entries(loader, map, node, path, object);
        check_required(loader, map, node, path);
        return;
    }
    const struct schema_field *field =
        map->shorthand != NULL ? field_find(map, str_from_cstr(map->shorthand)) : NULL;
    if (node->kind == YAML_SCALAR && !yaml_is_null(node) && field != NULL) {
        load_scalar(loader, field, node, path, (char *)object + field->offset);
        return;
    }
    struct str where = path_text(loader->report, path);
    struct str keys = keys_text(loader->report, map);
    report_add(loader->report, node->place, "%.*s%sexpected a map, found %s; %.*s", STR_ARG(where),
               where.n > 0 ? ": " : "", yaml_kind_name(node), STR_ARG(keys));
}

void
load_tree(struct arena *arena, struct report *report, struct yaml_node *tree, struct config *config)
{
    struct loader loader = {.arena = arena, .report = report};
    load_map(&loader, &schema_root, tree, NULL, config);
}
