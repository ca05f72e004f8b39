/*
 * The DKIM keys of a domain (RFC 6376 3.6). The DNS does not list selectors: those that are given
 * are looked at, and those that our own vault would have made in the last months.
 */
#include <stdio.h>
#include <time.h>

#include "auth/dkim_key.h"
#include "cli/domain_report.h"

#define SELECTORS_MAX 50u
/* Months whose selectors of the form p202611r and p202611e are tried. */
#define MONTHS        13u

/* ---- one key */

static void
check_usable(struct domain_report *report, struct str name, const struct dkim_key *key)
{
    unsigned bits = 0;
    enum dkim_problem problem = dkim_key_usable(key, &bits);
    if (problem == DKIM_PROBLEM_KEY_REVOKED) {
        domain_fault(report, DOMAIN_FAULT_DKIM_REVOKED, "%.*s", STR_ARG(name));
    } else if (problem == DKIM_PROBLEM_KEY_SMALL) {
        domain_fault(report, DOMAIN_FAULT_DKIM_SMALL, "%.*s", STR_ARG(name));
    } else if (problem == DKIM_PROBLEM_KEY_LARGE) {
        domain_fault(report, DOMAIN_FAULT_DKIM_LARGE, "%.*s", STR_ARG(name));
    } else if (problem != DKIM_PROBLEM_NONE) {
        domain_fault(report, DOMAIN_FAULT_DKIM_MALFORMED, "%.*s: %s", STR_ARG(name),
                     dkim_problem_text(problem));
    } else {
        domain_fact(report, 0, "%.*s: %s, %u bits", STR_ARG(name),
                    crypto_key_type_name(key->algorithm), bits);
    }
    if (problem == DKIM_PROBLEM_NONE && key->algorithm == CRYPTO_RSA_SHA256 && bits < 2048) {
        domain_fault(report, DOMAIN_FAULT_DKIM_WEAK, "%.*s: %u bits", STR_ARG(name), bits);
    }
}

static void
check_key(struct domain_report *report, struct str name, struct str text)
{
    struct dkim_key key;
    enum dkim_problem problem = dkim_key_parse(text, &key);
    if (problem != DKIM_PROBLEM_NONE) {
        domain_fault(report, DOMAIN_FAULT_DKIM_MALFORMED, "%.*s: %s", STR_ARG(name),
                     dkim_problem_text(problem));
        return;
    }
    check_usable(report, name, &key);
    if (!str_starts_with(str_trim(text), STR("v="))) {
        domain_fault(report, DOMAIN_FAULT_DKIM_VERSION, "%.*s", STR_ARG(name));
    }
    if (key.testing) {
        domain_fault(report, DOMAIN_FAULT_DKIM_TESTING, "%.*s", STR_ARG(name));
    }
    if (!key.sha256) {
        domain_fault(report, DOMAIN_FAULT_DKIM_HASH, "%.*s", STR_ARG(name));
    }
    if (!key.email) {
        domain_fault(report, DOMAIN_FAULT_DKIM_SERVICE, "%.*s", STR_ARG(name));
    }
}

/* Whether there is anything at a selector. One that was only guessed may be absent. */
static bool
check_selector(struct domain_report *report, struct str selector, bool guessed)
{
    struct dns_answer answer;
    const struct str *texts;
    struct str name = arena_printf(report->op->arena, "%.*s." DKIM_KEY_LABEL ".%.*s",
                                   STR_ARG(selector), STR_ARG(report->domain));
    if (!domain_ask(report, name, DNS_TYPE_TXT, &answer)) {
        return false;
    }
    size_t count = domain_texts(report, &answer, &texts);
    if (count == 0 && !guessed) {
        domain_fault(report, DOMAIN_FAULT_DKIM_MISSING, "%.*s", STR_ARG(name));
    } else if (count > 1) {
        domain_fault(report, DOMAIN_FAULT_DKIM_SEVERAL, "%.*s has %zu", STR_ARG(name), count);
    }
    for (size_t i = 0; i < count; i++) {
        check_key(report, name, texts[i]);
    }
    return count > 0;
}

/* ---- all of them */

static size_t
check_given(struct domain_report *report)
{
    const json_t *given = json_object_get(report->op->request, "selectors");
    size_t count = json_array_size(given);
    for (size_t i = 0; i < count && i < SELECTORS_MAX; i++) {
        struct str selector;
        if (check_op_octets_of(report->op, json_array_get(given, i), &selector)) {
            (void)check_selector(report, selector, false);
        }
    }
    return count;
}

static size_t
check_guessed(struct domain_report *report)
{
    static const char kinds[] = {'r', 'e'};
    time_t const now = (time_t)report->op->now;
    struct tm date;
    size_t found = 0;
    gmtime_r(&now, &date);
    for (unsigned i = 0; i < MONTHS; i++) {
        for (size_t k = 0; k < sizeof kinds; k++) {
            struct str selector = arena_printf(report->op->arena, "p%04d%02d%c",
                                               date.tm_year + 1900, date.tm_mon + 1, kinds[k]);
            found += check_selector(report, selector, true);
        }
        date.tm_year -= date.tm_mon == 0;
        date.tm_mon = date.tm_mon == 0 ? 11 : date.tm_mon - 1;
    }
    return found;
}

void
domain_check_dkim(struct domain_report *report)
{
    struct dns_answer answer;
    domain_section(report, "dkim", "DKIM");
    size_t looked_at = check_given(report);
    if (!domain_ask(report, domain_below(report, DKIM_KEY_LABEL, report->domain), DNS_TYPE_TXT,
                    &answer)) {
        return;
    }
    /* RFC 8020: below a name that does not exist there is nothing. Tables do not know this. */
    bool nothing = answer.outcome == DNS_OUTCOME_NXDOMAIN &&
                   json_object_get(report->op->request, "zone") == NULL;
    if (!nothing) {
        looked_at += check_guessed(report);
    }
    if (nothing && looked_at == 0) {
        domain_fault(report, DOMAIN_FAULT_DKIM_NONE, "%.*s", STR_ARG(report->domain));
    } else if (looked_at == 0) {
        domain_fault(report, DOMAIN_FAULT_DKIM_UNKNOWN, "%.*s", STR_ARG(report->domain));
    }
}
