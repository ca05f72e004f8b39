#include "roles/spool.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/filter/vault.h"
#include "roles/memory_limit.h"
#include "roles/spool/tell.h"

/* How often time-outs, retries and the age of mail are looked at. */
#define TICK_MS          250
/* Of the time that the parent gives for stopping, what closing the database may take. */
#define CLOSE_RESERVE_MS 2000
/* The names of all pauses, and who made them. */
#define PAUSES_CEILING   (2u * 1024u * 1024u)
/* What is gathered for the postmaster (postmaster.c). */
#define GATHERED_CEILING (512u * 1024u)
/* An entry of the queue in memory, its recipients and places in the schedule. */
#define QUEUE_ENTRY      1024u
/* Messages in hand beside those of the relay's deliveries. */
#define INTAKE_MOST      64u

int64_t
role_wall(const struct spool_role *role, int64_t queue_ms)
{
    return queue_ms + clock_wall_ms() - role_now(role);
}

/* ---- start */

static enum status
spool_role_open(struct role_runtime *runtime, void **state_out)
{
    struct arena *arena = arena_create(65536);
    struct str reason = {0};
    struct spool_role *role = calloc(1, sizeof *role);
    if (role == NULL) {
        abort();
    }
    role->runtime = runtime;
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error to handle like a full disk */
    if (mkdir(role_directory(runtime), 0700) != 0 && errno != EEXIST) {
        LOG_ERROR("the queue's directory cannot be made",
                  LOG_CSTR("directory", role_directory(runtime)),
                  LOG_CSTR("reason", strerror(errno)));
    }
    int64_t start = clock_monotonic_ms();
    enum status status = spool_open(role_directory(runtime), arena, &role->spool, &reason);
    if (status != STATUS_OK) {
        LOG_ERROR("the mail queue cannot be opened", LOG_STR("reason", reason));
        free(role);
    } else {
        LOG_INFO("the mail queue is open", LOG_INT("messages", spool_counts(role->spool).messages),
                 LOG_INT("ms", clock_monotonic_ms() - start));
        role->damaged_logs = spool_log_copies(role->spool);
        if (role->damaged_logs > 0) {
            LOG_WARN(
                "a copy of a damaged log of the queue lies in its directory: it may hold mail that "
                "was acknowledged. Remove it when nobody needs it any more",
                LOG_INT("copies", role->damaged_logs));
        }
        *state_out = role;
    }
    arena_destroy(&arena);
    return status;
}

static void check_stopped(struct spool_role *role);

static void
on_tick(evutil_socket_t fd, short what, void *context)
{
    struct spool_role *role = context;
    (void)fd;
    (void)what;
    if (role->stopping) {
        check_stopped(role);
        return;
    }
    dispatch_tick(role);
    outcome_tick(role, false);
    (void)postmaster_tick(role, false);
    age_tick(role);
}

static void
load_pauses(struct spool_role *role)
{
    struct arena *arena = arena_create(PAUSES_CEILING);
    struct spool_pause *items = arena_alloc_array(arena, SPOOL_PAUSES_MAX, sizeof *items);
    size_t count = 0;
    if (items == NULL || spool_pauses(role->spool, arena, items, &count) != STATUS_OK) {
        LOG_ERROR("the paused destinations cannot be read: all are served");
    }
    for (size_t i = 0; i < count; i++) {
        (void)schedule_pause(role->schedule, &items[i], role_now(role));
    }
    arena_destroy(&arena);
}

/* What a predecessor could not tell any more. */
static void
load_gathered(struct spool_role *role)
{
    struct arena *arena = arena_create(GATHERED_CEILING);
    struct spool_gathered gathered;
    if (spool_gathered(role->spool, arena, GATHERED_CEILING / 2, &gathered) == STATUS_OK) {
        postmaster_gathered(role, gathered.messages, true);
    }
    arena_destroy(&arena);
}

static enum status
spool_role_start(struct role_runtime *runtime, void *state)
{
    struct spool_role *role = state;
    struct timeval tick = {.tv_usec = TICK_MS * 1000};
    struct schedule_settings settings = schedule_settings_from(role_config(runtime));
    role->clock = queue_clock_start(spool_clock_last(role->spool), clock_wall_ms());
    role->started_ms = role_now(role);
    role->wake_cursor.look_ms = INT64_MIN;
    role->schedule = schedule_create(&settings);
    load_pauses(role);
    load_gathered(role);
    role->traces = trace_sender_create(role_loop(runtime), role_channel(runtime, ROLE_LEDGER, 0),
                                       TRACE_SENDER_CEILING);
    role->vault = vault_client_create(role_channel(runtime, ROLE_VAULT, 0));
    role->worker = worker_start(role_loop(runtime), role->spool, &role->clock);
    role->timer = event_new(role_loop(runtime), -1, EV_PERSIST, on_tick, role);
    if (role->traces == NULL || role->timer == NULL || event_add(role->timer, &tick) != 0) {
        return STATUS_IO;
    }
    dispatch_tick(role);
    return STATUS_OK;
}

