/*
 * postern key: the keys that sign for our domains. They are made in the vault role and stay there;
 * what is printed are their DNS records.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/private_key.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/key_print.h"
#include "roles/vault/rotation.h"
#include "roles/vault/vault.h"

static const char usage[] =
    "Make, list and change the keys that sign mail for our domains (DKIM, ARC).\n"
    "\n"
    "usage: postern key generate DOMAIN [--algorithm rsa|ed25519|both] [--selector S] [--bits N]\n"
    "       postern key import   DOMAIN --selector S FILE   a key in PEM form; - for standard "
    "input\n"
    "       postern key list     [DOMAIN] [--records]       with --records: as a zone snippet\n"
    "       postern key check    DOMAIN [SELECTOR]          look in the DNS now\n"
    "       postern key rotate   DOMAIN                     make successors of the keys in use\n"
    "       postern key retire   DOMAIN SELECTOR [--now]    stop using a key\n"
    "\n"
    "A new key is pending until the DNS shows its record, published while that spreads\n"
    "(authentication.dkim.publish_wait), then active: it signs. When another key of its domain\n"
    "and kind becomes active, it is retiring: mail on its way still needs its record. After\n"
    "retire_after it is retired: its private half is destroyed, its record may go. Private keys\n"
    "never leave Postern; there is no export.\n"
    "\n"
    "check asks the DNS past all that is cached, and its exit status is 1 when it does not show\n"
    "a key that it should. It was called publish, which still works.\n"
    "\n"
    "  --algorithm A   rsa, ed25519 or both; authentication.dkim.algorithms when not given\n"
    "  --selector S    a name for the key; made from the month when not given\n"
    "  --bits N        of an RSA key: 2048 (default), 3072 or 4096\n"
    "  --records       print the DNS records, in zone file form\n"
    "  --now           do not wait for mail on its way: the key has been compromised\n"
    "  --config FILE   the configuration of the running Postern\n"
    "  --json          the result as JSON\n"
    "\n"
    "examples: postern key generate kartapuce.com\n"
    "          postern key check kartapuce.com\n"
    "          postern key import kartapuce.com --selector mail2023 "
    "/etc/dkimkeys/mail2023.private\n"
    "          postern key retire kartapuce.com p202611r --now\n";

/* Algorithms as bits, 1 << enum crypto_algorithm. */
#define RSA_BIT     (1u << CRYPTO_RSA_SHA256)
#define ED25519_BIT (1u << CRYPTO_ED25519_SHA256)

struct key_command {
    struct cli_common common;
    unsigned algorithms; /* 0: as configured */
    const char *selector;
    uint16_t bits;
    bool records;
    bool now;
    char **words; /* after the verb and without options */
    int word_count;
};

/* ---- output */

static void
print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(json);
}

static json_t *
keys_to_json(const struct record_key_record *keys, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, key_to_json(&keys[i]));
    }
    return list;
}

/* What a reply to generate, import, rotate, check or retire looks like. */
typedef void show_keys(const struct msg_key_reply *reply);

static void
show_new_keys(const struct msg_key_reply *reply)
{
    puts("; Publish these records. Each key signs when the DNS has shown it for long enough:\n"
         "; see postern key check and postern key list.");
    for (size_t i = 0; i < reply->keys.n; i++) {
        key_print_record(&reply->keys.items[i]);
    }
}

static void
show_comparisons(const struct msg_key_reply *reply)
{
    for (size_t i = 0; i < reply->keys.n; i++) {
        key_print_comparison(&reply->keys.items[i]);
    }
}

static void
show_table(const struct msg_key_reply *reply)
{
    key_print_head();
    for (size_t i = 0; i < reply->keys.n; i++) {
        key_print_row(&reply->keys.items[i]);
    }
}

/* Whether the DNS shows every key that is to be there. */
static bool
all_are_shown(const struct msg_key_reply *reply)
{
    for (size_t i = 0; i < reply->keys.n; i++) {
        const struct record_key_record *key = &reply->keys.items[i];
        if (key->state < KEY_RETIRED && !key_seen_is_shown((enum key_seen)key->seen)) {
            return false;
        }
    }
    return true;
}

