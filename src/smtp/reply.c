#include "smtp/reply.h"

#include <stdio.h>

/* RFC 3463 for the enhanced codes; the texts say what a sender can do, not what broke here. */
struct status_row {
    enum status status;
    struct smtp_reply reply;
};

static const struct status_row status_table[] = {
    {STATUS_OK, SMTP_REPLY(250, 2, 0, 0, "Ok")},
    {STATUS_AGAIN, SMTP_REPLY(451, 4, 3, 0, "Not now, try again later")},
    {STATUS_END, SMTP_REPLY(421, 4, 4, 2, "Connection ends")},
    {STATUS_SYNTAX, SMTP_REPLY(501, 5, 5, 4, "Syntax error in parameters")},
    {STATUS_LIMIT, SMTP_REPLY(452, 4, 3, 1, "Out of room, try again later")},
    {STATUS_TEMPORARY, SMTP_REPLY(451, 4, 3, 0, "A service is not available, try again later")},
    {STATUS_IO, SMTP_REPLY(451, 4, 3, 0, "Local error, try again later")},
    {STATUS_NOT_FOUND, SMTP_REPLY(550, 5, 1, 1, "No such mailbox here")},
    {STATUS_DENIED, SMTP_REPLY(550, 5, 7, 1, "Not permitted")},
    {STATUS_BUG, SMTP_REPLY(451, 4, 3, 0, "Local error, try again later")},
};

struct smtp_reply
smtp_reply_for_status(enum status status)
{
    for (size_t i = 0; i < sizeof status_table / sizeof status_table[0]; i++) {
        if (status_table[i].status == status) {
            return status_table[i].reply;
        }
    }
    return smtp_reply_for_status(STATUS_BUG);
}

bool
smtp_reply_is_valid(const struct smtp_reply *reply)
{
    unsigned first = reply->code / 100;
    unsigned second = reply->code / 10 % 10;
    if (first < 2 || first > 5 || second > 5) {
        return false;
    }
    const struct smtp_enhanced *e = &reply->enhanced;
    if (e->class == 0) {
        return true;
    }
    return e->class == first && first != 3 && e->subject <= 999 && e->detail <= 999;
}

static enum status
format_line(struct buf *buf, const struct smtp_reply *reply, struct str text, bool last)
{
    char line[SMTP_REPLY_LINE_MAX];
    const struct smtp_enhanced *e = &reply->enhanced;
    size_t n = 0;
    line[n++] = (char)('0' + reply->code / 100 % 10);
    line[n++] = (char)('0' + reply->code / 10 % 10);
    line[n++] = (char)('0' + reply->code % 10);
    line[n++] = last ? ' ' : '-';
    if (e->class != 0) {
        n += (size_t)snprintf(line + n, sizeof line - n, "%u.%u.%u ", e->class, e->subject,
                              e->detail);
    }
    text = str_head(text, sizeof line - 2 - n);
    for (size_t i = 0; i < text.n; i++) {
        line[n++] = text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?';
    }
    line[n++] = '\r';
    line[n++] = '\n';
    return buf_append(buf, str_make(line, n));
}

enum status
smtp_reply_format(struct buf *buf, const struct smtp_reply *reply)
{
    size_t before = buf->end - buf->start;
    struct str rest = reply->text;
    for (unsigned lines = 1;; lines++) {
        struct str line;
        bool more = str_cut(rest, '\n', &line, &rest) && lines < SMTP_REPLY_LINES_MAX;
        enum status status = format_line(buf, reply, line, !more);
        if (status != STATUS_OK) {
            buf->end = buf->start + before; /* all or nothing */
            return status;
        }
        if (!more) {
            return STATUS_OK;
        }
    }
}
