#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/source_channel.h"
#include "roles/resolver/internal.h"

/* Memory for the answers of one batch: more does not fit into its reply. */
#define BATCH_ARENA_MAX (REPLY_OCTETS_MAX + 64u * 1024u)

struct batch {
    struct batch *next;
    struct batch **link;
    struct resolver *resolver;
    struct channel *channel;
    uint64_t request;
    struct arena *arena;
    int64_t hold_until_ms;
    size_t count;
    size_t under_way; /* questions that libunbound holds */
    size_t octets;    /* of the answers so far */
    bool closed;
    struct query *queries[DNS_BATCH_MAX]; /* NULL: none is under way */
    struct record_answer answers[DNS_BATCH_MAX];
};

struct batch *
batch_create(struct resolver *resolver, struct channel *channel, uint64_t request,
             const struct msg_resolve_batch *fields)
{
    size_t const count = fields->questions.n;
    /* Every question has a time limit of its own, so that a patient one ends too. */
    int64_t const hold_until = fields->patient ? INT64_MAX : clock_monotonic_ms() + BATCH_HOLD_MS;
    struct batch *batch = malloc(sizeof *batch);
    if (batch == NULL) {
        abort();
    }
    *batch = (struct batch){
        .next = resolver->batches,
        .link = &resolver->batches,
        .resolver = resolver,
        .channel = channel,
        .request = request,
        .arena = arena_create(BATCH_ARENA_MAX),
        .hold_until_ms = hold_until,
        .count = count,
    };
    for (size_t i = 0; i < count; i++) {
        batch->answers[i] = (struct record_answer){
            .outcome = DNS_BATCH_UNANSWERED, .canonical = STR(""), .detail = STR("")};
    }
    if (batch->next != NULL) {
        batch->next->link = &batch->next;
    }
    resolver->batches = batch;
    return batch;
}

static void
batch_send(struct batch *batch)
{
    struct msg_resolve_batch_reply reply = {.answers = {batch->answers, batch->count}};
    if (channel_send(batch->channel, MSG_RESOLVE_BATCH_REPLY, batch->request, &reply) !=
        STATUS_OK) {
        LOG_DEBUG("who asked for names has gone");
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->queries[i] != NULL) {
            query_detach(batch->queries[i]);
        }
    }
    *batch->link = batch->next;
    if (batch->next != NULL) {
        batch->next->link = batch->link;
    }
    arena_destroy(&batch->arena);
    free(batch);
}

void
batch_attach(struct batch *batch, size_t index, struct query *query)
{
    batch->under_way += query != NULL;
    batch->under_way -= batch->queries[index] != NULL;
    batch->queries[index] = query;
}

static size_t
octets_of(const struct dns_answer *answer)
{
    size_t n = answer->canonical.n + answer->detail.n + 32;
    for (size_t i = 0; i < answer->record_count; i++) {
        n += answer->records[i].n + sizeof(uint32_t);
    }
    return n;
}

static enum status
copy_answer(struct arena *arena, const struct dns_answer *answer, struct record_answer *out)
{
    struct record_rdata *records =
        arena_alloc_array(arena, answer->record_count + 1, sizeof *records);
    struct record_answer copy = {
        .outcome = (uint8_t)answer->outcome,
        .security = (uint8_t)answer->security,
        .canonical = arena_str_dup(arena, answer->canonical),
        .detail = arena_str_dup(arena, answer->detail),
        .ttl = answer->ttl,
        .records = {records, answer->record_count},
    };
    if (records == NULL || copy.canonical.p == NULL || copy.detail.p == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < answer->record_count; i++) {
        records[i].octets = arena_str_dup(arena, answer->records[i]);
        if (records[i].octets.p == NULL) {
            return STATUS_LIMIT;
        }
    }
    *out = copy;
    return STATUS_OK;
}

void
batch_put(struct batch *batch, size_t index, const struct dns_answer *answer)
{
    size_t const octets = octets_of(answer);
    if (batch->octets + octets <= REPLY_OCTETS_MAX &&
        copy_answer(batch->arena, answer, &batch->answers[index]) == STATUS_OK) {
        batch->octets += octets;
        resolver_count(batch->resolver, answer);
    }
    if (batch->closed && batch->under_way == 0) {
        batch_send(batch);
    }
}

void
batch_close(struct batch *batch)
{
    batch->closed = true;
    if (batch->under_way == 0) {
        batch_send(batch);
    }
}

void
batch_sweep(struct resolver *resolver, int64_t now_ms)
{
    for (struct batch *batch = resolver->batches; batch != NULL;) {
        struct batch *next = batch->next;
        if (batch->hold_until_ms <= now_ms) {
            batch_send(batch);
        }
        batch = next;
    }
}
