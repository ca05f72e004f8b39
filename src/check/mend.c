#include "check/mend.h"

#include "check/own_address.h"
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

static bool
is_own(const void *context, struct str address)
{
    const struct check_input *input = context;
    return own_address_is(input->arena, input->config, input->user, address);
}

/* True when a header of this message can have it as the user's. */
static bool
is_fit(const struct check_input *input, struct str address)
{
    return address.n > 0 && (input->smtputf8 || str_is_ascii(address)) && is_own(input, address);
}

/*
 * The address that a user's mail is from who names none: the envelope's, or the user's name. Empty:
 * there is none, as for a user of this machine (config/local_user.h) with the null path.
 */
static struct str
own_address(const struct check_input *input)
{
    if (input->user.n == 0) {
        return STR("");
    }
    if (is_fit(input, input->sender)) {
        return input->sender;
    }
    return is_fit(input, input->user) ? input->user : STR("");
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
        .domain = domain_for(input, zone),
        .smtputf8 = input->smtputf8,
    };
    if (!check_mend_is_wanted(input, zone)) {
        return STATUS_OK;
    }
    what.own = own_address(input);
    what.sender = input->sender.n > 0 ? input->sender : what.own;
    if (input->user.n > 0 && input->config->submission.own_sender) {
        what.is_own = is_own;
        what.context = input;
    }
    enum status status = mail_repair_own(input->arena, &what, mended);
    if (status == STATUS_OK && mended->notes.count > 0) {
        input->head = &mended->head;
        input->body_offset = mended->body_offset;
        input->repairs = &mended->notes;
    }
    return status;
}
