/*
 * postern status and postern reload: what the parent knows and does.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "ipc/role_table.h"
#include "roles/metrics.h"

/* Room for the text of a duration; the number of days has at most 12 digits. */
#define DURATION_MAX 24

/* "5m 09s", "3h 07m", "12d 04h". */
static const char *
format_duration(uint64_t ms, char out[static DURATION_MAX])
{
    unsigned long long s = ms / 1000;
    if (s >= 86400) {
        snprintf(out, DURATION_MAX, "%llud %02lluh", s / 86400, s / 3600 % 24);
    } else if (s >= 3600) {
        snprintf(out, DURATION_MAX, "%lluh %02llum", s / 3600, s / 60 % 60);
    } else {
        snprintf(out, DURATION_MAX, "%llum %02llus", s / 60, s % 60);
    }
    return out;
}

static bool
all_ready(const struct msg_status_report *report)
{
    bool ready = report->roles.n > 0;
    for (size_t i = 0; i < report->roles.n; i++) {
        ready = ready && report->roles.items[i].ready;
    }
    return ready;
}

static void
role_name(const struct record_role_status *role, char out[static 32])
{
    /* The role is a number that another process has told. */
    bool const several = role->role < ROLE_COUNT && role_row(role->role)->processes_most > 1;
    snprintf(out, 32, several ? "%s %u" : "%s", ipc_role_name((enum role)role->role),
             role->instance);
}

static const char *
role_state(const struct record_role_status *role)
{
    if (role->pid == 0) {
        return "stopped";
    }
    if (!role->answering) {
        return "not answering";
    }
    return role->ready ? "ready" : "starting";
}

static void
print_metrics(const struct record_role_status *role, bool all)
{
    char name[32];
    bool first = true;
    role_name(role, name);
    for (size_t i = 0; i < role->metrics.n; i++) {
        const struct record_metric *metric = &role->metrics.items[i];
        bool is_bucket = str_find(metric->name, STR("_bucket{")) != STR_NPOS;
        if ((metric->value == 0 || is_bucket) && !all) {
            continue;
        }
        if (first) {
            printf("\n%s\n", name);
            first = false;
        }
        printf("  %-34.*s ", STR_ARG(metric->name));
        if (role_metric_is_ms(metric->name)) {
            printf("%.3f\n", (double)metric->value / 1000.0);
        } else {
            printf("%lld\n", (long long)metric->value);
        }
    }
}

/* ---- what people look for first */

/* A gauge of the spool; false: it did not answer. */
static bool
queue_value(const struct msg_status_report *report, enum role_metric metric, int64_t *value_out)
{
    struct str name = str_from_cstr(role_metric_row(metric)->name);
    for (size_t i = 0; i < report->roles.n; i++) {
        const struct record_role_status *role = &report->roles.items[i];
        for (size_t k = 0; k < role->metrics.n; k++) {
            if (role->role == ROLE_SPOOL && str_eq(role->metrics.items[k].name, name)) {
                *value_out = role->metrics.items[k].value;
                return true;
            }
        }
    }
    return false;
}

struct queue_facts {
    int64_t messages;
    int64_t recipients;
    int64_t deferred;
    int64_t held;
    int64_t octets;
};

static bool
queue_facts(const struct msg_status_report *report, struct queue_facts *out)
{
    return queue_value(report, ROLE_METRIC_QUEUE_MESSAGES, &out->messages) &&
           queue_value(report, ROLE_METRIC_QUEUE_RECIPIENTS, &out->recipients) &&
           queue_value(report, ROLE_METRIC_QUEUE_DEFERRED, &out->deferred) &&
           queue_value(report, ROLE_METRIC_QUEUE_HELD, &out->held) &&
           queue_value(report, ROLE_METRIC_QUEUE_BYTES, &out->octets);
}

static void
print_queue(const struct msg_status_report *report)
{
    struct queue_facts queue;
    if (!queue_facts(report, &queue)) {
        puts("\nQueue  not known: the spool does not answer");
        return;
    }
    printf("\nQueue  %lld message%s, %lld recipient%s (%lld waiting, %lld deferred, %lld held), "
           "%.1f MiB\n",
           (long long)queue.messages, queue.messages == 1 ? "" : "s", (long long)queue.recipients,
           queue.recipients == 1 ? "" : "s",
           (long long)(queue.recipients - queue.deferred - queue.held), (long long)queue.deferred,
           (long long)queue.held, (double)queue.octets / (1024.0 * 1024.0));
}

/* What is counted by the day, in the order in which it is told. */
static const char *const day_names[] = {"received", "delivered", "deferred", "rejected", "failed"};
#define DAY_NAMES (sizeof day_names / sizeof day_names[0])

