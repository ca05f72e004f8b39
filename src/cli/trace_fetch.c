#include "cli/trace_fetch.h"

#include <stdio.h>

#include "cli/cli.h"

#define ARENA_MAX (512u << 20)

static enum status
take_parts(struct trace_fetched *fetched, const struct msg_trace_get_reply *reply)
{
    if (fetched->id.n == 0) {
        fetched->id = arena_str_dup(fetched->arena, reply->id);
    }
    for (size_t i = 0; i < reply->parts.n; i++) {
        struct str id = arena_str_dup(fetched->arena, reply->parts.items[i].id);
        struct str events = arena_str_dup(fetched->arena, reply->parts.items[i].events);
        if (events.p == NULL || fetched->count == TRACE_FETCH_PARTS_MAX) {
            fprintf(stderr, "postern: the trace is too long to be shown\n");
            return STATUS_LIMIT;
        }
        fetched->parts[fetched->count++] = (struct timeline_part){id, events};
    }
    return STATUS_OK;
}

struct str
trace_id_normal(struct str id, char out[static ID_LENGTH + 1])
{
    id = str_trim(id);
    if (id.n != ID_LENGTH) {
        return id;
    }
    for (size_t i = 0; i < id.n; i++) {
        out[i] = id.p[i] >= 'a' && id.p[i] <= 'z' ? (char)(id.p[i] - 'a' + 'A') : id.p[i];
    }
    out[id.n] = '\0';
    return str_make(out, id.n);
}

/* One reply of the ledger; *more_out: ask again. */
static enum status
fetch_some(int fd, struct str id, struct trace_fetched *fetched, bool *more_out)
{
    struct msg_trace_get fields = {.id = id, .first = (uint32_t)fetched->count};
    struct ipc_message *message =
        cli_call(fd, ROLE_LEDGER, MSG_TRACE_GET, &fields, MSG_TRACE_GET_REPLY);
    if (message == NULL) {
        return STATUS_IO;
    }
    const struct msg_trace_get_reply *reply = MSG_BODY(message, trace_get_reply);
    enum status status = reply->found ? take_parts(fetched, reply) : STATUS_NOT_FOUND;
    *more_out = reply->more && reply->parts.n > 0;
    ipc_message_free(&message);
    return status;
}

enum status
trace_fetch(int fd, struct str id, struct trace_fetched *fetched_out)
{
    char normal[ID_LENGTH + 1];
    struct trace_fetched fetched = {.arena = arena_create(ARENA_MAX)};
    bool more = true;
    enum status status = STATUS_OK;
    id = trace_id_normal(id, normal);
    fetched.parts = arena_alloc_array(fetched.arena, TRACE_FETCH_PARTS_MAX, sizeof *fetched.parts);
    if (fetched.parts == NULL) {
        status = STATUS_LIMIT;
    }
    while (status == STATUS_OK && more) {
        status = fetch_some(fd, id, &fetched, &more);
    }
    if (status != STATUS_OK) {
        trace_fetched_free(&fetched);
        return status;
    }
    *fetched_out = fetched;
    return STATUS_OK;
}

void
trace_fetched_free(struct trace_fetched *fetched)
{
    arena_destroy(&fetched->arena);
    *fetched = (struct trace_fetched){.arena = NULL};
}
