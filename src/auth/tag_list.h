/*
 * tag_list.h - lists of "tag=value; tag=value", as signatures, key records and policies are written
 * (RFC 6376 3.2).
 *
 * Strict: a tag that occurs twice, a place without a tag, a line end that is no folding, or an
 * octet that a value may not have makes the whole list bad; only blanks after the last ";" are
 * overlooked. Tag names are case-sensitive. What a value means is the caller's business; the
 * helpers below read the forms that occur in several of them.
 */
#ifndef POSTERN_AUTH_TAG_LIST_H
#define POSTERN_AUTH_TAG_LIST_H

#include "base/arena.h"

/* Most tags of a list (RFC 6376 knows 15 for a signature), and octets of the whole text. */
#define TAG_LIST_TAGS_MAX 32u
#define TAG_LIST_SIZE_MAX 65536u

/* All views are borrowed from the text that was parsed. */
struct tag {
    struct str name;
    struct str value; /* folding inside is kept, blanks and folding at both ends are not */
    struct str raw;   /* from "=" to ";" or the end: the value with all that surrounds it */
};

struct tag_list {
    struct tag tags[TAG_LIST_TAGS_MAX];
    size_t count;
};

enum tag_list_result {
    TAG_LIST_OK,
    TAG_LIST_SYNTAX,    /* no list of tags */
    TAG_LIST_DUPLICATE, /* RFC 6376 3.2: a tag must not occur twice */
    TAG_LIST_LIMIT,     /* TAG_LIST_TAGS_MAX or TAG_LIST_SIZE_MAX */
};

enum tag_list_flag {
    TAG_LIST_UTF8 = 1 << 0, /* values may hold UTF-8 (RFC 8616 5) */
};

/* Reads the whole of `text`. With another result than OK, *list_out has the tags before the fault.
 */
[[nodiscard]] enum tag_list_result tag_list_parse(struct str text, unsigned flags,
                                                  struct tag_list *list_out);

/* The tag with this name; NULL when there is none. */
const struct tag *tag_list_find(const struct tag_list *list, struct str name);

/*
 * Takes the next item of a value of the form "a : b : c", blanks and folding around it cut. False
 * at the end. An empty item is given as it is. Begin with *rest the value.
 */
bool tag_value_next(struct str *rest, struct str *item_out);
/* True when `item` is in such a value, in any letter case. */
bool tag_value_has(struct str value, struct str item);

/* The value without folding and blanks anywhere, in the arena; {NULL,0} when that is full. */
struct str tag_value_squeeze(struct arena *arena, struct str value);

/*
 * Base 64 with folding allowed between all characters; padding may be missing (RFC 6376 2.10).
 * STATUS_SYNTAX: it is not base 64; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status tag_value_base64(struct arena *arena, struct str value,
                                           struct str *octets_out);

#endif
