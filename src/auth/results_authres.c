#include "auth/results_authres.h"

#include "auth/arc_verify.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/iprev.h"
#include "auth/spf.h"
#include "base/encode.h"
#include "mail/author.h"

/* Properties of one result, at most. */
#define PROPERTIES_MAX 6u
/* Characters of b= that tell signatures of one domain apart (RFC 6008 3: 8 at least). */
#define B_CHARACTERS   8u

_Static_assert(DKIM_SIGNATURES_MAX <= AUTH_RESULTS_SIGNATURES_MAX, "all that were verified");

/* The object in the making. */
struct collector {
    struct arena *arena;
    const struct auth_results_context *context;
    struct authres_result *items;
    size_t count;
    size_t room;
};

static struct authres_result *
add_result(struct collector *c, const char *method, const char *result)
{
    if (c->count == c->room) {
        return NULL;
    }
    struct authres_result *item = &c->items[c->count];
    struct authres_property *properties =
        arena_alloc_array(c->arena, PROPERTIES_MAX, sizeof *properties);
    if (properties == NULL) {
        return NULL;
    }
    c->count++;
    *item = (struct authres_result){.method = str_from_cstr(method),
                                    .version = 1,
                                    .result = str_from_cstr(result),
                                    .properties = properties};
    return item;
}

static void
add_property(struct authres_result *item, const char *ptype, const char *name, struct str value)
{
    struct authres_property *properties = NULL;
    memcpy(&properties, &item->properties, sizeof properties); /* ours; const for the readers */
    if (value.n > 0 && item->property_count < PROPERTIES_MAX) {
        properties[item->property_count++] = (struct authres_property){
            .ptype = str_from_cstr(ptype), .name = str_from_cstr(name), .value = value};
    }
}

/* ---- the methods */

static enum status
add_iprev(struct collector *c)
{
    char text[IP_TEXT_MAX];
    const struct iprev_outcome *iprev = c->context->results->iprev;
    if (iprev == NULL) {
        return STATUS_OK;
    }
    struct authres_result *item = add_result(c, "iprev", iprev_result_name(iprev->result));
    struct str address = str_from_cstr(ip_format(&c->context->client, text));
    address = arena_str_dup(c->arena, address);
    if (item == NULL || address.p == NULL) {
        return STATUS_LIMIT;
    }
    item->comment = iprev->name;
    add_property(item, "policy", "iprev", address);
    return STATUS_OK;
}

static enum status
add_spf_one(struct collector *c, const struct spf_outcome *spf)
{
    if (spf == NULL) {
        return STATUS_OK;
    }
    struct authres_result *item = add_result(c, "spf", spf_result_name(spf->result));
    if (item == NULL) {
        return STATUS_LIMIT;
    }
    struct spf_input input = {.identity = spf->identity,
                              .helo = spf->helo,
                              .sender = c->context->sender,
                              .client = c->context->client};
    item->reason = spf->problem;
    add_property(item, "smtp", spf_authres_property(spf), spf_authres_value(&input, spf));
    return STATUS_OK;
}

static enum status
add_spf(struct collector *c)
{
    enum status status = add_spf_one(c, c->context->results->spf_mailfrom);
    return status == STATUS_OK ? add_spf_one(c, c->context->results->spf_helo) : status;
}

/* The beginning of b=, which tells signatures of one domain apart (RFC 6008). */
static struct str
signature_mark(struct arena *arena, struct str signature)
{
    return str_head(base64_encode(arena, str_head(signature, B_CHARACTERS)), B_CHARACTERS);
}

static enum status
add_signature(struct collector *c, const struct dkim_outcome *dkim)
{
    enum dkim_result result = dkim_outcome_reported(dkim);
    struct authres_result *item = add_result(c, "dkim", dkim_result_name(result));
    if (item == NULL) {
        return STATUS_LIMIT;
    }
    item->reason = result == dkim->result ? str_from_cstr(dkim_problem_text(dkim->problem))
                                          : STR("the signature leaves out the end of the message");
    if (dkim->key_bits > 0) {
        item->comment = arena_printf(c->arena, "%u-bit key", dkim->key_bits);
    }
    add_property(item, "header", "d", dkim->signature.domain);
    add_property(item, "header", "s", dkim->signature.selector);
    add_property(item, "header", "i", dkim->signature.identity);
    add_property(item, "header", "a", dkim->signature.algorithm_text);
    add_property(item, "header", "b", signature_mark(c->arena, dkim->signature.signature));
    return STATUS_OK;
}

static enum status
add_dkim(struct collector *c)
{
    const struct dkim_outcomes *dkim = c->context->results->dkim;
    if (dkim == NULL) {
        return STATUS_OK;
    }
    if (dkim->count == 0) {
        const char *result = dkim_result_name(dkim_outcomes_best(dkim));
        struct authres_result *item = add_result(c, "dkim", result);
        if (item == NULL) {
            return STATUS_LIMIT;
        }
        item->reason =
            dkim->head_unread ? STR("the header section is too large to be read") : STR("");
        return STATUS_OK;
    }
    enum status status = STATUS_OK;
    size_t looked_at = 0;
    for (size_t i = 0; i < dkim->count; i++) {
        looked_at += dkim->items[i].looked_at ? 1 : 0;
    }
    /* All that were verified, and as many of the others as there is room for. */
    size_t others = AUTH_RESULTS_SIGNATURES_MAX - looked_at;
    for (size_t i = 0; status == STATUS_OK && i < dkim->count; i++) {
        if (dkim->items[i].looked_at || others > 0) {
            others -= dkim->items[i].looked_at ? 0 : 1;
            status = add_signature(c, &dkim->items[i]);
        }
    }
    return status;
}