/* ---- peers and their messages */

static void
take_capacity(struct spool_role *role, const struct msg_relay_capacity *capacity)
{
    role->relay_paused = false;
    role->relay_total = capacity->total;
    dispatch(role);
}

static void
spool_role_message(void *state, struct channel *channel, struct ipc_message *message)
{
    struct spool_role *role = state;
    switch ((int)message->type) {
    case MSG_COMMIT:
        intake_commit(role, channel, message);
        return;
    case MSG_DELIVERY_REPORT:
        dispatch_report(role, channel, message);
        return;
    case MSG_RELAY_CAPACITY:
        take_capacity(role, MSG_BODY(message, relay_capacity));
        break;
    case MSG_VAULT_KEYS:
        vault_client_take_keys(role->vault, MSG_BODY(message, vault_keys));
        break;
    case MSG_QUEUE_LIST:
    case MSG_QUEUE_SHOW:
    case MSG_QUEUE_ACT:
    case MSG_QUEUE_STANDING:
    case MSG_QUEUE_PAUSE:
    case MSG_QUEUE_TEXT:
        control_message(role, channel, message);
        return;
    default:
        role_peer_misbehaved(role->runtime, channel);
        break;
    }
    ipc_message_free(&message);
}

static void
spool_role_peer(void *state, struct channel *channel, bool up)
{
    struct spool_role *role = state;
    switch ((int)channel_peer(channel)) {
    case ROLE_FILTER:
        role->filter_epoch++;
        break;
    case ROLE_RELAY:
        dispatch_relay_lost(role);
        role->relay_up = up;
        role->relay_paused = false;
        break;
    case ROLE_VAULT:
        vault_client_on_peer(role->vault);
        break;
    case ROLE_CLI:
        control_asker_gone(role, channel);
        break;
    default:
        break;
    }
}

static void
spool_role_reload(void *state, const struct config *config)
{
    struct spool_role *role = state;
    struct schedule_settings settings = schedule_settings_from(config);
    schedule_configure(role->schedule, &settings);
    dispatch_tick(role);
}

/* ---- stop */

static void
check_stopped(struct spool_role *role)
{
    bool idle = worker_pending(role->worker) == 0 && role->leases == NULL && role->signing == 0 &&
                role->parked == NULL && trace_sender_waiting(role->traces) == 0;
    if (idle && postmaster_tick(role, true)) {
        return; /* one more message to be written */
    }
    if (idle || clock_monotonic_ms() >= role->stop_by_ms) {
        event_del(role->timer);
        role_stopped(role->runtime);
    }
}

static void
spool_role_stop(void *state, int grace_ms)
{
    struct spool_role *role = state;
    role->stopping = true;
    role->stop_by_ms = clock_monotonic_ms() + grace_ms - CLOSE_RESERVE_MS;
    outcome_tick(role, true);
    LOG_INFO("stopping", LOG_INT("under_way", HASH_COUNT(role->leases)));
    check_stopped(role);
}

static void
spool_role_close(void *state)
{
    struct spool_role *role = state;
    worker_stop(&role->worker);
    dispatch_relay_lost(role);
    spool_close(&role->spool);
    cache_clear(role);
    HASH_FREE_ALL(role->finished);
    schedule_destroy(&role->schedule);
    vault_client_destroy(&role->vault);
    trace_sender_destroy(&role->traces);
    if (role->timer != NULL) {
        event_free(role->timer);
    }
    free(role);
}

/* ---- status */

static void
add_warnings(const struct worker_counts *w, size_t paused, struct role_metrics *out)
{
    if (w->damaged) {
        role_warn(out, "the database of the mail queue is damaged, and no new mail is taken: "
                       "restart Postern, which will check all of it and say what to do");
    }
    if (paused > 0) {
        role_warn(out,
                  "mail to %zu destination%s is paused until somebody resumes it: see "
                  "\"postern queue destinations\"",
                  paused, paused == 1 ? "" : "s");
    }
    if (w->queue.damaged > 0) {
        role_warn(out,
                  "%lld queued message%s damaged on the disk and held: see "
                  "\"postern queue list --state held\" and look after the disk",
                  (long long)w->queue.damaged, w->queue.damaged == 1 ? " is" : "s are");
    }
}

