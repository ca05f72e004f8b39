#include "fetch/source_channel.h"

void
fetch_request_to_message(const struct fetch_request *request, struct record_media_type *types,
                         struct msg_fetch *message_out)
{
    for (size_t i = 0; i < request->media_type_count; i++) {
        types[i].type = request->media_types[i];
    }
    *message_out = (struct msg_fetch){
        .url = request->url,
        .size_max = (uint32_t)request->size_max,
        .timeout_ms = (uint32_t)request->timeout_ms,
        .media_types = {types, request->media_type_count},
        .redirects = request->redirects,
    };
}

enum status
fetch_response_from_reply(struct arena *arena, const struct msg_fetch_reply *reply,
                          struct fetch_response *response_out)
{
    struct fetch_response response = {.outcome = FETCH_OUTCOME_BUSY,
                                      .detail = STR("the answer makes no sense")};
    if (reply->outcome < FETCH_OUTCOME_COUNT) {
        response = (struct fetch_response){
            .outcome = (enum fetch_outcome)reply->outcome,
            .http_status = reply->http_status,
            .content_type = arena_str_dup(arena, reply->content_type),
            .body = arena_str_dup(arena, reply->body),
            .detail = arena_str_dup(arena, reply->detail),
        };
        if (response.content_type.p == NULL || response.body.p == NULL ||
            response.detail.p == NULL) {
            return STATUS_LIMIT;
        }
    }
    *response_out = response;
    return STATUS_OK;
}

static enum status
channel_get(void *ctx, struct arena *arena, const struct fetch_request *request,
            struct fetch_response *out)
{
    struct record_media_type types[FETCH_MEDIA_TYPES_MAX];
    struct msg_fetch fields;
    struct ipc_message *reply;
    fetch_request_to_message(request, types, &fields);
    enum status status =
        channel_call(ctx, MSG_FETCH, &fields, request->timeout_ms + FETCH_MARGIN_MS, &reply);
    if (status == STATUS_OK && reply->type == MSG_FETCH_REPLY) {
        status = fetch_response_from_reply(arena, MSG_BODY(reply, fetch_reply), out);
        ipc_message_free(&reply);
        return status;
    }
    if (status == STATUS_OK) {
        ipc_message_free(&reply);
    }
    *out = (struct fetch_response){.outcome = FETCH_OUTCOME_BUSY,
                                   .detail = STR("the fetch role does not answer")};
    return STATUS_OK;
}

struct fetch_source
fetch_source_from_channel(struct channel *fetch)
{
    return (struct fetch_source){.get = channel_get, .ctx = fetch};
}
