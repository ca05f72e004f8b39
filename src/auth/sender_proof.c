#include "auth/sender_proof.h"

#include "auth/dkim_verify.h"
#include "auth/spf.h"
#include "dns/name.h"

bool
auth_sender_is_proven(const struct auth_results *results, struct str sender)
{
    size_t at = str_rfind_char(sender, '@');
    if (at == STR_NPOS) {
        return false;
    }
    if (results->spf_mailfrom != NULL && results->spf_mailfrom->result == SPF_RESULT_PASS) {
        return true;
    }
    struct str domain = str_skip(sender, at + 1);
    for (size_t i = 0; results->dkim != NULL && i < results->dkim->count; i++) {
        const struct dkim_outcome *outcome = &results->dkim->items[i];
        if (dkim_outcome_authenticates(outcome) && outcome->signature.domain.n > 0 &&
            dns_name_is_within(domain, outcome->signature.domain)) {
            return true;
        }
    }
    return false;
}
