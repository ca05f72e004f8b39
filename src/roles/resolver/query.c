#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/name.h"
#include "dns/unbound_setup.h"
#include "roles/resolver/internal.h"

#define DETAIL_MAX 200u

/* One question that libunbound holds. Its asker may have been answered before (`answered`). */
struct query {
    struct query *next;
    struct query **link; /* what points to this one */
    struct resolver *resolver;
    struct context *context;
    struct channel *channel;
    struct peer_load *load;
    uint64_t request;
    struct batch *batch; /* NULL: it came alone */
    size_t index;        /* in the batch */
    int64_t deadline_ms;
    bool answered;
    uint16_t type;
    size_t name_length;
    char name[]; /* as libunbound takes it, with a final dot and a NUL */
};

/* Where an answer goes. */
struct asker {
    struct channel *channel;
    uint64_t request;
    struct batch *batch;
    size_t index;
    bool fresh; /* it does not want what is cached */
};

/* ---- answers */

static size_t
answer_octets(const struct dns_answer *answer)
{
    size_t n = 0;
    for (size_t i = 0; i < answer->record_count; i++) {
        n += answer->records[i].n + sizeof(uint32_t);
    }
    return n;
}

static void
send_alone(struct resolver *resolver, const struct asker *asker, const struct dns_answer *answer)
{
    static struct record_rdata records[DNS_RECORDS_MAX];
    for (size_t i = 0; i < answer->record_count; i++) {
        records[i].octets = answer->records[i];
    }
    struct msg_resolve_reply reply = {
        .outcome = (uint8_t)answer->outcome,
        .security = (uint8_t)answer->security,
        .canonical = answer->canonical,
        .detail = answer->detail,
        .ttl = answer->ttl,
        .records = {records, answer->record_count},
    };
    resolver_count(resolver, answer);
    if (channel_send(asker->channel, MSG_RESOLVE_REPLY, asker->request, &reply) != STATUS_OK) {
        LOG_DEBUG("who asked for a name has gone");
    }
}

static void
answer_asker(struct resolver *resolver, const struct asker *asker, struct dns_answer answer)
{
    if (answer_octets(&answer) > REPLY_OCTETS_MAX) {
        answer.outcome = DNS_OUTCOME_SERVFAIL;
        answer.detail = STR("the answer is larger than can be used");
        answer.record_count = 0;
    }
    answer.detail = str_head(answer.detail, DETAIL_MAX);
    if (asker->batch != NULL) {
        batch_put(asker->batch, asker->index, &answer);
    } else {
        send_alone(resolver, asker, &answer);
    }
}

static struct asker
asker_of(const struct query *query)
{
    return (struct asker){query->channel, query->request, query->batch, query->index, false};
}

static struct str
query_name(const struct query *query)
{
    return str_make(query->name, query->name_length);
}

static enum dns_security
security_of(const struct context *context, int security)
{
    if (!context->config->resolver.dnssec) {
        return DNS_SECURITY_INDETERMINATE;
    }
    return security == 2   ? DNS_SECURITY_SECURE
           : security == 1 ? DNS_SECURITY_BOGUS
                           : DNS_SECURITY_INSECURE;
}

static void
answer_query(struct query *query, const struct unbound_result *result)
{
    struct resolver *resolver = query->resolver;
    struct asker asker = asker_of(query);
    struct dns_answer answer;
    unbound_read_answer(resolver->scratch, result, query_name(query), query->type, &answer);
    if (!query->context->retired && answer_octets(&answer) <= REPLY_OCTETS_MAX) {
        dns_table_put(resolver->table, query_name(query), query->type, &answer,
                      clock_monotonic_ms());
    }
    answer_asker(resolver, &asker, answer);
    arena_reset(resolver->scratch);
}

/* ---- the life of a query */

static struct peer_load *
load_of(struct resolver *resolver, struct channel *channel)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer_load *load = &resolver->peers[i];
        if (load->channel == channel || load->channel == NULL) {
            load->channel = channel;
            return load;
        }
    }
    return NULL;
}

static struct query *
query_create(struct resolver *resolver, const struct asker *asker, struct str name, uint16_t type)
{
    struct query *query = malloc(sizeof *query + name.n + 2);
    if (query == NULL) {
        return NULL;
    }
    struct context *context = asker->fresh ? resolver_fresh_context(resolver) : resolver->current;
    *query = (struct query){
        .next = resolver->queries,
        .link = &resolver->queries,
        .resolver = resolver,
        .context = context,
        .channel = asker->channel,
        .load = load_of(resolver, asker->channel),
        .request = asker->request,
        .batch = asker->batch,
        .index = asker->index,
        .deadline_ms = clock_monotonic_ms() + context->config->resolver.timeout_ms,
        .type = type,
        .name_length = name.n,
    };
    memcpy(query->name, name.p, name.n);
    memcpy(query->name + name.n, ".", 2);
    if (query->next != NULL) {
        query->next->link = &query->next;
    }
    resolver->queries = query;
    resolver->query_count++;
    query->load->queries++;
    query->context->users++;
    return query;
}

