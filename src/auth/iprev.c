#include "auth/iprev.h"

#include "dns/name.h"
#include "dns/rdata.h"

const char *
iprev_result_name(enum iprev_result result)
{
    switch (result) {
    case IPREV_RESULT_PASS:
        return "pass";
    case IPREV_RESULT_FAIL:
        return "fail";
    case IPREV_RESULT_TEMPERROR:
        return "temperror";
    case IPREV_RESULT_PERMERROR:
        return "permerror";
    }
    return "unknown";
}

const char *
helo_address_name(enum helo_address result)
{
    switch (result) {
    case HELO_ADDRESS_NO_NAME:
        return "no_name";
    case HELO_ADDRESS_MATCHES:
        return "matches";
    case HELO_ADDRESS_DIFFERS:
        return "differs";
    case HELO_ADDRESS_NONE:
        return "none";
    case HELO_ADDRESS_TEMPERROR:
        return "temperror";
    }
    return "unknown";
}

/* Asks for the addresses of a name in the client's family, and whether his is one of them. */
static enum status
resolve_address(const struct dns_source *dns, struct arena *arena, struct str name,
                const struct ip_address *client, struct iprev_name *answer_out)
{
    struct dns_answer answer;
    const struct ip_address *ips;
    size_t count;
    uint16_t type = ip_is_v4(client) ? DNS_TYPE_A : DNS_TYPE_AAAA;
    struct iprev_name result = {.name = name};
    enum status status = dns_resolve(dns, arena, name, type, &answer);
    if (status == STATUS_OK) {
        status = dns_answer_addresses(arena, &answer, &ips, &count);
    }
    if (status != STATUS_OK) {
        return status;
    }
    result.outcome = answer.outcome;
    for (size_t i = 0; i < count; i++) {
        result.confirmed = result.confirmed || ip_eq(&ips[i], client);
    }
    *answer_out = result;
    return STATUS_OK;
}

/* Looks the names of a PTR answer up. */
static enum status
confirm_names(const struct dns_source *dns, struct arena *arena, const struct ip_address *client,
              const struct dns_answer *answer, struct iprev_outcome *outcome)
{
    for (size_t i = 0; i < answer->record_count && outcome->name_count < IPREV_NAMES_MAX; i++) {
        struct str name;
        enum status status = dns_rdata_name(arena, answer->records[i], &name);
        if (status == STATUS_LIMIT) {
            return status;
        }
        if (status != STATUS_OK || name.n == 0) {
            continue; /* a broken record, or the root, which has no address */
        }
        struct iprev_name *place = &outcome->names[outcome->name_count];
        status = resolve_address(dns, arena, name, client, place);
        if (status != STATUS_OK) {
            return status;
        }
        if (place->confirmed && outcome->name.n == 0) {
            outcome->name = place->name;
        }
        outcome->name_count++;
    }
    return STATUS_OK;
}

/* RFC 8601 2.7.3, 3 */
static void
conclude(struct iprev_outcome *outcome)
{
    bool temporary = dns_outcome_is_temporary(outcome->lookup);
    for (size_t i = 0; i < outcome->name_count; i++) {
        temporary = temporary || dns_outcome_is_temporary(outcome->names[i].outcome);
    }
    if (outcome->name.n > 0) {
        outcome->result = IPREV_RESULT_PASS;
    } else if (temporary) {
        outcome->result = IPREV_RESULT_TEMPERROR;
        outcome->problem = STR("the DNS could not be asked");
    } else if (outcome->name_count == 0) {
        outcome->result = IPREV_RESULT_PERMERROR;
        outcome->problem = STR("the address has no name");
    } else {
        outcome->result = IPREV_RESULT_FAIL;
        outcome->problem = STR("no name of the address leads back to it");
    }
}

enum status
iprev_check(const struct dns_source *dns, struct arena *arena, const struct ip_address *client,
            struct iprev_outcome *outcome_out)
{
    struct dns_answer answer;
    struct iprev_outcome outcome = {.name = STR(""), .problem = STR("")};
    struct str reverse = dns_name_reverse(arena, client);
    if (reverse.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = dns_resolve(dns, arena, reverse, DNS_TYPE_PTR, &answer);
    if (status != STATUS_OK) {
        return status;
    }
    outcome.lookup = answer.outcome;
    status = confirm_names(dns, arena, client, &answer, &outcome);
    if (status == STATUS_OK) {
        conclude(&outcome);
        *outcome_out = outcome;
    }
    return status;
}

struct str
iprev_name_for(const struct iprev_outcome *outcome, struct str domain)
{
    struct str best = STR("unknown");
    unsigned best_rank = 0;
    for (size_t i = 0; i < outcome->name_count; i++) {
        struct str name = outcome->names[i].name;
        unsigned rank = 1;
        if (dns_name_eq(name, domain)) {
            rank = 3;
        } else if (dns_name_is_within(name, domain)) {
            rank = 2;
        }
        if (outcome->names[i].confirmed && rank > best_rank) {
            best = name;
            best_rank = rank;
        }
    }
    return best;
}

enum status
helo_matches(const struct dns_source *dns, struct arena *arena, struct str helo,
             const struct ip_address *client, enum helo_address *result_out)
{
    struct iprev_name answer;
    struct ip_address literal;
    if (!dns_name_is_host(helo) || ip_parse(helo, &literal) == STATUS_OK) {
        *result_out = HELO_ADDRESS_NO_NAME;
        return STATUS_OK;
    }
    enum status status = resolve_address(dns, arena, helo, client, &answer);
    if (status != STATUS_OK) {
        return status;
    }
    if (answer.confirmed) {
        *result_out = HELO_ADDRESS_MATCHES;
    } else if (dns_outcome_is_temporary(answer.outcome)) {
        *result_out = HELO_ADDRESS_TEMPERROR;
    } else {
        *result_out =
            answer.outcome == DNS_OUTCOME_ANSWER ? HELO_ADDRESS_DIFFERS : HELO_ADDRESS_NONE;
    }
    return STATUS_OK;
}
