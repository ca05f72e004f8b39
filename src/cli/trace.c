/*
 * postern trace: find messages and sessions, or print all that happened to one of them.
 */
#include "trace/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/moment.h"
#include "cli/trace_fetch.h"
#include "cli/trace_table.h"
#include "store/ledger_summary.h"
#include "trace/explain_text.h"

#define LIMIT_DEFAULT 20u
#define LIMIT_MOST    1000000u
/* Rows of one question to the ledger. */
#define PAGE_MAX      200u
#define RECONNECTS    10
#define RECONNECT_US  1000000u
#define FOLLOW_US     500000u
#define LINE_OCTETS   65536u
#define TABLE_OCTETS  (16u << 20)

static const char usage[] =
    "Find messages (newest first), or print all that happened to one of them.\n"
    "\n"
    "usage: postern trace [OPTIONS]\n"
    "       postern trace ID\n"
    "\n"
    "  --sender PATTERN      sender of the envelope; * stands for any text\n"
    "  --recipient PATTERN   a recipient, also one behind an alias\n"
    "  --subject TEXT        part of the subject\n"
    "  --message-id PATTERN  the Message-ID field\n"
    "  --client ADDRESS      address or network (192.0.2.0/24) of the client\n"
    "  --outcome OUTCOME     how it stands: delivered, deferred, rejected, bounced, queued, held,\n"
    "                        removed or open; several with commas\n"
    "  --id ID               this message or session only, as one line\n"
    "  --connections         connections that brought no mail too, with what became of them:\n"
    "                        failed handshakes and logins, port scans\n"
    "  --since TIME          " MOMENT_FORMS "\n"
    "  --until TIME          the same; all times are UTC\n"
    "  --limit N             at most so many (20)\n"
    "  --follow              go on with what is new or changes, until interrupted\n"
    "  --config FILE         the configuration of the running Postern\n"
    "  --json                one JSON object a line; with ID one array\n"
    "\n"
    "Identifiers may be written in small letters too. Exit status: 0 done, also when nothing was\n"
    "found; 1 nothing is known of ID, or it cannot be told; 2 wrong use.\n"
    "\n"
    "examples: postern trace --recipient 'bob@*' --since 2h\n"
    "          postern trace --outcome bounced,rejected --since 1d\n"
    "          postern trace --follow\n"
    "          postern trace 01KB2M9QJ8T3XW7A\n";

struct trace_command {
    struct cli_common common;
    struct msg_trace_find query;
    char before[ID_LENGTH]; /* of query.before */
    uint32_t limit;
    bool follow;
    struct trace_table table;
    uint64_t found; /* rows so far */
    char subject[SUMMARY_TEXT_MAX];
    char id[ID_LENGTH + 1]; /* of query.id */
};

/* ---- rows */

/* The rows as lines of the table; before the first of them its headings. */
static void
print_rows(struct trace_command *command, const struct record_trace_row *rows, size_t count)
{
    struct buf text;
    buf_init(&text, TABLE_OCTETS);
    enum status status = STATUS_OK;
    bool is_first = command->table.client == 0;
    trace_table_fit(&command->table, rows, count, cli_terminal_columns());
    if (is_first) {
        status = trace_table_head(&command->table, &text);
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = trace_table_row(&command->table, &rows[i], &text);
    }
    struct str s = buf_str(&text);
    if (s.n > 0) {
        fwrite(s.p, 1, s.n, stdout);
    }
    buf_free(&text);
}

static void
set_text(json_t *object, const char *key, struct str text)
{
    json_object_set_new(object, key, trace_json_text(text));
}

static void
print_row_json(const struct record_trace_row *row)
{
    struct arena *arena = arena_create(4096);
    json_t *json = json_object();
    set_text(json, "id", row->id);
    set_text(json, "session", row->session);
    set_text(json, "kind", str_from_cstr(trace_row_kind_name((enum trace_row_kind)row->kind)));
    set_text(json, "state", str_from_cstr(trace_row_state_name((enum trace_row_state)row->state)));
    set_text(json, "first", clock_format_rfc3339(arena, row->first_ms));
    set_text(json, "last", clock_format_rfc3339(arena, row->last_ms));
    set_text(json, "client", row->client);
    set_text(json, "sender", row->sender);
    set_text(json, "recipients", row->recipients);
    json_object_set_new(json, "recipient_count", json_integer(row->recipient_count));
    bool is_session = row->kind == TRACE_ROW_SESSION;
    set_text(json, "subject", is_session ? STR("") : row->subject);
    if (is_session) { /* it has none, but what it came to */
        set_text(json, "reason", row->subject);
    }
    set_text(json, "message_id", row->message_id);
    json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(json);
    arena_destroy(&arena);
}

