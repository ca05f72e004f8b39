#include "transport/txt_fields.h"

#define NAME_MAX_OCTETS 32u

struct str
txt_fields_after(struct str text, struct str version)
{
    struct str rest = str_skip(text, version.n);
    while (rest.n > 0 && char_is_blank(rest.p[0])) {
        rest = str_skip(rest, 1);
    }
    return rest;
}

bool
txt_fields_is_ours(struct str text, struct str version)
{
    struct str rest = txt_fields_after(text, version);
    return text.n <= TXT_FIELDS_SIZE_MAX && str_starts_with(text, version) && rest.n > 0 &&
           rest.p[0] == ';';
}

enum status
txt_fields_next(struct str *rest, struct str *name_out, struct str *value_out)
{
    struct str field;
    struct str after;
    struct str name;
    struct str value;
    if (rest->n == 0) {
        return STATUS_END;
    }
    struct str behind = str_trim(str_skip(*rest, 1)); /* the ";" that ended what was before */
    if (behind.n == 0) {
        *rest = behind;
        return STATUS_END;
    }
    if (!str_cut(behind, ';', &field, &after)) {
        after = str_make(NULL, 0);
    } else {
        after = str_make(field.p + field.n, after.n + 1);
    }
    if (!str_cut(str_trim(field), '=', &name, &value)) {
        return STATUS_SYNTAX;
    }
    *rest = after;
    *name_out = name;
    *value_out = value;
    return STATUS_OK;
}

bool
txt_fields_is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!char_is_alnum(c) && (i == 0 || !str_contains_char(STR("_-."), c))) {
            return false;
        }
    }
    return name.n > 0 && name.n <= NAME_MAX_OCTETS;
}

bool
txt_fields_is_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c <= ' ' || c > '~' || c == ';' || c == '=') {
            return false;
        }
    }
    return value.n > 0;
}
