/* The sentence of one event, from its template. */
#include "finding/finding.h"
#include "trace/explain.h"
#include "trace/explain_text.h"

/* Whether the section of the standard is shown with an event. */
enum decides {
    DECIDES_NO,
    DECIDES_YES,
    DECIDES_CODE, /* when its code is 400 or more; a finding: when it speaks against the message */
};

static const struct {
    enum trace_event_id id;
    enum decides decides;
    const char *template;
} rows[] = {
#define EXPLAIN(NAME, decides, template) {TRACE_##NAME, DECIDES_##decides, template},
#include "trace/explain.def"
#undef EXPLAIN
};

static const struct {
    unsigned event; /* 0: all */
    const char *field;
    const char *value;
    const char *words;
} words[] = {
#define WORDS(event, field, value, words) {(event), #field, value, words},
#include "trace/explain_words.def"
#undef WORDS
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- values */

/* The value of a text field in words. A rule that is called like a finding is about it. */
static struct str
in_words(const struct trace_event *event, struct str field, struct str value)
{
    if (str_eq(field, STR("rule"))) {
        const struct finding_row *finding = finding_row_by_name(value);
        return finding != NULL ? str_from_cstr(finding->meaning) : value;
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        if ((words[i].event == 0 || words[i].event == event->number) &&
            str_eq(str_from_cstr(words[i].field), field) &&
            str_eq(str_from_cstr(words[i].value), value)) {
            return str_from_cstr(words[i].words);
        }
    }
    return value;
}

static const struct trace_value *
value_of(const struct trace_event *event, struct str field)
{
    char name[64];
    struct str s = str_head(field, sizeof name - 1);
    memcpy(name, s.p, s.n);
    name[s.n] = '\0';
    return trace_event_value(event, name);
}

static bool
is_present(const struct trace_event *event, struct str field)
{
    const struct trace_value *value = value_of(event, field);
    return value->present &&
           (value->kind != TRACE_KIND_str || in_words(event, field, value->text).n > 0);
}

/* "a, b and c" */
static enum status
append_list(struct buf *out, const struct trace_event *event, struct str field, struct str texts)
{
    enum status status = STATUS_OK;
    struct str item;
    bool first = true;
    while (status == STATUS_OK && trace_texts_next(&texts, &item)) {
        struct str separator = texts.n > 0 ? STR(", ") : STR(" and ");
        status = first ? STATUS_OK : buf_append(out, separator);
        if (status == STATUS_OK) {
            status = text_append_safe(out, in_words(event, field, item));
        }
        first = false;
    }
    return status;
}

static enum status
append_number(struct buf *out, struct str field, int64_t number)
{
    if (str_ends_with(field, STR("_ms"))) {
        return text_append_duration(out, number);
    }
    if (str_eq(field, STR("size")) || str_starts_with(field, STR("octets"))) {
        return text_append_size(out, number);
    }
    return buf_printf(out, "%lld", (long long)number);
}

static enum status
append_value(struct buf *out, const struct trace_event *event, struct str field)
{
    const struct trace_value *value = value_of(event, field);
    char scratch[TRACE_VALUE_SCRATCH];
    switch (value->kind) {
    case TRACE_KIND_str:
        return text_append_safe(out, in_words(event, field, value->text));
    case TRACE_KIND_int:
    case TRACE_KIND_flag:
        return append_number(out, field, value->number);
    case TRACE_KIND_time:
        return text_append_time(out, value->number);
    case TRACE_KIND_texts:
        return append_list(out, event, field, value->texts);
    case TRACE_KIND_ip:
        break;
    }
    return text_append_safe(out, trace_value_text(value, scratch));
}

/* {field} or {field|noun} */
static enum status
append_braces(struct buf *out, const struct trace_event *event, struct str inside)
{
    struct str field;
    struct str noun;
    if (!str_cut(inside, '|', &field, &noun)) {
        return append_value(out, event, field);
    }
    int64_t number = value_of(event, field)->number;
    return buf_printf(out, "%lld %.*s%s", (long long)number, STR_ARG(noun), number == 1 ? "" : "s");
}

/* ---- templates */

/* The field of the first braces in s, and what follows them; false when there are none. */
static bool
next_braces(struct str s, struct str *before_out, struct str *inside_out, struct str *rest_out)
{
    size_t open = str_find_char(s, '{');
    if (open == STR_NPOS) {
        return false;
    }
    *before_out = str_head(s, open);
    return str_cut(str_skip(s, open + 1), '}', inside_out, rest_out);
}

static bool
has_all_fields(const struct trace_event *event, struct str group)
{
    struct str before;
    struct str inside;
    while (next_braces(group, &before, &inside, &group)) {
        struct str field;
        struct str noun;
        if (!is_present(event, str_cut(inside, '|', &field, &noun) ? field : inside)) {
            return false;
        }
    }
    return true;
}

/* Text with braces but without groups. */
static enum status
append_plain(struct buf *out, const struct trace_event *event, struct str text)
{
    struct str before;
    struct str inside;
    struct str rest;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && next_braces(text, &before, &inside, &rest)) {
        status = buf_append(out, before);
        if (status == STATUS_OK) {
            status = append_braces(out, event, inside);
        }
        text = rest;
    }
    return status == STATUS_OK ? buf_append(out, text) : status;
}

/* What is between brackets: "...", "?flag:..." or "!flag:...". */
static enum status
append_group(struct buf *out, const struct trace_event *event, struct str group)
{
    bool wanted = true;
    struct str flag;
    struct str text;
    if (group.n > 0 && (group.p[0] == '?' || group.p[0] == '!') &&
        str_cut(str_skip(group, 1), ':', &flag, &text)) {
        wanted = is_present(event, flag) == (group.p[0] == '?');
        group = text;
    }
    if (!wanted || !has_all_fields(event, group)) {
        return STATUS_OK;
    }
    return append_plain(out, event, group);
}

