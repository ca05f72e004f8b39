#include "roles/relay/deliver.h"

#include "base/clock.h"
#include "dns/name.h"
#include "policy/notice.h"
#include "store/delivery.h"

/* Recipients with the same next hop that have no result yet. */
struct batch {
    const struct next_hop *hop;
    size_t *indexes; /* into the delivery's recipients */
    size_t count;
    /* What those get that are left in the end; temporary failures outweigh permanent ones. */
    bool has_failure;
    bool permanent;
    struct smtp_reply reply;
    struct str remote;
};

/* ---- texts */

struct str
relay_enhanced_text(struct arena *arena, const struct smtp_reply *reply)
{
    const struct smtp_enhanced *e = &reply->enhanced;
    if (e->class == 0) {
        return str_make(NULL, 0);
    }
    return arena_printf(arena, "%u.%u.%u", e->class, e->subject, e->detail);
}

struct str
relay_reply_text(struct arena *arena, const struct smtp_reply *reply)
{
    struct str text = str_head(reply->text, SMTP_CLIENT_TEXT_MAX);
    char *line = arena_cstr(arena, text);
    for (size_t i = 0; line != NULL && i < text.n; i++) {
        line[i] = line[i] == '\n' ? ' ' : line[i];
    }
    return str_make(line, line != NULL ? text.n : 0);
}

/* ---- results */

static void
trace_result(const struct relay_delivery *d, size_t i)
{
    const struct record_delivery_recipient *recipient = &d->deliver->recipients.items[i];
    const struct record_delivery_result *r = &d->results[i];
    bool renamed = !str_eq(recipient->address, recipient->original);
    struct str original = renamed ? recipient->original : str_make(NULL, 0);
    if (r->outcome == DELIVERY_FAILED) {
        TRACE(d->trace, failed, .recipient = recipient->address, .code = r->code,
              .enhanced = r->enhanced, .text = r->text, .remote = r->remote, .original = original);
    } else if (r->outcome != DELIVERY_DEFERRED) { /* the spool tells when the next attempt is */
        TRACE(d->trace, delivered, .recipient = recipient->address, .code = r->code,
              .enhanced = r->enhanced, .text = r->text, .remote = r->remote, .tls = r->tls,
              .original = original);
    }
}

static void
settle(struct relay_delivery *d, size_t i, enum delivery_outcome outcome,
       const struct smtp_reply *reply, struct str remote, struct str tls)
{
    struct record_delivery_result *r = &d->results[i];
    r->outcome = (uint8_t)outcome;
    r->code = reply->code;
    r->enhanced = relay_enhanced_text(d->arena, reply);
    r->text = relay_reply_text(d->arena, reply);
    r->remote = arena_str_dup(d->arena, remote);
    r->tls = arena_str_dup(d->arena, tls);
    d->settled[i] = true;
    trace_result(d, i);
}

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

/* ---- the end of its time */

static const struct smtp_reply too_long =
    SMTP_REPLY(0, 4, 4, 7, "the delivery took too long; it goes on later");

static bool
is_over(const struct relay_delivery *d)
{
    return d->deadline_ms != 0 && clock_monotonic_ms() >= d->deadline_ms;
}

/* ---- failures of hosts */

static void
batch_failure(struct relay_delivery *d, struct batch *batch, bool permanent,
              const struct smtp_reply *reply, struct str remote)
{
    if (batch->has_failure && permanent && !batch->permanent) {
        return;
    }
    batch->has_failure = true;
    batch->permanent = permanent;
    batch->reply = *reply;
    batch->reply.text = relay_reply_text(d->arena, reply);
    batch->remote = arena_str_dup(d->arena, remote);
}

