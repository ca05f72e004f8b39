#include "roles/relay/deliver_internal.h"

#include "base/clock.h"
#include "dns/name.h"
#include "store/delivery.h"

/* ---- results */

static void
count_results(const struct relay_delivery *d)
{
    struct relay_counters *counters = &d->world->counters;
    unsigned long long delivered = 0, deferred = 0, failed = 0;
    for (size_t i = 0; i < d->deliver->recipients.n; i++) {
        deferred += d->results[i].outcome == DELIVERY_DEFERRED;
        failed += d->results[i].outcome == DELIVERY_FAILED;
    }
    delivered = d->deliver->recipients.n - deferred - failed;
    atomic_fetch_add(&counters->delivered, delivered);
    atomic_fetch_add(&counters->deferred, deferred);
    atomic_fetch_add(&counters->failed, failed);
    LOG_DEBUG("message relayed", LOG_STR("id", d->deliver->id),
              LOG_STR("destination", d->deliver->destination),
              LOG_STR("remote", d->results[0].remote), LOG_INT("delivered", delivered),
              LOG_INT("deferred", deferred), LOG_INT("failed", failed));
}

static const struct smtp_reply too_long =
    SMTP_REPLY(0, 4, 4, 7, "the delivery took too long; it goes on later");

/* ---- failures of hosts */

/* A host has failed: for all that it has not answered. */
static void
batch_failure(struct relay_delivery *d, struct batch *batch, const struct relay_failure *failure)
{
    const struct relay_failure *kept = relay_failure_make(d->arena, failure);
    for (size_t i = 0; i < batch->count; i++) {
        struct relay_standing *standing = &d->standings[batch->indexes[i]];
        if (!standing->resting) {
            relay_standing_note(standing, kept);
        }
    }
}

static void
note_failure(struct relay_delivery *d, struct batch *batch, const struct relay_target *target,
             const struct relay_session_failure *failure, struct str remote)
{
    enum relay_failure_rank rank = FAILURE_SESSION;
    if (failure->reply.code > 0) {
        rank = FAILURE_REPLY;
    } else if (str_eq(str_from_cstr(failure->stage), STR("connect"))) {
        rank = FAILURE_CONNECT;
    }
    /* Behind TLS, who was welcome before: that is about TLS, and may be mended. And where a server
     * must prove who it is, a refusal in the clear may be anybody's. */
    bool for_good =
        failure->problem == SMTP_CLIENT_REFUSED && !failure->encrypted && !failure->unproved;
    const struct relay_failure noted = {.rank = rank,
                                        .permanent = for_good && failure->reply.code >= 500,
                                        .reply = failure->reply,
                                        .remote = remote};
    delivery_trace_failure(d, target, failure->stage, &failure->reply);
    batch_failure(d, batch, &noted);
}

static void
note_route_failure(struct relay_delivery *d, struct batch *batch,
                   const struct relay_route_failure *failure)
{
    const struct relay_target nowhere = {.host = failure->host};
    const struct relay_failure noted = {.rank = FAILURE_RESOLVE,
                                        .permanent = failure->permanent,
                                        .reply = failure->reply,
                                        .remote = failure->host};
    delivery_trace_failure(d, &nowhere, "resolve", &failure->reply);
    batch_failure(d, batch, &noted);
}

/* ---- sessions */

static void
trace_attempt(struct relay_delivery *d, const struct next_hop *hop,
              const struct relay_target *target, bool reused)
{
    TRACE(d->trace, attempt_started, .destination = d->deliver->destination,
          .protocol = hop->lmtp ? STR("lmtp") : STR("smtp"), .host = target->host,
          .preference = target->preference, .address = target->ip, .port = target->port,
          .attempt = d->deliver->recipients.items[0].attempts + 1, .reused = reused);
}

/* RFC 5321 6.3: a server that has our own name is ourselves, reached in a way nobody thought of. */
static bool
is_ourselves(const struct relay_delivery *d, const struct next_hop *hop,
             const struct relay_session *session)
{
    return hop->kind == NEXT_HOP_MX &&
           dns_name_eq(str_from_cstr(smtp_client_offers(session->client)->name),
                       d->config->hostname);
}

