#include "policy/notice.h"

#include "smtp/envelope.h"

enum notice_extent
notice_extent_of(const struct config *config, uint32_t flags)
{
    if ((flags & SMTP_MESSAGE_STRANGER) == 0) {
        return NOTICE_EXTENT_FULL;
    }
    if (config->bounce.to_strangers == CONFIG_STRANGERS_NEVER) {
        return NOTICE_EXTENT_NONE_STRANGER;
    }
    return (flags & SMTP_MESSAGE_SENDER_PROVEN) != 0 ? NOTICE_EXTENT_FAILURES
                                                     : NOTICE_EXTENT_NONE_UNPROVEN;
}

const char *
notice_extent_reason(enum notice_extent extent)
{
    switch (extent) {
    case NOTICE_EXTENT_NONE_STRANGER:
        return "stranger";
    case NOTICE_EXTENT_NONE_UNPROVEN:
        return "sender_unproven";
    case NOTICE_EXTENT_FULL:
    case NOTICE_EXTENT_FAILURES:
        break;
    }
    return NULL;
}

uint8_t
notice_extent_notify(enum notice_extent extent, uint8_t notify)
{
    if (extent == NOTICE_EXTENT_FULL) {
        return notify;
    }
    /* Without NOTIFY the next hop tells of failures (RFC 3461 4.1), and perhaps of delays. */
    bool failures = notify == 0 || (notify & SMTP_DSN_NOTIFY_FAILURE) != 0;
    return extent == NOTICE_EXTENT_FAILURES && failures ? SMTP_DSN_NOTIFY_FAILURE
                                                        : SMTP_DSN_NOTIFY_NEVER;
}