static void
spool_role_metrics(void *state, struct role_metrics *out)
{
    struct spool_role *role = state;
    struct worker_counts w = worker_counts(role->worker);
    role_metric_add(out, ROLE_METRIC_QUEUE_MESSAGES, w.queue.messages);
    role_metric_add(out, ROLE_METRIC_QUEUE_OLDEST_SECONDS,
                    w.oldest_ms > 0 ? (role_now(role) - w.oldest_ms) / 1000 : 0);
    outcome_log_latency(role, out);
    role_metric_add(out, ROLE_METRIC_QUEUE_RECIPIENTS, w.queue.recipients);
    role_metric_add(out, ROLE_METRIC_QUEUE_DEFERRED, w.queue.deferred);
    role_metric_add(out, ROLE_METRIC_QUEUE_HELD, w.queue.held);
    role_metric_add(out, ROLE_METRIC_QUEUE_BYTES, w.queue.bytes);
    role_metric_add(out, ROLE_METRIC_QUEUE_DISK_BYTES, (int64_t)w.size);
    role_metric_add(out, ROLE_METRIC_QUEUE_DISK_FREE_BYTES,
                    w.disk_free > INT64_MAX ? -1 : (int64_t)w.disk_free);
    role_metric_add(out, ROLE_METRIC_QUEUE_DESTINATIONS,
                    (int64_t)schedule_destination_count(role->schedule));
    role_metric_add(out, ROLE_METRIC_QUEUE_DESTINATIONS_BLOCKED,
                    (int64_t)schedule_blocked_count(role->schedule, role_now(role)));
    role_metric_add(out, ROLE_METRIC_QUEUE_LEASES, HASH_COUNT(role->leases));
    role_metric_add(out, ROLE_METRIC_QUEUE_CACHED_BYTES, (int64_t)role->cache_octets);
    role_metric_add(out, ROLE_METRIC_QUEUE_DAMAGED, w.damaged);
    role_metric_add(out, ROLE_METRIC_QUEUE_DAMAGED_MESSAGES, w.queue.damaged);
    role_metric_add(out, ROLE_METRIC_QUEUE_DAMAGED_LOGS_KEPT, role->damaged_logs);
    role_metric_add(out, ROLE_METRIC_QUEUE_UNWRITTEN_RESULTS, (int64_t)w.waiting);
    role_metric_add(out, ROLE_METRIC_COMMITS_TOTAL, (int64_t)role->counts.committed);
    role_metric_add(out, ROLE_METRIC_COMMITS_REFUSED_TOTAL, (int64_t)role->counts.refused);
    role_metric_add(out, ROLE_METRIC_COMMITS_DUPLICATE_TOTAL, (int64_t)role->counts.duplicates);
    role_metric_add(out, ROLE_METRIC_BATCHES_TOTAL, (int64_t)w.batches);
    role_metric_add(out, ROLE_METRIC_BATCHES_FAILED_TOTAL, (int64_t)w.failed_batches);
    role_metric_add(out, ROLE_METRIC_RECIPIENTS_DELIVERED_TOTAL, (int64_t)role->counts.delivered);
    role_metric_add(out, ROLE_METRIC_RECIPIENTS_DEFERRED_TOTAL, (int64_t)role->counts.deferrals);
    role_metric_add(out, ROLE_METRIC_RECIPIENTS_FAILED_TOTAL, (int64_t)role->counts.failed);
    role_metric_add(out, ROLE_METRIC_RECIPIENTS_EXPIRED_TOTAL, (int64_t)role->counts.expired);
    role_metric_add(out, ROLE_METRIC_NOTICES_TOTAL, (int64_t)role->counts.notices);
    role_metric_add(out, ROLE_METRIC_NOTICES_SUPPRESSED_TOTAL,
                    (int64_t)role->counts.notices_suppressed);
    role_metric_add(out, ROLE_METRIC_QUEUE_DESTINATIONS_PAUSED,
                    (int64_t)schedule_pause_count(role->schedule));
    add_warnings(&w, schedule_pause_count(role->schedule), out);
}

static uint64_t
spool_memory(const struct config *config)
{
    uint64_t const parcels = (uint64_t)config->queue.connections + INTAKE_MOST;
    return (uint64_t)config->queue.max_messages * QUEUE_ENTRY +
           parcels * MEMORY_LIMIT_MESSAGE_COPIES * config->limits.message_size;
}

const struct role_definition spool_role = {
    .role = ROLE_SPOOL,
    .memory = spool_memory,
    .open = spool_role_open,
    .start = spool_role_start,
    .on_message = spool_role_message,
    .on_peer = spool_role_peer,
    .reload = spool_role_reload,
    .stop = spool_role_stop,
    .metrics = spool_role_metrics,
    .close = spool_role_close,
};
