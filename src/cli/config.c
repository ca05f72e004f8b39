#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/config_show.h"
#include "config/config.h"
#include "config/reference.h"
#include "policy/findings_page.h"
#include "roles/preflight.h"

/* Room for the texts of all errors. */
#define MESSAGES_MAX ((size_t)1 << 20)

/* Beside CLI_DONE, CLI_FAILED (the configuration has errors) and CLI_USAGE. */
#define EXIT_INPUT_OUTPUT 3

/* Appends one of the pages made from the schema table. */
typedef enum status page_writer(struct buf *out);

static const char general_help[] =
    "usage: postern config check|show|get|defaults|schema|reference|findings [OPTIONS]\n"
    "\n"
    "  show [FILE]   print every key with its value and where that comes from\n"
    "  get KEY       the same of one key, or of all below it\n"
    "  check [FILE]  say whether a configuration is right, and where it is not\n"
    "  defaults      print a configuration with every key, its meaning and its default\n"
    "  schema        print the JSON schema, for editors\n"
    "  reference     print the reference page\n"
    "  findings      print what the checks can find, and what is done about it\n"
    "\n"
    "Without FILE, that of --config is read, else $POSTERN_CONFIG, else\n" CONFIG_FILE_DEFAULT
    "; \"-\" is standard input.\n"
    "\n"
    "Exit status: 0 all right; 1 the configuration has errors; 2 wrong use of the command;\n"
    "3 the file cannot be read, or the output not be written.\n"
    "\n"
    "Example:\n"
    "  postern config check /etc/postern/postern.yaml\n";

static const char check_help[] =
    "usage: postern config check [--syntax-only] [--json] [FILE]\n"
    "\n"
    "Reads FILE (without it that of --config, $POSTERN_CONFIG or " CONFIG_FILE_DEFAULT ";\n"
    "standard input for \"-\") and prints each error as file:line:column: what is wrong, what was\n"
    "expected, what was probably meant. The certificates, keys and trust anchors that it names "
    "are\n"
    "read too, so run it as the user who starts Postern. Nothing is changed.\n"
    "\n"
    "  --syntax-only\n"
    "          do not look at other files: the configuration is for another machine\n"
    "  --json  print {\"file\", \"valid\", \"more\", \"errors\": [{\"line\", \"column\", "
    "\"text\"}]}\n"
    "\n"
    "Exit status: 0 all right; 1 there are errors; 2 wrong use; 3 FILE cannot be read.\n"
    "\n"
    "Example:\n"
    "  postern config check /etc/postern/postern.yaml && systemctl reload postern\n"
    "  postern config check --syntax-only ./postern.yaml\n";

static const char show_help[] =
    "usage: postern config show [--json] [FILE]\n"
    "       postern config get KEY [--json]\n"
    "\n"
    "Prints the configuration that holds: every key with its value, as in the file, and where it\n"
    "comes from: file:line, or \"default\" for what is not in the file. Secrets are not printed.\n"
    "get prints one key, or all keys below a group; its exit status is 1 when there is none.\n"
    "This is the file as it is now; a running Postern has it after postern reload.\n"
    "\n"
    "  --json  a list of {\"key\", \"value\", \"origin\", \"file\", \"line\"}\n"
    "\n"
    "Example:\n"
    "  postern config get queue.lifetime\n"
    "  postern config show | grep -v '# default'\n";

static const char defaults_help[] =
    "usage: postern config defaults\n"
    "\n"
    "Prints a configuration with every key, its meaning and its default, to begin one with.\n"
    "\n"
    "Example:\n"
    "  postern config defaults > postern.yaml\n";

static const char schema_help[] =
    "usage: postern config schema\n"
    "\n"
    "Prints the JSON schema (draft 2020-12) of the configuration. Editors with a YAML language\n"
    "server complete and check with it.\n"
    "\n"
    "Example:\n"
    "  postern config schema > ~/.config/postern.schema.json\n"
    "  # first line of postern.yaml:\n"
    "  # yaml-language-server: $schema=~/.config/postern.schema.json\n";

static const char reference_help[] =
    "usage: postern config reference [--man]\n"
    "\n"
    "Prints the reference page of the configuration in Markdown.\n"
    "\n"
    "  --man  print the manual page postern.yaml(5) in mdoc instead\n"
    "\n"
    "Example:\n"
    "  postern config reference --man | man -l -\n";

