#include "cli/trace_table.h"

#include "base/clock.h"
#include "store/ledger_summary.h"
#include "trace/explain_text.h"

#define TIME_WIDTH     20u
#define ID_WIDTH       16u
#define SENDER_MAX     28u
#define RECIPIENTS_MAX 32u
#define SHARED_MIN     8u
#define CELL_OCTETS    65536u
#define ELLIPSIS       "\xe2\x80\xa6"

static unsigned
max_of(unsigned a, size_t b)
{
    return b > a ? (unsigned)b : a;
}

static bool
begins_character(char octet)
{
    return ((unsigned char)octet & 0xc0) != 0x80;
}

static size_t
count_characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += begins_character(s.p[i]);
    }
    return n;
}

static struct str
first_characters(struct str s, size_t count)
{
    size_t i = 0;
    while (i < s.n && (count > 0 || !begins_character(s.p[i]))) {
        count -= begins_character(s.p[i++]);
    }
    return str_head(s, i);
}

static struct str
state_of(const struct record_trace_row *row)
{
    return str_from_cstr(trace_row_state_name((enum trace_row_state)row->state));
}

void
trace_table_fit(struct trace_table *table, const struct record_trace_row *rows, size_t count,
                unsigned columns)
{
    struct trace_table t = *table;
    t.state = max_of(t.state, sizeof "STATE" - 1);
    t.client = max_of(t.client, sizeof "CLIENT" - 1);
    for (size_t i = 0; i < count; i++) {
        t.state = max_of(t.state, state_of(&rows[i]).n);
        t.client = max_of(t.client, rows[i].client.n);
    }
    t.sender = SENDER_MAX;
    t.recipients = RECIPIENTS_MAX;
    t.subject = 0;
    if (columns > 0) {
        /* Six blanks are between the columns. The last three share what the others leave. */
        unsigned taken = TIME_WIDTH + ID_WIDTH + t.state + t.client + 6;
        unsigned left = columns > taken ? columns - taken : 0;
        left = left < 3 * SHARED_MIN ? 3 * SHARED_MIN : left;
        t.sender = left / 3 < SENDER_MAX ? left / 3 : SENDER_MAX;
        t.recipients = left / 3 < RECIPIENTS_MAX ? left / 3 : RECIPIENTS_MAX;
        t.subject = left - t.sender - t.recipients;
    }
    *table = t;
}

/* The text, cut to `width` (0: not) and, unless it is the last, filled up to it. */
static enum status
put_cell(struct buf *out, struct str text, unsigned width, bool last)
{
    struct buf safe;
    buf_init(&safe, CELL_OCTETS);
    enum status status = text_append_safe(&safe, text);
    struct str s = buf_str(&safe);
    size_t used = count_characters(s);
    if (status == STATUS_OK && width > 0 && used > width) {
        status = buf_append(out, first_characters(s, width - 1));
        status = status == STATUS_OK ? buf_append(out, STR(ELLIPSIS)) : status;
        used = width;
    } else if (status == STATUS_OK) {
        status = buf_append(out, s);
    }
    buf_free(&safe);
    for (; status == STATUS_OK && !last && used < width; used++) {
        status = buf_append_char(out, ' ');
    }
    return status == STATUS_OK ? buf_append_char(out, last ? '\n' : ' ') : status;
}

static enum status
put_line(const struct trace_table *t, const struct str cells[static 7], struct buf *out)
{
    const unsigned widths[7] = {TIME_WIDTH, ID_WIDTH,      t->state,  t->client,
                                t->sender,  t->recipients, t->subject};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 7 && status == STATUS_OK; i++) {
        status = put_cell(out, cells[i], widths[i], i == 6);
    }
    return status;
}

enum status
trace_table_head(const struct trace_table *table, struct buf *out)
{
    const struct str cells[7] = {STR("FIRST SEEN"), STR("ID"),         STR("STATE"),  STR("CLIENT"),
                                 STR("SENDER"),     STR("RECIPIENTS"), STR("SUBJECT")};
    return put_line(table, cells, out);
}

enum status
trace_table_row(const struct trace_table *table, const struct record_trace_row *row,
                struct buf *out)
{
    struct arena *arena = arena_create(4096);
    struct str time = clock_format_rfc3339(arena, row->first_ms);
    struct str seconds = arena_printf(arena, "%.*sZ", 19, time.n >= 19 ? time.p : "?");
    bool is_session = row->kind == TRACE_ROW_SESSION;
    const struct str cells[7] = {
        seconds,
        row->id,
        state_of(row),
        row->client,
        is_session          ? STR("-")
        : row->sender.n > 0 ? row->sender
                            : STR("<>"),
        row->recipients.n > 0 ? row->recipients : STR("-"),
        row->subject,
    };
    enum status status = put_line(table, cells, out);
    arena_destroy(&arena);
    return status;
}
