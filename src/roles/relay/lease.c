#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/relay/internal.h"
#include "store/delivery.h"

/* A message that the spool has leased to us, from its arrival to its report. */
struct lease {
    struct relay_task task; /* first: the crew hands this back */
    struct relay *relay;
    struct ipc_message *message; /* MSG_DELIVER */
    const struct config *config; /* one reference */
    int64_t deadline_ms;         /* monotonic */
    uint32_t generation;         /* of the spool that it belongs to */
    bool parked;                 /* waits for its predecessor */
    bool reported;               /* what the spool asks from now on needs another report */
    struct lease *next;          /* relay->leases */
    struct lease **link;
};

static const struct msg_deliver *
lease_fields(const struct lease *lease)
{
    return MSG_BODY(lease->message, deliver);
}

/* ---- capacity */

void
relay_lease_tell_capacity(struct relay *relay)
{
    struct channel *spool = role_channel(relay->runtime, ROLE_SPOOL, 0);
    struct msg_relay_capacity capacity = {.total = 0};
    uint32_t most = role_config(relay->runtime)->queue.connections;
    pthread_mutex_lock(&relay->mutex);
    size_t old = relay->old_lease_count;
    relay->old_lease_ended = false;
    pthread_mutex_unlock(&relay->mutex);
    if (!relay->stopping && old < most) {
        capacity.total = most - (uint32_t)old;
    }
    if (channel_is_connected(spool) &&
        channel_send(spool, MSG_RELAY_CAPACITY, 0, &capacity) != STATUS_OK) {
        LOG_WARN("the spool cannot be told how much the relay takes");
    }
}

void
relay_lease_tick(struct relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    bool ended = relay->old_lease_ended;
    pthread_mutex_unlock(&relay->mutex);
    if (ended) {
        relay_lease_tell_capacity(relay);
    }
}

/* ---- the list of leases; with the mutex held */

static void
lease_link(struct relay *relay, struct lease *lease)
{
    lease->next = relay->leases;
    lease->link = &relay->leases;
    if (lease->next != NULL) {
        lease->next->link = &lease->next;
    }
    relay->leases = lease;
    relay->lease_count++;
}

static void
lease_unlink(struct relay *relay, struct lease *lease)
{
    *lease->link = lease->next;
    if (lease->next != NULL) {
        lease->next->link = lease->link;
    }
    if (lease->generation == relay->generation) {
        relay->lease_count--;
    } else {
        relay->old_lease_count--;
        relay->old_lease_ended = true;
    }
}

/*
 * Whether an earlier lease, which comes later in the list, has not ended for the same message and
 * destination; or for the same message, when it is from an earlier spool, which may have known
 * another destination.
 */
static bool
has_predecessor(const struct lease *lease)
{
    const struct msg_deliver *fields = lease_fields(lease);
    for (const struct lease *l = lease->next; l != NULL; l = l->next) {
        const struct msg_deliver *earlier = lease_fields(l);
        if (str_eq(earlier->id, fields->id) &&
            (l->generation != lease->generation ||
             str_eq(earlier->destination, fields->destination))) {
            return true;
        }
    }
    return false;
}

/*
 * Whether the spool of now asks again for what it has leased to us already, and whose report is
 * still to come. Once that is on its way the spool may have asked because it did not get it: the
 * new lease then waits until the old one has ended, and is answered from memory. The spool ignores
 * a report too many, but would wait for a missing one.
 */
static bool
is_repeated(const struct relay *relay, const struct msg_deliver *deliver)
{
    for (const struct lease *l = relay->leases; l != NULL; l = l->next) {
        if (l->generation == relay->generation && !l->reported &&
            lease_fields(l)->lease == deliver->lease) {
            return true;
        }
    }
    return false;
}

static void
lease_free(struct lease *lease)
{
    config_unref(&lease->config);
    ipc_message_free(&lease->message);
    free(lease);
}

