#include <stdlib.h>

#include "mail/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mail_head_limits limits = {65536, 1000};

static struct mail_head
parse(struct arena *arena, struct str content)
{
    struct mail_head head;
    if (mail_head_parse(arena, content, &limits, &head) != STATUS_OK) {
        abort(); /* inputs are smaller than the limits */
    }
    return head;
}

/*
 * The first two octets choose what is edited, the rest is the message. Whatever it is, the result
 * read again has exactly the fields that were asked for, and ends where the body begins.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 2000) {
        return 0;
    }
    struct arena *arena = arena_create(4u << 20);
    struct mail_head head = parse(arena, str_make((const char *)data + 2, size - 2));
    struct mail_edits edits;
    size_t removed = 0;
    size_t prepended = data[1] % 3;
    mail_edits_init(&edits, arena, &head);
    for (size_t i = 0; i < head.field_count; i++) {
        if (((unsigned)data[0] >> i % 8 & 1) != 0) {
            removed++;
            if (mail_edits_remove(&edits, &head.fields[i], "") != STATUS_OK) {
                abort();
            }
        }
    }
    for (size_t i = 0; i < prepended; i++) {
        if (mail_edits_prepend(&edits, STR("X-Ours"), STR("a\r\n b"), "") != STATUS_OK) {
            abort();
        }
    }
    struct str edited = mail_edits_apply(&edits);
    struct mail_head again = parse(arena, edited);
    bool first_left_out = prepended > 0 && head.field_count > 0 && (data[0] & 1) == 0 &&
                          char_is_blank(head.fields[0].raw.p[0]);
    /* Without its predecessor a line that begins with a blank is the first one, and no field. */
    if (again.raw.n != edited.n ||
        again.field_count != head.field_count - removed + prepended - (first_left_out ? 1 : 0)) {
        abort();
    }
    for (size_t i = 0; i < prepended; i++) {
        if (!str_eq(again.fields[i].raw, STR("X-Ours: a\r\n b\r\n"))) {
            abort();
        }
    }
    arena_destroy(&arena);
    return 0;
}
