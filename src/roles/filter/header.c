#include "roles/filter/header.h"

#include "auth/authres_strip.h"
#include "auth/dkim_verify.h"
#include "auth/results_authres.h"
#include "base/clock.h"
#include "check/mend.h"
#include "config/local_user.h"
#include "roles/filter/outgoing.h"
#include "smtp/envelope.h"
#include "smtp/received.h"

/* Where a list of tags is folded (RFC 5322 2.1.1 recommends lines of at most 78). */
#define FOLD_AT 70u

bool
filter_is_submission(const struct msg_submit *submit)
{
    return submit->user.n > 0 || submit->listener_kind != CONFIG_LISTENER_MX;
}

/* ---- what is mended */

/*
 * True when a signature may hold that would not, were one blank in the header another (RFC 6376
 * 3.4.1): one that was found good, one whose key was not to be had, and any that was not looked at.
 */
static bool
may_be_signed_simply(const struct filter_header_input *input)
{
    const struct auth_results *auth = input->checked->auth;
    if (auth == NULL || auth->dkim == NULL) {
        return input->head->counts[MAIL_FIELD_DKIM_SIGNATURE] > 0;
    }
    for (size_t i = 0; i < auth->dkim->count; i++) {
        const struct dkim_outcome *outcome = &auth->dkim->items[i];
        bool may_hold =
            outcome->result == DKIM_RESULT_PASS || outcome->result == DKIM_RESULT_TEMPERROR;
        if (may_hold && outcome->signature.head == CANONICAL_SIMPLE) {
            return true;
        }
    }
    return false;
}

/* ---- what goes */

