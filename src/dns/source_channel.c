#include "dns/source_channel.h"

#include "dns/name.h"

static enum status
answer_copy(struct arena *arena, const struct msg_resolve_reply *reply, struct dns_answer *answer)
{
    struct str *records = arena_alloc_array(arena, reply->records.n + 1, sizeof *records);
    if (records == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < reply->records.n; i++) {
        records[i] = arena_str_dup(arena, reply->records.items[i].octets);
        if (records[i].p == NULL) {
            return STATUS_LIMIT;
        }
    }
    answer->canonical = arena_str_dup(arena, reply->canonical);
    answer->detail = arena_str_dup(arena, reply->detail);
    answer->records = records;
    answer->record_count = reply->records.n;
    return answer->canonical.p != NULL && answer->detail.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

enum status
dns_answer_from_reply(struct arena *arena, const struct msg_resolve_reply *reply,
                      struct dns_answer *answer_out)
{
    struct dns_answer answer = {.outcome = (enum dns_outcome)reply->outcome,
                                .security = (enum dns_security)reply->security,
                                .ttl = reply->ttl};
    bool has_records = reply->records.n > 0;
    if (reply->outcome >= DNS_OUTCOME_COUNT || reply->security >= DNS_SECURITY_COUNT ||
        has_records != (reply->outcome == DNS_OUTCOME_ANSWER)) {
        *answer_out = (struct dns_answer){.outcome = DNS_OUTCOME_SERVFAIL,
                                          .detail = STR("the resolver's answer makes no sense")};
        return STATUS_OK;
    }
    enum status status = answer_copy(arena, reply, &answer);
    if (status == STATUS_OK) {
        *answer_out = answer;
    }
    return status;
}

static enum status
channel_resolve(void *ctx, struct arena *arena, struct str name, uint16_t type,
                struct dns_answer *out)
{
    const struct dns_source_channel *source = ctx;
    struct msg_resolve question = {.type = type};
    struct ipc_message *reply;
    enum status status = dns_name_normalize(arena, name, &question.name);
    if (status != STATUS_OK) {
        return status;
    }
    status = channel_call(source->resolver, MSG_RESOLVE, &question, source->timeout_ms, &reply);
    if (status == STATUS_OK && reply->type == MSG_RESOLVE_REPLY) {
        status = dns_answer_from_reply(arena, MSG_BODY(reply, resolve_reply), out);
        ipc_message_free(&reply);
        return status;
    }
    if (status == STATUS_OK) {
        ipc_message_free(&reply);
    }
    *out = (struct dns_answer){.outcome = DNS_OUTCOME_SERVFAIL,
                               .detail = STR("the resolver does not answer")};
    return STATUS_OK;
}

struct dns_source
dns_source_from_channel(struct dns_source_channel *channel)
{
    return (struct dns_source){.resolve = channel_resolve, .ctx = channel};
}
