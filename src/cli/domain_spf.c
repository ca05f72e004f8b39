/*
 * The SPF record of a domain with all that it includes (RFC 7208): not for one client, as an
 * evaluation has it, but for all, so that what no client has met yet is found too.
 */
#include "auth/spf.h"
#include "cli/domain_report.h"
#include "dns/rdata.h"

/* Records that are looked at; how deep they may include each other. */
#define RECORDS_MAX      40u
#define DEPTH_MAX        12u
/* RFC 7208 3.4 */
#define LENGTH_MAX       450u
/* A shorter prefix than these is more than one sender has. */
#define IP4_PREFIX_LEAST 16u
#define IP6_PREFIX_LEAST 24u

struct spf_tree {
    struct domain_report *report;
    struct str above[DEPTH_MAX]; /* the domains that led here */
    unsigned depth;
    unsigned records;
    unsigned lookups; /* of all terms; a client may need fewer */
    unsigned voids;
    char all; /* qualifier of the first "all"; 0: none */
};

static void walk(struct spf_tree *tree, struct str domain);

/* ---- one record */

/* Text that was meant to be a record, and is none. */
static bool
looks_like_spf(struct str text)
{
    static const struct str signs[] = {STR_INIT("v=spf"), STR_INIT("spf1"), STR_INIT("\"v=spf"),
                                       STR_INIT("v = spf"), STR_INIT(" v=spf")};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        /* SPF's relative has a version of its own (RFC 4406). */
        if (str_starts_with_nocase(text, signs[i]) &&
            !str_starts_with_nocase(text, STR("spf2.0"))) {
            return true;
        }
    }
    return false;
}

/* The record of a domain; false when there is not exactly one. Only at the top is more said. */
static bool
find_record(struct spf_tree *tree, struct str domain, struct str *record_out)
{
    struct domain_report *report = tree->report;
    struct dns_answer answer;
    const struct str *texts;
    size_t found = 0;
    if (!domain_ask(report, domain, DNS_TYPE_TXT, &answer)) {
        return false;
    }
    size_t count = domain_texts(report, &answer, &texts);
    for (size_t i = 0; i < count; i++) {
        if (spf_record_is_version1(texts[i])) {
            *record_out = texts[i];
            found++;
        } else if (looks_like_spf(texts[i])) {
            domain_fault(report, DOMAIN_FAULT_SPF_VERSION, "%.*s: %.*s", STR_ARG(domain),
                         STR_ARG(texts[i]));
        }
    }
    if (found > 1) {
        domain_fault(report, DOMAIN_FAULT_SPF_SEVERAL, "%.*s has %zu", STR_ARG(domain), found);
    } else if (found == 0) {
        domain_fault(report, tree->depth == 0 ? DOMAIN_FAULT_SPF_MISSING : DOMAIN_FAULT_SPF_INCLUDE,
                     "%.*s", STR_ARG(domain));
    }
    return found == 1;
}

/* ---- terms */

/* What asks the DNS counts, with or without an answer (4.6.4). */
static void
count_void(struct spf_tree *tree, struct str name, uint16_t type)
{
    struct dns_answer answer;
    if (domain_ask(tree->report, name, type, &answer) && answer.outcome != DNS_OUTCOME_ANSWER) {
        tree->voids++;
        domain_fact(tree->report, tree->depth + 1, "%.*s has no %s record", STR_ARG(name),
                    dns_type_name(type));
    } else if (type == DNS_TYPE_MX && answer.record_count > SPF_MX_NAMES_MAX) {
        domain_fault(tree->report, DOMAIN_FAULT_SPF_MX_MANY, "%.*s", STR_ARG(name));
    }
}

static bool
has_address(struct spf_tree *tree, struct str name)
{
    struct dns_answer answer;
    return domain_ask(tree->report, name, DNS_TYPE_AAAA, &answer) &&
           answer.outcome == DNS_OUTCOME_ANSWER;
}

static void
check_network(struct spf_tree *tree, const struct spf_directive *directive)
{
    bool v4 = directive->mechanism == SPF_MECHANISM_IP4;
    if (directive->qualifier == '+' && (v4 ? directive->ip4_prefix < IP4_PREFIX_LEAST
                                           : directive->ip6_prefix < IP6_PREFIX_LEAST)) {
        domain_fault(tree->report, DOMAIN_FAULT_SPF_WIDE, "%.*s", STR_ARG(directive->text));
    }
}

/* A term that names a domain, or means the current one. */
static void
follow(struct spf_tree *tree, const struct spf_directive *directive, struct str domain)
{
    struct str target = directive->domain.n > 0 ? directive->domain : domain;
    tree->lookups++;
    if (str_contains_char(target, '%')) {
        domain_fact(tree->report, tree->depth + 1, "%.*s depends on the message",
                    STR_ARG(directive->text));
        return;
    }
    switch (directive->mechanism) {
    case SPF_MECHANISM_INCLUDE:
        tree->depth++;
        walk(tree, target);
        tree->depth--;
        break;
    case SPF_MECHANISM_A:
        if (!has_address(tree, target)) {
            count_void(tree, target, DNS_TYPE_A);
        }
        break;
    case SPF_MECHANISM_MX:
        count_void(tree, target, DNS_TYPE_MX);
        break;
    case SPF_MECHANISM_PTR:
        domain_fault(tree->report, DOMAIN_FAULT_SPF_PTR, "%.*s", STR_ARG(directive->text));
        break;
    case SPF_MECHANISM_EXISTS:
        count_void(tree, target, DNS_TYPE_A);
        break;
    case SPF_MECHANISM_ALL:
    case SPF_MECHANISM_IP4:
    case SPF_MECHANISM_IP6:
        break;
    }
}

