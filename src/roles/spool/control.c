/* What the commands ask of the queue: pages of it, one message, changes. */
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "roles/spool/internal.h"

/* Octets of texts in one answer; a packet holds IPC_PACKET_MAX. */
#define PAGE_OCTETS   (192u * 1024u)
#define PAGE_ARENA    (64u * 1024u * 1024u)
#define PAGE_MESSAGES 100u
/* Recipients that a list shows of each message. */
#define LISTED_MAX    8u
#define SHOWN_MAX     1000u

struct page_job {
    struct job job;
    struct spool_role *role;
    struct asker asker;
    struct ipc_message *message; /* what was asked */
    struct arena *arena;
    struct spool_page page;
};

/* ---- who asks */

void
asker_enter(struct spool_role *role, struct asker *asker, struct channel *channel, uint64_t request)
{
    *asker = (struct asker){.channel = channel, .request = request};
    DL_APPEND(role->askers, asker);
}

void
control_asker_gone(struct spool_role *role, const struct channel *channel)
{
    for (struct asker *asker = role->askers; asker != NULL; asker = asker->next) {
        if (asker->channel == channel) {
            asker->channel = NULL;
        }
    }
}

void
asker_answer(struct spool_role *role, struct asker *asker, enum msg_type type, const void *fields)
{
    DL_DELETE(role->askers, asker);
    if (asker->channel == NULL) {
        return;
    }
    enum status status = channel_send(asker->channel, type, asker->request, fields);
    if (status != STATUS_OK) {
        LOG_WARN("a command could not be answered", LOG_CSTR("status", status_name(status)));
    }
}

/* ---- turning what is stored into what is shown */

static bool
is_leased_to(const struct spool_role *role, int64_t key, struct str destination)
{
    if (!is_being_delivered(role, key)) {
        return false;
    }
    for (const struct lease *l = role->leases; l != NULL; l = l->hh.next) {
        if (l->parcel->m.key == key && str_eq(schedule_name(l->destination), destination)) {
            return true;
        }
    }
    return false;
}

static int64_t
next_attempt(struct spool_role *role, const struct spool_recipient *r)
{
    struct schedule_destination *d = schedule_find(role->schedule, r->destination);
    int64_t blocked = d != NULL ? schedule_blocked_until(d) : 0;
    return role_wall(role, blocked > r->due_ms ? blocked : r->due_ms);
}

/* By its destination, or by its domain, to whose own destination it moves when its turn comes. */
static bool
is_paused(const struct spool_role *role, const struct spool_recipient *r)
{
    char key[SPOOL_DESTINATION_MAX];
    return schedule_has_pauses(role->schedule) &&
           (schedule_is_paused(role->schedule, r->destination) ||
            (!r->rerouted &&
             schedule_is_paused(role->schedule, destination_of(role, r->address, key))));
}

static struct record_queue_recipient
show_recipient(struct spool_role *role, int64_t key, const struct spool_recipient *r)
{
    bool waits = r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED;
    bool leased = waits && is_leased_to(role, key, r->destination);
    const bool paused = waits && is_paused(role, r);
    const struct spool_attempt why = waits && !paused ? destination_reason(role, r) : r->last;
    return (struct record_queue_recipient){
        .address = r->address,
        .original = r->original,
        .destination = r->destination,
        .state = (uint8_t)(leased ? SPOOL_LEASED : r->state),
        .attempts = r->attempts,
        .next_attempt_ms = waits && !leased && !paused ? next_attempt(role, r) : 0,
        .last_attempt_ms = r->last.at_ms > 0 ? role_wall(role, r->last.at_ms) : 0,
        .code = why.code,
        .enhanced = str_head(why.enhanced, 12),
        .text = why.text,
        .remote = str_head(why.remote, 300),
        .of_destination = why.text.p != r->last.text.p,
        .paused = paused,
        .rerouted = r->rerouted,
    };
}

static size_t
shown_octets(const struct record_queue_recipient *r)
{
    return 64 + r->address.n + r->original.n + r->destination.n + r->text.n + r->remote.n;
}

/* Shows at most `most` recipients whose state is in `states` (0: all); counts octets. */
static enum status
show_message(struct page_job *job, const struct spool_message *m, size_t most, uint32_t states,
             size_t *octets, struct record_queue_message *out)
{
    size_t room = m->recipient_count < most ? m->recipient_count : most;
    struct record_queue_recipient *items = arena_alloc_array(job->arena, room + 1, sizeof *items);
    size_t n = 0;
    if (items == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < m->recipient_count && n < room; i++) {
        items[n] = show_recipient(job->role, m->key, &m->recipients[i]);
        if (states == 0 || (states & 1u << items[n].state) != 0) {
            *octets += shown_octets(&items[n++]);
        }
    }
    *octets += 128 + m->sender.n + m->hold.n;
    *out = (struct record_queue_message){
        .id = m->id,
        .queued_ms = role_wall(job->role, m->queued_ms),
        .sender = m->sender,
        .size = m->size,
        .priority = (uint8_t)m->priority,
        .hold = m->hold,
        .recipient_count = m->total,
        .recipients = {items, n},
    };
    return STATUS_OK;
}

