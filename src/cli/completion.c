/*
 * postern completion: scripts that complete commands, verbs and options in the shell. They are made
 * of the table of commands and of what each prints for --help (cli/commands.h).
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"

#define COMPLETION_ARENA (16u << 20)

static const char usage[] =
    "Print a script that completes commands, their verbs and options in the shell.\n"
    "\n"
    "usage: postern completion bash|zsh\n"
    "\n"
    "The package installs the one for bash.\n"
    "\n"
    "examples: postern completion bash > /usr/share/bash-completion/completions/postern\n"
    "          source <(postern completion zsh)\n";

static const char script_head[] =
    "# Completion for postern(8); made by `postern completion`.\n"
    "_postern()\n"
    "{\n"
    "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
    "    local command='' verb='' verbs='' options='' i\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case \"${COMP_WORDS[i]}\" in\n"
    "        --config|-c) i=$((i + 1)) ;;\n"
    "        -*) ;;\n"
    "        *) if [[ -z \"$command\" ]]; then command=\"${COMP_WORDS[i]}\"\n"
    "           elif [[ -z \"$verb\" ]]; then verb=\"${COMP_WORDS[i]}\"; fi ;;\n"
    "        esac\n"
    "    done\n"
    "    case \"$command\" in\n";

static const char script_tail[] = "    esac\n"
                                  "    COMPREPLY=()\n"
                                  "    if [[ \"$prev\" == --config || \"$prev\" == -c ]]; then\n"
                                  "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                                  "    elif [[ \"$cur\" == -* ]]; then\n"
                                  "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                                  "    elif [[ -z \"$verb\" && -n \"$verbs\" ]]; then\n"
                                  "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
                                  "    elif [[ -n \"$command\" ]]; then\n"
                                  "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                                  "    fi\n"
                                  "}\n"
                                  "complete -o filenames -F _postern postern\n";

static void
print_words(const char *name, const struct cli_words *words)
{
    printf(" %s='", name);
    for (size_t i = 0; i < words->count; i++) {
        printf("%s%s", i > 0 ? " " : "", words->items[i].p);
    }
    putchar('\'');
}

/* One command's line in the script: its verbs, and the options of all its pages of help. */
static void
print_command(const struct cli_command *command)
{
    struct cli_words verbs;
    struct cli_words options = {.count = 0};
    struct arena *arena = arena_create(COMPLETION_ARENA);
    struct str help = cli_help_of(arena, command, NULL);
    cli_verbs_of(arena, help, command->name, &verbs);
    cli_options_of(arena, help, &options);
    for (size_t i = 0; i < verbs.count; i++) {
        cli_options_of(arena, cli_help_of(arena, command, verbs.items[i].p), &options);
    }
    cli_options_of(arena, STR("--config --help "), &options);
    printf("    %s)", command->name);
    print_words("verbs", &verbs);
    print_words("options", &options);
    puts(" ;;");
    arena_destroy(&arena);
}

static void
print_script(void)
{
    fputs(script_head, stdout);
    fputs("    '') verbs='", stdout);
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_commands[i].meaning != NULL) {
            printf("%s%s", i > 0 ? " " : "", cli_commands[i].name);
        }
    }
    puts("' options='--config --json --help --version' ;;");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_commands[i].meaning != NULL) {
            print_command(&cli_commands[i]);
        }
    }
    fputs(script_tail, stdout);
}

int
cli_completion(int argc, char **argv)
{
    struct cli_common common;
    argc = cli_take_common(argc, argv, usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (argc != 2 || (strcmp(argv[1], "bash") != 0 && strcmp(argv[1], "zsh") != 0)) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "zsh") == 0) {
        puts("autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit");
    }
    print_script();
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}