static void
note_failure(struct relay_delivery *d, struct batch *batch, const struct relay_target *target,
             const struct relay_session_failure *failure, struct str remote)
{
    bool permanent = failure->problem == SMTP_CLIENT_REFUSED && failure->reply.code >= 500;
    TRACE(d->trace, attempt_failed, .destination = d->deliver->destination, .host = target->host,
          .address = target->ip, .stage = str_from_cstr(failure->stage),
          .code = failure->reply.code, .enhanced = relay_enhanced_text(d->arena, &failure->reply),
          .text = failure->reply.text);
    batch_failure(d, batch, permanent, &failure->reply, remote);
}

static void
note_route_failure(struct relay_delivery *d, struct batch *batch,
                   const struct relay_route_failure *failure)
{
    TRACE(d->trace, attempt_failed, .destination = d->deliver->destination, .host = failure->host,
          .stage = STR("resolve"), .code = failure->reply.code,
          .enhanced = relay_enhanced_text(d->arena, &failure->reply), .text = failure->reply.text);
    batch_failure(d, batch, failure->permanent, &failure->reply, failure->host);
}

/* ---- a server without SMTPUTF8 */

/* Whether the hop keeps what it gets in mailboxes of ours. */
static bool
is_last(const struct relay_delivery *d, const struct batch *batch)
{
    struct str address = d->deliver->recipients.items[batch->indexes[0]].address;
    size_t at = str_rfind_char(address, '@');
    return batch->hop->lmtp || at == STR_NPOS ||
           config_domain_find(d->config, str_skip(address, at + 1)) != NULL;
}

static void
make_ascii_head(struct relay_delivery *d, unsigned flags)
{
    struct relay_ascii_head *ascii = &d->ascii_head;
    if (ascii->made && ascii->flags == flags) {
        return;
    }
    buf_free(&ascii->head);
    buf_init(&ascii->head, 4 * d->head.n + 65536);
    ascii->made = true;
    ascii->flags = flags;
    ascii->why = d->form.has_bare ? "it has bare line ends" : "it needs too much memory";
    if (!d->form.has_bare &&
        mail_header_downgrade(d->arena, d->head, flags, &ascii->head, &ascii->why) == STATUS_OK) {
        ascii->why = NULL;
        smtp_content_look(buf_str(&ascii->head), d->body, &ascii->form);
    }
    TRACE(d->trace, header_encoded, .why = STR("next_hop"),
          .problem = str_from_cstr(ascii->why != NULL ? ascii->why : ""));
}

/*
 * RFC 6531 3.2: what the server does not offer is not used. A header in UTF-8 goes on as ASCII
 * where nothing is lost by it (doc/decisions/0018-smtputf8.md); if it cannot, the client core finds
 * that the server does not take it.
 */
static void
choose_head(struct relay_delivery *d, const struct batch *batch,
            const struct smtp_client_offers *offers, struct smtp_client_message *message)
{
    message->head = d->head;
    message->body = d->body;
    message->form = &d->form;
    bool is_utf8 = message->smtputf8 ? !offers->smtputf8 : !offers->eightbitmime;
    if (!d->form.header_has_8bit || !is_utf8) {
        return;
    }
    make_ascii_head(d, is_last(d, batch) ? MAIL_HEADER_DOWNGRADE_AUTHORS : 0);
    if (d->ascii_head.why == NULL) {
        message->head = buf_str(&d->ascii_head.head);
        message->form = &d->ascii_head.form;
    }
}

/* ---- a server without 8BITMIME */

static void
make_seven_bits(struct relay_delivery *d, struct str whole_head)
{
    struct relay_seven_bits *seven = &d->seven_bits;
    size_t ceiling = 4 * (whole_head.n + d->body.n) + 65536; /* three of one, when it is encoded */
    seven->made = true;
    seven->why = "it has bare line ends";
    buf_init(&seven->head, ceiling);
    buf_init(&seven->body, ceiling);
    if (d->form.has_bare) {
        return;
    }
    seven->why = "it needs too much memory";
    if (mail_downgrade(d->arena, whole_head, d->body, &seven->head, &seven->body, &seven->why) ==
        STATUS_OK) {
        seven->why = NULL;
        smtp_content_look(buf_str(&seven->head), buf_str(&seven->body), &seven->form);
    }
}

