#include "check/mend.h"

#include "config/local_user.h"

bool
check_mend_is_wanted(const struct check_input *input, const struct config_zone *zone)
{
    if (input->direction != CHECK_OUTBOUND || input->head_over_limit) {
        return false;
    }
    bool by_zone = input->user.n == 0 && zone != NULL && zone->relay;
    return by_zone ? zone->repair : input->config->submission.repair;
}

/* The user's own domain, the zone's, or ours. */
static struct str
domain_for(const struct check_input *input, const struct config_zone *zone)
{
    size_t at = str_rfind_char(input->user, '@');
    if (at != STR_NPOS) {
        return str_skip(input->user, at + 1);
    }
    uint32_t uid;
    if (local_user_parse(input->user, &uid)) {
        return local_user_domain(input->config);
    }
    return zone != NULL && zone->domain.n > 0 ? zone->domain : input->config->hostname;
}

enum status
check_mend(struct check_input *input, const struct config_zone *zone, struct mail_repaired *mended)
{
    const struct config_limits *limits = &input->config->limits;
    struct mail_head_limits head_limits = {limits->header_size, limits->header_fields};
    struct mail_repair_input what = {
        .head = input->head,
        .content = input->content,
        .limits = &head_limits,
        .sender = input->sender,
        .domain = domain_for(input, zone),
        .smtputf8 = input->smtputf8,
    };
    if (!check_mend_is_wanted(input, zone)) {
        return STATUS_OK;
    }
    enum status status = mail_repair_own(input->arena, &what, mended);
    if (status == STATUS_OK && mended->notes.count > 0) {
        input->head = &mended->head;
        input->body_offset = mended->body_offset;
        input->repairs = &mended->notes;
    }
    return status;
}