static enum status
add_arc(struct collector *c)
{
    char text[IP_TEXT_MAX];
    const struct arc_verification *arc = c->context->results->arc;
    if (arc == NULL || c->count == c->room) {
        return arc == NULL ? STATUS_OK : STATUS_LIMIT;
    }
    struct str client =
        arena_str_dup(c->arena, str_from_cstr(ip_format(&c->context->client, text)));
    if (client.p == NULL) {
        return STATUS_LIMIT;
    }
    return arc_authres(c->arena, arc, client, &c->items[c->count++]);
}

static enum status
add_dmarc(struct collector *c)
{
    const struct dmarc_outcome *dmarc = c->context->results->dmarc;
    if (dmarc == NULL) {
        return STATUS_OK;
    }
    struct authres_result *item = add_result(c, "dmarc", dmarc_result_name(dmarc->result));
    if (item == NULL) {
        return STATUS_LIMIT;
    }
    item->reason = dmarc->problem;
    if (dmarc->record != NULL) {
        item->comment =
            arena_printf(c->arena, "%s=%s dis=%.*s", dmarc_policy_tag_name(dmarc->policy_tag),
                         dmarc_policy_name(dmarc->policy), STR_ARG(c->context->disposition));
    }
    add_property(item, "header", "from", dmarc->author_domain);
    return STATUS_OK;
}

enum status
auth_results_collect(struct arena *arena, const struct auth_results_context *context,
                     struct authres *authres_out)
{
    typedef enum status step(struct collector * c);
    static step *const steps[] = {add_dmarc, add_spf, add_dkim, add_arc, add_iprev};
    struct collector c = {.arena = arena,
                          .context = context,
                          .items = arena_alloc_array(arena, AUTHRES_RESULTS_MAX, sizeof *c.items),
                          .room = AUTHRES_RESULTS_MAX};
    enum status status = c.items != NULL ? STATUS_OK : STATUS_LIMIT;
    for (size_t i = 0; status == STATUS_OK && i < sizeof steps / sizeof steps[0]; i++) {
        status = steps[i](&c);
    }
    if (status == STATUS_OK) {
        *authres_out = (struct authres){.authserv_id = context->authserv_id,
                                        .version = AUTHRES_VERSION,
                                        .results = c.items,
                                        .result_count = c.count};
    }
    return status;
}

/* ---- the verdict */

/* The author as DMARC or another check has read it; empty: none, or not known. */
static struct str
author_of(const struct auth_results *results)
{
    if (results->dmarc != NULL) {
        return results->dmarc->author_domain;
    }
    return results->author != NULL ? results->author->domain : STR("");
}

/* A domain is aligned with itself, whether or not there is a policy that has it looked at. */
static const char *
dkim_word(const struct auth_results *results)
{
    struct str author = author_of(results);
    if (results->dkim == NULL) {
        return "unknown";
    }
    bool aligned = results->dmarc != NULL && results->dmarc->dkim_aligned.n > 0;
    bool any = aligned;
    for (size_t i = 0; i < results->dkim->count && !aligned; i++) {
        const struct dkim_outcome *outcome = &results->dkim->items[i];
        bool whole = dkim_outcome_authenticates(outcome);
        any = any || whole;
        aligned = author.n > 0 && whole && str_eq_nocase(outcome->signature.domain, author);
    }
    if (any) {
        return aligned ? dkim_result_name(DKIM_RESULT_PASS) : "unaligned";
    }
    enum dkim_result best = dkim_outcomes_best(results->dkim);
    return dkim_result_name(best == DKIM_RESULT_PASS ? DKIM_RESULT_POLICY : best);
}

static const char *
spf_word(const struct auth_results *results)
{
    const struct spf_outcome *spf = results->spf_mailfrom;
    struct str author = author_of(results);
    if (spf == NULL) {
        return "unknown";
    }
    bool aligned = (results->dmarc != NULL && results->dmarc->spf_aligned.n > 0) ||
                   (author.n > 0 && str_eq_nocase(spf->domain, author));
    return spf->result == SPF_RESULT_PASS && !aligned ? "unaligned" : spf_result_name(spf->result);
}

struct str
auth_results_verdict(struct arena *arena, const struct auth_results *results, const char *action)
{
    struct str author = author_of(results);
    return arena_printf(
        arena, "action=%s dmarc=%s spf=%s dkim=%s arc=%s iprev=%s%s%.*s", action,
        results->dmarc != NULL ? dmarc_result_name(results->dmarc->result) : "unknown",
        spf_word(results), dkim_word(results),
        results->arc != NULL ? arc_result_name(results->arc->result) : "unknown",
        results->iprev != NULL ? iprev_result_name(results->iprev->result) : "unknown",
        author.n > 0 ? " from=" : "", STR_ARG(author));
}
