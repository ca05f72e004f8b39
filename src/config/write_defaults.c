/* The commented configuration with every key. */
#include "config/config.h"
#include "config/reference.h"
#include "config/writer.h"

/* Columns of a comment. */
#define WIDTH 98

/* Where a line begins: "#" when the block is commented out as a whole, then blanks. */
struct margin {
    const char *hash;
    unsigned indent;
};

static void write_fields(struct writer *writer, const struct schema_map *map, struct margin margin,
                         bool is_item);

static const char *
margin_text(struct writer *writer, struct margin margin, const char *after)
{
    struct str text =
        arena_printf(writer->arena, "%s%*s%s", margin.hash, (int)margin.indent, "", after);
    return text.p != NULL ? text.p : "";
}

/* What the key is for, what can be written, and what holds without it. */
static void
write_comment(struct writer *writer, const struct schema_field *field, struct margin margin)
{
    const char *prefix = margin_text(writer, margin, "# ");
    writer_wrap(writer, prefix, WIDTH, field->doc);
    if (field->type == SCHEMA_MAP && !field->is_list) {
        return;
    }
    if (field->type == SCHEMA_CHOICE) {
        for (const struct schema_choice *choice = field->choices; choice->name != NULL; choice++) {
            writer_put(writer, "%s  %s: %s\n", prefix, choice->name, choice->doc);
        }
    }
    const char *values = field_values(writer, field);
    const char *without = field->required || field->unset != NULL ? field_default(field) : NULL;
    struct str facts = without != NULL
                           ? arena_printf(writer->arena, "(%s; %s%s)", values,
                                          field->required ? "" : "without it: ", without)
                           : arena_printf(writer->arena, "(%s)", values);
    writer_wrap(writer, prefix, WIDTH, facts.p != NULL ? facts.p : "");
}

/* Whether a text in YAML would be taken for something else without quotes. */
static const char *
quotes_for(const struct schema_field *field)
{
    bool is_text = field->type == SCHEMA_SEPARATOR || field->type == SCHEMA_TEXT;
    bool is_numeric = field->type == SCHEMA_CHOICE && char_is_digit(field->choices[0].name[0]);
    return field->fallback != NULL && (is_text || is_numeric) ? "\"" : "";
}

static void
write_value(struct writer *writer, const struct schema_field *field, struct margin margin,
            const char *lead)
{
    bool is_set = field->required || field->fallback != NULL;
    const char *value = field->fallback != NULL ? field->fallback : field->example;
    const char *quote = quotes_for(field);
    struct margin at = margin;
    if (!is_set && margin.hash[0] == '\0') {
        at.hash = "#";
    }
    writer_put(writer, "%s%s: %s%s%s\n", margin_text(writer, at, lead), field->name, quote, value,
               quote);
}

static void
write_field(struct writer *writer, const struct schema_field *field, struct margin margin,
            const char *lead)
{
    struct margin inner = {margin.hash, margin.indent + 2};
    if (field->map == NULL) {
        write_value(writer, field, margin, lead);
        return;
    }
    bool is_off = margin.hash[0] == '\0' && !field->required && field->unset != NULL;
    if (is_off) {
        margin.hash = inner.hash = "#";
    }
    writer_put(writer, "%s%s:\n", margin_text(writer, margin, lead), field->name);
    write_fields(writer, field->map, inner, field->is_list);
}

/* The keys of a map; as the one entry of a list when is_item: "- " before the first. */
static void
write_fields(struct writer *writer, const struct schema_map *map, struct margin margin,
             bool is_item)
{
    struct margin inner = {margin.hash, margin.indent + (is_item ? 2 : 0)};
    for (size_t i = 0; i < map->count; i++) {
        if (margin.indent == 0 && i > 0) {
            writer_put(writer, "\n");
        }
        bool first = is_item && i == 0;
        write_comment(writer, &map->fields[i], first ? margin : inner);
        write_field(writer, &map->fields[i], first ? margin : inner, first ? "- " : "");
    }
}

enum status
config_write_defaults(struct buf *out)
{
    struct writer writer = {.out = out, .arena = arena_create(CONFIG_REFERENCE_MAX)};
    writer_put(&writer,
               "# The configuration of Postern with every key: what is not commented out "
               "is the default, or an\n"
               "# example where the key is required. Only the required keys have to be in "
               "the file.\n"
               "# See postern.yaml(5); postern config check %s finds mistakes.\n\n",
               CONFIG_FILE_DEFAULT);
    write_fields(&writer, &schema_root, (struct margin){"", 0}, false);
    arena_destroy(&writer.arena);
    return writer.status;
}
