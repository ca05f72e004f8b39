#include "roles/filter/outgoing.h"

#include "base/clock.h"
#include "base/log.h"
#include "roles/filter/encode.h"
#include "roles/filter/header.h"
#include "roles/filter/record.h"
#include "roles/filter/sign.h"
#include "smtp/envelope.h"

struct str
outgoing_disposition(const struct decision *decision)
{
    switch (decision->action) {
    case CONFIG_ACTION_HOLD:
        return STR("quarantine");
    case CONFIG_ACTION_REJECT:
        return STR("reject");
    case CONFIG_ACTION_ACCEPT:
    case CONFIG_ACTION_TAG:
    case CONFIG_ACTION_DEFER:
        break;
    }
    return STR("none");
}

/* ---- the copies */

/* Only mail from outside is forwarded: what our users send keeps its sender, which is ours. */
static bool
is_forward(const struct outgoing_input *input, const struct record_recipient *recipient)
{
    return input->checked->direction == CHECK_INBOUND && !recipient->local;
}

static struct str
domain_of(struct str address)
{
    size_t at = str_rfind_char(address, '@');
    return at != STR_NPOS ? str_skip(address, at + 1) : str_make(NULL, 0);
}

/* The recipients that are (not) forwarded, in the arena. */
static enum status
take_recipients(const struct outgoing_input *input, bool forwarded, struct outgoing_copy *copy)
{
    const struct msg_submit *submit = input->submit;
    struct record_recipient *taken =
        arena_alloc_array(input->arena, submit->recipients.n, sizeof *taken);
    if (taken == NULL) {
        return STATUS_LIMIT;
    }
    *copy = (struct outgoing_copy){.recipients = taken, .is_forwarded = forwarded};
    memcpy(copy->id, submit->id.p, ID_LENGTH);
    copy->sender = submit->sender;
    copy->flags = input->flags;
    for (size_t i = 0; i < submit->recipients.n; i++) {
        if (is_forward(input, &submit->recipients.items[i]) == forwarded) {
            taken[copy->recipient_count++] = submit->recipients.items[i];
        }
    }
    return STATUS_OK;
}

/* A sender for whom our address will pass SPF, at the domain of the alias that forwards. */
static enum status
rewrite_sender(const struct outgoing_input *input, struct outgoing_copy *copy)
{
    const struct config_srs *srs = &input->config->authentication.srs;
    copy->domain = domain_of(copy->recipients[0].original);
    if (!srs->enabled || copy->sender.n == 0) {
        return STATUS_OK;
    }
    struct str domain = srs->domain.n > 0 ? srs->domain : copy->domain;
    enum status status =
        vault_srs_forward(input->vault, input->arena, copy->sender, domain, &copy->sender);
    if (status == STATUS_NOT_FOUND) {
        LOG_WARN("a forwarded message keeps its sender", LOG_STR("id", input->submit->id));
        return STATUS_OK;
    }
    if (status == STATUS_OK && !str_eq(copy->sender, input->submit->sender)) {
        copy->flags |= SMTP_MESSAGE_SENDER_REWRITTEN;
    }
    return status;
}

enum status
outgoing_plan(const struct outgoing_input *input,
              struct outgoing_copy copies_out[OUTGOING_COPIES_MAX], size_t *count_out)
{
    struct outgoing_copy *forwarded = &copies_out[1];
    enum status status = take_recipients(input, false, &copies_out[0]);
    if (status == STATUS_OK) {
        status = take_recipients(input, true, forwarded);
    }
    if (status == STATUS_OK && forwarded->recipient_count > 0) {
        status = rewrite_sender(input, forwarded);
    }
    if (status != STATUS_OK) {
        return status; /* nothing to free: no copy has been made */
    }
    if (forwarded->recipient_count > 0 && copies_out[0].recipient_count > 0) {
        id_make(clock_wall_ms(), forwarded->id);
        *count_out = 2;
        return STATUS_OK;
    }
    if (forwarded->recipient_count > 0) {
        copies_out[0] = *forwarded;
    }
    *count_out = 1;
    return STATUS_OK;
}

/* ---- one copy */

static void
record_forward(const struct outgoing_input *input, const struct outgoing_copy *copy,
               struct trace *trace)
{
    struct str *names = arena_alloc_array(input->arena, copy->recipient_count, sizeof *names);
    if (names == NULL) {
        return;
    }
    for (size_t i = 0; i < copy->recipient_count; i++) {
        names[i] = copy->recipients[i].address;
    }
    struct trace_texts texts = {names, copy->recipient_count};
    struct str id = str_from_cstr(copy->id);
    bool own = !str_eq(id, input->submit->id);
    if (own) {
        TRACE(input->trace, forwarded, .recipients = texts, .sender = copy->sender, .id = id);
        TRACE(trace, copy_of, .id = input->submit->id, .sender = copy->sender, .recipients = texts,
              .client = input->checked->client);
        record_header(trace, input->arena, input->checked->head);
    } else {
        TRACE(trace, forwarded, .recipients = texts, .sender = copy->sender);
    }
}

enum status
outgoing_make(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    struct mail_edits edits;
    struct filter_header_input header = {
        .config = input->config,
        .submit = input->submit,
        .head = input->checked->head,
        .decision = input->decision,
        .checked = input->checked,
        .recipients = copy->recipients,
        .recipient_count = copy->recipient_count,
    };
    mail_edits_init(&edits, input->arena, input->checked->head);
    enum status status = filter_header_edit(&header, &edits);
    if (status != STATUS_OK) {
        return status;
    }
    record_edits(trace, &edits);
    copy->head = mail_edits_apply(&edits);
    if (copy->head.p == NULL) {
        return STATUS_LIMIT;
    }
    copy->body = str_skip(input->checked->content, input->checked->body_offset);
    if (copy->is_forwarded) {
        record_forward(input, copy, trace);
    }
    if (input->checked->direction == CHECK_OUTBOUND) {
        status = filter_fit_lines(input, copy, trace);
    }
    return status == STATUS_OK ? filter_sign(input, copy, trace) : status;
}

void
outgoing_free(struct outgoing_copy *copies, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_free(&copies[i].encoded);
        copies[i].body = str_make(NULL, 0);
    }
}