/*
 * Puts the message into a form that the server takes. False when there is none: the whole batch has
 * failed then (RFC 6152 3).
 */
static bool
choose_form(struct relay_delivery *d, struct batch *batch, const struct relay_session *session,
            struct smtp_client_message *message)
{
    const struct relay_seven_bits *seven = &d->seven_bits;
    choose_head(d, batch, smtp_client_offers(session->client), message);
    if (!message->form->has_8bit || smtp_client_offers(session->client)->eightbitmime) {
        return true;
    }
    if (!seven->made) {
        make_seven_bits(d, message->head);
        TRACE(d->trace, content_encoded, .why = STR("next_hop"),
              .problem = str_from_cstr(seven->why != NULL ? seven->why : ""));
    }
    if (seven->why == NULL) {
        message->head = buf_str(&seven->head);
        message->body = buf_str(&seven->body);
        message->form = &seven->form;
        return true;
    }
    struct smtp_reply words = {.enhanced = {5, 6, 3}};
    words.text = arena_printf(d->arena,
                              "the next server does not take 8-bit content, and the message cannot "
                              "be converted: %s",
                              seven->why);
    for (size_t i = 0; i < batch->count; i++) {
        settle(d, batch->indexes[i], DELIVERY_FAILED, &words, str_from_cstr(session->remote),
               str_from_cstr(session->tls_text));
    }
    batch->count = 0;
    return false;
}

/* ---- a transaction */

/* Not settled: another host, or another transaction, may still take it. */
static bool
may_go_elsewhere(const struct smtp_client_result *result)
{
    bool session_failed = result->reply.code == 0 || result->reply.code == 421;
    return result->outcome == SMTP_CLIENT_DEFERRED && session_failed &&
           result->stage < SMTP_CLIENT_STAGE_END;
}

/* RFC 5321 4.5.3.1.10: the server has enough recipients; the others go in the next transaction. */
static bool
is_overflow(const struct smtp_client_result *result)
{
    return result->stage == SMTP_CLIENT_STAGE_RCPT &&
           (result->reply.code == 452 || result->reply.code == 552);
}

static enum delivery_outcome
outcome_of(const struct relay_session *session, const struct smtp_client_result *result)
{
    if (result->outcome == SMTP_CLIENT_FAILED) {
        return DELIVERY_FAILED;
    }
    if (result->outcome != SMTP_CLIENT_TAKEN) {
        return DELIVERY_DEFERRED;
    }
    if (session->client_settings.protocol == SMTP_CLIENT_LMTP) {
        return DELIVERY_DELIVERED;
    }
    return smtp_client_offers(session->client)->dsn ? DELIVERY_RELAYED
                                                    : DELIVERY_RELAYED_WITHOUT_DSN;
}

/* Settles the first n of the batch by their results; what is left moves up. */
static size_t
take_results(struct relay_delivery *d, struct batch *batch, const struct relay_session *session,
             size_t n)
{
    const struct smtp_client_result *results = smtp_client_results(session->client);
    size_t left = 0;
    bool any_taken = false;
    for (size_t i = 0; i < n; i++) {
        any_taken |= results[i].outcome == SMTP_CLIENT_TAKEN;
    }
    for (size_t i = 0; i < batch->count; i++) {
        size_t index = batch->indexes[i];
        if (i >= n || may_go_elsewhere(&results[i]) || (any_taken && is_overflow(&results[i]))) {
            batch->indexes[left++] = index;
            continue;
        }
        settle(d, index, outcome_of(session, &results[i]), &results[i].reply,
               str_from_cstr(session->remote), str_from_cstr(session->tls_text));
    }
    size_t settled = batch->count - left;
    batch->count = left;
    return settled;
}

