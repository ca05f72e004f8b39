#include "dns/name.h"

#include "base/buf.h"

/* Octets of a name without escapes: the wire form has one more at either end. */
#define DNS_NAME_PLAIN_MAX (DNS_NAME_WIRE_MAX - 2)

/* ---- presentation form to wire form */

/* Reads one octet of a label, escaped or not, at *at. */
static enum status
read_octet(struct str name, size_t *at, uint8_t *octet_out)
{
    char c = name.p[*at];
    if (c != '\\') {
        if (c <= ' ' || c > '~') {
            return STATUS_SYNTAX;
        }
        *octet_out = (uint8_t)c;
        *at += 1;
        return STATUS_OK;
    }
    struct str digits = str_head(str_skip(name, *at + 1), 3);
    uint64_t value;
    if (str_parse_u64(digits, 255, &value) == STATUS_OK && digits.n == 3) {
        *octet_out = (uint8_t)value;
        *at += 4;
        return STATUS_OK;
    }
    if (digits.n == 0 || char_is_digit(digits.p[0]) || digits.p[0] <= ' ' || digits.p[0] > '~') {
        return STATUS_SYNTAX;
    }
    *octet_out = (uint8_t)digits.p[0];
    *at += 2;
    return STATUS_OK;
}

/* Reads a label up to its dot or the end of the name. */
static enum status
read_label(struct str name, size_t *at, struct dns_wire_name *wire)
{
    size_t length_at = wire->n++;
    while (*at < name.n && name.p[*at] != '.') {
        uint8_t octet;
        enum status status = read_octet(name, at, &octet);
        if (status != STATUS_OK) {
            return status;
        }
        /* One octet stays free for the root. */
        if (wire->n - length_at > DNS_LABEL_MAX || wire->n >= DNS_NAME_WIRE_MAX - 1) {
            return STATUS_LIMIT;
        }
        wire->octets[wire->n++] = octet;
    }
    size_t length = wire->n - length_at - 1;
    wire->octets[length_at] = (uint8_t)length;
    return length > 0 ? STATUS_OK : STATUS_SYNTAX;
}

enum status
dns_name_to_wire(struct str name, struct dns_wire_name *wire_out)
{
    struct dns_wire_name wire = {.n = 0};
    size_t at = 0;
    if (str_eq(name, STR("."))) {
        name = STR("");
    }
    while (at < name.n) {
        if (wire.n >= DNS_NAME_WIRE_MAX - 1) {
            return STATUS_LIMIT;
        }
        enum status status = read_label(name, &at, &wire);
        if (status != STATUS_OK) {
            return status;
        }
        at++; /* the dot; a final one ends the loop */
    }
    wire.octets[wire.n++] = 0;
    *wire_out = wire;
    return STATUS_OK;
}

/* ---- wire form to presentation form */

/* Writes one octet of a label as text and returns how many characters that took. */
static size_t
write_octet(char *to, uint8_t octet)
{
    if (octet == '.' || octet == '\\') {
        to[0] = '\\';
        to[1] = (char)octet;
        return 2;
    }
    if (octet > ' ' && octet <= '~') {
        to[0] = (char)octet;
        return 1;
    }
    to[0] = '\\';
    to[1] = (char)('0' + octet / 100);
    to[2] = (char)('0' + octet / 10 % 10);
    to[3] = (char)('0' + octet % 10);
    return 4;
}

enum status
dns_name_from_wire(struct arena *arena, struct str wire, struct str *name_out, struct str *rest_out)
{
    char text[DNS_NAME_TEXT_MAX + 4];
    size_t n = 0;
    size_t at = 0;
    for (;;) {
        if (at >= wire.n) {
            return STATUS_SYNTAX;
        }
        size_t length = (uint8_t)wire.p[at++];
        if (length == 0) {
            break;
        }
        if (length > DNS_LABEL_MAX || length > wire.n - at) {
            return STATUS_SYNTAX;
        }
        /* The label and the root that must still follow. */
        if (at + length + 1 > DNS_NAME_WIRE_MAX) {
            return STATUS_LIMIT;
        }
        if (n > 0) {
            text[n++] = '.';
        }
        for (size_t i = 0; i < length; i++) {
            n += write_octet(text + n, (uint8_t)wire.p[at + i]);
        }
        at += length;
    }
    struct str name = arena_str_dup(arena, str_make(text, n));
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    *name_out = name;
    *rest_out = str_skip(wire, at);
    return STATUS_OK;
}

/* ---- the normal form, comparison */

