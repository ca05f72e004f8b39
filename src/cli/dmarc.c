/*
 * postern dmarc: what was seen of mail from domains that ask for aggregate reports (RFC 9990).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/dmarc_observation.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/moment.h"
#include "store/ledger_reports.h"
#include "trace/trace.h"

#define DAY_MS       (24 * 60 * 60 * 1000LL)
#define DAY_TEXT     10u
/* Texts of one domain's day; a row takes a few hundred octets. */
#define GROUP_ARENA  (64u << 20)
/* What one line of accounts decodes to. */
#define LINE_ARENA   (256u << 10)
#define ROW_TEXT_MAX 2048u

static const char usage[] =
    "Show what was seen of mail from domains that ask for reports (DMARC): for each day and "
    "domain\n"
    "the sources, what was done with their mail, and whether DKIM and SPF passed in line with the\n"
    "author's domain. All days are UTC.\n"
    "\n"
    "usage: postern dmarc [DOMAIN] [--day DAY] [--json]\n"
    "\n"
    "  --day DAY      that day only: 2026-11-23, or 1d (the day before today)\n"
    "  --config FILE  the configuration of the running Postern\n"
    "  --json         one JSON object a line\n"
    "\n"
    "examples: postern dmarc\n"
    "          postern dmarc example.com --day 1d\n";

struct dmarc_row {
    uint64_t count;
    struct str text;
};

/* The rows of one domain's day, which are printed together, the most frequent first. */
struct group {
    int64_t day;
    struct str domain;
    struct arena *arena;
    struct dmarc_row *rows;
    size_t count;
    uint64_t messages;
};

struct dmarc_command {
    struct cli_common common;
    struct msg_dmarc_find query;
    struct group group;
    uint64_t found;
};

/* ---- rows */

/* "2026-11-23", in the arena. */
static struct str
day_text(struct arena *arena, int64_t day)
{
    return str_head(clock_format_rfc3339(arena, day * DAY_MS), DAY_TEXT);
}

static const char *
pass_text(bool passed)
{
    return passed ? "pass" : "fail";
}

static void
format_row(struct buf *out, struct arena *arena, const struct record_dmarc_row *row)
{
    struct dmarc_observation o;
    char source[IP_TEXT_MAX];
    enum status status;
    if (row->line.n == 0) {
        status =
            buf_printf(out, "%8" PRIu64 "  others, which are not told apart any more", row->count);
    } else if (dmarc_observation_decode(arena, row->line, &o) != STATUS_OK) {
        status = buf_printf(out, "%8" PRIu64 "  what this version cannot read", row->count);
    } else {
        const char *reason = o.reason != DMARC_OVERRIDE_NONE ? dmarc_override_name(o.reason) : "";
        status = buf_printf(out, "%8" PRIu64 "  %-15s  %-10s  %-4s  %-4s  %.*s  <%.*s>  %.*s  %s",
                            row->count, ip_format(&o.source, source),
                            dmarc_disposition_name(o.disposition), pass_text(o.dkim_aligned),
                            pass_text(o.spf_aligned), STR_ARG(o.header_from),
                            STR_ARG(o.envelope_from), STR_ARG(o.envelope_to), reason);
    }
    if (status != STATUS_OK) {
        buf_clear(out);
    }
}

static bool
group_add(struct group *group, const struct record_dmarc_row *row)
{
    struct arena *arena = arena_create(LINE_ARENA);
    struct buf text;
    buf_init(&text, ROW_TEXT_MAX);
    format_row(&text, arena, row);
    struct str kept = arena_str_dup(group->arena, buf_str(&text));
    buf_free(&text);
    arena_destroy(&arena);
    if (kept.p == NULL || group->count > REPORTS_LINES_OF_DOMAIN_MAX) {
        return false;
    }
    group->rows[group->count++] = (struct dmarc_row){row->count, kept};
    group->messages += row->count;
    return true;
}

static int
compare_rows(const void *a, const void *b)
{
    const struct dmarc_row *x = a;
    const struct dmarc_row *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : str_cmp(x->text, y->text);
}

static void
group_print(struct group *group)
{
    if (group->count == 0) {
        return;
    }
    struct str day = day_text(group->arena, group->day);
    qsort(group->rows, group->count, sizeof *group->rows, compare_rows);
    printf("%.*s  ", STR_ARG(day));
    cli_print_text(stdout, group->domain);
    printf("  %" PRIu64 " message%s\n\n", group->messages, group->messages == 1 ? "" : "s");
    printf("%8s  %-15s  %-10s  %-4s  %-4s  %s\n", "COUNT", "SOURCE", "DONE", "DKIM", "SPF",
           "FROM  <SENDER>  RECIPIENTS");
    for (size_t i = 0; i < group->count; i++) {
        cli_print_text(stdout, group->rows[i].text);
        putchar('\n');
    }
    putchar('\n');
}

