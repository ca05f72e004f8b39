/*
 * own_domain - mail from outside that has one of our domains as its author's or its sender's.
 *
 * Mail of our users comes from them, logged in, or from our hosts; what comes from anybody else in
 * the name of our domains is either sent for us by a service, comes back from a mailing list or a
 * forwarder, or is a lie. DMARC tells these apart only where the domain has a record. So this check
 * says how it was proven, whatever is published. Only a message of which nothing at all is proven,
 * and whose sender's own SPF record disowns the client, is called a forgery: the others may be
 * honest.
 *
 * Its row stands behind those of SPF, DKIM, ARC and DMARC: it asks what they have left.
 */
#include "auth/arc_verify.h"
#include "auth/checks.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "dns/name.h"
#include "mail/author.h"

/* Our domain that `name` is or lies below; NULL: it is not ours. */
static const struct config_domain *
own_domain(const struct config *config, struct str name)
{
    const struct config_domain *own = NULL;
    struct str label;
    bool more = name.n <= DNS_NAME_TEXT_MAX;
    while (more && own == NULL) {
        own = config_domain_find(config, name);
        more = str_cut(name, '.', &label, &name);
    }
    return own;
}

/* ---- what is proven */

/* A proven name speaks for ours when one of them lies below the other, or both below our domain. */
static bool
speaks_for(struct str proven, struct str domain, const struct config_domain *own)
{
    return proven.n > 0 &&
           (dns_name_is_within(proven, own->name) || dns_name_is_within(domain, proven));
}

static bool
spf_passed(const struct spf_outcome *spf)
{
    return spf != NULL && spf->result == SPF_RESULT_PASS;
}

/* RFC 9989 4.4.2: SPF counts with the MAIL FROM identity. */
static bool
is_proven(const struct auth_results *auth, struct str domain, const struct config_domain *own)
{
    if (spf_passed(auth->spf_mailfrom) && speaks_for(auth->spf_mailfrom->domain, domain, own)) {
        return true;
    }
    for (size_t i = 0; auth->dkim != NULL && i < auth->dkim->count; i++) {
        const struct dkim_outcome *outcome = &auth->dkim->items[i];
        if (dkim_outcome_authenticates(outcome) &&
            speaks_for(outcome->signature.domain, domain, own)) {
            return true;
        }
    }
    return false;
}

/* Anything speaks for the message, or might: what was not answered is not a failure. */
static bool
anything_speaks(const struct auth_results *auth)
{
    if (auth->spf_mailfrom == NULL || auth->dkim == NULL || auth->override != NULL ||
        spf_passed(auth->spf_mailfrom) || spf_passed(auth->spf_helo)) {
        return true;
    }
    if (auth->arc != NULL && (auth->arc->result == ARC_RESULT_PASS || auth->arc->temporary)) {
        return true;
    }
    for (size_t i = 0; i < auth->dkim->count; i++) {
        enum dkim_result result = auth->dkim->items[i].result;
        if (result == DKIM_RESULT_PASS || result == DKIM_RESULT_TEMPERROR) {
            return true;
        }
    }
    return false;
}

/* ---- findings */

/* The SPF record of the sender's domain, which is ours, says that the client may not send for it.
 */
static bool
own_spf_fails(const struct check_input *input)
{
    const struct spf_outcome *spf = input->auth->spf_mailfrom;
    return input->sender.n > 0 && spf != NULL && spf->result == SPF_RESULT_FAIL &&
           own_domain(input->config, spf->domain) != NULL;
}

/* Notes where one of our domains stands; false when the domain is not ours. */
static bool
note_domain(const struct check_input *input, struct str domain, const char *place,
            struct finding_list *findings)
{
    char client[IP_TEXT_MAX];
    const struct config_domain *own = own_domain(input->config, domain);
    if (own == NULL) {
        return false;
    }
    bool forged = own_spf_fails(input) && !anything_speaks(input->auth);
    enum finding_id id = is_proven(input->auth, domain, own) ? FINDING_OWN_DOMAIN_PROVEN
                         : forged                            ? FINDING_OWN_DOMAIN_FORGED
                                                             : FINDING_OWN_DOMAIN_UNPROVEN;
    ip_format(&input->client, client);
    finding_list_add(findings, id,
                     (const struct finding_evidence[]){EVIDENCE("domain", domain),
                                                       EVIDENCE("place", str_from_cstr(place)),
                                                       EVIDENCE("client", str_from_cstr(client)),
                                                       {.key = NULL}});
    return true;
}

/* Each author that can be read, also where there is no single one; the first of ours is enough. */
static enum status
check_from(const struct check_input *input, struct finding_list *findings)
{
    struct mail_author read;
    const struct mail_author *author = input->auth->author;
    if (author == NULL) {
        enum status status = mail_author_read(input->arena, input->head, &read);
        if (status != STATUS_OK) {
            return status;
        }
        author = &read;
    }
    for (size_t i = 0; i < author->mailbox_count; i++) {
        if (note_domain(input, author->mailboxes[i].domain, "From", findings)) {
            break;
        }
    }
    return STATUS_OK;
}

enum status
check_own_domain(const struct check_input *input, struct finding_list *findings)
{
    if (input->auth == NULL) {
        return STATUS_TEMPORARY;
    }
    size_t at = str_rfind_char(input->sender, '@');
    if (at != STR_NPOS) {
        (void)note_domain(input, str_skip(input->sender, at + 1), "sender", findings);
    }
    return input->head_over_limit ? STATUS_OK : check_from(input, findings);
}
