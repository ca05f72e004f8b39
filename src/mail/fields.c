#include "mail/fields.h"

#include "base/octets.h"

#define COUNT_OF(a)    (sizeof(a) / sizeof((a)[0]))
/* Places for fields at the start; most messages need no more. */
#define FIRST_CAPACITY 32u

/* What an octet is, as bits that can be collected over a line. */
enum octet_class {
    OCTET_NUL = 1 << 0,
    OCTET_CR = 1 << 1,
    OCTET_LF = 1 << 2,
    OCTET_CONTROL = 1 << 3,
    OCTET_8BIT = 1 << 4,
    OCTET_VISIBLE = 1 << 5, /* an ordinary character that is not a blank */
};

static const struct {
    struct str name;
    size_t most;
} field_rows[MAIL_FIELD_COUNT_] = {
#define MAIL_FIELD(ID, text, count) [MAIL_FIELD_##ID] = {STR_INIT(text), (count)},
#include "mail/fields.def"
#undef MAIL_FIELD
};

enum mail_field_id
mail_field_id_find(struct str name)
{
    for (size_t i = MAIL_FIELD_BAD + 1; i < MAIL_FIELD_COUNT_; i++) {
        if (field_rows[i].name.n == name.n && str_eq_nocase(field_rows[i].name, name)) {
            return (enum mail_field_id)i;
        }
    }
    return MAIL_FIELD_OTHER;
}

struct str
mail_field_name(enum mail_field_id id)
{
    return field_rows[id].name;
}

size_t
mail_field_most(enum mail_field_id id)
{
    return field_rows[id].most;
}

const char *
mail_anomaly_name(enum mail_anomaly_kind kind)
{
    static const char *const names[] = {
        [MAIL_ANOMALY_BAD_LINE] = "bad_line",
        [MAIL_ANOMALY_NO_END] = "no_end",
        [MAIL_ANOMALY_NUL] = "nul",
        [MAIL_ANOMALY_BARE_CR] = "bare_cr",
        [MAIL_ANOMALY_BARE_LF] = "bare_lf",
        [MAIL_ANOMALY_CONTROL] = "control",
        [MAIL_ANOMALY_8BIT] = "8bit",
        [MAIL_ANOMALY_NOT_UTF8] = "not_utf8",
        [MAIL_ANOMALY_LONG_LINE] = "long_line",
        [MAIL_ANOMALY_BLANK_IN_NAME] = "blank_in_name",
        [MAIL_ANOMALY_BLANK_FOLD] = "blank_fold",
    };
    return (size_t)kind < COUNT_OF(names) ? names[kind] : "unknown";
}

static unsigned
octet_class(unsigned char c)
{
    if (c > ' ' && c < 0x7f) {
        return OCTET_VISIBLE;
    }
    if (c >= 0x80) {
        return OCTET_8BIT;
    }
    switch (c) {
    case ' ':
    case '\t':
        return 0;
    case '\0':
        return OCTET_NUL;
    case '\r':
        return OCTET_CR;
    case '\n':
        return OCTET_LF;
    default:
        return OCTET_CONTROL;
    }
}

bool
mail_field_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':') {
            return false;
        }
    }
    return name.n > 0;
}

/* ---- parsing */

struct parser {
    struct arena *arena;
    struct str content; /* not beyond the limit */
    size_t pos;         /* where the next field begins */
    struct mail_field *fields;
    size_t capacity;
    struct mail_head head; /* in the making */
};

static void
anomaly_note(struct parser *parser, enum mail_anomaly_kind kind, size_t offset)
{
    struct mail_anomaly *anomaly = &parser->head.anomalies[kind];
    if (anomaly->count++ == 0) {
        anomaly->offset = offset;
    }
}

/*
 * The end of the line that begins at `start`, without its CRLF; *next_out is where the next line
 * begins. The last line of a cut-off message ends with the content.
 */
static size_t
line_end(struct str content, size_t start, size_t *next_out)
{
    size_t at = start;
    while (at < content.n) {
        const char *lf = memchr(content.p + at, '\n', content.n - at);
        if (lf == NULL) {
            break;
        }
        at = (size_t)(lf - content.p) + 1;
        if (at - start >= 2 && content.p[at - 2] == '\r') {
            *next_out = at;
            return at - 2;
        }
    }
    *next_out = content.n;
    return content.n;
}

/* True when all of p[0..16) are printable ASCII; then *classes gets those that they have. */
static bool
block_classes(const char *p, unsigned *classes)
{
    octets16 here = octets16_load(p);
    if (octets16_any((octets16)(here < (unsigned char)' ') |
                     (octets16)(here > (unsigned char)'~'))) {
        return false;
    }
    *classes |= octets16_any((octets16)(here > (unsigned char)' ')) ? OCTET_VISIBLE : 0;
    return true;
}

static unsigned
line_classes(struct str line)
{
    unsigned classes = 0;
    size_t i = 0;
    while (i < line.n) {
        if (i + OCTETS16 <= line.n && block_classes(line.p + i, &classes)) {
            i += OCTETS16;
        } else {
            classes |= octet_class((unsigned char)line.p[i++]);
        }
    }
    return classes;
}

