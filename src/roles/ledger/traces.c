/* Traces: taking parts, finding and reading them. */
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/ledger/internal.h"

/* ---- taking a part */

struct trace_job {
    struct work_job job; /* first */
    struct trace_job *prev;
    struct trace_job *next; /* in the writer's batch */
    struct ledger *ledger;
    struct asker asker;
    struct ipc_message *message;
    enum status status;
};

/* In the writer's thread: what was appended since the last commit is undone, and so not told. */
static void
fail_batch(struct ledger_writer *writer, enum status status)
{
    struct trace_job *job;
    DL_FOREACH(writer->batch, job)
    {
        job->status = status;
    }
    writer->batch = NULL;
}

static void
append_run(struct work_job *job, void *context)
{
    struct trace_job *trace = (struct trace_job *)job;
    struct ledger_writer *writer = context;
    const struct msg_trace_append *fields = MSG_BODY(trace->message, trace_append);
    trace->status = STATUS_OK;
    for (size_t i = 0; trace->status == STATUS_OK && i < fields->pieces.n; i++) {
        const struct record_trace_piece *piece = &fields->pieces.items[i];
        trace->status =
            trace_store_append(writer->traces, piece->id, piece->session, piece->events);
        if (trace->status == STATUS_OK) {
            reports_take(writer->reports, piece->id, piece->events, clock_wall_ms());
        }
    }
    if (trace->status == STATUS_OK) {
        DL_APPEND(writer->batch, trace);
    } else if (trace->status != STATUS_SYNTAX) {
        fail_batch(writer, trace->status);
    }
}

void
ledger_commit_traces(struct ledger_writer *writer)
{
    /* First, so that what was counted is known when its trace was not committed and comes again. */
    reports_commit(writer->reports);
    enum status status = trace_store_commit(writer->traces);
    if (status != STATUS_OK) {
        fail_batch(writer, status);
    }
    writer->batch = NULL;
}

static void
append_finish(struct work_job *job)
{
    struct trace_job *trace = (struct trace_job *)job;
    struct ledger *ledger = trace->ledger;
    struct channel *channel = trace->asker.channel;
    bool taken = trace->status == STATUS_OK;
    /* Without an answer the sender keeps it and sends it again. */
    asker_end(&ledger->askers, &trace->asker, taken ? MSG_TRACE_ACK : MSG_TYPE_COUNT, NULL);
    if (taken) {
        ledger->counters.traces += (int64_t)MSG_BODY(trace->message, trace_append)->pieces.n;
    } else if (trace->status != STATUS_SYNTAX) {
        ledger->counters.traces_refused++;
    } else if (channel != NULL) {
        LOG_ERROR("a role sent a malformed trace",
                  LOG_CSTR("peer", ipc_role_name(channel_peer(channel))));
        role_peer_misbehaved(ledger->runtime, channel);
    }
    ipc_message_free(&trace->message);
    free(trace);
}

void
ledger_on_append(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    struct trace_job *trace = calloc(1, sizeof *trace);
    if (trace == NULL) {
        ipc_message_free(&message);
        return;
    }
    trace->job = (struct work_job){
        .run = append_run,
        .finish = append_finish,
        .cost = sizeof *trace + ipc_message_octets(message),
    };
    trace->ledger = ledger;
    trace->message = message;
    trace->status = STATUS_TEMPORARY; /* until it has run */
    asker_begin(&ledger->askers, &trace->asker, channel, message);
    if (!work_add(ledger->writers, &trace->job)) {
        append_finish(&trace->job);
    }
}

/* ---- size and age */

struct maintain_job {
    struct work_job job; /* first */
    struct ledger *ledger;
    struct asker asker;
    struct trace_store_limits limits;
    struct reports_limits reports_limits;
    uint64_t octets;
    uint64_t report_octets;
    struct reports_counts reports;
    bool ran;
};

static void
maintain_run(struct work_job *job, void *context)
{
    struct maintain_job *maintain = (struct maintain_job *)job;
    struct ledger_writer *writer = context;
    ledger_commit_traces(writer); /* it changes files, so it stands between batches */
    maintain->octets = trace_store_maintain(writer->traces, &maintain->limits, clock_wall_ms());
    maintain->report_octets =
        reports_maintain(writer->reports, &maintain->reports_limits, clock_wall_ms());
    maintain->reports = reports_counts(writer->reports);
    maintain->ran = true;
}