static enum status
normalize_by_wire(struct arena *arena, struct str name, struct str *name_out)
{
    struct dns_wire_name wire;
    struct str rest;
    enum status status = dns_name_to_wire(name, &wire);
    if (status != STATUS_OK) {
        return status;
    }
    /* A label's length is at most 63 and so never a letter. */
    for (size_t i = 0; i < wire.n; i++) {
        wire.octets[i] = (uint8_t)char_lower((char)wire.octets[i]);
    }
    return dns_name_from_wire(arena, str_make((const char *)wire.octets, wire.n), name_out, &rest);
}

/*
 * Nearly all names are made of letters, digits, hyphens and underscores: their normal form is found
 * without the wire form. False: this is none of them, or it is too long, or malformed.
 */
static bool
normalize_plain(struct str name, char text[static DNS_NAME_PLAIN_MAX], size_t *n_out)
{
    size_t label = 0;
    if (name.n == 0 || name.n > DNS_NAME_PLAIN_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool dot = c == '.';
        if (dot ? label == 0 : !(char_is_alnum(c) || c == '-' || c == '_')) {
            return false;
        }
        label = dot ? 0 : label + 1;
        if (label > DNS_LABEL_MAX) {
            return false;
        }
        text[i] = char_lower(c);
    }
    *n_out = label == 0 ? name.n - 1 : name.n; /* without the final dot */
    return true;
}

enum status
dns_name_normalize(struct arena *arena, struct str name, struct str *name_out)
{
    char text[DNS_NAME_PLAIN_MAX];
    size_t n;
    if (normalize_plain(name, text, &n)) {
        struct str plain = arena_str_dup(arena, str_make(text, n));
        if (plain.p == NULL) {
            return STATUS_LIMIT;
        }
        *name_out = plain;
        return STATUS_OK;
    }
    return normalize_by_wire(arena, name, name_out);
}

/* The dot that ends a fully qualified name: one that no backslash makes part of the last label. */
static bool
has_final_dot(struct str name)
{
    size_t escapes = 0;
    if (!str_ends_with(name, STR("."))) {
        return false;
    }
    while (escapes + 1 < name.n && name.p[name.n - 2 - escapes] == '\\') {
        escapes++;
    }
    return escapes % 2 == 0; /* each pair is a backslash that stands for itself */
}

static struct str
without_final_dot(struct str name)
{
    return has_final_dot(name) ? str_head(name, name.n - 1) : name;
}

bool
dns_name_is_question(struct str name)
{
    struct dns_wire_name wire;
    return !has_final_dot(name) && dns_name_to_wire(name, &wire) == STATUS_OK;
}

bool
dns_name_eq(struct str a, struct str b)
{
    return str_eq_nocase(without_final_dot(a), without_final_dot(b));
}

bool
dns_name_is_within(struct str name, struct str ancestor)
{
    name = without_final_dot(name);
    ancestor = without_final_dot(ancestor);
    if (ancestor.n == 0 || str_eq_nocase(name, ancestor)) {
        return true;
    }
    if (!str_ends_with_nocase(name, ancestor)) {
        return false;
    }
    struct str above = str_head(name, name.n - ancestor.n);
    return above.n >= 2 && without_final_dot(above).n == above.n - 1;
}

static bool
is_host_label(struct str label)
{
    if (label.n == 0 || label.n > DNS_LABEL_MAX || label.p[0] == '-' ||
        label.p[label.n - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.n; i++) {
        if (!char_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_') {
            return false;
        }
    }
    return true;
}

bool
dns_name_is_host(struct str name)
{
    struct str rest = without_final_dot(name);
    struct str label;
    /* Each label takes its length, and the root one more. */
    if (rest.n == 0 || rest.n + 2 > DNS_NAME_WIRE_MAX) {
        return false;
    }
    bool more = true;
    while (more) {
        more = str_cut(rest, '.', &label, &rest);
        if (!is_host_label(label)) {
            return false;
        }
    }
    return true;
}

/* ---- reverse names */

struct str
dns_name_reverse(struct arena *arena, const struct ip_address *ip)
{
    const uint8_t *o = ip->octets;
    if (ip_is_v4(ip)) {
        return arena_printf(arena, "%u.%u.%u.%u.in-addr.arpa", o[15], o[14], o[13], o[12]);
    }
    static const char digits[] = "0123456789abcdef";
    char nibbles[64];
    for (size_t i = 0; i < 16; i++) {
        nibbles[4 * i] = digits[o[15 - i] & 15];
        nibbles[4 * i + 1] = '.';
        nibbles[4 * i + 2] = digits[o[15 - i] >> 4];
        nibbles[4 * i + 3] = '.';
    }
    return arena_printf(arena, "%.*sip6.arpa", (int)sizeof nibbles, nibbles);
}
