#include "transport/dane.h"

#include "dns/name.h"

const char *
dane_state_name(enum dane_state state)
{
    static const char *const names[] = {"not-asked", "none",     "insecure",
                                        "usable",    "unusable", "failed"};
    return (unsigned)state < DANE_STATE_COUNT_ ? names[state] : "unknown";
}

const char *
dane_reason_text(enum dane_reason reason)
{
    static const char *const texts[] = {
        [DANE_REASON_NONE] = "",
        [DANE_REASON_OFF] = "DANE is turned off",
        [DANE_REASON_EXCEPTION] = "the configuration makes an exception of this domain",
        [DANE_REASON_MESSAGE] = "the message asks for delivery without demands on TLS",
        [DANE_REASON_NO_NAME] = "the next hop is an address without a name",
        [DANE_REASON_MX] = "the MX records are not signed",
        [DANE_REASON_ADDRESS] = "the address of the host is not signed",
    };
    return (unsigned)reason < DANE_REASON_COUNT_ ? texts[reason] : "unknown";
}

struct dane
dane_not_asked(enum dane_reason reason)
{
    return (struct dane){.state = DANE_NOT_ASKED, .reason = reason};
}

/* ---- questions */

/* What is behind it all while one host is asked about. */
struct search {
    struct arena *arena;
    const struct dns_source *dns;
    const struct dane_question *question;
    struct dane dane;
};

static void
search_fail(struct search *search, const struct dns_answer *answer)
{
    search->dane.state = DANE_FAILED;
    search->dane.result = answer->security == DNS_SECURITY_BOGUS ? TLS_RESULT_DNSSEC_INVALID
                                                                 : TLS_RESULT_VALIDATION_FAILURE;
    search->dane.detail = answer->detail;
}

/*
 * Asks; false when the answer is none to go on with (RFC 7672 2.1.2, 2.1.3): it failed, or nobody
 * has looked whether it is signed, where it must be known.
 */
static enum status
ask(struct search *search, struct str name, uint16_t type, struct dns_answer *answer_out,
    bool *known_out)
{
    struct dns_answer answer;
    enum status status = dns_resolve(search->dns, search->arena, name, type, &answer);
    if (status != STATUS_OK) {
        return status;
    }
    search->dane.steps[search->dane.step_count++] = (struct dane_step){
        .name = name, .type = type, .outcome = answer.outcome, .security = answer.security};
    *known_out =
        !dns_outcome_is_temporary(answer.outcome) &&
        (answer.security == DNS_SECURITY_SECURE || answer.security == DNS_SECURITY_INSECURE);
    if (!*known_out) {
        search_fail(search, &answer);
    }
    *answer_out = answer;
    return STATUS_OK;
}

/* ---- names */

static void
add_name(struct dane *dane, struct str name)
{
    for (size_t i = 0; i < dane->name_count; i++) {
        if (dns_name_eq(dane->names[i], name)) {
            return;
        }
    }
    if (name.n > 0 && dane->name_count < DANE_NAMES_MAX) {
        dane->names[dane->name_count++] = name;
    }
}

/* RFC 7672 3.2.2: which names count besides that of the records. */
static void
add_names(struct search *search)
{
    const struct transport_origin *origin = &search->question->origin;
    add_name(&search->dane, search->dane.base);
    switch (origin->way) {
    case TRANSPORT_WAY_MX:
        if (origin->security == DNS_SECURITY_SECURE) {
            add_name(&search->dane, origin->domain);
            add_name(&search->dane, origin->canonical);
        }
        break;
    case TRANSPORT_WAY_IMPLICIT:
    case TRANSPORT_WAY_CONFIGURED:
        add_name(&search->dane, search->question->host);
        break;
    case TRANSPORT_WAY_ADDRESS:
        break;
    }
}

/* ---- the search */

/* Looks for records of one name; *found_out: the search is over. */
static enum status
look_at(struct search *search, struct str base, bool *found_out)
{
    struct dns_answer answer;
    struct dns_wire_name wire;
    struct dane *dane = &search->dane;
    bool known;
    struct str name =
        arena_printf(search->arena, "_%u._tcp.%.*s", search->question->port, STR_ARG(base));
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    if (dns_name_to_wire(name, &wire) != STATUS_OK) {
        return STATUS_OK; /* too long to be a name: it cannot have records */
    }
    enum status status = ask(search, name, DNS_TYPE_TLSA, &answer, &known);
    if (status != STATUS_OK || !known) {
        *found_out = true;
        return status;
    }
    if (answer.security != DNS_SECURITY_SECURE) {
        dane->state = DANE_INSECURE;
    } else if (answer.outcome == DNS_OUTCOME_ANSWER) {
        status = tlsa_set_read(search->arena, &answer, &dane->set);
        dane->state = dane->set.count > 0 ? DANE_USABLE : DANE_UNUSABLE;
        dane->base = base;
        *found_out = true;
    }
    return status;
}

/* RFC 7672 2.2.2: the address is not signed; the alias that leads there may be. */
static enum status
look_at_alias(struct search *search)
{
    struct dns_answer answer;
    bool known, found = false;
    enum status status = ask(search, search->question->host, DNS_TYPE_CNAME, &answer, &known);
    if (status != STATUS_OK || !known) {
        return status;
    }
    if (answer.outcome != DNS_OUTCOME_ANSWER || answer.security != DNS_SECURITY_SECURE) {
        search->dane.reason = DANE_REASON_ADDRESS;
        return STATUS_OK;
    }
    search->dane.state = DANE_NONE;
    return look_at(search, search->question->host, &found);
}

static enum status
search_run(struct search *search)
{
    const struct dane_question *q = search->question;
    bool is_alias = q->address.canonical.n > 0 && !dns_name_eq(q->address.canonical, q->host);
    bool found = false;
    enum status status = STATUS_OK;
    if (q->address.security != DNS_SECURITY_SECURE) {
        bool validated = q->address.security != DNS_SECURITY_INDETERMINATE;
        if (is_alias && validated) {
            return look_at_alias(search);
        }
        search->dane.reason = DANE_REASON_ADDRESS;
        return STATUS_OK;
    }
    search->dane.state = DANE_NONE;
    if (is_alias) {
        status = look_at(search, q->address.canonical, &found);
    }
    if (status == STATUS_OK && !found) {
        status = look_at(search, q->host, &found);
    }
    return status;
}

enum status
dane_find(struct arena *arena, const struct dns_source *dns, const struct dane_question *question,
          struct dane *dane_out)
{
    struct search search = {.arena = arena, .dns = dns, .question = question};
    const struct transport_origin *origin = &question->origin;
    bool by_mx = origin->way == TRANSPORT_WAY_MX || origin->way == TRANSPORT_WAY_IMPLICIT;
    enum status status = STATUS_OK;
    if (origin->way == TRANSPORT_WAY_ADDRESS) {
        search.dane.reason = DANE_REASON_NO_NAME;
    } else if (by_mx && origin->security != DNS_SECURITY_SECURE && !question->insecure_mx) {
        search.dane.reason = DANE_REASON_MX;
    } else {
        status = search_run(&search);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (search.dane.state == DANE_USABLE) {
        add_names(&search);
    }
    *dane_out = search.dane;
    return STATUS_OK;
}
