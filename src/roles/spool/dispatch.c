/* What is due goes to the relay: messages are leased, and the reports on them taken. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/spool/internal.h"

/* A destination whose message could not be loaded is left alone for so long. */
#define LOAD_RETRY_MS 10000

/* ---- deliveries */

/* From schedule_next until the results are on disk. */
struct delivery {
    struct schedule_destination *destination;
    int64_t key;
    bool partial; /* there are more recipients for this destination */
};

/* Ends a delivery that never got as far as the relay. */
static void
delivery_cancel(struct spool_role *role, struct schedule_destination *d, int64_t key,
                int64_t again_at_ms)
{
    int64_t now = role_now(role);
    role->outstanding--;
    delivery_leave(role, key);
    schedule_ended(role->schedule, d, SCHEDULE_NOTHING, now);
    schedule_settled(role->schedule, d, key);
    if (again_at_ms > 0) {
        schedule_due_at(role->schedule, d, again_at_ms, now);
    }
}

static void
delivery_put_back(struct spool_role *role, struct schedule_destination *d, int64_t key)
{
    int64_t now = role_now(role);
    role->outstanding--;
    delivery_leave(role, key);
    schedule_put_back(role->schedule, d, key, now);
    schedule_ended(role->schedule, d, SCHEDULE_NOTHING, now);
}

/* ---- leases */

static void
lease_free(struct spool_role *role, struct lease *lease)
{
    HASH_DEL(role->leases, lease);
    parcel_unref(&lease->parcel);
    free(lease->indexes);
    free(lease);
}

static size_t
recipient_octets(const struct spool_recipient *r)
{
    return 64 + r->address.n + r->original.n + r->orcpt.n;
}

static bool
waits_for(const struct spool_recipient *r, struct str destination)
{
    return (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) &&
           str_eq(r->destination, destination);
}

/* The recipients that one delivery takes; NULL when there are none. */
static struct lease *
lease_make(struct parcel *parcel, struct schedule_destination *d)
{
    const struct spool_message *m = &parcel->m;
    struct lease *lease = calloc(1, sizeof *lease);
    size_t octets = 0;
    if (lease == NULL || (lease->indexes = calloc(m->recipient_count, sizeof(uint32_t))) == NULL) {
        abort();
    }
    for (size_t i = 0; i < m->recipient_count && !lease->partial; i++) {
        if (!waits_for(&m->recipients[i], schedule_name(d))) {
            continue;
        }
        octets += recipient_octets(&m->recipients[i]);
        if (lease->count == SPOOL_LEASE_RECIPIENTS ||
            (lease->count > 0 && octets > SPOOL_LEASE_OCTETS)) {
            lease->partial = true;
        } else {
            lease->indexes[lease->count++] = (uint32_t)i;
        }
    }
    if (lease->count == 0) {
        free(lease->indexes);
        free(lease);
        return NULL;
    }
    lease->parcel = parcel;
    lease->destination = d;
    return lease;
}

static enum status
lease_send(struct spool_role *role, const struct lease *lease)
{
    const struct parcel *parcel = lease->parcel;
    const struct spool_message *m = &parcel->m;
    struct record_delivery_recipient *items = calloc(lease->count, sizeof *items);
    if (items == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < lease->count; i++) {
        const struct spool_recipient *r = &m->recipients[lease->indexes[i]];
        items[i] = (struct record_delivery_recipient){.number = r->number,
                                                      .address = r->address,
                                                      .original = r->original,
                                                      .orcpt = r->orcpt,
                                                      .notify = r->notify,
                                                      .attempts = r->attempts,
                                                      .rerouted = r->rerouted};
    }
    struct msg_deliver deliver = {
        .lease = lease->id,
        .id = m->id,
        .received_ms = m->received_ms,
        .sender = m->sender,
        .ret = m->ret,
        .envid = m->envid,
        .flags = m->flags,
        .destination = schedule_name(lease->destination),
        .concurrency = schedule_concurrency(lease->destination),
        .recipients = {items, lease->count},
        .head = parcel->head,
        .content = parcel->content,
        .content_offset = parcel->content_offset,
    };
    enum status status =
        channel_send(role_channel(role->runtime, ROLE_RELAY, 0), MSG_DELIVER, 0, &deliver);
    free(items);
    return status;
}