/* Sends to the first n recipients of the batch. True while the session can go on with the rest. */
static bool
transact(struct relay_delivery *d, struct batch *batch, struct relay_session *session, size_t n)
{
    const struct msg_deliver *deliver = d->deliver;
    struct smtp_client_recipient *recipients = arena_alloc_array(d->arena, n, sizeof *recipients);
    if (recipients == NULL) {
        return false;
    }
    enum notice_extent extent = notice_extent_of(d->config, deliver->flags);
    for (size_t i = 0; i < n; i++) {
        const struct record_delivery_recipient *r = &deliver->recipients.items[batch->indexes[i]];
        recipients[i] =
            (struct smtp_client_recipient){.address = r->address,
                                           .orcpt = r->orcpt,
                                           .notify = notice_extent_notify(extent, r->notify)};
    }
    struct smtp_client_message message = {
        .sender = deliver->sender,
        .ret = (enum smtp_dsn_ret)deliver->ret,
        .envid = deliver->envid,
        .smtputf8 = (deliver->flags & SMTP_MESSAGE_SMTPUTF8) != 0,
        .recipients = recipients,
        .recipient_count = n,
    };
    if (!choose_form(d, batch, session, &message)) {
        return true;
    }
    smtp_client_send(session->client, &message);
    bool ready = relay_session_run(session);
    session->transactions++;
    size_t settled = take_results(d, batch, session, n);
    return ready && settled > 0;
}

/* How many more transactions this session may have. */
static bool
session_has_room(const struct relay_session *session)
{
    uint32_t mail_max = smtp_client_offers(session->client)->mail_max;
    return session->transactions < session->config->queue.reuse_messages &&
           (mail_max == 0 || session->transactions < mail_max);
}

