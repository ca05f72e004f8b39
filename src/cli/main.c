/*
 * postern - one program: the gateway and the commands to work with it.
 */
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "config/suggest.h"

static void
print_usage(FILE *to)
{
    fputs("Postern, a secure e-mail gateway.\n\nusage: postern COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_commands[i].meaning != NULL) {
            fprintf(to, "  %-16s %s\n", cli_commands[i].name, cli_commands[i].meaning);
        }
    }
    fputs("\n"
          "  --config FILE    the configuration ($POSTERN_CONFIG, /etc/postern/postern.yaml)\n"
          "  --json           facts as JSON, for programs\n"
          "  --help           help and an example for each command\n"
          "\n"
          "example: postern explain 01KB2M9QJ8T3XW7A\n",
          to);
}

static const char *
command_name(const void *commands, size_t i)
{
    const struct cli_command *command = (const struct cli_command *)commands + i;
    return command->meaning != NULL ? command->name : "";
}

static int
no_such_command(const char *name)
{
    const char *nearest =
        suggest_name(str_from_cstr(name), cli_commands, cli_command_count, command_name);
    fprintf(stderr, "postern: there is no command '%s'%s%s%s; see postern --help\n", name,
            nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "'?" : "");
    return CLI_USAGE;
}

/* How many words of argv before the command are options that all commands take. */
static int
leading_options(int argc, char **argv)
{
    int i = 1;
    while (i < argc && (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--config") == 0 ||
                        strcmp(argv[i], "-c") == 0 || strncmp(argv[i], "--config=", 9) == 0)) {
        i += 1 + (strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0);
    }
    return i - 1;
}

/* `postern --config FILE status` is `postern status --config FILE`: the command goes first. */
static void
command_first(int argc, char **argv)
{
    int leading = leading_options(argc, argv);
    if (leading > 0 && leading + 1 < argc) {
        char *command = argv[leading + 1];
        memmove(argv + 2, argv + 1, (size_t)leading * sizeof *argv);
        argv[1] = command;
    }
}

int
main(int argc, char **argv)
{
    int exit_status = argc > 0 ? cli_called_as(argv[0], argc, argv) : -1;
    if (exit_status >= 0) {
        return exit_status;
    }
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    command_first(argc, argv);
    struct str name = str_from_cstr(argv[1]);
    for (size_t i = 0; i < cli_command_count; i++) {
        if (str_eq(name, str_from_cstr(cli_commands[i].name))) {
            return cli_verb_is_known(&cli_commands[i], argc - 1, argv + 1)
                       ? cli_commands[i].run(argc - 1, argv + 1)
                       : CLI_USAGE;
        }
    }
    if (str_eq(name, STR("--version")) || str_eq(name, STR("version"))) {
        puts("postern " POSTERN_VERSION);
        return CLI_DONE;
    }
    if (str_eq(name, STR("--help")) || str_eq(name, STR("-h")) || str_eq(name, STR("help"))) {
        print_usage(stdout);
        return CLI_DONE;
    }
    return no_such_command(argv[1]);
}
