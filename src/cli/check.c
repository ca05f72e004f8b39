/*
 * postern check: what Postern makes of a sender, a message or a domain, without sending anything.
 *
 * Each way of asking makes the request of an operation (check_op.h) and shows its answer; so what
 * is tried here can be tried again by a program, with --json-lines.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/gzip.h"
#include "base/ip.h"
#include "cli/check_op.h"
#include "cli/check_print.h"
#include "cli/cli.h"
#include "dns/source_unbound.h"

static const char usage[] =
    "Try the checks on a sender, a message or a domain, or on what a domain publishes about TLS.\n"
    "Nothing is sent.\n"
    "\n"
    "usage: postern check spf --ip A --helo NAME --from ADDRESS\n"
    "       postern check message FILE --ip A [--helo NAME] [--from ADDRESS] [--rcpt ADDRESS]...\n"
    "                             [--outbound] [--user NAME]          FILE may be -\n"
    "       postern check domain NAME [--selector S]...\n"
    "       postern check mta-sts FILE        a TXT record or a policy; FILE may be -\n"
    "       postern check tlsrpt FILE         a TXT record, or a report: JSON, gzip or a message\n"
    "       postern check --json-lines\n"
    "\n"
    "  --ip A          the client's address\n"
    "  --helo NAME     how it introduced itself\n"
    "  --from ADDRESS  of MAIL FROM; <> is the null path\n"
    "  --rcpt ADDRESS  of RCPT TO; may be given several times\n"
    "  --outbound      the message comes from one of our users or hosts\n"
    "  --user NAME     who has logged in\n"
    "  --selector S    a DKIM selector of the domain; may be given several times\n"
    "  --zone FILE     ask this table and not the DNS: {\"owner\": [{\"type\": \"A\", \"value\": "
    "...}]}\n"
    "  --json-lines    read requests from standard input, {\"op\": NAME, ...}, one a line, and\n"
    "                  write one answer a line. \"zone\" is the DNS to use, \"now\" the clock in\n"
    "                  seconds since 1970\n"
    "  --config FILE   the configuration whose settings and resolver are used\n"
    "  --json          the result as JSON\n"
    "\n"
    "examples: postern check domain kartapuce.com\n"
    "          postern check spf --ip 192.0.2.1 --helo mx.example.net --from a@example.net\n"
    "          postern check message forged.eml --ip 192.0.2.1 --from ceo@kartapuce.com\n"
    "          curl -s https://mta-sts.kartapuce.com/.well-known/mta-sts.txt | postern check "
    "mta-sts "
    "-\n"
    "exit status of mta-sts and tlsrpt: 0 valid, 1 not\n";

/* Octets of a message or a table that are read. */
#define FILE_OCTETS_MAX (64u << 20)

enum option_name {
    OPTION_IP = 1,
    OPTION_HELO,
    OPTION_FROM,
    OPTION_RCPT,
    OPTION_OUTBOUND,
    OPTION_USER,
    OPTION_SELECTOR,
    OPTION_ZONE,
    OPTION_JSON_LINES,
};

#define BIT(option) (1u << (option))

static const struct option options[] = {
    {"ip", required_argument, NULL, OPTION_IP},
    {"helo", required_argument, NULL, OPTION_HELO},
    {"from", required_argument, NULL, OPTION_FROM},
    {"rcpt", required_argument, NULL, OPTION_RCPT},
    {"outbound", no_argument, NULL, OPTION_OUTBOUND},
    {"user", required_argument, NULL, OPTION_USER},
    {"selector", required_argument, NULL, OPTION_SELECTOR},
    {"zone", required_argument, NULL, OPTION_ZONE},
    {"json-lines", no_argument, NULL, OPTION_JSON_LINES},
    {NULL, 0, NULL, 0},
};

struct check_command {
    struct cli_common common;
    unsigned given; /* bits of enum option_name */
    const char *ip;
    const char *zone_file;
    json_t *request; /* owned; gathers what the options say */
    const char *subject;
    const struct config *config; /* one reference */
};

/* ---- octets and files */

/* A JSON string holds octets, see check_op.h. */
static json_t *
octets_json(struct str octets)
{
    char *text = octets.p != NULL ? malloc(2 * octets.n + 1) : NULL;
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        if (c >= 0x80) {
            text[n++] = (char)(0xc0 | c >> 6);
            c = (unsigned char)(0x80 | (c & 0x3f));
        }
        text[n++] = (char)c;
    }
    json_t *json = text != NULL ? json_stringn(text, n) : json_string("");
    free(text);
    return json;
}

