/*
 * spf - whether the client may use the domains of HELO and MAIL FROM (RFC 7208).
 *
 * Each identity gives one finding, whatever the result. A message is not refused for SPF alone by
 * default: forwarded mail fails, and DMARC knows what the author's domain asks for.
 */
#include "auth/checks.h"
#include "auth/results.h"
#include "auth/spf.h"

/* The finding of each result. */
static const enum finding_id findings_of[2][SPF_RESULT_COUNT] = {
    [SPF_IDENTITY_HELO] =
        {
            [SPF_RESULT_NONE] = FINDING_SPF_HELO_NONE,
            [SPF_RESULT_NEUTRAL] = FINDING_SPF_HELO_NEUTRAL,
            [SPF_RESULT_PASS] = FINDING_SPF_HELO_PASS,
            [SPF_RESULT_FAIL] = FINDING_SPF_HELO_FAIL,
            [SPF_RESULT_SOFTFAIL] = FINDING_SPF_HELO_SOFTFAIL,
            [SPF_RESULT_TEMPERROR] = FINDING_SPF_HELO_TEMPERROR,
            [SPF_RESULT_PERMERROR] = FINDING_SPF_HELO_PERMERROR,
        },
    [SPF_IDENTITY_MAILFROM] =
        {
            [SPF_RESULT_NONE] = FINDING_SPF_NONE,
            [SPF_RESULT_NEUTRAL] = FINDING_SPF_NEUTRAL,
            [SPF_RESULT_PASS] = FINDING_SPF_PASS,
            [SPF_RESULT_FAIL] = FINDING_SPF_FAIL,
            [SPF_RESULT_SOFTFAIL] = FINDING_SPF_SOFTFAIL,
            [SPF_RESULT_TEMPERROR] = FINDING_SPF_TEMPERROR,
            [SPF_RESULT_PERMERROR] = FINDING_SPF_PERMERROR,
        },
};

static void
add_finding(struct finding_list *findings, const struct spf_outcome *outcome,
            const struct ip_address *client)
{
    char ip[IP_TEXT_MAX];
    struct finding_evidence evidence[6];
    size_t n = 0;
    evidence[n++] = EVIDENCE("domain", outcome->domain);
    evidence[n++] = EVIDENCE("client", str_from_cstr(ip_format(client, ip)));
    if (outcome->mechanism.n > 0) {
        evidence[n++] = EVIDENCE("mechanism", outcome->mechanism);
    }
    if (outcome->explanation.n > 0) {
        evidence[n++] = EVIDENCE("explanation", outcome->explanation);
    }
    if (outcome->problem.n > 0) {
        evidence[n++] = EVIDENCE("problem", outcome->problem);
    }
    evidence[n] = (struct finding_evidence){.key = NULL};
    finding_list_add(findings, findings_of[outcome->identity][outcome->result], evidence);
}

/* Both identities. With a null path they are the same question (RFC 7208 2.4), asked once. */
static enum status
evaluate(const struct check_input *input, struct spf_outcome *helo, struct spf_outcome *mailfrom)
{
    struct spf_input question = {
        .dns = input->dns,
        .arena = input->arena,
        .identity = SPF_IDENTITY_HELO,
        .client = input->client,
        .helo = input->helo,
        .sender = input->sender,
        .receiver = input->config->hostname,
        .now = input->received_ms / 1000,
    };
    enum status status = spf_check(&question, helo);
    if (status != STATUS_OK) {
        return status;
    }
    question.identity = SPF_IDENTITY_MAILFROM;
    if (input->sender.n > 0) {
        return spf_check(&question, mailfrom);
    }
    *mailfrom = *helo;
    mailfrom->identity = SPF_IDENTITY_MAILFROM;
    return STATUS_OK;
}

enum status
check_spf(const struct check_input *input, struct finding_list *findings)
{
    if (input->dns == NULL) {
        return STATUS_TEMPORARY;
    }
    struct spf_outcome *helo = arena_alloc(input->arena, sizeof *helo);
    struct spf_outcome *mailfrom = arena_alloc(input->arena, sizeof *mailfrom);
    if (helo == NULL || mailfrom == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = evaluate(input, helo, mailfrom);
    if (status != STATUS_OK) {
        return status;
    }
    add_finding(findings, helo, &input->client);
    add_finding(findings, mailfrom, &input->client);
    if (input->auth != NULL) {
        input->auth->spf_helo = helo;
        input->auth->spf_mailfrom = mailfrom;
    }
    return STATUS_OK;
}
