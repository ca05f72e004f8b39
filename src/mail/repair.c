#include "mail/repair.h"

#include "mail/address_list.h"
#include "mail/repair_text.h"

#define COUNT_OF(a)     (sizeof(a) / sizeof((a)[0]))
/* Mailboxes of a field whose domains are looked at. */
#define MAILBOXES_MAX   100u
/* Octets of a field name with blanks in it. */
#define NAME_MAX_OCTETS 64u

/* One message in the making. */
struct repairing {
    struct arena *arena;
    const struct mail_repair_input *input;
    size_t shift; /* of the head's beginning in the content */
    struct mail_edits *edits;
    struct mail_repair_notes notes;
    bool is_signed;
};

static void
note(struct mail_repair_notes *notes, enum mail_repair repair, size_t offset)
{
    size_t i = 0;
    while (i < notes->count && notes->items[i].repair < repair) {
        i++;
    }
    if (i < notes->count && notes->items[i].repair == repair) {
        notes->items[i].count++;
        return;
    }
    memmove(&notes->items[i + 1], &notes->items[i], (notes->count - i) * sizeof notes->items[0]);
    notes->items[i] = (struct mail_repair_note){repair, 1, offset};
    notes->count++;
}

/* ---- values: the table */

struct value_row {
    enum mail_repair repair;
    const char *why;
    bool is_obsolete; /* mended in any message; not where it would break a signature for nothing */
    enum status (*mend)(struct repairing *, const struct mail_field *, struct str *value,
                        bool *done_out);
};

static enum status
mend_blank_folds(struct repairing *r, const struct mail_field *field, struct str *value,
                 bool *done_out)
{
    (void)field;
    return mail_repair_blank_folds(r->arena, value, done_out);
}

/* The edit writes the name without them; there is nothing to do for the value. */
static enum status
mend_blank_in_name(struct repairing *r, const struct mail_field *field, struct str *value,
                   bool *done_out)
{
    (void)r;
    (void)value;
    *done_out = field->raw.p[field->name.n] != ':';
    return STATUS_OK;
}

static enum status
mend_controls(struct repairing *r, const struct mail_field *field, struct str *value,
              bool *done_out)
{
    (void)field;
    return mail_repair_controls(r->arena, value, done_out);
}

static bool
has_addresses(enum mail_field_id id)
{
    return id == MAIL_FIELD_FROM || id == MAIL_FIELD_SENDER || id == MAIL_FIELD_REPLY_TO ||
           id == MAIL_FIELD_TO || id == MAIL_FIELD_CC || id == MAIL_FIELD_BCC ||
           id == MAIL_FIELD_RESENT_BCC;
}

static enum status
mend_8bit(struct repairing *r, const struct mail_field *field, struct str *value, bool *done_out)
{
    bool regular = str_is_utf8(*value) && (r->input->smtputf8 || r->is_signed);
    *done_out = false;
    return regular ? STATUS_OK
                   : mail_repair_8bit(r->arena, has_addresses(field->id), value, done_out);
}

static bool
is_word_char(char c)
{
    return char_is_alnum(c) || str_contains_char(STR("._-+"), c);
}

static bool
is_word(struct str text)
{
    size_t i = 0;
    while (i < text.n && is_word_char(text.p[i])) {
        i++;
    }
    return i > 0 && i == text.n;
}

/* What a program without the idea of a domain wrote: the parts are views, and may be empty. */
struct loose_author {
    struct str name;    /* before "<" */
    struct str word;    /* "scanner", or what else stands where the address should */
    struct str comment; /* "(Cron Daemon)" */
};

/*
 * "scanner", "<scanner>", "Scanner <scanner>" and "root (Cron Daemon)", each also with the address
 * of a host in brackets behind an "@", which no reader elsewhere can write to.
 */
static struct loose_author
loose_author_read(struct str text)
{
    struct loose_author author = {.word = text};
    size_t open = str_rfind_char(text, '<');
    size_t comment = str_find_char(text, '(');
    if (open != STR_NPOS && str_ends_with(text, STR(">"))) {
        author.name = str_trim(str_head(text, open));
        author.word = str_trim(str_make(text.p + open + 1, text.n - open - 2));
    } else if (comment != STR_NPOS && str_ends_with(text, STR(")"))) {
        author.word = str_trim(str_head(text, comment));
        author.comment = str_skip(text, comment);
    }
    size_t at = str_rfind_char(author.word, '@');
    if (at != STR_NPOS && str_starts_with(str_skip(author.word, at), STR("@[")) &&
        str_ends_with(author.word, STR("]"))) {
        author.word = str_head(author.word, at);
    }
    return author;
}

/* True when the sender may not write as that word of the domain, but as somebody else. */
static bool
is_of_another(const struct repairing *r, struct str address)
{
    return r->input->is_own != NULL && r->input->own.n > 0 &&
           !r->input->is_own(r->input->context, address);
}

