/* The DMARC policy that applies to a domain, and where its reports go (RFC 9989, RFC 9990). */
#include "auth/dmarc.h"
#include "cli/domain_report.h"
#include "dns/name.h"
#include "mail/author.h"

/* ---- what was found on the way */

/* Text at the place of a record that was meant to be one. */
static void
check_version(struct domain_report *report, struct str domain)
{
    struct dns_answer answer;
    const struct str *texts;
    if (!domain_ask(report, domain_below(report, "_dmarc", domain), DNS_TYPE_TXT, &answer)) {
        return;
    }
    size_t count = domain_texts(report, &answer, &texts);
    for (size_t i = 0; i < count; i++) {
        bool meant = str_find(texts[i], STR("p=")) != STR_NPOS ||
                     str_starts_with_nocase(str_trim(texts[i]), STR("v=dmarc"));
        if (meant && !dmarc_record_is_ours(texts[i])) {
            domain_fault(report, DOMAIN_FAULT_DMARC_VERSION, "%.*s: %.*s", STR_ARG(domain),
                         STR_ARG(texts[i]));
        }
    }
}

static void
tell_walk(struct domain_report *report, const struct dmarc_lookups *lookups)
{
    for (size_t i = 0; i < lookups->count; i++) {
        const struct dmarc_lookup *lookup = &lookups->items[i];
        if (lookup->state == DMARC_LOOKUP_FOUND) {
            domain_fact(report, 0, "_dmarc.%.*s: %.*s", STR_ARG(lookup->domain),
                        STR_ARG(lookup->record.text));
        } else {
            domain_fact(report, 0, "_dmarc.%.*s: %s", STR_ARG(lookup->domain),
                        lookup->state == DMARC_LOOKUP_TEMPORARY ? "no answer" : "no record");
        }
        if (lookup->problem != NULL && lookup->state != DMARC_LOOKUP_TEMPORARY) {
            domain_fault(report, DOMAIN_FAULT_DMARC_VOID, "%.*s: %s", STR_ARG(lookup->domain),
                         lookup->problem);
        }
    }
}

/* ---- reports */

static struct str
organizational_domain(struct domain_report *report, struct str domain)
{
    struct dmarc_lookups *lookups = arena_alloc(report->op->arena, sizeof *lookups);
    struct dmarc_walk walk;
    if (lookups == NULL) {
        return domain;
    }
    dmarc_lookups_init(lookups, report->op->arena, report->op->dns);
    return dmarc_walk_run(lookups, domain, &walk) == STATUS_OK &&
                   (walk.state == DMARC_LOOKUP_FOUND || walk.state == DMARC_LOOKUP_NONE)
               ? walk.organizational_domain
               : domain;
}

/* RFC 9990 4: a receiver in another organization must say that it wants these reports. */
static void
check_receiver(struct domain_report *report, struct str policy_domain, struct str address)
{
    size_t at = str_rfind_char(address, '@');
    struct str receiver;
    struct dns_answer answer;
    const struct str *texts;
    if (at == STR_NPOS ||
        mail_domain_normalize(report->op->arena, str_skip(address, at + 1), &receiver) !=
            STATUS_OK ||
        dns_name_eq(organizational_domain(report, receiver),
                    organizational_domain(report, policy_domain))) {
        return;
    }
    struct str name = arena_printf(report->op->arena, "%.*s._report._dmarc.%.*s",
                                   STR_ARG(policy_domain), STR_ARG(receiver));
    if (!domain_ask(report, name, DNS_TYPE_TXT, &answer)) {
        return;
    }
    size_t count = domain_texts(report, &answer, &texts);
    for (size_t i = 0; i < count; i++) {
        if (dmarc_record_is_ours(texts[i])) {
            domain_fact(report, 1, "%.*s takes these reports", STR_ARG(receiver));
            return;
        }
    }
    domain_fault(report, DOMAIN_FAULT_DMARC_UNAUTHORIZED, "%.*s: no record at %.*s",
                 STR_ARG(address), STR_ARG(name));
}

/* ---- the record that applies */

