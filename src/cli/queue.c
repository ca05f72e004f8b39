/*
 * postern queue: what waits to be delivered, and what an administrator does about it.
 */
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/queue.h"
#include "cli/queue_print.h"
#include "cli/trace_fetch.h"
#include "store/spool.h"

#define IDS_MAX 1000u

static const char usage[] =
    "Show and change the mail queue.\n"
    "\n"
    "usage: postern queue list    [FILTERS] [--limit N]\n"
    "       postern queue show    ID...\n"
    "       postern queue text    ID... [--header]    what would be sent; this is traced\n"
    "       postern queue flush   [ID...] [FILTERS]   try again now\n"
    "       postern queue hold    ID... | FILTERS     keep until released\n"
    "       postern queue release ID... | FILTERS     let held mail go\n"
    "       postern queue bounce  ID... | FILTERS     give up; the sender is told\n"
    "       postern queue remove  ID... | FILTERS     forget; nobody is told\n"
    "       postern queue reroute ID... | FILTERS --to NEXT-HOP   send another way, now\n"
    "\n"
    "       postern queue destinations [PATTERN]      who waits, since when, and why\n"
    "       postern queue errors       [PATTERN]      the most frequent reasons\n"
    "       postern queue pause        DESTINATION... keep its mail, new mail too, ...\n"
    "       postern queue resume       DESTINATION... ... until it is resumed\n"
    "\n"
    "A destination is what \"queue destinations\" shows: a domain, or a next hop as in the\n"
    "configuration. A domain can be paused wherever its mail goes. Pauses outlive restarts;\n"
    "mail that waits for one grows old like any other.\n"
    "\n"
    "filters (all given ones must fit; patterns have * for anything):\n"
    "  --id ID                one message\n"
    "  --sender PATTERN       the envelope sender; '<>' for notices of delivery\n"
    "  --recipient PATTERN    only these recipients of each message\n"
    "  --destination PATTERN  the domain of recipients, or a route as in the configuration\n"
    "  --state STATE          queued, deferred, held, leased; may be repeated\n"
    "  --priority PRIORITY    high, normal or bulk; may be repeated\n"
    "  --older-than TIME      in the queue for longer: 90s, 30m, 2h, 1d\n"
    "  --all                  every message (hold, release, bounce, remove and reroute want\n"
    "                         some choice)\n"
    "\n"
    "  --to NEXT-HOP          smtp://HOST:PORT, lmtp://HOST:PORT or lmtp:/PATH; or \"default\",\n"
    "                         as the configuration says again\n"
    "  --header               only the header section\n"
    "  --reason TEXT          told to senders by bounce, and kept in the trace\n"
    "  --config FILE          the configuration of the running Postern\n"
    "  --json                 the result as JSON\n"
    "\n"
    "examples: postern queue list --state deferred --destination '*.example.org'\n"
    "          postern queue show 01JD8Q2M7K3VXNWT\n"
    "          postern queue flush --destination lmtp://10.0.0.5:24\n"
    "          postern queue remove --sender 'robot@*' --older-than 1d\n"
    "          postern queue pause example.org\n"
    "          postern queue reroute --destination example.org --to smtp://192.0.2.7:25\n";

static const struct {
    const char *word;
    int action;
} verbs[] = {
    {"list", VERB_LIST},
    {"show", VERB_SHOW},
    {"flush", SPOOL_ACT_FLUSH},
    {"hold", SPOOL_ACT_HOLD},
    {"release", SPOOL_ACT_RELEASE},
    {"bounce", SPOOL_ACT_BOUNCE},
    {"remove", SPOOL_ACT_REMOVE},
    {"reroute", SPOOL_ACT_REROUTE},
    {"destinations", VERB_DESTINATIONS},
    {"errors", VERB_ERRORS},
    {"pause", VERB_PAUSE},
    {"resume", VERB_RESUME},
    {"text", VERB_TEXT},
};

/* ---- list */

