#include "auth/override.h"

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
