/*
 * helo_form - how the client introduced itself (RFC 5321 4.1.1.1, 4.1.3, 4.1.4).
 *
 * A name or literal that is ours is a plain lie, told to look like mail from inside. One that is
 * merely no proper name is bad manners: RFC 5321 4.1.4 forbids refusing mail for it alone.
 */
#include "check/check.h"
#include "smtp/address.h"

/* One of the addresses we listen on. */
static bool
is_own_address(const struct config *config, const struct ip_address *ip)
{
    for (size_t i = 0; i < config->listeners.count; i++) {
        if (ip_eq(&config->listeners.items[i].address, ip)) {
            return true;
        }
    }
    return false;
}

static void
check_literal(const struct check_input *input, const struct ip_address *literal,
              struct finding_list *findings)
{
    char client[IP_TEXT_MAX];
    if (ip_eq(literal, &input->client)) {
        return;
    }
    ip_format(&input->client, client);
    if (is_own_address(input->config, literal)) {
        FINDING_ADD(findings, HELO_OWN_ADDRESS, EVIDENCE("helo", input->helo),
                    EVIDENCE("client", str_from_cstr(client)));
    } else {
        FINDING_ADD(findings, HELO_OTHER_ADDRESS, EVIDENCE("helo", input->helo),
                    EVIDENCE("client", str_from_cstr(client)));
    }
}

static void
check_name(const struct check_input *input, struct str name, struct finding_list *findings)
{
    if (str_eq(name, input->config->hostname)) {
        /* Another instance of this gateway on the same machine is no liar. */
        if (!is_own_address(input->config, &input->client)) {
            FINDING_ADD(findings, HELO_OWN_NAME, EVIDENCE("helo", input->helo));
        }
    } else if (!str_contains_char(name, '.')) {
        FINDING_ADD(findings, HELO_NOT_QUALIFIED, EVIDENCE("helo", input->helo));
    }
}

enum status
check_helo_form(const struct check_input *input, struct finding_list *findings)
{
    struct ip_address literal;
    struct ip_address bare;
    struct str name;
    if (smtp_literal_parse(input->helo, &literal) == STATUS_OK) {
        check_literal(input, &literal, findings);
        return STATUS_OK;
    }
    /* An address without brackets looks like a name of four labels. */
    bool is_name =
        ip_parse(input->helo, &bare) != STATUS_OK &&
        smtp_domain_parse(input->arena, input->helo, SMTP_ADDRESS_UTF8, &name) == STATUS_OK;
    if (is_name) {
        check_name(input, name, findings);
    } else {
        FINDING_ADD(findings, HELO_MALFORMED, EVIDENCE("helo", input->helo));
    }
    return STATUS_OK;
}
