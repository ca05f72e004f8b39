/* Any octets as a list of tags: what was read lies within them, in order, and no name twice. */
#include <stdlib.h>

#include "auth/tag_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

static void
read_value(struct arena *arena, struct str value)
{
    struct str octets;
    struct str rest = value;
    struct str item;
    size_t items = 0;
    while (tag_value_next(&rest, &item)) {
        require(item.n <= value.n);
        items++;
    }
    require(items >= 1 && items <= value.n + 1);
    if (tag_value_base64(arena, value, &octets) == STATUS_OK) {
        require(octets.n <= value.n);
    }
    require(tag_value_squeeze(arena, value).n <= value.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(4u << 20);
    struct str text = str_make((const char *)data, size);
    const char *at = text.p;
    struct tag_list list;
    enum tag_list_result result = tag_list_parse(text, TAG_LIST_UTF8, &list);
    require(list.count <= TAG_LIST_TAGS_MAX && (result != TAG_LIST_OK || list.count > 0));
    for (size_t i = 0; i < list.count; i++) {
        const struct tag *tag = &list.tags[i];
        require(tag->name.p >= at && tag->raw.p > tag->name.p + tag->name.n);
        require(tag->value.p >= tag->raw.p &&
                tag->value.p + tag->value.n <= tag->raw.p + tag->raw.n);
        at = tag->raw.p + tag->raw.n;
        require(at <= text.p + text.n);
        require(tag_list_find(&list, tag->name) == tag);
        read_value(arena, tag->value);
    }
    arena_destroy(&arena);
    return 0;
}
