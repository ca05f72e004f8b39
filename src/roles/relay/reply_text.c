#include "roles/relay/reply_text.h"

#include "smtp/client.h"

struct str
relay_enhanced_text(struct arena *arena, const struct smtp_reply *reply)
{
    const struct smtp_enhanced *e = &reply->enhanced;
    if (e->class == 0) {
        return str_make(NULL, 0);
    }
    return arena_printf(arena, "%u.%u.%u", e->class, e->subject, e->detail);
}

struct str
relay_reply_text(struct arena *arena, const struct smtp_reply *reply)
{
    struct str text = str_head(reply->text, SMTP_CLIENT_TEXT_MAX);
    char *line = arena_cstr(arena, text);
    for (size_t i = 0; line != NULL && i < text.n; i++) {
        line[i] = line[i] == '\n' ? ' ' : line[i];
    }
    return str_make(line, line != NULL ? text.n : 0);
}
