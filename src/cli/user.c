/*
 * postern user: who may log in and receive. Passwords come from the terminal, without echo, or from
 * standard input; never from the command line, where every process of the machine can read them.
 */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/password.h"
#include "store/ledger_users.h"
#include "trace/trace.h"

/* Columns of a name in the list. */
#define NAME_COLUMNS 36u

static const char usage[] =
    "Add, change, list and remove users: who may send with a password, read mail, receive.\n"
    "\n"
    "usage: postern user add ADDRESS [--password-stdin]\n"
    "       postern user passwd ADDRESS [--password-stdin]\n"
    "       postern user disable|enable|remove ADDRESS\n"
    "       postern user list\n"
    "       postern user locks [--lift ADDRESS|IP|all]\n"
    "\n"
    "  --password-stdin  take the password from the first line of standard input\n"
    "  --lift WHO        let a user, the clients at an IP address, or all try again at once\n"
    "  --config FILE     the configuration of the running Postern\n"
    "  --json            the result as JSON\n"
    "\n"
    "ADDRESS is the whole address; where there is only one domain, the part before the @ will do.\n"
    "locks shows who is kept out after too many failed log-ins (auth_failures_* under limits).\n"
    "\n"
    "A disabled user may not log in, neither to send nor to read; mail for the address still\n"
    "arrives and waits in the mailbox. To refuse it, remove the user.\n"
    "\n"
    "examples: postern user add bob@kartapuce.com\n"
    "          printf '%s\\n' \"$SECRET\" | postern user passwd bob@kartapuce.com"
    " --password-stdin\n";

/* What was asked for on the command line. */
struct user_command {
    struct cli_common common;
    enum user_action action;
    const char *done; /* "added" */
    const char *name;
    const char *lift; /* of locks; NULL: nobody */
    bool from_stdin;
    bool locks;
};

/* ---- changes */

static int
show_change(const struct user_command *command, const struct msg_user_change_reply *reply)
{
    static const char *const outcomes[] = {"done",     "exists",       "unknown",
                                           "bad_name", "bad_password", "failed"};
    bool done = reply->outcome == USER_DONE;
    if (command->common.json) {
        size_t outcome = reply->outcome;
        json_t *json =
            json_pack("{s:s, s:s, s:o}", "user", command->name, "outcome",
                      outcome < sizeof outcomes / sizeof outcomes[0] ? outcomes[outcome] : "failed",
                      "text", trace_json_text(reply->text));
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(json);
    } else if (done) {
        printf("%s: %s\n", command->name, command->done);
        if (reply->text.n > 0) {
            fprintf(stderr, "%.*s\n", STR_ARG(reply->text));
        }
    } else {
        cli_fail("user", CLI_FAILED, "%s: %.*s", command->name, STR_ARG(reply->text));
    }
    return done ? CLI_DONE : CLI_FAILED;
}

static int
change_user(const struct user_command *command)
{
    char password[CREDENTIAL_PASSWORD_MAX + 1] = "";
    ssize_t n = 0;
    if (command->action == USER_ADD || command->action == USER_PASSWORD) {
        n = cli_get_password("user", command->from_stdin, password);
    }
    int fd = n >= 0 ? cli_connect(command->common.config_file, ROLE_LEDGER) : -1;
    if (fd < 0) {
        explicit_bzero(password, sizeof password);
        return CLI_FAILED;
    }
    struct msg_user_change fields = {
        .action = (uint8_t)command->action,
        .name = str_from_cstr(command->name),
        .password = str_make(password, (size_t)n),
    };
    struct ipc_message *reply =
        cli_call(fd, ROLE_LEDGER, MSG_USER_CHANGE, &fields, MSG_USER_CHANGE_REPLY);
    explicit_bzero(password, sizeof password);
    int result =
        reply != NULL ? show_change(command, MSG_BODY(reply, user_change_reply)) : CLI_FAILED;
    ipc_message_free(&reply);
    close(fd);
    return result;
}

/* ---- the list */

