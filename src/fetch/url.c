#include "fetch/url.h"

/* RFC 1035 2.3.4. */
#define HOST_MAX  253u
#define LABEL_MAX 63u

static bool
label_is_valid(struct str label)
{
    if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.n; i++) {
        if (!char_is_alnum(label.p[i]) && label.p[i] != '-') {
            return false;
        }
    }
    return true;
}

/*
 * Two labels at least. A last one that begins with a digit is part of an address in one of the
 * forms that inet_aton takes (127.1, 0x7f000001, 2130706433); no top-level domain does.
 */
static bool
host_is_valid(struct str host)
{
    struct str rest = host;
    struct str label = {0};
    bool more = true;
    if (host.n > HOST_MAX || !str_contains_char(host, '.')) {
        return false;
    }
    while (more) {
        more = str_cut(rest, '.', &label, &rest);
        if (!label_is_valid(label)) {
            return false;
        }
    }
    return !char_is_digit(label.p[0]);
}

static bool
is_hex(char c)
{
    return char_is_digit(c) || (char_lower(c) >= 'a' && char_lower(c) <= 'f');
}

/* RFC 3986 3.3 and 3.4: pchar, "/" and "?". */
static bool
target_is_valid(struct str target)
{
    for (size_t i = 0; i < target.n; i++) {
        char const c = target.p[i];
        if (c == '%') {
            if (i + 2 >= target.n || !is_hex(target.p[i + 1]) || !is_hex(target.p[i + 2])) {
                return false;
            }
        } else if (!char_is_alnum(c) && !str_contains_char(STR("-._~!$&'()*+,;=:@/?"), c)) {
            return false;
        }
    }
    return true;
}

/* RFC 3986 5.2.4: segments that another reader would take out. "%2e" is a dot to some. */
static bool
has_dot_segments(struct str target)
{
    struct str path;
    struct str query;
    struct str segment;
    bool more = true;
    str_cut(target, '?', &path, &query);
    while (more) {
        size_t dots = 0;
        more = str_cut(path, '/', &segment, &path);
        while (segment.n > 0 &&
               (segment.p[0] == '.' || str_starts_with_nocase(segment, STR("%2e")))) {
            segment = str_skip(segment, segment.p[0] == '.' ? 1 : 3);
            dots++;
        }
        if (segment.n == 0 && (dots == 1 || dots == 2)) {
            return true;
        }
    }
    return false;
}

static enum status
parse_port(struct str digits, uint16_t *port_out)
{
    uint64_t port;
    if (digits.n == 0 || digits.p[0] == '0' ||
        str_parse_u64(digits, UINT16_MAX, &port) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    *port_out = (uint16_t)port;
    return STATUS_OK;
}

enum status
fetch_url_parse(struct str text, struct fetch_url *url_out)
{
    struct fetch_url url = {.target = STR("/")};
    struct str const scheme = STR("https://");
    struct str port;
    if (text.n > FETCH_URL_MAX) {
        return STATUS_LIMIT;
    }
    if (!str_starts_with_nocase(text, scheme)) {
        return STATUS_SYNTAX;
    }
    struct str authority = str_skip(text, scheme.n);
    size_t const slash = str_find_char(authority, '/');
    if (slash != STR_NPOS) {
        url.target = str_skip(authority, slash);
        authority = str_head(authority, slash);
    }
    if (str_cut(authority, ':', &url.host, &port) && parse_port(port, &url.port) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (!host_is_valid(url.host) || !target_is_valid(url.target) || has_dot_segments(url.target)) {
        return STATUS_SYNTAX;
    }
    *url_out = url;
    return STATUS_OK;
}
