/*
 * writer.h - what the pages made from the schema table share. Private to src/config.
 */
#ifndef POSTERN_CONFIG_WRITER_H
#define POSTERN_CONFIG_WRITER_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/schema.h"

/* Where a page is written to; the first failure stays. */
struct writer {
    struct buf *out;
    struct arena *arena; /* for texts on the way */
    enum status status;
};

void writer_put(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Words of `text` in lines of at most `width` columns, each line after `prefix`. */
void writer_wrap(struct writer *writer, const char *prefix, unsigned width, const char *text);

/* What is to be written for a value: "duration, 1s to 5m"; "none, opportunistic or required". */
const char *field_values(struct writer *writer, const struct schema_field *field);
/* "5m", or what holds when nothing is written, or "required"; for groups and lists too. */
const char *field_default(const struct schema_field *field);

/*
 * Calls visit for a map and then for all maps in it, in the order of the file. `path` is "" for
 * the root, then as in "domains[].aliases[]"; `field` is the row that leads there (NULL: root).
 */
void map_walk(struct writer *writer, const struct schema_map *map, const struct schema_field *field,
              const char *path,
              void (*visit)(struct writer *writer, const struct schema_map *map,
                            const struct schema_field *field, const char *path));

/* The text that begins every page about the file, as paragraphs that end with NULL. */
extern const char *const writer_introduction[];

#endif