static struct relay_session *
open_session(struct relay_delivery *d, struct batch *batch, const struct relay_target *target)
{
    struct relay_session_failure failure;
    char remote[SESSION_REMOTE_MAX];
    trace_attempt(d, batch->hop, target, false);
    const struct relay_caller caller = {.world = d->world,
                                        .config = d->config,
                                        .tls = d->tls,
                                        .hop = batch->hop,
                                        .needs = d->needs,
                                        .sts = batch->sts,
                                        .trace = d->trace,
                                        .deadline_ms = d->deadline_ms,
                                        .tls_closed = d->tls_closed};
    struct relay_session *session = relay_call(&caller, target, &failure);
    if (session == NULL) {
        note_failure(d, batch, target, &failure, relay_target_text(target, remote));
        d->skip_host = failure.skip_host;
        return NULL;
    }
    if (is_ourselves(d, batch->hop, session)) {
        struct relay_route_failure loop = {
            .permanent = true,
            .host = target->host,
            .reply = SMTP_REPLY(0, 5, 4, 6, "mail for this domain leads back to this gateway")};
        note_route_failure(d, batch, &loop);
        relay_idle_give(d->world->idle, &session, batch->key, 0, clock_monotonic_ms());
        return NULL;
    }
    return session;
}

static struct relay_target
target_of(const struct relay_session *session, const struct next_hop *hop)
{
    bool is_unix = hop->kind == NEXT_HOP_UNIX;
    return (struct relay_target){.is_unix = is_unix,
                                 .host = is_unix ? hop->name : str_from_cstr(session->host),
                                 .ip = session->ip,
                                 .port = session->port};
}

/*
 * The server offers CHUNKING and does not know BDAT, or has not answered its first one: it is
 * remembered. True when the message may be sent again at once; silence is no refusal, and the
 * message may have arrived.
 */
static bool
chunking_is_broken(struct relay_delivery *d, const struct relay_session *session)
{
    const struct smtp_client *client = session->client;
    bool silent = session->transactions == 1 && smtp_client_chunking_is_silent(client);
    bool failed = smtp_client_chunking_failed(client);
    bool is_news =
        (silent || failed) &&
        relay_quirks_add(d->world->quirks, str_from_cstr(session->remote), clock_monotonic_ms());
    return failed && is_news;
}

/* "454 no TLS now", and nothing more: the server closed where we would have gone on in the clear.
 */
static bool
was_closed_without_tls(const struct relay_session *session)
{
    const struct smtp_client *client = session->client;
    return smtp_client_stage(client) == SMTP_CLIENT_STAGE_CLOSED &&
           smtp_client_tls_was_refused(client) && !smtp_client_was_answered(client) &&
           smtp_client_failure(client)->problem == SMTP_CLIENT_LOST;
}

/* Uses a session and gives it back; true when its server is to be asked again at once. */
static bool
use_session(struct relay_delivery *d, struct batch *batch, struct relay_session *session,
            bool reused)
{
    struct relay_target target = target_of(session, batch->hop);
    size_t before = batch->count;
    session->deadline_ms = d->deadline_ms;
    batch_converse(d, batch, session);
    session->deadline_ms = 0;
    bool good = smtp_client_stage(session->client) == SMTP_CLIENT_STAGE_READY;
    bool stale = reused && !good && !smtp_client_was_answered(session->client);
    bool goes_down = smtp_client_failure(session->client)->reply.code == 421;
    d->connected |= batch->count < before || (!stale && !goes_down);
    bool chunking_broken = !good && chunking_is_broken(d, session);
    if (!good && !stale && batch_active(d, batch) > 0) {
        struct relay_session_failure failure;
        relay_session_failure(session, &failure);
        note_failure(d, batch, &target, &failure, str_from_cstr(session->remote));
    }
    bool tls_closed = !reused && was_closed_without_tls(session);
    d->tls_closed |= tls_closed;
    bool again = session->spent || chunking_broken || tls_closed;
    relay_idle_give(d->world->idle, &session, batch->key, d->deliver->concurrency,
                    clock_monotonic_ms());
    return again;
}

/* Another host: who was put off by others is asked again, but nobody where he was already. */
static void
next_host(struct relay_delivery *d, struct batch *batch, const struct ip_address *ip)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct relay_standing *standing = &d->standings[batch->indexes[i]];
        standing->resting = ip != NULL && relay_standing_was_refused_by(standing, ip);
    }
}

static void
use_idle_sessions(struct relay_delivery *d, struct batch *batch)
{
    struct relay_session *session;
    bool spent = false;
    while (!spent && batch_active(d, batch) > 0 && !delivery_is_over(d) &&
           (session = relay_idle_take(d->world->idle, batch->key, d->config)) != NULL) {
        struct relay_target target = target_of(session, batch->hop);
        target.host = arena_str_dup(d->arena, target.host);
        atomic_fetch_add(&d->world->counters.connections_reused, 1);
        trace_attempt(d, batch->hop, &target, true);
        spent = use_session(d, batch, session, true);
    }
}

/* Calls one address until it has taken what it will; new sessions while the old one was used up. */
static void
use_target(struct relay_delivery *d, struct batch *batch, const struct relay_target *target)
{
    size_t before;
    bool going_on = true;
    d->tls_closed = d->skip_host = false;
    next_host(d, batch, &target->ip);
    while (going_on && (before = batch_active(d, batch)) > 0 && !delivery_is_over(d)) {
        struct relay_session *session = open_session(d, batch, target);
        bool again = session != NULL && use_session(d, batch, session, false);
        going_on = again || (session != NULL && batch_active(d, batch) < before);
    }
    next_host(d, batch, NULL);
}