/*
 * The field with the whole address. Whose it may not be becomes the name of who sends it: a device
 * that logs in as somebody wants to be recognized, and can be without another's address.
 */
static struct str
complete_author(struct repairing *r, const struct loose_author *author)
{
    struct str address =
        arena_printf(r->arena, "%.*s@%.*s", STR_ARG(author->word), STR_ARG(r->input->domain));
    bool another = address.p != NULL && is_of_another(r, address);
    bool quoted = another && author->name.n == 0;
    struct str name = quoted ? author->word : author->name;
    address = another ? r->input->own : address;
    return address.p == NULL
               ? address
               : arena_printf(r->arena, "%s%.*s%s%s<%.*s>%s%.*s", quoted ? "\"" : "", STR_ARG(name),
                              quoted ? "\"" : "", name.n > 0 ? " " : "", STR_ARG(address),
                              author->comment.n > 0 ? " " : "", STR_ARG(author->comment));
}

/* An author or sender that has no domain gets one. */
static enum status
mend_domain(struct repairing *r, const struct mail_field *field, struct str *value, bool *done_out)
{
    struct str text = str_trim(*value);
    struct loose_author author = loose_author_read(text);
    *done_out = false;
    if ((field->id != MAIL_FIELD_FROM && field->id != MAIL_FIELD_SENDER) ||
        str_contains_char(author.name, '@') || r->input->domain.n == 0 || !is_word(author.word)) {
        return STATUS_OK;
    }
    struct str made = complete_author(r, &author);
    *value = made.p != NULL ? made : *value;
    *done_out = made.p != NULL;
    return made.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* An author of whom no more than a name is there, or nothing at all, is the sender. */
static enum status
mend_no_author(struct repairing *r, const struct mail_field *field, struct str *value,
               bool *done_out)
{
    struct str sender = r->input->sender;
    *done_out = false;
    if (field->id != MAIL_FIELD_FROM || str_contains_char(*value, '@') || sender.n == 0 ||
        !str_is_ascii(sender)) {
        return STATUS_OK;
    }
    char *name = arena_alloc(r->arena, value->n + 1);
    struct str made = str_make(NULL, 0);
    if (name != NULL) {
        size_t n = 0;
        for (size_t i = 0; i < value->n; i++) {
            if (char_is_alnum(value->p[i]) || str_contains_char(STR(" ._-+/=?!&'"), value->p[i])) {
                name[n++] = value->p[i];
            }
        }
        struct str phrase = str_trim(str_make(name, n));
        /* Encoded words count where they are not in quotes. */
        const char *quote = phrase.n == 0 || str_find(phrase, STR("=?")) != STR_NPOS ? "" : "\"";
        made = arena_printf(r->arena, "%s%.*s%s%s<%.*s>", quote, STR_ARG(phrase), quote,
                            phrase.n > 0 ? " " : "", STR_ARG(sender));
    }
    *value = made.p != NULL ? made : *value;
    *done_out = made.p != NULL;
    return made.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

static const struct value_row value_rows[] = {
    {MAIL_REPAIR_BLANK_IN_NAME, "mended: RFC 5322 4.5", true, mend_blank_in_name},
    {MAIL_REPAIR_BLANK_FOLD, "mended: RFC 5322 4.2", true, mend_blank_folds},
    {MAIL_REPAIR_CONTROL, "mended: control characters", false, mend_controls},
    {MAIL_REPAIR_8BIT, "mended: RFC 2047", false, mend_8bit},
    {MAIL_REPAIR_DOMAIN, "mended: no domain", false, mend_domain},
    {MAIL_REPAIR_FROM, "mended: no author", false, mend_no_author}, /* what has none by now */
};

/* The value as the edit takes it, which writes a blank before it. */
static struct str
without_first_blank(struct str value)
{
    while (value.n > 0 && char_is_blank(value.p[0])) {
        value = str_skip(value, 1);
    }
    return value;
}

/* What the rows find in one field, of both kinds; what cannot be one field afterwards stays. */
static enum status
mend_field(struct repairing *r, const struct mail_field *field, bool obsolete, bool others)
{
    struct str value = field->value;
    const char *why = NULL;
    for (size_t i = 0; i < COUNT_OF(value_rows); i++) {
        const struct value_row *row = &value_rows[i];
        bool done = false;
        if (row->is_obsolete ? !obsolete : !others) {
            continue;
        }
        enum status status = row->mend(r, field, &value, &done);
        if (status != STATUS_OK) {
            return status;
        }
        if (done) {
            note(&r->notes, row->repair, r->shift + field->offset);
            why = why == NULL ? row->why : "mended";
        }
    }
    if (why == NULL) {
        return STATUS_OK;
    }
    enum status status = mail_edits_replace(r->edits, field, without_first_blank(value), why);
    return status == STATUS_SYNTAX ? STATUS_OK : status;
}

/* What stands at or above From decides for some readers whether there is one. */
static bool
concerns_author(const struct mail_head *head, const struct mail_field *field)
{
    const struct mail_field *from = head->first[MAIL_FIELD_FROM];
    return from == NULL || field <= from || field->id == MAIL_FIELD_FROM;
}

/* ---- fields that occur too often */

/* Two authors are not one: the first stays only if they say the same. */
static bool
may_go(const struct mail_head *head, const struct mail_field *field)
{
    const struct mail_field *first = head->first[field->id];
    bool names_author = field->id == MAIL_FIELD_FROM || field->id == MAIL_FIELD_SENDER;
    return mail_field_most(field->id) == 1 && field != first &&
           (!names_author || str_eq(str_trim(field->value), str_trim(first->value)));
}

static enum status
mend_fields(struct repairing *r)
{
    const struct mail_head *head = r->edits->head;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        const struct mail_field *field = &head->fields[i];
        if (field->id == MAIL_FIELD_BAD) {
            continue;
        }
        if (may_go(head, field)) {
            note(&r->notes, MAIL_REPAIR_REPEATED, r->shift + field->offset);
            status = mail_edits_remove(r->edits, field, "mended: repeated");
        } else {
            status = mend_field(r, field, !r->is_signed || concerns_author(head, field), true);
        }
    }
    return status;
}

/* RFC 6409 8.5 lets a submission be completed; a message without an author is of its sender. */
static enum status
add_from(struct repairing *r)
{
    struct str sender = r->input->sender;
    if (r->edits->head->counts[MAIL_FIELD_FROM] > 0 || sender.n == 0 || !str_is_ascii(sender)) {
        return STATUS_OK;
    }
    struct str value = arena_printf(r->arena, "<%.*s>", STR_ARG(sender));
    if (value.p == NULL) {
        return STATUS_LIMIT;
    }
    note(&r->notes, MAIL_REPAIR_FROM, 0);
    return mail_edits_prepend(r->edits, mail_field_name(MAIL_FIELD_FROM), value, "mended: no From");
}

/* ---- the section as a whole */

/*
 * "Reply To: x" as "Reply-To: x": words of letters and digits that make a field we know. The name
 * in the arena; empty when it is none.
 */
static struct str
name_with_hyphens(struct arena *arena, struct str raw)
{
    char name[NAME_MAX_OCTETS];
    size_t n = 0;
    size_t colon = str_find_char(raw, ':');
    for (size_t i = 0; colon != STR_NPOS && i < colon; i++) {
        bool blank = char_is_blank(raw.p[i]);
        if (n == sizeof name || (!blank && !char_is_alnum(raw.p[i]) && raw.p[i] != '-')) {
            return str_make(NULL, 0);
        }
        if (!blank || (n > 0 && name[n - 1] != '-')) {
            name[n++] = blank ? '-' : raw.p[i];
        }
    }
    while (n > 0 && name[n - 1] == '-') {
        n--;
    }
    bool known = n > 0 && !char_is_blank(raw.p[0]) &&
                 mail_field_id_find(str_make(name, n)) != MAIL_FIELD_OTHER;
    return known ? arena_str_dup(arena, str_make(name, n)) : str_make(NULL, 0);
}

/* The octets of an mbox "From " line at the beginning; 0: there is none. */
static size_t
mbox_line(struct str content)
{
    size_t i = str_starts_with(content, STR(">")) ? 1 : 0;
    if (!str_starts_with(str_skip(content, i), STR("From "))) {
        return 0;
    }
    size_t end = str_find(content, STR("\r\n"));
    size_t colon = str_find_char(str_skip(content, i), ':');
    bool is_field = colon == STR("From ").n; /* "From : x", which is obsolete */
    return end == STR_NPOS || is_field ? 0 : end + 2;
}

/* Where the header section ends for us: at its end, or before the first line that is no field. */
static size_t
section_end(struct repairing *r, const struct mail_head *head, size_t start)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct mail_field *field = &head->fields[i];
        if (field->id == MAIL_FIELD_BAD && field->offset >= start &&
            name_with_hyphens(r->arena, field->raw).n == 0) {
            note(&r->notes, MAIL_REPAIR_HEADER_END, field->offset);
            return field->offset;
        }
    }
    return head->raw.n;
}

