#include "roles/parent/report.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "roles/parent/rates.h"
#include "roles/parent/restart.h"
#include "roles/role.h"

/* A role that is at work answers in milliseconds; a disk may hold one up for a moment. */
#define ROLE_ANSWER_TIMEOUT_MS      3000
#define REPORT_ROLES_MAX            80
#define REPORT_WARNINGS_MAX         32
#define REPORT_WARNING_SIZE         512 /* as in messages.def */
#define COMMANDS_MAX                16
/* As in messages.def. */
#define REPORT_CERTIFICATES_MAX     64u
#define REPORT_CERTIFICATE_NAME_MAX 1024u
#define REPORT_ARENA_MAX            (4u << 20)

struct command {
    struct report_server *server;
    struct channel *channel; /* NULL: free place */
};

struct report_server {
    struct event_base *loop;
    struct event *listener;
    struct event *clean_up;
    struct event *sampling;
    struct rates rates;
    int64_t today_ms; /* wall clock: when what counts as today began */
    void *context;
    report_fill *fill;
    report_reload *reload;
    struct command commands[COMMANDS_MAX];
};

_Static_assert(ROLE_PROCESSES_MAX <= REPORT_ROLES_MAX, "every process has its place in a report");

/* One report in the making. */
struct report {
    struct report_server *server;
    struct arena *arena;
    enum role to_role; /* who asked: the channel may be gone when the report is done */
    struct channel *to;
    uint64_t request;
    struct msg_status_report fields;
    struct record_role_status *roles; /* what `fields` points to */
    struct record_warning *warnings;
    size_t waiting;
    bool is_sample; /* nobody is told: it is for the rates */
};

/* One role's part of it. */
struct part {
    struct report *report;
    struct record_role_status *status;
    size_t place; /* of the process, for its rates */
};

static bool
still_there(const struct report *report)
{
    if (report->to_role != ROLE_CLI) {
        return true; /* a role's channel lives as long as the parent */
    }
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        if (report->server->commands[i].channel == report->to) {
            return true;
        }
    }
    return false;
}

/* The local day; *began_out: when it began. */
static int64_t
day_of(int64_t wall_ms, int64_t *began_out)
{
    time_t now = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (localtime_r(&now, &tm) == NULL) {
        *began_out = wall_ms;
        return 1;
    }
    int64_t day = (int64_t)tm.tm_year * 1000 + tm.tm_yday + 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    *began_out = (int64_t)mktime(&tm) * 1000;
    return day;
}

static void
begin_day(struct report_server *server)
{
    int64_t now = clock_wall_ms();
    int64_t began;
    int64_t day = day_of(now, &began);
    if (server->rates.day != day) {
        server->today_ms = server->rates.day == 0 ? now : began;
    }
    rates_day(&server->rates, day);
}

static void
add_rates(struct report *report)
{
    const struct rates *rates = &report->server->rates;
    int64_t now_ms = clock_monotonic_ms();
    struct record_rate *items = arena_alloc_array(report->arena, RATE_COUNT, sizeof *items);
    for (size_t i = 0; items != NULL && i < RATE_COUNT; i++) {
        enum rate_kind kind = (enum rate_kind)i;
        items[i] = (struct record_rate){
            str_from_cstr(rate_name(kind)), rates_per_minute(rates, kind, RATES_SHORT_MS, now_ms),
            rates_per_minute(rates, kind, RATES_LONG_MS, now_ms), rates_today(rates, kind)};
    }
    report->fields.rates.items = items;
    report->fields.rates.n = items != NULL ? RATE_COUNT : 0;
    report->fields.today_ms = report->server->today_ms;
}

static void
report_finish(struct report *report)
{
    begin_day(report->server);
    if (report->is_sample) {
        rates_take(&report->server->rates, clock_monotonic_ms());
        struct arena *arena = report->arena;
        arena_destroy(&arena);
        return;
    }
    add_rates(report);
    if (still_there(report) && channel_send(report->to, MSG_STATUS_REPORT, report->request,
                                            &report->fields) != STATUS_OK) {
        LOG_WARN("a status report could not be sent");
    }
    struct arena *arena = report->arena; /* holds the report itself */
    arena_destroy(&arena);
}

static void
keep_metrics(struct part *part, const struct msg_status_reply *reply)
{
    struct arena *arena = part->report->arena;
    struct record_metric *items = arena_alloc_array(arena, reply->metrics.n, sizeof *items);
    for (size_t i = 0; items != NULL && i < reply->metrics.n; i++) {
        items[i] = (struct record_metric){arena_str_dup(arena, reply->metrics.items[i].name),
                                          reply->metrics.items[i].value};
    }
    part->status->metrics.items = items;
    part->status->metrics.n = items != NULL ? reply->metrics.n : 0;
}