/* Reads a file, or standard input for "-". False after a message. */
static bool
read_file(const char *name, struct buf *out)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    bool done = file != NULL;
    size_t got = 1;
    errno = file != NULL ? 0 : errno;
    buf_init(out, FILE_OCTETS_MAX);
    while (done && got > 0) {
        char octets[65536];
        got = fread(octets, 1, sizeof octets, file);
        done = buf_append(out, str_make(octets, got)) == STATUS_OK;
        errno = done ? errno : EFBIG;
    }
    done = done && ferror(file) == 0;
    if (!done) {
        cli_fail("check", CLI_FAILED, "%s: cannot be read: %s", name, strerror(errno));
        buf_free(out);
    }
    if (file != NULL && file != stdin) {
        fclose(file);
    }
    return done;
}

/* The message as SMTP carries it: a file with the line ends of this system gets those of mail. */
static json_t *
message_json(struct str text)
{
    struct buf out;
    buf_init(&out, 2 * text.n + 1);
    bool local = str_find(text, STR("\r\n")) == STR_NPOS;
    for (size_t i = 0; i < text.n; i++) {
        bool bare = local && text.p[i] == '\n';
        if (buf_append(&out, bare ? STR("\r\n") : str_make(&text.p[i], 1)) != STATUS_OK) {
            break; /* it cannot be: the ceiling is twice as large */
        }
    }
    json_t *json = octets_json(buf_str(&out));
    buf_free(&out);
    return json;
}

static bool
add_message(struct check_command *command)
{
    struct buf text;
    if (!read_file(command->subject, &text)) {
        return false;
    }
    json_object_set_new(command->request, "message", message_json(buf_str(&text)));
    buf_free(&text);
    return true;
}

static bool
add_zone(struct check_command *command)
{
    struct buf text;
    json_error_t fault;
    if (!read_file(command->zone_file, &text)) {
        return false;
    }
    json_t *zone = json_loadb(buf_str(&text).p, buf_length(&text), JSON_ALLOW_NUL, &fault);
    buf_free(&text);
    if (zone == NULL) {
        cli_fail("check", CLI_FAILED, "%s:%d:%d: %s", command->zone_file, fault.line, fault.column,
                 fault.text);
        return false;
    }
    json_object_set_new(command->request, "zone", zone);
    return true;
}

/* ---- asking */

typedef void print_answer(FILE *out, const json_t *answer);

/* The operation's answer; NULL after a message. */
static json_t *
run_op(struct check_command *command, const struct check_op_around *around, const char *op)
{
    json_object_set_new(command->request, "op", json_string(op));
    json_t *answer = check_op_run(command->request, around);
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (error != NULL) {
        cli_fail("check", CLI_FAILED, "%s", error);
        json_decref(answer);
        return NULL;
    }
    return answer;
}

static int
show(const struct check_command *command, json_t *answer, print_answer *print)
{
    if (answer == NULL) {
        return CLI_FAILED;
    }
    if (command->common.json) {
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    } else {
        print(stdout, answer);
    }
    json_decref(answer);
    return CLI_DONE;
}

static int
ask_spf(struct check_command *command, const struct check_op_around *around)
{
    json_t *both = json_object();
    json_object_set_new(command->request, "identity", json_string("helo"));
    json_object_set_new(both, "helo", run_op(command, around, "spf"));
    json_object_set_new(command->request, "identity", json_string("mailfrom"));
    json_t *mailfrom =
        json_object_get(both, "helo") != NULL ? run_op(command, around, "spf") : NULL;
    if (mailfrom == NULL) {
        json_decref(both);
        return CLI_FAILED;
    }
    json_object_set_new(both, "mailfrom", mailfrom);
    return show(command, both, check_print_spf);
}

static int
ask_message(struct check_command *command, const struct check_op_around *around)
{
    if (!add_message(command)) {
        return CLI_FAILED;
    }
    return show(command, run_op(command, around, "message"), check_print_message);
}

static int
ask_domain(struct check_command *command, const struct check_op_around *around)
{
    json_object_set_new(command->request, "domain", octets_json(str_from_cstr(command->subject)));
    return show(command, run_op(command, around, "domain"), check_print_domain);
}

