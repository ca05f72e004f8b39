/*
 * dmarc - does what SPF and DKIM have authenticated belong to the author (RFC 9989).
 *
 * Its row stands behind those of SPF, DKIM and ARC: it asks what they have left in the results. A
 * check that left nothing could not be made, which is not the same as a failure: what it might
 * have proved stays open.
 */
#include "auth/checks.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/override.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "mail/author.h"

/* ---- what the others have found */

static enum status
read_author(const struct check_input *input)
{
    if (input->auth->author != NULL) {
        return STATUS_OK;
    }
    struct mail_author *author = arena_alloc(input->arena, sizeof *author);
    if (author == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = mail_author_read(input->arena, input->head, author);
    if (status == STATUS_OK) {
        input->auth->author = author;
    }
    return status;
}

static enum dmarc_evidence
evidence_of_spf(const struct spf_outcome *spf)
{
    return spf->result == SPF_RESULT_PASS        ? DMARC_EVIDENCE_PASS
           : spf->result == SPF_RESULT_TEMPERROR ? DMARC_EVIDENCE_TEMPERROR
                                                 : DMARC_EVIDENCE_OTHER;
}

static enum dmarc_evidence
evidence_of_dkim(const struct dkim_outcome *dkim)
{
    if (dkim->result == DKIM_RESULT_TEMPERROR) {
        return DMARC_EVIDENCE_TEMPERROR;
    }
    return dkim_outcome_authenticates(dkim) ? DMARC_EVIDENCE_PASS : DMARC_EVIDENCE_OTHER;
}

/* RFC 9989 4.4.2: SPF counts with the MAIL FROM identity. */
static enum status
gather(const struct check_input *input, struct dmarc_identifier *spf, struct dmarc_input *out)
{
    const struct auth_results *auth = input->auth;
    struct dmarc_identifier unknown = {.domain = auth->author->domain,
                                       .evidence = DMARC_EVIDENCE_TEMPERROR};
    size_t count = auth->dkim != NULL ? auth->dkim->count : 1;
    struct dmarc_identifier *dkim = arena_alloc_array(input->arena, count + 1, sizeof *dkim);
    if (dkim == NULL) {
        return STATUS_LIMIT;
    }
    dkim[0] = unknown;
    for (size_t i = 0; auth->dkim != NULL && i < count; i++) {
        dkim[i].domain = auth->dkim->items[i].signature.domain;
        dkim[i].evidence = evidence_of_dkim(&auth->dkim->items[i]);
    }
    *spf = unknown;
    if (auth->spf_mailfrom != NULL) {
        spf->domain = auth->spf_mailfrom->domain;
        spf->evidence = evidence_of_spf(auth->spf_mailfrom);
    }
    *out = (struct dmarc_input){.author_domain = auth->author->domain,
                                .spf = spf,
                                .spf_count = 1,
                                .dkim = dkim,
                                .dkim_count = count};
    return STATUS_OK;
}

/* ---- findings */

static struct str
policy_text(struct arena *arena, const struct dmarc_outcome *outcome)
{
    return arena_printf(arena, "%s=%s%s", dmarc_policy_tag_name(outcome->policy_tag),
                        dmarc_policy_name(outcome->policy), outcome->record->testing ? " t=y" : "");
}

/*
 * The end of a list of evidence: where a parent of the author's domain passed that has no record,
 * that it did and how its owner mends it.
 */
static void
add_parent(struct arena *arena, const struct dmarc_outcome *outcome,
           struct finding_evidence evidence[static 3])
{
    size_t n = 0;
    struct str parent = outcome->unaligned_parent;
    if (parent.n > 0) {
        evidence[n++] = EVIDENCE(
            "parent",
            arena_printf(arena, "%.*s passed but has no DMARC record, so it is not aligned",
                         STR_ARG(parent)));
        evidence[n++] = EVIDENCE(
            "remedy",
            arena_printf(arena, "publish \"v=DMARC1; p=none\" at _dmarc.%.*s, or sign as %.*s",
                         STR_ARG(parent), STR_ARG(outcome->author_domain)));
    }
    evidence[n] = (struct finding_evidence){.key = NULL};
}

static void
find_failure(const struct check_input *input, const struct dmarc_outcome *outcome,
             struct finding_list *findings)
{
    static const enum finding_id by_policy[] = {
        [DMARC_POLICY_NONE] = FINDING_DMARC_FAIL_NONE,
        [DMARC_POLICY_QUARANTINE] = FINDING_DMARC_FAIL_QUARANTINE,
        [DMARC_POLICY_REJECT] = FINDING_DMARC_FAIL_REJECT,
    };
    const struct dmarc_override *override = input->auth->override;
    struct finding_evidence evidence[FINDING_EVIDENCE_MAX] = {
        EVIDENCE("from", outcome->author_domain),
        EVIDENCE("policy_domain", outcome->record_domain),
        EVIDENCE("policy", policy_text(input->arena, outcome)),
    };
    size_t n = 3;
    enum finding_id id = by_policy[outcome->effective];
    /* p=none asks for nothing that could be overridden. */
    if (override != NULL && outcome->effective != DMARC_POLICY_NONE) {
        id = FINDING_DMARC_FAIL_OVERRIDDEN;
        evidence[n++] = EVIDENCE("reason", str_from_cstr(dmarc_override_name(override->reason)));
        evidence[n++] = EVIDENCE("comment", override->comment);
    }
    add_parent(input->arena, outcome, evidence + n);
    finding_list_add(findings, id, evidence);
}

static void
find_pass(const struct dmarc_outcome *outcome, struct finding_list *findings)
{
    bool by_dkim = outcome->dkim_aligned.n > 0;
    FINDING_ADD(findings, DMARC_PASS, EVIDENCE("from", outcome->author_domain),
                EVIDENCE("by", by_dkim && outcome->spf_aligned.n > 0 ? STR("dkim spf")
                               : by_dkim                             ? STR("dkim")
                                                                     : STR("spf")),
                EVIDENCE("domain", by_dkim ? outcome->dkim_aligned : outcome->spf_aligned));
}

static void
find_author_unknown(const struct check_input *input, struct finding_list *findings)
{
    const struct mail_author *author = input->auth->author;
    const char *kind =
        input->head_over_limit ? "header_too_large" : mail_author_kind_name(author->kind);
    FINDING_ADD(findings, DMARC_AUTHOR_UNKNOWN, EVIDENCE("author", str_from_cstr(kind)),
                EVIDENCE("doubt", str_from_cstr(mail_author_doubt_name(author->doubt))));
}

/*
 * 5.3.6 has it deferred because the next trial might end in a policy that is applied. Where the
 * policy is known to ask for nothing, there is nothing to wait for.
 */
static void
find_temporary(const struct dmarc_outcome *outcome, struct finding_list *findings)
{
    bool nothing_asked = outcome->policy_known && outcome->effective == DMARC_POLICY_NONE;
    finding_list_add(findings,
                     nothing_asked ? FINDING_DMARC_TEMPERROR_NONE : FINDING_DMARC_TEMPERROR,
                     (const struct finding_evidence[]){EVIDENCE("from", outcome->author_domain),
                                                       EVIDENCE("problem", outcome->problem),
                                                       {.key = NULL}});
}

static void
find_outcome(const struct check_input *input, const struct dmarc_outcome *outcome,
             struct finding_list *findings)
{
    switch (outcome->result) {
    case DMARC_RESULT_NONE:
        FINDING_ADD(findings, DMARC_NONE, EVIDENCE("from", outcome->author_domain));
        break;
    case DMARC_RESULT_PASS:
        find_pass(outcome, findings);
        break;
    case DMARC_RESULT_FAIL:
        find_failure(input, outcome, findings);
        break;
    case DMARC_RESULT_TEMPERROR:
        find_temporary(outcome, findings);
        break;
    case DMARC_RESULT_PERMERROR:
        find_author_unknown(input, findings);
        break;
    }
}

/* What the owner of the domain, or its administrator here, should know. */
static void
find_record_faults(const struct check_input *input, const struct dmarc_outcome *outcome,
                   struct finding_list *findings)
{
    unsigned faults = outcome->record != NULL ? outcome->record->faults : 0;
    bool told =
        outcome->result == DMARC_RESULT_TEMPERROR || outcome->result == DMARC_RESULT_PERMERROR;
    if (faults == 0 && (told || outcome->problem.n == 0)) {
        return;
    }
    FINDING_ADD(findings, DMARC_RECORD_FAULTY, EVIDENCE("from", outcome->author_domain),
                EVIDENCE("policy_domain", outcome->record_domain),
                EVIDENCE("faults", dmarc_record_faults_text(input->arena, faults)),
                EVIDENCE("problem", told ? STR("") : outcome->problem));
}

enum status
check_dmarc(const struct check_input *input, struct finding_list *findings)
{
    struct dmarc_identifier spf;
    struct dmarc_input what;
    if (input->dns == NULL || input->auth == NULL) {
        return STATUS_TEMPORARY;
    }
    struct dmarc_outcome *outcome = arena_alloc(input->arena, sizeof *outcome);
    enum status status = outcome != NULL ? read_author(input) : STATUS_LIMIT;
    if (status == STATUS_OK && input->auth->override == NULL) {
        status = auth_override_find(input, &input->auth->override);
    }
    if (status == STATUS_OK) {
        status = gather(input, &spf, &what);
    }
    if (status == STATUS_OK) {
        status = dmarc_evaluate(input->arena, input->dns, &what, outcome);
    }
    if (status != STATUS_OK) {
        return status;
    }
    input->auth->dmarc = outcome;
    find_outcome(input, outcome, findings);
    find_record_faults(input, outcome, findings);
    return STATUS_OK;
}