/* Gives the message to the relay; takes the reference over. */
static void
lease_start(struct spool_role *role, struct schedule_destination *d, struct parcel *parcel)
{
    if (parcel->commit == NULL || schedule_has_pauses(role->schedule)) {
        /* It was stored, and the routes may have changed since; or its domain was paused. */
        destinations_rehome(role, parcel);
    }
    struct lease *lease = lease_make(parcel, d);
    int64_t key = parcel->m.key;
    if (lease == NULL) {
        parcel_unref(&parcel);
        delivery_cancel(role, d, key, 0);
        return;
    }
    lease->id = ++role->last_lease;
    lease->deadline_ms = clock_monotonic_ms() + DELIVERY_LEASE_MS;
    HASH_ADD(hh, role->leases, id, sizeof lease->id, lease);
    if (lease->partial) {
        cache_drop(role, key); /* what is left is read from the database after this delivery */
    }
    enum status status = lease_send(role, lease);
    if (status != STATUS_OK) {
        role->relay_paused = true; /* until it says what it can take */
        LOG_WARN("the relay cannot be given a message", LOG_STR("id", parcel->m.id),
                 LOG_CSTR("status", status_name(status)));
        lease_free(role, lease);
        delivery_put_back(role, d, key);
    }
}

static void
on_delivery_loaded(struct spool_role *role, void *context, enum status status,
                   struct parcel *parcel)
{
    struct delivery *delivery = context;
    struct schedule_destination *d = delivery->destination;
    int64_t key = delivery->key;
    free(delivery);
    if (status == STATUS_OK) {
        lease_start(role, d, parcel);
    } else if (status == STATUS_NOT_FOUND) {
        delivery_cancel(role, d, key, 0); /* held, removed or delivered since it was listed */
    } else if (status == STATUS_SYNTAX) {
        /* If it cannot be held now, it is found damaged again. */
        delivery_cancel(role, d, key, role_now(role) + LOAD_RETRY_MS);
        damage_hold(role, key);
    } else {
        LOG_ERROR("a queued message cannot be read", LOG_INT("key", key),
                  LOG_CSTR("status", status_name(status)));
        delivery_cancel(role, d, key, role_now(role) + LOAD_RETRY_MS);
    }
    dispatch(role);
}

static void
delivery_load(struct spool_role *role, struct schedule_destination *d, int64_t key)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    struct spool_choice choice = load_choice_due(schedule_name(d), role_now(role));
    if (delivery == NULL) {
        abort();
    }
    *delivery = (struct delivery){.destination = d, .key = key};
    load_parcel(role, key, &choice, LOAD_ALL, on_delivery_loaded, delivery);
}

static void
delivery_begin(struct spool_role *role, struct schedule_destination *d, int64_t key)
{
    struct parcel *parcel = cache_find(role, key, schedule_name(d));
    role->outstanding++;
    if (!delivery_enter(role, key)) {
        role->outstanding--;
        schedule_ended(role->schedule, d, SCHEDULE_NOTHING, role_now(role));
        schedule_settled(role->schedule, d, key);
        schedule_due_at(role->schedule, d, role_now(role) + 1000, role_now(role));
        return;
    }
    if (parcel != NULL) {
        parcel_ref(parcel);
        if (parcel->only.n > 0) {
            cache_drop(role, key); /* it was for this delivery */
        }
        lease_start(role, d, parcel);
    } else {
        delivery_load(role, d, key);
    }
}

/* ---- sending what may be sent */

void
dispatch(struct spool_role *role)
{
    struct schedule_destination *d;
    int64_t key;
    if (role->stopping) {
        return;
    }
    destinations_fill(role);
    while (role->relay_up && !role->relay_paused && role->outstanding < role->relay_total &&
           schedule_next(role->schedule, role_now(role), &d, &key)) {
        delivery_begin(role, d, key);
    }
    destinations_fill(role);
}

/* ---- reports */

static void
on_outcome_written(struct spool_role *role, void *context, struct parcel *parcel, bool written)
{
    struct delivery *delivery = context;
    struct schedule_destination *d = delivery->destination;
    bool partial = delivery->partial;
    free(delivery);
    schedule_unpin(d);
    if (!written) {
        return; /* it stays marked as being delivered: trying again would deliver it again */
    }
    schedule_settled(role->schedule, d, parcel->m.key);
    delivery_leave(role, parcel->m.key);
    if (partial) {
        schedule_due_at(role->schedule, d, role_now(role), role_now(role));
    }
}

static enum verdict_kind
verdict_of(uint8_t outcome)
{
    switch ((enum delivery_outcome)outcome) {
    case DELIVERY_DELIVERED:
        return VERDICT_DELIVERED;
    case DELIVERY_RELAYED:
        return VERDICT_RELAYED;
    case DELIVERY_RELAYED_WITHOUT_DSN:
        return VERDICT_RELAYED_WITHOUT_DSN;
    case DELIVERY_FAILED:
        return VERDICT_FAILED;
    case DELIVERY_DEFERRED:
        break;
    }
    return VERDICT_DEFERRED; /* an outcome that is not known is no reason to lose mail */
}

static const struct record_delivery_result *
result_for(const struct msg_delivery_report *report, uint32_t number)
{
    for (size_t i = 0; i < report->results.n; i++) {
        if (report->results.items[i].number == number) {
            return &report->results.items[i];
        }
    }
    return NULL;
}