/* What is not valid is an answer, and a failure of the command. */
static int
show_validity(const struct check_command *command, json_t *answer, print_answer *print)
{
    bool valid = json_is_true(json_object_get(answer, "valid"));
    int result = show(command, answer, print);
    return result == CLI_DONE && !valid ? CLI_FAILED : result;
}

static int
ask_mta_sts(struct check_command *command, const struct check_op_around *around)
{
    struct buf text;
    if (!read_file(command->subject, &text)) {
        return CLI_FAILED;
    }
    json_object_set_new(command->request, "text", octets_json(buf_str(&text)));
    buf_free(&text);
    return show_validity(command, run_op(command, around, "mta-sts"), check_print_mta_sts);
}

static int
ask_tlsrpt(struct check_command *command, const struct check_op_around *around)
{
    struct buf text;
    if (!read_file(command->subject, &text)) {
        return CLI_FAILED;
    }
    struct str octets = buf_str(&text);
    json_object_set_new(command->request, "text",
                        gzip_is(octets) ? octets_json(octets) : message_json(octets));
    buf_free(&text);
    return show_validity(command, run_op(command, around, "tlsrpt"), check_print_tlsrpt);
}

/* ---- the surroundings */

/* What the file says; without a file that was asked for, a gateway that has nothing of its own. */
static const struct config *
load_config(const struct check_command *command)
{
    const char *name = command->common.config_file;
    bool named = strcmp(name, CONFIG_FILE_DEFAULT) != 0;
    return named || access(name, F_OK) == 0 ? cli_load_config(name) : check_op_no_gateway();
}

static int
ask_live(struct check_command *command,
         int (*ask)(struct check_command *, const struct check_op_around *))
{
    struct dns_unbound *unbound = dns_unbound_create(&command->config->resolver);
    if (unbound == NULL) {
        return cli_fail("check", CLI_FAILED, "the DNS cannot be asked; see above");
    }
    struct dns_source source = dns_source_from_unbound(unbound);
    int result = ask(command, &(struct check_op_around){&source, command->config});
    dns_unbound_destroy(&unbound);
    return result;
}

static int
ask_around(struct check_command *command,
           int (*ask)(struct check_command *, const struct check_op_around *))
{
    command->config = load_config(command);
    if (command->config == NULL) {
        return CLI_FAILED;
    }
    int result = CLI_FAILED;
    if (command->zone_file == NULL) {
        result = ask_live(command, ask);
    } else if (add_zone(command)) {
        result = ask(command, &(struct check_op_around){NULL, command->config});
    }
    config_unref(&command->config);
    return result;
}

/* ---- lines */

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
run_lines(void)
{
    static const struct check_op_around nothing = {NULL, NULL};
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) >= 0) {
        answer_line(line, (size_t)n, &nothing);
    }
    free(line);
    return ferror(stdin) || ferror(stdout) ? CLI_FAILED : CLI_DONE;
}

/* ---- the command line */

/* Of a subject that takes no options, and needs neither DNS nor configuration. */
#define OFFLINE BIT(0)

static const struct {
    const char *word;
    int (*ask)(struct check_command *, const struct check_op_around *);
    const char *subject; /* what must follow; NULL: nothing */
    unsigned options;    /* or OFFLINE */
    unsigned needed;
} subjects[] = {
    {"spf", ask_spf, NULL, BIT(OPTION_IP) | BIT(OPTION_HELO) | BIT(OPTION_FROM),
     BIT(OPTION_IP) | BIT(OPTION_HELO) | BIT(OPTION_FROM)},
    {"message", ask_message, "a file",
     BIT(OPTION_IP) | BIT(OPTION_HELO) | BIT(OPTION_FROM) | BIT(OPTION_RCPT) |
         BIT(OPTION_OUTBOUND) | BIT(OPTION_USER),
     BIT(OPTION_IP)},
    {"domain", ask_domain, "the name of a domain", BIT(OPTION_SELECTOR), 0},
    {"mta-sts", ask_mta_sts, "a file", OFFLINE, 0},
    {"tlsrpt", ask_tlsrpt, "a file", OFFLINE, 0},
};

static void
add_text(struct check_command *command, const char *key, const char *text)
{
    json_object_set_new(command->request, key, octets_json(str_from_cstr(text)));
}

