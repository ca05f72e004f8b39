/*
 * check.h - the rules that concern more than one value. Private to src/config.
 */
#ifndef POSTERN_CONFIG_CHECK_H
#define POSTERN_CONFIG_CHECK_H

#include "config/config.h"
#include "config/yaml_tree.h"

/* What the checks work on. Lists of the configuration are still in the order of the tree. */
struct checker {
    struct arena *scratch;
    struct report *report;
    const struct yaml_node *tree;
    const struct config *config;
};

/* A thing with a name and its place in the file. */
struct named {
    struct str name;
    const struct yaml_node *node;
    const void *object;
};

/* Room for `count` names in scratch; reports and returns NULL past its ceiling. */
struct named *named_alloc(struct checker *checker, size_t count);
/* Sorts by name (ASCII case folded), then place. */
void named_sort(struct named *items, size_t count);
/* The first of that name among sorted ones, or NULL. */
const struct named *named_find(const struct named *items, size_t count, struct str name);
/* Reports each that is not the first of its name; `what` as in "the domain". Sorts. */
void report_repeated(struct checker *checker, const char *what, struct named *items, size_t count);

/* check_networks.c: networks trusted with relaying or PROXY headers are not too wide. */
void check_trusted_networks(struct checker *checker);
/* check_domains.c: domains, lists, catch-alls, postmasters, and aliases with their loops. */
void check_domains(struct checker *checker);
/* check_authentication.c: the verdict's field, the domain of SRS, exceptions that are repeated. */
void check_authentication(struct checker *checker);

#endif