/* Notes what is wrong with the octets of one line; returns the classes that it has. */
static unsigned
line_inspect(struct parser *parser, size_t start, size_t end)
{
    static const struct {
        unsigned class;
        enum mail_anomaly_kind kind;
    } kinds[] = {
        {OCTET_NUL, MAIL_ANOMALY_NUL},    {OCTET_CR, MAIL_ANOMALY_BARE_CR},
        {OCTET_LF, MAIL_ANOMALY_BARE_LF}, {OCTET_CONTROL, MAIL_ANOMALY_CONTROL},
        {OCTET_8BIT, MAIL_ANOMALY_8BIT},
    };
    unsigned classes = line_classes(str_make(parser->content.p + start, end - start));
    if ((classes & ~(unsigned)OCTET_VISIBLE) != 0) {
        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
            if ((classes & kinds[i].class) != 0) {
                anomaly_note(parser, kinds[i].kind, start);
            }
        }
    }
    if (end - start > MAIL_LINE_MAX) {
        anomaly_note(parser, MAIL_ANOMALY_LONG_LINE, start);
    }
    return classes;
}

/* Cuts raw into name and value; false when it is no field (also a continuation of nothing). */
static bool
field_split(struct parser *parser, struct mail_field *field, size_t end)
{
    struct str line = str_make(parser->content.p + field->offset, end - field->offset);
    struct str name;
    struct str value;
    if (!str_cut(line, ':', &name, &value)) {
        return false;
    }
    size_t written = name.n;
    while (name.n > 0 && char_is_blank(name.p[name.n - 1])) {
        name.n--;
    }
    if (!mail_field_name_is_valid(name)) {
        return false;
    }
    if (name.n < written) {
        anomaly_note(parser, MAIL_ANOMALY_BLANK_IN_NAME, field->offset);
    }
    field->name = name;
    field->value = value;
    return true;
}

static enum status
field_keep(struct parser *parser, const struct mail_field *field)
{
    struct mail_head *head = &parser->head;
    if (head->field_count == parser->capacity) {
        size_t capacity = parser->capacity == 0 ? FIRST_CAPACITY : 2 * parser->capacity;
        struct mail_field *grown = arena_alloc_array(parser->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return STATUS_LIMIT;
        }
        if (head->field_count > 0) {
            memcpy(grown, parser->fields, head->field_count * sizeof *grown);
        }
        parser->fields = grown;
        parser->capacity = capacity;
    }
    parser->fields[head->field_count++] = *field;
    return STATUS_OK;
}

/* Reads the field at parser->pos with its continuation lines. */
static enum status
field_parse(struct parser *parser)
{
    struct str content = parser->content;
    struct mail_field field = {.offset = parser->pos};
    size_t next;
    size_t end = line_end(content, parser->pos, &next);
    unsigned classes = line_inspect(parser, parser->pos, end);
    while (next < content.n && char_is_blank(content.p[next])) {
        size_t start = next;
        end = line_end(content, start, &next);
        unsigned more = line_inspect(parser, start, end);
        if (more == 0) {
            anomaly_note(parser, MAIL_ANOMALY_BLANK_FOLD, start);
        }
        classes |= more;
    }
    field.raw = str_make(content.p + field.offset, next - field.offset);
    if (!field_split(parser, &field, end)) {
        field.id = MAIL_FIELD_BAD;
        field.value = str_make(field.raw.p, end - field.offset);
        anomaly_note(parser, MAIL_ANOMALY_BAD_LINE, field.offset);
    } else {
        field.id = mail_field_id_find(field.name);
    }
    if ((classes & OCTET_8BIT) != 0 && !str_is_utf8(field.raw)) {
        anomaly_note(parser, MAIL_ANOMALY_NOT_UTF8, field.offset);
    }
    parser->pos = next;
    return field_keep(parser, &field);
}

/* Moves the parser over the empty line if it stands before one. */
static bool
at_empty_line(struct parser *parser)
{
    if (!str_starts_with(str_skip(parser->content, parser->pos), STR("\r\n"))) {
        return false;
    }
    parser->pos += 2;
    return true;
}

static void
head_index(struct mail_head *head)
{
    if (head->fields == NULL) {
        return; /* there are none */
    }
    for (size_t i = 0; i < head->field_count; i++) {
        const struct mail_field *field = &head->fields[i];
        if (head->counts[field->id]++ == 0) {
            head->first[field->id] = field;
        }
    }
}

enum status
mail_head_parse(struct arena *arena, struct str content, const struct mail_head_limits *limits,
                struct mail_head *head_out)
{
    struct parser parser = {.arena = arena, .content = str_head(content, limits->size)};
    while (!at_empty_line(&parser)) {
        if (parser.pos == parser.content.n) {
            if (parser.content.n < content.n) {
                return STATUS_LIMIT;
            }
            anomaly_note(&parser, MAIL_ANOMALY_NO_END, parser.pos);
            break;
        }
        if (parser.head.field_count == limits->fields || field_parse(&parser) != STATUS_OK) {
            return STATUS_LIMIT;
        }
    }
    parser.head.raw = str_head(content, parser.pos);
    parser.head.fields = parser.fields;
    head_index(&parser.head);
    *head_out = parser.head;
    return STATUS_OK;
}

/* ---- values */

struct str
mail_field_unfold(struct arena *arena, const struct mail_field *field)
{
    struct str value = field->value;
    if (!str_contains_char(value, '\r')) {
        return str_trim(value);
    }
    char *copy = arena_alloc(arena, value.n);
    size_t used = 0;
    if (copy == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < value.n; i++) {
        bool fold = value.n - i > 2 && value.p[i] == '\r' && value.p[i + 1] == '\n' &&
                    char_is_blank(value.p[i + 2]);
        if (fold) {
            i++;
        } else {
            copy[used++] = value.p[i];
        }
    }
    return str_trim(str_make(copy, used));
}

struct str
mail_head_value(struct arena *arena, const struct mail_head *head, enum mail_field_id id)
{
    const struct mail_field *field = head->first[id];
    return field != NULL ? mail_field_unfold(arena, field) : str_make(NULL, 0);
}
