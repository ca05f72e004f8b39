/* The scalar types that name things in mail and networks: domains, addresses, destinations. */
#include <idn2.h>

#include "config/scalar.h"

static const char too_large[] = "the configuration is too large";

/* Letters, digits and inner hyphens (RFC 5321 4.1.2 sub-domain), and underscores: such names have
 * mail. */
static const char *
label_fault(struct str label)
{
    if (label.n == 0) {
        return "there is an empty label (two dots, or a dot at an end)";
    }
    if (label.n > DOMAIN_LABEL_MAX) {
        return "a label is longer than 63 octets";
    }
    if (label.p[0] == '-' || label.p[label.n - 1] == '-') {
        return "a label begins or ends with a hyphen";
    }
    for (size_t i = 0; i < label.n; i++) {
        if (!char_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_') {
            return "only letters, digits, hyphens, underscores and dots are allowed";
        }
    }
    return NULL;
}

/* NULL when `name` (ASCII) is a domain name, else what is wrong with it. */
static const char *
domain_fault(struct str name)
{
    if (name.n == 0) {
        return "it is empty";
    }
    if (name.n > DOMAIN_NAME_MAX) {
        return "longer than 253 octets";
    }
    struct str label;
    struct str rest = name;
    bool more;
    do {
        more = str_cut(rest, '.', &label, &rest);
        const char *fault = label_fault(label);
        if (fault != NULL) {
            return fault;
        }
    } while (more);
    uint64_t number;
    if (str_parse_u64(label, UINT64_MAX, &number) != STATUS_SYNTAX) {
        return "the last label is a number, as in an IP address";
    }
    return NULL;
}

/* U-labels to A-labels; what libidn2 allocates is freed here. */
static enum status
domain_to_ascii(struct arena *arena, struct str name, const char **reason_out, struct str *out)
{
    if (name.n > DOMAIN_NAME_MAX * 4 || !str_is_utf8(name) || str_contains_char(name, '\0')) {
        *reason_out = "it is not text in UTF-8, or too long";
        return STATUS_SYNTAX;
    }
    char text[DOMAIN_NAME_MAX * 4 + 1];
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    uint8_t *ascii = NULL;
    int result =
        idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (result != IDN2_OK) {
        *reason_out = idn2_strerror(result);
        return STATUS_SYNTAX;
    }
    *out = arena_str_dup(arena, str_from_cstr((const char *)ascii));
    idn2_free(ascii);
    return out->p != NULL ? STATUS_OK : STATUS_LIMIT;
}

enum status
domain_name_normalize(struct arena *arena, struct str name, const char **reason_out,
                      struct str *out)
{
    struct str ascii = name;
    if (!str_is_ascii(name)) {
        enum status status = domain_to_ascii(arena, name, reason_out, &ascii);
        if (status != STATUS_OK) {
            return status;
        }
    }
    const char *fault = domain_fault(ascii);
    if (fault != NULL) {
        *reason_out = fault;
        return STATUS_SYNTAX;
    }
    char lower[DOMAIN_NAME_MAX];
    for (size_t i = 0; i < ascii.n; i++) {
        lower[i] = char_lower(ascii.p[i]);
    }
    struct str copy = arena_str_dup(arena, str_make(lower, ascii.n));
    if (copy.p == NULL) {
        *reason_out = too_large;
        return STATUS_LIMIT;
    }
    *out = copy;
    return STATUS_OK;
}

bool
scalar_parse_domain(struct scalar_input *in, void *out)
{
    struct str name;
    if (domain_name_normalize(in->arena, in->text, &in->reason, &name) != STATUS_OK) {
        return false;
    }
    memcpy(out, &name, sizeof name);
    return true;
}

bool
scalar_parse_hostname(struct scalar_input *in, void *out)
{
    struct str name;
    if (!scalar_parse_domain(in, &name)) {
        return false;
    }
    if (!str_contains_char(name, '.')) {
        in->reason = "the domain is missing";
        return false;
    }
    if (str_contains_char(name, '_')) {
        in->reason = "an underscore has no place in the name of a host";
        return false;
    }
    memcpy(out, &name, sizeof name);
    return true;
}

bool
scalar_parse_route_domain(struct scalar_input *in, void *out)
{
    struct scalar_input rest = *in;
    bool below = str_starts_with(in->text, STR("."));
    rest.text = str_skip(in->text, below ? 1 : 0);
    struct str name;
    if (!scalar_parse_domain(&rest, &name)) {
        in->reason = rest.reason;
        return false;
    }
    if (below) {
        name = arena_printf(in->arena, ".%.*s", STR_ARG(name));
        if (name.p == NULL) {
            in->reason = too_large;
            return false;
        }
    }
    memcpy(out, &name, sizeof name);
    return true;
}

/* atext (RFC 5322 3.2.3) and everything beyond ASCII (RFC 6531 3.3). */
static bool
is_atext(char c)
{
    static const struct str special = STR_INIT("!#$%&'*+-/=?^_`{|}~");
    return char_is_alnum(c) || (unsigned char)c >= 0x80 || str_contains_char(special, c);
}

