#include "roles/console.h"

#include <event2/event.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

#define STATUS_TIMEOUT_MS 3000
#define RESPONSE_MAX      (4u << 20)
#define CONNECTIONS_MAX   64
#define CONNECTION_IDLE_S 10
/* libmicrohttpd's own time-outs are looked after this often. */
#define TICK_MS           500

struct console {
    struct role_runtime *runtime;
    struct MHD_Daemon *daemon;
    struct event *readable;
    struct event *tick;
    int listener;
    int64_t requests;
};

/* A request that waits for the parent's report. */
struct scrape {
    struct console *console;
    struct MHD_Connection *connection;
    struct buf text;
    bool answered;
    bool abandoned; /* the client has gone before the answer */
    bool waiting;
};

/* ---- the text */

/* What stands together under one head: the values of a metric with all its labels, a histogram. */
static struct str
family_of(struct str name)
{
    const struct role_metric_row *row = role_metric_find(name);
    size_t labels = str_find_char(name, '{');
    return row != NULL ? str_from_cstr(row->name)
                       : str_head(name, labels != STR_NPOS ? labels : name.n);
}

/* A family must stand together: so it is written when its first value comes. */
static bool
already_written(const struct msg_status_report *report, size_t role, size_t metric)
{
    struct str family = family_of(report->roles.items[role].metrics.items[metric].name);
    for (size_t i = 0; i <= role; i++) {
        const struct record_role_status *earlier = &report->roles.items[i];
        size_t until = i < role ? earlier->metrics.n : metric;
        for (size_t k = 0; k < until; k++) {
            if (str_starts_with(earlier->metrics.items[k].name, family) &&
                str_eq(family_of(earlier->metrics.items[k].name), family)) {
                return true;
            }
        }
    }
    return false;
}

/* A value whose name has labels, or that is a part of a histogram (its sum is in milliseconds). */
static enum status
write_member(const struct record_role_status *role, const struct record_metric *metric,
             struct buf *out)
{
    struct str name = metric->name;
    size_t at = str_find_char(name, '{');
    struct str bare = at != STR_NPOS ? str_head(name, at) : name;
    struct str labels = at != STR_NPOS ? str_skip(name, at + 1) : STR("}");
    enum status status = buf_printf(out, "postern_%.*s{role=\"%s\",instance=\"%u\"%s%.*s ",
                                    STR_ARG(bare), ipc_role_name((enum role)role->role),
                                    role->instance, labels.n > 1 ? "," : "", STR_ARG(labels));
    if (status != STATUS_OK) {
        return status;
    }
    return role_metric_is_ms(name)
               ? buf_printf(out, "%lld.%03lld\n", (long long)metric->value / 1000,
                            (long long)metric->value % 1000)
               : buf_printf(out, "%lld\n", (long long)metric->value);
}

static enum status
write_value(const struct record_role_status *role, struct str name, int64_t value, struct buf *out)
{
    return buf_printf(out, "postern_%.*s{role=\"%s\",instance=\"%u\"} %lld\n", STR_ARG(name),
                      ipc_role_name((enum role)role->role), role->instance, (long long)value);
}

/* Helps have neither backslashes nor line ends, which would have to be escaped. */
static enum status
write_family_head(struct str name, const char *help, const char *type, struct buf *out)
{
    return buf_printf(out, "# HELP postern_%.*s %s\n# TYPE postern_%.*s %s\n", STR_ARG(name), help,
                      STR_ARG(name), type);
}

static enum status
write_family(const struct msg_status_report *report, size_t first, struct str name, struct buf *out)
{
    struct str family = family_of(name);
    const struct role_metric_row *row = role_metric_find(name);
    const char *type = row != NULL ? role_metric_type_name(row->type) : "untyped";
    enum status status =
        write_family_head(family, row != NULL ? row->help : "Not known.", type, out);
    for (size_t i = first; status == STATUS_OK && i < report->roles.n; i++) {
        const struct record_role_status *role = &report->roles.items[i];
        for (size_t k = 0; status == STATUS_OK && k < role->metrics.n; k++) {
            const struct record_metric *metric = &role->metrics.items[k];
            if (str_starts_with(metric->name, family) && str_eq(family_of(metric->name), family)) {
                status = write_member(role, metric, out);
            }
        }
    }
    return status;
}

