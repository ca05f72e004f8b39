/* Where a value stands in the file, for errors that are found after the file has been read. */
#include <stdlib.h>

#include "config/report.h"
#include "config/yaml_tree.h"

/* Room for the tree of one more reading. */
#define TREE_MEMORY_MAX ((size_t)512 << 20)
/* Longest key in a path. */
#define KEY_MAX         64

static const struct yaml_node *
list_get(const struct yaml_node *list, unsigned long index)
{
    const struct yaml_node *node = list->kind == YAML_LIST ? list->first : NULL;
    while (node != NULL && index-- > 0) {
        node = node->next;
    }
    return node;
}

/* One step along the path, which is moved on; NULL where nothing is written. */
static const struct yaml_node *
step(const struct yaml_node *from, const char **path)
{
    char key[KEY_MAX];
    size_t n = 0;
    if (**path == '[') {
        char *end;
        unsigned long index = strtoul(*path + 1, &end, 10);
        *path = end + (*end == ']');
        return list_get(from, index);
    }
    *path += **path == '.';
    while (n + 1 < sizeof key && **path != '\0' && **path != '.' && **path != '[') {
        key[n++] = *(*path)++;
    }
    key[n] = '\0';
    return n > 0 ? yaml_map_get(from, key) : NULL;
}

static struct place
place_find(struct str text, const char *path)
{
    struct config_errors ignored = {.count = 0};
    struct arena *scratch = arena_create(TREE_MEMORY_MAX);
    struct report report = {.arena = scratch, .errors = &ignored};
    const struct yaml_node *node = yaml_tree_parse(scratch, &report, text);
    struct place place = {0};
    while (node != NULL) {
        place = node->place;
        node = *path != '\0' ? step(node, &path) : NULL;
    }
    arena_destroy(&scratch);
    return place;
}

void
config_error_add(struct arena *arena, struct str text, struct config_errors *errors,
                 const char *path, const char *format, ...)
{
    struct report report = {.arena = arena, .errors = errors};
    va_list args;
    va_start(args, format);
    struct str what = arena_vprintf(arena, format, args);
    va_end(args);
    report_add(&report, place_find(text, path), "%s: %.*s", path, STR_ARG(what));
    report_sort(&report);
}
