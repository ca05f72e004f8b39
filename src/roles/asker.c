#include "roles/asker.h"

#include <utlist.h>

#include "base/log.h"

void
asker_begin(struct asker **list, struct asker *asker, struct channel *channel,
            const struct ipc_message *message)
{
    asker->channel = channel;
    asker->request = message->request;
    DL_APPEND(*list, asker);
}

void
asker_end(struct asker **list, struct asker *asker, enum msg_type type, const void *fields)
{
    DL_DELETE(*list, asker);
    if (asker->channel == NULL || type == MSG_TYPE_COUNT) {
        return;
    }
    enum status status = channel_send(asker->channel, type, asker->request, fields);
    if (status != STATUS_OK && status != STATUS_TEMPORARY) {
        LOG_ERROR("an answer cannot be sent", LOG_CSTR("type", ipc_type_name(type)),
                  LOG_CSTR("status", status_name(status)));
    }
}

void
asker_forget(struct asker **list, const struct channel *channel)
{
    struct asker *asker;
    DL_FOREACH(*list, asker)
    {
        if (asker->channel == channel) {
            asker->channel = NULL;
        }
    }
}