/* Sends the request and shows its reply. */
static int
ask(const struct key_command *command, enum msg_type type, const void *fields, show_keys *show)
{
    int fd = cli_connect(command->common.config_file, ROLE_VAULT);
    struct ipc_message *message =
        fd >= 0 ? cli_call(fd, ROLE_VAULT, type, fields, MSG_KEY_REPLY) : NULL;
    if (fd >= 0) {
        close(fd);
    }
    if (message == NULL) {
        return CLI_FAILED;
    }
    const struct msg_key_reply *reply = MSG_BODY(message, key_reply);
    bool const done = reply->outcome == KEY_OUTCOME_DONE;
    if (!done) {
        cli_fail("key", CLI_FAILED, "%.*s", STR_ARG(reply->text));
    } else if (command->common.json) {
        print_json(keys_to_json(reply->keys.items, reply->keys.n));
    } else {
        show(reply);
    }
    if (done && reply->text.n > 0) {
        fprintf(stderr, "%.*s\n", STR_ARG(reply->text));
    }
    bool const well = done && (show != show_comparisons || all_are_shown(reply));
    ipc_message_free(&message);
    return well ? CLI_DONE : CLI_FAILED;
}

/* ---- verbs */

static int
generate(const struct key_command *command)
{
    struct msg_key_generate fields = {
        .domain = str_from_cstr(command->words[0]),
        .algorithms = (uint8_t)command->algorithms,
        .selector = str_from_cstr(command->selector),
        .bits = command->bits,
    };
    return ask(command, MSG_KEY_GENERATE, &fields, show_new_keys);
}

/* Reads a whole PEM file; false after a message. */
static bool
read_pem(const char *name, struct buf *pem)
{
    int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? 1 : -1;
    while (got > 0) {
        size_t const room = PRIVATE_KEY_PEM_MAX + 1 - buf_length(pem);
        char *place = room > 0 ? buf_reserve(pem, room) : NULL;
        if (place == NULL) {
            break;
        }
        got = read(fd, place, room);
        buf_commit(pem, got > 0 ? (size_t)got : 0);
    }
    if (got < 0) {
        cli_fail("key", CLI_FAILED, "%s: cannot be read: %s", name, strerror(errno));
    } else if (buf_length(pem) > PRIVATE_KEY_PEM_MAX) {
        cli_fail("key", CLI_FAILED, "%s: larger than any key", name);
        got = -1;
    }
    if (fd >= 0) {
        close(fd);
    }
    return got >= 0;
}

static int
import(const struct key_command *command)
{
    struct buf pem;
    int result = CLI_FAILED;
    buf_init(&pem, PRIVATE_KEY_PEM_MAX + 1);
    if (read_pem(command->words[1], &pem)) {
        struct msg_key_import fields = {
            .domain = str_from_cstr(command->words[0]),
            .selector = str_from_cstr(command->selector),
            .pem = buf_str(&pem),
        };
        result = ask(command, MSG_KEY_IMPORT, &fields, show_new_keys);
    }
    buf_free_wiped(&pem);
    return result;
}

static int
act(const struct key_command *command, enum key_action action, show_keys *show)
{
    struct msg_key_act fields = {
        .action = (uint8_t)action,
        .domain = str_from_cstr(command->words[0]),
        .selector = str_from_cstr(command->word_count > 1 ? command->words[1] : NULL),
    };
    return ask(command, MSG_KEY_ACT, &fields, show);
}

static int
rotate(const struct key_command *command)
{
    return act(command, KEY_ACTION_ROTATE, show_new_keys);
}

static int
check(const struct key_command *command)
{
    return act(command, KEY_ACTION_PUBLISH, show_comparisons);
}

static int
retire(const struct key_command *command)
{
    return act(command, command->now ? KEY_ACTION_RETIRE_NOW : KEY_ACTION_RETIRE, show_table);
}

static void
list_key(const struct key_command *command, const struct record_key_record *key, json_t *list)
{
    if (list != NULL) {
        json_array_append_new(list, key_to_json(key));
    } else if (!command->records) {
        key_print_row(key);
    } else if (key->state < KEY_RETIRED) {
        key_print_record(key);
    }
}

static int
list(const struct key_command *command)
{
    struct msg_key_list fields = {.domain = str_from_cstr(command->words[0])};
    json_t *json = command->common.json ? json_array() : NULL;
    int fd = cli_connect(command->common.config_file, ROLE_VAULT);
    bool more = fd >= 0;
    bool failed = fd < 0;
    if (more && json == NULL && !command->records) {
        key_print_head();
    }
    while (more) {
        struct ipc_message *message =
            cli_call(fd, ROLE_VAULT, MSG_KEY_LIST, &fields, MSG_KEY_LIST_REPLY);
        if (message == NULL) {
            failed = true;
            break;
        }
        const struct msg_key_list_reply *page = MSG_BODY(message, key_list_reply);
        for (size_t i = 0; i < page->keys.n; i++) {
            list_key(command, &page->keys.items[i], json);
        }
        fields.after = page->next;
        more = page->next != 0;
        ipc_message_free(&message);
    }
    if (!failed && json != NULL) {
        print_json(json_incref(json));
    }
    json_decref(json);
    if (fd >= 0) {
        close(fd);
    }
    return failed ? CLI_FAILED : CLI_DONE;
}

