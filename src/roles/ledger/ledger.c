#include "roles/ledger.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/ledger/internal.h"

/* How often a stopping ledger looks whether its work is done. */
#define STOPPING_MS 20

/* ---- opening */

static void ledger_close(void *state);

static enum status
open_traces(struct ledger *ledger, const char *directory)
{
    char path[PATH_MAX];
    const struct config_retention *retention = &role_config(ledger->runtime)->retention;
    struct trace_store_limits limits = {retention->trace_age_ms, retention->trace_size};
    int n = snprintf(path, sizeof path, "%s/traces", directory);
    if (n < 0 || (size_t)n >= sizeof path) {
        return STATUS_LIMIT;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        LOG_ERROR("the directory of the traces cannot be made", LOG_CSTR("directory", path),
                  LOG_CSTR("reason", strerror(errno)));
        return STATUS_IO;
    }
    ledger->search = trace_search_create(path);
    if (ledger->search == NULL) {
        return STATUS_LIMIT;
    }
    return trace_store_open(path, &limits, clock_wall_ms(), &ledger->writer.traces);
}

/* Without it mail and traces go on. */
static void
open_reports(struct ledger *ledger, const char *directory)
{
    enum status status = reports_open(directory, &ledger->writer.reports);
    if (status != STATUS_OK) {
        LOG_ERROR("nothing is counted for DMARC reports: <state>/ledger/reports.db cannot be used",
                  LOG_CSTR("directory", directory), LOG_CSTR("status", status_name(status)));
    }
}

static enum status
open_users(struct ledger *ledger, const char *directory)
{
    enum status status = user_file_open(directory, &ledger->writer.users);
    if (status == STATUS_OK) {
        status = user_table_load(ledger->users, ledger->writer.users);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("the table of users cannot be used: restore <state>/ledger/users.db from a backup"
                  " or move it away and add the users anew",
                  LOG_CSTR("directory", directory), LOG_CSTR("status", status_name(status)));
        return status;
    }
    memcpy(ledger->secret, user_file_secret(ledger->writer.users), sizeof ledger->secret);
    return user_file_write_dovecot(ledger->writer.users, directory);
}

/* A credential whose password is forgotten at once. */
static enum status
make_nobody(struct ledger *ledger)
{
    char password[32];
    random_bytes(password, sizeof password);
    enum status status = credential_make(str_make(password, sizeof password), &ledger->nobody);
    explicit_bzero(password, sizeof password);
    return status;
}

static enum status
ledger_open(struct role_runtime *runtime, void **state_out)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) {
        return STATUS_LIMIT;
    }
    ledger->runtime = runtime;
    ledger->writer.directory = role_directory(runtime);
    ledger->users = user_table_create();
    ledger->throttle = throttle_create();
    enum status status =
        ledger->users != NULL && ledger->throttle != NULL ? credential_init() : STATUS_LIMIT;
    if (status == STATUS_OK) {
        status = make_nobody(ledger);
    }
    if (status == STATUS_OK) {
        status = open_users(ledger, role_directory(runtime));
    }
    if (status == STATUS_OK) {
        status = open_traces(ledger, role_directory(runtime));
        open_reports(ledger, role_directory(runtime));
    }
    if (status != STATUS_OK) {
        LOG_ERROR("the ledger cannot be opened", LOG_CSTR("directory", role_directory(runtime)),
                  LOG_CSTR("status", status_name(status)));
        ledger_close(ledger);
        return status;
    }
    LOG_INFO("the ledger is open", LOG_INT("users", user_table_count(ledger->users)));
    *state_out = ledger;
    return STATUS_OK;
}

/* ---- starting and stopping */

static void
on_stopping(evutil_socket_t fd, short what, void *context)
{
    struct ledger *ledger = context;
    (void)fd;
    (void)what;
    if (work_pending(ledger->writers) + work_pending(ledger->hashers) == 0) {
        role_stopped(ledger->runtime);
    }
}

/* After each batch, in the writer's thread. */
static void
end_batch(void *context)
{
    struct ledger_writer *writer = context;
    ledger_commit_traces(writer);
    /* The changes themselves are made: that Dovecot does not see them yet is in the log. */
    if (writer->users_changed) {
        writer->users_changed =
            user_file_write_dovecot(writer->users, writer->directory) != STATUS_OK;
    }
}

static enum status
start_threads(struct ledger *ledger)
{
    struct event_base *loop = role_loop(ledger->runtime);
    const struct work_settings hashers = {
        .loop = loop,
        .threads = LEDGER_HASHERS,
        .batch = 1,
        .most_jobs = LEDGER_HASH_JOBS_MAX,
        .most_octets = SIZE_MAX,
    };
    const struct work_settings writers = {
        .loop = loop,
        .threads = 1,
        .batch = LEDGER_BATCH,
        .most_jobs = LEDGER_WRITE_JOBS_MAX,
        .most_octets = LEDGER_WRITE_OCTETS_MAX,
        .context = &ledger->writer,
        .after = end_batch,
    };
    const struct work_settings readers = {
        .loop = loop,
        .threads = 1,
        .batch = 1,
        .most_jobs = LEDGER_READ_JOBS_MAX,
        .most_octets = SIZE_MAX,
        .context = ledger->search,
    };
    ledger->hashers = work_create(&hashers);
    ledger->writers = work_create(&writers);
    ledger->readers = work_create(&readers);
    return ledger->hashers != NULL && ledger->writers != NULL && ledger->readers != NULL
               ? STATUS_OK
               : STATUS_LIMIT;
}