static struct spool_filter
read_filter(const struct spool_role *role, const struct record_queue_filter *f, size_t n)
{
    struct spool_filter filter = {0};
    if (n > 0) {
        filter.id = f->id;
        filter.sender = f->sender;
        filter.recipient = f->recipient;
        filter.destination = f->destination;
        filter.states = f->states;
        filter.queued_before_ms = f->older_than_ms > 0 ? role_now(role) - f->older_than_ms : 0;
    }
    /* Who is being delivered is known in memory only. */
    if ((filter.states & 1u << SPOOL_LEASED) != 0) {
        filter.states |= 1u << SPOOL_QUEUED | 1u << SPOOL_DEFERRED;
    }
    return filter;
}

static void
page_free(struct page_job *job)
{
    ipc_message_free(&job->message);
    arena_destroy(&job->arena);
    free(job);
}

static struct page_job *
page_create(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    struct page_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->role = role;
    asker_enter(role, &job->asker, channel, message->request);
    job->message = message;
    job->arena = arena_create(PAGE_ARENA);
    return job;
}

/* ---- list */

static enum status
run_list(struct job *base, struct spool *spool)
{
    struct page_job *job = (struct page_job *)base;
    const struct msg_queue_list *q = MSG_BODY(job->message, queue_list);
    struct spool_filter filter = read_filter(job->role, q->filters.items, q->filters.n);
    size_t limit = q->limit > 0 && q->limit <= PAGE_MESSAGES ? q->limit : PAGE_MESSAGES;
    return spool_list(spool, job->arena, &filter, (int64_t)q->after, limit, &job->page);
}

/* Fills the answer; what does not fit any more begins the next page. */
static enum status
fill_list(struct page_job *job, struct msg_queue_list_reply *reply)
{
    const struct msg_queue_list *q = MSG_BODY(job->message, queue_list);
    uint32_t states = q->filters.n > 0 ? q->filters.items[0].states : 0;
    enum status status = STATUS_OK;
    size_t octets = 0;
    reply->messages.items =
        arena_alloc_array(job->arena, PAGE_MESSAGES, sizeof *reply->messages.items);
    reply->next = (uint64_t)job->page.next;
    for (size_t i = 0; status == STATUS_OK && i < job->page.count; i++) {
        const struct spool_message *m = &job->page.messages[i];
        struct record_queue_message *out = &reply->messages.items[reply->messages.n];
        if (octets > PAGE_OCTETS) {
            reply->next = (uint64_t)job->page.messages[i - 1].key;
            break;
        }
        status = show_message(job, m, LISTED_MAX, states, &octets, out);
        reply->messages.n += status == STATUS_OK && out->recipients.n > 0;
    }
    return status;
}

static void
on_list_done(struct job *base)
{
    struct page_job *job = (struct page_job *)base;
    struct msg_queue_list_reply reply = {0};
    enum status status = base->status == STATUS_OK ? fill_list(job, &reply) : base->status;
    if (status != STATUS_OK) {
        reply = (struct msg_queue_list_reply){.error = STR("the queue cannot be read now")};
    }
    asker_answer(job->role, &job->asker, MSG_QUEUE_LIST_REPLY, &reply);
    page_free(job);
}

/* ---- show */

