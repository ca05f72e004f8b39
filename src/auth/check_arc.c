/*
 * arc - the chain of seals that those left who forwarded the message (RFC 8617 5.2).
 *
 * A chain that failed is as good as none (5.2), so it speaks neither way. One that passed says who
 * forwarded the message, which counts for something only with sealers that are trusted.
 */
#include "auth/checks.h"

#include "auth/arc_override.h"
#include "auth/results.h"
#include "mail/author.h"

/* The author as another check has read it, or read now. STATUS_LIMIT: the arena is full. */
static enum status
find_author(const struct check_input *input, struct mail_author *author)
{
    if (input->auth != NULL && input->auth->author != NULL) {
        *author = *input->auth->author;
        return STATUS_OK;
    }
    return mail_author_read(input->arena, input->head, author);
}

static enum status
find_voucher(const struct check_input *input, const struct arc_verification *verification,
             struct finding_list *findings)
{
    const struct config_texts *trusted = &input->config->authentication.arc.trusted_sealers;
    struct mail_author author;
    struct arc_voucher voucher;
    enum status status = trusted->count > 0 ? find_author(input, &author) : STATUS_OK;
    if (status != STATUS_OK || trusted->count == 0 || !mail_author_is_known(&author)) {
        return status;
    }
    if (arc_override(input->arena, verification, trusted->items, trusted->count, author.domain,
                     &voucher)) {
        FINDING_ADD(findings, ARC_VOUCHED, EVIDENCE("sealer", voucher.sealer),
                    EVIDENCE("instance", finding_number(findings, voucher.instance)),
                    EVIDENCE("domain", author.domain));
    }
    return STATUS_OK;
}

static enum status
add_findings(const struct check_input *input, const struct arc_verification *verification,
             struct finding_list *findings)
{
    size_t count = verification->chain.count;
    switch (verification->result) {
    case ARC_RESULT_NONE:
        return STATUS_OK;
    case ARC_RESULT_PASS:
        FINDING_ADD(findings, ARC_PASS,
                    EVIDENCE("sealer", verification->chain.sets[count - 1].seal.domain),
                    EVIDENCE("sets", finding_number(findings, count)),
                    EVIDENCE("oldest_pass", finding_number(findings, verification->oldest_pass)));
        return find_voucher(input, verification, findings);
    case ARC_RESULT_FAIL:
        break;
    }
    struct finding_evidence instance =
        EVIDENCE("instance", finding_number(findings, verification->instance));
    if (verification->temporary) {
        FINDING_ADD(findings, ARC_UNVERIFIED, EVIDENCE("reason", verification->reason), instance);
    } else {
        FINDING_ADD(findings, ARC_FAIL, EVIDENCE("reason", verification->reason), instance);
    }
    return STATUS_OK;
}

/* Only a chain needs the DNS. */
static bool
has_chain(const struct mail_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (arc_part_find(&head->fields[i]) != ARC_PART_COUNT_) {
            return true;
        }
    }
    return false;
}

enum status
check_arc(const struct check_input *input, struct finding_list *findings)
{
    struct arc_verify_input what = {.head = input->head, .now = input->received_ms / 1000};
    struct arc_verification *verification = arena_alloc(input->arena, sizeof *verification);
    struct dkim_lookup lookup;
    bool chain = has_chain(input->head);
    if (input->dns == NULL && chain) {
        return STATUS_TEMPORARY;
    }
    if (verification == NULL) {
        return STATUS_LIMIT;
    }
    if (input->head_over_limit) {
        /* Not read, so that it cannot be said that there is no chain (RFC 8617 5.2: then it fails).
         */
        *verification = (struct arc_verification){
            .result = ARC_RESULT_FAIL, .reason = STR("the header section is too large to be read")};
        if (input->auth != NULL) {
            input->auth->arc = verification;
        }
        return STATUS_OK;
    }
    what.body = str_skip(input->content, input->head->raw.n);
    what.hasher = chain ? auth_results_hasher(input->auth, input->arena, what.body) : NULL;
    dkim_lookup_init(&lookup, input->arena, input->dns,
                     input->auth != NULL ? input->auth->keys : NULL);
    enum status status = arc_verify(input->arena, &what, &lookup, verification);
    if (status != STATUS_OK) {
        return status;
    }
    if (input->auth != NULL) {
        input->auth->arc = verification;
    }
    return add_findings(input, verification, findings);
}
