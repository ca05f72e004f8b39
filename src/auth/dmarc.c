#include "auth/dmarc.h"

#include "dns/name.h"
#include "mail/author.h"

const char *
dmarc_result_name(enum dmarc_result result)
{
    static const char *const names[DMARC_RESULT_COUNT] = {"none", "pass", "fail", "temperror",
                                                          "permerror"};
    return (unsigned)result < DMARC_RESULT_COUNT ? names[result] : "unknown";
}

const char *
dmarc_policy_tag_name(enum dmarc_policy_tag tag)
{
    static const char *const names[] = {"p", "sp", "np"};
    return (unsigned)tag <= DMARC_TAG_NP ? names[tag] : "unknown";
}

const char *
dmarc_override_name(enum dmarc_override_reason reason)
{
    static const char *const names[DMARC_OVERRIDE_COUNT] = {
        "none", "local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder"};
    return (unsigned)reason < DMARC_OVERRIDE_COUNT ? names[reason] : "unknown";
}

/* One evaluation. */
struct evaluation {
    struct arena *arena;
    const struct dns_source *dns;
    struct dmarc_lookups lookups;
    struct dmarc_outcome outcome;
    struct dmarc_walk author_walk; /* when has_author_walk */
    bool has_author_walk;
    bool is_undecided;          /* an identifier might be aligned, but the DNS gave no answer */
    struct str existence_query; /* the author domain, when it was asked for; else empty */
};