/* What the parent knows of every role. */
static enum status
write_roles(const struct msg_status_report *report, struct buf *out)
{
    static const struct {
        const char *name;
        const char *help;
        const char *type;
    } families[] = {
        {"role_restarts_total", "Times that the process was started again.", "counter"},
        {"role_ready", "1 when the process has started and answers.", "gauge"},
        {"role_uptime_seconds", "Seconds since the process was started.", "gauge"},
    };
    enum status status = STATUS_OK;
    for (size_t f = 0; f < 3 && status == STATUS_OK; f++) {
        struct str name = str_from_cstr(families[f].name);
        status = write_family_head(name, families[f].help, families[f].type, out);
        for (size_t i = 0; status == STATUS_OK && i < report->roles.n; i++) {
            const struct record_role_status *role = &report->roles.items[i];
            const int64_t values[] = {role->restarts, role->ready,
                                      (int64_t)(role->uptime_ms / 1000)};
            status = write_value(role, name, values[f], out);
        }
    }
    return status;
}

static enum status
write_program(const struct msg_status_report *report, struct buf *out)
{
    enum status status = write_family_head(STR("uptime_seconds"),
                                           "Seconds since the gateway was started.", "gauge", out);
    if (status == STATUS_OK) {
        status = buf_printf(out, "postern_uptime_seconds %llu\n",
                            (unsigned long long)(report->uptime_ms / 1000));
    }
    if (status == STATUS_OK) {
        status = write_family_head(STR("info"), "1; the version is in the label.", "gauge", out);
    }
    if (status == STATUS_OK) {
        status = buf_printf(out, "postern_info{version=\"%.*s\"} 1\n", STR_ARG(report->version));
    }
    return status;
}

/* A path as the value of a label. */
static enum status
write_label(struct str text, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < text.n && status == STATUS_OK; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\') {
            status = buf_append_char(out, '\\');
        }
        if (status == STATUS_OK) {
            status = buf_append_char(out, text.p[i] == '\n' ? ' ' : text.p[i]);
        }
    }
    return status;
}

static enum status
write_certificates(const struct msg_status_report *report, struct buf *out)
{
    enum status status = STATUS_OK;
    if (report->certificates.n > 0) {
        status = write_family_head(STR("certificate_expiry_timestamp_seconds"),
                                   "When a certificate ends, in seconds since 1970.", "gauge", out);
    }
    for (size_t i = 0; i < report->certificates.n && status == STATUS_OK; i++) {
        const struct record_certificate_status *certificate = &report->certificates.items[i];
        status =
            buf_append(out, STR("postern_certificate_expiry_timestamp_seconds{certificate=\""));
        if (status == STATUS_OK) {
            status = write_label(certificate->name, out);
        }
        if (status == STATUS_OK) {
            status = buf_printf(out, "\"} %lld\n", (long long)(certificate->not_after_ms / 1000));
        }
    }
    return status;
}

enum status
console_write_metrics(const struct msg_status_report *report, struct buf *out)
{
    enum status status = write_program(report, out);
    if (status == STATUS_OK) {
        status = write_certificates(report, out);
    }
    if (status == STATUS_OK) {
        status = write_roles(report, out);
    }
    for (size_t i = 0; status == STATUS_OK && i < report->roles.n; i++) {
        const struct record_role_status *role = &report->roles.items[i];
        for (size_t k = 0; status == STATUS_OK && k < role->metrics.n; k++) {
            if (!already_written(report, i, k)) {
                status = write_family(report, i, role->metrics.items[k].name, out);
            }
        }
    }
    return status;
}

/* ---- HTTP */

static enum MHD_Result
respond(struct MHD_Connection *connection, unsigned code, struct str text)
{
    /* libmicrohttpd copies: it takes a pointer to changeable memory but does not change it. */
    void *octets = NULL;
    memcpy(&octets, &text.p, sizeof text.p);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text.n, octets, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result done =
        MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4");
    if (done == MHD_YES) {
        done = MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    }
    if (done == MHD_YES) {
        done = MHD_queue_response(connection, code, response);
    }
    MHD_destroy_response(response);
    return done;
}

static void
scrape_free(struct scrape *scrape)
{
    buf_free(&scrape->text);
    free(scrape);
}

static void
on_report(void *context, enum status status, struct ipc_message *reply)
{
    struct scrape *scrape = context;
    scrape->waiting = false;
    if (status == STATUS_OK && reply->type == MSG_STATUS_REPORT) {
        status = console_write_metrics(MSG_BODY(reply, status_report), &scrape->text);
    }
    ipc_message_free(&reply);
    if (scrape->abandoned) {
        scrape_free(scrape);
        return;
    }
    if (status != STATUS_OK) {
        buf_clear(&scrape->text);
    }
    scrape->answered = true;
    MHD_resume_connection(scrape->connection);
    event_active(scrape->console->tick, EV_TIMEOUT, 0);
}

