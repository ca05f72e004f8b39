#include "roles/trace_sender.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

/*
 * Traces gather for a moment, so that one message carries many: without this, telling the ledger
 * would cost more than the mail itself.
 */
#define GATHER_MS            20
/* What goes at once, however short the moment: pieces, and their octets. */
#define BATCH_PIECES         256u
#define BATCH_OCTETS         (128u * 1024u)
/* Batches on their way to the ledger at one time; it commits while the next one travels. */
#define BATCHES_MAX          4u
/* Then a trace is sent again. */
#define ACK_TIMEOUT_MS       30000
/* Between attempts while the ledger is away. */
#define RETRY_MS             250
/* Between two log lines about dropped traces. */
#define DROP_LOG_INTERVAL_MS 10000

/* One trace that the ledger has not acknowledged. */
struct item {
    struct item *prev;
    struct item *next;
    bool in_flight;
    char id[ID_LENGTH];
    char session[ID_LENGTH];
    size_t id_length;
    size_t session_length;
    size_t length;
    char events[];
};

/* Items that travel in one message. */
struct batch {
    struct trace_sender *sender; /* NULL: the sender has gone */
    struct batch *prev;
    struct batch *next;
    size_t count;
    struct item *items[BATCH_PIECES];
};

struct trace_sender {
    struct channel *ledger; /* borrowed */
    struct event *pump;     /* sends what can be sent; loop thread */
    size_t ceiling;
    void (*on_empty)(void *context);
    void *on_empty_context;
    pthread_mutex_t mutex; /* everything below */
    struct item *items;    /* oldest first */
    size_t waiting;        /* octets */
    size_t unsent;         /* octets of items that are not in flight */
    bool armed;            /* the pump will run */
    struct batch *batches; /* in flight */
    size_t batch_count;
    uint64_t dropped;
    int64_t drop_logged_ms;
};

static size_t
item_cost(const struct item *item)
{
    return sizeof *item + item->length;
}

/* ---- sending; all in the loop's thread */

/* With the mutex held. Runs the pump after `ms`, unless it is to run anyway. */
static void
arm(struct trace_sender *sender, int ms)
{
    struct timeval wait = {0, ms * 1000};
    if (!sender->armed) {
        sender->armed = true;
        event_add(sender->pump, &wait);
    }
}

/* With the mutex held. The items of a batch are gone (taken), or wait again. */
static void
settle(struct trace_sender *sender, const struct batch *batch, bool taken)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct item *item = batch->items[i];
        item->in_flight = false;
        if (taken) {
            DL_DELETE(sender->items, item);
            sender->waiting -= item_cost(item);
            free(item);
        } else {
            sender->unsent += item_cost(item);
        }
    }
}

/* With the mutex held. */
static void
batch_end(struct trace_sender *sender, struct batch *batch, bool taken)
{
    settle(sender, batch, taken);
    DL_DELETE(sender->batches, batch);
    sender->batch_count--;
    free(batch);
    if (sender->items != NULL || sender->on_empty != NULL) {
        arm(sender, taken ? 0 : RETRY_MS);
    }
}

/* The acknowledgement of a batch, or why there is none. */
static void
on_ack(void *context, enum status status, struct ipc_message *reply)
{
    struct batch *batch = context;
    struct trace_sender *sender = batch->sender;
    ipc_message_free(&reply);
    if (sender == NULL) {
        free(batch);
        return;
    }
    pthread_mutex_lock(&sender->mutex);
    batch_end(sender, batch, status == STATUS_OK);
    pthread_mutex_unlock(&sender->mutex);
}

/* With the mutex held: the oldest items that are not in flight; NULL when there are none. */
static struct batch *
take_batch(struct trace_sender *sender)
{
    size_t octets = 0;
    if (sender->unsent == 0 || sender->batch_count == BATCHES_MAX) {
        return NULL;
    }
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return NULL;
    }
    batch->sender = sender;
    for (struct item *item = sender->items; item != NULL && batch->count < BATCH_PIECES;
         item = item->next) {
        if (item->in_flight) {
            continue;
        }
        if (batch->count > 0 && octets + item->length > BATCH_OCTETS) {
            break;
        }
        octets += item->length;
        item->in_flight = true;
        sender->unsent -= item_cost(item);
        batch->items[batch->count++] = item;
    }
    DL_APPEND(sender->batches, batch);
    sender->batch_count++;
    return batch;
}

static enum status
send_batch(struct trace_sender *sender, struct batch *batch)
{
    struct record_trace_piece pieces[BATCH_PIECES];
    for (size_t i = 0; i < batch->count; i++) {
        const struct item *item = batch->items[i];
        pieces[i] = (struct record_trace_piece){
            .id = str_make(item->id, item->id_length),
            .session = str_make(item->session, item->session_length),
            .events = str_make(item->events, item->length),
        };
    }
    struct msg_trace_append fields = {.pieces = {pieces, batch->count}};
    return channel_request(sender->ledger, MSG_TRACE_APPEND, &fields, ACK_TIMEOUT_MS, on_ack,
                           batch);
}

