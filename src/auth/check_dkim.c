/*
 * dkim - the DKIM signatures of the message (RFC 6376 6).
 *
 * Each signature gives one finding with its outcome, and more where there is more to say of it. A
 * signature that does not pass counts as if it were not there (RFC 6376 6.1), so none of this
 * refuses a message; DMARC asks whether a passing one is the author's.
 */
#include "auth/checks.h"
#include "auth/dkim_verify.h"
#include "auth/results.h"
#include "mail/author.h"

/* Keys below it should not be made any more (RFC 8301 3.2). */
#define ORDINARY_BITS  2048u
/* Findings of signatures that cannot be read, or have expired. */
#define UNREADABLE_MAX DKIM_SIGNATURES_MAX

/* What a problem is called when it is not just a permerror. */
static enum finding_id
finding_of(const struct dkim_outcome *outcome)
{
    switch (outcome->result) {
    case DKIM_RESULT_PASS:
        return FINDING_DKIM_PASS;
    case DKIM_RESULT_FAIL:
        return FINDING_DKIM_FAIL;
    case DKIM_RESULT_TEMPERROR:
        return FINDING_DKIM_TEMPERROR;
    case DKIM_RESULT_NONE:
    case DKIM_RESULT_POLICY:
    case DKIM_RESULT_NEUTRAL:
    case DKIM_RESULT_PERMERROR:
    case DKIM_RESULT_COUNT_:
        break;
    }
    switch ((int)outcome->problem) {
    case DKIM_PROBLEM_TIME_EXPIRED:
        return FINDING_DKIM_EXPIRED;
    case DKIM_PROBLEM_ALGORITHM_SHA1:
    case DKIM_PROBLEM_KEY_SMALL:
        return FINDING_DKIM_BROKEN_CRYPTOGRAPHY;
    default:
        return FINDING_DKIM_PERMERROR;
    }
}

static void
add_outcome(struct finding_list *findings, const struct dkim_outcome *outcome)
{
    const struct dkim_signature *signature = &outcome->signature;
    struct finding_evidence evidence[6];
    size_t n = 0;
    if (signature->domain.n > 0) {
        evidence[n++] = EVIDENCE("domain", signature->domain);
    }
    if (signature->selector.n > 0) {
        evidence[n++] = EVIDENCE("selector", signature->selector);
    }
    if (signature->algorithm_text.n > 0) {
        evidence[n++] = EVIDENCE("algorithm", signature->algorithm_text);
    }
    if (outcome->key_bits > 0) {
        evidence[n++] = EVIDENCE("bits", finding_number(findings, outcome->key_bits));
    }
    if (outcome->problem != DKIM_PROBLEM_NONE) {
        evidence[n++] = EVIDENCE("reason", str_from_cstr(dkim_problem_text(outcome->problem)));
    }
    evidence[n] = (struct finding_evidence){.key = NULL};
    finding_list_add(findings, finding_of(outcome), evidence);
}

/* What else there is to know of a signature that was verified. */
static void
add_remarks(struct finding_list *findings, const struct dkim_outcome *outcome)
{
    struct str domain = outcome->signature.domain;
    bool pass = outcome->result == DKIM_RESULT_PASS;
    if (outcome->testing) {
        FINDING_ADD(findings, DKIM_TESTING, EVIDENCE("domain", domain));
    }
    if (pass && outcome->body_limited) {
        FINDING_ADD(findings, DKIM_BODY_LIMITED, EVIDENCE("domain", domain),
                    EVIDENCE("octets", finding_number(findings, outcome->body_uncovered)));
    }
    if (pass && outcome->signature.algorithm == CRYPTO_RSA_SHA256 &&
        outcome->key_bits < ORDINARY_BITS) {
        FINDING_ADD(findings, DKIM_KEY_WEAK, EVIDENCE("domain", domain),
                    EVIDENCE("bits", finding_number(findings, outcome->key_bits)));
    }
}

static void
add_findings(struct finding_list *findings, const struct dkim_outcomes *outcomes)
{
    if (outcomes->total == 0) {
        FINDING_ADD(findings, DKIM_NONE);
    }
    size_t unreadable = 0;
    for (size_t i = 0; i < outcomes->count; i++) {
        const struct dkim_outcome *outcome = &outcomes->items[i];
        /* A message has a limit of findings; junk that anybody can add must not fill it. */
        bool told = outcome->looked_at ||
                    (outcome->problem != DKIM_PROBLEM_COUNT && unreadable++ < UNREADABLE_MAX);
        if (told) {
            add_outcome(findings, &outcomes->items[i]);
            add_remarks(findings, &outcomes->items[i]);
        }
    }
    if (outcomes->total > DKIM_SIGNATURES_MAX) {
        FINDING_ADD(findings, DKIM_MANY,
                    EVIDENCE("signatures", finding_number(findings, outcomes->total)));
    }
}

/* Empty where there is none. It only orders the work, so nothing is wrong with that. */
static struct str
author_domain(const struct check_input *input)
{
    struct mail_author author;
    if (input->auth != NULL && input->auth->author != NULL) {
        return input->auth->author->domain;
    }
    return mail_author_read(input->arena, input->head, &author) == STATUS_OK ? author.domain
                                                                             : STR("");
}

static enum status
verify(const struct check_input *input, struct dkim_outcomes *outcomes)
{
    struct dkim_lookup lookup;
    struct str body = str_skip(input->content, input->head->raw.n);
    const struct dkim_verify_input message = {
        .head = input->head,
        .body = body,
        .now = input->received_ms / 1000,
        .utf8 = input->smtputf8,
        .author_domain = author_domain(input),
        .hasher = auth_results_hasher(input->auth, input->arena, body),
    };
    dkim_lookup_init(&lookup, input->arena, input->dns,
                     input->auth != NULL ? input->auth->keys : NULL);
    return dkim_verify(input->arena, &message, &lookup, outcomes);
}

enum status
check_dkim(const struct check_input *input, struct finding_list *findings)
{
    if (input->dns == NULL) {
        return STATUS_TEMPORARY;
    }
    struct dkim_outcomes *outcomes = arena_alloc(input->arena, sizeof *outcomes);
    if (outcomes == NULL) {
        return STATUS_LIMIT;
    }
    if (input->head_over_limit) {
        outcomes->head_unread = true;
        FINDING_ADD(findings, DKIM_PERMERROR,
                    EVIDENCE("reason", STR("the header section is too large to be read")));
    } else {
        enum status status = verify(input, outcomes);
        if (status != STATUS_OK) {
            return status;
        }
        add_findings(findings, outcomes);
    }
    if (input->auth != NULL) {
        input->auth->dkim = outcomes;
    }
    return STATUS_OK;
}