static enum MHD_Result
begin_scrape(struct console *console, struct MHD_Connection *connection, void **request_state)
{
    struct scrape *scrape = calloc(1, sizeof *scrape);
    if (scrape == NULL) {
        return MHD_NO;
    }
    scrape->console = console;
    scrape->connection = connection;
    buf_init(&scrape->text, RESPONSE_MAX);
    *request_state = scrape;
    MHD_suspend_connection(connection);
    scrape->waiting = true;
    if (channel_request(role_parent(console->runtime), MSG_STATUS_REQUEST, NULL, STATUS_TIMEOUT_MS,
                        on_report, scrape) != STATUS_OK) {
        scrape->waiting = false;
        scrape->answered = true;
        MHD_resume_connection(connection);
    }
    return MHD_YES;
}

static enum MHD_Result /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *upload, size_t *upload_size, void **request_state)
{
    struct console *console = context;
    struct scrape *scrape = *request_state;
    (void)version;
    (void)upload;
    if (scrape != NULL && scrape->answered) {
        struct str text = buf_str(&scrape->text);
        return text.n > 0 ? respond(connection, MHD_HTTP_OK, text)
                          : respond(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                    STR("the parent did not answer\n"));
    }
    console->requests++;
    if (*upload_size > 0 || !str_eq(str_from_cstr(method), STR("GET"))) {
        *upload_size = 0;
        return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, STR("only GET\n"));
    }
    if (str_eq(str_from_cstr(url), STR("/metrics"))) {
        return begin_scrape(console, connection, request_state);
    }
    if (str_eq(str_from_cstr(url), STR("/health"))) {
        return respond(connection, MHD_HTTP_OK, STR("ok\n"));
    }
    return respond(connection, MHD_HTTP_NOT_FOUND, STR("there are /metrics and /health\n"));
}

static void
on_completed(void *context, struct MHD_Connection *connection, void **request_state,
             enum MHD_RequestTerminationCode why)
{
    struct scrape *scrape = *request_state;
    (void)context;
    (void)connection;
    (void)why;
    if (scrape == NULL) {
        return;
    }
    if (scrape->waiting) {
        scrape->abandoned = true; /* on_report frees it */
    } else {
        scrape_free(scrape);
    }
    *request_state = NULL;
}

static void
on_activity(evutil_socket_t fd, short what, void *context)
{
    struct console *console = context;
    (void)fd;
    (void)what;
    MHD_run(console->daemon);
}

/* ---- role */

static void
console_listener(void *state, uint32_t index, int fd)
{
    struct console *console = state;
    (void)index;
    if (console->listener >= 0) {
        close(fd);
        return;
    }
    console->listener = fd;
}

static enum status
console_open(struct role_runtime *runtime, void **state_out)
{
    struct console *console = calloc(1, sizeof *console);
    if (console == NULL) {
        return STATUS_LIMIT;
    }
    console->runtime = runtime;
    console->listener = -1;
    *state_out = console;
    return STATUS_OK;
}

static enum status
console_start(struct role_runtime *runtime, void *state)
{
    struct console *console = state;
    struct timeval tick = {0, TICK_MS * 1000};
    console->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, console,
        MHD_OPTION_LISTEN_SOCKET, console->listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, console, MHD_OPTION_END);
    if (console->daemon == NULL) {
        LOG_ERROR("the metrics listener cannot be served");
        return STATUS_IO;
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(console->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    console->readable =
        event_new(role_loop(runtime), info->epoll_fd, EV_READ | EV_PERSIST, on_activity, console);
    console->tick = event_new(role_loop(runtime), -1, EV_PERSIST, on_activity, console);
    if (console->readable == NULL || console->tick == NULL ||
        event_add(console->readable, NULL) != 0 || event_add(console->tick, &tick) != 0) {
        return STATUS_IO;
    }
    return STATUS_OK;
}

static void
console_metrics(void *state, struct role_metrics *metrics_out)
{
    struct console *console = state;
    role_metric_add(metrics_out, ROLE_METRIC_CONSOLE_REQUESTS_TOTAL, console->requests);
}

static uint32_t
console_processes(const struct config *config)
{
    return config->metrics.enabled ? 1 : 0;
}

const struct role_definition console_role = {
    .role = ROLE_CONSOLE,
    .processes = console_processes,
    .open = console_open,
    .start = console_start,
    .listener = console_listener,
    .metrics = console_metrics,
};
