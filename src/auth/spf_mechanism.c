/* The mechanisms that compare the client with something (RFC 7208 5). */
#include "auth/spf_internal.h"
#include "dns/name.h"
#include "dns/rdata.h"

/* The first `bits` of both are the same. */
static bool
same_prefix(const struct ip_address *a, const struct ip_address *b, unsigned bits)
{
    size_t whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(a->octets, b->octets, whole) != 0) {
        return false;
    }
    return rest == 0 || (a->octets[whole] ^ b->octets[whole]) >> (8 - rest) == 0;
}

/*
 * An address equals the client's under the prefix length of the client's family. RFC 7208 5: an
 * IPv4-mapped client is an IPv4 client. It is kept in the mapped form, hence the 96 bits.
 */
static bool
client_matches(const struct spf_state *state, const struct spf_directive *directive,
               const struct ip_address *ip)
{
    const struct ip_address *client = &state->input->client;
    unsigned bits = ip_is_v4(client) ? 96 + directive->ip4_prefix : directive->ip6_prefix;
    return same_prefix(client, ip, bits);
}

/* 5.6: ip4 is for IPv4 clients and ip6 for the others, however the address is spelt. */
static bool
client_is_in_network(const struct spf_state *state, const struct spf_directive *directive)
{
    bool v4 = directive->mechanism == SPF_MECHANISM_IP4;
    return ip_is_v4(&state->input->client) == v4 &&
           client_matches(state, directive, &directive->ip);
}

static bool
is_void(enum dns_outcome outcome)
{
    return outcome == DNS_OUTCOME_NXDOMAIN || outcome == DNS_OUTCOME_NODATA;
}

/* Asks; an answer that did not come is temperror (RFC 7208 5). */
static enum status
ask(struct spf_state *state, struct str name, uint16_t type, struct dns_answer *answer_out,
    enum spf_match *match_out)
{
    enum status status =
        dns_resolve(state->input->dns, state->input->arena, name, type, answer_out);
    if (status != STATUS_OK) {
        return status;
    }
    *match_out = SPF_MATCH_NO;
    if (dns_outcome_is_temporary(answer_out->outcome)) {
        spf_problem(state, "%s of %.*s could not be asked for: %s", dns_type_name(type),
                    STR_ARG(name), dns_outcome_name(answer_out->outcome));
        *match_out = SPF_MATCH_TEMPERROR;
    }
    return STATUS_OK;
}

/*
 * One of a name's addresses is the client's, as far as the prefix length goes. *outcome_out is what
 * became of the question, when STATUS_OK.
 */
static enum status
match_addresses(struct spf_state *state, const struct spf_directive *directive, struct str name,
                enum dns_outcome *outcome_out, enum spf_match *match_out)
{
    struct dns_answer answer;
    const struct ip_address *ips;
    size_t count;
    uint16_t type = ip_is_v4(&state->input->client) ? DNS_TYPE_A : DNS_TYPE_AAAA;
    enum status status = ask(state, name, type, &answer, match_out);
    if (status == STATUS_OK) {
        *outcome_out = answer.outcome;
    }
    if (status == STATUS_OK) {
        status = dns_answer_addresses(state->input->arena, &answer, &ips, &count);
    }
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (client_matches(state, directive, &ips[i])) {
            *match_out = SPF_MATCH_YES;
        }
    }
    return status;
}

/*
 * 5.3. The term is void (4.6.4) when its name has no address at all: a host without an address of
 * the client's family is there all the same, or each IPv6 client would use up the limit of a record
 * that names three IPv4 hosts.
 */
static enum status
match_a(struct spf_state *state, const struct spf_directive *directive, struct str name,
        enum spf_match *match_out)
{
    enum dns_outcome outcome;
    struct dns_answer other;
    uint16_t other_type = ip_is_v4(&state->input->client) ? DNS_TYPE_AAAA : DNS_TYPE_A;
    enum status status = match_addresses(state, directive, name, &outcome, match_out);
    if (status == STATUS_OK && outcome == DNS_OUTCOME_NODATA) {
        status = dns_resolve(state->input->dns, state->input->arena, name, other_type, &other);
        outcome = status == STATUS_OK ? other.outcome : outcome;
    }
    state->term_is_void = status == STATUS_OK && is_void(outcome);
    return status;
}

/*
 * 5.4. More than ten names are permerror, unless one of the first ten matches (4.6.4). The term is
 * void when there are no MX records; what became of the questions for their hosts does not count.
 */