/* Asks once and prints the rows; NULL after a message. The caller frees the reply. */
static struct ipc_message *
ask(int fd, struct trace_command *command)
{
    struct ipc_message *message =
        cli_call(fd, ROLE_LEDGER, MSG_TRACE_FIND, &command->query, MSG_TRACE_FIND_REPLY);
    if (message == NULL) {
        return NULL;
    }
    const struct msg_trace_find_reply *reply = MSG_BODY(message, trace_find_reply);
    if (reply->error.n > 0) {
        cli_fail("trace", CLI_FAILED, "%.*s", STR_ARG(reply->error));
        ipc_message_free(&message);
        return NULL;
    }
    for (size_t i = 0; i < reply->rows.n && command->common.json; i++) {
        print_row_json(&reply->rows.items[i]);
    }
    if (reply->rows.n > 0 && !command->common.json) {
        print_rows(command, reply->rows.items, reply->rows.n);
    }
    command->found += reply->rows.n;
    fflush(stdout);
    return message;
}

/* Pages until the limit; *change_out: the newest change when it began. False after a message. */
static bool
list_rows(int fd, struct trace_command *command, uint64_t *change_out)
{
    bool more = true;
    *change_out = 0;
    while (more && command->limit > 0) {
        command->query.limit = command->limit < PAGE_MAX ? command->limit : PAGE_MAX;
        struct ipc_message *message = ask(fd, command);
        if (message == NULL) {
            return false;
        }
        const struct msg_trace_find_reply *reply = MSG_BODY(message, trace_find_reply);
        size_t n = reply->rows.n;
        more = reply->more && n > 0;
        command->limit -= (uint32_t)n < command->limit ? (uint32_t)n : command->limit;
        *change_out = *change_out == 0 ? reply->last_change : *change_out;
        if (n > 0) {
            struct str last = str_head(reply->rows.items[n - 1].id, sizeof command->before);
            memcpy(command->before, last.p, last.n);
            command->query.before = str_make(command->before, last.n);
        }
        ipc_message_free(&message);
    }
    return true;
}

/* Prints what has changed, and moves on; false after a message. *more_out: ask again at once. */
static bool
follow_once(int fd, struct trace_command *command, bool *more_out)
{
    struct ipc_message *message = ask(fd, command);
    if (message == NULL) {
        return false;
    }
    const struct msg_trace_find_reply *reply = MSG_BODY(message, trace_find_reply);
    for (size_t i = 0; i < reply->rows.n; i++) {
        if (reply->rows.items[i].change >= command->query.changed_from) {
            command->query.changed_from = reply->rows.items[i].change + 1;
        }
    }
    *more_out = reply->more;
    ipc_message_free(&message);
    return true;
}

/* A restarted ledger is found again; one that stays away is given up. -1: given up. */
static int
connect_again(const struct trace_command *command)
{
    int fd = -1;
    for (int i = 0; i < RECONNECTS && fd < 0; i++) {
        usleep(RECONNECT_US);
        fd = cli_connect(command->common.config_file, ROLE_LEDGER);
    }
    return fd;
}

/* Rows as they change. Returns when the ledger has gone for good. */
static void
follow_rows(int fd, struct trace_command *command, uint64_t change)
{
    command->query.before = str_make(NULL, 0);
    command->query.limit = PAGE_MAX;
    command->query.changed_from = change + 1;
    while (fd >= 0) {
        bool more = false;
        if (!follow_once(fd, command, &more)) {
            close(fd);
            fd = connect_again(command);
        } else if (!more) {
            usleep(FOLLOW_US);
        }
    }
}

static int
find(struct trace_command *command)
{
    uint64_t change;
    int fd = cli_connect(command->common.config_file, ROLE_LEDGER);
    if (fd < 0) {
        return CLI_FAILED;
    }
    bool done = list_rows(fd, command, &change);
    if (done && command->follow) {
        follow_rows(fd, command, change);
        return CLI_FAILED;
    }
    close(fd);
    if (done && command->found == 0) {
        fputs("nothing found\n", stderr);
    }
    return done ? CLI_DONE : CLI_FAILED;
}