/* ---- the command line */

enum option_name {
    OPTION_ALGORITHM = 1 << 0,
    OPTION_SELECTOR = 1 << 1,
    OPTION_BITS = 1 << 2,
    OPTION_RECORDS = 1 << 3,
    OPTION_NOW = 1 << 4,
};

static const struct option options[] = {
    {"algorithm", required_argument, NULL, OPTION_ALGORITHM},
    {"selector", required_argument, NULL, OPTION_SELECTOR},
    {"bits", required_argument, NULL, OPTION_BITS},
    {"records", no_argument, NULL, OPTION_RECORDS},
    {"now", no_argument, NULL, OPTION_NOW},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *word;
    int (*run)(const struct key_command *command);
    int least; /* words after it */
    int most;
    unsigned options; /* those that it takes */
    unsigned needed;
} verbs[] = {
    {"generate", generate, 1, 1, OPTION_ALGORITHM | OPTION_SELECTOR | OPTION_BITS, 0},
    {"import", import, 2, 2, OPTION_SELECTOR, OPTION_SELECTOR},
    {"list", list, 0, 1, OPTION_RECORDS, 0},
    {"check", check, 1, 2, 0, 0},
    {"publish", check, 1, 2, 0, 0}, /* its former name */
    {"rotate", rotate, 1, 1, 0, 0},
    {"retire", retire, 2, 2, OPTION_NOW, 0},
};

static bool
take_algorithm(struct key_command *command, const char *text)
{
    static const struct {
        const char *word;
        unsigned algorithms;
    } words[] = {{"rsa", RSA_BIT}, {"ed25519", ED25519_BIT}, {"both", RSA_BIT | ED25519_BIT}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].word) == 0) {
            command->algorithms = words[i].algorithms;
            return true;
        }
    }
    cli_fail("key", CLI_USAGE, "--algorithm is rsa, ed25519 or both, not '%s'", text);
    return false;
}

static bool
take_bits(struct key_command *command, const char *text)
{
    uint64_t bits;
    if (str_parse_u64(str_from_cstr(text), CRYPTO_RSA_BITS_MAX, &bits) != STATUS_OK ||
        (bits != 2048 && bits != 3072 && bits != 4096)) {
        cli_fail("key", CLI_USAGE, "--bits is 2048, 3072 or 4096, not '%s'", text);
        return false;
    }
    command->bits = (uint16_t)bits;
    return true;
}

/* The options that were there, as bits; -1 after a message. */
static int
take_options(int argc, char **argv, struct key_command *command)
{
    int given = 0;
    int option;
    while ((option = cli_next_option(argc, argv, options)) != -1) {
        bool right = option != '?';
        if (option == OPTION_ALGORITHM) {
            right = take_algorithm(command, optarg);
        } else if (option == OPTION_SELECTOR) {
            command->selector = optarg;
        } else if (option == OPTION_BITS) {
            right = take_bits(command, optarg);
        }
        if (!right) {
            return -1;
        }
        given |= option;
    }
    command->records = (given & OPTION_RECORDS) != 0;
    command->now = (given & OPTION_NOW) != 0;
    return given;
}

static int
run_verb(size_t verb, unsigned given, const struct key_command *command)
{
    if (command->word_count < verbs[verb].least || command->word_count > verbs[verb].most) {
        return cli_fail("key", CLI_USAGE, "%s takes %s; see postern key --help", verbs[verb].word,
                        verbs[verb].most == 0     ? "no words"
                        : verbs[verb].least == 0  ? "a domain at most"
                        : verbs[verb].most == 1   ? "one domain"
                        : verbs[verb].least == 1  ? "a domain and at most one selector"
                        : verbs[verb].needed != 0 ? "a domain and a file"
                                                  : "a domain and a selector");
    }
    if ((given & ~verbs[verb].options) != 0 || (verbs[verb].needed & ~given) != 0) {
        return cli_fail("key", CLI_USAGE, "%s: %s; see postern key --help", verbs[verb].word,
                        (verbs[verb].needed & ~given) != 0 ? "--selector is wanted"
                                                           : "this option is not for it");
    }
    return verbs[verb].run(command);
}

int
cli_key(int argc, char **argv)
{
    struct key_command command = {.selector = NULL};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    int given = take_options(argc, argv, &command);
    if (given < 0) {
        return CLI_USAGE;
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    const char *word = argv[optind];
    command.words = argv + optind + 1;
    command.word_count = argc - optind - 1;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(word, verbs[i].word) == 0) {
            return run_verb(i, (unsigned)given, &command);
        }
    }
    return cli_fail("key", CLI_USAGE, "there is no '%s'; see postern key --help", word);
}
