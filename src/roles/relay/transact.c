#include "base/clock.h"
#include "policy/notice.h"
#include "roles/relay/deliver_internal.h"
#include "store/delivery.h"

size_t
batch_active(const struct relay_delivery *d, const struct batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        count += d->standings[batch->indexes[i]].resting ? 0 : 1;
    }
    return count;
}

bool
delivery_is_over(const struct relay_delivery *d)
{
    return d->deadline_ms != 0 && clock_monotonic_ms() >= d->deadline_ms;
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

void
delivery_settle(struct relay_delivery *d, size_t i, enum delivery_outcome outcome,
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

void
delivery_trace_failure(struct relay_delivery *d, const struct relay_target *target,
                       const char *stage, const struct smtp_reply *reply)
{
    char ip[IP_TEXT_MAX];
    const struct ip_address none = {0};
    /* Of a host that is an address the name says it already. */
    bool named = !str_eq(target->host, str_from_cstr(ip_format(&target->ip, ip)));
    const struct ip_address address = named ? target->ip : none;
    TRACE(d->trace, attempt_failed, .destination = d->deliver->destination, .host = target->host,
          .address = address, .port = target->port, .stage = str_from_cstr(stage),
          .code = reply->code, .enhanced = relay_enhanced_text(d->arena, reply),
          .text = relay_reply_text(d->arena, reply));
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
 * where nothing is lost by it (doc/decisions/0017-smtputf8.md); if it cannot, the client core finds
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

/* The present host lacks what the message needs; `chosen` wait for the next one. */
static void
note_obstacle(struct relay_delivery *d, const struct relay_session *session, const size_t *chosen,
              size_t n, const struct smtp_reply *words)
{
    const struct relay_failure failure = {.rank = FAILURE_SESSION,
                                          .permanent = true,
                                          .lacks_feature = true,
                                          .reply = *words,
                                          .remote = str_from_cstr(session->remote),
                                          .tls = str_from_cstr(session->tls_text)};
    const struct relay_failure *kept = relay_failure_make(d->arena, &failure);
    for (size_t i = 0; i < n; i++) {
        relay_standing_note(&d->standings[chosen[i]], kept);
        d->standings[chosen[i]].resting = true;
    }
}

/*
 * Puts the message into a form that the server takes. False, with the words, when there is none
 * (RFC 6152 3).
 */
static bool
choose_form(struct relay_delivery *d, const struct batch *batch,
            const struct relay_session *session, struct smtp_client_message *message,
            struct smtp_reply *words_out)
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
    *words_out = (struct smtp_reply){.enhanced = {5, 6, 3}};
    words_out->text = arena_printf(d->arena,
                                   "the next server does not take 8-bit content, and the message "
                                   "cannot be converted: %s",
                                   seven->why);
    return false;
}

/* ---- a transaction */

/* The session ended before this recipient had its verdict: another one may still take it. */
static bool
was_interrupted(const struct relay_session *session, const struct smtp_client_result *result)
{
    bool ends_before = result->stage < SMTP_CLIENT_STAGE_END || session->end_unreceived;
    bool lost = result->reply.code == 0 && ends_before;
    return result->outcome == SMTP_CLIENT_DEFERRED && (lost || result->reply.code == 421);
}

/*
 * 530 wants TLS (RFC 3207 4) or a login (RFC 4954 6). From a server with which TLS did not work
 * that may be mended there, from one that our configuration names it must be here.
 */
static bool
wants_security(const struct relay_session *session, const struct smtp_client_result *result)
{
    return (session->tls_lost || session->configured) && result->outcome == SMTP_CLIENT_FAILED &&
           result->reply.code == 530;
}

/* A refusal after which another host may take it; an interruption is the session's failure. */
static bool
is_refusal(const struct smtp_client_result *result)
{
    bool put_off = result->outcome == SMTP_CLIENT_DEFERRED && result->reply.code > 0;
    return result->lacks_feature || (put_off && result->reply.code != 421);
}

/* The server may have had enough of this session, not of the message. */
static bool
may_be_session_limit(const struct relay_session *session, const struct smtp_client_result *result)
{
    return session->transactions > 1 && result->outcome == SMTP_CLIENT_DEFERRED &&
           result->reply.code > 0 &&
           (result->stage == SMTP_CLIENT_STAGE_MAIL || result->stage == SMTP_CLIENT_STAGE_DATA);
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

/* Gives up what has no result by now, by what is known of it. */
void
delivery_settle_by_standing(struct relay_delivery *d, size_t index, bool more_hosts)
{
    struct relay_failure told;
    relay_standing_conclude(d->arena, &d->standings[index], more_hosts, &told);
    delivery_settle(d, index, told.permanent ? DELIVERY_FAILED : DELIVERY_DEFERRED, &told.reply,
                    told.remote, told.tls);
}

/* The server puts a recipient off: the next host may take it. */
static void
take_refusal(struct relay_delivery *d, const struct relay_session *session, size_t index,
             const struct smtp_client_result *result)
{
    struct relay_standing *standing = &d->standings[index];
    const struct relay_failure failure = {.rank = FAILURE_REPLY,
                                          .reply = result->reply,
                                          .remote = str_from_cstr(session->remote),
                                          .tls = str_from_cstr(session->tls_text)};
    relay_standing_note(standing, relay_failure_make(d->arena, &failure));
    standing->resting = true;
    if (!relay_standing_refused(standing, &session->ip)) {
        delivery_settle_by_standing(d, index, true);
    }
}

/* What one result means for its recipient. */
static void
take_result(struct relay_delivery *d, struct relay_session *session, size_t index,
            const struct smtp_client_result *result)
{
    if (was_interrupted(session, result)) {
        return;
    }
    if (result->lacks_feature) {
        note_obstacle(d, session, &index, 1, &result->reply);
    } else if (may_be_session_limit(session, result)) {
        session->spent = true;
    } else if (is_refusal(result) || wants_security(session, result)) {
        take_refusal(d, session, index, result);
    } else {
        delivery_settle(d, index, outcome_of(session, result), &result->reply,
                        str_from_cstr(session->remote), str_from_cstr(session->tls_text));
    }
}

/* The first refusal of a transaction is traced; the others are mostly like it. */
static void
trace_refusal(struct relay_delivery *d, const struct relay_session *session,
              const struct smtp_client_result *results, size_t n)
{
    const struct relay_target target = {
        .host = str_from_cstr(session->host), .ip = session->ip, .port = session->port};
    for (size_t i = 0; i < n; i++) {
        if (is_refusal(&results[i])) {
            delivery_trace_failure(d, &target, smtp_client_stage_name(results[i].stage),
                                   &results[i].reply);
            return;
        }
    }
}

/* Takes the results of the chosen; what is settled leaves the batch. */
static void
take_results(struct relay_delivery *d, struct batch *batch, struct relay_session *session,
             const size_t *chosen, size_t n)
{
    const struct smtp_client_result *results = smtp_client_results(session->client);
    size_t left = 0;
    bool any_taken = false;
    for (size_t i = 0; i < n; i++) {
        any_taken |= results[i].outcome == SMTP_CLIENT_TAKEN;
    }
    trace_refusal(d, session, results, n);
    for (size_t i = 0; i < n; i++) {
        if (!any_taken || !is_overflow(&results[i])) {
            take_result(d, session, chosen[i], &results[i]);
        }
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (!d->settled[batch->indexes[i]]) {
            batch->indexes[left++] = batch->indexes[i];
        }
    }
    batch->count = left;
}

/* The first recipients of the batch, up to `most`, that the present host has not answered. */
static size_t
choose(const struct relay_delivery *d, const struct batch *batch, size_t most, size_t *chosen)
{
    size_t n = 0;
    for (size_t i = 0; i < batch->count && n < most; i++) {
        if (!d->standings[batch->indexes[i]].resting) {
            chosen[n++] = batch->indexes[i];
        }
    }
    return n;
}

/* The envelope for the chosen; false without memory. */
static bool
make_envelope(struct relay_delivery *d, const size_t *chosen, size_t n,
              struct smtp_client_message *message_out)
{
    const struct msg_deliver *deliver = d->deliver;
    struct smtp_client_recipient *recipients = arena_alloc_array(d->arena, n, sizeof *recipients);
    if (recipients == NULL) {
        return false;
    }
    enum notice_extent extent = notice_extent_of(d->config, deliver->flags);
    for (size_t i = 0; i < n; i++) {
        const struct record_delivery_recipient *r = &deliver->recipients.items[chosen[i]];
        recipients[i] =
            (struct smtp_client_recipient){.address = r->address,
                                           .orcpt = r->orcpt,
                                           .notify = notice_extent_notify(extent, r->notify)};
    }
    *message_out = (struct smtp_client_message){
        .sender = deliver->sender,
        .ret = (enum smtp_dsn_ret)deliver->ret,
        .envid = deliver->envid,
        .smtputf8 = (deliver->flags & SMTP_MESSAGE_SMTPUTF8) != 0,
        .recipients = recipients,
        .recipient_count = n,
    };
    return true;
}

/* One transaction with at most `most` recipients. True while the session can go on with the rest.
 */
static bool
transact(struct relay_delivery *d, struct batch *batch, struct relay_session *session, size_t most)
{
    struct smtp_client_message message;
    struct smtp_reply words;
    size_t active = batch_active(d, batch);
    size_t n = active < most ? active : most;
    size_t *chosen = arena_alloc_array(d->arena, n, sizeof *chosen);
    if (chosen == NULL || !make_envelope(d, chosen, choose(d, batch, n, chosen), &message)) {
        return false;
    }
    if (!choose_form(d, batch, session, &message, &words)) {
        const struct smtp_client_result obstacle = {
            .stage = SMTP_CLIENT_STAGE_READY, .reply = words, .lacks_feature = true};
        trace_refusal(d, session, &obstacle, 1);
        note_obstacle(d, session, chosen, n, &words);
        return true;
    }
    smtp_client_send(session->client, &message);
    bool ready = relay_session_run(session);
    session->transactions++;
    take_results(d, batch, session, chosen, n);
    return ready && batch_active(d, batch) < active && !session->spent;
}

/* How many more transactions this session may have. */
static bool
session_has_room(const struct relay_session *session)
{
    uint32_t mail_max = smtp_client_offers(session->client)->mail_max;
    return session->transactions < session->config->queue.reuse_messages &&
           (mail_max == 0 || session->transactions < mail_max);
}

void
batch_converse(struct relay_delivery *d, struct batch *batch, struct relay_session *session)
{
    size_t most = smtp_client_recipients_most(session->client);
    bool going_on = true;
    while (going_on && batch_active(d, batch) > 0 && !delivery_is_over(d)) {
        going_on = transact(d, batch, session, most) && session_has_room(session);
    }
}