static void
maintain_finish(struct work_job *job)
{
    struct maintain_job *maintain = (struct maintain_job *)job;
    struct ledger *ledger = maintain->ledger;
    struct msg_retention_reply reply = {.done = maintain->ran};
    if (maintain->ran) {
        ledger->counters.trace_octets = (int64_t)maintain->octets;
        ledger->counters.report_octets = (int64_t)maintain->report_octets;
        ledger->counters.reports = maintain->reports;
    }
    asker_end(&ledger->askers, &maintain->asker, MSG_RETENTION_REPLY, &reply);
    free(maintain);
}

/* Two at a time (the clerk was started again) do no harm: they run one after the other. */
void
ledger_on_retention(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct config_retention *retention = &role_config(ledger->runtime)->retention;
    struct maintain_job *maintain = calloc(1, sizeof *maintain);
    if (maintain == NULL) {
        ipc_message_free(&message);
        return;
    }
    maintain->job = (struct work_job){.run = maintain_run, .finish = maintain_finish};
    maintain->ledger = ledger;
    maintain->limits = (struct trace_store_limits){retention->trace_age_ms, retention->trace_size};
    maintain->reports_limits = (struct reports_limits){retention->dmarc_observations_ms,
                                                       retention->dmarc_observations_size};
    asker_begin(&ledger->askers, &maintain->asker, channel, message);
    ipc_message_free(&message);
    if (!work_add(ledger->writers, &maintain->job)) {
        maintain_finish(&maintain->job);
    }
}

/* ---- finding and reading, in the reader's thread */

struct read_job {
    struct work_job job; /* first */
    struct ledger *ledger;
    struct asker asker;
    struct ipc_message *message; /* the question; its texts are borrowed */
    struct arena *arena;         /* of the answer */
    bool ran;
    union {
        struct msg_trace_find_reply find;
        struct msg_trace_get_reply get;
    } reply;
    /* while parts are collected */
    uint32_t skip;
    size_t octets;
};

static struct record_trace_row
row_record(struct arena *arena, const struct summary *row)
{
    static const struct ip_address none;
    char client[IP_TEXT_MAX] = "";
    if (!ip_eq(&row->client, &none)) {
        ip_format(&row->client, client);
    }
    return (struct record_trace_row){
        .change = (uint64_t)row->change,
        .id = arena_str_dup(arena, str_from_cstr(row->id)),
        .session = arena_str_dup(arena, str_from_cstr(row->session)),
        .first_ms = row->first_ms,
        .last_ms = row->last_ms,
        .kind = (uint8_t)row->kind,
        .state = (uint8_t)row->state,
        .client = arena_str_dup(arena, str_from_cstr(client)),
        .sender = arena_str_dup(arena, str_head(summary_str(&row->sender), 320)),
        .recipients = arena_str_dup(arena, str_make(row->recipients.p, row->recipients.n)),
        .recipient_count = row->recipient_count,
        .subject = arena_str_dup(arena, summary_str(&row->subject)),
        .message_id = arena_str_dup(arena, summary_str(&row->message_id)),
    };
}

/* Octets that a record takes in a packet, or a little less. */
static size_t
row_octets(const struct record_trace_row *row)
{
    return sizeof *row + row->sender.n + row->recipients.n + row->subject.n + row->message_id.n;
}

static void
fill_rows(struct read_job *read, const struct summary *rows, size_t count, bool more)
{
    struct msg_trace_find_reply *reply = &read->reply.find;
    struct record_trace_row *records =
        arena_alloc_array(read->arena, count > 0 ? count : 1, sizeof *records);
    size_t octets = 0;
    size_t n = 0;
    while (records != NULL && n < count && octets < LEDGER_REPLY_OCTETS - 8192) {
        records[n] = row_record(read->arena, &rows[n]);
        octets += row_octets(&records[n++]);
    }
    reply->rows.items = records;
    reply->rows.n = n;
    reply->more = more || n < count;
}

static enum status
make_query(const struct msg_trace_find *fields, struct trace_query *query_out)
{
    struct trace_query query = {
        .id = fields->id,
        .sender = fields->sender,
        .recipient = fields->recipient,
        .subject = fields->subject,
        .message_id = fields->message_id,
        .by_client = fields->client.n > 0,
        .since_ms = fields->since_ms,
        .until_ms = fields->until_ms,
        .before = fields->before,
        .states = fields->states,
        .only_mail = !fields->connections && fields->id.n == 0,
        .limit = fields->limit < 1                       ? 1
                 : fields->limit > TRACE_SEARCH_ROWS_MAX ? TRACE_SEARCH_ROWS_MAX
                                                         : fields->limit,
    };
    if (query.by_client) {
        enum status status = ip_network_parse(fields->client, &query.client);
        if (status != STATUS_OK) {
            return status;
        }
    }
    *query_out = query;
    return STATUS_OK;
}