static void
query_destroy(struct query *query)
{
    *query->link = query->next;
    if (query->next != NULL) {
        query->next->link = query->link;
    }
    query->resolver->query_count--;
    query->load->queries--;
    resolver_release(query->resolver, query->context);
    free(query);
}

void
query_detach(struct query *query)
{
    query->answered = true;
    query->batch = NULL;
}

static void /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_resolved(void *data, int rcode, void *packet, int n, int security, char *why, int limited)
{
    struct query *query = data;
    (void)limited;
    if (!query->answered) {
        if (query->batch != NULL) {
            batch_attach(query->batch, query->index, NULL);
        }
        struct unbound_result result = {
            .rcode = rcode,
            .packet = str_make(packet, n > 0 ? (size_t)n : 0),
            .security = security_of(query->context, security),
            .why = why,
        };
        answer_query(query, &result);
    }
    query_destroy(query);
}

/* ---- questions */

static void
answer_failure(struct resolver *resolver, const struct asker *asker, struct str name,
               const char *why)
{
    struct dns_answer answer = {
        .outcome = DNS_OUTCOME_SERVFAIL, .canonical = name, .detail = str_from_cstr(why)};
    answer_asker(resolver, asker, answer);
}

/* For want of room. */
static void
refuse(struct resolver *resolver, const struct asker *asker, struct str name, const char *why)
{
    resolver->refused++;
    answer_failure(resolver, asker, name, why);
}

static void
ask(struct resolver *resolver, const struct asker *asker, struct str name, uint16_t type)
{
    int id = 0;
    const struct peer_load *load = load_of(resolver, asker->channel);
    resolver->asked++;
    /* Names are made of what strangers write: a bad one is nothing to end the asker for. */
    if (!dns_name_is_question(name)) {
        answer_failure(resolver, asker, name, "not a domain name");
        return;
    }
    if (resolver->query_count >= QUERIES_MAX || load == NULL ||
        load->queries >= QUERIES_PER_PEER_MAX) {
        refuse(resolver, asker, name, "too many questions under way");
        return;
    }
    struct query *query = query_create(resolver, asker, name, type);
    if (query == NULL) {
        refuse(resolver, asker, name, "no memory");
        return;
    }
    if (asker->batch != NULL) {
        batch_attach(asker->batch, asker->index, query);
    }
    /* Of what is in the cache, the answer comes before this returns. */
    int failed =
        ub_resolve_event(query->context->ub, query->name, type, CLASS_IN, query, on_resolved, &id);
    if (failed != 0) {
        if (asker->batch != NULL) {
            batch_attach(asker->batch, asker->index, NULL);
        }
        answer_failure(resolver, asker, name, ub_strerror(failed));
        query_destroy(query);
    }
}

/* What our own code never sends is a type (ANY, a transfer) that nobody here asks for. */
static bool
is_asked_for(uint16_t type)
{
    return dns_type_name(type) != NULL;
}

void
query_ask(struct resolver *resolver, struct channel *channel, struct ipc_message *message)
{
    const struct msg_resolve *fields = MSG_BODY(message, resolve);
    if (is_asked_for(fields->type)) {
        struct asker asker = {
            .channel = channel, .request = message->request, .fresh = fields->fresh};
        ask(resolver, &asker, fields->name, fields->type);
    } else {
        role_peer_misbehaved(resolver->runtime, channel);
    }
    ipc_message_free(&message);
}

void
query_ask_batch(struct resolver *resolver, struct channel *channel, struct ipc_message *message)
{
    const struct msg_resolve_batch *fields = MSG_BODY(message, resolve_batch);
    bool good = true;
    for (size_t i = 0; good && i < fields->questions.n; i++) {
        good = is_asked_for(fields->questions.items[i].type);
    }
    if (!good) {
        role_peer_misbehaved(resolver->runtime, channel);
        ipc_message_free(&message);
        return;
    }
    struct batch *batch = batch_create(resolver, channel, message->request, fields);
    resolver->batches_asked++;
    for (size_t i = 0; i < fields->questions.n; i++) {
        struct asker asker = {channel, message->request, batch, i, false};
        ask(resolver, &asker, fields->questions.items[i].name, fields->questions.items[i].type);
    }
    batch_close(batch);
    ipc_message_free(&message);
}

/* ---- time */

void
query_sweep(struct resolver *resolver)
{
    int64_t const now = clock_monotonic_ms();
    batch_sweep(resolver, now);
    for (struct query *q = resolver->queries; q != NULL; q = q->next) {
        if (!q->answered && q->batch == NULL && q->deadline_ms <= now) {
            struct asker asker = asker_of(q);
            struct dns_answer answer = {.outcome = DNS_OUTCOME_TIMEOUT,
                                        .canonical = query_name(q),
                                        .detail = STR("no server answered in time")};
            q->answered = true;
            answer_asker(resolver, &asker, answer);
        }
    }
}
