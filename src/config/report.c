#include "config/report.h"

#include <stdlib.h>

/* Longest piece of input that an error shows, in octets. */
#define QUOTE_MAX   60
/* Longest name that is compared for a suggestion. */
#define SUGGEST_MAX 40

void
report_add(struct report *report, struct place place, const char *format, ...)
{
    struct config_errors *errors = report->errors;
    if (errors->count == CONFIG_ERRORS_MAX) {
        errors->more = true;
        return;
    }
    va_list args;
    va_start(args, format);
    errors->items[errors->count++] = (struct config_error){
        .line = place.line,
        .column = place.column,
        .text = arena_vprintf(report->arena, format, args),
    };
    va_end(args);
}

bool
report_is_full(const struct report *report)
{
    return report->errors->more;
}

static int
error_compare(const void *a, const void *b)
{
    const struct config_error *x = a;
    const struct config_error *y = b;
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    if (x->column != y->column) {
        return x->column < y->column ? -1 : 1;
    }
    return str_cmp(x->text, y->text);
}

void
report_sort(struct report *report)
{
    qsort(report->errors->items, report->errors->count, sizeof report->errors->items[0],
          error_compare);
}

struct str
report_quote(struct report *report, struct str input)
{
    static const char digits[] = "0123456789abcdef";
    char text[QUOTE_MAX * 4 + sizeof "\"...\""];
    size_t n = 0;
    text[n++] = '"';
    for (size_t i = 0; i < input.n && i < QUOTE_MAX; i++) {
        unsigned char c = (unsigned char)input.p[i];
        if (c < 0x20 || c >= 0x7f) {
            text[n++] = '\\';
            text[n++] = 'x';
            text[n++] = digits[c >> 4];
            text[n++] = digits[c & 15];
        } else {
            text[n++] = (char)c;
        }
    }
    for (size_t dots = input.n > QUOTE_MAX ? 3 : 0; dots > 0; dots--) {
        text[n++] = '.';
    }
    text[n++] = '"';
    return arena_str_dup(report->arena, str_make(text, n));
}

static unsigned
smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/*
 * How many letters are to be added, left out, exchanged or swapped with their neighbour to get from
 * one to the other (optimal string alignment). Both at most SUGGEST_MAX long.
 */
static unsigned
edit_distance(struct str a, struct str b)
{
    unsigned rows[3][SUGGEST_MAX + 1];
    unsigned *before = rows[0];
    unsigned *last = rows[1];
    unsigned *now = rows[2];
    for (size_t j = 0; j <= b.n; j++) {
        before[j] = 0;
        last[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = char_lower(a.p[i - 1]) == char_lower(b.p[j - 1]);
            now[j] = smaller(smaller(last[j], now[j - 1]) + 1, last[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && char_lower(a.p[i - 1]) == char_lower(b.p[j - 2]) &&
                char_lower(a.p[i - 2]) == char_lower(b.p[j - 1])) {
                now[j] = smaller(now[j], before[j - 2] + 1);
            }
        }
        unsigned *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b.n];
}

const char *
suggest_name(struct str input, const void *names, size_t count,
             const char *(*name_of)(const void *names, size_t i))
{
    if (input.n == 0 || input.n > SUGGEST_MAX) {
        return NULL;
    }
    const char *best = NULL;
    /* A third of the letters may be wrong; more is no slip of the finger. */
    unsigned best_distance = (unsigned)(input.n + 2) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        struct str name = str_from_cstr(name_of(names, i));
        if (name.n > SUGGEST_MAX) {
            continue;
        }
        unsigned distance = edit_distance(input, name);
        if (distance < best_distance && distance < name.n) {
            best = name.p;
            best_distance = distance;
        }
    }
    return best;
}