static enum status
ledger_start(struct role_runtime *runtime, void *state)
{
    struct ledger *ledger = state;
    ledger->stopping = event_new(role_loop(runtime), -1, EV_PERSIST, on_stopping, ledger);
    if (ledger->stopping == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = start_threads(ledger);
    if (status != STATUS_OK) {
        LOG_ERROR("the ledger's threads cannot be started");
    }
    return status;
}

static void
ledger_stop(void *state, int grace_ms)
{
    struct ledger *ledger = state;
    struct timeval interval = {0, STOPPING_MS * 1000};
    (void)grace_ms;
    event_add(ledger->stopping, &interval);
}

static void
ledger_close(void *state)
{
    struct ledger *ledger = state;
    work_destroy(&ledger->hashers); /* its jobs may go on to the writer */
    work_destroy(&ledger->writers);
    work_destroy(&ledger->readers);
    if (ledger->stopping != NULL) {
        event_free(ledger->stopping);
    }
    user_file_close(&ledger->writer.users);
    trace_store_close(&ledger->writer.traces);
    reports_close(&ledger->writer.reports);
    trace_search_destroy(&ledger->search);
    user_table_destroy(&ledger->users);
    throttle_destroy(&ledger->throttle);
    explicit_bzero(ledger->secret, sizeof ledger->secret);
    free(ledger);
}

/* ---- messages */

static const struct {
    enum msg_type type;
    void (*handle)(struct ledger *ledger, struct channel *channel, struct ipc_message *message);
} handlers[] = {
    {MSG_TRACE_APPEND, ledger_on_append},       {MSG_RECIPIENT_LOOKUP, ledger_on_lookup},
    {MSG_AUTH_PASSWORD, ledger_on_password},    {MSG_SCRAM_BEGIN, ledger_on_scram_begin},
    {MSG_SCRAM_VERIFY, ledger_on_scram_verify}, {MSG_USER_CHANGE, ledger_on_user_change},
    {MSG_USER_LIST, ledger_on_user_list},       {MSG_LOCKS, ledger_on_locks},
    {MSG_TRACE_FIND, ledger_on_find},           {MSG_TRACE_GET, ledger_on_get},
    {MSG_DMARC_FIND, ledger_on_dmarc_find},     {MSG_RETENTION, ledger_on_retention},
};

static void
ledger_on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct ledger *ledger = context;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type == message->type) {
            handlers[i].handle(ledger, channel, message);
            return;
        }
    }
    ipc_message_free(&message);
    role_peer_misbehaved(ledger->runtime, channel);
}

static void
ledger_on_peer(void *state, struct channel *channel, bool up)
{
    if (!up) {
        struct ledger *ledger = state;
        asker_forget(&ledger->askers, channel);
    }
}

static void
ledger_metrics(void *state, struct role_metrics *metrics_out)
{
    const struct ledger *ledger = state;
    const struct ledger_counters *c = &ledger->counters;
    const struct {
        enum role_metric metric;
        int64_t value;
    } rows[] = {
        {ROLE_METRIC_LEDGER_USERS, (int64_t)user_table_count(ledger->users)},
        {ROLE_METRIC_LEDGER_RECIPIENT_LOOKUPS_TOTAL, c->lookups},
        {ROLE_METRIC_LEDGER_LOGINS_TOTAL, c->logins},
        {ROLE_METRIC_LEDGER_LOGINS_FAILED_TOTAL, c->logins_failed},
        {ROLE_METRIC_LEDGER_LOGINS_THROTTLED_TOTAL, c->logins_throttled},
        {ROLE_METRIC_LEDGER_LOGINS_BUSY_TOTAL, c->logins_busy},
        {ROLE_METRIC_LEDGER_LOGIN_THROTTLE_ENTRIES, (int64_t)throttle_entries(ledger->throttle)},
        {ROLE_METRIC_LEDGER_TRACES_TOTAL, c->traces},
        {ROLE_METRIC_LEDGER_TRACES_REFUSED_TOTAL, c->traces_refused},
        {ROLE_METRIC_LEDGER_TRACES_WAITING, (int64_t)work_pending(ledger->writers)},
        {ROLE_METRIC_LEDGER_TRACE_OCTETS, c->trace_octets},
        {ROLE_METRIC_LEDGER_TRACE_SEARCHES_TOTAL, c->searches},
        {ROLE_METRIC_LEDGER_DMARC_OBSERVATIONS_TOTAL, (int64_t)c->reports.observations},
        {ROLE_METRIC_LEDGER_DMARC_OBSERVATIONS_LOST_TOTAL, (int64_t)c->reports.lost},
        {ROLE_METRIC_LEDGER_DMARC_OCTETS, c->report_octets},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        role_metric_add(metrics_out, rows[i].metric, rows[i].value);
    }
}

const struct role_definition ledger_role = {
    .role = ROLE_LEDGER,
    .open = ledger_open,
    .start = ledger_start,
    .on_message = ledger_on_message,
    .on_peer = ledger_on_peer,
    .stop = ledger_stop,
    .metrics = ledger_metrics,
    .close = ledger_close,
};
