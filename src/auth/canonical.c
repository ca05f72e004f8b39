#include "auth/canonical.h"

#include "auth/crypto.h"

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

static void
relax(struct relaxed *out, struct str part)
{
    for (size_t i = 0; i < part.n; i++) {
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

/* Sixteen octets at a time; every compiler that builds this makes vectors of it. */
typedef unsigned char octets16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* True when a blank at one of p[0..16) is not a single space before something else. */
static bool
block_changes(const char *p)
{
    octets16 here, next;
    memcpy(&here, p, sizeof here);
    memcpy(&next, p + 1, sizeof next);
    octets16 end = (octets16)(next == ' ') | (octets16)(next == '\t') | (octets16)(next == '\r');
    octets16 change = (octets16)(here == '\t') | ((octets16)(here == ' ') & end);
    words2 words = (words2)change;
    return (words[0] | words[1]) != 0;
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
    while (n + sizeof(octets16) < s.n && !block_changes(s.p + n)) {
        n += sizeof(octets16);
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
canonical_hash_init(struct canonical_hash *hash, enum canonical form, uint64_t limit)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL || EVP_DigestInit_ex2(digest, crypto_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(digest);
        return STATUS_TEMPORARY;
    }
    hash->digest = digest;
    hash->failed = false;
    canonical_body_init(&hash->body, form, limit, hash_sink, hash);
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
    EVP_MD_CTX_free(hash->digest);
    hash->digest = NULL;
    return good ? STATUS_OK : STATUS_TEMPORARY;
}