static void
show_user(const struct record_user_record *user, json_t *list)
{
    struct arena *arena = arena_create(4096);
    struct str created = clock_format_rfc3339(arena, user->created_ms);
    struct str login =
        user->last_login_ms > 0 ? clock_format_rfc3339(arena, user->last_login_ms) : STR("");
    if (list != NULL) {
        json_t *json =
            json_pack("{s:o, s:b, s:o, s:o}", "user", trace_json_text(user->name), "disabled",
                      (int)user->disabled, "created", trace_json_text(created), "last_login",
                      login.n > 0 ? trace_json_text(login) : json_null());
        json_array_append_new(list, json);
    } else {
        cli_print_text(stdout, user->name);
        printf("%*s %-9s %.10s  %.*s\n",
               user->name.n < NAME_COLUMNS ? (int)(NAME_COLUMNS - user->name.n) : 0, "",
               user->disabled ? "disabled" : "active", created.p,
               STR_ARG(login.n > 0 ? login : STR("never")));
    }
    arena_destroy(&arena);
}

/* One page; the name to go on after is left in `after`. 1: there is more, 0: the end, -1: failed.
 */
static int
show_page(int fd, char after[static USER_NAME_MAX + 1], json_t *list)
{
    struct msg_user_list fields = {.after = str_from_cstr(after)};
    struct ipc_message *reply =
        cli_call(fd, ROLE_LEDGER, MSG_USER_LIST, &fields, MSG_USER_LIST_REPLY);
    if (reply == NULL) {
        return -1;
    }
    const struct msg_user_list_reply *page = MSG_BODY(reply, user_list_reply);
    for (size_t i = 0; i < page->users.n; i++) {
        show_user(&page->users.items[i], list);
    }
    int more = page->more && page->users.n > 0;
    if (more) {
        struct str last = str_head(page->users.items[page->users.n - 1].name, USER_NAME_MAX);
        snprintf(after, USER_NAME_MAX + 1, "%.*s", STR_ARG(last));
    }
    ipc_message_free(&reply);
    return more;
}

