#include "policy/end.h"

#include "smtp/envelope.h"

static const struct {
    const char *name;
    enum end_told told;
    const char *text;
} rows[END_COUNT_] = {
#define END(NAME, name, TOLD, text) [END_##NAME] = {#name, END_TOLD_##TOLD, text},
#include "policy/end.def"
#undef END
};

/* RFC 3461 4.1: without NOTIFY failures are told. */
static bool
wants_failures(uint8_t notify)
{
    return (notify & SMTP_DSN_NOTIFY_NEVER) == 0 &&
           (notify == 0 || (notify & SMTP_DSN_NOTIFY_FAILURE) != 0);
}

/* The end of a message whose sender is somebody. */
static enum end
end_by_extent(const struct end_failure *failure)
{
    if (!wants_failures(failure->notify)) {
        return END_FAILED_UNWANTED;
    }
    switch (failure->extent) {
    case NOTICE_EXTENT_NONE_STRANGER:
        return END_FAILED_STRANGER;
    case NOTICE_EXTENT_NONE_UNPROVEN:
        return END_FAILED_UNPROVEN;
    case NOTICE_EXTENT_FULL:
    case NOTICE_EXTENT_FAILURES:
        break;
    }
    return END_FAILED;
}

enum end
end_of_failure(const struct end_failure *failure)
{
    enum end end;
    if (failure->to_postmaster) {
        end = END_FAILED_AT_POSTMASTER;
    } else if (failure->null_sender) {
        end = END_FAILED_NULL_SENDER; /* RFC 5321 6.1: never a notice of a notice to its sender */
    } else if (failure->altered) {
        end = END_FAILED_DAMAGED;
    } else {
        end = end_by_extent(failure);
    }
    bool told = end == END_FAILED || end == END_FAILED_UNWANTED;
    return failure->by_command && !told ? END_FAILED_BY_COMMAND : end;
}

enum end_told
end_told(enum end end)
{
    return rows[end].told;
}

const char *
end_name(enum end end)
{
    return rows[end].name;
}

const char *
end_text(enum end end)
{
    return rows[end].text;
}
