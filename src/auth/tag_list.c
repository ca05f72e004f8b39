#include "auth/tag_list.h"

#include "base/encode.h"
#include "base/octets.h"

/* FWS = [*WSP CRLF] 1*WSP, any number of them. False when a CR or LF is no folding. */
static bool
skip_fws(struct str *rest)
{
    size_t i = 0;
    while (i < rest->n) {
        char c = rest->p[i];
        if (char_is_blank(c)) {
            i++;
        } else if (c == '\r') {
            if (i + 2 >= rest->n || rest->p[i + 1] != '\n' || !char_is_blank(rest->p[i + 2])) {
                return false;
            }
            i += 3;
        } else {
            break;
        }
    }
    *rest = str_skip(*rest, i);
    return true;
}

/* tag-name = ALPHA *ALNUMPUNC; empty when there is none. */
static struct str
take_name(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && (char_is_alnum(rest->p[n]) || rest->p[n] == '_')) {
        n++;
    }
    struct str name = str_head(*rest, n);
    if (n == 0 || !char_is_alpha(name.p[0])) {
        return str_make(rest->p, 0);
    }
    *rest = str_skip(*rest, n);
    return name;
}

/* VALCHAR = %x21-3A / %x3C-7E; above 127 only where the caller has looked. */
static bool
is_value_char(char c)
{
    return (c > ' ' && c != ';' && c != 0x7f) || (unsigned char)c >= 0x80;
}

/* Marks those of p[0..16) that are none. */
static octets16
block_ends(const char *p)
{
    octets16 here = octets16_load(p);
    octets16 control = (octets16)(here <= (unsigned char)' ');
    return control | octets16_is(here, ';') | octets16_is(here, 0x7f);
}

/* How many of them are at the beginning of s; most are in long runs of base 64. */
static size_t
value_run(struct str s)
{
    size_t n = 0;
    while (n + 2 * OCTETS16 <= s.n &&
           !octets16_any(block_ends(s.p + n) | block_ends(s.p + n + OCTETS16))) {
        n += 2 * OCTETS16;
    }
    while (n < s.n && is_value_char(s.p[n])) {
        n++;
    }
    return n;
}

/* tag-value with what surrounds it, up to ";" or the end. */
static bool
take_value(struct str *rest, struct tag *tag)
{
    struct str start = *rest;
    if (!skip_fws(rest)) {
        return false;
    }
    tag->value = str_head(*rest, 0);
    while (rest->n > 0 && rest->p[0] != ';') {
        size_t n = value_run(*rest);
        if (n == 0) {
            return false;
        }
        *rest = str_skip(*rest, n);
        tag->value.n = (size_t)(rest->p - tag->value.p);
        if (!skip_fws(rest)) {
            return false;
        }
    }
    tag->raw = str_head(start, start.n - rest->n);
    return true;
}

/* tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]; blanks before it are skipped. */
static bool
take_tag(struct str *rest, struct tag *tag)
{
    tag->name = take_name(rest);
    if (tag->name.n == 0 || !skip_fws(rest) || rest->n == 0 || rest->p[0] != '=') {
        return false;
    }
    *rest = str_skip(*rest, 1);
    return take_value(rest, tag);
}

/* True when a tag of that name was there; most are one letter, which is kept in a set. */
static bool
is_known(uint64_t *letters, const struct tag_list *list, struct str name)
{
    if (name.n > 1) {
        return tag_list_find(list, name) != NULL;
    }
    uint64_t bit = (uint64_t)1 << ((unsigned char)name.p[0] & 63);
    bool known = (*letters & bit) != 0;
    *letters |= bit;
    return known;
}

enum tag_list_result
tag_list_parse(struct str text, unsigned flags, struct tag_list *list_out)
{
    struct str rest = text;
    uint64_t letters = 0;
    list_out->count = 0;
    if (text.n > TAG_LIST_SIZE_MAX) {
        return TAG_LIST_LIMIT;
    }
    if (!str_is_ascii(text) && ((flags & TAG_LIST_UTF8) == 0 || !str_is_utf8(text))) {
        return TAG_LIST_SYNTAX;
    }
    do {
        struct tag tag;
        if (!skip_fws(&rest)) {
            return TAG_LIST_SYNTAX;
        }
        if (rest.n == 0 && list_out->count > 0) {
            break; /* the grammar ends with ";", but many write a blank behind it */
        }
        if (!take_tag(&rest, &tag)) {
            return TAG_LIST_SYNTAX;
        }
        if (is_known(&letters, list_out, tag.name)) {
            return TAG_LIST_DUPLICATE;
        }
        if (list_out->count == TAG_LIST_TAGS_MAX) {
            return TAG_LIST_LIMIT;
        }
        list_out->tags[list_out->count++] = tag;
    } while (rest.n > 0 && (rest = str_skip(rest, 1), true));
    return TAG_LIST_OK;
}

/* Names are a letter or two: to call a function for each of them would take longer. */
static bool
name_eq(struct str a, struct str b)
{
    size_t i = 0;
    while (a.n == b.n && i < a.n && a.p[i] == b.p[i]) {
        i++;
    }
    return a.n == b.n && i == a.n;
}

const struct tag *
tag_list_find(const struct tag_list *list, struct str name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (name_eq(list->tags[i].name, name)) {
            return &list->tags[i];
        }
    }
    return NULL;
}

/* ---- forms of values */

static bool
is_fws_char(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

static struct str
trim_fws(struct str s)
{
    while (s.n > 0 && is_fws_char(s.p[0])) {
        s = str_skip(s, 1);
    }
    while (s.n > 0 && is_fws_char(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool
tag_value_next(struct str *rest, struct str *item_out)
{
    struct str item;
    struct str after;
    if (rest->p == NULL) {
        return false;
    }
    if (str_cut(*rest, ':', &item, &after)) {
        *item_out = trim_fws(item);
        *rest = after;
    } else {
        *item_out = trim_fws(*rest);
        *rest = str_make(NULL, 0);
    }
    return true;
}

bool
tag_value_has(struct str value, struct str item)
{
    struct str rest = value;
    struct str candidate;
    while (tag_value_next(&rest, &candidate)) {
        if (str_eq_nocase(candidate, item)) {
            return true;
        }
    }
    return false;
}

/* Without folding and blanks; three octets of room stay behind it. NULL: the arena is full. */
static char *
squeeze(struct arena *arena, struct str value, size_t *n_out)
{
    char *text = arena_alloc(arena, value.n + 4);
    size_t n = 0;
    while (text != NULL && value.n > 0) {
        size_t run = value_run(value);
        memcpy(text + n, value.p, run);
        n += run;
        value = str_skip(value, run);
        if (value.n > 0 && !is_fws_char(value.p[0])) {
            text[n++] = value.p[0];
        }
        value = str_skip(value, 1);
    }
    *n_out = n;
    return text;
}

struct str
tag_value_squeeze(struct arena *arena, struct str value)
{
    size_t n;
    char *text = squeeze(arena, value, &n);
    return text != NULL ? str_make(text, n) : str_make(NULL, 0);
}

enum status
tag_value_base64(struct arena *arena, struct str value, struct str *octets_out)
{
    size_t n;
    char *text = squeeze(arena, value, &n);
    if (text == NULL) {
        return STATUS_LIMIT;
    }
    while (n % 4 > 1) { /* one character alone stands for nothing */
        text[n++] = '=';
    }
    return base64_decode(arena, str_make(text, n), octets_out);
}
