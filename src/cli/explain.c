/*
 * postern explain: the story of one message or session in plain words.
 */
#include "trace/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/trace_fetch.h"

#define TEXT_MAX  (64u << 20)
#define WIDTH_MIN 40u
#define WIDTH_MAX 120u

static const char usage[] =
    "Tell what happened to a message, in plain words and in order: who sent it, what was found,\n"
    "what was decided and why, and how each recipient ended.\n"
    "\n"
    "usage: postern explain ID\n"
    "\n"
    "ID is what the sender's log shows from our answer (\"250 2.0.0 Ok: queued as ID\"), what\n"
    "`postern trace` lists, or the id of a session from the log.\n"
    "\n"
    "  --config FILE     the configuration of the running Postern\n"
    "  --json            summary, recipients and events as JSON\n"
    "\n"
    "Exit status: 0 everybody has it (or will get a copy of its own); 3 somebody does not get it:\n"
    "refused, bounced, expired or removed; 4 somebody still waits for it; 1 nothing is known of\n"
    "ID, or it cannot be told; 2 wrong use.\n"
    "\n"
    "example: postern explain 01KB2M9QJ8T3XW7A\n";

/* Beside CLI_DONE, CLI_FAILED and CLI_USAGE. */
#define EXIT_MISSED  3
#define EXIT_WAITING 4

/* The columns of the terminal, within reason. */
static unsigned
text_width(void)
{
    unsigned columns = cli_terminal_columns();
    if (columns == 0) {
        return EXPLAIN_WIDTH;
    }
    return columns < WIDTH_MIN ? WIDTH_MIN : columns > WIDTH_MAX ? WIDTH_MAX : columns;
}

static int
print_json(const struct timeline *timeline, struct str id)
{
    json_t *json = explain_json(timeline, id);
    if (json == NULL) {
        return cli_fail("explain", CLI_FAILED, "there is not enough memory");
    }
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(json);
    return CLI_DONE;
}

static int
print_text(const struct timeline *timeline, struct str id)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    enum status status = explain_text(timeline, id, text_width(), &text);
    struct str s = buf_str(&text);
    if (s.n > 0) {
        fwrite(s.p, 1, s.n, stdout);
    }
    buf_free(&text);
    return status == STATUS_OK ? CLI_DONE
                               : cli_fail("explain", CLI_FAILED, "the story is too long");
}

/* What became of it, as an exit status. */
static int
result_of(const struct timeline *timeline, struct str id)
{
    struct explain_summary summary;
    if (explain_summarise(timeline, id, &summary) != STATUS_OK) {
        return CLI_FAILED;
    }
    enum explain_result result = explain_result(&summary);
    explain_summary_fini(&summary);
    return result == EXPLAIN_RESULT_MISSED    ? EXIT_MISSED
           : result == EXPLAIN_RESULT_WAITING ? EXIT_WAITING
                                              : CLI_DONE;
}

static int
explain(const struct cli_common *common, struct str id)
{
    struct trace_fetched fetched;
    struct timeline timeline;
    int fd = cli_connect(common->config_file, ROLE_LEDGER);
    if (fd < 0) {
        return CLI_FAILED;
    }
    enum status status = trace_fetch(fd, id, &fetched);
    close(fd);
    if (status == STATUS_NOT_FOUND) {
        return cli_fail("explain", CLI_FAILED,
                        "nothing is known of '%.*s'; `postern trace` finds messages by sender,"
                        " recipient, subject and time",
                        STR_ARG(id));
    }
    if (status != STATUS_OK) {
        return CLI_FAILED;
    }
    if (timeline_init(&timeline, fetched.parts, fetched.count) != STATUS_OK) {
        cli_fail("explain", CLI_FAILED, "a part of the trace cannot be read");
    }
    int result =
        common->json ? print_json(&timeline, fetched.id) : print_text(&timeline, fetched.id);
    if (result == CLI_DONE) {
        result = result_of(&timeline, fetched.id);
    }
    timeline_fini(&timeline);
    trace_fetched_free(&fetched);
    return result;
}

int
cli_explain(int argc, char **argv)
{
    struct cli_common common;
    argc = cli_take_common(argc, argv, usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (argc != 2 || argv[1][0] == '-') {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    return explain(&common, str_from_cstr(argv[1]));
}