static const char findings_help[] =
    "usage: postern config findings\n"
    "\n"
    "Prints, in Markdown, what the checks can find out about a message, and what is done about it\n"
    "unless `checks` in the configuration says otherwise.\n"
    "\n"
    "Example:\n"
    "  postern config findings | grep from_\n";

/* Writes all of `text` to standard output. */
static int
print(struct str text)
{
    if (fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0) {
        fprintf(stderr, "postern config: cannot write the output: %s\n", strerror(errno));
        return EXIT_INPUT_OUTPUT;
    }
    return CLI_DONE;
}

static int
wrong_use(const char *command, const char *argument)
{
    fprintf(stderr, "postern config%s%s: %s \"%s\"; see postern config%s%s --help\n",
            command[0] != '\0' ? " " : "", command,
            argument[0] == '-' ? "unknown option" : "unknown argument", argument,
            command[0] != '\0' ? " " : "", command);
    return CLI_USAGE;
}

/* Reads until the end, at most one octet more than a configuration may have. */
static enum status
read_all(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_reserve(out, 64u << 10);
        if (room == NULL) {
            return STATUS_OK; /* CONFIG_TEXT_MAX is passed: config_load_text says so */
        }
        ssize_t n = read(fd, room, 64u << 10);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? STATUS_OK : STATUS_IO;
        }
        buf_commit(out, (size_t)n);
    }
}

static enum status
read_file(const char *name, struct buf *out)
{
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return STATUS_IO;
    }
    enum status status = read_all(fd, out);
    if (!is_stdin) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return status;
}

static int
print_errors(struct arena *arena, const char *name, const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        struct str line = config_error_format(arena, str_from_cstr(name), &errors->items[i]);
        fprintf(stderr, "%.*s\n", STR_ARG(line));
    }
    if (errors->more) {
        fprintf(stderr, "%s: there are more errors; the first %u are shown\n", name,
                CONFIG_ERRORS_MAX);
    } else if (errors->count > 0) {
        fprintf(stderr, "%s: %zu error%s\n", name, errors->count, errors->count == 1 ? "" : "s");
    } else {
        printf("%s: the configuration is right\n", name);
    }
    return errors->count == 0 ? CLI_DONE : CLI_FAILED;
}

static int
print_json(const char *name, const struct config_errors *errors)
{
    json_t *list = json_array();
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *error = &errors->items[i];
        json_t *item = json_pack("{s:i, s:i, s:s%}", "line", (int)error->line, "column",
                                 (int)error->column, "text", error->text.p, error->text.n);
        if (json_array_append_new(list, item) != 0) {
            abort(); /* no memory */
        }
    }
    json_t *report = json_pack("{s:s+, s:b, s:b, s:o}", "file", name, "", "valid",
                               errors->count == 0, "more", errors->more, "errors", list);
    char *text = json_dumps(report, JSON_INDENT(2));
    json_decref(report);
    if (text == NULL) {
        fprintf(stderr, "postern config check: the file's name is not UTF-8\n");
        return CLI_USAGE;
    }
    int written = print(str_from_cstr(text));
    free(text);
    if (written == CLI_DONE) {
        written = print(STR("\n"));
    }
    return written != CLI_DONE ? written : errors->count == 0 ? CLI_DONE : CLI_FAILED;
}

static int
check_file(const char *name, bool json, bool syntax_only)
{
    struct buf text;
    buf_init(&text, CONFIG_TEXT_MAX + (64u << 10));
    if (read_file(name, &text) != STATUS_OK) {
        fprintf(stderr, "postern config check: cannot read %s: %s\n", name, strerror(errno));
        buf_free(&text);
        return EXIT_INPUT_OUTPUT;
    }
    struct arena *arena = arena_create(MESSAGES_MAX);
    const struct config *config = NULL;
    struct config_errors errors;
    enum status status = config_load_text(arena, buf_str(&text), &config, &errors);
    if (status == STATUS_OK) {
        struct preflight preflight = {config, buf_str(&text), arena, &errors};
        preflight_settings(&preflight);
        if (!syntax_only) {
            preflight_files(&preflight);
        }
        config_unref(&config);
    }
    int result = json ? print_json(name, &errors) : print_errors(arena, name, &errors);
    arena_destroy(&arena);
    buf_free(&text);
    return result;
}