static enum status
append_template(struct buf *out, const struct trace_event *event, struct str template)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && template.n > 0) {
        size_t open = str_find_char(template, '[');
        struct str group;
        struct str rest;
        status = append_plain(out, event, open == STR_NPOS ? template : str_head(template, open));
        if (open == STR_NPOS || !str_cut(str_skip(template, open + 1), ']', &group, &rest)) {
            break;
        }
        if (status == STATUS_OK) {
            status = append_group(out, event, group);
        }
        template = rest;
    }
    return status;
}

/* ---- findings: their words are in findings.def */

static enum status
append_evidence(struct buf *out, struct str evidence)
{
    enum status status = STATUS_OK;
    struct str key;
    struct str value;
    bool first = true;
    while (status == STATUS_OK && trace_texts_next(&evidence, &key) &&
           trace_texts_next(&evidence, &value)) {
        status = buf_append(out, first ? STR(" (") : STR("; "));
        if (status == STATUS_OK) {
            status = text_append_safe(out, key);
        }
        if (status == STATUS_OK) {
            status = buf_append(out, STR(": "));
        }
        if (status == STATUS_OK) {
            status = text_append_safe(out, value);
        }
        first = false;
    }
    return status == STATUS_OK && !first ? buf_append_char(out, ')') : status;
}

static enum status
append_finding(struct buf *out, const struct trace_event *event)
{
    static const char *const begins[] = {
        "Checked and found well: ", "Found: ", "Noticed: ", "A check could not be made: "};
    const struct finding_row *row =
        finding_row((unsigned)(trace_event_number(event, "number") & UINT16_MAX));
    size_t verdict = (size_t)trace_event_number(event, "verdict");
    int64_t weight = trace_event_number(event, "weight");
    struct str name = trace_event_text(event, "name");
    enum status status =
        buf_append(out, str_from_cstr(verdict < COUNT(begins) ? begins[verdict] : "Found: "));
    if (status == STATUS_OK) {
        status = row != NULL ? buf_append(out, str_from_cstr(row->meaning))
                             : text_append_safe(out, name);
    }
    if (status == STATUS_OK) {
        status = append_evidence(out, trace_event_value(event, "evidence")->texts);
    }
    if (status == STATUS_OK && weight != 0) {
        status = buf_printf(out, "; weight %lld", (long long)weight);
    }
    return status == STATUS_OK ? buf_append_char(out, '.') : status;
}

/* ---- one event */

/* A reply's text may end in a full stop of its own. */
static void
drop_double_stop(struct buf *out, size_t from)
{
    struct str sentence = str_skip(buf_str(out), from);
    if (str_ends_with(sentence, STR("..")) && !str_ends_with(sentence, STR("..."))) {
        out->end--;
    }
}

enum status
explain_event(const struct trace_event *event, struct buf *out)
{
    size_t from = buf_length(out);
    enum status status = STATUS_NOT_FOUND;
    if (event->number == TRACE_FINDING) {
        return append_finding(out, event);
    }
    for (size_t i = 0; i < COUNT(rows) && status == STATUS_NOT_FOUND; i++) {
        if (rows[i].id == (enum trace_event_id)event->number) {
            status = append_template(out, event, str_from_cstr(rows[i].template));
        }
    }
    if (status == STATUS_NOT_FOUND) {
        return buf_printf(out,
                          "Something happened that this version of Postern cannot tell"
                          " (event %u).",
                          event->number);
    }
    drop_double_stop(out, from);
    return status;
}

/* Where it stands that a recipient may be refused for this reason; NULL: as for all of RCPT. */
static const char *
refusal_section(struct str why)
{
    static const struct {
        struct str why;
        const char *section;
    } reasons[] = {
        {STR_INIT("unknown"), "RFC 5321 3.3"},        {STR_INIT("callout"), "RFC 5321 3.3"},
        {STR_INIT("relay_denied"), "RFC 5321 3.6.2"}, {STR_INIT("syntax"), "RFC 5321 4.1.2"},
        {STR_INIT("limit"), "RFC 5321 7.8"},          {STR_INIT("policy"), "RFC 5321 7.9"},
        {STR_INIT("temporary"), "RFC 5321 4.2.1"},    {STR_INIT("srs_forged"), "RFC 5321 7.9"},
        {STR_INIT("srs_expired"), "RFC 5321 7.9"},    {STR_INIT("smtputf8"), "RFC 6531 3.5"},
    };
    for (size_t i = 0; i < COUNT(reasons); i++) {
        if (str_eq(why, reasons[i].why)) {
            return reasons[i].section;
        }
    }
    return NULL;
}

const char *
explain_section(const struct trace_event *event)
{
    if (event->number == TRACE_FINDING) {
        const struct finding_row *row =
            finding_row((unsigned)(trace_event_number(event, "number") & UINT16_MAX));
        bool fails = trace_event_number(event, "verdict") == FINDING_FAIL;
        return fails && row != NULL ? row->standard : "";
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].id == (enum trace_event_id)event->number) {
            bool decides =
                rows[i].decides == DECIDES_YES ||
                (rows[i].decides == DECIDES_CODE && trace_event_number(event, "code") >= 400);
            const char *own = event->number == TRACE_RECIPIENT_REFUSED
                                  ? refusal_section(trace_event_text(event, "why"))
                                  : NULL;
            return !decides ? "" : own != NULL ? own : event->row->rfc;
        }
    }
    return "";
}
