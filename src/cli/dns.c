/*
 * postern dns: the records that one of our domains needs in the DNS, from the configuration and the
 * keys of the running Postern; and what the DNS shows of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/private_key.h"
#include "cli/check_op.h"
#include "cli/cli.h"
#include "dns/source_unbound.h"
#include "roles/vault/record.h"
#include "roles/vault/rotation.h"

static const char usage[] =
    "Tell which DNS records a domain of ours needs: MX, SPF, DKIM, DMARC.\n"
    "\n"
    "usage: postern dns DOMAIN [--verify] [--zone FILE]\n"
    "\n"
    "What is printed may be put into the domain's zone file as it is. DKIM records are those of "
    "the\n"
    "keys in the running Postern; without one they are left out.\n"
    "\n"
    "  --verify        ask the DNS, and tell for each record: ok, differs or missing\n"
    "  --zone FILE     ask this table and not the DNS, see postern check\n"
    "  --config FILE   the configuration of Postern\n"
    "  --json          the result as JSON\n"
    "\n"
    "examples: postern dns kartapuce.com\n"
    "          postern dns kartapuce.com --verify\n";

struct dns_command {
    struct cli_common common;
    const char *domain;
    const char *zone_file;
    bool verify;
    const struct config *config; /* one reference */
    json_t *request;             /* owned */
    bool has_keys;               /* the vault could be asked */
};

/* ---- keys */

static void
add_key(json_t *list, const struct record_key_record *key)
{
    if (key->state >= KEY_RETIRED) {
        return;
    }
    struct arena *arena = arena_create(65536);
    struct str text =
        key_record_text(arena, (enum crypto_algorithm)key->algorithm, key->public_key);
    json_array_append_new(
        list, json_pack("{s:s%, s:s, s:s%}", "selector", key->selector.p, key->selector.n, "state",
                        key_state_name((enum key_state)key->state), "text", text.p, text.n));
    arena_destroy(&arena);
}

/* The vault's keys of the domain; nothing where no Postern is running. */
static void
fetch_keys(struct dns_command *command)
{
    struct msg_key_list fields = {.domain = str_from_cstr(command->domain)};
    json_t *list = json_array();
    int fd = cli_connect_if_running(command->config, ROLE_VAULT);
    bool more = fd >= 0;
    command->has_keys = more;
    while (more) {
        struct ipc_message *message =
            cli_call(fd, ROLE_VAULT, MSG_KEY_LIST, &fields, MSG_KEY_LIST_REPLY);
        if (message == NULL) {
            command->has_keys = false;
            break;
        }
        const struct msg_key_list_reply *page = MSG_BODY(message, key_list_reply);
        for (size_t i = 0; i < page->keys.n; i++) {
            add_key(list, &page->keys.items[i]);
        }
        fields.after = page->next;
        more = page->next != 0;
        ipc_message_free(&message);
    }
    if (fd >= 0) {
        close(fd);
    }
    json_object_set_new(command->request, "keys", list);
}

/* ---- output */

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* Values that are ours: names from the configuration, and texts that we made. */
static void
print_record(const json_t *record)
{
    struct arena *arena = arena_create(65536);
    struct str name = str_from_cstr(text_of(record, "name"));
    struct str value = str_from_cstr(text_of(record, "value"));
    printf("; %s (%s)\n", text_of(record, "comment"), text_of(record, "standard"));
    if (strcmp(text_of(record, "type"), "MX") == 0) {
        printf("%.*s. IN MX %d %.*s.\n", STR_ARG(name),
               (int)json_integer_value(json_object_get(record, "preference")), STR_ARG(value));
    } else {
        struct str zone = key_record_zone(arena, name, value);
        printf("%.*s", STR_ARG(zone));
    }
    arena_destroy(&arena);
}

/* What a stranger's DNS shows. */
static void
print_shown(const json_t *record)
{
    size_t i;
    const json_t *value;
    json_array_foreach(json_object_get(record, "shown"), i, value)
    {
        char *quoted = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        printf(";   is:        %s\n", quoted != NULL ? quoted : "");
        free(quoted);
    }
}