static bool
is_atoms_and_dots(struct str s)
{
    size_t i = 0;
    while (i < s.n && (is_atext(s.p[i]) || s.p[i] == '.')) {
        i++;
    }
    return s.n > 0 && i == s.n;
}

/* What needs no quotes (RFC 5321 4.1.2). */
static bool
is_dot_string(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool inner_dot = s.p[i] == '.' && i > 0 && i + 1 < s.n && s.p[i - 1] != '.';
        if (!is_atext(s.p[i]) && !inner_dot) {
            return false;
        }
    }
    return s.n > 0;
}

/* Takes the quotes off "bob smith"; false when it is no Quoted-string (RFC 5321 4.1.2). */
static bool
unquote(struct str quoted, char out[static LOCAL_PART_MAX], size_t *length_out)
{
    size_t n = 0;
    for (size_t i = 1; i + 1 < quoted.n; i++) {
        if (quoted.p[i] == '\\') {
            i++;
        } else if (quoted.p[i] == '"') {
            return false;
        }
        if (i + 1 >= quoted.n || n == LOCAL_PART_MAX || (unsigned char)quoted.p[i] < 0x20 ||
            quoted.p[i] == 0x7f) {
            return false;
        }
        out[n++] = quoted.p[i];
    }
    *length_out = n;
    return n > 0;
}

static bool
parse_written_local_part(struct scalar_input *in, struct str written, struct str *out)
{
    char plain[LOCAL_PART_MAX];
    size_t length = 0;
    struct str local = written;
    if (written.n >= 2 && written.p[0] == '"' && written.p[written.n - 1] == '"') {
        if (!unquote(written, plain, &length)) {
            in->reason = "the part in quotes is not well formed";
            return false;
        }
        local = str_make(plain, length);
    } else if (!is_atoms_and_dots(written) || !str_is_utf8(written)) {
        in->reason = "the part before the @ is not well formed";
        return false;
    }
    if (local.n > LOCAL_PART_MAX) {
        in->reason = "the part before the @ is longer than 64 octets";
        return false;
    }
    *out = arena_str_dup(in->arena, local);
    if (out->p == NULL) {
        in->reason = too_large;
        return false;
    }
    return true;
}

/* local@domain, the local part in quotes where it needs them; {NULL,0} past the ceiling. */
static struct str
mailbox_text(struct arena *arena, struct str local, struct str domain)
{
    if (is_dot_string(local)) {
        return arena_printf(arena, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain));
    }
    char quoted[LOCAL_PART_MAX * 2];
    size_t n = 0;
    for (size_t i = 0; i < local.n && i < LOCAL_PART_MAX; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\') {
            quoted[n++] = '\\';
        }
        quoted[n++] = local.p[i];
    }
    return arena_printf(arena, "\"%.*s\"@%.*s", (int)n, quoted, STR_ARG(domain));
}

bool
scalar_parse_mailbox(struct scalar_input *in, void *out)
{
    size_t at = str_rfind_char(in->text, '@');
    if (at == STR_NPOS) {
        in->reason = "the @ and the domain are missing";
        return false;
    }
    struct config_mailbox mailbox = {0};
    if (!parse_written_local_part(in, str_head(in->text, at), &mailbox.local)) {
        return false;
    }
    enum status status =
        domain_name_normalize(in->arena, str_skip(in->text, at + 1), &in->reason, &mailbox.domain);
    if (status != STATUS_OK) {
        return false;
    }
    mailbox.text = mailbox_text(in->arena, mailbox.local, mailbox.domain);
    if (mailbox.text.p == NULL) {
        in->reason = too_large;
        return false;
    }
    memcpy(out, &mailbox, sizeof mailbox);
    return true;
}

bool
scalar_parse_local_part(struct scalar_input *in, void *out)
{
    if (str_contains_char(in->text, '@')) {
        in->reason = "leave out the @ and the domain";
        return false;
    }
    struct str local;
    if (!parse_written_local_part(in, in->text, &local)) {
        return false;
    }
    memcpy(out, &local, sizeof local);
    return true;
}

bool
scalar_parse_address(struct scalar_input *in, void *out)
{
    struct ip_address ip;
    if (ip_parse(in->text, &ip) != STATUS_OK) {
        return false;
    }
    memcpy(out, &ip, sizeof ip);
    return true;
}

/* When host bits are set: the network that was probably meant. */
static void
suggest_network(struct scalar_input *in)
{
    struct str address;
    struct str prefix;
    struct ip_address ip;
    uint64_t bits;
    if (!str_cut(in->text, '/', &address, &prefix) || ip_parse(address, &ip) != STATUS_OK) {
        return;
    }
    if (str_parse_u64(prefix, ip_is_v4(&ip) ? 32 : 128, &bits) != STATUS_OK) {
        return;
    }
    struct ip_network network = ip_network_of(&ip, (unsigned)bits, (unsigned)bits);
    char text[IP_TEXT_MAX];
    struct str suggestion =
        arena_printf(in->arena, "%s/%u", ip_format(&network.base, text), (unsigned)bits);
    in->reason = "bits behind the prefix are set";
    in->suggestion = suggestion.p;
}