static void
append_text(struct check_command *command, const char *key, const char *text)
{
    json_t *list = json_object_get(command->request, key);
    if (list == NULL) {
        list = json_array();
        json_object_set_new(command->request, key, list);
    }
    json_array_append_new(list, octets_json(str_from_cstr(text)));
}

/* A path may be written with its brackets. */
static void
add_path(struct check_command *command, const char *key, const char *path)
{
    struct str text = str_from_cstr(path);
    if (str_starts_with(text, STR("<")) && str_ends_with(text, STR(">"))) {
        text = str_make(text.p + 1, text.n - 2);
    }
    json_object_set_new(command->request, key, octets_json(text));
}

static bool
take_option(struct check_command *command, int option)
{
    struct ip_address ip;
    switch (option) {
    case OPTION_IP:
        add_text(command, "ip", optarg);
        if (ip_parse(str_from_cstr(optarg), &ip) != STATUS_OK) {
            cli_fail("check", CLI_USAGE, "'%s' is no address; see postern check --help", optarg);
            return false;
        }
        return true;
    case OPTION_HELO:
        add_text(command, "helo", optarg);
        return true;
    case OPTION_FROM:
        add_path(command, "from", optarg);
        return true;
    case OPTION_RCPT:
        append_text(command, "rcpt", optarg);
        return true;
    case OPTION_OUTBOUND:
        add_text(command, "direction", "outbound");
        return true;
    case OPTION_USER:
        add_text(command, "user", optarg);
        return true;
    case OPTION_SELECTOR:
        append_text(command, "selectors", optarg);
        return true;
    case OPTION_ZONE:
        command->zone_file = optarg;
        return true;
    case OPTION_JSON_LINES:
        return true;
    default:
        return false; /* after a message */
    }
}

/* The name of the lowest option in a set. */
static const char *
option_in(unsigned set)
{
    for (size_t i = 0; options[i].name != NULL; i++) {
        if ((set & BIT(options[i].val)) != 0) {
            return options[i].name;
        }
    }
    return "";
}

static int
run_subject(struct check_command *command, size_t i, char **words, int count)
{
    const char *word = subjects[i].word;
    static const struct check_op_around nothing = {NULL, NULL};
    bool offline = subjects[i].options == OFFLINE;
    unsigned others = command->given & ~(subjects[i].options | (offline ? 0 : BIT(OPTION_ZONE)));
    unsigned missing = subjects[i].needed & ~command->given;
    if (count != (subjects[i].subject != NULL)) {
        return cli_fail("check", CLI_USAGE, "%s takes %s; see postern check --help", word,
                        subjects[i].subject != NULL ? subjects[i].subject : "options only");
    }
    if (others != 0) {
        return cli_fail("check", CLI_USAGE, "--%s is not for %s; see postern check --help",
                        option_in(others), word);
    }
    if (missing != 0) {
        return cli_fail("check", CLI_USAGE, "%s wants --%s; see postern check --help", word,
                        option_in(missing));
    }
    command->subject = words[0];
    return offline ? subjects[i].ask(command, &nothing) : ask_around(command, subjects[i].ask);
}

static int
run_command(struct check_command *command, char **words, int count)
{
    if (command->given == BIT(OPTION_JSON_LINES) && count == 0) {
        return run_lines();
    }
    for (size_t i = 0; count > 0 && i < sizeof subjects / sizeof subjects[0]; i++) {
        if (strcmp(words[0], subjects[i].word) == 0) {
            return run_subject(command, i, words + 1, count - 1);
        }
    }
    if (count > 0) {
        return cli_fail("check", CLI_USAGE, "there is no '%s'; see postern check --help", words[0]);
    }
    return cli_fail("check", CLI_USAGE, "say what to check; see postern check --help");
}

int
cli_check(int argc, char **argv)
{
    struct check_command command = {.given = 0};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    int option;
    int result = CLI_DONE;
    command.request = json_object();
    while (result == CLI_DONE && (option = cli_next_option(argc, argv, options)) != -1) {
        if (take_option(&command, option)) {
            command.given |= BIT(option);
        } else {
            result = CLI_USAGE;
        }
    }
    if (result == CLI_DONE) {
        result = run_command(&command, argv + optind, argc - optind);
    }
    json_decref(command.request);
    return result;
}