static void
check_historic(struct domain_report *report, struct str text)
{
    static const struct str names[] = {STR_INIT("pct"), STR_INIT("rf"), STR_INIT("ri")};
    while (text.n > 0) {
        struct str tag;
        struct str name;
        struct str value;
        str_cut(text, ';', &tag, &text);
        str_cut(tag, '=', &name, &value);
        for (size_t i = 0; i < 3; i++) {
            if (str_eq_nocase(str_trim(name), names[i])) {
                domain_fault(report, DOMAIN_FAULT_DMARC_HISTORIC, "%.*s", STR_ARG(str_trim(tag)));
            }
        }
    }
}

static void
check_policy(struct domain_report *report, const struct dmarc_record *record,
             enum dmarc_policy applies)
{
    enum dmarc_policy sp = record->has_sp ? record->sp : record->p;
    enum dmarc_policy np = record->has_np ? record->np : sp;
    if (applies == DMARC_POLICY_NONE) {
        domain_fault(report, DOMAIN_FAULT_DMARC_P_NONE, "p=%s", dmarc_policy_name(record->p));
    } else if (sp < record->p || np < record->p) {
        domain_fault(report, DOMAIN_FAULT_DMARC_SUBDOMAINS, "p=%s sp=%s np=%s",
                     dmarc_policy_name(record->p), dmarc_policy_name(sp), dmarc_policy_name(np));
    }
    if (record->testing) {
        domain_fault(report, DOMAIN_FAULT_DMARC_TESTING, "p=%s", dmarc_policy_name(record->p));
    }
    if (record->faults != 0) {
        domain_fault(report, DOMAIN_FAULT_DMARC_FAULTY, "%.*s",
                     STR_ARG(dmarc_record_faults_text(report->op->arena, record->faults)));
    }
    check_historic(report, record->text);
}

static void
check_record(struct domain_report *report, const struct dmarc_outcome *outcome)
{
    const struct dmarc_record *record = outcome->record;
    if (!record->is_usable) {
        domain_fault(report, DOMAIN_FAULT_DMARC_UNUSABLE, "%.*s", STR_ARG(record->text));
        return;
    }
    domain_fact(report, 0, "%s=%s of %.*s applies; organizational domain %.*s",
                dmarc_policy_tag_name(outcome->policy_tag), dmarc_policy_name(outcome->policy),
                STR_ARG(outcome->record_domain), STR_ARG(outcome->organizational_domain));
    json_object_set_new(report->section, "policy", json_string(dmarc_policy_name(outcome->policy)));
    check_policy(report, record, outcome->policy);
    if (record->rua_count == 0) {
        domain_fault(report, DOMAIN_FAULT_DMARC_NO_REPORTS, "_dmarc.%.*s",
                     STR_ARG(outcome->record_domain));
    }
    for (size_t i = 0; i < record->rua_count; i++) {
        check_receiver(report, outcome->record_domain, record->rua[i].address);
    }
}

void
domain_check_dmarc(struct domain_report *report)
{
    struct dmarc_lookups *lookups = arena_alloc(report->op->arena, sizeof *lookups);
    struct dmarc_walk walk;
    struct dmarc_outcome outcome;
    struct dmarc_input input = {.author_domain = report->domain,
                                .wants_organizational_domain = true};
    domain_section(report, "dmarc", "DMARC");
    if (lookups == NULL) {
        return;
    }
    dmarc_lookups_init(lookups, report->op->arena, report->op->dns);
    if (dmarc_walk_run(lookups, report->domain, &walk) != STATUS_OK ||
        dmarc_evaluate(report->op->arena, report->op->dns, &input, &outcome) != STATUS_OK) {
        domain_fault(report, DOMAIN_FAULT_DNS_FAILED, "%.*s", STR_ARG(report->domain));
        return;
    }
    tell_walk(report, lookups);
    check_version(report, report->domain);
    if (outcome.result == DMARC_RESULT_TEMPERROR) {
        domain_fault(report, DOMAIN_FAULT_DNS_FAILED, "%.*s", STR_ARG(outcome.problem));
    } else if (outcome.record == NULL) {
        domain_fault(report, DOMAIN_FAULT_DMARC_MISSING, "%.*s", STR_ARG(report->domain));
    } else {
        check_record(report, &outcome);
    }
}
