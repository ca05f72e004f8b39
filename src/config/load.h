/*
 * load.h - from a YAML tree to the typed configuration. Private to src/config.
 */
#ifndef POSTERN_CONFIG_LOAD_H
#define POSTERN_CONFIG_LOAD_H

#include "config/schema.h"
#include "config/yaml_tree.h"

/*
 * Fills *config from the tree as the schema says, defaults where nothing is written. What is wrong
 * is reported, its node marked, and the member left at its default. Lists keep the order of the
 * file.
 */
void load_tree(struct arena *arena, struct report *report, struct yaml_node *tree,
               struct config *config);

/* The rules that concern more than one value; reports what breaks them. */
void check_config(struct arena *scratch, struct report *report, const struct yaml_node *tree,
                  const struct config *config);

/*
 * When nothing was wrong: fills in what follows from other values and puts the lists that are
 * searched in order.
 */
void finish_config(const struct yaml_node *tree, struct config *config);

/*
 * Reads one default of the table: `field->fallback` to *out. Aborts when the table is wrong, which
 * a test rules out.
 */
void load_fallback(struct arena *arena, const struct schema_field *field, void *out);

#endif