static int
list_users(const struct user_command *command)
{
    char after[USER_NAME_MAX + 1] = "";
    json_t *list = command->common.json ? json_array() : NULL;
    int fd = cli_connect(command->common.config_file, ROLE_LEDGER);
    int more = fd >= 0 ? 1 : -1;
    if (fd >= 0 && list == NULL) {
        printf("%-36s %-9s %-10s  %s\n", "USER", "STATE", "CREATED", "LAST LOGIN");
    }
    while (more > 0) {
        more = show_page(fd, after, list);
    }
    if (more == 0 && list != NULL) {
        json_dumpf(list, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    }
    json_decref(list);
    if (fd >= 0) {
        close(fd);
    }
    return more == 0 ? CLI_DONE : CLI_FAILED;
}

/* ---- locks of failed log-ins */

static void
show_lock(const struct record_lock *lock, json_t *list)
{
    struct arena *arena = arena_create(4096);
    struct str until = clock_format_rfc3339(arena, lock->until_ms);
    if (list != NULL) {
        json_t *json =
            json_pack("{s:o, s:o, s:i, s:o}", "user",
                      lock->user.n > 0 ? trace_json_text(lock->user) : json_null(), "address",
                      lock->address.n > 0 ? trace_json_text(lock->address) : json_null(),
                      "failures", (int)lock->failures, "until", trace_json_text(until));
        json_array_append_new(list, json);
    } else {
        /* The name is what somebody sent, and the escape sequences of a terminal are text too. */
        struct str user = lock->user.n > 0 ? lock->user : STR("(everybody)");
        cli_print_text(stdout, user);
        printf("%*s %-26.*s %8u  %.*s\n", user.n < 36 ? (int)(36 - user.n) : 0, "",
               STR_ARG(lock->address.n > 0 ? lock->address : STR("(any but known ones)")),
               lock->failures, STR_ARG(until));
    }
    arena_destroy(&arena);
}

static void
print_locks(const struct user_command *command, const struct msg_locks_reply *reply)
{
    json_t *list = command->common.json ? json_array() : NULL;
    if (list == NULL && command->lift != NULL) {
        printf("lifted: %u\n", reply->lifted);
    }
    if (list == NULL && reply->locks.n > 0) {
        printf("%-36s %-26s %8s  %s\n", "USER", "ADDRESS", "FAILURES", "UNTIL");
    } else if (list == NULL) {
        puts("nobody is kept out");
    }
    for (size_t i = 0; i < reply->locks.n; i++) {
        show_lock(&reply->locks.items[i], list);
    }
    if (list == NULL && reply->more > 0) {
        printf("and %u more\n", reply->more);
    }
    if (list != NULL) {
        json_t *json = json_pack("{s:i, s:o, s:i}", "lifted", (int)reply->lifted, "locks", list,
                                 "more", (int)reply->more);
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(json);
    }
}

/* Whom --lift means, as the ledger writes it: a user's name in lower case, or an address. */
static bool
lift_name(const struct user_command *command, char who[static CLI_ADDRESS_MAX])
{
    struct ip_address ip;
    struct str text = str_from_cstr(command->lift);
    struct str address = str_head(text, str_find_char(text, '/'));
    if (strcmp(command->lift, "all") == 0) {
        who[0] = '\0';
        return true;
    }
    if (ip_parse(address, &ip) == STATUS_OK) {
        struct ip_network network = ip_network_of(&ip, 32, 64);
        char shown[IP_TEXT_MAX];
        snprintf(who, CLI_ADDRESS_MAX, "%s%s", ip_format(&network.base, shown),
                 ip_is_v4(&ip) ? "" : "/64");
        return true;
    }
    if (!cli_complete_address("user", command->common.config_file, command->lift, who)) {
        return false;
    }
    for (size_t i = 0; who[i] != '\0'; i++) {
        who[i] = char_lower(who[i]);
    }
    return true;
}

/* Exit status 1 when --lift has found nothing to lift. */
static int
show_locks(const struct user_command *command)
{
    char who[CLI_ADDRESS_MAX] = "";
    if (command->lift != NULL && !lift_name(command, who)) {
        return CLI_USAGE;
    }
    int fd = cli_connect(command->common.config_file, ROLE_LEDGER);
    if (fd < 0) {
        return CLI_FAILED;
    }
    struct msg_locks fields = {.lift = command->lift != NULL, .who = str_from_cstr(who)};
    struct ipc_message *reply = cli_call(fd, ROLE_LEDGER, MSG_LOCKS, &fields, MSG_LOCKS_REPLY);
    int result = CLI_FAILED;
    if (reply != NULL) {
        const struct msg_locks_reply *told = MSG_BODY(reply, locks_reply);
        print_locks(command, told);
        result = command->lift == NULL || told->lifted > 0 ? CLI_DONE : CLI_FAILED;
    }
    ipc_message_free(&reply);
    close(fd);
    return result;
}

/* ---- the command line */

static const struct {
    const char *word;
    enum user_action action;
    const char *done;
} actions[] = {
    {"add", USER_ADD, "added"},
    {"passwd", USER_PASSWORD, "the password was changed"},
    {"disable", USER_DISABLE, "disabled"},
    {"enable", USER_ENABLE, "enabled"},
    {"remove", USER_REMOVE, "removed"},
    /* what fingers type */
    {"del", USER_REMOVE, "removed"},
    {"delete", USER_REMOVE, "removed"},
    {"rm", USER_REMOVE, "removed"},
};

/* False when the words make no command. */
static bool
parse(int argc, char **argv, struct user_command *command)
{
    int words = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--password-stdin") == 0) {
            command->from_stdin = true;
        } else if (strcmp(argv[i], "--lift") == 0 && i + 1 < argc) {
            command->lift = argv[++i];
        } else if (argv[i][0] == '-') {
            cli_fail("user", CLI_USAGE, "there is no option '%s'; see postern user --help",
                     argv[i]);
            return false;
        } else {
            argv[++words] = argv[i];
        }
    }
    for (size_t i = 0; words == 2 && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(argv[1], actions[i].word) == 0) {
            command->action = actions[i].action;
            command->done = actions[i].done;
            command->name = argv[2];
            return true;
        }
    }
    command->locks = words == 1 && strcmp(argv[1], "locks") == 0;
    return command->locks || (words == 1 && strcmp(argv[1], "list") == 0 && command->lift == NULL);
}

int
cli_user(int argc, char **argv)
{
    struct user_command command = {.name = NULL};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (!parse(argc, argv, &command)) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    if (command.locks) {
        return show_locks(&command);
    }
    if (command.name == NULL) {
        return list_users(&command);
    }
    char name[CLI_ADDRESS_MAX];
    if (!cli_complete_address("user", command.common.config_file, command.name, name)) {
        return CLI_USAGE;
    }
    command.name = name;
    return change_user(&command);
}
