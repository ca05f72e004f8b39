/*
 * postern - one program: the gateway and the commands to work with it.
 */
#include <stdio.h>

#include "base/version.h"
#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *meaning; /* NULL: not for people */
} commands[] = {
    {"run", cli_run, "run the gateway"},
    {"status", cli_status, "show roles, queue and rates of the running gateway"},
    {"reload", cli_reload, "read the configuration and certificates again"},
    {"config", cli_config, "check, print and explain the configuration"},
    {"user", cli_user, "add, change, list and remove users"},
    {"key", cli_key, "make, list and change the keys that sign for our domains"},
    {"queue", cli_queue, "look at the queue and act on it"},
    {"trace", cli_trace, "find messages and print what happened to them"},
    {"explain", cli_explain, "tell the story of one message in plain words"},
    {"dmarc", cli_dmarc, "show what was seen of mail from domains that ask for reports"},
    {"check", cli_check, "try the checks on a sender, a message or a domain"},
    {"dns", cli_dns, "print the DNS records that a domain needs, and verify them"},
    {"dovecot-config", cli_dovecot_config, "write a Dovecot configuration for the mailboxes"},
    {"role", cli_role, NULL},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void
print_usage(FILE *to)
{
    fputs("Postern, a secure e-mail gateway.\n\nusage: postern COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].meaning != NULL) {
            fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].meaning);
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

int
main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    struct str name = str_from_cstr(argv[1]);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (str_eq(name, str_from_cstr(commands[i].name))) {
            return commands[i].run(argc - 1, argv + 1);
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
    fprintf(stderr, "postern: there is no command '%s'; see postern --help\n", argv[1]);
    return CLI_USAGE;
}