/* The text with names mended; the fields that have one are noted. {NULL,0}: the arena is full. */
static struct str
rename_fields(struct repairing *r, const struct mail_head *head, size_t start, size_t end)
{
    struct str text = str_make(r->input->content.p + start, end - start);
    /* Hyphens take the place of blanks: it gets no longer. */
    char *out = arena_alloc(r->arena, text.n + 1);
    size_t n = 0;
    size_t done = start;
    for (size_t i = 0; out != NULL && i < head->field_count; i++) {
        const struct mail_field *field = &head->fields[i];
        bool is_bad = field->id == MAIL_FIELD_BAD && field->offset >= start && field->offset < end;
        struct str name = is_bad ? name_with_hyphens(r->arena, field->raw) : STR("");
        if (name.n == 0) {
            continue;
        }
        note(&r->notes, MAIL_REPAIR_FIELD_NAME, field->offset);
        memcpy(out + n, r->input->content.p + done, field->offset - done);
        n += field->offset - done;
        memcpy(out + n, name.p, name.n);
        n += name.n;
        done = field->offset + str_find_char(field->raw, ':');
    }
    if (out != NULL && end > done) {
        memcpy(out + n, r->input->content.p + done, end - done);
        n += end - done;
    }
    return str_make(out, n);
}

/* The head as one of fields only. */
static enum status
mend_section(struct repairing *r, struct mail_head *head_out, size_t *body_offset_out)
{
    const struct mail_head *head = r->input->head;
    *head_out = *head;
    *body_offset_out = head->raw.n;
    if (head->anomalies[MAIL_ANOMALY_BAD_LINE].count == 0) {
        return STATUS_OK;
    }
    size_t start = mbox_line(r->input->content);
    if (start > 0) {
        note(&r->notes, MAIL_REPAIR_MBOX_LINE, 0);
    }
    size_t end = section_end(r, head, start);
    struct str text = rename_fields(r, head, start, end);
    r->shift = start;
    *body_offset_out = end;
    return text.p != NULL ? mail_head_parse(r->arena, text, r->input->limits, head_out)
                          : STATUS_LIMIT;
}