/* Leaves on a page what has one of the wanted priorities. */
static void
keep_priorities(const struct queue_command *command, struct msg_queue_list_reply *page)
{
    size_t kept = 0;
    for (size_t i = 0; i < page->messages.n; i++) {
        unsigned priority = page->messages.items[i].priority;
        unsigned bit = 1u << (priority < SPOOL_RANKS ? priority : SPOOL_PRIORITY_NORMAL);
        if (command->priorities == 0 || (command->priorities & bit) != 0) {
            page->messages.items[kept++] = page->messages.items[i];
        }
    }
    page->messages.n = kept;
}

struct ipc_message *
queue_ask_page(int fd, struct queue_command *command, uint64_t *after, uint32_t limit)
{
    struct msg_queue_list fields = {
        .filters = {&command->filter, 1},
        .after = *after,
        .limit = limit,
    };
    struct ipc_message *reply =
        cli_call(fd, ROLE_SPOOL, MSG_QUEUE_LIST, &fields, MSG_QUEUE_LIST_REPLY);
    if (reply == NULL) {
        return NULL;
    }
    const struct msg_queue_list_reply *page = MSG_BODY(reply, queue_list_reply);
    if (page->error.n > 0) {
        cli_fail("queue", CLI_FAILED, "%.*s", STR_ARG(page->error));
        ipc_message_free(&reply);
        return NULL;
    }
    *after = page->next;
    keep_priorities(command, MSG_BODY(reply, queue_list_reply));
    return reply;
}

/* Prints a page; JSON is written as it comes, so that a long queue needs no memory. */
static void
print_page(const struct queue_command *command, const struct msg_queue_list_reply *page,
           uint64_t shown)
{
    int64_t now = clock_wall_ms();
    for (size_t i = 0; i < page->messages.n; i++) {
        const struct record_queue_message *m = &page->messages.items[i];
        if (!command->common.json) {
            queue_print_listed(stdout, m, now);
            continue;
        }
        json_t *json = queue_message_json(m);
        fputs(shown + i > 0 ? ",\n " : "[\n ", stdout);
        json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        json_decref(json);
    }
}

static int
list(int fd, struct queue_command *command)
{
    uint64_t shown = 0;
    uint64_t after = 0;
    if (!command->common.json) {
        queue_print_heading(stdout);
    }
    do {
        uint64_t want = command->limit > 0 && command->limit - shown < QUEUE_PAGE_MESSAGES
                            ? command->limit - shown
                            : QUEUE_PAGE_MESSAGES;
        struct ipc_message *reply = queue_ask_page(fd, command, &after, (uint32_t)want);
        if (reply == NULL) {
            return CLI_FAILED;
        }
        print_page(command, MSG_BODY(reply, queue_list_reply), shown);
        shown += MSG_BODY(reply, queue_list_reply)->messages.n;
        ipc_message_free(&reply);
    } while (after != 0 && (command->limit == 0 || shown < command->limit));
    if (command->common.json) {
        puts(shown > 0 ? "\n]" : "[]");
    } else {
        printf("%llu message%s%s\n", (unsigned long long)shown, shown == 1 ? "" : "s",
               after != 0 ? ", and more" : "");
    }
    return CLI_DONE;
}

/* ---- show */

static struct ipc_message *
ask_message(int fd, const char *id, uint32_t first)
{
    struct msg_queue_show fields = {.id = str_from_cstr(id), .first = first};
    struct ipc_message *reply =
        cli_call(fd, ROLE_SPOOL, MSG_QUEUE_SHOW, &fields, MSG_QUEUE_SHOW_REPLY);
    if (reply == NULL) {
        return NULL;
    }
    const struct msg_queue_show_reply *r = MSG_BODY(reply, queue_show_reply);
    if (r->error.n > 0 || r->messages.n == 0) {
        if (r->error.n > 0) {
            cli_fail("queue", CLI_FAILED, "%.*s", STR_ARG(r->error));
        } else {
            cli_fail("queue", CLI_FAILED,
                     "%s is not in the queue; \"postern trace --id %s\" tells what became of it",
                     id, id);
        }
        ipc_message_free(&reply);
    }
    return reply;
}