static void
add_warning(struct report *report, struct str text)
{
    struct record_warning *warnings = report->warnings;
    if (text.n > 0 && report->fields.warnings.n < REPORT_WARNINGS_MAX) {
        warnings[report->fields.warnings.n++].text = str_head(text, REPORT_WARNING_SIZE);
    }
}

static bool
already_warned(const struct report *report, struct str text)
{
    for (size_t i = 0; i < report->fields.warnings.n; i++) {
        if (str_eq(report->warnings[i].text, text)) {
            return true;
        }
    }
    return false;
}

/* Edges warn of the same: it is told once. */
static void
keep_warnings(struct report *report, const struct msg_status_reply *reply)
{
    for (size_t i = 0; i < reply->warnings.n; i++) {
        struct str text = reply->warnings.items[i].text;
        if (!already_warned(report, text)) {
            add_warning(report, arena_str_dup(report->arena, text));
        }
    }
}

static void
tell_silent(const struct part *part)
{
    part->status->answering = false;
    part->status->ready = false;
    add_warning(part->report,
                arena_printf(part->report->arena, "the role %s %u (process %u) is not answering",
                             ipc_role_name((enum role)part->status->role), part->status->instance,
                             part->status->pid));
}

static void
on_part(void *context, enum status status, struct ipc_message *message)
{
    struct part *part = context;
    if (status == STATUS_OK && message->type == MSG_STATUS_REPLY) {
        const struct msg_status_reply *reply = MSG_BODY(message, status_reply);
        rates_note(&part->report->server->rates, part->place, reply->metrics.items,
                   reply->metrics.n);
        keep_metrics(part, reply);
        keep_warnings(part->report, MSG_BODY(message, status_reply));
    } else if (part->status->ready) {
        tell_silent(part);
    }
    ipc_message_free(&message);
    if (--part->report->waiting == 0) {
        report_finish(part->report);
    }
}

static void
ask_role(struct report *report, struct child *child, struct record_role_status *status_out)
{
    *status_out = (struct record_role_status){
        .role = (uint8_t)child->role,
        .instance = child->instance,
        .pid = (uint32_t)child->pid,
        .restarts = child->restarts,
        .uptime_ms = child->pid > 0 ? (uint64_t)(clock_monotonic_ms() - child->started_ms) : 0,
        .ready = child->ready,
        .answering = child->pid > 0,
    };
    struct part *part = arena_alloc(report->arena, sizeof *part);
    if (part == NULL || child->pid == 0) {
        return;
    }
    *part = (struct part){report, status_out, (size_t)(status_out - report->roles)};
    if (channel_request(child->control, MSG_STATUS_REQUEST, NULL, ROLE_ANSWER_TIMEOUT_MS, on_part,
                        part) == STATUS_OK) {
        report->waiting++;
    }
}

static void
add_certificate_warnings(struct report *report, const struct material *material)
{
    struct str texts[MATERIAL_WARNINGS_MAX];
    size_t count =
        material_warnings(material, clock_wall_ms(), report->arena, texts, MATERIAL_WARNINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        add_warning(report, texts[i]);
    }
}

static void
add_certificates(struct report *report, const struct material *material)
{
    size_t count = material->certificate_count < REPORT_CERTIFICATES_MAX
                       ? material->certificate_count
                       : REPORT_CERTIFICATES_MAX;
    struct record_certificate_status *items =
        arena_alloc_array(report->arena, count > 0 ? count : 1, sizeof *items);
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = (struct record_certificate_status){
            str_head(material->certificates[i].name, REPORT_CERTIFICATE_NAME_MAX),
            material->certificates[i].not_after_ms};
    }
    report->fields.certificates.items = items;
    report->fields.certificates.n = items != NULL ? count : 0;
}

/* NULL without memory; then nothing is kept. */
static struct report *
report_create(void)
{
    struct arena *arena = arena_create(REPORT_ARENA_MAX);
    struct report *report = arena_alloc(arena, sizeof *report);
    struct record_role_status *roles = arena_alloc_array(arena, REPORT_ROLES_MAX, sizeof *roles);
    struct record_warning *warnings =
        arena_alloc_array(arena, REPORT_WARNINGS_MAX, sizeof *warnings);
    if (report == NULL || roles == NULL || warnings == NULL) {
        arena_destroy(&arena);
        return NULL;
    }
    *report = (struct report){.arena = arena, .roles = roles, .warnings = warnings, .waiting = 1};
    report->fields.roles.items = roles;
    report->fields.warnings.items = warnings;
    return report;
}

static void
add_role(struct report *report, struct child *child)
{
    struct record_role_status *status = &report->roles[report->fields.roles.n++];
    ask_role(report, child, status);
    if (!status->ready) {
        add_warning(report, arena_printf(report->arena, "the role %s %u is not ready: %s",
                                         ipc_role_name(child->role), status->instance,
                                         status->pid == 0 ? "it has ended and will be started again"
                                                          : "it is starting"));
    }
}

