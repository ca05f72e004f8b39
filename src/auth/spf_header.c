/* Header fields about an evaluation (RFC 7208 9.1, RFC 8601 2.7.2). */
#include "auth/spf.h"
#include "base/buf.h"

/* Octets of one value, and of a whole field; RFC 5322 2.1.1 limits lines to 998. */
#define VALUE_MAX 320u
#define FIELD_MAX 8192u

struct str
spf_authres_value(const struct spf_input *input, const struct spf_outcome *outcome)
{
    if (outcome->identity == SPF_IDENTITY_HELO) {
        return input->helo;
    }
    return str_contains_char(input->sender, '@') ? input->sender : outcome->domain;
}

const char *
spf_authres_property(const struct spf_outcome *outcome)
{
    return spf_identity_name(outcome->identity);
}

/* One line of text for a field: UTF-8 stays (RFC 6532), other octets outside ASCII do not. */
static bool
is_clean(char c, bool utf8)
{
    return (c >= ' ' && c <= '~') || ((uint8_t)c >= 0x80 && utf8);
}

/* The octets of a value, those of `quoted` behind a backslash. */
static enum status
append_text(struct buf *out, struct str value, const char *quoted)
{
    enum status status = STATUS_OK;
    value = str_head(value, VALUE_MAX);
    bool utf8 = str_is_utf8(value);
    for (size_t i = 0; status == STATUS_OK && i < value.n; i++) {
        char c = is_clean(value.p[i], utf8) ? value.p[i] : '?';
        if (strchr(quoted, c) != NULL) {
            status = buf_append_char(out, '\\');
        }
        if (status == STATUS_OK) {
            status = buf_append_char(out, c);
        }
    }
    return status;
}

static bool
is_dot_atom(struct str value)
{
    bool after_dot = true;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool dot = c == '.';
        if (dot ? after_dot
                : !char_is_alnum(c) && (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL)) {
            return false;
        }
        after_dot = dot;
    }
    return !after_dot;
}

/* key "=" ( dot-atom / quoted-string ), each pair on a line of its own. */
static enum status
append_pair(struct buf *out, const char *separator, const char *key, struct str value)
{
    enum status status = buf_printf(out, "%s\r\n\t%s=", separator, key);
    if (status != STATUS_OK) {
        return status;
    }
    if (is_dot_atom(value) && value.n <= VALUE_MAX) {
        return buf_append(out, value);
    }
    status = buf_append_char(out, '"');
    if (status == STATUS_OK) {
        status = append_text(out, value, "\"\\");
    }
    return status == STATUS_OK ? buf_append_char(out, '"') : status;
}

/* What the comment says between the domain and the address. */
static const char *
comment_words(enum spf_result result)
{
    switch (result) {
    case SPF_RESULT_PASS:
        return " designates %s as permitted sender";
    case SPF_RESULT_FAIL:
    case SPF_RESULT_SOFTFAIL:
        return " does not designate %s as permitted sender";
    case SPF_RESULT_NEUTRAL:
        return " says nothing of %s";
    case SPF_RESULT_NONE:
        return " does not say which senders are permitted";
    case SPF_RESULT_TEMPERROR:
        return " could not be asked";
    case SPF_RESULT_PERMERROR:
        break;
    }
    return " has a record that cannot be used";
}

static enum status
append_comment(struct buf *out, const struct spf_input *input, const struct spf_outcome *outcome,
               const char *client)
{
    static const char quoted[] = "()\\";
    struct str words = str_from_cstr(comment_words(outcome->result));
    size_t place = str_find(words, STR("%s"));
    enum status status = buf_append(out, STR(" ("));
    if (status == STATUS_OK) {
        status = append_text(out, input->receiver.n > 0 ? input->receiver : STR("unknown"), quoted);
    }
    if (status == STATUS_OK) {
        status = buf_append(out, STR(": domain of "));
    }
    if (status == STATUS_OK) {
        status = append_text(out, outcome->sender, quoted);
    }
    if (status == STATUS_OK) {
        status = buf_append(out, str_head(words, place));
    }
    if (status == STATUS_OK && place != STR_NPOS) {
        status = buf_printf(out, "%s%.*s", client, STR_ARG(str_skip(words, place + 2)));
    }
    return status == STATUS_OK ? buf_append_char(out, ')') : status;
}

static enum status
append_field(struct buf *out, const struct spf_input *input, const struct spf_outcome *outcome)
{
    char client[IP_TEXT_MAX];
    const struct {
        const char *key;
        struct str value;
        bool present;
    } pairs[] = {
        {"receiver", input->receiver.n > 0 ? input->receiver : STR("unknown"), true},
        {"client-ip", str_from_cstr(ip_format(&input->client, client)), true},
        {"envelope-from", input->sender.n > 0 ? input->sender : STR("<>"), true},
        {"helo", input->helo, true},
        {"identity", str_from_cstr(spf_identity_name(outcome->identity)), true},
        {"mechanism", outcome->mechanism.n > 0 ? outcome->mechanism : STR("default"), true},
        {"problem", outcome->problem, outcome->problem.n > 0},
    };
    enum status status = buf_append(out, str_from_cstr(spf_result_name(outcome->result)));
    if (status == STATUS_OK) {
        status = append_comment(out, input, outcome, client);
    }
    for (size_t i = 0; status == STATUS_OK && i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].present) {
            status = append_pair(out, i > 0 ? ";" : "", pairs[i].key, pairs[i].value);
        }
    }
    return status;
}

struct str
spf_received_header(const struct spf_input *input, const struct spf_outcome *outcome)
{
    struct buf out;
    struct str field = {NULL, 0};
    buf_init(&out, FIELD_MAX);
    if (append_field(&out, input, outcome) == STATUS_OK) {
        field = arena_str_dup(input->arena, buf_str(&out));
    }
    buf_free(&out);
    return field;
}
