#include "store/ledger_search.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "smtp/address.h"
#include "store/ledger_segment.h"

/* Segments that are open at one time; three descriptors each. */
#define SEGMENTS_OPEN_MAX    32u
/* Longest statement that is made of a query. */
#define SQL_MAX              4096u
/* Messages of one session whose parts are read. */
#define SESSION_MESSAGES_MAX 1000u

struct trace_search {
    char directory[LEDGER_PATH_MAX];
    struct segment_list list;
    struct segment open[SEGMENTS_OPEN_MAX]; /* the one used last is first */
    struct summary rows[TRACE_SEARCH_ROWS_MAX];
    size_t count;
};

struct trace_search *
trace_search_create(const char *directory)
{
    struct trace_search *search = calloc(1, sizeof *search);
    if (search != NULL) {
        snprintf(search->directory, sizeof search->directory, "%s", directory);
    }
    return search;
}

void
trace_search_destroy(struct trace_search **search)
{
    if (*search != NULL) {
        for (size_t i = 0; i < SEGMENTS_OPEN_MAX; i++) {
            segment_close(&(*search)->open[i]);
        }
        segment_list_free(&(*search)->list);
        free(*search);
        *search = NULL;
    }
}

/* ---- segments */

static bool
is_listed(const struct trace_search *search, const char *name)
{
    for (size_t i = 0; i < search->list.count; i++) {
        if (strcmp(search->list.names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Reads the directory anew, and lets go of files that retention has deleted. */
static enum status
refresh(struct trace_search *search)
{
    segment_list_free(&search->list);
    enum status status = segment_list_read(search->directory, &search->list);
    for (size_t i = 0; i < SEGMENTS_OPEN_MAX; i++) {
        struct segment *segment = &search->open[i];
        if (segment->database != NULL && !is_listed(search, segment->name)) {
            segment_close(segment);
        }
    }
    return status;
}

/* A segment, opened if it is not; NULL when it cannot be (that is logged). */
static struct segment *
use_segment(struct trace_search *search, const char *name)
{
    struct segment found = {.database = NULL};
    size_t i = 0;
    while (i < SEGMENTS_OPEN_MAX - 1 &&
           (search->open[i].database == NULL || strcmp(search->open[i].name, name) != 0)) {
        i++;
    }
    if (search->open[i].database != NULL && strcmp(search->open[i].name, name) == 0) {
        found = search->open[i];
    } else if (segment_open(search->directory, name, LEDGER_READ_ONLY, &found) != STATUS_OK) {
        LOG_WARN("a file of traces is left out of a search", LOG_CSTR("segment", name));
        return NULL;
    } else {
        segment_close(&search->open[i]);
    }
    memmove(&search->open[1], &search->open[0], i * sizeof search->open[0]);
    search->open[0] = found;
    return &search->open[0];
}

/* ---- a query as SQL */

struct parameter {
    struct str text;
    int64_t number;
    bool is_number;
};

struct statement_text {
    struct arena *arena;
    struct buf sql;
    struct parameter parameters[16];
    int count;
    bool failed;
};

/* Adds a condition with one parameter "?". */
static void
add_condition(struct statement_text *text, const char *condition, struct parameter parameter)
{
    text->parameters[text->count++] = parameter;
    text->failed |= buf_printf(&text->sql, " AND %s", condition) != STATUS_OK;
}

/* "*" becomes "%"; what LIKE would take as its own is escaped. */
static struct str
like_pattern(struct arena *arena, struct str pattern)
{
    char *like = arena_alloc(arena, 2 * pattern.n + 1);
    size_t n = 0;
    for (size_t i = 0; like != NULL && i < pattern.n; i++) {
        char c = pattern.p[i];
        if (c == '%' || c == '_' || c == '\\') {
            like[n++] = '\\';
        }
        like[n++] = c == '*' ? '%' : c;
    }
    return str_make(like, n);
}

/* Without "*" an index serves; with it the segment's rows are looked through. */
static void
add_pattern(struct statement_text *text, struct str pattern, const char *equal, const char *like)
{
    if (pattern.n == 0) {
        return;
    }
    bool wild = str_contains_char(pattern, '*');
    struct str value = wild ? like_pattern(text->arena, pattern) : pattern;
    text->failed |= value.p == NULL;
    add_condition(text, wild ? like : equal, (struct parameter){.text = value});
}

static void
add_client(struct statement_text *text, const struct ip_network *network)
{
    struct str first = {(const char *)network->base.octets, sizeof network->base.octets};
    char *last = arena_alloc(text->arena, first.n);
    if (last == NULL) {
        text->failed = true;
        return;
    }
    for (unsigned i = 0; i < first.n; i++) {
        unsigned kept = network->prefix > 8 * i ? network->prefix - 8 * i : 0;
        unsigned host_bits = kept >= 8 ? 0 : 0xffu >> kept;
        last[i] = (char)((unsigned char)first.p[i] | host_bits);
    }
    /* Blobs compare octet by octet, so a network is a range. */
    add_condition(text, "m.client >= CAST(? AS BLOB)", (struct parameter){.text = first});
    add_condition(text, "m.client <= CAST(? AS BLOB) AND m.client <> x''",
                  (struct parameter){.text = str_make(last, first.n)});
}

static void
add_times(struct statement_text *text, const struct trace_query *query)
{
    if (query->since_ms != 0) {
        add_condition(text, "m.first_ms >= ?",
                      (struct parameter){.number = query->since_ms, .is_number = true});
    }
    if (query->until_ms != 0) {
        add_condition(text, "m.first_ms < ?",
                      (struct parameter){.number = query->until_ms, .is_number = true});
    }
}

/* Sessions that began messages are left out; kind 0 is TRACE_ROW_SESSION. */
#define WITHOUT_BUSY_SESSIONS                                                                      \
    " AND NOT (m.kind = 0 AND EXISTS (SELECT 1 FROM message o WHERE o.session = m.id"              \
    " AND o.kind <> 0))"

/* An address as traces have it, in normal form; what is none, a pattern too, stays as it is. */
static struct str
address_pattern(struct statement_text *text, struct str pattern)
{
    struct smtp_address address;
    unsigned flags = SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL;
    bool is_address = !str_contains_char(pattern, '*') &&
                      smtp_mailbox_parse(text->arena, pattern, flags, &address) == STATUS_OK;
    return is_address ? address.text : pattern;
}

static void
add_conditions(struct statement_text *text, const struct trace_query *query)
{
    add_pattern(text, address_pattern(text, query->sender), "m.sender = ? AND m.sender <> ''",
                "m.sender LIKE ? ESCAPE '\\'");
    add_pattern(text, address_pattern(text, query->recipient),
                "m.n IN (SELECT r.n FROM recipient r WHERE r.address = ?)",
                "m.n IN (SELECT r.n FROM recipient r WHERE r.address LIKE ? ESCAPE '\\')");
    add_pattern(text, query->subject, "m.subject = ? COLLATE NOCASE",
                "m.subject LIKE ? ESCAPE '\\'");
    add_pattern(text, query->message_id, "m.message_id = ? AND m.message_id <> ''",
                "m.message_id LIKE ? ESCAPE '\\'");
    if (query->by_client) {
        add_client(text, &query->client);
    }
    add_times(text, query);
    if (query->only_mail) {
        text->failed |= buf_append(&text->sql, STR(" AND m.kind <> 0")) != STATUS_OK;
    }
}

/* States that a later part, perhaps in a later segment, changes. */
#define STATES_UNDER_WAY                                                                           \
    (1u << TRACE_STATE_OPEN | 1u << TRACE_STATE_QUEUED | 1u << TRACE_STATE_HELD |                  \
     1u << TRACE_STATE_DEFERRED)

static void
add_states(struct statement_text *text, uint32_t states)
{
    if (states != 0) {
        add_condition(text, "((1 << m.state) & ?) <> 0",
                      (struct parameter){.number = states, .is_number = true});
    }
}

static void
add_end(struct statement_text *text, const char *order, uint32_t limit)
{
    text->failed |= buf_printf(&text->sql, " ORDER BY %s LIMIT %u", order, limit + 1) != STATUS_OK;
    text->failed |= buf_append_char(&text->sql, '\0') != STATUS_OK;
}

/* Late rows are found through the first row of their message. */
static void
make_find_sql(struct statement_text *text, const struct trace_query *query)
{
    text->failed |= buf_append(&text->sql, STR("SELECT " SEGMENT_COLUMNS
                                               " FROM message m WHERE m.late = 0")) != STATUS_OK;
    if (query->id.n > 0) {
        add_condition(text, "m.id = ?", (struct parameter){.text = query->id});
    } else {
        text->failed |= buf_append(&text->sql, STR(WITHOUT_BUSY_SESSIONS)) != STATUS_OK;
    }
    if (query->before.n > 0) {
        add_condition(text, "m.id < ?", (struct parameter){.text = query->before});
    }
    add_conditions(text, query);
    add_states(text, query->states != 0 ? query->states | STATES_UNDER_WAY : 0);
    add_end(text, "m.id DESC", query->limit);
}

/* Each row once, at its newest part. */
static void
make_changed_sql(struct statement_text *text, const struct trace_query *query, int64_t from)
{
    text->failed |= buf_append(&text->sql, STR("SELECT " SEGMENT_COLUMNS
                                               " FROM message m JOIN (SELECT n, max(p) AS newest"
                                               " FROM part WHERE p >= ? GROUP BY n) c ON c.n = m.n "
                                               "WHERE 1" WITHOUT_BUSY_SESSIONS)) != STATUS_OK;
    text->parameters[text->count++] = (struct parameter){.number = from, .is_number = true};
    add_conditions(text, query);
    add_states(text, query->states);
    add_end(text, "c.newest", query->limit);
}

static void
bind_parameters(sqlite3_stmt *statement, const struct statement_text *text)
{
    for (int i = 0; i < text->count; i++) {
        if (text->parameters[i].is_number) {
            sqlite3_bind_int64(statement, i + 1, text->parameters[i].number);
        } else {
            ledger_bind_text(statement, i + 1, text->parameters[i].text);
        }
    }
}

/* ---- rows */

/* Rows of one segment, newest first, behind those that are there; false when it has even more. */
static bool
collect(struct trace_search *search, sqlite3_stmt *statement, uint32_t limit)
{
    int code = SQLITE_ROW;
    while (search->count < limit && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        segment_row_read(statement, &search->rows[search->count++]);
    }
    if (code == SQLITE_ROW) {
        code = sqlite3_step(statement);
    }
    ledger_status(sqlite3_db_handle(statement), code);
    return code != SQLITE_ROW;
}

/* How the row stands in the segments after its own, if parts came late. */
static void
refresh_row(struct trace_search *search, struct summary *row, size_t own)
{
    for (size_t i = search->list.count; i > own + 1; i--) {
        int64_t number;
        struct summary late;
        struct segment *segment = use_segment(search, search->list.names[i - 1]);
        if (segment != NULL &&
            segment_row_find(segment, str_from_cstr(row->id), &number, &late) == STATUS_OK) {
            *row = late;
            return;
        }
    }
}

/* Runs the statement on one segment; false when it has more than the limit. */
static bool
query_segment(struct trace_search *search, size_t index, const struct statement_text *text,
              uint32_t limit)
{
    sqlite3_stmt *statement;
    struct segment *segment = use_segment(search, search->list.names[index]);
    if (segment == NULL ||
        ledger_prepare(segment->database, buf_str(&text->sql).p, &statement) != STATUS_OK) {
        return true;
    }
    bind_parameters(statement, text);
    bool all = collect(search, statement, limit);
    sqlite3_finalize(statement);
    return all;
}

/* How the rows from `first` on stand now; those of other states than are looked for go. */
static void
refresh_rows(struct trace_search *search, size_t first, size_t own, uint32_t states)
{
    size_t kept = first;
    for (size_t i = first; i < search->count; i++) {
        refresh_row(search, &search->rows[i], own);
        if (states == 0 || (states >> search->rows[i].state & 1u) != 0) {
            if (kept != i) {
                search->rows[kept] = search->rows[i];
            }
            kept++;
        }
    }
    search->count = kept;
}

/* Adds what fits of one segment; false when it has more. */
static bool
find_in_segment(struct trace_search *search, size_t index, const struct trace_query *query)
{
    char before[ID_LENGTH + 1];
    struct trace_query rest = *query;
    bool all = false;
    bool failed = false;
    while (!all && !failed && search->count < query->limit) {
        struct statement_text text = {.arena = arena_create(16384)};
        size_t first = search->count;
        buf_init(&text.sql, SQL_MAX);
        make_find_sql(&text, &rest);
        failed = text.failed;
        all = failed || query_segment(search, index, &text, query->limit);
        if (search->count > first) {
            memcpy(before, search->rows[search->count - 1].id, sizeof before);
            rest.before = str_from_cstr(before);
        }
        refresh_rows(search, first, index, query->states);
        buf_free(&text.sql);
        arena_destroy(&text.arena);
    }
    return all;
}

/* True when no row of the segment can fit: all of it is before `since` or after `until`. */
static bool
is_outside(const struct trace_search *search, size_t index, const struct trace_query *query)
{
    /* Ids are made at the first event, but by other processes: a minute is ample for both. */
    static const int64_t margin_ms = 60000;
    int64_t begin = segment_name_time(search->list.names[index]);
    bool has_end = index + 1 < search->list.count;
    int64_t end = has_end ? segment_name_time(search->list.names[index + 1]) : 0;
    return (query->until_ms != 0 && begin - margin_ms > query->until_ms) ||
           (query->since_ms != 0 && has_end && end + margin_ms < query->since_ms);
}

enum status
trace_search_find(struct trace_search *search, const struct trace_query *query,
                  const struct summary **rows_out, size_t *count_out, bool *more_out)
{
    bool all = true;
    search->count = 0;
    enum status status = refresh(search);
    for (size_t i = search->list.count; status == STATUS_OK && all && i > 0; i--) {
        if (!is_outside(search, i - 1, query)) {
            all = find_in_segment(search, i - 1, query);
        }
    }
    *rows_out = search->rows;
    *count_out = search->count;
    *more_out = !all;
    return status;
}

/* ---- changes */

static enum status
last_part(struct segment *segment, int64_t *part_out)
{
    sqlite3_stmt *statement;
    enum status status = ledger_prepare(segment->database, "SELECT max(p) FROM part", &statement);
    if (status == STATUS_OK) {
        status = ledger_status(segment->database, sqlite3_step(statement));
        *part_out = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
    }
    return status;
}

enum status
trace_search_last_change(struct trace_search *search, int64_t *change_out)
{
    int64_t part = 0;
    enum status status = refresh(search);
    for (size_t i = search->list.count; status == STATUS_OK && part == 0 && i > 0; i--) {
        struct segment *segment = use_segment(search, search->list.names[i - 1]);
        if (segment != NULL) {
            status = last_part(segment, &part);
        }
    }
    if (status == STATUS_OK) {
        *change_out = part;
    }
    return status;
}

/* The first segment with parts from that number on. */
static size_t
segment_of_part(struct trace_search *search, int64_t from)
{
    size_t i = search->list.count;
    for (; i > 0; i--) {
        int64_t part = 0;
        struct segment *segment = use_segment(search, search->list.names[i - 1]);
        if (segment != NULL && last_part(segment, &part) == STATUS_OK && part != 0 && part < from) {
            break;
        }
    }
    return i;
}

enum status
trace_search_changed(struct trace_search *search, const struct trace_query *query, int64_t from,
                     const struct summary **rows_out, size_t *count_out, bool *more_out)
{
    struct statement_text text = {.arena = arena_create(16384)};
    bool all = true;
    search->count = 0;
    buf_init(&text.sql, SQL_MAX);
    make_changed_sql(&text, query, from);
    enum status status = text.failed ? STATUS_LIMIT : refresh(search);
    for (size_t i = status == STATUS_OK ? segment_of_part(search, from) : 0;
         status == STATUS_OK && all && i < search->list.count; i++) {
        all = query_segment(search, i, &text, query->limit);
    }
    buf_free(&text.sql);
    arena_destroy(&text.arena);
    *rows_out = search->rows;
    *count_out = search->count;
    *more_out = !all;
    return status;
}

/* ---- parts */

struct part_reader {
    struct trace_search *search;
    trace_on_part *on_part;
    void *context;
    bool stopped;
};

/* The first segment that can have parts of an id: the one that was the newest when it was made. */
static size_t
first_segment(const struct trace_search *search, struct str id)
{
    size_t i = search->list.count;
    while (i > 0 && str_cmp(str_make(search->list.names[i - 1], ID_LENGTH), id) > 0) {
        i--;
    }
    return i > 0 ? i - 1 : 0;
}

static void
read_row_parts(struct part_reader *reader, struct segment *segment, int64_t row, struct str id)
{
    sqlite3_stmt *statement;
    int code = SQLITE_DONE;
    if (reader->stopped ||
        ledger_prepare(segment->database, "SELECT events FROM part WHERE n = ?1 ORDER BY p",
                       &statement) != STATUS_OK) {
        return;
    }
    sqlite3_bind_int64(statement, 1, row);
    while (!reader->stopped && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        reader->stopped = !reader->on_part(reader->context, id, ledger_column(statement, 0));
    }
    ledger_status(segment->database, code);
    sqlite3_finalize(statement);
}

/* All parts of one id; its newest row goes to *row_out when that is not NULL. */
static bool
read_id_parts(struct part_reader *reader, struct str id, struct summary *row_out)
{
    struct trace_search *search = reader->search;
    bool found = false;
    for (size_t i = first_segment(search, id); i < search->list.count; i++) {
        struct summary row;
        int64_t number;
        struct segment *segment = use_segment(search, search->list.names[i]);
        if (segment == NULL || segment_row_find(segment, id, &number, &row) != STATUS_OK) {
            continue;
        }
        found = true;
        if (row_out != NULL) {
            *row_out = row;
        } else {
            read_row_parts(reader, segment, number, id);
        }
    }
    return found;
}

static void
messages_in_segment(struct segment *segment, struct str session, struct segment_list *ids)
{
    sqlite3_stmt *statement;
    if (ledger_prepare(segment->database,
                       "SELECT id FROM message WHERE session = ?1 AND id <> ?1 AND late = 0"
                       " ORDER BY id",
                       &statement) != STATUS_OK) {
        return;
    }
    ledger_bind_text(statement, 1, session);
    while (ids->count < SESSION_MESSAGES_MAX && sqlite3_step(statement) == SQLITE_ROW) {
        struct str id = ledger_column(statement, 0);
        if (id.n == ID_LENGTH) {
            memcpy(ids->names[ids->count], id.p, ID_LENGTH);
            ids->names[ids->count++][ID_LENGTH] = '\0';
        }
    }
    sqlite3_finalize(statement);
}

/* The parts of the messages that a session brought. */
static void
read_message_parts(struct part_reader *reader, struct str session)
{
    struct trace_search *search = reader->search;
    struct segment_list ids = {calloc(SESSION_MESSAGES_MAX, sizeof ids.names[0]), 0};
    for (size_t i = first_segment(search, session); ids.names != NULL && i < search->list.count;
         i++) {
        struct segment *segment = use_segment(search, search->list.names[i]);
        if (segment != NULL) {
            messages_in_segment(segment, session, &ids);
        }
    }
    for (size_t i = 0; i < ids.count; i++) {
        read_id_parts(reader, str_from_cstr(ids.names[i]), NULL);
    }
    segment_list_free(&ids);
}

enum status
trace_search_parts(struct trace_search *search, struct str id, struct summary *row_out,
                   trace_on_part *on_part, void *context)
{
    struct part_reader reader = {search, on_part, context, false};
    struct summary row;
    enum status status = refresh(search);
    if (status != STATUS_OK) {
        return status;
    }
    if (!read_id_parts(&reader, id, &row)) {
        return STATUS_NOT_FOUND;
    }
    if (row.kind == TRACE_ROW_SESSION) {
        read_id_parts(&reader, id, NULL);
        read_message_parts(&reader, id);
    } else {
        if (row.session[0] != '\0') {
            read_id_parts(&reader, str_from_cstr(row.session), NULL);
        }
        read_id_parts(&reader, id, NULL);
    }
    *row_out = row;
    return STATUS_OK;
}
