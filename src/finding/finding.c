#include "finding/finding.h"

#include "base/show.h"

static const struct finding_row rows[] = {
#define FINDING(number, NAME, name, check, verdict, weight, meaning, standard)                     \
    {FINDING_##NAME, #name, #check, FINDING_##verdict, weight, meaning, standard},
#include "finding/findings.def"
#undef FINDING
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

const struct finding_row *
finding_row(unsigned number)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((unsigned)rows[i].id == number) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct finding_row *
finding_row_by_name(struct str name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (str_eq(str_from_cstr(rows[i].name), name)) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct finding_row *
finding_rows(size_t *count_out)
{
    *count_out = ROW_COUNT;
    return rows;
}

const char *
finding_verdict_name(enum finding_verdict verdict)
{
    switch (verdict) {
    case FINDING_PASS:
        return "pass";
    case FINDING_FAIL:
        return "fail";
    case FINDING_NOTE:
        return "note";
    case FINDING_ERROR:
        return "error";
    }
    return "unknown";
}

void
finding_list_init(struct finding_list *list, struct arena *arena)
{
    list->arena = arena; /* the places are filled when they are used */
    list->count = 0;
}

/* A copy that is one line of UTF-8; empty when the arena is full. */
static struct str
value_copy(struct arena *arena, struct str value)
{
    static const char hex[] = "0123456789abcdef";
    char out[FINDING_VALUE_MAX];
    size_t used = 0;
    while (value.n > 0) {
        size_t n = str_printable_length(str_head(value, sizeof out - used));
        n = n > 0 ? n : show_length(value);
        size_t need = n > 0 ? n : 4;
        if (used + need > sizeof out) {
            break;
        }
        if (n > 0) {
            memcpy(out + used, value.p, n);
        } else {
            unsigned char c = (unsigned char)value.p[0];
            out[used] = '\\';
            out[used + 1] = 'x';
            out[used + 2] = hex[c >> 4];
            out[used + 3] = hex[c & 15];
        }
        used += need;
        value = str_skip(value, n > 0 ? n : 1);
    }
    return arena_str_dup(arena, str_make(out, used));
}

void
finding_list_add(struct finding_list *list, enum finding_id id,
                 const struct finding_evidence *evidence)
{
    if (list->count == FINDINGS_MAX) {
        return;
    }
    if (list->count == FINDINGS_MAX - 1) {
        list->items[list->count++] = (struct finding){.id = FINDING_FINDINGS_LIMIT};
        return;
    }
    struct finding *finding = &list->items[list->count++];
    *finding = (struct finding){.id = id};
    while (evidence->key != NULL && finding->evidence_count < FINDING_EVIDENCE_MAX) {
        struct finding_evidence *copy = &finding->evidence[finding->evidence_count++];
        copy->key = evidence->key;
        copy->value = value_copy(list->arena, evidence->value);
        evidence++;
    }
}

struct str
finding_number(struct finding_list *list, uint64_t number)
{
    return arena_printf(list->arena, "%llu", (unsigned long long)number);
}

const struct finding *
finding_list_find(const struct finding_list *list, enum finding_id id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].id == id) {
            return &list->items[i];
        }
    }
    return NULL;
}

struct str
finding_evidence_get(const struct finding *finding, const char *key)
{
    for (size_t i = 0; i < finding->evidence_count; i++) {
        if (strcmp(finding->evidence[i].key, key) == 0) {
            return finding->evidence[i].value;
        }
    }
    return str_make(NULL, 0);
}