/* Asks all roles; report_finish follows, perhaps before this returns. */
static void
report_gather(struct report_server *server, struct report *report)
{
    struct report_facts facts;
    server->fill(server->context, &facts);
    report->server = server;
    report->fields.generation = facts.generation;
    report->fields.uptime_ms = facts.uptime_ms;
    report->fields.version = str_from_cstr(POSTERN_VERSION);
    add_warning(report, arena_str_dup(report->arena, str_from_cstr(facts.rejected)));
    add_certificate_warnings(report, facts.material);
    add_certificates(report, facts.material);
    for (size_t i = 0; i < facts.child_count && i < REPORT_ROLES_MAX; i++) {
        add_role(report, &facts.children[i]);
    }
    if (--report->waiting == 0) {
        report_finish(report);
    }
}

void
report_to_channel(struct report_server *server, struct channel *channel, uint64_t request)
{
    struct report *report = report_create();
    if (report == NULL) {
        return;
    }
    report->to_role = channel_peer(channel);
    report->to = channel;
    report->request = request;
    report_gather(server, report);
}

/* The rates need to know how things stood a while ago, also when nobody asks. */
static void
on_sampling(evutil_socket_t fd, short what, void *context)
{
    struct report *report = report_create();
    (void)fd;
    (void)what;
    if (report != NULL) {
        report->is_sample = true;
        report_gather(context, report);
    }
}

/* ---- commands */

static void
answer_reload(struct report_server *server, struct channel *channel, uint64_t request)
{
    struct arena *arena = arena_create(REPORT_ARENA_MAX);
    struct str text = STR("");
    bool done = server->reload(server->context, arena, &text) == STATUS_OK;
    struct msg_reload_reply reply = {.done = done};
    if (done) {
        reply.restart = str_head(text, RESTART_KEYS_MAX);
    } else {
        reply.error = str_head(text, 4096);
    }
    if (channel_send(channel, MSG_RELOAD_REPLY, request, &reply) != STATUS_OK) {
        LOG_DEBUG("the command did not wait for its answer");
    }
    arena_destroy(&arena);
}

static void
on_command_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct command *command = context;
    if (message->type == MSG_STATUS_REQUEST) {
        report_to_channel(command->server, channel, message->request);
    } else if (message->type == MSG_RELOAD_REQUEST) {
        answer_reload(command->server, channel, message->request);
    }
    ipc_message_free(&message);
}

static void
on_command_change(void *context, struct channel *channel, bool up, enum status status)
{
    struct command *command = context;
    struct timeval now = {0, 0};
    (void)channel;
    (void)status;
    if (!up) {
        event_add(command->server->clean_up, &now);
    }
}

static void
on_clean_up(evutil_socket_t fd, short what, void *context)
{
    struct report_server *server = context;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        struct command *command = &server->commands[i];
        if (command->channel != NULL && !channel_is_connected(command->channel)) {
            channel_destroy(&command->channel);
        }
    }
}

static void
on_accept(evutil_socket_t listener, short what, void *context)
{
    struct report_server *server = context;
    (void)what;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (size_t i = 0; fd >= 0 && i < COMMANDS_MAX; i++) {
        struct command *command = &server->commands[i];
        if (command->channel != NULL) {
            continue;
        }
        struct channel_settings settings = {
            .loop = server->loop,
            .self = ROLE_PARENT,
            .peer = ROLE_CLI,
            .instance = (uint32_t)i,
            .on_message = on_command_message,
            .on_change = on_command_change,
            .context = command,
        };
        command->server = server;
        command->channel = channel_create(&settings);
        if (channel_connect(command->channel, fd) != STATUS_OK) {
            channel_destroy(&command->channel);
        }
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
}

struct report_server *
report_server_create(struct event_base *loop, int listener, void *context, report_fill *fill,
                     report_reload *reload)
{
    struct report_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        abort();
    }
    server->loop = loop;
    server->context = context;
    server->fill = fill;
    server->reload = reload;
    rates_take(&server->rates, clock_monotonic_ms());
    server->listener = event_new(loop, listener, EV_READ | EV_PERSIST, on_accept, server);
    server->clean_up = event_new(loop, -1, 0, on_clean_up, server);
    server->sampling = event_new(loop, -1, EV_PERSIST, on_sampling, server);
    struct timeval interval = {RATES_INTERVAL_MS / 1000, 0};
    if (server->listener == NULL || server->clean_up == NULL || server->sampling == NULL ||
        event_add(server->listener, NULL) != 0 || event_add(server->sampling, &interval) != 0) {
        abort();
    }
    return server;
}