/* The message with all its recipients, over as many answers as it takes. */
static int
show_one(int fd, const struct queue_command *command, const char *id, json_t *array)
{
    int64_t now = clock_wall_ms();
    json_t *json = NULL;
    uint32_t first = 0;
    do {
        struct ipc_message *reply = ask_message(fd, id, first);
        if (reply == NULL) {
            json_decref(json);
            return CLI_FAILED;
        }
        const struct msg_queue_show_reply *r = MSG_BODY(reply, queue_show_reply);
        const struct record_queue_message *m = &r->messages.items[0];
        if (command->common.json && json == NULL) {
            json = queue_message_json(m);
        } else if (command->common.json) {
            for (size_t i = 0; i < m->recipients.n; i++) {
                json_array_append_new(json_object_get(json, "recipients"),
                                      queue_recipient_json(&m->recipients.items[i]));
            }
        } else if (first == 0) {
            queue_print_message(stdout, m, now);
        }
        for (size_t i = 0; !command->common.json && i < m->recipients.n; i++) {
            queue_print_recipient(stdout, &m->recipients.items[i], now);
        }
        first = r->next;
        ipc_message_free(&reply);
    } while (first != 0);
    json_array_append_new(array, json);
    return CLI_DONE;
}

static int
show(int fd, const struct queue_command *command)
{
    json_t *array = json_array();
    int result = CLI_DONE;
    for (size_t i = 0; i < command->id_count; i++) {
        if (i > 0 && !command->common.json) {
            putchar('\n');
        }
        int one = show_one(fd, command, command->ids[i], array);
        result = one != CLI_DONE ? one : result;
    }
    if (command->common.json) {
        json_dumpf(array, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    }
    json_decref(array);
    return result;
}

/* ---- the command line */

enum queue_option {
    OPTION_ID = 256,
    OPTION_SENDER,
    OPTION_RECIPIENT,
    OPTION_DESTINATION,
    OPTION_STATE,
    OPTION_PRIORITY,
    OPTION_OLDER_THAN, /* the last of the filters */
    OPTION_ALL,
    OPTION_LIMIT,
    OPTION_REASON,
    OPTION_TO,
    OPTION_HEADER,
};

static const struct option options[] = {
    {"id", required_argument, NULL, OPTION_ID},
    {"sender", required_argument, NULL, OPTION_SENDER},
    {"recipient", required_argument, NULL, OPTION_RECIPIENT},
    {"destination", required_argument, NULL, OPTION_DESTINATION},
    {"state", required_argument, NULL, OPTION_STATE},
    {"priority", required_argument, NULL, OPTION_PRIORITY},
    {"older-than", required_argument, NULL, OPTION_OLDER_THAN},
    {"all", no_argument, NULL, OPTION_ALL},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"reason", required_argument, NULL, OPTION_REASON},
    {"to", required_argument, NULL, OPTION_TO},
    {"header", no_argument, NULL, OPTION_HEADER},
    {NULL, 0, NULL, 0},
};

static bool
take_state(struct queue_command *command, const char *name)
{
    unsigned state = spool_state_find(str_from_cstr(name));
    if (state >= SPOOL_STATE_COUNT) {
        cli_fail("queue", CLI_USAGE, "'%s' is no state: queued, deferred, held or leased", name);
        return false;
    }
    command->filter.states |= 1u << state;
    return true;
}

static bool
take_priority(struct queue_command *command, const char *name)
{
    for (unsigned i = 0; i < SPOOL_RANKS; i++) {
        if (strcmp(name, queue_priority_name((uint8_t)i)) == 0) {
            command->priorities |= 1u << i;
            return true;
        }
    }
    cli_fail("queue", CLI_USAGE,
             "'%s' is no priority: high, normal or bulk; see postern queue --help", name);
    return false;
}

