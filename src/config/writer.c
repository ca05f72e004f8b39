#include "config/writer.h"

#include "config/scalar.h"

const char *const writer_introduction[] = {
    "Postern reads one file in YAML. Its place is /etc/postern/postern.yaml unless $POSTERN_CONFIG "
    "or --config names another. postern config check says whether it is right, and where it is "
    "not: each error with line, column, what was expected and what was probably meant. Unknown "
    "keys, keys that are given twice and values out of bounds are errors; nothing is ignored.",
    "Durations are a number and one of ms, s, m, h and d, such as 30s or 5d; a number alone is "
    "seconds. Sizes are a number and one of KiB, MiB, GiB, TiB (powers of 1024) or KB, MB, GB, TB "
    "(powers of 1000); a number alone is octets. Anchors, aliases and tags of YAML are not "
    "supported.",
    "After a change, SIGHUP (systemctl reload postern) makes the running program read the file "
    "again; when it has errors, the old configuration stays in force and the errors are logged.",
    NULL,
};

void
writer_put(struct writer *writer, const char *format, ...)
{
    if (writer->status != STATUS_OK) {
        return;
    }
    va_list args;
    va_start(args, format);
    writer->status = buf_vprintf(writer->out, format, args);
    va_end(args);
}

void
writer_wrap(struct writer *writer, const char *prefix, unsigned width, const char *text)
{
    struct str rest = str_from_cstr(text);
    size_t column = 0;
    while (rest.n > 0) {
        struct str word;
        str_cut(rest, ' ', &word, &rest);
        if (column > 0 && column + 1 + word.n > width) {
            writer_put(writer, "\n");
            column = 0;
        }
        const char *before = column == 0 ? prefix : " ";
        writer_put(writer, "%s%.*s", before, STR_ARG(word));
        column += strlen(before) + word.n;
    }
    writer_put(writer, "\n");
}

static const char *
text_or_empty(struct str s)
{
    return s.p != NULL ? s.p : "";
}

/* The names only; what they mean is told apart. */
static const char *
choice_values(struct writer *writer, const struct schema_choice *choices)
{
    struct str text = {0};
    for (size_t i = 0; choices[i].name != NULL; i++) {
        const char *separator = i == 0 ? "" : choices[i + 1].name == NULL ? " or " : ", ";
        text = arena_printf(writer->arena, "%.*s%s%s", STR_ARG(text), separator, choices[i].name);
    }
    return text_or_empty(text);
}

static const char *
list_values(struct writer *writer, const struct schema_field *field)
{
    const char *what = field->map != NULL ? "map" : scalar_type_of(field->type)->name;
    return text_or_empty(arena_printf(writer->arena, "list (%s), %llu to %llu entries", what,
                                      (unsigned long long)field->least,
                                      (unsigned long long)field->most));
}

const char *
field_values(struct writer *writer, const struct schema_field *field)
{
    if (field->is_list) {
        return list_values(writer, field);
    }
    if (field->type == SCHEMA_MAP) {
        return "map";
    }
    if (field->type == SCHEMA_CHOICE) {
        return choice_values(writer, field->choices);
    }
    const char *name = scalar_type_of(field->type)->name;
    if (field->least == 0 && field->most == 0) {
        return name;
    }
    char least[SCALAR_TEXT_MAX];
    char most[SCALAR_TEXT_MAX];
    scalar_bound(field, field->least, least);
    scalar_bound(field, field->most, most);
    const char *unit = field->type == SCHEMA_TEXT ? " characters" : "";
    return text_or_empty(arena_printf(writer->arena, "%s, %s to %s%s", name, least, most, unit));
}

const char *
field_default(const struct schema_field *field)
{
    if (field->required) {
        return "required";
    }
    if (field->unset != NULL) {
        return field->unset;
    }
    return field->fallback != NULL ? field->fallback : "those of its keys";
}

void
map_walk(struct writer *writer, const struct schema_map *map, const struct schema_field *field,
         const char *path,
         void (*visit)(struct writer *writer, const struct schema_map *map,
                       const struct schema_field *field, const char *path))
{
    visit(writer, map, field, path);
    for (size_t i = 0; i < map->count; i++) {
        const struct schema_field *inner = &map->fields[i];
        if (inner->map != NULL) {
            struct str below =
                arena_printf(writer->arena, "%s%s%s%s", path, path[0] != '\0' ? "." : "",
                             inner->name, inner->is_list ? "[]" : "");
            map_walk(writer, inner->map, inner, text_or_empty(below), visit);
        }
    }
}
