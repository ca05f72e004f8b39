#include "dns/source_channel.h"

#include "base/clock.h"
#include "base/log.h"
#include "dns/name.h"

enum status
dns_answer_from_record(struct arena *arena, const struct record_answer *record,
                       struct dns_answer *answer_out)
{
    bool has_records = record->records.n > 0;
    if (record->outcome >= DNS_OUTCOME_COUNT || record->security >= DNS_SECURITY_COUNT ||
        has_records != (record->outcome == DNS_OUTCOME_ANSWER)) {
        *answer_out = (struct dns_answer){.outcome = DNS_OUTCOME_SERVFAIL,
                                          .detail = STR("the resolver's answer makes no sense")};
        return STATUS_OK;
    }
    struct str *records = arena_alloc_array(arena, record->records.n + 1, sizeof *records);
    if (records == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < record->records.n; i++) {
        records[i] = record->records.items[i].octets;
    }
    struct dns_answer answer = {
        .outcome = (enum dns_outcome)record->outcome,
        .security = (enum dns_security)record->security,
        .canonical = record->canonical,
        .detail = record->detail,
        .ttl = record->ttl,
        .records = records,
        .record_count = record->records.n,
    };
    return dns_answer_copy(arena, &answer, answer_out);
}

enum status
dns_answer_from_reply(struct arena *arena, const struct msg_resolve_reply *reply,
                      struct dns_answer *answer_out)
{
    struct record_answer record = {
        .outcome = reply->outcome,
        .security = reply->security,
        .canonical = reply->canonical,
        .detail = reply->detail,
        .ttl = reply->ttl,
        .records = {reply->records.items, reply->records.n},
    };
    return dns_answer_from_record(arena, &record, answer_out);
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
    status = dns_view_find(source->view, arena, question.name, type, clock_monotonic_ms(), out);
    if (status != STATUS_NOT_FOUND) {
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

void
dns_view_take(struct dns_view *view, struct ipc_message *message)
{
    int fd = ipc_message_take_fd(message, &MSG_BODY(message, dns_table)->table);
    enum status status = dns_view_attach(view, fd);
    if (status != STATUS_OK) {
        LOG_WARN("the resolver's table of answers cannot be used: it is asked for each",
                 LOG_CSTR("status", status_name(status)));
    }
    ipc_message_free(&message);
}

struct dns_source
dns_source_from_channel(struct dns_source_channel *channel)
{
    return (struct dns_source){.resolve = channel_resolve, .ctx = channel};
}