static uint64_t
today_of(const struct msg_status_report *report, const char *name)
{
    for (size_t i = 0; i < report->rates.n; i++) {
        if (str_eq(report->rates.items[i].name, str_from_cstr(name))) {
            return report->rates.items[i].today;
        }
    }
    return 0;
}

static void
print_today(const struct msg_status_report *report)
{
    char since[16] = "?";
    time_t at = (time_t)(report->today_ms / 1000);
    struct tm tm;
    if (localtime_r(&at, &tm) != NULL) {
        strftime(since, sizeof since, "%H:%M", &tm);
    }
    printf("Today  since %s: ", since);
    for (size_t i = 0; i < DAY_NAMES; i++) {
        printf("%s%llu %s", i > 0 ? ", " : "", (unsigned long long)today_of(report, day_names[i]),
               day_names[i]);
    }
    putchar('\n');
}

static json_t *
today_to_json(const struct msg_status_report *report)
{
    json_t *today = json_object();
    struct arena *arena = arena_create(1024);
    struct str since = clock_format_rfc3339(arena, report->today_ms);
    json_object_set_new(today, "since", json_stringn(since.p, since.n));
    arena_destroy(&arena);
    for (size_t i = 0; i < DAY_NAMES; i++) {
        json_object_set_new(today, day_names[i],
                            json_integer((json_int_t)today_of(report, day_names[i])));
    }
    return today;
}

static void
print_rates(const struct msg_status_report *report)
{
    puts("\nRates            over 1 min  over 5 min  (a minute)");
    for (size_t i = 0; i < report->rates.n; i++) {
        const struct record_rate *rate = &report->rates.items[i];
        printf("  %-14.*s %10.1f  %10.1f\n", STR_ARG(rate->name), (double)rate->one_minute / 1000.0,
               (double)rate->five_minutes / 1000.0);
    }
}

static json_t *
queue_to_json(const struct msg_status_report *report)
{
    struct queue_facts queue;
    if (!queue_facts(report, &queue)) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "messages", (json_int_t)queue.messages,
                     "recipients", (json_int_t)queue.recipients, "waiting",
                     (json_int_t)(queue.recipients - queue.deferred - queue.held), "deferred",
                     (json_int_t)queue.deferred, "held", (json_int_t)queue.held, "octets",
                     (json_int_t)queue.octets);
}

static json_t *
rates_to_json(const struct msg_status_report *report)
{
    json_t *rates = json_object();
    for (size_t i = 0; i < report->rates.n; i++) {
        const struct record_rate *rate = &report->rates.items[i];
        char key[33];
        snprintf(key, sizeof key, "%.*s", STR_ARG(rate->name));
        json_object_set_new(rates, key,
                            json_pack("{s:f, s:f}", "per_minute_1m",
                                      (double)rate->one_minute / 1000.0, "per_minute_5m",
                                      (double)rate->five_minutes / 1000.0));
    }
    return rates;
}

/* Counters that are zero say little: they are left out unless all are wanted. */
static void
print_report(const struct msg_status_report *report, bool all)
{
    char up[DURATION_MAX];
    printf("Postern %.*s, up %s, configuration %llu\n\n", STR_ARG(report->version),
           format_duration(report->uptime_ms, up), (unsigned long long)report->generation);
    printf("%-12s %8s %10s %9s  %s\n", "ROLE", "PID", "UP", "RESTARTS", "STATE");
    for (size_t i = 0; i < report->roles.n; i++) {
        const struct record_role_status *role = &report->roles.items[i];
        char name[32];
        role_name(role, name);
        printf("%-12s %8u %10s %9u  %s\n", name, role->pid, format_duration(role->uptime_ms, up),
               role->restarts, role_state(role));
    }
    print_queue(report);
    print_today(report);
    print_rates(report);
    for (size_t i = 0; i < report->roles.n; i++) {
        print_metrics(&report->roles.items[i], all);
    }
    for (size_t i = 0; i < report->warnings.n; i++) {
        printf("\nwarning: %.*s\n", STR_ARG(report->warnings.items[i].text));
    }
}

