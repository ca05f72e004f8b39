#include "trace/outcome_line.h"

#define FIELDS_MAX 18u

struct fields {
    struct log_field items[FIELDS_MAX + 1]; /* the last one ends the list */
    size_t n;
};

static void
add(struct fields *fields, struct log_field field)
{
    if (fields->n < FIELDS_MAX) {
        fields->items[fields->n++] = field;
    }
}

static void
add_text(struct fields *fields, const char *key, struct str text)
{
    if (text.n > 0) {
        add(fields, LOG_STR(key, str_head(text, OUTCOME_LINE_ADDRESS_MAX)));
    }
}

/* The lines of a reply become one, with blanks between them. */
static struct str
one_line(struct str reply, char out[static OUTCOME_LINE_REPLY_MAX])
{
    reply = str_head(reply, OUTCOME_LINE_REPLY_MAX);
    for (size_t i = 0; i < reply.n; i++) {
        out[i] = reply.p[i] == '\n' || reply.p[i] == '\r' ? ' ' : reply.p[i];
    }
    return str_make(out, reply.n);
}

void
outcome_line_write(const struct outcome_line *line)
{
    char reply[OUTCOME_LINE_REPLY_MAX];
    struct fields fields = {.n = 0};
    add(&fields, LOG_STR("id", line->id));
    add(&fields, LOG_STR("from", line->from.n > 0 ? str_head(line->from, OUTCOME_LINE_ADDRESS_MAX)
                                                  : STR("<>")));
    add(&fields, LOG_STR("to", str_head(line->to, OUTCOME_LINE_ADDRESS_MAX)));
    if (!str_eq(line->orig, line->to)) {
        add_text(&fields, "orig_to", line->orig);
    }
    add(&fields, LOG_STR("relay", line->relay.n > 0 ? line->relay : STR("none")));
    add(&fields, LOG_SECONDS("delay", line->delay_ms));
    add(&fields, LOG_INT("code", line->code));
    add_text(&fields, "status", line->enhanced);
    add(&fields, LOG_STR("reply", one_line(line->reply, reply)));
    add_text(&fields, "client", line->client);
    add_text(&fields, "helo", line->helo);
    add_text(&fields, "user", line->user);
    add_text(&fields, "stage", str_from_cstr(line->stage));
    add_text(&fields, "reason", str_from_cstr(line->reason));
    add_text(&fields, "by", line->by);
    if (line->attempts > 0) {
        add(&fields, LOG_INT("attempts", line->attempts));
    }
    if (line->next_ms > 0) {
        add(&fields, LOG_SECONDS("next", line->next_ms));
    }
    log_write(LOG_LEVEL_INFO, line->event, fields.items);
}
