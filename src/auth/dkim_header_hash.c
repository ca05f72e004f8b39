/* The hash over the signed header (RFC 6376 3.7, 5.4.2). See dkim_signature.h. */
#include "auth/dkim_signature.h"

/* Room at once for the signed fields of an ordinary message. */
#define FIRST_SIZE 4096u

/*
 * The last field of that name that is not taken; takes it. NULL: none. A line that is no field has
 * an empty name, which nothing can mean.
 */
static const struct mail_field *
take_field(const struct mail_head *head, struct str name, bool *taken)
{
    for (size_t i = name.n > 0 ? head->field_count : 0; i-- > 0;) {
        if (!taken[i] && head->fields[i].name.n == name.n &&
            str_eq_nocase(head->fields[i].name, name)) {
            taken[i] = true;
            return &head->fields[i];
        }
    }
    return NULL;
}

static enum status
write_fields(const struct dkim_header_hash *what, bool *taken, struct buf *out)
{
    for (size_t i = 0; i < what->name_count; i++) {
        const struct mail_field *field = take_field(what->head, what->names[i], taken);
        if (field != NULL) {
            enum status status = canonical_header(what->form, field->raw, out);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return canonical_signature_header(what->form, what->raw, what->without, out);
}

enum status
dkim_header_hash(struct arena *arena, const struct dkim_header_hash *what,
                 uint8_t hash_out[CANONICAL_HASH_SIZE])
{
    struct hasher *hasher = what->hasher;
    bool *taken = arena_alloc_array(arena, what->head->field_count + 1, sizeof *taken);
    if (hasher == NULL) {
        hasher = hasher_create(arena, STR(""));
    }
    if (taken == NULL || hasher == NULL) {
        return STATUS_LIMIT;
    }
    if (what->own != NULL) {
        taken[what->own - what->head->fields] = true;
    }
    enum status status = buf_reserve(&hasher->text, FIRST_SIZE) != NULL
                             ? write_fields(what, taken, &hasher->text)
                             : STATUS_LIMIT;
    if (status == STATUS_OK) {
        return hasher_text(hasher, hash_out);
    }
    buf_clear(&hasher->text);
    return status;
}
