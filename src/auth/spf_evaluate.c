/* check_host(): the record of a domain and what its terms say (RFC 7208 4, 6). */
#include "auth/spf_internal.h"
#include "dns/rdata.h"

/* Octets of a directive that an outcome shows. */
#define MECHANISM_SHOWN_MAX 300u

/* ---- the record */

/* The one TXT record that is an SPF record (4.5); {NULL,0}: there is none. */
static enum status
select_record(struct spf_state *state, const struct dns_answer *answer, struct str *record_out,
              enum spf_result *result_out)
{
    struct str chosen = {NULL, 0};
    for (size_t i = 0; i < answer->record_count; i++) {
        struct str text;
        enum status status = dns_rdata_txt(state->input->arena, answer->records[i], &text);
        if (status == STATUS_LIMIT) {
            return status;
        }
        if (status != STATUS_OK || !spf_record_is_version1(text)) {
            continue;
        }
        if (chosen.p != NULL) {
            spf_problem(state, "%.*s has several SPF records", STR_ARG(state->values.domain));
            *result_out = SPF_RESULT_PERMERROR;
            return STATUS_OK;
        }
        chosen = text;
    }
    if (chosen.p == NULL) {
        spf_problem(state, "%.*s has no SPF record", STR_ARG(state->values.domain));
    }
    *record_out = chosen;
    *result_out = SPF_RESULT_NONE;
    return STATUS_OK;
}

/*
 * Asks for the record of the current domain. When *record_out stays {NULL,0}, *result_out is the
 * result.
 */