static enum status
set_problem(struct evaluation *e, const char *format, struct str domain)
{
    e->outcome.problem = arena_printf(e->arena, "%s: %.*s", format, STR_ARG(domain));
    return e->outcome.problem.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

static enum status
end_with(struct evaluation *e, enum dmarc_result result, const char *problem, struct str domain)
{
    e->outcome.result = result;
    return set_problem(e, problem, domain);
}

/* ---- the policy record (4.10.1) */

static enum status
walk_author(struct evaluation *e)
{
    if (e->has_author_walk) {
        return STATUS_OK;
    }
    enum status status = dmarc_walk_run(&e->lookups, e->outcome.author_domain, &e->author_walk);
    e->has_author_walk = status == STATUS_OK;
    if (status == STATUS_OK &&
        (e->author_walk.state == DMARC_LOOKUP_FOUND || e->author_walk.state == DMARC_LOOKUP_NONE)) {
        e->outcome.organizational_domain = e->author_walk.organizational_domain;
    }
    return status;
}

/* Tells what was wrong on the way, where nothing better has been told. */
static enum status
note_lookup_problems(struct evaluation *e)
{
    for (size_t i = 0; i < e->lookups.count && e->outcome.problem.n == 0; i++) {
        const struct dmarc_lookup *lookup = &e->lookups.items[i];
        enum status status = STATUS_OK;
        if (lookup->problem != NULL) {
            status = set_problem(e, lookup->problem, lookup->domain);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* The author's own record, else the organizational domain's, else the public suffix's. */
static enum status
find_record(struct evaluation *e, enum dmarc_lookup_state *state_out)
{
    const struct dmarc_lookup *lookup;
    enum status status = dmarc_lookup_get(&e->lookups, e->outcome.author_domain, &lookup);
    if (status != STATUS_OK) {
        return status;
    }
    *state_out = lookup->state;
    if (lookup->state == DMARC_LOOKUP_NONE) {
        status = walk_author(e);
        if (status != STATUS_OK) {
            return status;
        }
        const struct dmarc_walk *walk = &e->author_walk;
        *state_out = walk->state;
        lookup = walk->organizational != NULL ? walk->organizational : walk->public_suffix;
    }
    if (*state_out == DMARC_LOOKUP_FOUND) {
        e->outcome.record = &lookup->record;
        e->outcome.record_domain = lookup->domain;
    }
    return STATUS_OK;
}

/* ---- which policy (4.10.1) */

/*
 * 3.2.13: a name does not exist when the answer is NXDOMAIN, whatever the type asked for. A CNAME
 * to nowhere exists itself.
 */
static enum status
author_exists(struct evaluation *e, bool *exists_out, bool *is_known_out)
{
    struct str domain = e->outcome.author_domain;
    const struct dmarc_lookup *lookup;
    struct dns_answer answer;
    enum status status = dmarc_lookup_get(&e->lookups, domain, &lookup);
    if (status != STATUS_OK) {
        return status;
    }
    *is_known_out = true;
    *exists_out = true;
    if (lookup->outcome != DNS_OUTCOME_NXDOMAIN) {
        return STATUS_OK; /* RFC 8020: what has names below it exists */
    }
    status = dns_resolve(e->dns, e->arena, domain, DNS_TYPE_A, &answer);
    if (status != STATUS_OK) {
        return status == STATUS_SYNTAX ? STATUS_OK : status;
    }
    e->existence_query = domain;
    *is_known_out = !dns_outcome_is_temporary(answer.outcome);
    *exists_out = answer.outcome != DNS_OUTCOME_NXDOMAIN || !dns_name_eq(answer.canonical, domain);
    return STATUS_OK;
}

static enum dmarc_policy
one_step_lower(enum dmarc_policy policy)
{
    return policy == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE : DMARC_POLICY_NONE;
}

static enum status
choose_policy(struct evaluation *e)
{
    struct dmarc_outcome *outcome = &e->outcome;
    const struct dmarc_record *record = outcome->record;
    outcome->policy = record->p;
    outcome->policy_tag = DMARC_TAG_P;
    outcome->policy_known = true;
    if (!str_eq(outcome->record_domain, outcome->author_domain)) {
        bool exists = true;
        bool is_known = true;
        if (record->has_sp) {
            outcome->policy = record->sp;
            outcome->policy_tag = DMARC_TAG_SP;
        }
        enum status status = record->has_np ? author_exists(e, &exists, &is_known) : STATUS_OK;
        if (status != STATUS_OK) {
            return status;
        }
        if (!exists) {
            outcome->policy = record->np;
            outcome->policy_tag = DMARC_TAG_NP;
        }
        outcome->policy_known = is_known;
        if (!is_known && outcome->result == DMARC_RESULT_FAIL) {
            status = end_with(e, DMARC_RESULT_TEMPERROR,
                              "the DNS does not tell whether the author domain exists",
                              outcome->author_domain);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    outcome->effective = record->testing ? one_step_lower(outcome->policy) : outcome->policy;
    return STATUS_OK;
}

/* ---- alignment (4.4, 4.10.2) */

enum aligned {
    ALIGNED_NO,
    ALIGNED_YES,
    ALIGNED_UNKNOWN, /* the DNS gave no answer */
};

/* Could both have one organizational domain? Not without a label in common. */
static bool
share_top(struct str a, struct str b)
{
    size_t dot_a = str_rfind_char(a, '.');
    size_t dot_b = str_rfind_char(b, '.');
    return str_eq(str_skip(a, dot_a == STR_NPOS ? 0 : dot_a + 1),
                  str_skip(b, dot_b == STR_NPOS ? 0 : dot_b + 1));
}

/* An organizational domain has only names of its own tree: others need no walk. */
static enum status
is_aligned_relaxed(struct evaluation *e, struct str domain, enum aligned *aligned_out)
{
    struct dmarc_walk walk;
    *aligned_out = ALIGNED_NO;
    if (!share_top(domain, e->outcome.author_domain)) {
        return STATUS_OK;
    }
    enum status status = walk_author(e);
    if (status != STATUS_OK) {
        return status;
    }
    if (e->author_walk.state != DMARC_LOOKUP_FOUND) {
        *aligned_out = ALIGNED_UNKNOWN;
        return STATUS_OK;
    }
    struct str organizational = e->author_walk.organizational_domain;
    if (!dns_name_is_within(domain, organizational)) {
        return STATUS_OK;
    }
    status = dmarc_walk_run(&e->lookups, domain, &walk);
    if (status != STATUS_OK) {
        return status;
    }
    if (walk.state == DMARC_LOOKUP_TEMPORARY) {
        *aligned_out = ALIGNED_UNKNOWN;
    } else if (walk.state == DMARC_LOOKUP_LIMIT) {
        return set_problem(e, "too many domains to look up; not looked at", domain);
    } else if (str_eq(walk.organizational_domain, organizational)) {
        *aligned_out = ALIGNED_YES;
    }
    return STATUS_OK;
}

/* Looks at one identifier; the first one that is aligned and passed stands in *aligned_out. */
static enum status
take_identifier(struct evaluation *e, const struct dmarc_identifier *identifier,
                enum dmarc_alignment mode, struct str *aligned_out)
{
    struct str domain;
    enum aligned aligned = ALIGNED_YES;
    enum status status = mail_domain_normalize(e->arena, identifier->domain, &domain);
    if (status != STATUS_OK) {
        return STATUS_OK; /* what is no domain name is aligned with nobody */
    }
    if (!str_eq(domain, e->outcome.author_domain)) {
        aligned = ALIGNED_NO;
        status =
            mode == DMARC_ALIGNMENT_RELAXED ? is_aligned_relaxed(e, domain, &aligned) : STATUS_OK;
    }
    if (status != STATUS_OK || aligned == ALIGNED_NO) {
        return status;
    }
    if (aligned == ALIGNED_UNKNOWN || identifier->evidence == DMARC_EVIDENCE_TEMPERROR) {
        e->is_undecided = true;
    } else {
        *aligned_out = domain;
    }
    return STATUS_OK;
}

/* All identifiers of one mechanism: those that need no questions first. */
static enum status
align(struct evaluation *e, const struct dmarc_identifier *identifiers, size_t count,
      enum dmarc_alignment mode, struct str *aligned_out)
{
    if (count > DMARC_IDENTIFIERS_MAX) {
        count = DMARC_IDENTIFIERS_MAX;
        enum status status =
            set_problem(e, "more signatures than are looked at", e->outcome.author_domain);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (unsigned round = DMARC_ALIGNMENT_STRICT + 1; round-- > DMARC_ALIGNMENT_RELAXED;) {
        for (size_t i = 0; i < count && aligned_out->n == 0; i++) {
            bool in_round = (enum dmarc_alignment)round != DMARC_ALIGNMENT_RELAXED ||
                            mode == DMARC_ALIGNMENT_RELAXED;
            enum status status = STATUS_OK;
            if (in_round && identifiers[i].evidence != DMARC_EVIDENCE_OTHER) {
                status =
                    take_identifier(e, &identifiers[i], (enum dmarc_alignment)round, aligned_out);
            }
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}

/* The walk looked for a record at `domain` and found none. */
static bool
has_no_record(const struct evaluation *e, struct str domain)
{
    for (size_t i = 0; i < e->lookups.count; i++) {
        if (str_eq(e->lookups.items[i].domain, domain)) {
            return e->lookups.items[i].state == DMARC_LOOKUP_NONE;
        }
    }
    return false;
}

/*
 * Of one mechanism: a parent of the author domain that passed. It is not aligned for want of a
 * record of its own, which is easily mended once somebody says so. No question is asked for this.
 */
static enum status
note_unaligned_parent(struct evaluation *e, const struct dmarc_identifier *identifiers,
                      size_t count, enum dmarc_alignment mode)
{
    struct dmarc_outcome *outcome = &e->outcome;
    if (mode != DMARC_ALIGNMENT_RELAXED) {
        return STATUS_OK;
    }
    count = count < DMARC_IDENTIFIERS_MAX ? count : DMARC_IDENTIFIERS_MAX;
    for (size_t i = 0; i < count && outcome->unaligned_parent.n == 0; i++) {
        struct str domain;
        if (identifiers[i].evidence != DMARC_EVIDENCE_PASS) {
            continue;
        }
        enum status status = mail_domain_normalize(e->arena, identifiers[i].domain, &domain);
        if (status == STATUS_LIMIT) {
            return status;
        }
        if (status == STATUS_OK && str_contains_char(domain, '.') &&
            dns_name_is_within(outcome->author_domain, domain) && has_no_record(e, domain)) {
            outcome->unaligned_parent = domain;
        }
    }
    return STATUS_OK;
}

/* ---- the whole */

/* Neither mechanism has passed with an aligned domain. 5.3.5, 5.3.6 */
static enum status
judge_unaligned(struct evaluation *e, const struct dmarc_input *input)
{
    const struct dmarc_record *record = e->outcome.record;
    if (e->is_undecided) {
        /* 5.3.6: neither pass nor fail when a question was not answered */
        return end_with(e, DMARC_RESULT_TEMPERROR,
                        "the DNS did not answer all that SPF, DKIM or alignment asked for",
                        e->outcome.author_domain);
    }
    enum status status = note_unaligned_parent(e, input->dkim, input->dkim_count, record->adkim);
    return status == STATUS_OK
               ? note_unaligned_parent(e, input->spf, input->spf_count, record->aspf)
               : status;
}

/* 5.3.4, 5.3.5 */
static enum status
judge(struct evaluation *e, const struct dmarc_input *input)
{
    struct dmarc_outcome *outcome = &e->outcome;
    const struct dmarc_record *record = outcome->record;
    enum status status =
        align(e, input->dkim, input->dkim_count, record->adkim, &outcome->dkim_aligned);
    if (status == STATUS_OK) {
        status = align(e, input->spf, input->spf_count, record->aspf, &outcome->spf_aligned);
    }
    if (status != STATUS_OK) {
        return status;
    }
    outcome->result = DMARC_RESULT_FAIL;
    if (outcome->dkim_aligned.n > 0 || outcome->spf_aligned.n > 0) {
        outcome->result = DMARC_RESULT_PASS;
    } else {
        status = judge_unaligned(e, input);
    }
    return status == STATUS_OK ? choose_policy(e) : status;
}

static enum status
evaluate(struct evaluation *e, const struct dmarc_input *input)
{
    struct dmarc_outcome *outcome = &e->outcome;
    enum dmarc_lookup_state state;
    /* 5.3.1 */
    enum status status =
        mail_domain_normalize(e->arena, input->author_domain, &outcome->author_domain);
    if (status != STATUS_OK) {
        return end_with(e, DMARC_RESULT_PERMERROR, "there is no usable author domain",
                        str_head(input->author_domain, DNS_NAME_WIRE_MAX));
    }
    status = find_record(e, &state);
    if (status != STATUS_OK) {
        return status;
    }
    if (state == DMARC_LOOKUP_TEMPORARY || state == DMARC_LOOKUP_LIMIT) {
        return end_with(e, DMARC_RESULT_TEMPERROR, "the DNS does not tell the policy",
                        outcome->author_domain);
    }
    if (state == DMARC_LOOKUP_NONE) {
        return STATUS_OK; /* 5.3.2 */
    }
    if (!outcome->record->is_usable) {
        return set_problem(e, "the DMARC record has no policy that can be read",
                           outcome->record_domain);
    }
    status = judge(e, input);
    if (status == STATUS_OK && input->wants_organizational_domain) {
        status = walk_author(e);
    }
    return status;
}

/* The names that were asked for. */
static enum status
list_queries(struct evaluation *e)
{
    struct dmarc_outcome *outcome = &e->outcome;
    outcome->queried = arena_alloc_array(e->arena, e->lookups.count + 1, sizeof(struct str));
    if (outcome->queried == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < e->lookups.count; i++) {
        struct str name =
            arena_printf(e->arena, "_dmarc.%.*s", STR_ARG(e->lookups.items[i].domain));
        if (name.p == NULL) {
            return STATUS_LIMIT;
        }
        outcome->queried[outcome->queried_count++] = name;
    }
    if (e->existence_query.n > 0) {
        outcome->queried[outcome->queried_count++] = e->existence_query;
    }
    return STATUS_OK;
}

enum status
dmarc_evaluate(struct arena *arena, const struct dns_source *dns, const struct dmarc_input *input,
               struct dmarc_outcome *outcome_out)
{
    /* In the arena: the records that the outcome shows stay where they were read. */
    struct evaluation *e = arena_alloc(arena, sizeof *e);
    if (e == NULL) {
        return STATUS_LIMIT;
    }
    e->arena = arena;
    e->dns = dns;
    e->outcome.result = DMARC_RESULT_NONE;
    dmarc_lookups_init(&e->lookups, arena, dns);
    enum status status = evaluate(e, input);
    if (status == STATUS_OK) {
        status = note_lookup_problems(e);
    }
    if (status == STATUS_OK) {
        status = list_queries(e);
    }
    if (status == STATUS_OK) {
        *outcome_out = e->outcome;
    }
    return status;
}