static int
run_check(int argc, char **argv, const struct cli_common *common)
{
    bool syntax_only = argc > 1 && strcmp(argv[1], "--syntax-only") == 0;
    if (syntax_only) {
        argc--;
        argv++;
    }
    if (argc > 1 && argv[1][0] == '-' && argv[1][1] != '\0') {
        return wrong_use("check", argv[1]);
    }
    if (argc > 2) {
        return wrong_use("check", argv[2]);
    }
    return check_file(argc > 1 ? argv[1] : common->config_file, common->json, syntax_only);
}

/* Shows what is below `prefix` in a file that is right; its errors otherwise. */
static int
show_file(const char *name, const char *prefix, bool json)
{
    struct buf text;
    buf_init(&text, CONFIG_TEXT_MAX + (64u << 10));
    if (read_file(name, &text) != STATUS_OK) {
        fprintf(stderr, "postern config: cannot read %s: %s\n", name, strerror(errno));
        buf_free(&text);
        return EXIT_INPUT_OUTPUT;
    }
    struct arena *arena = arena_create(MESSAGES_MAX);
    const struct config *config = NULL;
    struct config_errors errors;
    int result = CLI_FAILED;
    if (config_load_text(arena, buf_str(&text), &config, &errors) != STATUS_OK) {
        print_errors(arena, name, &errors);
    } else if (config_show_print(buf_str(&text), name, prefix, json) > 0) {
        result = CLI_DONE;
    } else {
        fprintf(stderr, "postern config get: there is no key \"%s\"; see postern config show\n",
                prefix);
    }
    config_unref(&config);
    arena_destroy(&arena);
    buf_free(&text);
    return result;
}

static int
run_show(int argc, char **argv, const struct cli_common *common)
{
    if (argc > 1 && argv[1][0] == '-' && argv[1][1] != '\0') {
        return wrong_use("show", argv[1]);
    }
    if (argc > 2) {
        return wrong_use("show", argv[2]);
    }
    return show_file(argc > 1 ? argv[1] : common->config_file, "", common->json);
}

static int
run_get(int argc, char **argv, const struct cli_common *common)
{
    if (argc < 2) {
        fputs("postern config get: which key? see postern config show\n", stderr);
        return CLI_USAGE;
    }
    if (argc > 2 || argv[1][0] == '-') {
        return wrong_use("get", argv[argc > 2 ? 2 : 1]);
    }
    return show_file(common->config_file, argv[1], common->json);
}

static int
print_page(page_writer *write_page)
{
    struct buf page;
    buf_init(&page, CONFIG_REFERENCE_MAX);
    if (write_page(&page) != STATUS_OK) {
        abort(); /* what is written is fixed and fits */
    }
    int result = print(buf_str(&page));
    buf_free(&page);
    return result;
}

static int
run_defaults(int argc, char **argv, const struct cli_common *common)
{
    (void)common;
    return argc > 1 ? wrong_use("defaults", argv[1]) : print_page(config_write_defaults);
}

static int
run_schema(int argc, char **argv, const struct cli_common *common)
{
    (void)common;
    return argc > 1 ? wrong_use("schema", argv[1]) : print_page(config_write_json_schema);
}

static int
run_reference(int argc, char **argv, const struct cli_common *common)
{
    (void)common;
    bool man = argc > 1 && strcmp(argv[1], "--man") == 0;
    if (argc > (man ? 2 : 1)) {
        return wrong_use("reference", argv[man ? 2 : 1]);
    }
    return print_page(man ? config_write_manual : config_write_markdown);
}

static int
run_findings(int argc, char **argv, const struct cli_common *common)
{
    (void)common;
    return argc > 1 ? wrong_use("findings", argv[1]) : print_page(findings_page_write);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, const struct cli_common *common);
    const char *help;
} commands[] = {
    {"check", run_check, check_help},
    {"show", run_show, show_help},
    {"get", run_get, show_help},
    {"defaults", run_defaults, defaults_help},
    {"schema", run_schema, schema_help},
    {"reference", run_reference, reference_help},
    {"findings", run_findings, findings_help},
};

int
cli_config(int argc, char **argv)
{
    struct cli_common common;
    argc = cli_take_common(argc, argv, NULL, &common);
    if (argc < 0) {
        return CLI_USAGE;
    }
    if (argc == 1 && !common.help) {
        fputs(general_help, stderr);
        return CLI_USAGE;
    }
    if (argc == 1) {
        return print(str_from_cstr(general_help));
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return common.help ? print(str_from_cstr(commands[i].help))
                               : commands[i].run(argc - 1, argv + 1, &common);
        }
    }
    return wrong_use("", argv[1]);
}