enum status
mail_repair_own(struct arena *arena, const struct mail_repair_input *input,
                struct mail_repaired *repaired_out)
{
    struct mail_repaired repaired = {0};
    struct mail_head *head = arena_alloc(arena, sizeof *head); /* edits keep to it */
    struct repairing r = {.arena = arena, .input = input, .edits = &repaired.edits};
    if (head == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = mend_section(&r, head, &repaired.body_offset);
    if (status != STATUS_OK) {
        return status;
    }
    mail_edits_init(&repaired.edits, arena, head);
    r.is_signed = head->counts[MAIL_FIELD_DKIM_SIGNATURE] > 0;
    status = mend_fields(&r);
    status = status == STATUS_OK ? add_from(&r) : status;
    if (status != STATUS_OK) {
        return status;
    }
    repaired.head = *head;
    repaired.notes = r.notes;
    if (r.notes.count > 0) {
        struct str text = mail_edits_apply(&repaired.edits);
        /* What came was within them; what it has become is bounded by it. */
        struct mail_head_limits limits = {SIZE_MAX, SIZE_MAX};
        status =
            text.p != NULL ? mail_head_parse(arena, text, &limits, &repaired.head) : STATUS_LIMIT;
    }
    if (status == STATUS_OK) {
        *repaired_out = repaired;
    }
    return status;
}

enum status
mail_repair_obsolete(struct mail_edits *edits, bool only_needed)
{
    const struct mail_head *head = edits->head;
    struct repairing r = {.arena = edits->arena, .edits = edits};
    enum status status = STATUS_OK;
    if (head->anomalies[MAIL_ANOMALY_BLANK_FOLD].count == 0 &&
        head->anomalies[MAIL_ANOMALY_BLANK_IN_NAME].count == 0) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        const struct mail_field *field = &head->fields[i];
        if (field->id != MAIL_FIELD_BAD && (!only_needed || concerns_author(head, field))) {
            status = mend_field(&r, field, true, false);
        }
    }
    return status;
}

const char *
mail_repair_name(enum mail_repair repair)
{
    static const char *const names[MAIL_REPAIR_COUNT_] = {
        [MAIL_REPAIR_MBOX_LINE] = "mbox_line",
        [MAIL_REPAIR_HEADER_END] = "header_end",
        [MAIL_REPAIR_FIELD_NAME] = "field_name",
        [MAIL_REPAIR_BLANK_IN_NAME] = "blank_in_name",
        [MAIL_REPAIR_BLANK_FOLD] = "blank_fold",
        [MAIL_REPAIR_CONTROL] = "control",
        [MAIL_REPAIR_8BIT] = "8bit",
        [MAIL_REPAIR_REPEATED] = "repeated",
        [MAIL_REPAIR_DOMAIN] = "domain",
        [MAIL_REPAIR_FROM] = "from",
    };
    return (unsigned)repair < MAIL_REPAIR_COUNT_ ? names[repair] : "unknown";
}
