/* postern queue text: a queued message as it would be sent. */
#include <jansson.h>
#include <unistd.h>

#include "cli/queue.h"
#include "trace/trace.h"

struct octets {
    struct ipc_body_view head;
    struct ipc_body_view content;
    struct str body; /* of `content`: what would be sent of it */
};

/* On a terminal nothing of it may command the terminal; to a file or a program it goes as it is. */
static void
print_octets(struct str octets)
{
    if (!isatty(STDOUT_FILENO)) {
        fwrite(octets.p, 1, octets.n, stdout);
        return;
    }
    while (octets.n > 0) {
        size_t end = str_find_char(octets, '\n');
        struct str line = end != STR_NPOS ? str_head(octets, end) : octets;
        octets = str_skip(octets, end != STR_NPOS ? end + 1 : octets.n);
        if (line.n > 0 && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        cli_print_text(stdout, line);
        putchar('\n');
    }
}

static bool
octets_open(const struct msg_queue_text_reply *r, struct octets *octets)
{
    if (ipc_body_view_open(&r->head, &octets->head) != STATUS_OK ||
        ipc_body_view_open(&r->content, &octets->content) != STATUS_OK ||
        r->content_offset > octets->content.octets.n) {
        return false;
    }
    octets->body = str_skip(octets->content.octets, (size_t)r->content_offset);
    return true;
}

static int
show_reply(const struct queue_command *command, const char *id,
           const struct msg_queue_text_reply *r, json_t *array)
{
    struct octets octets = {0};
    int result = CLI_DONE;
    if (!r->found) {
        return cli_fail("queue", CLI_FAILED, "%s is not in the queue", id);
    }
    if (r->error.n > 0) {
        return cli_fail("queue", CLI_FAILED, "%s: %.*s", id, STR_ARG(r->error));
    }
    if (!octets_open(r, &octets)) {
        result = cli_fail("queue", CLI_FAILED, "%s: its octets did not come through", id);
    } else if (command->common.json) {
        json_array_append_new(
            array,
            json_pack("{s:s, s:o, s:o}", "id", id, "header", trace_json_text(octets.head.octets),
                      "body", command->header ? json_null() : trace_json_text(octets.body)));
    } else {
        print_octets(octets.head.octets);
        print_octets(octets.body);
    }
    ipc_body_view_close(&octets.head);
    ipc_body_view_close(&octets.content);
    return result;
}

int
queue_text(int fd, const struct queue_command *command)
{
    json_t *array = json_array();
    int result = CLI_DONE;
    for (size_t i = 0; i < command->id_count; i++) {
        struct msg_queue_text fields = {.id = str_from_cstr(command->ids[i]),
                                        .header = command->header,
                                        .by = str_from_cstr(command->by)};
        struct ipc_message *reply =
            cli_call(fd, ROLE_SPOOL, MSG_QUEUE_TEXT, &fields, MSG_QUEUE_TEXT_REPLY);
        int one = reply != NULL ? show_reply(command, command->ids[i],
                                             MSG_BODY(reply, queue_text_reply), array)
                                : CLI_FAILED;
        result = one != CLI_DONE ? one : result;
        ipc_message_free(&reply);
    }
    if (command->common.json) {
        json_dumpf(array, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    }
    json_decref(array);
    return result;
}
