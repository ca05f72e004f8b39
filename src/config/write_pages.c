/* The reference page in Markdown and the manual page in mdoc. */
#include <ctype.h>

#include "config/config.h"
#include "config/reference.h"
#include "config/writer.h"

/* A configuration that works, for the head of both pages. */
static const char *const example_lines[] = {
    "hostname: mx.example.com",
    "listeners:",
    "  - {address: 192.0.2.25, port: 25, kind: mx}",
    "  - {address: 192.0.2.25, port: 465, kind: smtps}",
    "tls:",
    "  certificates:",
    "    - {certificate: /etc/postern/mx.pem, key: /etc/postern/mx.key}",
    "domains:",
    "  - name: example.com",
    "    delivery: lmtp:/run/dovecot/lmtp",
    "    aliases:",
    "      - {name: sales, to: [bob@example.com, jack@example.com]}",
    "bounce:",
    "  postmaster: bob@example.com",
    NULL,
};

/* The choices with their meanings, one sentence each, for the end of a key's text. */
static const char *
choices_doc(struct writer *writer, const struct schema_field *field)
{
    struct str text = STR("");
    for (size_t i = 0; field->choices != NULL && field->choices[i].name != NULL; i++) {
        const struct schema_choice *choice = &field->choices[i];
        text =
            arena_printf(writer->arena, "%.*s `%s`: %s.", STR_ARG(text), choice->name, choice->doc);
    }
    return text.p != NULL ? text.p : "";
}

/* "|" would end a cell of the table. */
static const char *
cell(struct writer *writer, const char *text)
{
    struct str escaped = STR("");
    struct str rest = str_from_cstr(text);
    struct str head;
    while (str_cut(rest, '|', &head, &rest)) {
        escaped = arena_printf(writer->arena, "%.*s%.*s\\|", STR_ARG(escaped), STR_ARG(head));
    }
    escaped = arena_printf(writer->arena, "%.*s%.*s", STR_ARG(escaped), STR_ARG(head));
    return escaped.p != NULL ? escaped.p : "";
}

/* The anchor that Markdown gives the heading of a map: "domains[].aliases[]" is "domainsaliases".
 */
static void
put_anchor(struct writer *writer, const char *path, const char *name)
{
    writer_put(writer, "#");
    for (const char *p = path; *p != '\0'; p++) {
        if (isalnum((unsigned char)*p) || *p == '_') {
            writer_put(writer, "%c", *p);
        }
    }
    writer_put(writer, "%s", name);
}

static void
put_markdown_row(struct writer *writer, const struct schema_field *field, const char *path)
{
    const char *quote = field->fallback != NULL && field->unset == NULL ? "`" : "";
    if (field->map != NULL) {
        writer_put(writer, "| [`%s`](", field->name);
        put_anchor(writer, path, field->name);
        writer_put(writer, ")");
    } else {
        writer_put(writer, "| `%s`", field->name);
    }
    writer_put(writer, " | %s | %s%s%s | %s%s", cell(writer, field_values(writer, field)), quote,
               cell(writer, field_default(field)), quote, cell(writer, field->doc),
               cell(writer, choices_doc(writer, field)));
    if (field->example != NULL) {
        writer_put(writer, " For example `%s: %s`.", field->name, cell(writer, field->example));
    }
    writer_put(writer, " |\n");
}

static void
put_markdown_map(struct writer *writer, const struct schema_map *map,
                 const struct schema_field *field, const char *path)
{
    writer_put(writer, "\n## %s\n\n", field == NULL ? "The keys of the file" : path);
    if (field != NULL) {
        writer_put(writer, "%s. %s\n\n", map->title, field->doc);
    }
    writer_put(writer, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < map->count; i++) {
        put_markdown_row(writer, &map->fields[i], path);
    }
}

enum status
config_write_markdown(struct buf *out)
{
    struct writer writer = {.out = out, .arena = arena_create(CONFIG_REFERENCE_MAX)};
    writer_put(&writer, "# The configuration\n\n<!-- Made by `postern config reference`; change "
                        "src/config/schema.c instead of this page. -->\n\n");
    for (size_t i = 0; writer_introduction[i] != NULL; i++) {
        writer_put(&writer, "%s\n\n", writer_introduction[i]);
    }
    writer_put(&writer, "`postern config defaults` prints a file with every key, `postern config "
                        "schema` a JSON schema for editors. A small configuration that works:\n\n"
                        "```yaml\n");
    for (size_t i = 0; example_lines[i] != NULL; i++) {
        writer_put(&writer, "%s\n", example_lines[i]);
    }
    writer_put(&writer, "```\n");
    map_walk(&writer, &schema_root, NULL, "", put_markdown_map);
    arena_destroy(&writer.arena);
    return writer.status;
}

