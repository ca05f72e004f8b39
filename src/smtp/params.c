#include "smtp/params.h"

#include <stdio.h>

/* RFC 1870 6: SIZE is written with at most 20 digits. */
#define SIZE_DIGITS_MAX 20u

struct param {
    struct str keyword;
    struct str value;
    bool has_value;
};

struct param_list {
    struct param items[SMTP_PARAMS_MAX];
    size_t count;
};

/* What one parameter is read into, and what it may need to know. */
struct target {
    struct arena *arena;
    const struct smtp_param_rules *rules;
    struct smtp_envelope *envelope;   /* of MAIL */
    struct smtp_recipient *recipient; /* of RCPT */
    bool smtputf8;                    /* of RCPT: told at MAIL */
};

/* A row reads one parameter; STATUS_NOT_FOUND: known, but not offered here. */
struct param_row {
    struct str keyword;
    enum status (*read)(struct target *target, const struct param *param);
};

static int
hex_digit(char c)
{
    if (char_is_digit(c)) {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum status
smtp_xtext_decode(struct arena *arena, struct str s, struct str *octets_out)
{
    char *octets = arena_cstr(arena, s);
    if (octets == NULL) {
        return STATUS_LIMIT;
    }
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+') {
            int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return STATUS_SYNTAX;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c < '!' || c > '~' || c == '=') {
            return STATUS_SYNTAX;
        }
        octets[n++] = c;
    }
    octets[n] = '\0';
    *octets_out = str_make(octets, n);
    return STATUS_OK;
}

struct str
smtp_xtext_encode(struct arena *arena, struct str octets)
{
    if (octets.n > (SIZE_MAX - 1) / 3) {
        return str_make(NULL, 0);
    }
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_alloc(arena, 3 * octets.n + 1);
    if (text == NULL) {
        return str_make(NULL, 0);
    }
    size_t n = 0;
    for (size_t i = 0; i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        if (c >= '!' && c <= '~' && c != '+' && c != '=') {
            text[n++] = (char)c;
        } else {
            text[n++] = '+';
            text[n++] = digits[c >> 4];
            text[n++] = digits[c & 15];
        }
    }
    return str_make(text, n);
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool
keyword_is_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_alnum(s.p[i]) && (i == 0 || s.p[i] != '-')) {
            return false;
        }
    }
    return s.n > 0;
}

/* esmtp-value: printable but "="; UTF-8 too (RFC 6531 3.3). */
static bool
value_is_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '=' || s.p[i] == 0x7f) {
            return false;
        }
    }
    return s.n > 0 && str_is_utf8(s);
}

static enum status
list_split(struct str s, struct param_list *list)
{
    list->count = 0;
    for (s = str_trim(s); s.n > 0; s = str_trim(s)) {
        struct str word = str_head(s, str_find_char(s, ' '));
        s = str_skip(s, word.n);
        struct param param;
        param.has_value = str_cut(word, '=', &param.keyword, &param.value);
        if (!keyword_is_valid(param.keyword) || (param.has_value && !value_is_valid(param.value))) {
            return STATUS_SYNTAX;
        }
        for (size_t i = 0; i < list->count; i++) {
            /* RFC 5321 4.1.1.11 leaves a repeated parameter open: two values, no reading. */
            if (str_eq_nocase(list->items[i].keyword, param.keyword)) {
                return STATUS_SYNTAX;
            }
        }
        if (list->count == SMTP_PARAMS_MAX) {
            return STATUS_LIMIT;
        }
        list->items[list->count++] = param;
    }
    return STATUS_OK;
}

static enum status
read_size(struct target *target, const struct param *param)
{
    uint64_t size;
    if (!param->has_value || param->value.n > SIZE_DIGITS_MAX) {
        return STATUS_SYNTAX;
    }
    enum status status = str_parse_u64(param->value, UINT64_MAX, &size);
    if (status == STATUS_SYNTAX) {
        return STATUS_SYNTAX;
    }
    uint64_t most = target->rules->message_size;
    if (status != STATUS_OK || (most != 0 && size > most)) {
        return STATUS_LIMIT;
    }
    target->envelope->size = size;
    return STATUS_OK;
}

/* RFC 6152; BINARYMIME (RFC 3030 3) is not offered. */
static enum status
read_body(struct target *target, const struct param *param)
{
    if (str_eq_nocase(param->value, STR("7BIT"))) {
        target->envelope->body = SMTP_BODY_7BIT;
    } else if (str_eq_nocase(param->value, STR("8BITMIME"))) {
        target->envelope->body = SMTP_BODY_8BITMIME;
    } else {
        return param->has_value ? STATUS_NOT_FOUND : STATUS_SYNTAX;
    }
    return STATUS_OK;
}

static enum status
read_smtputf8(struct target *target, const struct param *param)
{
    if (!target->rules->smtputf8) {
        return STATUS_NOT_FOUND;
    }
    target->envelope->smtputf8 = true;
    return param->has_value ? STATUS_SYNTAX : STATUS_OK;
}

