#include "roles/filter/sign.h"

#include "auth/arc_seal.h"
#include "auth/dkim_sign.h"
#include "auth/results_authres.h"
#include "base/log.h"
#include "mail/author.h"
#include "roles/filter/encode.h"
#include "smtp/address.h"

/* Labels that are looked at above the author's domain for a key. */
#define PARENTS_MAX 127u

/* The header section that leaves, read again: signatures cover what is sent. */
static enum status
read_again(const struct outgoing_input *input, const struct outgoing_copy *copy,
           struct mail_head *head_out)
{
    struct mail_head_limits limits = {SIZE_MAX, SIZE_MAX};
    return mail_head_parse(input->arena, copy->head, &limits, head_out);
}

static enum status
put_on_top(struct arena *arena, struct str fields, struct outgoing_copy *copy)
{
    struct str head = arena_printf(arena, "%.*s%.*s", STR_ARG(fields), STR_ARG(copy->head));
    if (head.p == NULL) {
        return STATUS_LIMIT;
    }
    copy->head = head;
    return STATUS_OK;
}

/* ---- which keys */

/*
 * The nearest domain with keys: the author's own, else one above it, whose signature is aligned in
 * relaxed mode (RFC 9989 4.4.1).
 */
static size_t
find_keys(const struct key_ring *keys, struct str *domain,
          const struct key_ring_entry *found_out[VAULT_SIGNERS_MAX])
{
    struct str name = *domain;
    for (unsigned i = 0; i < PARENTS_MAX && name.n > 0; i++) {
        size_t n = key_ring_find(keys, name, found_out, VAULT_SIGNERS_MAX);
        if (n > 0) {
            *domain = name;
            return n;
        }
        size_t dot = str_find_char(name, '.');
        name = dot != STR_NPOS ? str_skip(name, dot + 1) : str_make(NULL, 0);
    }
    return 0;
}

/* The author as rules name him; empty where there is none that could sign. */
static enum status
author_of(const struct outgoing_input *input, struct str *address_out, struct str *domain_out)
{
    struct mail_author author;
    *address_out = *domain_out = STR("");
    enum status status = mail_author_read(input->arena, input->checked->head, &author);
    if (status != STATUS_OK || !mail_author_is_known(&author)) {
        return status == STATUS_LIMIT ? status : STATUS_OK;
    }
    *domain_out = author.domain;
    *address_out = arena_printf(input->arena, "%.*s@%.*s", STR_ARG(author.mailboxes[0].local),
                                STR_ARG(author.domain));
    return address_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* False when a rule says that this author is not signed for. */
static bool
apply_rules(const struct config_dkim *dkim, struct str address, struct str *domain)
{
    for (size_t i = 0; i < dkim->rules.count; i++) {
        const struct config_dkim_rule *rule = &dkim->rules.items[i];
        if (smtp_address_fits(address, rule->sender)) {
            *domain = rule->domain.n > 0 ? rule->domain : *domain;
            return rule->sign;
        }
    }
    return true;
}

/* ---- DKIM */

static enum status
sign_with(const struct outgoing_input *input, struct outgoing_copy *copy, struct str domain,
          const struct key_ring_entry *const *keys, size_t count)
{
    struct mail_head head;
    struct vault_signer signers[VAULT_SIGNERS_MAX];
    struct dkim_sign_key sign_keys[VAULT_SIGNERS_MAX];
    struct buf fields;
    for (size_t i = 0; i < count; i++) {
        signers[i] = (struct vault_signer){input->vault, keys[i]};
        sign_keys[i] = (struct dkim_sign_key){keys[i]->selector, vault_signer_make(&signers[i])};
    }
    enum status status = read_again(input, copy, &head);
    if (status != STATUS_OK) {
        return status;
    }
    struct dkim_sign_request request = {
        .head = &head,
        .body = copy->body,
        .domain = domain,
        .keys = sign_keys,
        .key_count = count,
        .head_form = CANONICAL_RELAXED,
        .body_form = CANONICAL_RELAXED,
        .time = input->submit->received_ms / 1000,
        .expires = DKIM_NO_TIME,
    };
    buf_init(&fields, DKIM_SIGN_FIELDS_MAX);
    status = dkim_sign(input->arena, &request, &fields);
    if (status == STATUS_OK) {
        status = put_on_top(input->arena, buf_str(&fields), copy);
    }
    buf_free(&fields);
    return status;
}

static enum status
sign(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    const struct key_ring_entry *keys[VAULT_SIGNERS_MAX];
    struct str address;
    struct str domain;
    enum status status = author_of(input, &address, &domain);
    if (status != STATUS_OK || domain.n == 0 ||
        !apply_rules(&input->config->authentication.dkim, address, &domain)) {
        return status;
    }
    size_t count = find_keys(input->keys, &domain, keys);
    if (count == 0) {
        return STATUS_OK;
    }
    status = filter_encode(input, copy, trace);
    if (status == STATUS_OK) {
        status = sign_with(input, copy, domain, keys, count);
    }
    if (status == STATUS_SYNTAX || status == STATUS_NOT_FOUND) {
        /* A key that was retired this moment, or a header that cannot be signed. */
        LOG_WARN("a message leaves unsigned", LOG_STR("id", input->submit->id),
                 LOG_STR("domain", domain), LOG_CSTR("reason", status_name(status)));
        return STATUS_OK;
    }
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        TRACE(trace, signed, .domain = domain, .selector = keys[i]->selector,
              .algorithm = str_from_cstr(crypto_algorithm_name(keys[i]->algorithm)));
    }
    return status;
}

