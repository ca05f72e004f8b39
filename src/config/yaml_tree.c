#include "config/yaml_tree.h"

#include <yaml.h>

/* The state of one parse: the stack is the way from the root to the open list or map. */
struct builder {
    struct arena *arena;
    struct report *report;
    yaml_parser_t parser;
    struct yaml_node *root;
    struct yaml_node *open[YAML_DEPTH_MAX];
    size_t depth;
    size_t nodes;
    bool has_key; /* a key was read; its value comes next */
    struct str key;
    struct place key_place;
};

static struct place
place_of_mark(yaml_mark_t mark)
{
    return (struct place){(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

/* Line and column of an octet; for errors that libyaml gives without a mark. */
static struct place
place_of_offset(struct str text, size_t offset)
{
    struct place place = {1, 1};
    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static void
report_syntax(struct builder *b, struct str text)
{
    const yaml_parser_t *parser = &b->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "out of memory";
    if (parser->error == YAML_READER_ERROR) {
        struct place place = place_of_offset(text, parser->problem_offset);
        report_add(b->report, place, "not valid YAML: %s", problem);
        return;
    }
    struct place place = place_of_mark(parser->problem_mark);
    size_t at = parser->problem_mark.index;
    const char *hint = "";
    if (at < text.n && text.p[at] == '\t') {
        hint = "; use spaces for indentation, not tabs";
    } else if (at < text.n && (text.p[at] == '@' || text.p[at] == '`' || text.p[at] == '%')) {
        hint = "; put the value in quotes";
    }
    if (parser->context != NULL && parser->context_mark.line != parser->problem_mark.line) {
        report_add(b->report, place, "not valid YAML: %s (%s that starts on line %zu)%s", problem,
                   parser->context, parser->context_mark.line + 1, hint);
    } else if (parser->context != NULL) {
        report_add(b->report, place, "not valid YAML: %s (%s)%s", problem, parser->context, hint);
    } else {
        report_add(b->report, place, "not valid YAML: %s%s", problem, hint);
    }
}

static struct yaml_node *
fail(struct builder *b, const yaml_event_t *event, const char *text)
{
    report_add(b->report, place_of_mark(event->start_mark), "%s", text);
    return NULL;
}

/* A new node in its place in the tree; NULL past a limit, which is then reported. */
static struct yaml_node *
node_add(struct builder *b, const yaml_event_t *event, enum yaml_kind kind)
{
    struct yaml_node *node = arena_alloc(b->arena, sizeof *node);
    if (node == NULL || ++b->nodes > YAML_NODES_MAX) {
        return fail(b, event, "the configuration is too large: more values than can be held");
    }
    node->kind = kind;
    node->place = place_of_mark(event->start_mark);
    if (b->depth == 0) {
        b->root = node;
        return node;
    }
    struct yaml_node *parent = b->open[b->depth - 1];
    if (parent->kind == YAML_MAP) {
        node->key = b->key;
        node->key_place = b->key_place;
        b->has_key = false;
    }
    if (parent->last != NULL) {
        parent->last->next = node;
    } else {
        parent->first = node;
    }
    parent->last = node;
    parent->count++;
    return node;
}

static bool
awaits_key(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == YAML_MAP && !b->has_key;
}

static bool
add_scalar(struct builder *b, const yaml_event_t *event)
{
    struct str value = str_make((const char *)event->data.scalar.value, event->data.scalar.length);
    struct str text = arena_str_dup(b->arena, value);
    if (text.p == NULL) {
        return fail(b, event, "the configuration is too large: more text than can be held") != NULL;
    }
    if (awaits_key(b)) {
        b->key = text;
        b->key_place = place_of_mark(event->start_mark);
        b->has_key = true;
        return true;
    }
    struct yaml_node *node = node_add(b, event, YAML_SCALAR);
    if (node == NULL) {
        return false;
    }
    node->text = text;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return true;
}

static bool
open_collection(struct builder *b, const yaml_event_t *event, enum yaml_kind kind)
{
    if (awaits_key(b)) {
        return fail(b, event, "a key must be plain text, not a list or a map") != NULL;
    }
    if (b->depth == YAML_DEPTH_MAX) {
        return fail(b, event, "lists and maps are nested too deeply") != NULL;
    }
    struct yaml_node *node = node_add(b, event, kind);
    if (node == NULL) {
        return false;
    }
    b->open[b->depth++] = node;
    return true;
}

/* Anchors, aliases and tags: places where one value stands for another or changes its type. */
static const char *
unwanted_feature(const yaml_event_t *event)
{
    static const char anchor[] = "anchors (&name) are not supported; write the value out";
    static const char tag[] = "tags (!name) are not supported; leave it out";
    const yaml_char_t *has_anchor = NULL;
    const yaml_char_t *has_tag = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        return "a value that begins with * refers to an anchor, which is not supported; write the "
               "value out, or in quotes if it is text";
    }
    if (event->type == YAML_SCALAR_EVENT) {
        has_anchor = event->data.scalar.anchor;
        has_tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        has_anchor = event->data.sequence_start.anchor;
        has_tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        has_anchor = event->data.mapping_start.anchor;
        has_tag = event->data.mapping_start.tag;
    }
    return has_anchor != NULL ? anchor : has_tag != NULL ? tag : NULL;
}

/* Takes one event into the tree; false when the parse cannot go on (then it is reported). */
static bool
take_event(struct builder *b, const yaml_event_t *event)
{
    const char *unwanted = unwanted_feature(event);
    if (unwanted != NULL) {
        return fail(b, event, unwanted) != NULL;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(b, event, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_collection(b, event, YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return true;
    case YAML_DOCUMENT_START_EVENT:
        if (b->root != NULL) {
            return fail(b, event, "there is a second document (---); only one is read") != NULL;
        }
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_ALIAS_EVENT:
        return true;
    }
    return true;
}

static bool
take_all_events(struct builder *b, struct str text)
{
    for (bool at_end = false; !at_end;) {
        yaml_event_t event;
        if (yaml_parser_parse(&b->parser, &event) == 0) {
            report_syntax(b, text);
            return false;
        }
        at_end = event.type == YAML_STREAM_END_EVENT;
        bool taken = take_event(b, &event);
        yaml_event_delete(&event);
        if (!taken) {
            return false;
        }
    }
    return true;
}

struct yaml_node *
yaml_tree_parse(struct arena *arena, struct report *report, struct str text)
{
    struct builder b = {.arena = arena, .report = report};
    if (yaml_parser_initialize(&b.parser) == 0) {
        report_add(report, (struct place){0}, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text.p, text.n);
    bool done = take_all_events(&b, text);
    yaml_parser_delete(&b.parser);
    if (!done) {
        return NULL;
    }
    if (b.root == NULL || (b.root->kind == YAML_SCALAR && yaml_is_null(b.root))) {
        b.root = arena_alloc(arena, sizeof *b.root);
        if (b.root != NULL) {
            b.root->kind = YAML_MAP;
            b.root->place = (struct place){1, 1};
        }
    }
    return b.root;
}

const struct yaml_node *
yaml_map_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP) {
        return NULL;
    }
    for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
        if (str_eq(node->key, str_from_cstr(key))) {
            return node;
        }
    }
    return NULL;
}

bool
yaml_is_sound(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = yaml_map_get(map, key);
    return node != NULL && !node->wrong;
}

struct place
yaml_place_of(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = yaml_map_get(map, key);
    if (node != NULL) {
        return node->place;
    }
    return map != NULL ? map->place : (struct place){0};
}

bool
yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->plain &&
           (node->text.n == 0 || str_eq(node->text, STR("~")) || str_eq(node->text, STR("null")));
}

const char *
yaml_kind_name(const struct yaml_node *node)
{
    if (node->kind == YAML_LIST) {
        return "a list";
    }
    if (node->kind == YAML_MAP) {
        return "a map";
    }
    return yaml_is_null(node) ? "nothing" : "text";
}