static enum status
run_show(struct job *base, struct spool *spool)
{
    struct page_job *job = (struct page_job *)base;
    const struct msg_queue_show *q = MSG_BODY(job->message, queue_show);
    struct spool_choice choice = {.due_ms = INT64_MAX,
                                  .finals = true,
                                  .first = q->first,
                                  .most = SHOWN_MAX,
                                  .octets = PAGE_OCTETS};
    int64_t key;
    job->page.messages = arena_alloc(job->arena, sizeof *job->page.messages);
    enum status status = spool_find(spool, q->id, &key);
    if (status == STATUS_OK) {
        status = spool_load(spool, job->arena, key, &choice, false, job->page.messages);
    }
    job->page.count = status == STATUS_OK ? 1 : 0;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status
fill_show(struct page_job *job, struct msg_queue_show_reply *reply)
{
    size_t octets = 0;
    if (job->page.count == 0) {
        return STATUS_OK;
    }
    const struct spool_message *m = &job->page.messages[0];
    reply->messages.items = arena_alloc(job->arena, sizeof *reply->messages.items);
    if (reply->messages.items == NULL) {
        return STATUS_LIMIT;
    }
    reply->messages.n = 1;
    if (m->recipient_count > 0) {
        uint32_t last = m->recipients[m->recipient_count - 1].number;
        reply->next = last + 1 < m->total ? last + 1 : 0;
    }
    return show_message(job, m, SHOWN_MAX, 0, &octets, reply->messages.items);
}

static void
on_show_done(struct job *base)
{
    struct page_job *job = (struct page_job *)base;
    struct msg_queue_show_reply reply = {0};
    enum status status = base->status == STATUS_OK ? fill_show(job, &reply) : base->status;
    if (status != STATUS_OK) {
        reply = (struct msg_queue_show_reply){.error = STR("the queue cannot be read now")};
    }
    asker_answer(job->role, &job->asker, MSG_QUEUE_SHOW_REPLY, &reply);
    page_free(job);
}

/* ---- act */

#define ACT_IDS_MAX 100u

struct act_job {
    struct job job;
    struct spool_role *role;
    struct asker asker;
    struct ipc_message *message;
    int64_t keys[ACT_IDS_MAX];
    size_t key_count;
    size_t waiting;
    struct msg_queue_act_reply reply;
};

struct acted {
    struct act_job *job;
    int64_t key;
};

static void
act_finish(struct act_job *job)
{
    if (--job->waiting > 0) {
        return;
    }
    asker_answer(job->role, &job->asker, MSG_QUEUE_ACT_REPLY, &job->reply);
    ipc_message_free(&job->message);
    free(job);
}

static void
acted_free(struct spool_role *role, struct acted *acted)
{
    struct act_job *job = acted->job;
    claim_release(role, acted->key);
    free(acted);
    act_finish(job);
}

/* Whether the action says anything to a recipient in this state. */
static bool
action_fits(enum spool_action action, enum spool_state state)
{
    bool waits = state == SPOOL_QUEUED || state == SPOOL_DEFERRED;
    switch (action) {
    case SPOOL_ACT_FLUSH:
    case SPOOL_ACT_HOLD:
        return waits;
    case SPOOL_ACT_RELEASE:
        return state == SPOOL_HELD;
    case SPOOL_ACT_BOUNCE:
    case SPOOL_ACT_REMOVE:
    case SPOOL_ACT_REROUTE:
        return waits || state == SPOOL_HELD;
    }
    return false;
}

static struct verdict
action_verdict(const struct spool_role *role, enum spool_action action, uint32_t index,
               struct str reason)
{
    static const enum verdict_kind kinds[] = {
        [SPOOL_ACT_FLUSH] = VERDICT_FLUSHED,    [SPOOL_ACT_HOLD] = VERDICT_HELD,
        [SPOOL_ACT_RELEASE] = VERDICT_RELEASED, [SPOOL_ACT_BOUNCE] = VERDICT_FAILED,
        [SPOOL_ACT_REMOVE] = VERDICT_REMOVED,   [SPOOL_ACT_REROUTE] = VERDICT_REROUTED,
    };
    struct verdict verdict = {.index = index, .kind = kinds[action]};
    if (action == SPOOL_ACT_BOUNCE) {
        verdict.last = (struct spool_attempt){
            .at_ms = role_now(role),
            .enhanced = STR("5.7.1"),
            .text = reason.n > 0 ? reason : STR("returned by the administrator"),
        };
    }
    return verdict;
}

static void
on_acted(struct spool_role *role, void *context, struct parcel *parcel, bool written)
{
    struct acted *acted = context;
    (void)parcel;
    acted->job->reply.done += written;
    if (!written) {
        acted->job->reply.error = STR("a change could not be written");
    }
    acted_free(role, acted);
}

static void
on_act_loaded(struct spool_role *role, void *context, enum status status, struct parcel *parcel)
{
    struct acted *acted = context;
    const struct msg_queue_act *q = MSG_BODY(acted->job->message, queue_act);
    struct spool_filter filter = read_filter(role, q->filters.items, q->filters.n);
    size_t n = 0;
    size_t count = status == STATUS_OK ? parcel->m.recipient_count : 0;
    struct verdict *verdicts = calloc(count + 1, sizeof *verdicts);
    for (size_t i = 0; verdicts != NULL && i < count; i++) {
        const struct spool_recipient *r = &parcel->m.recipients[i];
        if (action_fits((enum spool_action)q->action, r->state) && spool_filter_takes(&filter, r)) {
            verdicts[n++] =
                action_verdict(role, (enum spool_action)q->action, (uint32_t)i, q->reason);
        }
    }
    if (n > 0) {
        const struct verdict_list list = {.items = verdicts, .count = n, .by = q->by, .to = q->to};
        outcome_write(role, parcel, &list, on_acted, acted);
    } else {
        acted->job->reply.missing++;
        acted_free(role, acted);
    }
    free(verdicts);
    parcel_unref(&parcel);
}

static void
act_on(struct act_job *job, int64_t key)
{
    const struct msg_queue_act *q = MSG_BODY(job->message, queue_act);
    struct spool_choice choice = {
        .due_ms = INT64_MAX, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};
    struct acted *acted = calloc(1, sizeof *acted);
    if (acted == NULL) {
        abort();
    }
    if (!claim_take(job->role, key)) {
        job->reply.busy++;
        free(acted);
        return;
    }
    *acted = (struct acted){job, key};
    job->waiting++;
    load_parcel(job->role, key, &choice,
                q->action == SPOOL_ACT_BOUNCE ? LOAD_NOTICE : LOAD_ENVELOPE, on_act_loaded, acted);
}

static enum status
run_act(struct job *base, struct spool *spool)
{
    struct act_job *job = (struct act_job *)base;
    const struct msg_queue_act *q = MSG_BODY(job->message, queue_act);
    for (size_t i = 0; i < q->ids.n && i < ACT_IDS_MAX; i++) {
        enum status status = spool_find(spool, q->ids.items[i].id, &job->keys[job->key_count]);
        if (status == STATUS_OK) {
            job->key_count++;
        } else if (status == STATUS_NOT_FOUND) {
            job->reply.missing++;
        } else {
            return status;
        }
    }
    return STATUS_OK;
}

static void
on_act_found(struct job *base)
{
    struct act_job *job = (struct act_job *)base;
    job->waiting = 1;
    if (base->status != STATUS_OK) {
        job->reply.error = STR("the queue cannot be read now");
        job->key_count = 0;
    }
    for (size_t i = 0; i < job->key_count; i++) {
        act_on(job, job->keys[i]);
    }
    act_finish(job);
}

static const char *
action_name(uint8_t action)
{
    static const char *const names[] = {
        [SPOOL_ACT_FLUSH] = "flush",     [SPOOL_ACT_HOLD] = "hold",
        [SPOOL_ACT_RELEASE] = "release", [SPOOL_ACT_BOUNCE] = "bounce",
        [SPOOL_ACT_REMOVE] = "remove",   [SPOOL_ACT_REROUTE] = "reroute",
    };
    return names[action];
}

/* Empty: it can be done. */
static struct str
act_refusal(const struct msg_queue_act *q)
{
    struct str refusal = {0};
    if (q->action > SPOOL_ACT_REROUTE) {
        return STR("there is no such action");
    }
    if (q->action == SPOOL_ACT_REROUTE && q->to.n > 0) {
        struct config_delivery delivery;
        struct arena *arena = arena_create(4096);
        if (!config_delivery_parse(arena, q->to, &delivery) ||
            delivery.kind == CONFIG_DELIVERY_MX) {
            refusal = STR("that is no next hop: smtp://host:port, lmtp://host:port or lmtp:/path");
        }
        arena_destroy(&arena);
    }
    return refusal;
}

static void
act(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    const struct msg_queue_act *q = MSG_BODY(message, queue_act);
    struct msg_queue_act_reply refusal = {.error = act_refusal(q)};
    if (refusal.error.n > 0) {
        if (channel_send(channel, MSG_QUEUE_ACT_REPLY, message->request, &refusal) != STATUS_OK) {
            LOG_WARN("a command could not be answered");
        }
        ipc_message_free(&message);
        return;
    }
    struct act_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->job = (struct job){.kind = JOB_READ, .run = run_act, .done = on_act_found};
    job->role = role;
    asker_enter(role, &job->asker, channel, message->request);
    job->message = message;
    LOG_INFO("the queue is changed", LOG_CSTR("action", action_name(q->action)),
             LOG_INT("messages", q->ids.n), LOG_STR("by", q->by));
    worker_submit(role->worker, &job->job);
}

void
control_message(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    if (message->type == MSG_QUEUE_STANDING || message->type == MSG_QUEUE_PAUSE) {
        standing_message(role, channel, message);
        return;
    }
    if (message->type == MSG_QUEUE_TEXT) {
        text_message(role, channel, message);
        return;
    }
    if (message->type == MSG_QUEUE_ACT) {
        act(role, channel, message);
        return;
    }
    struct page_job *job = page_create(role, channel, message);
    bool list = message->type == MSG_QUEUE_LIST;
    job->job = (struct job){.kind = JOB_READ,
                            .run = list ? run_list : run_show,
                            .done = list ? on_list_done : on_show_done};
    worker_submit(role->worker, &job->job);
}
