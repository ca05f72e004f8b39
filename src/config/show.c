#include "config/show.h"

#include "config/report.h"
#include "config/schema.h"
#include "config/yaml_tree.h"

/* What stands for a secret. */
#define REDACTED "(secret)"

struct show {
    struct arena *arena;
    config_on_value *on_value;
    void *context;
};

static void show_map(struct show *show, const struct schema_map *map, const struct yaml_node *node,
                     struct str path);

/* ---- values */

/* Keys that hold what nobody should read over a shoulder. */
static bool
is_secret(struct str name)
{
    static const char *const words[] = {"password", "secret", "token", "credential"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (str_find(name, str_from_cstr(words[i])) != STR_NPOS) {
            return true;
        }
    }
    return false;
}

/* "smtp://user:word@host": the word is left out. */
static struct str
without_password(struct arena *arena, struct str text)
{
    size_t scheme = str_find(text, STR("://"));
    size_t at = str_rfind_char(text, '@');
    if (scheme == STR_NPOS || at == STR_NPOS || at < scheme) {
        return text;
    }
    struct str user = str_head(str_skip(text, scheme + 3), at - scheme - 3);
    size_t colon = str_find_char(user, ':');
    if (colon == STR_NPOS) {
        return text;
    }
    return arena_printf(arena, "%.*s" REDACTED "%.*s",
                        STR_ARG(str_head(text, scheme + 3 + colon + 1)),
                        STR_ARG(str_skip(text, at)));
}

/* As YAML writes it: in quotes where it was, or where it would be taken for something else. */
static struct str
scalar_text(struct show *show, const struct schema_field *field, const struct yaml_node *node)
{
    if (is_secret(str_from_cstr(field->name))) {
        return STR(REDACTED);
    }
    struct str text = without_password(show->arena, node->text);
    return node->plain ? text : arena_printf(show->arena, "\"%.*s\"", STR_ARG(text));
}

static struct str
list_text(struct show *show, const struct schema_field *field, const struct yaml_node *node)
{
    struct str text = STR("[");
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        struct str one = scalar_text(show, field, item);
        text = arena_printf(show->arena, "%.*s%s%.*s", STR_ARG(text),
                            item == node->first ? "" : ", ", STR_ARG(one));
    }
    return arena_printf(show->arena, "%.*s]", STR_ARG(text));
}

static void
tell(struct show *show, struct str path, struct str text, unsigned line, const char *unset)
{
    struct config_value value = {path, text, line, unset};
    show->on_value(show->context, &value);
}

static void
tell_default(struct show *show, const struct schema_field *field, struct str path)
{
    struct str text = str_from_cstr(field->fallback);
    tell(show, path, text.n == 0 && field->is_list ? STR("[]") : text, 0, field->unset);
}

/* ---- the walk */

static struct str
path_below(struct show *show, struct str path, const char *name)
{
    return arena_printf(show->arena, "%.*s%s%s", STR_ARG(path), path.n > 0 ? "." : "", name);
}

static void
show_list_of_maps(struct show *show, const struct schema_field *field, const struct yaml_node *node,
                  struct str path)
{
    size_t i = 0;
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        show_map(show, field->map, item,
                 arena_printf(show->arena, "%.*s[%zu]", STR_ARG(path), i++));
    }
}

static void
show_field(struct show *show, const struct schema_field *field, const struct yaml_node *node,
           struct str path)
{
    bool given = node != NULL && !yaml_is_null(node);
    if (!given && (field->is_list || field->map == NULL)) {
        tell_default(show, field, path);
    } else if (field->is_list && field->map != NULL && node->count > 0) {
        show_list_of_maps(show, field, node, path);
    } else if (field->is_list) {
        tell(show, path, list_text(show, field, node), node->place.line, NULL);
    } else if (field->map != NULL) {
        show_map(show, field->map, given ? node : NULL, path);
    } else {
        tell(show, path, scalar_text(show, field, node), node->place.line, NULL);
    }
}

/* `node`: a map, the one value that may stand for it, or NULL. */
static void
show_map(struct show *show, const struct schema_map *map, const struct yaml_node *node,
         struct str path)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *field = &map->fields[i];
        const struct yaml_node *value = yaml_map_get(node, field->name);
        if (node != NULL && node->kind == YAML_SCALAR && map->shorthand != NULL &&
            str_eq(str_from_cstr(map->shorthand), str_from_cstr(field->name))) {
            value = node;
        }
        show_field(show, field, value, path_below(show, path, field->name));
    }
}

enum status
config_show(struct arena *arena, struct str text, config_on_value *on_value, void *context)
{
    struct config_errors ignored = {.count = 0};
    struct report report = {.arena = arena, .errors = &ignored};
    struct show show = {arena, on_value, context};
    const struct yaml_node *tree = yaml_tree_parse(arena, &report, text);
    if (tree == NULL) {
        return STATUS_SYNTAX;
    }
    show_map(&show, &schema_root, tree, STR(""));
    return STATUS_OK;
}