/* ---- ARC */

static bool
wants_seal(const struct outgoing_input *input, const struct outgoing_copy *copy)
{
    switch (input->config->authentication.arc.seal) {
    case CONFIG_SEAL_NEVER:
        return false;
    case CONFIG_SEAL_FORWARDED:
        return copy->is_forwarded;
    case CONFIG_SEAL_INBOUND:
        return input->checked->direction == CHECK_INBOUND;
    }
    return false;
}

/* RFC 8617 has RSA only. */
static const struct key_ring_entry *
sealing_key(const struct outgoing_input *input, const struct outgoing_copy *copy)
{
    const struct key_ring_entry *keys[VAULT_SIGNERS_MAX];
    struct str domain = copy->domain;
    if (domain.n == 0 && copy->recipient_count > 0) {
        struct str address = copy->recipients[0].address;
        size_t at = str_rfind_char(address, '@');
        domain = at != STR_NPOS ? str_skip(address, at + 1) : domain;
    }
    size_t count = find_keys(input->keys, &domain, keys);
    for (size_t i = 0; i < count; i++) {
        if (keys[i]->algorithm == CRYPTO_RSA_SHA256) {
            return keys[i];
        }
    }
    return NULL;
}

static enum status
results_for_seal(const struct outgoing_input *input, struct str *results_out)
{
    struct authres authres;
    struct authres_write_options options = {.utf8 = input->checked->smtputf8};
    struct auth_results_context context = {
        .results = input->checked->auth,
        .authserv_id = config_authserv_id(input->config),
        .client = input->checked->client,
        .sender = input->checked->sender,
        .disposition = outgoing_disposition(input->decision),
    };
    enum status status = auth_results_collect(input->arena, &context, &authres);
    return status == STATUS_OK ? authres_write(input->arena, &authres, &options, results_out)
                               : status;
}

static enum status
put_seal(const struct outgoing_input *input, struct outgoing_copy *copy,
         const struct arc_sealing *sealing)
{
    static const char *const names[ARC_PART_COUNT_] = {
        [ARC_PART_RESULTS] = "ARC-Authentication-Results",
        [ARC_PART_SIGNATURE] = "ARC-Message-Signature",
        [ARC_PART_SEAL] = "ARC-Seal",
    };
    enum status status = STATUS_OK;
    for (unsigned i = 0; status == STATUS_OK && i < ARC_PART_COUNT_; i++) {
        struct str field =
            arena_printf(input->arena, "%s: %.*s\r\n", names[i], STR_ARG(sealing->values[i]));
        status = field.p != NULL ? put_on_top(input->arena, field, copy) : STATUS_LIMIT;
    }
    return status;
}

static enum status
seal(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    const struct key_ring_entry *key = sealing_key(input, copy);
    struct arc_sealing sealing;
    struct mail_head head;
    struct str results;
    if (key == NULL || input->checked->auth->arc == NULL) {
        return STATUS_OK;
    }
    struct vault_signer signer = {input->vault, key};
    struct crypto_signer crypto = vault_signer_make(&signer);
    enum status status = results_for_seal(input, &results);
    if (status == STATUS_OK) {
        status = read_again(input, copy, &head);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct arc_seal_settings settings = {.domain = key->domain,
                                         .selector = key->selector,
                                         .signer = &crypto,
                                         .results = results,
                                         .now = input->submit->received_ms / 1000};
    status =
        arc_seal(input->arena, &head, copy->body, input->checked->auth->arc, &settings, &sealing);
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && sealing.result != ARC_SEAL_DONE)) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = put_seal(input, copy, &sealing);
    }
    if (status == STATUS_OK) {
        TRACE(trace, sealed, .domain = key->domain, .selector = key->selector,
              .instance = sealing.instance, .chain = str_from_cstr(arc_cv_name(sealing.cv)));
    }
    return status;
}

enum status
filter_sign(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    bool outbound = input->checked->direction == CHECK_OUTBOUND;
    bool wanted = outbound ? input->config->authentication.dkim.sign : wants_seal(input, copy);
    /* Nothing is vouched for that was not read. */
    if (!wanted || input->checked->head_over_limit) {
        return STATUS_OK;
    }
    if (!key_ring_is_known(input->keys)) {
        return STATUS_TEMPORARY; /* not to know of a key is not to have none */
    }
    return outbound ? sign(input, copy, trace) : seal(input, copy, trace);
}
