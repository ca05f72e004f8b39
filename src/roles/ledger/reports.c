/* The accounts for aggregate reports, read for commands; traces.c has them counted. */
#include <stdlib.h>

#include "roles/ledger/internal.h"

struct dmarc_job {
    struct work_job job; /* first */
    struct ledger *ledger;
    struct asker asker;
    struct ipc_message *message; /* the question; its texts are borrowed */
    struct arena *arena;         /* of the answer */
    struct msg_dmarc_find_reply reply;
    bool ran;
};

/* As many rows as fit into a packet. */
static void
fill_reply(struct dmarc_job *job, const struct reports_row *rows, size_t count, uint32_t limit)
{
    struct record_dmarc_row *records =
        arena_alloc_array(job->arena, count > 0 ? count : 1, sizeof *records);
    size_t octets = 0;
    size_t n = 0;
    while (records != NULL && n < count &&
           octets + rows[n].line.n + sizeof *records + 255 < LEDGER_REPLY_OCTETS) {
        records[n] = (struct record_dmarc_row){.day = rows[n].day,
                                               .domain = str_head(rows[n].domain, 255),
                                               .key = rows[n].key,
                                               .line = rows[n].line,
                                               .count = rows[n].count};
        octets += rows[n].line.n + rows[n].domain.n + sizeof *records;
        n++;
    }
    job->reply.rows.items = records;
    job->reply.rows.n = n;
    job->reply.more = n < count || count == limit;
    job->ran = records != NULL;
}

static void
find_run(struct work_job *base, void *context)
{
    struct dmarc_job *job = (struct dmarc_job *)base;
    const struct msg_dmarc_find *fields = MSG_BODY(job->message, dmarc_find);
    struct reports_row after = {0};
    const struct reports_row *rows;
    size_t count;
    (void)context;
    struct reports_query query = {
        .domain = fields->domain,
        .from_day = fields->from_day,
        .to_day = fields->to_day,
        .limit = fields->limit < 1                  ? 1
                 : fields->limit > REPORTS_PAGE_MAX ? REPORTS_PAGE_MAX
                                                    : fields->limit,
    };
    if (fields->after.n > 0) {
        const struct record_dmarc_row *last = &fields->after.items[0];
        after = (struct reports_row){.day = last->day, .domain = last->domain, .key = last->key};
        query.after = &after;
    }
    if (reports_find(job->ledger->writer.directory, &query, job->arena, &rows, &count) ==
        STATUS_OK) {
        fill_reply(job, rows, count, query.limit);
    }
}

static void
find_finish(struct work_job *base)
{
    struct dmarc_job *job = (struct dmarc_job *)base;
    if (!job->ran) {
        job->reply = (struct msg_dmarc_find_reply){
            .error = STR("the accounts cannot be read now; see the ledger's log")};
    }
    asker_end(&job->ledger->askers, &job->asker, MSG_DMARC_FIND_REPLY, &job->reply);
    ipc_message_free(&job->message);
    arena_destroy(&job->arena);
    free(job);
}

void
ledger_on_dmarc_find(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    struct dmarc_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        ipc_message_free(&message);
        return;
    }
    job->job = (struct work_job){.run = find_run, .finish = find_finish};
    job->ledger = ledger;
    job->message = message;
    job->arena = arena_create(LEDGER_DMARC_ARENA);
    asker_begin(&ledger->askers, &job->asker, channel, message);
    if (!work_add(ledger->readers, &job->job)) {
        find_finish(&job->job);
    }
}