/* Ends a group, and begins the next with the day and domain of a row. False: no memory. */
static bool
group_begin(struct group *group, const struct record_dmarc_row *row)
{
    group_print(group);
    arena_destroy(&group->arena);
    *group = (struct group){.day = row->day, .arena = arena_create(GROUP_ARENA)};
    group->domain = arena_str_dup(group->arena, row->domain);
    group->rows =
        arena_alloc_array(group->arena, REPORTS_LINES_OF_DOMAIN_MAX + 1, sizeof *group->rows);
    return group->domain.p != NULL && group->rows != NULL;
}

static bool
take_row(struct dmarc_command *command, const struct record_dmarc_row *row)
{
    struct group *group = &command->group;
    bool is_new =
        group->arena == NULL || group->day != row->day || !str_eq(group->domain, row->domain);
    return (!is_new || group_begin(group, row)) && group_add(group, row);
}

static void
print_json(const struct record_dmarc_row *row)
{
    struct arena *arena = arena_create(4096);
    json_t *json = json_object();
    json_t *observation = json_loadb(row->line.p, row->line.n, 0, NULL);
    json_object_set_new(json, "day", trace_json_text(day_text(arena, row->day)));
    json_object_set_new(json, "domain", trace_json_text(row->domain));
    json_object_set_new(json, "count", json_integer((json_int_t)row->count));
    json_object_set_new(json, "observation", observation != NULL ? observation : json_null());
    json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(json);
    arena_destroy(&arena);
}

/* ---- pages */

/* The rows of a page; false after a message. */
static bool
take_page(struct dmarc_command *command, const struct msg_dmarc_find_reply *reply)
{
    if (reply->error.n > 0) {
        cli_fail("dmarc", CLI_FAILED, "%.*s", STR_ARG(reply->error));
        return false;
    }
    for (size_t i = 0; i < reply->rows.n; i++) {
        const struct record_dmarc_row *row = &reply->rows.items[i];
        if (command->common.json) {
            print_json(row);
        } else if (!take_row(command, row)) {
            cli_fail("dmarc", CLI_FAILED, "there is more than fits into memory");
            return false;
        }
    }
    command->found += reply->rows.n;
    return true;
}

static bool
take_all(int fd, struct dmarc_command *command)
{
    struct ipc_message *before = NULL; /* query.after is in it */
    bool more = true;
    while (more) {
        struct ipc_message *message =
            cli_call(fd, ROLE_LEDGER, MSG_DMARC_FIND, &command->query, MSG_DMARC_FIND_REPLY);
        ipc_message_free(&before);
        if (message == NULL) {
            return false;
        }
        before = message;
        const struct msg_dmarc_find_reply *reply = MSG_BODY(message, dmarc_find_reply);
        if (!take_page(command, reply)) {
            ipc_message_free(&before);
            return false;
        }
        more = reply->more && reply->rows.n > 0;
        if (more) {
            command->query.after.items = &reply->rows.items[reply->rows.n - 1];
            command->query.after.n = 1;
        }
    }
    ipc_message_free(&before);
    return true;
}

static int
show(struct dmarc_command *command)
{
    int fd = cli_connect(command->common.config_file, ROLE_LEDGER);
    if (fd < 0) {
        return CLI_FAILED;
    }
    bool done = take_all(fd, command);
    close(fd);
    if (done) {
        group_print(&command->group);
    }
    arena_destroy(&command->group.arena);
    if (done && command->found == 0) {
        fputs("nothing was seen from domains that ask for reports\n", stderr);
    }
    return done ? CLI_DONE : CLI_FAILED;
}

/* ---- the command line */

#define OPTION_DAY 256

static bool
parse(int argc, char **argv, struct dmarc_command *command)
{
    static const struct option options[] = {{"day", required_argument, NULL, OPTION_DAY},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = cli_next_option(argc, argv, options)) != -1) {
        int64_t ms;
        if (option != OPTION_DAY) {
            return false; /* cli_next_option has said why */
        }
        if (moment_parse(str_from_cstr(optarg), clock_wall_ms(), &ms) != STATUS_OK) {
            cli_fail("dmarc", CLI_USAGE, "--day: '%s' is no day; expected 2026-11-23, or 1d",
                     optarg);
            return false;
        }
        command->query.from_day = ms / DAY_MS;
        command->query.to_day = command->query.from_day;
    }
    if (optind < argc - 1) {
        cli_fail("dmarc", CLI_USAGE, "one domain at a time; see postern dmarc --help");
        return false;
    }
    return true;
}

int
cli_dmarc(int argc, char **argv)
{
    struct dmarc_command command = {
        .query = {.to_day = INT64_MAX, .limit = REPORTS_PAGE_MAX},
    };
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (!parse(argc, argv, &command)) {
        return CLI_USAGE;
    }
    if (optind < argc) {
        command.query.domain = str_from_cstr(argv[optind]);
    }
    return show(&command);
}
