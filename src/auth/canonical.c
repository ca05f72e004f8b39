#include "auth/canonical.h"

#include "auth/crypto.h"
#include "base/octets.h"

const char *
canonical_name(enum canonical form)
{
    return form == CANONICAL_RELAXED ? "relaxed" : "simple";
}

/* ---- header fields */

/* The end of what was written so far, and what will come of the blanks before it. */
struct relaxed {
    char *end;
    bool started; /* blanks before the first other octet are cut */
    bool blank;   /* a run of blanks was read, which becomes one if anything follows */
};

/* Marks the blanks among p[0..16) that are no single space before something else. */
static octets16
block_changes(const char *p)
{
    octets16 here = octets16_load(p);
    octets16 next = octets16_load(p + 1);
    octets16 end = octets16_is(next, ' ') | octets16_is(next, '\t') | octets16_is(next, '\r');
    return octets16_is(here, '\t') | (octets16_is(here, ' ') & end);
}

/* True when p[0..16), of a field, stands in the relaxed form as it is. */
static bool
block_stays(const char *p)
{
    return !octets16_any(block_changes(p) | octets16_is(octets16_load(p), '\r'));
}

/* The same of p[0..32). */
static bool
pair_stays(const char *p)
{
    const char *q = p + OCTETS16;
    octets16 cr = octets16_is(octets16_load(p), '\r') | octets16_is(octets16_load(q), '\r');
    return !octets16_any(block_changes(p) | block_changes(q) | cr);
}

/* Writes n octets that stand as they are and begin with no blank. There is room: never more is
 * written than was read. */
static void
relax_put(struct relaxed *out, const char *p, size_t n)
{
    if (out->blank) {
        *out->end++ = ' ';
    }
    memcpy(out->end, p, n);
    out->end += n;
    out->blank = false;
    out->started = true;
}

/* From `start` on to at least `end`; returns where it stopped. */
static size_t
relax_octets(struct relaxed *out, struct str part, size_t start, size_t end)
{
    size_t i = start;
    while (i < end) {
        char c = part.p[i];
        if (char_is_blank(c)) {
            out->blank = out->started;
        } else if (c == '\r' && i + 1 < part.n && part.p[i + 1] == '\n') {
            i++; /* unfolded: within a field, a line end stands before a blank only */
        } else {
            if (out->blank) {
                *out->end++ = ' ';
            }
            *out->end++ = c;
            out->blank = false;
            out->started = true;
        }
        i++;
    }
    return i;
}

static void
relax(struct relaxed *out, struct str part)
{
    size_t i = 0;
    while (i < part.n) {
        size_t left = part.n - i;
        if (char_is_blank(part.p[i])) {
            out->blank = out->started;
            i++;
        } else if (left > 2 * OCTETS16 && pair_stays(part.p + i)) {
            relax_put(out, part.p + i, 2 * OCTETS16);
            i += 2 * OCTETS16;
        } else if (left > OCTETS16 && block_stays(part.p + i)) {
            relax_put(out, part.p + i, OCTETS16);
            i += OCTETS16;
        } else {
            i = relax_octets(out, part, i, i + (left < OCTETS16 ? left : OCTETS16));
        }
    }
}

/* RFC 6376 3.4.2, of `raw` and what follows it behind a gap. */
static enum status
relax_header(struct str raw, struct str after, struct buf *out)
{
    struct str name;
    struct str value;
    if (!str_cut(raw, ':', &name, &value)) {
        return STATUS_SYNTAX;
    }
    char *start = buf_reserve(out, raw.n + after.n);
    struct relaxed written = {.end = start};
    if (start == NULL) {
        return STATUS_LIMIT;
    }
    name = str_trim(name);
    for (size_t i = 0; i < name.n; i++) {
        *written.end++ = char_lower(name.p[i]);
    }
    *written.end++ = ':';
    relax(&written, value);
    relax(&written, after);
    buf_commit(out, (size_t)(written.end - start));
    return STATUS_OK;
}

static struct str
without_line_end(struct str raw)
{
    return str_ends_with(raw, STR("\r\n")) ? str_head(raw, raw.n - 2) : raw;
}

enum status
canonical_header(enum canonical form, struct str raw, struct buf *out)
{
    struct str line = without_line_end(raw);
    enum status status;
    if (form == CANONICAL_RELAXED) {
        status = relax_header(line, STR(""), out);
    } else {
        status = str_contains_char(line, ':') ? buf_append(out, line) : STATUS_SYNTAX;
    }
    return status == STATUS_OK ? buf_append(out, STR("\r\n")) : status;
}

enum status
canonical_signature_header(enum canonical form, struct str raw, struct str without, struct buf *out)
{
    struct str line = without_line_end(raw);
    struct str before = str_head(line, (size_t)(without.p - raw.p));
    struct str after = str_skip(line, before.n + without.n);
    if (form == CANONICAL_RELAXED) {
        return relax_header(before, after, out);
    }
    enum status status = buf_append(out, before);
    return status == STATUS_OK ? buf_append(out, after) : status;
}

/* ---- bodies */

void
canonical_body_init(struct canonical_body *body, enum canonical form, uint64_t limit,
                    canonical_sink *sink, void *ctx)
{
    *body = (struct canonical_body){.form = form, .limit = limit, .sink = sink, .ctx = ctx};
}

static void
emit(struct canonical_body *body, const char *p, size_t n)
{
    uint64_t room = body->limit > body->length ? body->limit - body->length : 0;
    body->length += n;
    if (room > 0 && n > 0) {
        body->sink(body->ctx, p, room < n ? (size_t)room : n);
    }
}