static void
check_terms(struct spf_tree *tree, const struct spf_record *record, struct str domain)
{
    bool ended = false;
    for (size_t i = 0; i < record->directive_count; i++) {
        const struct spf_directive *directive = &record->directives[i];
        if (ended) {
            domain_fault(tree->report, DOMAIN_FAULT_SPF_AFTER_ALL, "%.*s: %.*s", STR_ARG(domain),
                         STR_ARG(directive->text));
            return;
        }
        if (directive->mechanism == SPF_MECHANISM_ALL) {
            ended = true;
            tree->all = tree->depth == 0 ? directive->qualifier : tree->all;
        } else if (directive->mechanism == SPF_MECHANISM_IP4 ||
                   directive->mechanism == SPF_MECHANISM_IP6) {
            check_network(tree, directive);
        } else {
            follow(tree, directive, domain);
        }
    }
    if (record->redirect.n > 0 && ended) { /* 6.1 */
        domain_fault(tree->report, DOMAIN_FAULT_SPF_AFTER_ALL, "%.*s: redirect=%.*s",
                     STR_ARG(domain), STR_ARG(record->redirect));
    } else if (record->redirect.n > 0) {
        tree->lookups++;
        if (!str_contains_char(record->redirect, '%')) {
            walk(tree, record->redirect);
        }
    }
}

/* ---- the tree */

static bool
is_loop(const struct spf_tree *tree, struct str domain)
{
    for (unsigned i = 0; i < tree->depth; i++) {
        if (dns_name_eq(tree->above[i], domain)) {
            return true;
        }
    }
    return false;
}

/* The record of `domain` and what it leads to. */
static void /* NOLINTNEXTLINE(misc-no-recursion): bounded by RECORDS_MAX and DEPTH_MAX */
walk(struct spf_tree *tree, struct str domain)
{
    struct domain_report *report = tree->report;
    struct str text;
    struct spf_record record;
    struct str problem;
    if (is_loop(tree, domain) || tree->depth >= DEPTH_MAX || tree->records >= RECORDS_MAX) {
        domain_fault(report, DOMAIN_FAULT_SPF_LOOP, "%.*s", STR_ARG(domain));
        return;
    }
    tree->above[tree->depth] = domain;
    tree->records++;
    if (!find_record(tree, domain, &text)) {
        return;
    }
    domain_fact(report, tree->depth, "%.*s: %.*s", STR_ARG(domain), STR_ARG(text));
    if (text.n > LENGTH_MAX) {
        domain_fault(report, DOMAIN_FAULT_SPF_LONG, "%.*s: %zu octets", STR_ARG(domain), text.n);
    }
    if (spf_record_parse(report->op->arena, text, &record, &problem) != STATUS_OK) {
        domain_fault(report, DOMAIN_FAULT_SPF_SYNTAX, "%.*s: %.*s", STR_ARG(domain),
                     STR_ARG(problem));
        return;
    }
    check_terms(tree, &record, domain);
}

static void
judge_tree(const struct spf_tree *tree)
{
    struct domain_report *report = tree->report;
    domain_number(report, "lookups", tree->lookups);
    domain_number(report, "void_lookups", tree->voids);
    domain_fact(report, 0, "%u of at most %u terms that ask the DNS", tree->lookups,
                SPF_LOOKUPS_MAX);
    if (tree->lookups > SPF_LOOKUPS_MAX) {
        domain_fault(report, DOMAIN_FAULT_SPF_LOOKUPS, "%u", tree->lookups);
    } else if (tree->lookups + 1 >= SPF_LOOKUPS_MAX) {
        domain_fault(report, DOMAIN_FAULT_SPF_LOOKUPS_NEAR, "%u", tree->lookups);
    }
    if (tree->voids > SPF_VOID_LOOKUPS_MAX) {
        domain_fault(report, DOMAIN_FAULT_SPF_VOID, "%u", tree->voids);
    }
    switch (tree->all) {
    case '+':
        domain_fault(report, DOMAIN_FAULT_SPF_ALL_PASS, "+all");
        break;
    case '?':
    case 0:
        domain_fault(report, DOMAIN_FAULT_SPF_ALL_NEUTRAL, "%s",
                     tree->all == 0 ? "the record has no \"all\"" : "?all");
        break;
    case '~':
        domain_fault(report, DOMAIN_FAULT_SPF_ALL_SOFT, "~all");
        break;
    default:
        break;
    }
}

void
domain_check_spf(struct domain_report *report)
{
    struct spf_tree tree = {.report = report};
    struct dns_answer answer;
    domain_section(report, "spf", "SPF");
    walk(&tree, report->domain);
    if (json_array_size(json_object_get(report->section, "facts")) > 0) {
        judge_tree(&tree);
    }
    if (dns_resolve(report->op->dns, report->op->arena, report->domain, DNS_TYPE_SPF, &answer) ==
            STATUS_OK &&
        answer.outcome == DNS_OUTCOME_ANSWER) {
        domain_fault(report, DOMAIN_FAULT_SPF_TYPE, "%.*s", STR_ARG(report->domain));
    }
}
