#include "cli/txt_text.h"

static bool
is_space(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

static struct str
trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s = str_skip(s, 1);
    }
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* The inside of the quotes, pieces joined; a backslash takes away what a character means. */
static struct str
join(struct arena *arena, struct str s)
{
    char *text = arena_alloc(arena, s.n);
    bool inside = false;
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < s.n; i++) {
        if (s.p[i] == '"') {
            inside = !inside;
            continue;
        }
        if (inside && s.p[i] == '\\' && i + 1 < s.n) {
            i++;
        } else if (!inside && is_space(s.p[i])) {
            continue;
        }
        text[n++] = s.p[i];
    }
    return text != NULL ? str_make(text, n) : s;
}

struct str
txt_text_of(struct arena *arena, struct str text)
{
    struct str record = trim(text);
    return str_starts_with(record, STR("\"")) && record.n <= TXT_TEXT_MAX ? join(arena, record)
                                                                          : record;
}

bool
txt_text_is_record(struct str text)
{
    struct str record = trim(text);
    record = str_skip(record, str_starts_with(record, STR("\"")));
    return record.n > 2 && str_starts_with_nocase(record, STR("v=")) && char_is_alpha(record.p[2]);
}
