#include "cli/config_show.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"
#include "config/show.h"
#include "trace/trace.h"

#define SHOW_ARENA ((size_t)512 << 20)

struct printing {
    const char *file_name;
    struct str prefix;
    json_t *list; /* NULL: text */
    int count;
};

/* "queue" is about queue.lifetime, "domains" about domains[0].name; "que" is about nothing. */
static bool
is_below(struct str path, struct str prefix)
{
    return prefix.n == 0 ||
           (str_starts_with(path, prefix) &&
            (path.n == prefix.n || path.p[prefix.n] == '.' || path.p[prefix.n] == '['));
}

static void
print_text(const struct printing *printing, const struct config_value *value)
{
    cli_print_text(stdout, value->path);
    fputs(": ", stdout);
    cli_print_text(stdout, value->text);
    fputs(value->text.n > 0 ? "  # " : "# ", stdout);
    if (value->line > 0) {
        printf("%s:%u\n", printing->file_name, value->line);
    } else {
        printf("default%s%s\n", value->unset != NULL ? ": " : "",
               value->unset != NULL ? value->unset : "");
    }
}

static void
add_json(struct printing *printing, const struct config_value *value)
{
    json_t *json = json_pack("{s:o, s:o, s:s}", "key", trace_json_text(value->path), "value",
                             value->text.n > 0 ? trace_json_text(value->text) : json_null(),
                             "origin", value->line > 0 ? "file" : "default");
    if (value->line > 0) {
        json_object_set_new(json, "file", trace_json_text(str_from_cstr(printing->file_name)));
        json_object_set_new(json, "line", json_integer(value->line));
    }
    json_array_append_new(printing->list, json);
}

static void
on_value(void *context, const struct config_value *value)
{
    struct printing *printing = context;
    if (!is_below(value->path, printing->prefix)) {
        return;
    }
    printing->count++;
    if (printing->list != NULL) {
        add_json(printing, value);
    } else {
        print_text(printing, value);
    }
}

int
config_show_print(struct str text, const char *file_name, const char *prefix, bool json)
{
    struct arena *arena = arena_create(SHOW_ARENA);
    struct printing printing = {.file_name = file_name,
                                .prefix = str_from_cstr(prefix),
                                .list = json ? json_array() : NULL};
    enum status status = config_show(arena, text, on_value, &printing);
    if (json && printing.count > 0) {
        json_dumpf(printing.list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(printing.list);
    arena_destroy(&arena);
    return status == STATUS_OK ? printing.count : -1;
}