/* It is looked at again where it is used; here a message can say more. */
static bool
take_next_hop(struct queue_command *command, struct str text)
{
    struct config_delivery delivery;
    struct arena *arena = arena_create(4096);
    bool back = str_eq(text, STR("default"));
    bool good =
        back || (text.n <= SPOOL_DESTINATION_MAX && config_delivery_parse(arena, text, &delivery) &&
                 delivery.kind != CONFIG_DELIVERY_MX);
    arena_destroy(&arena);
    if (!good) {
        cli_fail(
            "queue", CLI_USAGE,
            "'%.*s' is no next hop: smtp://HOST:PORT, lmtp://HOST:PORT, lmtp:/PATH, or default",
            STR_ARG(text));
    }
    command->to = back ? str_make(NULL, 0) : text;
    command->has_to = true;
    return good;
}

static bool
take_option(struct queue_command *command, int option, const char *value)
{
    struct str text = str_from_cstr(value);
    command->has_filter = command->has_filter || option <= OPTION_OLDER_THAN;
    switch (option) {
    case OPTION_ID:
        command->filter.id = text;
        return true;
    case OPTION_SENDER:
        command->filter.sender = text;
        return true;
    case OPTION_RECIPIENT:
        command->filter.recipient = text;
        return true;
    case OPTION_DESTINATION:
        command->filter.destination = text;
        return true;
    case OPTION_STATE:
        return take_state(command, value);
    case OPTION_PRIORITY:
        return take_priority(command, value);
    case OPTION_OLDER_THAN:
        if (queue_parse_duration(text, &command->filter.older_than_ms) != STATUS_OK) {
            cli_fail("queue", CLI_USAGE, "'%s' is no time: 90s, 30m, 2h, 1d", value);
            return false;
        }
        return true;
    case OPTION_ALL:
        command->all = true;
        return true;
    case OPTION_LIMIT:
        if (str_parse_u64(text, UINT32_MAX, &command->limit) != STATUS_OK || command->limit == 0) {
            cli_fail("queue", CLI_USAGE,
                     "--limit wants a number from 1 on, not '%s'; see postern queue --help", value);
            return false;
        }
        return true;
    case OPTION_REASON:
        command->reason = str_head(text, 200);
        return true;
    case OPTION_TO:
        return take_next_hop(command, text);
    case OPTION_HEADER:
        command->header = true;
        return true;
    default:
        return false; /* cli_next_option has said what is wrong */
    }
}

static bool
take_verb(struct queue_command *command, const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(word, verbs[i].word) == 0) {
            command->verb = verbs[i].word;
            command->action = verbs[i].action;
            return true;
        }
    }
    cli_fail("queue", CLI_USAGE, "there is no '%s'; see postern queue --help", word);
    return false;
}

/* Whether its words are destinations, not messages. */
static bool
takes_names(const struct queue_command *command)
{
    return command->action <= VERB_DESTINATIONS && command->action >= VERB_RESUME;
}

/* False after a message: the words make no command. */
/* Ids are kept in capital letters, and read out or copied in any. */
static bool
take_ids(struct queue_command *command)
{
    command->filter.id = trace_id_normal(command->filter.id, command->filter_id);
    for (size_t i = 0; i < command->id_count; i++) {
        char normal[ID_LENGTH + 1];
        char *id = command->ids[i];
        if (strlen(id) > ID_LENGTH) {
            cli_fail("queue", CLI_USAGE, "'%s' is no id of a message", id);
            return false;
        }
        struct str in_capitals = trace_id_normal(str_from_cstr(id), normal);
        memmove(id, in_capitals.p, in_capitals.n);
        id[in_capitals.n] = '\0';
    }
    return true;
}

static bool
parse(int argc, char **argv, struct queue_command *command)
{
    int option;
    if (argc < 2) {
        fputs(usage, stderr);
        return false;
    }
    if (!take_verb(command, argv[1])) {
        return false;
    }
    optind = 2;
    while ((option = cli_next_option(argc, argv, options)) != -1) {
        if (!take_option(command, option, optarg)) {
            return false;
        }
    }
    command->ids = argv + optind;
    command->id_count = (size_t)(argc - optind);
    return takes_names(command) || take_ids(command);
}