/* Content follows, so the lines that were held back are not the last. */
static void
emit_held(struct canonical_body *body)
{
    static const char ends[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
    const uint64_t block = (sizeof ends - 1) / 2;
    while (body->lines > 0) {
        uint64_t n = body->lines < block ? body->lines : block;
        emit(body, ends, (size_t)(2 * n));
        body->lines -= n;
    }
    if (body->blank) {
        emit(body, " ", 1);
        body->blank = false;
    }
}

/* A CR was held back and more has come: either its LF, or it was content. */
static struct str
resolve_cr(struct canonical_body *body, struct str chunk)
{
    body->cr = false;
    if (chunk.p[0] == '\n') {
        body->lines++;
        body->blank = false; /* RFC 6376 3.4.4: blanks at the end of a line are ignored */
        return str_skip(chunk, 1);
    }
    emit_held(body);
    emit(body, "\r", 1);
    return chunk;
}

/* RFC 6376 3.4.3: all is content but the line ends at the end of the body. */
static void
feed_simple(struct canonical_body *body, struct str chunk)
{
    if (body->cr && chunk.n > 0) {
        chunk = resolve_cr(body, chunk);
    }
    size_t end = chunk.n;
    uint64_t lines = 0;
    if (end > 0 && chunk.p[end - 1] == '\r') {
        body->cr = true;
        end--;
    }
    while (end >= 2 && chunk.p[end - 1] == '\n' && chunk.p[end - 2] == '\r') {
        lines++;
        end -= 2;
    }
    if (end > 0) {
        emit_held(body);
        emit(body, chunk.p, end);
    }
    body->lines += lines;
}

static bool
octet_changes(struct str s, size_t at)
{
    char c = s.p[at];
    if (c != ' ') {
        return c == '\t';
    }
    return at + 1 == s.n || s.p[at + 1] == ' ' || s.p[at + 1] == '\t' || s.p[at + 1] == '\r';
}

/*
 * How many octets at the beginning of s, which begins with content, stand in the relaxed form as
 * they are: up to blanks that change, without line ends at its end, which may be the last.
 */
static size_t
relaxed_span(struct str s)
{
    size_t n = 0;
    while (n + 4 * OCTETS16 < s.n) {
        const char *p = s.p + n;
        if (octets16_any(block_changes(p) | block_changes(p + OCTETS16) |
                         block_changes(p + 2 * OCTETS16) | block_changes(p + 3 * OCTETS16))) {
            break;
        }
        n += 4 * OCTETS16;
    }
    while (n + OCTETS16 < s.n && !octets16_any(block_changes(s.p + n))) {
        n += OCTETS16;
    }
    while (n < s.n && !octet_changes(s, n)) {
        n++;
    }
    for (;;) {
        if (n > 0 && s.p[n - 1] == '\r') {
            n--;
        } else if (n > 1 && s.p[n - 1] == '\n' && s.p[n - 2] == '\r') {
            n -= 2;
        } else {
            return n;
        }
    }
}

/* RFC 6376 3.4.4 */
static void
feed_relaxed(struct canonical_body *body, struct str chunk)
{
    while (chunk.n > 0) {
        if (body->cr) {
            chunk = resolve_cr(body, chunk);
        } else if (char_is_blank(chunk.p[0])) {
            body->blank = true;
            chunk = str_skip(chunk, 1);
        } else if (chunk.p[0] == '\r') {
            body->cr = true;
            chunk = str_skip(chunk, 1);
        } else {
            size_t n = relaxed_span(chunk);
            emit_held(body);
            emit(body, chunk.p, n);
            chunk = str_skip(chunk, n);
        }
    }
}

void
canonical_body_feed(struct canonical_body *body, struct str chunk)
{
    if (body->form == CANONICAL_RELAXED) {
        feed_relaxed(body, chunk);
    } else {
        feed_simple(body, chunk);
    }
}

void
canonical_body_finish(struct canonical_body *body)
{
    if (body->cr) {
        emit_held(body);
        emit(body, "\r", 1);
    }
    /* The simple form of an empty body is CRLF (3.4.3), its relaxed form is empty (3.4.4). */
    if (body->form == CANONICAL_SIMPLE || body->length > 0) {
        emit(body, "\r\n", 2);
    }
}

/* ---- hashes */

static void
hash_sink(void *ctx, const char *p, size_t n)
{
    struct canonical_hash *hash = ctx;
    hash->failed = EVP_DigestUpdate(hash->digest, p, n) != 1 || hash->failed;
}

enum status
canonical_hash_init_with(struct canonical_hash *hash, enum canonical form, uint64_t limit,
                         EVP_MD_CTX *digest)
{
    hash->digest = digest;
    hash->own = false;
    hash->failed = false;
    canonical_body_init(&hash->body, form, limit, hash_sink, hash);
    return EVP_DigestInit_ex2(digest, crypto_sha256(), NULL) == 1 ? STATUS_OK : STATUS_TEMPORARY;
}

enum status
canonical_hash_init(struct canonical_hash *hash, enum canonical form, uint64_t limit)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL || canonical_hash_init_with(hash, form, limit, digest) != STATUS_OK) {
        EVP_MD_CTX_free(digest);
        return STATUS_TEMPORARY;
    }
    hash->own = true;
    return STATUS_OK;
}

void
canonical_hash_feed(struct canonical_hash *hash, struct str chunk)
{
    canonical_body_feed(&hash->body, chunk);
}

enum status
canonical_hash_finish(struct canonical_hash *hash, uint8_t octets_out[CANONICAL_HASH_SIZE])
{
    canonical_body_finish(&hash->body);
    bool good = !hash->failed && EVP_DigestFinal_ex(hash->digest, octets_out, NULL) == 1;
    if (hash->own) {
        EVP_MD_CTX_free(hash->digest);
    }
    hash->digest = NULL;
    return good ? STATUS_OK : STATUS_TEMPORARY;
}
