/* postern queue: what changes messages, one by one or as many as fit the filters. */
#include <jansson.h>
#include <unistd.h>

#include "cli/queue.h"

struct sums {
    uint64_t done;
    uint64_t busy;
    uint64_t missing;
};

static int
act_on(int fd, struct queue_command *command, struct record_queue_id *ids, size_t count,
       struct sums *sums)
{
    struct msg_queue_act fields = {
        .action = (uint8_t)command->action,
        .ids = {ids, count},
        .filters = {&command->filter, 1},
        .by = str_from_cstr(command->by),
        .reason = command->reason,
        .to = command->to,
    };
    struct ipc_message *reply =
        cli_call(fd, ROLE_SPOOL, MSG_QUEUE_ACT, &fields, MSG_QUEUE_ACT_REPLY);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    const struct msg_queue_act_reply *r = MSG_BODY(reply, queue_act_reply);
    int result = CLI_DONE;
    sums->done += r->done;
    sums->busy += r->busy;
    sums->missing += r->missing;
    if (r->error.n > 0) {
        result = cli_fail("queue", CLI_FAILED, "%.*s", STR_ARG(r->error));
    }
    ipc_message_free(&reply);
    return result;
}

/* One by one, so that each that could not be changed can be named. */
static int
act_on_ids(int fd, struct queue_command *command, struct sums *sums)
{
    int result = CLI_DONE;
    for (size_t i = 0; i < command->id_count; i++) {
        struct record_queue_id id = {.id = str_from_cstr(command->ids[i])};
        struct sums before = *sums;
        if (act_on(fd, command, &id, 1, sums) != CLI_DONE) {
            return CLI_FAILED;
        }
        if (sums->missing > before.missing) {
            result = cli_fail("queue", CLI_FAILED, "%s is not in the queue, or has nothing to %s",
                              command->ids[i], command->verb);
        } else if (sums->busy > before.busy) {
            result = cli_fail("queue", CLI_FAILED, "%s is being delivered right now; try again",
                              command->ids[i]);
        }
    }
    return result;
}

static void
show_progress(const struct sums *sums)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%llu messages", (unsigned long long)sums->done);
    }
}

/* Page by page: what is changed drops out of no page that is still to come. */
static int
act_on_filters(int fd, struct queue_command *command, struct sums *sums)
{
    struct record_queue_id ids[QUEUE_PAGE_MESSAGES];
    uint64_t after = 0;
    bool long_work = false;
    int result = CLI_DONE;
    do {
        struct ipc_message *reply = queue_ask_page(fd, command, &after, QUEUE_PAGE_MESSAGES);
        if (reply == NULL) {
            return CLI_FAILED;
        }
        const struct msg_queue_list_reply *page = MSG_BODY(reply, queue_list_reply);
        for (size_t i = 0; i < page->messages.n; i++) {
            ids[i].id = page->messages.items[i].id;
        }
        if (page->messages.n > 0) {
            result = act_on(fd, command, ids, page->messages.n, sums);
        }
        ipc_message_free(&reply);
        if (after != 0) {
            long_work = true;
            show_progress(sums);
        }
    } while (after != 0 && result == CLI_DONE);
    if (long_work && isatty(STDERR_FILENO)) {
        fputs("\r", stderr);
    }
    return result;
}

int
queue_act(int fd, struct queue_command *command)
{
    struct sums sums = {0};
    int result =
        command->id_count > 0 ? act_on_ids(fd, command, &sums) : act_on_filters(fd, command, &sums);
    if (command->common.json) {
        json_t *json = json_pack("{s:s, s:I, s:I, s:I}", "action", command->verb, "done",
                                 (json_int_t)sums.done, "busy", (json_int_t)sums.busy, "missing",
                                 (json_int_t)sums.missing);
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(json);
        return result;
    }
    printf("%s: %llu message%s\n", command->verb, (unsigned long long)sums.done,
           sums.done == 1 ? "" : "s");
    if (sums.busy > 0 && command->id_count == 0) {
        printf("%llu being delivered right now and left alone; try again\n",
               (unsigned long long)sums.busy);
    }
    return result;
}
