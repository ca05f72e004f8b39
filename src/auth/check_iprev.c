/*
 * iprev - whether the client's address has a name that leads back to it (RFC 8601 3), and whether
 * the name that it introduced itself with has its address.
 *
 * Mail servers that are meant to be mail servers have both; RFC 5321 4.1.4 forbids refusing mail
 * for the second alone.
 */
#include "auth/checks.h"
#include "auth/iprev.h"
#include "auth/results.h"
#include "smtp/address.h"

static void
add_iprev(struct finding_list *findings, const struct iprev_outcome *outcome, struct str client)
{
    struct str first = outcome->name_count > 0 ? outcome->names[0].name : STR("");
    switch (outcome->result) {
    case IPREV_RESULT_PASS:
        FINDING_ADD(findings, IPREV_PASS, EVIDENCE("client", client),
                    EVIDENCE("name", outcome->name));
        break;
    case IPREV_RESULT_FAIL:
        FINDING_ADD(findings, IPREV_FAIL, EVIDENCE("client", client), EVIDENCE("name", first));
        break;
    case IPREV_RESULT_TEMPERROR:
        FINDING_ADD(findings, IPREV_TEMPERROR, EVIDENCE("client", client));
        break;
    case IPREV_RESULT_PERMERROR:
        FINDING_ADD(findings, IPREV_MISSING, EVIDENCE("client", client));
        break;
    }
}

static void
add_helo(struct finding_list *findings, enum helo_address result, struct str helo,
         struct str client)
{
    switch (result) {
    case HELO_ADDRESS_NO_NAME: /* helo_form says what it is */
        break;
    case HELO_ADDRESS_MATCHES:
        FINDING_ADD(findings, HELO_ADDRESS_MATCHES, EVIDENCE("helo", helo));
        break;
    case HELO_ADDRESS_DIFFERS:
        FINDING_ADD(findings, HELO_ADDRESS_DIFFERS, EVIDENCE("helo", helo),
                    EVIDENCE("client", client));
        break;
    case HELO_ADDRESS_NONE:
        FINDING_ADD(findings, HELO_ADDRESS_MISSING, EVIDENCE("helo", helo),
                    EVIDENCE("client", client));
        break;
    case HELO_ADDRESS_TEMPERROR:
        FINDING_ADD(findings, HELO_ADDRESS_TEMPERROR, EVIDENCE("helo", helo));
        break;
    }
}

enum status
check_iprev(const struct check_input *input, struct finding_list *findings)
{
    char ip[IP_TEXT_MAX];
    enum helo_address helo_address;
    struct str helo;
    if (input->dns == NULL) {
        return STATUS_TEMPORARY;
    }
    struct iprev_outcome *outcome = arena_alloc(input->arena, sizeof *outcome);
    if (outcome == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = iprev_check(input->dns, input->arena, &input->client, outcome);
    if (status != STATUS_OK) {
        return status;
    }
    /* A name that SMTP does not allow may still be one that the DNS has. */
    if (smtp_domain_parse(input->arena, input->helo, SMTP_ADDRESS_UTF8, &helo) != STATUS_OK) {
        helo = input->helo;
    }
    status = helo_matches(input->dns, input->arena, helo, &input->client, &helo_address);
    if (status != STATUS_OK) {
        return status;
    }
    struct str client = str_from_cstr(ip_format(&input->client, ip));
    add_iprev(findings, outcome, client);
    add_helo(findings, helo_address, input->helo, client);
    if (input->auth != NULL) {
        input->auth->iprev = outcome;
    }
    return STATUS_OK;
}