static void
print_standing(const json_t *record)
{
    const char *status = text_of(record, "status");
    const char *remark = text_of(record, "remark");
    if (status[0] == '\0') {
        return;
    }
    printf("; %s%s%s\n", status, remark[0] != '\0' ? ": " : "", remark);
    if (strcmp(status, "ok") != 0 || remark[0] != '\0') {
        print_shown(record);
    }
}

static void
print_answer(const struct dns_command *command, const json_t *answer)
{
    size_t i;
    const json_t *record;
    json_array_foreach(json_object_get(answer, "records"), i, record)
    {
        fputs(i > 0 ? "\n" : "", stdout);
        print_record(record);
        print_standing(record);
    }
    if (!command->has_keys) {
        puts("\n; No Postern is running with this configuration, so its DKIM keys are not known.");
    } else if (json_array_size(json_object_get(command->request, "keys")) == 0) {
        printf("\n; There are no DKIM keys: postern key generate %s\n", command->domain);
    }
}

/* ---- asking */

/* Whether everything is as it should be; true when the DNS was not asked. */
static bool
is_all_well(const json_t *answer)
{
    size_t i;
    const json_t *record;
    json_array_foreach(json_object_get(answer, "records"), i, record)
    {
        const char *status = text_of(record, "status");
        if (status[0] != '\0' && strcmp(status, "ok") != 0) {
            return false;
        }
    }
    return true;
}

static int
ask(struct dns_command *command, const struct dns_source *dns)
{
    json_t *answer =
        check_op_run(command->request, &(struct check_op_around){dns, command->config});
    const char *error = json_string_value(json_object_get(answer, "error"));
    bool well = error == NULL && is_all_well(answer);
    if (error != NULL) {
        cli_fail("dns", CLI_FAILED, "%s", error);
    } else if (command->common.json) {
        json_object_set_new(answer, "keys_known", json_boolean(command->has_keys));
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    } else {
        print_answer(command, answer);
    }
    json_decref(answer);
    return well ? CLI_DONE : CLI_FAILED;
}

static int
ask_live(struct dns_command *command)
{
    if (!command->verify) {
        return ask(command, NULL);
    }
    struct dns_unbound *unbound = dns_unbound_create(&command->config->resolver);
    if (unbound == NULL) {
        return cli_fail("dns", CLI_FAILED, "the DNS cannot be asked; see above");
    }
    struct dns_source source = dns_source_from_unbound(unbound);
    int result = ask(command, &source);
    dns_unbound_destroy(&unbound);
    return result;
}

static int
ask_table(struct dns_command *command)
{
    json_error_t fault;
    json_t *zone = json_load_file(command->zone_file, JSON_ALLOW_NUL, &fault);
    if (zone == NULL) {
        return cli_fail("dns", CLI_FAILED, "%s:%d:%d: %s", command->zone_file, fault.line,
                        fault.column, fault.text);
    }
    json_object_set_new(command->request, "zone", zone);
    return ask(command, NULL);
}

static int
run_command(struct dns_command *command)
{
    command->config = cli_load_config(command->common.config_file);
    if (command->config == NULL) {
        return CLI_FAILED;
    }
    command->request = json_pack("{s:s, s:s, s:b}", "op", "publish", "domain", command->domain,
                                 "verify", command->verify);
    int result = CLI_USAGE;
    if (command->request == NULL) {
        cli_fail("dns", CLI_USAGE, "the name of the domain is not in UTF-8");
    } else {
        fetch_keys(command);
        result = command->zone_file != NULL ? ask_table(command) : ask_live(command);
    }
    json_decref(command->request);
    config_unref(&command->config);
    return result;
}

int
cli_dns(int argc, char **argv)
{
    static const struct option options[] = {
        {"verify", no_argument, NULL, 'v'},
        {"zone", required_argument, NULL, 'z'},
        {NULL, 0, NULL, 0},
    };
    struct dns_command command = {.domain = NULL};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    int option;
    while ((option = cli_next_option(argc, argv, options)) != -1) {
        if (option == '?') {
            return CLI_USAGE;
        }
        command.verify = command.verify || option == 'v';
        command.zone_file = option == 'z' ? optarg : command.zone_file;
    }
    if (argc - optind != 1) {
        return cli_fail("dns", CLI_USAGE, "one domain at a time; see postern dns --help");
    }
    command.domain = argv[optind];
    return run_command(&command);
}
