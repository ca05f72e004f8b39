/*
 * yaml_tree.h - YAML text as a tree that knows its places.
 *
 * libyaml reads the syntax; this makes a tree of its events and refuses what a configuration has no
 * use for and hostile input does: anchors and aliases, tags, several documents, deep nesting, keys
 * that are not plain text. Private to src/config.
 */
#ifndef POSTERN_CONFIG_YAML_TREE_H
#define POSTERN_CONFIG_YAML_TREE_H

#include "config/report.h"

/* Deepest nesting; the schema needs 7. */
#define YAML_DEPTH_MAX 16
/* Most scalars, lists and maps in a file. */
#define YAML_NODES_MAX 1000000

enum yaml_kind {
    YAML_SCALAR,
    YAML_LIST,
    YAML_MAP,
};

struct yaml_node {
    enum yaml_kind kind;
    bool plain; /* a scalar without quotes */
    bool wrong; /* its value was refused; for the loader and the checks */
    struct place place;
    struct str text; /* of a scalar */

    struct str key; /* in a map: the key it stands under */
    struct place key_place;

    struct yaml_node *first; /* children of a list or map, in the order of the file */
    struct yaml_node *last;
    struct yaml_node *next; /* sibling */
    size_t count;           /* children */
};

/*
 * The tree of `text`, in `arena`. NULL when there is none: then the reason has been reported. An
 * empty file is an empty map.
 */
[[nodiscard]] struct yaml_node *yaml_tree_parse(struct arena *arena, struct report *report,
                                                struct str text);

/* The (first) value under a key, or NULL; NULL too when map is NULL or not a map. */
const struct yaml_node *yaml_map_get(const struct yaml_node *map, const char *key);
/* Whether there is a value under a key that was not refused. */
bool yaml_is_sound(const struct yaml_node *map, const char *key);
/* The place of the value under a key, or of the map where there is none. */
struct place yaml_place_of(const struct yaml_node *map, const char *key);
/* "a list", "a map", "text" and so on: what somebody finds who expected something else. */
const char *yaml_kind_name(const struct yaml_node *node);
/* True for nothing, ~ and null without quotes. */
bool yaml_is_null(const struct yaml_node *node);

#endif