/* ---- one trace */

static void
print_events(const struct timeline *timeline)
{
    struct buf line;
    buf_init(&line, LINE_OCTETS);
    for (size_t i = 0; i < timeline->count; i++) {
        const struct timeline_event *item = &timeline->items[i];
        if (trace_event_print(&item->event, &line) == STATUS_OK) {
            printf("%.*s %.*s", STR_ARG(item->id), STR_ARG(buf_str(&line)));
        }
        buf_clear(&line);
    }
    buf_free(&line);
}

static void
print_events_json(const struct timeline *timeline)
{
    json_t *list = json_array();
    for (size_t i = 0; i < timeline->count; i++) {
        json_t *json = trace_event_json(&timeline->items[i].event);
        json_object_set_new(json, "id", trace_json_text(timeline->items[i].id));
        json_array_append_new(list, json);
    }
    json_dumpf(list, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(list);
}

static int
show(const struct trace_command *command, struct str id)
{
    struct trace_fetched fetched;
    struct timeline timeline;
    int fd = cli_connect(command->common.config_file, ROLE_LEDGER);
    if (fd < 0) {
        return CLI_FAILED;
    }
    enum status status = trace_fetch(fd, id, &fetched);
    close(fd);
    if (status == STATUS_NOT_FOUND) {
        cli_fail("trace", CLI_FAILED, "nothing is known of '%.*s'", STR_ARG(id));
    }
    if (status != STATUS_OK) {
        return CLI_FAILED;
    }
    status = timeline_init(&timeline, fetched.parts, fetched.count);
    if (command->common.json) {
        print_events_json(&timeline);
    } else {
        print_events(&timeline);
    }
    timeline_fini(&timeline);
    trace_fetched_free(&fetched);
    return status == STATUS_OK
               ? CLI_DONE
               : cli_fail("trace", CLI_FAILED, "a part of the trace cannot be read");
}

/* ---- the command line */

enum option_id {
    OPTION_SENDER = 256,
    OPTION_RECIPIENT,
    OPTION_SUBJECT,
    OPTION_MESSAGE_ID,
    OPTION_CLIENT,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_LIMIT,
    OPTION_FOLLOW,
    OPTION_OUTCOME,
    OPTION_ID,
    OPTION_CONNECTIONS,
};

static bool
take_moment(const char *option, const char *text, int64_t *ms_out)
{
    if (moment_parse(str_from_cstr(text), clock_wall_ms(), ms_out) == STATUS_OK) {
        return true;
    }
    cli_fail("trace", CLI_USAGE, "--%s: '%s' is no time; expected " MOMENT_FORMS, option, text);
    return false;
}

static bool
take_limit(const char *text, uint32_t *limit_out)
{
    uint64_t limit;
    if (str_parse_u64(str_from_cstr(text), LIMIT_MOST, &limit) == STATUS_OK && limit > 0) {
        *limit_out = (uint32_t)limit;
        return true;
    }
    cli_fail("trace", CLI_USAGE, "--limit: '%s' is no number from 1 to %u", text, LIMIT_MOST);
    return false;
}

/* People remember parts of a subject. */
static bool
take_subject(struct trace_command *command, const char *text)
{
    int n = snprintf(command->subject, sizeof command->subject, "*%s*", text);
    command->query.subject = str_from_cstr(command->subject);
    return n > 0 && (size_t)n < sizeof command->subject;
}

static const struct {
    const char *word;
    uint32_t states;
} outcomes[] = {
    {"delivered", 1u << TRACE_STATE_DELIVERED | 1u << TRACE_STATE_PARTLY},
    {"deferred", 1u << TRACE_STATE_DEFERRED},
    {"rejected",
     1u << TRACE_STATE_REFUSED | 1u << TRACE_STATE_TRY_LATER | 1u << TRACE_STATE_TURNED_AWAY},
    {"refused",
     1u << TRACE_STATE_REFUSED | 1u << TRACE_STATE_TRY_LATER | 1u << TRACE_STATE_TURNED_AWAY},
    {"bounced", 1u << TRACE_STATE_FAILED | 1u << TRACE_STATE_PARTLY},
    {"failed", 1u << TRACE_STATE_FAILED | 1u << TRACE_STATE_PARTLY},
    {"expired", 1u << TRACE_STATE_FAILED | 1u << TRACE_STATE_PARTLY},
    {"queued", 1u << TRACE_STATE_QUEUED},
    {"held", 1u << TRACE_STATE_HELD},
    {"quarantined", 1u << TRACE_STATE_HELD},
    {"removed", 1u << TRACE_STATE_REMOVED | 1u << TRACE_STATE_DISCARDED},
    {"open", 1u << TRACE_STATE_OPEN | 1u << TRACE_STATE_CLOSED},
};

/* 0: there is no such outcome. */
static uint32_t
states_of(struct str word)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        if (str_eq_nocase(word, str_from_cstr(outcomes[i].word))) {
            return outcomes[i].states;
        }
    }
    return 0;
}