/* What must be said, so that a slip of the finger empties no queue. */
static bool
choice_is_complete(const struct queue_command *command)
{
    bool chosen = command->id_count > 0 || command->has_filter || command->all;
    if (command->id_count > IDS_MAX) {
        cli_fail("queue", CLI_USAGE, "more than %u ids at once", IDS_MAX);
        return false;
    }
    if (command->id_count > 0 && command->priorities != 0) {
        cli_fail("queue", CLI_USAGE, "--priority chooses among many; leave it out with ids");
        return false;
    }
    if (command->action == VERB_SHOW && command->id_count == 0) {
        cli_fail("queue", CLI_USAGE, "show which message? See postern queue list");
        return false;
    }
    if (command->action == VERB_LIST && command->id_count > 0) {
        cli_fail("queue", CLI_USAGE, "list takes filters; for one message: postern queue show %s",
                 command->ids[0]);
        return false;
    }
    if (command->action == VERB_TEXT && command->id_count == 0) {
        cli_fail("queue", CLI_USAGE, "text of which message? See postern queue list");
        return false;
    }
    if (command->action > SPOOL_ACT_FLUSH && !chosen) {
        cli_fail("queue", CLI_USAGE, "%s which messages? Give ids, filters, or --all",
                 command->verb);
        return false;
    }
    return true;
}

static bool
is_complete(const struct queue_command *command)
{
    bool one_at_most = command->action == VERB_DESTINATIONS || command->action == VERB_ERRORS;
    if (command->has_to != (command->action == SPOOL_ACT_REROUTE)) {
        cli_fail("queue", CLI_USAGE,
                 command->has_to ? "--to belongs to reroute"
                                 : "reroute to where? Give --to NEXT-HOP");
        return false;
    }
    if (!takes_names(command)) {
        return choice_is_complete(command);
    }
    if (one_at_most && command->id_count > 1) {
        cli_fail("queue", CLI_USAGE, "%s takes one pattern", command->verb);
        return false;
    }
    if (!one_at_most && command->id_count == 0) {
        cli_fail("queue", CLI_USAGE, "%s which destination? See postern queue destinations",
                 command->verb);
        return false;
    }
    if (command->has_filter || command->all) {
        cli_fail("queue", CLI_USAGE, "%s takes no filters", command->verb);
        return false;
    }
    return true;
}

static void
find_who(struct queue_command *command)
{
    const struct passwd *user = getpwuid(getuid());
    const char *sudo_user = getenv("SUDO_USER");
    const char *name = sudo_user != NULL ? sudo_user : (user != NULL ? user->pw_name : NULL);
    if (name != NULL) {
        snprintf(command->by, sizeof command->by, "%s", name);
    } else {
        snprintf(command->by, sizeof command->by, "uid %u", (unsigned)getuid());
    }
}

static int
run(int fd, struct queue_command *command)
{
    switch (command->action) {
    case VERB_LIST:
        return list(fd, command);
    case VERB_SHOW:
        return show(fd, command);
    case VERB_DESTINATIONS:
    case VERB_ERRORS:
        return queue_standing(fd, command);
    case VERB_PAUSE:
    case VERB_RESUME:
        return queue_pause(fd, command);
    case VERB_TEXT:
        return queue_text(fd, command);
    default:
        return queue_act(fd, command);
    }
}

int
cli_queue(int argc, char **argv)
{
    struct queue_command command = {0};
    argc = cli_take_common(argc, argv, usage, &command.common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (!parse(argc, argv, &command) || !is_complete(&command)) {
        return CLI_USAGE;
    }
    find_who(&command);
    int fd = cli_connect(command.common.config_file, ROLE_SPOOL);
    if (fd < 0) {
        return CLI_FAILED;
    }
    int result = run(fd, &command);
    close(fd);
    return result;
}