static enum status
read_ret(struct target *target, const struct param *param)
{
    if (!target->rules->dsn) {
        return STATUS_NOT_FOUND;
    }
    if (str_eq_nocase(param->value, STR("FULL"))) {
        target->envelope->ret = SMTP_DSN_RET_FULL;
    } else if (str_eq_nocase(param->value, STR("HDRS"))) {
        target->envelope->ret = SMTP_DSN_RET_HDRS;
    } else {
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

static bool
is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return true;
}

/* RFC 3461 4.4: printable ASCII after decoding; a decoded CR or LF would forge a report field. */
static enum status
read_envid(struct target *target, const struct param *param)
{
    if (!target->rules->dsn) {
        return STATUS_NOT_FOUND;
    }
    struct str envid;
    if (!param->has_value || smtp_xtext_decode(target->arena, param->value, &envid) != STATUS_OK ||
        envid.n > SMTP_ENVID_MAX || !is_printable(envid)) {
        return STATUS_SYNTAX;
    }
    target->envelope->envid = envid;
    return STATUS_OK;
}

/* RFC 4954 5. We trust nobody's claim and keep none; it only has to be well-formed. */
static enum status
read_auth(struct target *target, const struct param *param)
{
    if (!target->rules->auth) {
        return STATUS_NOT_FOUND;
    }
    struct str identity;
    if (!param->has_value) {
        return STATUS_SYNTAX;
    }
    return smtp_xtext_decode(target->arena, param->value, &identity);
}

static enum status
read_notify(struct target *target, const struct param *param)
{
    static const struct {
        struct str name;
        unsigned bit;
    } names[] = {
        {STR_INIT("NEVER"), SMTP_DSN_NOTIFY_NEVER},
        {STR_INIT("SUCCESS"), SMTP_DSN_NOTIFY_SUCCESS},
        {STR_INIT("FAILURE"), SMTP_DSN_NOTIFY_FAILURE},
        {STR_INIT("DELAY"), SMTP_DSN_NOTIFY_DELAY},
    };
    if (!target->rules->dsn) {
        return STATUS_NOT_FOUND;
    }
    struct str word;
    struct str rest = param->value;
    unsigned set = 0;
    for (bool more = true; more;) {
        more = str_cut(rest, ',', &word, &rest);
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            bit |= str_eq_nocase(word, names[i].name) ? names[i].bit : 0;
        }
        if (bit == 0 || (set & bit) != 0) {
            return STATUS_SYNTAX;
        }
        set |= bit;
    }
    if ((set & SMTP_DSN_NOTIFY_NEVER) != 0 && set != SMTP_DSN_NOTIFY_NEVER) {
        return STATUS_SYNTAX; /* RFC 3461 4.1: NEVER stands alone */
    }
    target->recipient->notify = set;
    return STATUS_OK;
}

/* RFC 6533 3: "\x{1F600}" in utf-8-addr-xtext; what is between braces, or STR_NPOS. */
static size_t
utf8_addr_escape(struct str s, uint32_t *code_point_out)
{
    if (!str_starts_with(s, STR("\\x{"))) {
        return STR_NPOS;
    }
    uint32_t code_point = 0;
    size_t i = 3;
    for (; i < s.n && i < 9 && hex_digit(s.p[i]) >= 0; i++) {
        code_point = code_point * 16 + (uint32_t)hex_digit(s.p[i]);
    }
    bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (i == 3 || i == s.n || s.p[i] != '}' || code_point > 0x10ffff || surrogate ||
        code_point < ' ' || (code_point >= 0x7f && code_point < 0xa0)) {
        return STR_NPOS;
    }
    *code_point_out = code_point;
    return i + 1;
}