/* One verdict for each recipient of the lease, also for those that the report forgot. */
static struct verdict *
read_report(struct spool_role *role, const struct lease *lease,
            const struct msg_delivery_report *report, enum schedule_result *result_out)
{
    struct verdict *verdicts = calloc(lease->count, sizeof *verdicts);
    *result_out = report->connected ? SCHEDULE_REFUSED : SCHEDULE_UNREACHABLE;
    if (verdicts == NULL) {
        abort();
    }
    for (size_t i = 0; i < lease->count; i++) {
        uint32_t number = lease->parcel->m.recipients[lease->indexes[i]].number;
        const struct record_delivery_result *r = result_for(report, number);
        verdicts[i] = (struct verdict){
            .index = lease->indexes[i],
            .kind = r != NULL ? verdict_of(r->outcome) : VERDICT_DEFERRED,
            .last = {.at_ms = role_now(role), .text = STR("the relay gave no result")},
        };
        if (r != NULL) {
            verdicts[i].last.code = r->code;
            verdicts[i].last.enhanced = r->enhanced;
            verdicts[i].last.text = r->text;
            verdicts[i].last.remote = r->remote;
        }
        if (report->connected && verdicts[i].kind != VERDICT_DEFERRED) {
            *result_out = SCHEDULE_SUCCESS;
        }
    }
    return verdicts;
}

/* What the destination said to all, or why it could not be reached; a server's word first. */
static const struct spool_attempt *
failure_of(const struct verdict *verdicts, size_t count)
{
    const struct spool_attempt *best = &verdicts[0].last;
    for (size_t i = 1; i < count; i++) {
        if (best->code == 0 && verdicts[i].last.code != 0) {
            best = &verdicts[i].last;
        }
    }
    return best;
}

/* True: what is known of the destination has changed. */
static bool
note_result(struct spool_role *role, struct schedule_destination *d, const struct verdict *verdicts,
            size_t count, enum schedule_result result)
{
    if (result == SCHEDULE_SUCCESS) {
        return schedule_note_success(d);
    }
    schedule_note_failure(d, failure_of(verdicts, count), role_now(role));
    return true;
}

static void
lease_settle(struct spool_role *role, struct lease *lease, const struct msg_delivery_report *report)
{
    enum schedule_result result;
    struct verdict *verdicts = read_report(role, lease, report, &result);
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (delivery == NULL) {
        abort();
    }
    *delivery = (struct delivery){lease->destination, lease->parcel->m.key, lease->partial};
    role->outstanding--;
    schedule_pin(lease->destination);
    bool changed = note_result(role, lease->destination, verdicts, lease->count, result);
    schedule_ended(role->schedule, lease->destination, result, role_now(role));
    const struct verdict_list list = {
        .items = verdicts, .count = lease->count, .attempted = changed ? lease->destination : NULL};
    outcome_write(role, lease->parcel, &list, on_outcome_written, delivery);
    free(verdicts);
}

void
dispatch_report(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    const struct msg_delivery_report *report = MSG_BODY(message, delivery_report);
    struct lease *lease;
    (void)channel;
    HASH_FIND(hh, role->leases, &report->lease, sizeof report->lease, lease);
    if (lease == NULL) {
        LOG_WARN("a report for a lease that has ended", LOG_INT("lease", report->lease));
    } else {
        lease_settle(role, lease, report);
        lease_free(role, lease);
    }
    ipc_message_free(&message);
    dispatch(role);
}

static void
lease_end(struct spool_role *role, struct lease *lease)
{
    struct schedule_destination *d = lease->destination;
    int64_t key = lease->parcel->m.key;
    lease_free(role, lease);
    delivery_put_back(role, d, key);
}

/*
 * There was no report: it got lost, or the relay is slower than it should be. The same lease is
 * sent once more, so that a late report still counts; a relay that is at work on it ignores that.
 */
static void
lease_ask_again(struct spool_role *role, struct lease *lease)
{
    LOG_WARN("the relay did not report in time", LOG_STR("id", lease->parcel->m.id));
    HASH_DEL(role->leases, lease);
    lease->deadline_ms = clock_monotonic_ms() + DELIVERY_LEASE_MS;
    HASH_ADD(hh, role->leases, id, sizeof lease->id, lease);
    if (lease_send(role, lease) != STATUS_OK) {
        lease_end(role, lease);
    }
}

void
dispatch_relay_lost(struct spool_role *role)
{
    role->relay_up = false;
    role->relay_total = 0;
    while (role->leases != NULL) {
        lease_end(role, role->leases);
    }
}

void
dispatch_tick(struct spool_role *role)
{
    while (role->leases != NULL && role->leases->deadline_ms <= clock_monotonic_ms()) {
        lease_ask_again(role, role->leases);
    }
    schedule_tick(role->schedule, role_now(role));
    destinations_evict(role);
    destinations_wake(role);
    dispatch(role);
}
