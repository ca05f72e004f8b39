/*
 * commands.h - the table of commands, and what can be read out of their help: the verbs and options
 * for completion and for "did you mean". The help is the one place where a command's words are
 * written down, so neither can fall behind it.
 */
#ifndef POSTERN_CLI_COMMANDS_H
#define POSTERN_CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct cli_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *meaning; /* NULL: not for people */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* Words in an arena. */
#define CLI_WORDS_MAX 64u
struct cli_words {
    struct str items[CLI_WORDS_MAX]; /* each ends in NUL */
    size_t count;
};

/*
 * What a command prints on standard output for --help; with `verb` (not NULL) for that verb. Empty
 * when there is no memory. In the arena.
 */
struct str cli_help_of(struct arena *arena, const struct cli_command *command, const char *verb);

/*
 * The verbs in a help text: the words in small letters behind "postern NAME " in its usage, each
 * once. None for commands whose first word is not a verb.
 */
void cli_verbs_of(struct arena *arena, struct str help, const char *name, struct cli_words *out);
/* The long options in a help text, "--json" and so on, each once; added to `out`. */
void cli_options_of(struct arena *arena, struct str help, struct cli_words *out);

/* The word that was probably meant; NULL: none comes near. */
const char *cli_nearest(const struct cli_words *words, const char *input);

/*
 * True when the first word after the command's name may be one of its verbs, or the command has
 * none; else says so on standard error, with the one that was probably meant.
 */
bool cli_verb_is_known(const struct cli_command *command, int argc, char **argv);

#endif