/* The lease has ended: whoever waited for it goes on. */
static void
lease_end(struct lease *lease)
{
    struct relay *relay = lease->relay;
    pthread_mutex_lock(&relay->mutex);
    lease_unlink(relay, lease);
    for (struct lease *l = relay->leases; l != NULL; l = l->next) {
        if (l->parked && !has_predecessor(l)) {
            l->parked = false;
            relay_crew_add(relay->crew, &l->task);
        }
    }
    pthread_mutex_unlock(&relay->mutex);
    lease_free(lease);
}

/* ---- the report */

static void
send_report(struct lease *lease, const struct msg_delivery_report *report)
{
    struct relay *relay = lease->relay;
    enum status status = STATUS_TEMPORARY;
    pthread_mutex_lock(&relay->mutex);
    lease->reported = true;
    pthread_mutex_unlock(&relay->mutex);
    pthread_mutex_lock(&relay->report_mutex);
    if (lease->generation == relay->generation) {
        status = channel_send(role_channel(relay->runtime, ROLE_SPOOL, 0), MSG_DELIVERY_REPORT, 0,
                              report);
    }
    pthread_mutex_unlock(&relay->report_mutex);
    if (status != STATUS_OK) {
        LOG_WARN("the spool cannot be told of a delivery; it will ask again",
                 LOG_STR("id", lease_fields(lease)->id), LOG_CSTR("status", status_name(status)));
    }
}

static void
remember_results(struct lease *lease, const struct record_delivery_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        relay_memory_add(lease->relay->memory, lease_fields(lease)->id, &results[i]);
    }
}

/* ---- the delivery */

struct views {
    struct ipc_body_view head;
    struct ipc_body_view content;
};

static enum status
views_open(const struct msg_deliver *deliver, struct views *views)
{
    *views = (struct views){.head = {.map = NULL}};
    enum status status = ipc_body_view_open(&deliver->head, &views->head);
    if (status == STATUS_OK) {
        status = ipc_body_view_open(&deliver->content, &views->content);
    }
    if (status == STATUS_OK && deliver->content_offset > views->content.octets.n) {
        status = STATUS_SYNTAX;
    }
    return status;
}

static void
views_close(struct views *views)
{
    ipc_body_view_close(&views->head);
    ipc_body_view_close(&views->content);
}

/*
 * What was leased before and its report perhaps never taken: its results are taken from memory. The
 * recipients that are left are in *left; their number is returned.
 */
static size_t
recall(struct lease *lease, struct arena *arena, struct record_delivery_recipient *left,
       struct record_delivery_result *known, size_t *known_count)
{
    const struct msg_deliver *deliver = lease_fields(lease);
    size_t left_count = 0;
    *known_count = 0;
    for (size_t i = 0; i < deliver->recipients.n; i++) {
        const struct record_delivery_recipient *r = &deliver->recipients.items[i];
        if (relay_memory_find(lease->relay->memory, arena, deliver->id, r->number,
                              &known[*known_count])) {
            ++*known_count;
        } else {
            left[left_count++] = *r;
        }
    }
    return left_count;
}

/* Delivers to the recipients of `deliver`; results are appended to those known. */
static void
deliver_rest(struct lease *lease, struct arena *arena, const struct msg_deliver *deliver,
             struct msg_delivery_report *report, struct record_delivery_result *results)
{
    struct relay *relay = lease->relay;
    struct views views;
    struct trace trace;
    struct tls_client *tls = relay_tls_ref(relay);
    trace_init(&trace, NULL);
    enum status status = views_open(deliver, &views);
    struct relay_delivery delivery = {
        .world = &relay->world,
        .config = lease->config,
        .tls = tls,
        .arena = arena,
        .trace = &trace,
        .deliver = deliver,
        .deadline_ms = lease->deadline_ms,
    };
    if (status == STATUS_OK) {
        delivery.head = views.head.octets;
        delivery.body = str_skip(views.content.octets, deliver->content_offset);
        status = relay_delivery_run(&delivery);
    }
    if (status == STATUS_OK) {
        report->connected = delivery.connected;
        memcpy(results + report->results.n, delivery.results,
               deliver->recipients.n * sizeof *results);
        report->results.n += deliver->recipients.n;
        remember_results(lease, delivery.results, deliver->recipients.n);
    } else {
        /* The spool takes recipients without a result for deferred. */
        LOG_ERROR("a message cannot be delivered now", LOG_STR("id", deliver->id),
                  LOG_CSTR("status", status_name(status)));
    }
    views_close(&views);
    trace_sender_add(relay->traces, deliver->id, STR(""), &trace);
    trace_free(&trace);
    tls_client_unref(&tls);
}

