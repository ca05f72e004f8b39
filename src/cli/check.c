/*
 * postern check: what Postern makes of a sender, a message or a domain, without sending anything.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/check_op.h"
#include "cli/cli.h"

static const char usage[] =
    "Try the checks on something that was written down.\n"
    "\n"
    "usage: postern check --json-lines\n"
    "\n"
    "  --json-lines    read one JSON object a line from standard input, {\"op\": NAME, ...}, and\n"
    "                  write one a line to standard output. \"zone\" is the DNS to use, \"now\" "
    "the\n"
    "                  clock in seconds since 1970\n"
    "\n"
    "example: echo '{\"op\": \"dns\", \"name\": \"a.example\", \"type\": \"A\", \"zone\": {}}' |\n"
    "             postern check --json-lines\n";

/* One line: its answer, or what is wrong with it. */
static void
answer_line(const char *line, size_t n, const struct check_op_around *around)
{
    json_error_t fault;
    json_t *request = json_loadb(line, n, JSON_ALLOW_NUL, &fault);
    json_t *answer = request != NULL ? check_op_run(request, around)
                                     : check_op_error("column %d: %s", fault.column, fault.text);
    json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    fflush(stdout);
    json_decref(answer);
    json_decref(request);
}

static int
run_lines(const struct check_op_around *around)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) >= 0) {
        answer_line(line, (size_t)n, around);
    }
    free(line);
    return ferror(stdin) || ferror(stdout) ? CLI_FAILED : CLI_DONE;
}

int
cli_check(int argc, char **argv)
{
    struct cli_common common;
    argc = cli_take_common(argc, argv, usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (argc == 2 && strcmp(argv[1], "--json-lines") == 0) {
        return run_lines(&(struct check_op_around){.dns = NULL});
    }
    return cli_fail(argv[0], CLI_USAGE, "say what to check; see postern check --help");
}