static enum status
find(struct trace_search *search, struct read_job *read)
{
    const struct msg_trace_find *fields = MSG_BODY(read->message, trace_find);
    const struct summary *rows;
    struct trace_query query;
    size_t count;
    bool more;
    int64_t last = 0;
    enum status status = make_query(fields, &query);
    if (status != STATUS_OK) {
        read->reply.find.error = STR("client: expected an address or a network, as 192.0.2.0/24"
                                     " (host bits zero)");
        return STATUS_OK;
    }
    status = trace_search_last_change(search, &last);
    if (status == STATUS_OK && fields->changed_from > 0) {
        status = trace_search_changed(search, &query, (int64_t)fields->changed_from, &rows, &count,
                                      &more);
    } else if (status == STATUS_OK) {
        status = trace_search_find(search, &query, &rows, &count, &more);
    }
    if (status == STATUS_OK) {
        fill_rows(read, rows, count, more);
        read->reply.find.last_change = (uint64_t)last;
    }
    return status;
}

static void
find_run(struct work_job *job, void *context)
{
    struct read_job *read = (struct read_job *)job;
    read->ran = find(context, read) == STATUS_OK;
}

static bool
take_part(void *context, struct str id, struct str events)
{
    struct read_job *read = context;
    struct msg_trace_get_reply *reply = &read->reply.get;
    if (read->skip > 0) {
        read->skip--;
        return true;
    }
    if (reply->parts.n == 5 || read->octets + events.n > LEDGER_REPLY_OCTETS) {
        reply->more = true;
        return false;
    }
    struct record_trace_part *part = &reply->parts.items[reply->parts.n++];
    part->id = arena_str_dup(read->arena, id);
    part->events = arena_str_dup(read->arena, events);
    read->octets += events.n;
    return true;
}

static void
get_run(struct work_job *job, void *context)
{
    struct read_job *read = (struct read_job *)job;
    struct msg_trace_get_reply *reply = &read->reply.get;
    const struct msg_trace_get *fields = MSG_BODY(read->message, trace_get);
    struct summary row;
    reply->parts.items = arena_alloc_array(read->arena, 5, sizeof *reply->parts.items);
    if (reply->parts.items == NULL) {
        return;
    }
    read->skip = fields->first;
    enum status status = trace_search_parts(context, fields->id, &row, take_part, read);
    if (status == STATUS_OK) {
        reply->found = true;
        reply->id = arena_str_dup(read->arena, str_from_cstr(row.id));
        reply->session = arena_str_dup(read->arena, str_from_cstr(row.session));
    }
    read->ran = status == STATUS_OK || status == STATUS_NOT_FOUND;
}

static void
read_end(struct read_job *read, enum msg_type type)
{
    asker_end(&read->ledger->askers, &read->asker, type, &read->reply);
    ipc_message_free(&read->message);
    arena_destroy(&read->arena);
    free(read);
}

static void
find_finish(struct work_job *job)
{
    struct read_job *read = (struct read_job *)job;
    if (!read->ran) {
        read->reply.find = (struct msg_trace_find_reply){
            .error = STR("the traces cannot be read now; see the ledger's log")};
    }
    read_end(read, MSG_TRACE_FIND_REPLY);
}

static void
get_finish(struct work_job *job)
{
    read_end((struct read_job *)job, MSG_TRACE_GET_REPLY);
}

static void
read_begin(struct ledger *ledger, struct channel *channel, struct ipc_message *message,
           struct work_job job)
{
    struct read_job *read = calloc(1, sizeof *read);
    if (read == NULL) {
        ipc_message_free(&message);
        return;
    }
    read->job = job;
    read->ledger = ledger;
    read->message = message;
    read->arena = arena_create(LEDGER_REPLY_ARENA);
    ledger->counters.searches++;
    asker_begin(&ledger->askers, &read->asker, channel, message);
    if (!work_add(ledger->readers, &read->job)) {
        job.finish(&read->job);
    }
}

void
ledger_on_find(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    read_begin(ledger, channel, message, (struct work_job){.run = find_run, .finish = find_finish});
}

void
ledger_on_get(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    read_begin(ledger, channel, message, (struct work_job){.run = get_run, .finish = get_finish});
}
