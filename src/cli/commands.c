#include "cli/commands.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/suggest.h"

#define HELP_OCTETS_MAX  65536u
#define HELP_ARENA       (8u * HELP_OCTETS_MAX)
/* How a line of the usage begins; examples are indented further. */
#define USAGE_FIRST      "usage: postern "
#define USAGE_OTHER      "       postern "
#define OTHER_NAME_WORDS 2

const struct cli_command cli_commands[] = {
    {"run", cli_run, "run the gateway"},
    {"status", cli_status, "show roles, queue and rates of the running gateway"},
    {"reload", cli_reload, "read the configuration and certificates again"},
    {"config", cli_config, "check, print and explain the configuration"},
    {"user", cli_user, "add, change, list and remove users"},
    {"address", cli_address, "tell where mail for an address would go, and why"},
    {"key", cli_key, "make, list and change the keys that sign for our domains"},
    {"secret", cli_secret, "set, list and remove the passwords for other servers"},
    {"queue", cli_queue, "look at the queue and act on it"},
    {"trace", cli_trace, "find messages and print what happened to them"},
    {"explain", cli_explain, "tell the story of one message in plain words"},
    {"dmarc", cli_dmarc, "show what was seen of mail from domains that ask for reports"},
    {"check", cli_check, "try the checks on a sender, a message or a domain"},
    {"dns", cli_dns, "print the DNS records that a domain needs, and verify them"},
    {"sendmail", cli_sendmail, "take a message from a user or program of this machine"},
    {"dovecot-config", cli_dovecot_config, "write a Dovecot configuration for the mailboxes"},
    {"completion", cli_completion, "print a script that completes commands in the shell"},
    {"role", cli_role, NULL},
};
const size_t cli_command_count = sizeof cli_commands / sizeof cli_commands[0];

/* ---- help */

/* Has the command print its help into `fd` instead of standard output. */
static void
print_help_into(int fd, const struct cli_command *command, const char *verb)
{
    char name[64];
    char word[64];
    char option[] = "--help";
    char *argv[] = {name, verb != NULL ? word : option, verb != NULL ? option : NULL, NULL};
    snprintf(name, sizeof name, "%s", command->name);
    snprintf(word, sizeof word, "%s", verb != NULL ? verb : "");
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    if (kept < 0) {
        return;
    }
    if (dup2(fd, STDOUT_FILENO) >= 0) {
        command->run(verb != NULL ? 3 : 2, argv);
        fflush(stdout);
        dup2(kept, STDOUT_FILENO);
    }
    close(kept);
}

struct str
cli_help_of(struct arena *arena, const struct cli_command *command, const char *verb)
{
    char *text = arena_alloc(arena, HELP_OCTETS_MAX);
    int fd = text != NULL ? memfd_create("help", MFD_CLOEXEC) : -1;
    if (fd < 0) {
        return STR("");
    }
    print_help_into(fd, command, verb);
    ssize_t n = pread(fd, text, HELP_OCTETS_MAX, 0);
    close(fd);
    return str_make(text, n > 0 ? (size_t)n : 0);
}

/* ---- words */

static void
words_add(struct arena *arena, struct cli_words *words, struct str word)
{
    for (size_t i = 0; i < words->count; i++) {
        if (str_eq(words->items[i], word)) {
            return;
        }
    }
    const char *copy = words->count < CLI_WORDS_MAX ? arena_cstr(arena, word) : NULL;
    if (copy != NULL) {
        words->items[words->count++] = str_make(copy, word.n);
    }
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || c == '-' || char_is_digit(c);
}

static struct str
word_at(struct str text)
{
    size_t n = 0;
    while (n < text.n && is_word(text.p[n])) {
        n++;
    }
    return str_head(text, n);
}

/* "add ADDRESS", "check|defaults [FILE]": what may stand for a verb at the start of `rest`. */
static void
add_verbs(struct arena *arena, struct str rest, struct cli_words *out)
{
    struct str word = word_at(rest);
    while (word.n > 0 && word.p[0] != '-') {
        words_add(arena, out, word);
        rest = str_skip(rest, word.n);
        word = rest.n > 0 && rest.p[0] == '|' ? word_at(str_skip(rest, 1)) : STR("");
        rest = str_skip(rest, 1);
    }
}

void
cli_verbs_of(struct arena *arena, struct str help, const char *name, struct cli_words *out)
{
    struct str line;
    *out = (struct cli_words){.count = 0};
    while (help.n > 0) {
        str_cut(help, '\n', &line, &help);
        bool usage =
            str_starts_with(line, STR(USAGE_FIRST)) || str_starts_with(line, STR(USAGE_OTHER));
        struct str rest = str_skip(line, sizeof USAGE_FIRST - 1);
        struct str own = str_from_cstr(name);
        if (usage && str_starts_with(rest, own) && rest.n > own.n && rest.p[own.n] == ' ') {
            add_verbs(arena, str_skip(rest, own.n + 1), out);
        }
    }
}

void
cli_options_of(struct arena *arena, struct str help, struct cli_words *out)
{
    for (size_t i = 0; i + 2 < help.n; i++) {
        bool begins = i == 0 || !is_word(help.p[i - 1]);
        struct str word = begins && str_starts_with(str_skip(help, i), STR("--"))
                              ? word_at(str_skip(help, i))
                              : STR("");
        if (word.n > 2) {
            words_add(arena, out, word);
            i += word.n;
        }
    }
}

/* ---- did you mean */

static const char *
word_name(const void *words, size_t i)
{
    return ((const struct cli_words *)words)->items[i].p;
}

const char *
cli_nearest(const struct cli_words *words, const char *input)
{
    return suggest_name(str_from_cstr(input), words, words->count, word_name);
}

/* The first word behind the name that is no option that all commands have; NULL: none, or an option
 * of the command stands before it. */
static const char *
first_word(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0) {
            i++;
        } else if (strcmp(argv[i], "--json") != 0 && strncmp(argv[i], "--config=", 9) != 0) {
            return argv[i][0] != '-' ? argv[i] : NULL;
        }
    }
    return NULL;
}

/* Words that a command takes beside those in its help. */
static bool
is_other_name(const char *command, const char *word)
{
    static const char *const names[][OTHER_NAME_WORDS] = {
        {"key", "publish"}, {"user", "del"}, {"user", "delete"}, {"user", "rm"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(command, names[i][0]) == 0 && strcmp(word, names[i][1]) == 0) {
            return true;
        }
    }
    return false;
}

bool
cli_verb_is_known(const struct cli_command *command, int argc, char **argv)
{
    struct cli_words verbs;
    const char *word = first_word(argc, argv);
    if (word == NULL || command->meaning == NULL || is_other_name(command->name, word)) {
        return true;
    }
    struct arena *arena = arena_create(HELP_ARENA);
    cli_verbs_of(arena, cli_help_of(arena, command, NULL), command->name, &verbs);
    bool known = verbs.count == 0;
    for (size_t i = 0; i < verbs.count && !known; i++) {
        known = strcmp(word, verbs.items[i].p) == 0;
    }
    if (!known) {
        const char *nearest = cli_nearest(&verbs, word);
        cli_fail(command->name, CLI_USAGE, "there is no '%s'%s%s%s; see postern %s --help", word,
                 nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                 nearest != NULL ? "'?" : "", command->name);
    }
    arena_destroy(&arena);
    return known;
}
