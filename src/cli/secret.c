/*
 * postern secret: the passwords with which the relay logs in at other servers. The vault keeps
 * them; there is no command that shows one.
 */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/password.h"
#include "roles/vault/vault.h"
#include "trace/trace.h"

static const char usage[] =
    "Set, list and remove the passwords with which mail is handed to other servers.\n"
    "\n"
    "usage: postern secret set HOST USER [--password-stdin]\n"
    "       postern secret remove HOST USER\n"
    "       postern secret list\n"
    "\n"
    "HOST and USER are those of a smart_host or route with a login in the configuration:\n"
    "the host of smtp://host:port, and login.user. The vault keeps the password; nothing shows it\n"
    "again. The next delivery uses it.\n"
    "\n"
    "  --password-stdin  take the password from the first line of standard input\n"
    "  --config FILE     the configuration of the running Postern\n"
    "  --json            the result as JSON\n"
    "\n"
    "examples: postern secret set smtp.example.net kartapuce\n"
    "          postern secret list\n";

struct secret_command {
    struct cli_common common;
    bool from_stdin;
    enum login_action action;
    const char *host;
    const char *user;
};

/* Sends the request; NULL after a message. */
static struct ipc_message *
call_vault(const struct secret_command *command, enum msg_type type, const void *fields)
{
    int fd = cli_connect(command->common.config_file, ROLE_VAULT);
    if (fd < 0) {
        return NULL;
    }
    struct ipc_message *reply = cli_call(fd, ROLE_VAULT, type, fields, MSG_LOGIN_REPLY);
    close(fd);
    if (reply != NULL && MSG_BODY(reply, login_reply)->outcome != LOGIN_OUTCOME_DONE) {
        cli_fail("secret", CLI_FAILED, "%.*s", STR_ARG(MSG_BODY(reply, login_reply)->text));
        ipc_message_free(&reply);
    }
    return reply;
}

static void
print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(json);
}

static int
change(const struct secret_command *command)
{
    char password[CREDENTIAL_PASSWORD_MAX + 1] = "";
    bool sets = command->action == LOGIN_ACTION_SET;
    ssize_t n = sets ? cli_get_password("secret", command->from_stdin, password) : 0;
    if (n < 0) {
        return CLI_FAILED;
    }
    struct msg_login_set fields = {
        .action = (uint8_t)command->action,
        .host = str_from_cstr(command->host),
        .user = str_from_cstr(command->user),
        .password = str_make(password, (size_t)n),
    };
    struct ipc_message *reply = call_vault(command, MSG_LOGIN_SET, &fields);
    explicit_bzero(password, sizeof password);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    ipc_message_free(&reply);
    const char *done = sets ? "set" : "removed";
    if (command->common.json) {
        print_json(json_pack("{s:s, s:s, s:s}", "host", command->host, "user", command->user,
                             "outcome", done));
    } else {
        printf("password of %s at %s: %s\n", command->user, command->host, done);
    }
    return CLI_DONE;
}

static void
show_login(const struct record_login_record *login, json_t *list)
{
    struct arena *arena = arena_create(4096);
    struct str changed = clock_format_rfc3339(arena, login->changed_ms);
    if (list != NULL) {
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o}", "host", trace_json_text(login->host), "user",
                            trace_json_text(login->user), "changed", trace_json_text(changed)));
    } else {
        printf("%-36.*s %-28.*s %.*s\n", STR_ARG(login->host), STR_ARG(login->user),
               STR_ARG(changed));
    }
    arena_destroy(&arena);
}

static int
list(const struct secret_command *command)
{
    struct ipc_message *reply = call_vault(command, MSG_LOGIN_LIST, NULL);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    const struct msg_login_reply *logins = MSG_BODY(reply, login_reply);
    json_t *json = command->common.json ? json_array() : NULL;
    for (size_t i = 0; i < logins->logins.n; i++) {
        show_login(&logins->logins.items[i], json);
    }
    if (json != NULL) {
        print_json(json);
    }
    ipc_message_free(&reply);
    return CLI_DONE;
}

static bool
parse(int argc, char **argv, struct secret_command *command)
{
    static const struct option options[] = {{"password-stdin", no_argument, NULL, 'p'}, {0}};
    int option;
    while ((option = cli_next_option(argc, argv, options)) != -1) {
        if (option != 'p') {
            return false;
        }
        command->from_stdin = true;
    }
    int words = argc - optind;
    struct str verb = str_from_cstr(words > 0 ? argv[optind] : "");
    if (str_eq(verb, STR("list")) && words == 1) {
        return true;
    }
    if (words != 3 || (!str_eq(verb, STR("set")) && !str_eq(verb, STR("remove")))) {
        fputs(usage, stderr);
        return false;
    }
    command->action = str_eq(verb, STR("set")) ? LOGIN_ACTION_SET : LOGIN_ACTION_REMOVE;
    command->host = argv[optind + 1];
    command->user = argv[optind + 2];
    return true;
}

int
cli_secret(int argc, char **argv)
{
    struct secret_command command = {.host = NULL};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (!parse(argc, argv, &command)) {
        return CLI_USAGE;
    }
    return command.host != NULL ? change(&command) : list(&command);
}
