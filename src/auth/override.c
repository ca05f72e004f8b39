#include "auth/override.h"

#include "auth/arc_override.h"
#include "auth/results.h"
#include "mail/author.h"

static bool
covers(struct str pattern, struct str domain)
{
    if (pattern.n > 0 && pattern.p[0] == '.') {
        return domain.n > pattern.n && str_ends_with(domain, pattern);
    }
    return str_eq(pattern, domain);
}

static const struct config_dmarc_exception *
exception_of(const struct config_dmarc *dmarc, struct str domain)
{
    for (size_t i = 0; domain.n > 0 && i < dmarc->exceptions.count; i++) {
        if (covers(dmarc->exceptions.items[i].domain, domain)) {
            return &dmarc->exceptions.items[i];
        }
    }
    return NULL;
}

/* Whether a trusted chain vouches; the comment then names its sealers (RFC 8617 7.2.2). */
static bool
is_vouched_for(const struct check_input *input, struct str domain, struct str *comment_out)
{
    struct arc_voucher voucher;
    const struct arc_verification *arc = input->auth->arc;
    const struct config_texts *trusted = &input->config->authentication.arc.trusted_sealers;
    if (arc == NULL || domain.n == 0 ||
        !arc_override(input->arena, arc, trusted->items, trusted->count, domain, &voucher)) {
        return false;
    }
    *comment_out = arc_override_comment(input->arena, arc);
    return comment_out->p != NULL;
}

enum status
auth_override_find(const struct check_input *input, const struct dmarc_override **override_out)
{
    const struct config_dmarc *dmarc = &input->config->authentication.dmarc;
    struct str domain = input->auth->author->domain;
    const struct config_dmarc_exception *exception = exception_of(dmarc, domain);
    struct dmarc_override found = {.reason = DMARC_OVERRIDE_NONE};
    if (exception != NULL) {
        found.reason = DMARC_OVERRIDE_LOCAL_POLICY;
        found.comment = exception->reason;
    } else if (!dmarc->enforce) {
        found.reason = DMARC_OVERRIDE_LOCAL_POLICY;
    } else if (is_vouched_for(input, domain, &found.comment)) {
        found.reason = DMARC_OVERRIDE_TRUSTED_FORWARDER;
    } else {
        *override_out = NULL;
        return STATUS_OK;
    }
    struct dmarc_override *override = arena_alloc(input->arena, sizeof *override);
    if (override == NULL) {
        return STATUS_LIMIT;
    }
    *override = found;
    *override_out = override;
    return STATUS_OK;
}