static void
lease_work(struct lease *lease, struct arena *arena)
{
    const struct msg_deliver *fields = lease_fields(lease);
    struct msg_deliver deliver = *fields;
    struct msg_delivery_report report = {.lease = fields->lease, .connected = true};
    size_t n = fields->recipients.n;
    struct record_delivery_result *results = arena_alloc_array(arena, n, sizeof *results);
    struct record_delivery_recipient *left = arena_alloc_array(arena, n, sizeof *left);
    if (results != NULL && left != NULL) {
        report.results.items = results;
        deliver.recipients.items = left;
        deliver.recipients.n = recall(lease, arena, left, results, &report.results.n);
        if (deliver.recipients.n > 0) {
            deliver_rest(lease, arena, &deliver, &report, results);
        }
    }
    send_report(lease, &report);
}

static void
lease_run(struct relay_task *task, struct arena *arena)
{
    struct lease *lease = (struct lease *)task;
    /* What has not been begun when its spool goes need not be: the next one leases it again. */
    if (arena != NULL && lease->generation == lease->relay->generation) {
        lease_work(lease, arena);
    }
    lease_end(lease);
}

/* ---- from the spool */

static bool
is_plausible(const struct msg_deliver *deliver)
{
    return deliver->recipients.n > 0 && deliver->content_offset <= deliver->content.size &&
           deliver->concurrency > 0;
}

void
relay_lease_take(struct relay *relay, struct ipc_message *message)
{
    struct channel *spool = role_channel(relay->runtime, ROLE_SPOOL, 0);
    if (!is_plausible(MSG_BODY(message, deliver))) {
        role_peer_misbehaved(relay->runtime, spool);
        ipc_message_free(&message);
        return;
    }
    if (relay->stopping) {
        ipc_message_free(&message); /* the lease ends with us */
        return;
    }
    struct lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL) {
        abort();
    }
    *lease = (struct lease){.task = {.run = lease_run},
                            .relay = relay,
                            .message = message,
                            .deadline_ms = clock_monotonic_ms() + DELIVERY_TIME_MS,
                            .config = role_config_ref(relay->runtime)};
    pthread_mutex_lock(&relay->mutex);
    bool repeated = is_repeated(relay, MSG_BODY(message, deliver));
    bool parked = false;
    if (!repeated) {
        lease->generation = relay->generation;
        lease_link(relay, lease);
        parked = lease->parked = has_predecessor(lease);
    }
    pthread_mutex_unlock(&relay->mutex);
    if (repeated) {
        lease_free(lease); /* its report will come */
    } else if (!parked) {  /* a parked one may be gone already */
        relay_crew_add(relay->crew, &lease->task);
    }
}

void
relay_lease_spool_changed(struct relay *relay)
{
    struct lease *next;
    struct lease *dropped = NULL;
    pthread_mutex_lock(&relay->report_mutex);
    pthread_mutex_lock(&relay->mutex);
    relay->generation++;
    relay->old_lease_count += relay->lease_count;
    relay->lease_count = 0;
    for (struct lease *l = relay->leases; l != NULL; l = next) {
        next = l->next;
        if (l->parked) {
            lease_unlink(relay, l);
            l->next = dropped;
            dropped = l;
        }
    }
    pthread_mutex_unlock(&relay->mutex);
    pthread_mutex_unlock(&relay->report_mutex);
    while (dropped != NULL) {
        next = dropped->next;
        lease_free(dropped);
        dropped = next;
    }
}
