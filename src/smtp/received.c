#include "smtp/received.h"

#include "base/clock.h"
#include "smtp/address.h"

/* What may stand in the field's words and comments without a meaning of its own. */
static bool
is_harmless(char c)
{
    return char_is_alnum(c) ||
           (c > ' ' && c < 0x7f && str_contains_char(STR("!#$%&'*+-/=?^_`{|}~.:[]@"), c));
}

/* A copy with "?" for what is not harmless; blanks stay where `blanks` says so. */
static struct str
cleaned(struct arena *arena, struct str s, bool blanks)
{
    char *copy = arena_cstr(arena, s);
    for (size_t i = 0; copy != NULL && i < s.n; i++) {
        if (!is_harmless(copy[i]) && !(blanks && copy[i] == ' ')) {
            copy[i] = '?';
        }
    }
    return str_make(copy, copy != NULL ? s.n : 0);
}

const char *
smtp_received_protocol(const struct smtp_received *received)
{
    static const char *const names[2][2][2] = {
        {{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
        {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
    };
    if (!received->esmtp) {
        return "SMTP";
    }
    return names[received->smtputf8][received->tls.n > 0][received->authenticated];
}

/* "from mail.example ([192.0.2.1])" */
static struct str
from_clause(struct arena *arena, const struct smtp_received *received)
{
    struct str literal = smtp_literal_format(arena, &received->client);
    struct str name;
    if (smtp_domain_parse(arena, received->helo, SMTP_ADDRESS_UTF8, &name) != STATUS_OK) {
        name = cleaned(arena, received->helo, false);
    }
    if (name.n == 0) {
        name = literal;
    }
    return arena_printf(arena, "from %.*s (%.*s)\r\n ", STR_ARG(name), STR_ARG(literal));
}

static struct str
for_clause(struct arena *arena, const struct smtp_received *received)
{
    struct smtp_address address;
    /* A quoted local part may hold anything; it is left out rather than cleaned. */
    bool simple =
        smtp_mailbox_parse(arena, received->address, SMTP_ADDRESS_UTF8, &address) == STATUS_OK &&
        (!address.utf8 || received->smtputf8) && !str_contains_char(address.text, '"');
    if (!simple) {
        return STR("");
    }
    return arena_printf(arena, "\r\n for <%.*s>", STR_ARG(address.text));
}

struct str
smtp_received_value(struct arena *arena, const struct smtp_received *received)
{
    struct str from = received->hide_client ? STR("") : from_clause(arena, received);
    struct str to = for_clause(arena, received);
    struct str date = clock_format_rfc5322(arena, received->received_ms);
    struct str tls = STR("");
    if (received->tls.n > 0) {
        struct str text = cleaned(arena, received->tls, true);
        tls = arena_printf(arena, "\r\n (%.*s)", STR_ARG(text));
    }
    if (from.p == NULL || to.p == NULL || date.p == NULL || tls.p == NULL) {
        return str_make(NULL, 0);
    }
    return arena_printf(arena, "%.*sby %.*s (Postern) with %s id %.*s%.*s%.*s;\r\n %.*s",
                        STR_ARG(from), STR_ARG(received->hostname),
                        smtp_received_protocol(received), STR_ARG(received->id), STR_ARG(tls),
                        STR_ARG(to), STR_ARG(date));
}
