#include "mail/edit.h"

#define CRLF STR("\r\n")

void
mail_edits_init(struct mail_edits *edits, struct arena *arena, const struct mail_head *head)
{
    *edits = (struct mail_edits){.arena = arena, .head = head};
}

/* A value that keeps to its own field: nothing in it can begin another one or the body. */
static bool
value_is_one_field(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\0') {
            return false;
        }
        if (c == '\n' && (i == 0 || value.p[i - 1] != '\r')) {
            return false;
        }
        if (c == '\r' &&
            (value.n - i < 3 || value.p[i + 1] != '\n' || !char_is_blank(value.p[i + 2]))) {
            return false;
        }
    }
    return true;
}

static enum status
edit_add(struct mail_edits *edits, const struct mail_edit *edit)
{
    struct mail_edit *copy = arena_alloc(edits->arena, sizeof *copy);
    if (copy == NULL) {
        return STATUS_LIMIT;
    }
    *copy = *edit;
    if (edits->last == NULL) {
        edits->first = copy;
    } else {
        edits->last->next = copy;
    }
    edits->last = copy;
    if (copy->kind == MAIL_EDIT_PREPEND) {
        copy->below = edits->top;
        edits->top = copy;
    }
    return STATUS_OK;
}

/* Completes an edit that brings a field: name and value are checked and written out. */
static enum status
edit_add_field(struct mail_edits *edits, struct mail_edit edit)
{
    if (!mail_field_name_is_valid(edit.name) || !value_is_one_field(edit.value)) {
        return STATUS_SYNTAX;
    }
    const struct str parts[] = {edit.name, STR(": "), edit.value, CRLF};
    edit.field = arena_concat(edits->arena, parts, 4);
    if (edit.field.p == NULL) {
        return STATUS_LIMIT;
    }
    edit.name = str_head(edit.field, edit.name.n);
    edit.value = str_head(str_skip(edit.field, edit.name.n + 2), edit.value.n);
    return edit_add(edits, &edit);
}

enum status
mail_edits_prepend(struct mail_edits *edits, struct str name, struct str value, const char *why)
{
    return edit_add_field(
        edits,
        (struct mail_edit){.kind = MAIL_EDIT_PREPEND, .name = name, .value = value, .why = why});
}

enum status
mail_edits_replace(struct mail_edits *edits, const struct mail_field *field, struct str value,
                   const char *why)
{
    return edit_add_field(edits, (struct mail_edit){.kind = MAIL_EDIT_REPLACE,
                                                    .target = field,
                                                    .name = field->name,
                                                    .value = value,
                                                    .why = why});
}

enum status
mail_edits_remove(struct mail_edits *edits, const struct mail_field *field, const char *why)
{
    return edit_add(
        edits, &(struct mail_edit){
                   .kind = MAIL_EDIT_REMOVE, .target = field, .name = field->name, .why = why});
}

/* ---- applying */

struct writer {
    char *p;
    size_t used;
};

static void
write_str(struct writer *writer, struct str s)
{
    if (s.n > 0) {
        memcpy(writer->p + writer->used, s.p, s.n);
        writer->used += s.n;
    }
}

/* What becomes of one field of the head. */
struct slot {
    const struct mail_edit *edit; /* the one that counts, or NULL */
};

/* By index in head->fields. NULL when the arena is full. */
static const struct slot *
edits_by_field(const struct mail_edits *edits)
{
    struct slot *slots =
        arena_alloc_array(edits->arena, edits->head->field_count + 1, sizeof(struct slot));
    for (const struct mail_edit *e = edits->first; slots != NULL && e != NULL; e = e->next) {
        if (e->target != NULL) {
            slots[e->target - edits->head->fields].edit = e;
        }
    }
    return slots;
}

static size_t
apply_size(const struct mail_edits *edits)
{
    /* What may have to be added: the CRLF of a cut-off last line, and the empty line. */
    size_t size = edits->head->raw.n + 2 * CRLF.n;
    for (const struct mail_edit *e = edits->first; e != NULL; e = e->next) {
        size += e->field.n;
    }
    return size;
}

/* A line with nothing of its own before it, which a field of ours would draw to itself. */
static bool
would_continue(const struct mail_edits *edits, const struct mail_field *field)
{
    return edits->top != NULL && field == edits->head->fields && char_is_blank(field->raw.p[0]);
}

struct str
mail_edits_apply(const struct mail_edits *edits)
{
    const struct mail_head *head = edits->head;
    const struct slot *slots = edits_by_field(edits);
    struct writer writer = {.p = arena_alloc(edits->arena, apply_size(edits))};
    if (writer.p == NULL || slots == NULL) {
        return str_make(NULL, 0);
    }
    for (const struct mail_edit *e = edits->top; e != NULL; e = e->below) {
        write_str(&writer, e->field);
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (slots[i].edit != NULL) {
            write_str(&writer, slots[i].edit->field); /* of REMOVE: empty */
        } else if (!would_continue(edits, &head->fields[i])) {
            write_str(&writer, head->fields[i].raw);
        }
    }
    if (writer.used > 0 && !str_ends_with(str_make(writer.p, writer.used), CRLF)) {
        write_str(&writer, CRLF);
    }
    write_str(&writer, CRLF);
    return str_make(writer.p, writer.used);
}
