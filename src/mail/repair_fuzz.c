/*
 * Fuzz target: a message of our own, mended. What comes of it has fields only, none of them twice
 * that may be there once (but authors), no control characters, and is mended when it is mended
 * again.
 */
#include <stdlib.h>

#include "mail/repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_head(const struct mail_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        enum mail_field_id id = head->fields[i].id;
        bool author = id == MAIL_FIELD_FROM || id == MAIL_FIELD_SENDER;
        require(author || mail_field_most(id) != 1 || head->counts[id] == 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mail_head_limits limits = {1u << 16, 200};
    struct str content = str_make((const char *)data, size);
    struct arena *arena = arena_create(16u << 20);
    struct mail_head head;
    struct mail_repaired mended;
    struct mail_repair_input input = {.head = &head,
                                      .content = content,
                                      .limits = &limits,
                                      .sender = STR("a@b.example"),
                                      .domain = STR("b.example"),
                                      .smtputf8 = size % 2 == 0};
    if (mail_head_parse(arena, content, &limits, &head) == STATUS_OK &&
        mail_repair_own(arena, &input, &mended) == STATUS_OK && mended.notes.count > 0) {
        require(mended.body_offset <= size);
        require(str_ends_with(mended.head.raw, STR("\r\n")));
        require(mended.head.anomalies[MAIL_ANOMALY_NO_END].count == 0);
        check_head(&mended.head);
        struct mail_edits edits;
        mail_edits_init(&edits, arena, &head);
        (void)!mail_repair_obsolete(&edits, size % 3 == 0);
    }
    arena_destroy(&arena);
    return 0;
}