static json_t *
role_to_json(const struct record_role_status *role)
{
    json_t *metrics = json_object();
    for (size_t i = 0; i < role->metrics.n; i++) {
        struct str name = role->metrics.items[i].name;
        int64_t value = role->metrics.items[i].value;
        char key[97];
        snprintf(key, sizeof key, "%.*s", STR_ARG(name));
        json_object_set_new(metrics, key,
                            role_metric_is_ms(name) ? json_real((double)value / 1000.0)
                                                    : json_integer(value));
    }
    return json_pack("{s:s, s:i, s:i, s:i, s:I, s:b, s:s, s:o}", "role",
                     ipc_role_name((enum role)role->role), "instance", (int)role->instance, "pid",
                     (int)role->pid, "restarts", (int)role->restarts, "uptime_ms",
                     (json_int_t)role->uptime_ms, "ready", (int)role->ready, "state",
                     role_state(role), "metrics", metrics);
}

static void
print_report_json(const struct msg_status_report *report)
{
    json_t *roles = json_array();
    json_t *warnings = json_array();
    for (size_t i = 0; i < report->roles.n; i++) {
        json_array_append_new(roles, role_to_json(&report->roles.items[i]));
    }
    for (size_t i = 0; i < report->warnings.n; i++) {
        struct str text = report->warnings.items[i].text;
        json_array_append_new(warnings, json_stringn(text.p, text.n));
    }
    json_t *root =
        json_pack("{s:s%, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o}", "version", report->version.p,
                  report->version.n, "generation", (json_int_t)report->generation, "uptime_ms",
                  (json_int_t)report->uptime_ms, "ready", (int)all_ready(report), "roles", roles,
                  "queue", queue_to_json(report), "today", today_to_json(report), "rates",
                  rates_to_json(report), "warnings", warnings);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(root);
}

static const char status_usage[] =
    "usage: postern status [--all] [--json] [--config FILE]\n"
    "\n"
    "Roles, uptime, restarts, queue, rates and counters of the running gateway; with --all\n"
    "also the counters that are zero and the buckets of histograms. Rates are events a minute over "
    "the last minute and\n"
    "the last five: messages received (answered 250); connections, recipients and messages\n"
    "refused or put off; recipients delivered; attempts deferred; messages and recipients\n"
    "rejected; recipients failed. Today counts from midnight, or from the start when that\n"
    "was later.\n"
    "\n"
    "Exit status 1 when it does not run, or a role is not ready or does not answer.\n"
    "\n"
    "example: postern status --json | jq '.roles[] | {role, ready}'\n";

int
cli_status(int argc, char **argv)
{
    struct cli_common common;
    argc = cli_take_common(argc, argv, status_usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
    if (argc > 1 + all) {
        return cli_fail("status", CLI_USAGE, "'%s' is not understood; see postern status --help",
                        argv[1]);
    }
    int fd = cli_connect(common.config_file, ROLE_PARENT);
    if (fd < 0) {
        return CLI_FAILED;
    }
    struct ipc_message *reply =
        cli_call(fd, ROLE_PARENT, MSG_STATUS_REQUEST, NULL, MSG_STATUS_REPORT);
    close(fd);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    if (common.json) {
        print_report_json(MSG_BODY(reply, status_report));
    } else {
        print_report(MSG_BODY(reply, status_report), all);
    }
    int exit_status = all_ready(MSG_BODY(reply, status_report)) ? CLI_DONE : CLI_FAILED;
    ipc_message_free(&reply);
    return exit_status;
}

static const char reload_usage[] =
    "usage: postern reload [--config FILE]\n"
    "\n"
    "Has the running gateway read its configuration and certificates again. A faulty\n"
    "configuration is refused with its faults, and the old one stays in force. So is\n"
    "one that changes directories.* or run_as; other changes that take a restart are\n"
    "told.\n"
    "\n"
    "example: postern config check && postern reload\n";

int
cli_reload(int argc, char **argv)
{
    struct cli_common common;
    argc = cli_take_common(argc, argv, reload_usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (argc > 1) {
        return cli_fail("reload", CLI_USAGE, "'%s' is not understood; see postern reload --help",
                        argv[1]);
    }
    int fd = cli_connect(common.config_file, ROLE_PARENT);
    if (fd < 0) {
        return CLI_FAILED;
    }
    struct ipc_message *reply =
        cli_call(fd, ROLE_PARENT, MSG_RELOAD_REQUEST, NULL, MSG_RELOAD_REPLY);
    close(fd);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    const struct msg_reload_reply *fields = MSG_BODY(reply, reload_reply);
    int exit_status = fields->done ? CLI_DONE : CLI_FAILED;
    if (fields->done) {
        puts("reloaded");
        if (fields->restart.n > 0) {
            printf("These have changed, but take a restart of Postern: %.*s\n",
                   STR_ARG(fields->restart));
        }
    } else {
        fprintf(stderr, "%.*s\nThe old configuration stays in force.\n", STR_ARG(fields->error));
    }
    ipc_message_free(&reply);
    return exit_status;
}