static enum status
match_mx(struct spf_state *state, const struct spf_directive *directive, struct str name,
         enum spf_match *match_out)
{
    struct dns_answer answer;
    enum dns_outcome ignored;
    size_t names = 0;
    enum status status = ask(state, name, DNS_TYPE_MX, &answer, match_out);
    state->term_is_void = status == STATUS_OK && is_void(answer.outcome);
    for (size_t i = 0; status == STATUS_OK && i < answer.record_count; i++) {
        struct dns_mx mx;
        status = dns_rdata_mx(state->input->arena, answer.records[i], &mx);
        if (status == STATUS_SYNTAX || (status == STATUS_OK && mx.exchange.n == 0)) {
            status = STATUS_OK; /* broken, or a null MX (RFC 7505) */
            continue;
        }
        if (status == STATUS_OK && ++names > SPF_MX_NAMES_MAX) {
            spf_problem(state, "%.*s has more than %u MX names", STR_ARG(name), SPF_MX_NAMES_MAX);
            *match_out = SPF_MATCH_PERMERROR;
            return STATUS_OK;
        }
        if (status == STATUS_OK) {
            status = match_addresses(state, directive, mx.exchange, &ignored, match_out);
        }
        if (status == STATUS_OK && *match_out != SPF_MATCH_NO) {
            return STATUS_OK;
        }
    }
    return status;
}

/*
 * 5.5. The names are the client's: their errors and void answers are passed over, or a client could
 * turn a fail into something else. Only the question for them counts.
 */
static enum status
match_ptr(struct spf_state *state, struct str name, enum spf_match *match_out)
{
    enum status status = spf_client_names(state);
    if (status != STATUS_OK) {
        return status;
    }
    state->term_is_void = is_void(state->names.lookup);
    for (size_t i = 0; i < state->names.name_count; i++) {
        const struct iprev_name *candidate = &state->names.names[i];
        if (candidate->confirmed && dns_name_is_within(candidate->name, name)) {
            *match_out = SPF_MATCH_YES;
        }
    }
    return STATUS_OK;
}

/* 5.7: always a question for A, whatever the client's family. */
static enum status
match_exists(struct spf_state *state, struct str name, enum spf_match *match_out)
{
    struct dns_answer answer;
    enum status status = ask(state, name, DNS_TYPE_A, &answer, match_out);
    state->term_is_void = status == STATUS_OK && is_void(answer.outcome);
    if (status == STATUS_OK && answer.outcome == DNS_OUTCOME_ANSWER) {
        *match_out = SPF_MATCH_YES;
    }
    return status;
}

/* The mechanisms that ask the DNS. */
static enum status
match_name(struct spf_state *state, const struct spf_directive *directive, struct str name,
           enum spf_match *match_out)
{
    switch (directive->mechanism) {
    case SPF_MECHANISM_A:
        return match_a(state, directive, name, match_out);
    case SPF_MECHANISM_MX:
        return match_mx(state, directive, name, match_out);
    case SPF_MECHANISM_PTR:
        return match_ptr(state, name, match_out);
    case SPF_MECHANISM_EXISTS:
        return match_exists(state, name, match_out);
    case SPF_MECHANISM_ALL:
    case SPF_MECHANISM_INCLUDE:
    case SPF_MECHANISM_IP4:
    case SPF_MECHANISM_IP6:
        break;
    }
    return STATUS_BUG;
}

static enum status
match_target(struct spf_state *state, const struct spf_directive *directive,
             enum spf_match *match_out)
{
    struct str domain;
    struct str name;
    if (!spf_count_lookup(state)) {
        *match_out = SPF_MATCH_PERMERROR;
        return STATUS_OK;
    }
    enum status status = spf_expand_target(state, directive->domain, &domain);
    if (status == STATUS_OK) {
        status = spf_query_name(state->input->arena, domain, &name);
    }
    if (status == STATUS_OK) {
        return match_name(state, directive, name, match_out);
    }
    /* RFC 7208 4.8 leaves open what a name that cannot be asked for means; it is not there. */
    if (status == STATUS_DENIED) {
        *match_out = SPF_MATCH_PERMERROR;
    }
    return status == STATUS_LIMIT ? status : STATUS_OK;
}

enum status
spf_mechanism_match(struct spf_state *state, const struct spf_directive *directive,
                    enum spf_match *match_out)
{
    enum spf_match match = SPF_MATCH_NO;
    enum status status = STATUS_OK;
    switch (directive->mechanism) {
    case SPF_MECHANISM_ALL:
        match = SPF_MATCH_YES;
        break;
    case SPF_MECHANISM_IP4:
    case SPF_MECHANISM_IP6:
        match = client_is_in_network(state, directive) ? SPF_MATCH_YES : SPF_MATCH_NO;
        break;
    case SPF_MECHANISM_A:
    case SPF_MECHANISM_MX:
    case SPF_MECHANISM_PTR:
    case SPF_MECHANISM_EXISTS:
    case SPF_MECHANISM_INCLUDE:
        status = match_target(state, directive, &match);
        break;
    }
    if (status == STATUS_OK) {
        *match_out = match;
    }
    return status;
}
