/* Rows of the cache of MTA-STS policies: a version, then texts with their length and numbers. */
#include "base/buf.h"
#include "transport/sts_cache_internal.h"

#define ROW_VERSION 1

/* ---- writing */

static bool
put_number(struct buf *out, uint64_t number, unsigned octets)
{
    enum status status = STATUS_OK;
    for (unsigned i = octets; i > 0 && status == STATUS_OK; i--) {
        status = buf_append_char(out, (char)(unsigned char)(number >> (8 * (i - 1))));
    }
    return status == STATUS_OK;
}

static bool
put_text(struct buf *out, struct str text, unsigned octets)
{
    return put_number(out, text.n, octets) && buf_append(out, text) == STATUS_OK;
}

static bool
put_row(struct buf *out, const struct sts_entry *entry)
{
    return put_number(out, ROW_VERSION, 1) && put_text(out, str_from_cstr(entry->domain), 1) &&
           put_text(out, str_from_cstr(entry->id), 1) &&
           put_text(out, str_from_cstr(entry->failed_id), 1) &&
           put_number(out, (uint64_t)entry->fetched_s, 8) &&
           put_number(out, (uint64_t)entry->expires_s, 8) &&
           put_number(out, (uint64_t)entry->attempted_s, 8) &&
           put_number(out, (uint64_t)entry->used_s, 8) && put_number(out, entry->failures, 1) &&
           put_text(out, str_from_cstr(tls_result_name(entry->failure)), 1) &&
           put_text(out, entry->policy, 4);
}

struct str
sts_entry_encode(struct arena *arena, const struct sts_entry *entry)
{
    struct buf out;
    struct str row = str_make(NULL, 0);
    buf_init(&out, STS_ROW_MAX);
    if (put_row(&out, entry)) {
        row = arena_str_dup(arena, buf_str(&out));
    }
    buf_free(&out);
    return row;
}

/* ---- reading */

static bool
take_number(struct str *rest, unsigned octets, uint64_t *number_out)
{
    uint64_t number = 0;
    if (rest->n < octets) {
        return false;
    }
    for (unsigned i = 0; i < octets; i++) {
        number = number << 8 | (unsigned char)rest->p[i];
    }
    *rest = str_skip(*rest, octets);
    *number_out = number;
    return true;
}

static bool
take_text(struct str *rest, unsigned octets, struct str *text_out)
{
    uint64_t n;
    if (!take_number(rest, octets, &n) || n > rest->n) {
        return false;
    }
    *text_out = str_head(*rest, (size_t)n);
    *rest = str_skip(*rest, (size_t)n);
    return true;
}

/* A text with NUL into an array of `room` octets. */
static bool
take_name(struct str *rest, char *name, size_t room)
{
    struct str text;
    if (!take_text(rest, 1, &text) || text.n >= room || str_contains_char(text, '\0')) {
        return false;
    }
    memcpy(name, text.p, text.n);
    name[text.n] = '\0';
    return true;
}

/* A time from 1970 on, so that no sum of times can be too large for its type. */
static bool
take_time(struct str *rest, int64_t *time_out)
{
    uint64_t number;
    if (!take_number(rest, 8, &number) || number > INT64_MAX / 4) {
        return false;
    }
    *time_out = (int64_t)number;
    return true;
}

static bool
take_failures(struct str *rest, struct sts_entry *entry)
{
    uint64_t failures;
    struct str word;
    if (!take_number(rest, 1, &failures) || failures > STS_FAILURES_MAX ||
        !take_text(rest, 1, &word)) {
        return false;
    }
    entry->failures = (unsigned)failures;
    entry->failure = tls_result_find(word);
    return true;
}

bool
sts_row_read(struct str row, struct sts_entry *entry_out, struct str *text_out)
{
    struct sts_entry entry = {.mode = STS_MODE_NONE};
    struct str rest = row;
    struct str text;
    uint64_t version;
    bool read = row.n <= STS_ROW_MAX && take_number(&rest, 1, &version) && version == ROW_VERSION &&
                take_name(&rest, entry.domain, sizeof entry.domain) &&
                take_name(&rest, entry.id, sizeof entry.id) &&
                take_name(&rest, entry.failed_id, sizeof entry.failed_id) &&
                take_time(&rest, &entry.fetched_s) && take_time(&rest, &entry.expires_s) &&
                take_time(&rest, &entry.attempted_s) && take_time(&rest, &entry.used_s) &&
                take_failures(&rest, &entry) && take_text(&rest, 4, &text) && rest.n == 0;
    /* No age is beyond that of RFC 8461 3.2, so no row can make a policy last for ever. */
    read = read && entry.expires_s >= entry.fetched_s &&
           entry.expires_s - entry.fetched_s <= STS_MAX_AGE_MAX;
    if (read) {
        *entry_out = entry;
        *text_out = text;
    }
    return read;
}