static enum status
remove_all(struct mail_edits *edits, enum mail_field_id id, const char *why)
{
    const struct mail_head *head = edits->head;
    for (size_t i = 0; i < head->field_count && head->counts[id] > 0; i++) {
        if (head->fields[i].id != id) {
            continue;
        }
        enum status status = mail_edits_remove(edits, &head->fields[i], why);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* RFC 8601 5: what speaks in our name must not come from outside. */
static enum status
remove_claims(const struct filter_header_input *input, struct mail_edits *edits)
{
    struct str id = config_authserv_id(input->config);
    struct authres_strip_names names = {
        .authserv_ids = &id,
        .authserv_id_count = 1,
        .verdict = input->config->authentication.verdict_field,
        .nameless = true,
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < edits->head->field_count && status == STATUS_OK; i++) {
        const struct mail_field *field = &edits->head->fields[i];
        enum authres_strip why = authres_strip_field(edits->arena, field, &names);
        if (why != AUTHRES_STRIP_KEEP) {
            status = mail_edits_remove(edits, field, authres_strip_text(why));
        }
    }
    return status;
}

static enum status
remove_fields(const struct filter_header_input *input, struct mail_edits *edits)
{
    enum status status = remove_all(edits, MAIL_FIELD_RETURN_PATH, "RFC 5321 4.4");
    if (status == STATUS_OK) {
        status = remove_claims(input, edits);
    }
    if (status == STATUS_OK) {
        status = remove_all(edits, MAIL_FIELD_X_POSTERN_FINDINGS, "not ours");
    }
    if (status == STATUS_OK && filter_is_submission(input->submit)) {
        /* RFC 5322 3.6.3: the recipients are in the envelope; nobody else shall see them. */
        status = remove_all(edits, MAIL_FIELD_BCC, "RFC 5322 3.6.3");
    }
    if (status == STATUS_OK && filter_is_submission(input->submit)) {
        status = remove_all(edits, MAIL_FIELD_RESENT_BCC, "RFC 5322 3.6.6");
    }
    return status;
}

/* ---- what comes */

/* What users send is completed as configured, what the hosts of a zone send where it is mended. */
static bool
is_completed(const struct filter_header_input *input, bool of_users)
{
    const struct config_zone *zone = config_zone_find(input->config, input->submit->zone);
    return filter_is_submission(input->submit) ? of_users
                                               : check_mend_is_wanted(input->checked, zone);
}

static enum status
add_date(const struct filter_header_input *input, struct mail_edits *edits)
{
    if (!is_completed(input, input->config->submission.add_date) ||
        input->head->counts[MAIL_FIELD_DATE] > 0) {
        return STATUS_OK;
    }
    struct str date = clock_format_rfc5322(edits->arena, input->submit->received_ms);
    return mail_edits_prepend(edits, mail_field_name(MAIL_FIELD_DATE), date, "RFC 6409 8.2");
}

static enum status
add_message_id(const struct filter_header_input *input, struct mail_edits *edits)
{
    if (!is_completed(input, input->config->submission.add_message_id) ||
        input->head->counts[MAIL_FIELD_MESSAGE_ID] > 0) {
        return STATUS_OK;
    }
    struct str id = arena_printf(edits->arena, "<%.*s@%.*s>", STR_ARG(input->submit->id),
                                 STR_ARG(input->config->hostname));
    return mail_edits_prepend(edits, mail_field_name(MAIL_FIELD_MESSAGE_ID), id, "RFC 6409 8.3");
}

/* Puts a line break behind the first ", " after FOLD_AT octets of a line. */
static struct str
fold_list(struct arena *arena, struct str list)
{
    struct str folded = {0};
    size_t line = 0;
    char *out = arena_alloc(arena, 2 * list.n + 1);
    if (out == NULL) {
        return folded;
    }
    folded.p = out;
    for (size_t i = 0; i < list.n; i++) {
        bool fold = list.p[i] == ' ' && line >= FOLD_AT;
        if (fold) {
            out[folded.n++] = '\r';
            out[folded.n++] = '\n';
        }
        out[folded.n++] = list.p[i];
        line = fold ? 1 : line + 1;
    }
    return folded;
}

static enum status
add_tags(const struct filter_header_input *input, struct mail_edits *edits)
{
    if (input->decision->tags.n == 0) {
        return STATUS_OK;
    }
    return mail_edits_prepend(edits, mail_field_name(MAIL_FIELD_X_POSTERN_FINDINGS),
                              fold_list(edits->arena, input->decision->tags), "findings");
}

/* What RCPT said, when it said one thing only. */
static struct str
only_original(const struct filter_header_input *input)
{
    const struct record_recipient *recipients = input->recipients;
    for (size_t i = 1; i < input->recipient_count; i++) {
        if (!str_eq(recipients[i].original, recipients[0].original)) {
            return str_make(NULL, 0);
        }
    }
    return recipients[0].original;
}

/*
 * Of a message that is forwarded, the address it was forwarded from: when it comes back, the check
 * `loop` knows it. Only where RCPT named one address: a field with the others would tell recipients
 * of each other. (With several, the number of Received fields ends a loop.)
 */
static enum status
add_delivered_to(const struct filter_header_input *input, struct mail_edits *edits)
{
    struct str original = only_original(input);
    for (size_t i = 0; original.n > 0 && i < input->recipient_count; i++) {
        if (!str_eq_nocase(input->recipients[i].address, original)) {
            return mail_edits_prepend(edits, mail_field_name(MAIL_FIELD_DELIVERED_TO), original,
                                      "RFC 9228 4");
        }
    }
    return STATUS_OK;
}

/* The name in HELO in a form that may stand in the field; see enum smtp_helo_form. */
static void
set_helo(struct smtp_received *received, struct arena *arena, struct str helo)
{
    struct ip_address ip;
    received->helo = helo;
    received->helo_form = SMTP_HELO_MALFORMED;
    if (smtp_literal_parse(helo, &ip) == STATUS_OK) {
        received->helo_form = SMTP_HELO_LITERAL;
    } else if (ip_parse(helo, &ip) != STATUS_OK &&
               smtp_domain_parse(arena, helo, SMTP_ADDRESS_UTF8, &received->helo) == STATUS_OK) {
        received->helo_form = SMTP_HELO_DOMAIN;
    }
}

static enum status
add_received(const struct filter_header_input *input, struct mail_edits *edits)
{
    struct str const name = mail_field_name(MAIL_FIELD_RECEIVED);
    const struct msg_submit *submit = input->submit;
    uint32_t uid;
    bool local = local_user_parse(submit->user, &uid);
    struct smtp_received received = {
        .local_user = local ? arena_printf(edits->arena, "%u", (unsigned)uid) : STR(""),
        .hide_client =
            filter_is_submission(submit) && input->config->submission.hide_client_address,
        .by = input->config->hostname,
        .id = submit->id,
        .esmtp = submit->esmtp,
        .authenticated = submit->user.n > 0 && !local,
        .smtputf8 = (submit->flags & SMTP_MESSAGE_SMTPUTF8) != 0,
        .tls = submit->tls.n > 0,
        .recipient = only_original(input),
        .wall_ms = submit->received_ms,
    };
    set_helo(&received, edits->arena, submit->helo);
    str_cut(submit->tls, ' ', &received.tls_version, &received.tls_cipher);
    memcpy(&received.client, submit->client_ip.p, sizeof received.client);
    struct str field = smtp_received_format(edits->arena, &received);
    if (field.p == NULL) {
        return STATUS_LIMIT;
    }
    /* The edit writes "Received: " and the last CRLF itself. */
    struct str value = str_skip(str_head(field, field.n - 2), name.n + 2);
    return mail_edits_prepend(edits, name, value, "RFC 5321 4.4");
}

/* ---- what authentication has found: on top of everything, so that it is known to be ours */

static bool
has_results(const struct filter_header_input *input)
{
    return input->checked->direction == CHECK_INBOUND && input->checked->auth != NULL;
}

static enum status
add_verdict(const struct filter_header_input *input, struct mail_edits *edits)
{
    struct str name = input->config->authentication.verdict_field;
    if (!has_results(input)) {
        return STATUS_OK;
    }
    struct str value = auth_results_verdict(edits->arena, input->checked->auth,
                                            config_action_name(input->decision->action));
    return value.p != NULL ? mail_edits_prepend(edits, name, value, "our verdict") : STATUS_LIMIT;
}

static enum status
add_results(const struct filter_header_input *input, struct mail_edits *edits)
{
    struct authres authres;
    struct authres_write_options options = {.utf8 = input->checked->smtputf8};
    struct str value;
    struct auth_results_context context = {
        .results = input->checked->auth,
        .authserv_id = config_authserv_id(input->config),
        .client = input->checked->client,
        .sender = input->checked->sender,
        .disposition = outgoing_disposition(input->decision),
    };
    if (!has_results(input)) {
        return STATUS_OK;
    }
    enum status status = auth_results_collect(edits->arena, &context, &authres);
    if (status == STATUS_OK) {
        status = authres_write(edits->arena, &authres, &options, &value);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return mail_edits_prepend(edits, STR("Authentication-Results"), value, "RFC 8601 4");
}

enum status
filter_header_edit(const struct filter_header_input *input, struct mail_edits *edits)
{
    typedef enum status step(const struct filter_header_input *, struct mail_edits *);
    static step *const steps[] = {add_date,     add_message_id, add_tags,   add_delivered_to,
                                  add_received, add_verdict,    add_results};
    enum status status = mail_repair_obsolete(edits, may_be_signed_simply(input));
    if (status == STATUS_OK) {
        status = remove_fields(input, edits); /* of two edits of a field the last one counts */
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == STATUS_OK; i++) {
        status = steps[i](input, edits); /* the last one stands on top */
    }
    return status;
}