/* One outcome, or several with commas between. */
static bool
take_outcome(struct trace_command *command, const char *text)
{
    struct str rest = str_from_cstr(text);
    bool more = true;
    while (more) {
        struct str word;
        more = str_cut(rest, ',', &word, &rest);
        uint32_t states = states_of(str_trim(word));
        if (states == 0) {
            cli_fail("trace", CLI_USAGE,
                     "--outcome: there is no '%.*s'; it is delivered, deferred, rejected, bounced, "
                     "queued, held, removed or open",
                     STR_ARG(word));
            return false;
        }
        command->query.states |= states;
    }
    return true;
}

static bool
take_option(struct trace_command *command, int option, const char *value)
{
    struct msg_trace_find *query = &command->query;
    switch (option) {
    case OPTION_SENDER:
        query->sender = str_from_cstr(value);
        return true;
    case OPTION_RECIPIENT:
        query->recipient = str_from_cstr(value);
        return true;
    case OPTION_SUBJECT:
        return take_subject(command, value);
    case OPTION_MESSAGE_ID:
        query->message_id = str_from_cstr(value);
        return true;
    case OPTION_CLIENT:
        query->client = str_from_cstr(value);
        return true;
    case OPTION_SINCE:
        return take_moment("since", value, &query->since_ms);
    case OPTION_UNTIL:
        return take_moment("until", value, &query->until_ms);
    case OPTION_LIMIT:
        return take_limit(value, &command->limit);
    case OPTION_FOLLOW:
        command->follow = true;
        return true;
    case OPTION_OUTCOME:
        return take_outcome(command, value);
    case OPTION_ID:
        query->id = trace_id_normal(str_from_cstr(value), command->id);
        if (query->id.n != ID_LENGTH) {
            cli_fail("trace", CLI_USAGE, "--id: '%s' is no identifier", value);
        }
        return query->id.n == ID_LENGTH;
    case OPTION_CONNECTIONS:
        query->connections = true;
        return true;
    default:
        return false; /* cli_next_option has said why */
    }
}

static bool
parse(int argc, char **argv, struct trace_command *command)
{
    static const struct option options[] = {
        {"sender", required_argument, NULL, OPTION_SENDER},
        {"recipient", required_argument, NULL, OPTION_RECIPIENT},
        {"subject", required_argument, NULL, OPTION_SUBJECT},
        {"message-id", required_argument, NULL, OPTION_MESSAGE_ID},
        {"client", required_argument, NULL, OPTION_CLIENT},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"until", required_argument, NULL, OPTION_UNTIL},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"follow", no_argument, NULL, OPTION_FOLLOW},
        {"outcome", required_argument, NULL, OPTION_OUTCOME},
        {"id", required_argument, NULL, OPTION_ID},
        {"connections", no_argument, NULL, OPTION_CONNECTIONS},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = cli_next_option(argc, argv, options)) != -1) {
        if (!take_option(command, option, optarg)) {
            return false;
        }
    }
    if (optind < argc - 1) {
        cli_fail("trace", CLI_USAGE, "one id at a time; see postern trace --help");
        return false;
    }
    return true;
}

int
cli_trace(int argc, char **argv)
{
    struct trace_command command = {.limit = LIMIT_DEFAULT};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (!parse(argc, argv, &command)) {
        return CLI_USAGE;
    }
    return optind < argc ? show(&command, str_from_cstr(argv[optind])) : find(&command);
}
