/* Domain names and address literals: the part of an address behind the "@". See address.h. */
#include <idn2.h>

#include "smtp/address.h"

#define LITERAL_V6_TAG       STR("IPv6:")
/* RFC 5321 4.1.3: "::" stands for two groups at least, so that at most six others are written. */
#define V6_GROUPS_BESIDE_GAP 6u
/* Longest input that can become a domain of 255 octets; a U-label takes at most 4 octets a letter.
 */
#define DOMAIN_INPUT_MAX     (4u * SMTP_DOMAIN_MAX)

/* RFC 5321 4.1.2: sub-domain = Let-dig [Ldh-str]. An underscore, if allowed, is as good as a
 * letter. */
static enum status
label_check(struct str label, bool underscore)
{
    if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-') {
        return STATUS_SYNTAX;
    }
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        if (!char_is_alnum(c) && c != '-' && !(underscore && c == '_')) {
            return STATUS_SYNTAX;
        }
    }
    return label.n <= SMTP_LABEL_MAX ? STATUS_OK : STATUS_LIMIT;
}

static enum status
domain_check(struct str domain, bool underscore)
{
    if (domain.n > SMTP_DOMAIN_MAX) {
        return STATUS_LIMIT;
    }
    struct str label;
    struct str rest = domain;
    bool more = true;
    while (more) {
        more = str_cut(rest, '.', &label, &rest);
        enum status status = label_check(label, underscore);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/*
 * IDNA 2008 with the mapping of UTS 46, non-transitional: "ß" stays "ß". Not with
 * IDN2_USE_STD3_ASCII_RULES, which drops an underscore where domain_check refuses it.
 */
static enum status
domain_to_ascii(struct arena *arena, struct str s, struct str *ascii_out)
{
    char *input = arena_cstr(arena, s);
    if (input == NULL) {
        return STATUS_LIMIT;
    }
    char *output = NULL;
    int rc = idn2_to_ascii_8z(input, &output, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc != IDN2_OK) {
        return rc == IDN2_TOO_BIG_DOMAIN || rc == IDN2_TOO_BIG_LABEL ? STATUS_LIMIT : STATUS_SYNTAX;
    }
    *ascii_out = arena_str_dup(arena, str_from_cstr(output));
    idn2_free(output);
    return ascii_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
}

enum status
smtp_domain_parse(struct arena *arena, struct str s, unsigned flags, struct str *domain_out)
{
    if (s.n > DOMAIN_INPUT_MAX) {
        return STATUS_LIMIT;
    }
    struct str ascii = s;
    if (!str_is_ascii(s)) {
        if ((flags & SMTP_ADDRESS_UTF8) == 0) {
            return STATUS_DENIED;
        }
        if (!str_is_utf8(s) || memchr(s.p, '\0', s.n) != NULL) {
            return STATUS_SYNTAX;
        }
        enum status status = domain_to_ascii(arena, s, &ascii);
        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = domain_check(ascii, (flags & SMTP_ADDRESS_UNDERSCORE) != 0);
    if (status != STATUS_OK) {
        return status;
    }
    char *lower = arena_cstr(arena, ascii);
    if (lower == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < ascii.n; i++) {
        lower[i] = char_lower(lower[i]);
    }
    *domain_out = str_make(lower, ascii.n);
    return STATUS_OK;
}

/* The groups that are written in an IPv6 text, the dotted quad counted as two. */
static unsigned
v6_groups_written(struct str s)
{
    unsigned groups = 0;
    bool in_group = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ':') {
            in_group = false;
        } else if (!in_group) {
            in_group = true;
            groups++;
        }
    }
    return groups + (str_contains_char(s, '.') ? 1 : 0);
}

enum status
smtp_literal_parse(struct str s, struct ip_address *ip_out)
{
    if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']') {
        return STATUS_SYNTAX;
    }
    struct str text = str_make(s.p + 1, s.n - 2);
    bool tagged = str_starts_with_nocase(text, LITERAL_V6_TAG);
    if (tagged) {
        text = str_skip(text, LITERAL_V6_TAG.n);
    }
    struct ip_address ip;
    if (str_contains_char(text, ':') != tagged || ip_parse(text, &ip) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (tagged && str_find(text, STR("::")) != STR_NPOS &&
        v6_groups_written(text) > V6_GROUPS_BESIDE_GAP) {
        return STATUS_SYNTAX;
    }
    *ip_out = ip;
    return STATUS_OK;
}

struct str
smtp_literal_format(struct arena *arena, const struct ip_address *ip)
{
    char text[IP_TEXT_MAX];
    return arena_printf(arena, "[%s%s]", ip_is_v4(ip) ? "" : "IPv6:", ip_format(ip, text));
}