/*
 * Text in mdoc: a line that begins with a dot or an apostrophe would be a request, a backslash an
 * escape; each sentence begins a line.
 */
static void
put_mdoc_text(struct writer *writer, const char *text)
{
    bool at_start = true;
    for (const char *p = text; *p != '\0'; p++) {
        if (at_start && *p == ' ') {
            continue;
        }
        if (at_start && (*p == '.' || *p == '\'')) {
            writer_put(writer, "\\&");
        }
        at_start = false;
        if (*p == '\\') {
            writer_put(writer, "\\e");
        } else if (*p == '.' && p[1] == ' ' && isupper((unsigned char)p[2])) {
            writer_put(writer, ".\n");
            at_start = true;
        } else {
            writer_put(writer, "%c", *p);
        }
    }
    writer_put(writer, "\n");
}

static void
put_manual_key(struct writer *writer, const struct schema_field *field)
{
    writer_put(writer, ".It Cm %s\n", field->name);
    put_mdoc_text(writer, field->doc);
    if (field->type == SCHEMA_MAP && !field->is_list && field->unset == NULL) {
        return;
    }
    if (field->choices != NULL) {
        writer_put(writer, ".Bl -tag -width opportunistic -compact\n");
        for (const struct schema_choice *choice = field->choices; choice->name != NULL; choice++) {
            writer_put(writer, ".It Cm %s\n", choice->name);
            put_mdoc_text(writer, choice->doc);
        }
        writer_put(writer, ".El\n");
    }
    struct str facts = arena_printf(
        writer->arena, "Value: %s. %s%s.", field_values(writer, field),
        field->required ? "" : "Default: ", field->required ? "Required" : field_default(field));
    writer_put(writer, ".br\n");
    put_mdoc_text(writer, facts.p != NULL ? facts.p : "");
    if (field->example != NULL) {
        writer_put(writer, ".br\nExample: ");
        put_mdoc_text(writer, field->example);
    }
}

static void
put_manual_map(struct writer *writer, const struct schema_map *map,
               const struct schema_field *field, const char *path)
{
    writer_put(writer, ".Ss %s\n", field == NULL ? "Keys of the file" : path);
    if (field != NULL) {
        put_mdoc_text(writer, field->doc);
    }
    writer_put(writer, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < map->count; i++) {
        put_manual_key(writer, &map->fields[i]);
    }
    writer_put(writer, ".El\n");
}

enum status
config_write_manual(struct buf *out)
{
    struct writer writer = {.out = out, .arena = arena_create(CONFIG_REFERENCE_MAX)};
    writer_put(&writer,
               ".\\\" Made by postern config reference --man; change src/config/schema.c "
               "instead.\n"
               ".Dd November 23, 2026\n.Dt POSTERN.YAML 5\n.Os\n.Sh NAME\n"
               ".Nm postern.yaml\n.Nd configuration of the Postern e-mail gateway\n"
               ".Sh SYNOPSIS\n.Pa %s\n.Sh DESCRIPTION\n",
               CONFIG_FILE_DEFAULT);
    for (size_t i = 0; writer_introduction[i] != NULL; i++) {
        writer_put(&writer, "%s", i > 0 ? ".Pp\n" : "");
        put_mdoc_text(&writer, writer_introduction[i]);
    }
    map_walk(&writer, &schema_root, NULL, "", put_manual_map);
    writer_put(&writer,
               ".Sh FILES\n.Bl -tag -width Ds\n.It Pa %s\nThe configuration.\n.El\n"
               ".Sh EXAMPLES\nA gateway in front of Dovecot on the same machine:\n"
               ".Bd -literal -offset indent\n",
               CONFIG_FILE_DEFAULT);
    for (size_t i = 0; example_lines[i] != NULL; i++) {
        writer_put(&writer, "%s\n", example_lines[i]);
    }
    writer_put(&writer, ".Ed\n.Sh SEE ALSO\n.Xr postern 1\n");
    arena_destroy(&writer.arena);
    return writer.status;
}