static void
deliver_batch(struct relay_delivery *d, struct batch *batch)
{
    struct relay_route route;
    struct relay_target target;
    struct relay_route_failure failure;
    enum relay_route_step step;
    batch->key = relay_session_key(d->arena, batch->hop, &d->needs, &batch->sts);
    if (batch->key.p != NULL) {
        use_idle_sessions(d, batch);
    }
    next_host(d, batch, NULL);
    relay_route_start(&route, d->arena, d->config, &d->world->route, batch->hop);
    route.no_dane = d->needs.tls_required_no && !d->needs.requiretls;
    while (batch->count > 0 && !delivery_is_over(d) &&
           (step = relay_route_next(&route, &target, &failure)) != ROUTE_END) {
        if (step == ROUTE_TARGET) {
            use_target(d, batch, &target);
            if (d->skip_host) {
                relay_route_skip_host(&route);
            }
        } else {
            note_route_failure(d, batch, &failure);
            if (route.host_count == 0) {
                break; /* there is no host to go on with */
            }
        }
    }
    if (delivery_is_over(d)) {
        const struct relay_failure took_too_long = {.rank = FAILURE_TIME, .reply = too_long};
        batch_failure(d, batch, &took_too_long);
    }
    for (size_t i = 0; i < batch->count; i++) {
        delivery_settle_by_standing(d, batch->indexes[i], route.cut_short);
    }
}

/* ---- the message */

static enum status
hop_of(struct relay_delivery *d, const struct record_delivery_recipient *r, struct next_hop *hop)
{
    return r->rerouted ? next_hop_find_rerouted(d->arena, d->config, r->address,
                                                d->deliver->destination, hop)
                       : next_hop_find(d->arena, d->config, r->address, hop);
}

/* Gathers the recipients that share the hop of the first one that has no result. */
static void
gather(struct relay_delivery *d, size_t first, const struct next_hop *hop, struct batch *batch)
{
    batch->hop = hop;
    for (size_t i = first; i < d->deliver->recipients.n; i++) {
        struct next_hop other;
        if (!d->settled[i] && hop_of(d, &d->deliver->recipients.items[i], &other) == STATUS_OK &&
            str_eq(other.key, hop->key)) {
            batch->indexes[batch->count++] = i;
        }
    }
}

static void
deliver_from(struct relay_delivery *d, size_t first, size_t *indexes)
{
    const struct record_delivery_recipient *recipient = &d->deliver->recipients.items[first];
    struct next_hop hop;
    struct batch batch = {.indexes = indexes};
    enum status status = hop_of(d, recipient, &hop);
    if (status == STATUS_OK) {
        gather(d, first, &hop, &batch);
        deliver_batch(d, &batch);
        return;
    }
    struct smtp_reply words = SMTP_REPLY(0, 5, 1, 3, "the address has no domain to send to");
    struct smtp_reply memory = SMTP_REPLY(0, 4, 3, 0, "out of memory for this attempt");
    bool bad = status == STATUS_SYNTAX;
    delivery_settle(d, first, bad ? DELIVERY_FAILED : DELIVERY_DEFERRED, bad ? &words : &memory,
                    STR(""), STR(""));
}

enum status
relay_delivery_run(struct relay_delivery *d)
{
    size_t n = d->deliver->recipients.n;
    d->results = arena_alloc_array(d->arena, n + 1, sizeof *d->results);
    d->settled = arena_alloc_array(d->arena, n + 1, sizeof *d->settled);
    size_t *indexes = arena_alloc_array(d->arena, n + 1, sizeof *indexes);
    d->standings = arena_alloc_array(d->arena, n, sizeof *d->standings);
    if (d->results == NULL || d->settled == NULL || d->standings == NULL || indexes == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < n; i++) {
        d->results[i] = (struct record_delivery_result){
            .number = d->deliver->recipients.items[i].number, .outcome = DELIVERY_DEFERRED};
    }
    smtp_content_look(d->head, d->body, &d->form);
    for (size_t i = 0; i < n; i++) {
        if (!d->settled[i] && delivery_is_over(d)) {
            delivery_settle(d, i, DELIVERY_DEFERRED, &too_long, STR(""), STR(""));
        } else if (!d->settled[i]) {
            deliver_from(d, i, indexes);
        }
    }
    buf_free(&d->seven_bits.head);
    buf_free(&d->seven_bits.body);
    buf_free(&d->ascii_head.head);
    count_results(d);
    return STATUS_OK;
}