static size_t
utf8_encode(uint32_t c, char *p)
{
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; i--) {
        p[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    p[0] = (char)(lead[more] | c);
    return more + 1;
}

/* utf-8-enc-addr of RFC 6533 3: raw UTF-8 (with SMTPUTF8) or escapes. Decoding never grows. */
static enum status
utf8_addr_decode(struct target *target, struct str s, struct str *octets_out)
{
    if (!str_is_ascii(s) && !target->smtputf8) {
        return STATUS_SYNTAX;
    }
    char *octets = arena_cstr(target->arena, s);
    if (octets == NULL) {
        return STATUS_LIMIT;
    }
    size_t n = 0;
    while (s.n > 0) {
        uint32_t code_point = 0;
        size_t escape = s.p[0] == '\\' ? utf8_addr_escape(s, &code_point) : 1;
        if (escape == STR_NPOS || s.p[0] == '+') {
            return STATUS_SYNTAX;
        }
        if (s.p[0] == '\\') {
            n += utf8_encode(code_point, octets + n);
        } else {
            octets[n++] = s.p[0];
        }
        s = str_skip(s, escape);
    }
    octets[n] = '\0';
    *octets_out = str_make(octets, n);
    return STATUS_OK;
}

static bool
has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* RFC 3461 4.2: ORCPT=addr-type ";" xtext */
static enum status
read_orcpt(struct target *target, const struct param *param)
{
    if (!target->rules->dsn) {
        return STATUS_NOT_FOUND;
    }
    struct str type;
    struct str value;
    struct str octets;
    if (param->value.n > SMTP_ORCPT_MAX || !str_cut(param->value, ';', &type, &value) ||
        type.n > SMTP_ORCPT_TYPE_MAX || !keyword_is_valid(type)) {
        return STATUS_SYNTAX;
    }
    enum status status = str_eq_nocase(type, STR("utf-8"))
                             ? utf8_addr_decode(target, value, &octets)
                             : smtp_xtext_decode(target->arena, value, &octets);
    if (status == STATUS_OK && (octets.n == 0 || has_control(octets) || !str_is_utf8(octets))) {
        status = STATUS_SYNTAX;
    }
    char *lower = arena_cstr(target->arena, type);
    if (status != STATUS_OK || lower == NULL) {
        return status != STATUS_OK ? status : STATUS_LIMIT;
    }
    for (size_t i = 0; i < type.n; i++) {
        lower[i] = char_lower(lower[i]);
    }
    target->recipient->orcpt_type = str_make(lower, type.n);
    target->recipient->orcpt = octets;
    return STATUS_OK;
}

static const struct param_row mail_rows[] = {
    {STR_INIT("SIZE"), read_size},         /* RFC 1870 5 */
    {STR_INIT("BODY"), read_body},         /* RFC 6152 2 */
    {STR_INIT("SMTPUTF8"), read_smtputf8}, /* RFC 6531 3.4 */
    {STR_INIT("RET"), read_ret},           /* RFC 3461 4.3 */
    {STR_INIT("ENVID"), read_envid},       /* RFC 3461 4.4 */
    {STR_INIT("AUTH"), read_auth},         /* RFC 4954 5 */
    {{NULL, 0}, NULL},
};

static const struct param_row rcpt_rows[] = {
    {STR_INIT("NOTIFY"), read_notify}, /* RFC 3461 4.1 */
    {STR_INIT("ORCPT"), read_orcpt},   /* RFC 3461 4.2 */
    {{NULL, 0}, NULL},
};

static enum status
param_read(struct target *target, const struct param_row *rows, const struct param *param)
{
    for (; rows->read != NULL; rows++) {
        if (str_eq_nocase(rows->keyword, param->keyword)) {
            return rows->read(target, param);
        }
    }
    return STATUS_NOT_FOUND;
}

/* The reply to a parameter that did not go well; it names the parameter. */
static struct smtp_reply
param_reply(struct arena *arena, enum status status, const struct param *param)
{
    if (status == STATUS_LIMIT && str_eq_nocase(param->keyword, STR("SIZE"))) {
        return SMTP_REPLY(552, 5, 3, 4, "Message too big"); /* RFC 1870 6.1 */
    }
    if (status == STATUS_LIMIT) {
        return smtp_reply_for_status(STATUS_LIMIT);
    }
    /* RFC 5321 4.1.1.11: 555 for what is not recognised or not implemented. */
    struct smtp_reply reply = status == STATUS_NOT_FOUND
                                  ? SMTP_REPLY(555, 5, 5, 4, "Parameter not recognised")
                                  : SMTP_REPLY(501, 5, 5, 4, "Syntax error in a parameter");
    struct str text = arena_printf(arena, "%.*s: %.*s", STR_ARG(reply.text),
                                   STR_ARG(str_head(param->keyword, 64)));
    reply.text = text.p != NULL ? text : reply.text;
    return reply;
}

static bool
params_parse(struct target *target, struct str s, const struct param_row *rows,
             struct smtp_reply *reply_out)
{
    struct param_list list;
    if (list_split(s, &list) != STATUS_OK) {
        *reply_out = SMTP_REPLY(501, 5, 5, 4, "Syntax error in parameters");
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        enum status status = param_read(target, rows, &list.items[i]);
        if (status != STATUS_OK) {
            *reply_out = param_reply(target->arena, status, &list.items[i]);
            return false;
        }
    }
    return true;
}

bool
smtp_mail_params_parse(struct arena *arena, struct str s, const struct smtp_param_rules *rules,
                       struct smtp_envelope *envelope, struct smtp_reply *reply_out)
{
    struct target target = {.arena = arena, .rules = rules, .envelope = envelope};
    return params_parse(&target, s, mail_rows, reply_out);
}

bool
smtp_rcpt_params_parse(struct arena *arena, struct str s, const struct smtp_param_rules *rules,
                       bool smtputf8, struct smtp_recipient *recipient,
                       struct smtp_reply *reply_out)
{
    struct target target = {
        .arena = arena, .rules = rules, .recipient = recipient, .smtputf8 = smtputf8};
    return params_parse(&target, s, rcpt_rows, reply_out);
}