bool
scalar_parse_network(struct scalar_input *in, void *out)
{
    struct ip_network network;
    if (ip_network_parse(in->text, &network) != STATUS_OK) {
        suggest_network(in);
        return false;
    }
    memcpy(out, &network, sizeof network);
    return true;
}

static bool
parse_port_text(struct scalar_input *in, struct str text, uint16_t *out)
{
    uint64_t port;
    if (str_parse_u64(text, UINT16_MAX, &port) != STATUS_OK || port == 0) {
        in->reason = "the port must be a number from 1 to 65535";
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

bool
scalar_parse_endpoint(struct scalar_input *in, void *out)
{
    struct config_endpoint endpoint = {.port = 53};
    struct str address;
    struct str port;
    bool has_port = str_cut(in->text, '@', &address, &port);
    if (ip_parse(address, &endpoint.ip) != STATUS_OK ||
        (has_port && !parse_port_text(in, port, &endpoint.port))) {
        return false;
    }
    memcpy(out, &endpoint, sizeof endpoint);
    return true;
}

/* "host", "host:port", "[2001:db8::1]", "[2001:db8::1]:port" */
static bool
parse_host_port(struct scalar_input *in, struct str rest, struct config_delivery *delivery)
{
    struct str host = rest;
    struct str after = {0};
    if (str_starts_with(rest, STR("["))) {
        size_t end = str_find_char(rest, ']');
        if (end == STR_NPOS) {
            in->reason = "the ] after the IPv6 address is missing";
            return false;
        }
        host = str_make(rest.p + 1, end - 1);
        after = str_skip(rest, end + 1);
    } else if (str_contains_char(rest, ':')) {
        size_t colon = str_find_char(rest, ':');
        host = str_head(rest, colon);
        after = str_skip(rest, colon);
    }
    if (str_contains_char(rest, '@')) {
        in->reason = "no user or password can be in it";
        return false;
    }
    if (str_contains_char(rest, '/')) {
        in->reason = "nothing can come after host and port, no / either";
        return false;
    }
    if (after.n > 0 && (after.p[0] != ':' || str_contains_char(str_skip(after, 1), ':'))) {
        in->reason = "write an IPv6 address in [ ]";
        return false;
    }
    if (after.n > 0 && !parse_port_text(in, str_skip(after, 1), &delivery->port)) {
        return false;
    }
    delivery->host_is_ip = ip_parse(host, &delivery->ip) == STATUS_OK;
    if (delivery->host_is_ip) {
        delivery->host = arena_str_dup(in->arena, host);
        return delivery->host.p != NULL;
    }
    return domain_name_normalize(in->arena, host, &in->reason, &delivery->host) == STATUS_OK;
}

static bool
parse_socket_path(struct scalar_input *in, struct str path, struct config_delivery *delivery)
{
    if (path.n > UNIX_PATH_MAX) {
        in->reason = "the path is longer than the 107 octets that the system takes for a socket";
        return false;
    }
    for (size_t i = 0; i < path.n; i++) {
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f) {
            in->reason = "control characters are not allowed";
            return false;
        }
    }
    delivery->path = arena_str_dup(in->arena, path);
    return delivery->path.p != NULL;
}

bool
config_delivery_parse(struct arena *arena, struct str text, struct config_delivery *delivery_out)
{
    struct scalar_input in = {.arena = arena, .text = text};
    return scalar_parse_delivery(&in, delivery_out);
}

bool
scalar_parse_delivery(struct scalar_input *in, void *out)
{
    static const struct str lmtp = STR_INIT("lmtp:");
    static const struct str slashes = STR_INIT("//");
    static const struct str smtp = STR_INIT("smtp://");
    struct config_delivery delivery = {0};
    struct str after_lmtp = str_skip(in->text, lmtp.n);
    bool good = false;
    if (str_eq(in->text, STR("mx"))) {
        delivery.kind = CONFIG_DELIVERY_MX;
        good = true;
    } else if (str_starts_with(in->text, smtp)) {
        delivery.kind = CONFIG_DELIVERY_SMTP;
        delivery.port = 25;
        good = parse_host_port(in, str_skip(in->text, smtp.n), &delivery);
    } else if (str_starts_with(in->text, lmtp) && str_starts_with(after_lmtp, slashes)) {
        delivery.kind = CONFIG_DELIVERY_LMTP_TCP;
        delivery.port = 24;
        good = parse_host_port(in, str_skip(after_lmtp, slashes.n), &delivery);
    } else if (str_starts_with(in->text, lmtp) && str_starts_with(after_lmtp, STR("/"))) {
        delivery.kind = CONFIG_DELIVERY_LMTP_UNIX;
        good = parse_socket_path(in, after_lmtp, &delivery);
    }
    delivery.text = good ? arena_str_dup(in->arena, in->text) : (struct str){0};
    if (delivery.text.p == NULL) {
        return false;
    }
    memcpy(out, &delivery, sizeof delivery);
    return true;
}