static void
tell_empty(struct trace_sender *sender)
{
    void (*on_empty)(void *context) = sender->on_empty;
    if (on_empty != NULL && trace_sender_waiting(sender) == 0) {
        sender->on_empty = NULL;
        on_empty(sender->on_empty_context);
    }
}

static void
on_pump(evutil_socket_t fd, short what, void *context)
{
    struct trace_sender *sender = context;
    struct batch *batch;
    (void)fd;
    (void)what;
    pthread_mutex_lock(&sender->mutex);
    sender->armed = false;
    while ((batch = take_batch(sender)) != NULL) {
        /* The channel has a mutex of its own; no answer comes before this loop turns. */
        if (send_batch(sender, batch) != STATUS_OK) {
            batch_end(sender, batch, false);
            break;
        }
    }
    pthread_mutex_unlock(&sender->mutex);
    tell_empty(sender);
}

/* ---- what roles call */

struct trace_sender *
trace_sender_create(struct event_base *loop, struct channel *ledger, size_t ceiling)
{
    struct trace_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) {
        return NULL;
    }
    sender->ledger = ledger;
    sender->ceiling = ceiling;
    sender->pump = event_new(loop, -1, 0, on_pump, sender);
    if (sender->pump == NULL) {
        free(sender);
        return NULL;
    }
    pthread_mutex_init(&sender->mutex, NULL);
    return sender;
}

void
trace_sender_destroy(struct trace_sender **sender_pointer)
{
    struct trace_sender *sender = *sender_pointer;
    struct item *item;
    struct item *next;
    if (sender == NULL) {
        return;
    }
    for (struct batch *batch = sender->batches; batch != NULL; batch = batch->next) {
        batch->sender = NULL; /* its answer frees it */
    }
    DL_FOREACH_SAFE(sender->items, item, next)
    {
        free(item);
    }
    event_free(sender->pump);
    pthread_mutex_destroy(&sender->mutex);
    free(sender);
    *sender_pointer = NULL;
}

static struct item *
item_create(struct str id, struct str session, struct str events)
{
    struct item *item = malloc(sizeof *item + events.n);
    if (item == NULL) {
        return NULL;
    }
    *item = (struct item){
        .id_length = id.n < ID_LENGTH ? id.n : ID_LENGTH,
        .session_length = session.n < ID_LENGTH ? session.n : ID_LENGTH,
        .length = events.n,
    };
    memcpy(item->id, id.p, item->id_length);
    if (item->session_length > 0) {
        memcpy(item->session, session.p, item->session_length);
    }
    memcpy(item->events, events.p, events.n);
    return item;
}

/* With the mutex held; true when it is time for a log line. */
static bool
count_drop(struct trace_sender *sender)
{
    int64_t now = clock_monotonic_ms();
    sender->dropped++;
    if (sender->drop_logged_ms != 0 && now - sender->drop_logged_ms < DROP_LOG_INTERVAL_MS) {
        return false;
    }
    sender->drop_logged_ms = now;
    return true;
}

void
trace_sender_add(struct trace_sender *sender, struct str id, struct str session,
                 struct trace *trace)
{
    bool log = false;
    if (trace_is_empty(trace) || id.n == 0) {
        trace_clear(trace);
        return;
    }
    struct item *item = item_create(id, session, trace_events(trace));
    pthread_mutex_lock(&sender->mutex);
    if (item == NULL || sender->waiting + item_cost(item) > sender->ceiling) {
        log = count_drop(sender);
        free(item);
    } else {
        sender->waiting += item_cost(item);
        sender->unsent += item_cost(item);
        DL_APPEND(sender->items, item);
        arm(sender, GATHER_MS);
    }
    uint64_t dropped = sender->dropped;
    pthread_mutex_unlock(&sender->mutex);
    trace_clear(trace);
    if (log) {
        LOG_ERROR("traces are dropped: the ledger does not take them", LOG_STR("id", id),
                  LOG_INT("dropped", dropped));
    }
}

size_t
trace_sender_waiting(struct trace_sender *sender)
{
    pthread_mutex_lock(&sender->mutex);
    size_t waiting = sender->waiting;
    pthread_mutex_unlock(&sender->mutex);
    return waiting;
}

uint64_t
trace_sender_dropped(struct trace_sender *sender)
{
    pthread_mutex_lock(&sender->mutex);
    uint64_t dropped = sender->dropped;
    pthread_mutex_unlock(&sender->mutex);
    return dropped;
}

void
trace_sender_on_empty(struct trace_sender *sender, void (*on_empty)(void *context), void *context)
{
    sender->on_empty = on_empty;
    sender->on_empty_context = context;
    tell_empty(sender);
}