static enum status
fetch_record(struct spf_state *state, struct str *record_out, enum spf_result *result_out)
{
    struct str domain = state->values.domain;
    struct str name;
    struct dns_answer answer;
    *record_out = str_make(NULL, 0);
    *result_out = SPF_RESULT_NONE;
    enum status status = spf_query_name(state->input->arena, domain, &name);
    if (status == STATUS_SYNTAX || !str_contains_char(domain, '.')) {
        spf_problem(state, "\"%.*s\" is not a domain name that can have a record", STR_ARG(domain));
        return STATUS_OK; /* 4.3 */
    }
    if (status == STATUS_OK) {
        status = dns_resolve(state->input->dns, state->input->arena, name, DNS_TYPE_TXT, &answer);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (dns_outcome_is_temporary(answer.outcome)) {
        /* 4.4 */
        spf_problem(state, "the record of %.*s could not be asked for: %s", STR_ARG(domain),
                    dns_outcome_name(answer.outcome));
        *result_out = SPF_RESULT_TEMPERROR;
        return STATUS_OK;
    }
    return select_record(state, &answer, record_out, result_out);
}

/* ---- explanations (6.2) */

/* The text of the only record of a name; {NULL,0} when it is not to be had. */
static enum status
fetch_explanation(struct spf_state *state, struct str domain_spec, struct str *text_out)
{
    struct arena *arena = state->input->arena;
    struct str domain;
    struct str name;
    struct dns_answer answer;
    *text_out = str_make(NULL, 0);
    enum status status = spf_expand_target(state, domain_spec, &domain);
    if (status == STATUS_OK) {
        status = spf_query_name(arena, domain, &name);
    }
    if (status == STATUS_OK) {
        status = dns_resolve(state->input->dns, arena, name, DNS_TYPE_TXT, &answer);
    }
    if (status == STATUS_OK && answer.record_count == 1) {
        status = dns_rdata_txt(arena, answer.records[0], text_out);
    }
    return status == STATUS_LIMIT ? status : STATUS_OK;
}

enum status
spf_explain(struct spf_state *state, struct str domain_spec)
{
    struct arena *arena = state->input->arena;
    struct str text;
    struct str expanded;
    state->explaining = true;
    enum status status = fetch_explanation(state, domain_spec, &text);
    if (status != STATUS_OK || text.p == NULL) {
        return status;
    }
    /* Whatever is wrong with an explanation, it is as if there were none. */
    status = spf_macro_expand(arena, text, SPF_MACRO_EXPLANATION, &state->values, &expanded);
    if (state->failure != STATUS_OK || status != STATUS_OK) {
        return state->failure;
    }
    state->explanation = spf_printable(arena, expanded, SPF_EXPLANATION_MAX);
    return state->explanation.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* ---- terms */

/* Evaluates the record of another domain; the current one is current again afterwards. */
static enum status
evaluate_domain(struct spf_state *state, struct str domain, bool included,
                enum spf_result *result_out)
{
    struct str current = state->values.domain;
    state->values.domain = domain;
    enum status status = spf_evaluate(state, included, result_out);
    state->values.domain = current;
    return status;
}

/* 5.2 */
static enum spf_match
include_match(enum spf_result result)
{
    switch (result) {
    case SPF_RESULT_PASS:
        return SPF_MATCH_YES;
    case SPF_RESULT_FAIL:
    case SPF_RESULT_SOFTFAIL:
    case SPF_RESULT_NEUTRAL:
        return SPF_MATCH_NO;
    case SPF_RESULT_TEMPERROR:
        return SPF_MATCH_TEMPERROR;
    case SPF_RESULT_PERMERROR:
    case SPF_RESULT_NONE:
        break;
    }
    return SPF_MATCH_PERMERROR;
}

/*
 * Goes to the record that an include or redirect names. One that names nothing has the result of a
 * domain without a record, none.
 */
static enum status
follow(struct spf_state *state, struct str spec, bool included, enum spf_result *result_out)
{
    struct str domain;
    *result_out = SPF_RESULT_PERMERROR;
    if (!spf_count_lookup(state)) {
        return STATUS_OK;
    }
    enum status status = spf_expand_target(state, spec, &domain);
    if (status == STATUS_OK) {
        return evaluate_domain(state, domain, included, result_out);
    }
    if (status == STATUS_NOT_FOUND) {
        spf_problem(state, "\"%.*s\" leads to no domain", STR_ARG(spec));
        *result_out = SPF_RESULT_NONE;
    }
    return status == STATUS_LIMIT ? status : STATUS_OK;
}

static enum status
directive_match(struct spf_state *state, const struct spf_directive *directive,
                enum spf_match *match_out)
{
    if (directive->mechanism == SPF_MECHANISM_INCLUDE) {
        enum spf_result result;
        enum status status = follow(state, directive->domain, true, &result);
        if (status == STATUS_OK) {
            *match_out = include_match(result);
        }
        return status;
    }
    state->term_is_void = false;
    enum status status = spf_mechanism_match(state, directive, match_out);
    if (status != STATUS_OK || !state->term_is_void || *match_out != SPF_MATCH_NO) {
        return status;
    }
    /* 4.6.4 limits the terms that find nothing, not the questions: a term counts once. */
    state->void_lookups++;
    if (state->void_lookups > SPF_VOID_LOOKUPS_MAX) {
        spf_problem(state, "more than %u terms ask the DNS for what is not there",
                    SPF_VOID_LOOKUPS_MAX);
        *match_out = SPF_MATCH_PERMERROR;
    }
    return STATUS_OK;
}

/* 4.6.2 */
static enum spf_result
qualifier_result(char qualifier)
{
    switch (qualifier) {
    case '-':
        return SPF_RESULT_FAIL;
    case '~':
        return SPF_RESULT_SOFTFAIL;
    case '?':
        return SPF_RESULT_NEUTRAL;
    default:
        return SPF_RESULT_PASS;
    }
}

/* A directive of the record that counts has matched. */
static enum status
conclude(struct spf_state *state, const struct spf_record *record,
         const struct spf_directive *directive, enum spf_result result)
{
    state->problem = STR("");
    state->mechanism = spf_printable(state->input->arena, directive->text, MECHANISM_SHOWN_MAX);
    if (state->mechanism.p == NULL) {
        return STATUS_LIMIT;
    }
    if (result == SPF_RESULT_FAIL && record->explanation.n > 0) {
        return spf_explain(state, record->explanation);
    }
    return STATUS_OK;
}

/* 6.1: where the redirect leads there must be a record. */
static enum status
evaluate_redirect(struct spf_state *state, const struct spf_record *record, bool included,
                  enum spf_result *result_out)
{
    enum status status = follow(state, record->redirect, included, result_out);
    if (status == STATUS_OK && *result_out == SPF_RESULT_NONE) {
        *result_out = SPF_RESULT_PERMERROR;
    }
    return status;
}

static enum status
evaluate_terms(struct spf_state *state, const struct spf_record *record, bool included,
               enum spf_result *result_out)
{
    for (size_t i = 0; i < record->directive_count; i++) {
        const struct spf_directive *directive = &record->directives[i];
        enum spf_match match = SPF_MATCH_NO;
        enum status status = directive_match(state, directive, &match);
        if (status != STATUS_OK) {
            return status;
        }
        if (match == SPF_MATCH_YES) {
            *result_out = qualifier_result(directive->qualifier);
            return included ? STATUS_OK : conclude(state, record, directive, *result_out);
        }
        if (match != SPF_MATCH_NO) {
            *result_out =
                match == SPF_MATCH_TEMPERROR ? SPF_RESULT_TEMPERROR : SPF_RESULT_PERMERROR;
            return STATUS_OK;
        }
    }
    if (record->redirect.n > 0) {
        return evaluate_redirect(state, record, included, result_out);
    }
    state->problem = STR("");
    *result_out = SPF_RESULT_NEUTRAL; /* 4.7 */
    return STATUS_OK;
}

enum status
spf_evaluate(struct spf_state *state, bool included, enum spf_result *result_out)
{
    struct str text;
    struct spf_record record;
    struct str problem = STR("");
    enum status status = fetch_record(state, &text, result_out);
    if (status != STATUS_OK || text.p == NULL) {
        return status;
    }
    status = spf_record_parse(state->input->arena, text, &record, &problem);
    if (status != STATUS_OK) {
        spf_problem(state, "the record of %.*s: %.*s", STR_ARG(state->values.domain),
                    STR_ARG(problem));
        *result_out = SPF_RESULT_PERMERROR;
        return STATUS_OK;
    }
    return evaluate_terms(state, &record, included, result_out);
}