static void
converse(struct relay_delivery *d, struct batch *batch, struct relay_session *session)
{
    size_t most = smtp_client_recipients_most(session->client);
    bool going_on = true;
    while (going_on && batch->count > 0 && !is_over(d)) {
        size_t n = batch->count < most ? batch->count : most;
        going_on = transact(d, batch, session, n) && session_has_room(session);
    }
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
    trace_attempt(d, batch->hop, target, false);
    const struct relay_caller caller = {.world = d->world,
                                        .config = d->config,
                                        .tls = d->tls,
                                        .hop = batch->hop,
                                        .trace = d->trace,
                                        .deadline_ms = d->deadline_ms};
    struct relay_session *session = relay_call(&caller, target, &failure);
    if (session == NULL) {
        note_failure(d, batch, target, &failure, target->host);
        return NULL;
    }
    if (is_ourselves(d, batch->hop, session)) {
        struct relay_route_failure loop = {
            .permanent = true,
            .host = target->host,
            .reply = SMTP_REPLY(0, 5, 4, 6, "mail for this domain leads back to this gateway")};
        note_route_failure(d, batch, &loop);
        relay_idle_give(d->world->idle, &session, batch->hop->key, 0, clock_monotonic_ms());
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

/* Uses a session and gives it back; true when it is still good. */
static bool
use_session(struct relay_delivery *d, struct batch *batch, struct relay_session *session,
            bool reused)
{
    struct relay_target target = target_of(session, batch->hop);
    session->deadline_ms = d->deadline_ms;
    converse(d, batch, session);
    session->deadline_ms = 0;
    bool good = smtp_client_stage(session->client) == SMTP_CLIENT_STAGE_READY;
    bool stale = reused && !good && !smtp_client_was_answered(session->client);
    d->connected |= !stale;
    if (!good && !stale && batch->count > 0) {
        struct relay_session_failure failure;
        relay_session_failure(session, &failure);
        note_failure(d, batch, &target, &failure, str_from_cstr(session->remote));
    }
    relay_idle_give(d->world->idle, &session, batch->hop->key, d->deliver->concurrency,
                    clock_monotonic_ms());
    return good;
}

static void
use_idle_sessions(struct relay_delivery *d, struct batch *batch)
{
    struct relay_session *session;
    while (batch->count > 0 && !is_over(d) &&
           (session = relay_idle_take(d->world->idle, batch->hop->key)) != NULL) {
        struct relay_target target = target_of(session, batch->hop);
        target.host = arena_str_dup(d->arena, target.host);
        atomic_fetch_add(&d->world->counters.connections_reused, 1);
        trace_attempt(d, batch->hop, &target, true);
        use_session(d, batch, session, true);
    }
}

/* Calls one address until it has taken what it will; new sessions while the old one was used up. */
static void
use_target(struct relay_delivery *d, struct batch *batch, const struct relay_target *target)
{
    bool going_on = true;
    while (going_on && batch->count > 0 && !is_over(d)) {
        size_t before = batch->count;
        struct relay_session *session = open_session(d, batch, target);
        going_on =
            session != NULL && use_session(d, batch, session, false) && batch->count < before;
    }
}

static void
deliver_batch(struct relay_delivery *d, struct batch *batch)
{
    struct relay_route route;
    struct relay_target target;
    struct relay_route_failure failure;
    enum relay_route_step step;
    use_idle_sessions(d, batch);
    relay_route_start(&route, d->arena, d->config, &d->world->route, batch->hop);
    while (batch->count > 0 && !is_over(d) &&
           (step = relay_route_next(&route, &target, &failure)) != ROUTE_END) {
        if (step == ROUTE_TARGET) {
            use_target(d, batch, &target);
        } else {
            note_route_failure(d, batch, &failure);
            if (route.host_count == 0) {
                break; /* there is no host to go on with */
            }
        }
    }
    if (is_over(d)) {
        batch_failure(d, batch, false, &too_long, batch->remote);
    } else if (!batch->has_failure) {
        batch->reply = SMTP_REPLY(0, 4, 4, 0, "no address of the destination could be used");
    }
    enum delivery_outcome outcome = batch->permanent ? DELIVERY_FAILED : DELIVERY_DEFERRED;
    for (size_t i = 0; i < batch->count; i++) {
        settle(d, batch->indexes[i], outcome, &batch->reply, batch->remote, STR(""));
    }
}

/* ---- the message */

/* Gathers the recipients that share the hop of the first one that has no result. */
static void
gather(struct relay_delivery *d, size_t first, const struct next_hop *hop, struct batch *batch)
{
    batch->hop = hop;
    for (size_t i = first; i < d->deliver->recipients.n; i++) {
        struct next_hop other;
        if (!d->settled[i] &&
            next_hop_find(d->arena, d->config, d->deliver->recipients.items[i].address, &other) ==
                STATUS_OK &&
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
    enum status status = next_hop_find(d->arena, d->config, recipient->address, &hop);
    if (status == STATUS_OK) {
        gather(d, first, &hop, &batch);
        deliver_batch(d, &batch);
        return;
    }
    struct smtp_reply words = SMTP_REPLY(0, 5, 1, 3, "the address has no domain to send to");
    struct smtp_reply memory = SMTP_REPLY(0, 4, 3, 0, "out of memory for this attempt");
    bool bad = status == STATUS_SYNTAX;
    settle(d, first, bad ? DELIVERY_FAILED : DELIVERY_DEFERRED, bad ? &words : &memory, STR(""),
           STR(""));
}

enum status
relay_delivery_run(struct relay_delivery *d)
{
    size_t n = d->deliver->recipients.n;
    d->results = arena_alloc_array(d->arena, n + 1, sizeof *d->results);
    d->settled = arena_alloc_array(d->arena, n + 1, sizeof *d->settled);
    size_t *indexes = arena_alloc_array(d->arena, n + 1, sizeof *indexes);
    if (d->results == NULL || d->settled == NULL || indexes == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < n; i++) {
        d->results[i] = (struct record_delivery_result){
            .number = d->deliver->recipients.items[i].number, .outcome = DELIVERY_DEFERRED};
    }
    smtp_content_look(d->head, d->body, &d->form);
    for (size_t i = 0; i < n; i++) {
        if (!d->settled[i] && is_over(d)) {
            settle(d, i, DELIVERY_DEFERRED, &too_long, STR(""), STR(""));
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
