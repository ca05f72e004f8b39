#include "roles/trace_sender.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

/* Traces on their way to the ledger at one time: it commits them in groups, so some are needed. */
#define IN_FLIGHT_MAX        256u
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
    struct trace_sender *sender; /* NULL: the sender has gone; whoever gets the answer frees it */
    bool in_flight;
    char id[ID_LENGTH];
    char session[ID_LENGTH];
    size_t id_length;
    size_t session_length;
    size_t length;
    char events[];
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
    size_t in_flight;
    uint64_t dropped;
    int64_t drop_logged_ms;
};

static void pump_now(struct trace_sender *sender);

static size_t
item_cost(const struct item *item)
{
    return sizeof *item + item->length;
}

/* ---- sending; all in the loop's thread */

/* The acknowledgement of an item, or why there is none. */
static void
on_ack(void *context, enum status status, struct ipc_message *reply)
{
    struct item *item = context;
    struct trace_sender *sender = item->sender;
    ipc_message_free(&reply);
    if (sender == NULL) {
        free(item);
        return;
    }
    pthread_mutex_lock(&sender->mutex);
    item->in_flight = false;
    sender->in_flight--;
    if (status == STATUS_OK) {
        DL_DELETE(sender->items, item);
        sender->waiting -= item_cost(item);
        free(item);
    }
    pthread_mutex_unlock(&sender->mutex);
    if (status == STATUS_OK) {
        pump_now(sender);
    } else {
        struct timeval later = {0, RETRY_MS * 1000};
        event_add(sender->pump, &later);
    }
}

/* Marks the oldest item that is not under way as being so; NULL when there is none, or no room. */
static struct item *
take_next(struct trace_sender *sender)
{
    struct item *item = NULL;
    pthread_mutex_lock(&sender->mutex);
    if (sender->in_flight < IN_FLIGHT_MAX) {
        for (item = sender->items; item != NULL && item->in_flight; item = item->next) {
        }
    }
    if (item != NULL) {
        item->in_flight = true;
        sender->in_flight++;
    }
    pthread_mutex_unlock(&sender->mutex);
    return item;
}

static enum status
send_item(struct trace_sender *sender, struct item *item)
{
    struct msg_trace_append fields = {
        .id = str_make(item->id, item->id_length),
        .session = str_make(item->session, item->session_length),
        .events = str_make(item->events, item->length),
    };
    return channel_request(sender->ledger, MSG_TRACE_APPEND, &fields, ACK_TIMEOUT_MS, on_ack, item);
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
    struct item *item;
    (void)fd;
    (void)what;
    while ((item = take_next(sender)) != NULL) {
        if (send_item(sender, item) != STATUS_OK) {
            struct timeval later = {0, RETRY_MS * 1000};
            pthread_mutex_lock(&sender->mutex);
            item->in_flight = false;
            sender->in_flight--;
            pthread_mutex_unlock(&sender->mutex);
            event_add(sender->pump, &later);
            return;
        }
    }
    tell_empty(sender);
}

static void
pump_now(struct trace_sender *sender)
{
    event_active(sender->pump, EV_TIMEOUT, 0);
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
    DL_FOREACH_SAFE(sender->items, item, next)
    {
        if (item->in_flight) {
            item->sender = NULL;
        } else {
            free(item);
        }
    }
    event_free(sender->pump);
    pthread_mutex_destroy(&sender->mutex);
    free(sender);
    *sender_pointer = NULL;
}

static struct item *
item_create(struct trace_sender *sender, struct str id, struct str session, struct str events)
{
    struct item *item = calloc(1, sizeof *item + events.n);
    if (item == NULL) {
        return NULL;
    }
    item->sender = sender;
    item->id_length = id.n < ID_LENGTH ? id.n : ID_LENGTH;
    item->session_length = session.n < ID_LENGTH ? session.n : ID_LENGTH;
    memcpy(item->id, id.p, item->id_length);
    if (item->session_length > 0) {
        memcpy(item->session, session.p, item->session_length);
    }
    memcpy(item->events, events.p, events.n);
    item->length = events.n;
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
    struct item *item = item_create(sender, id, session, trace_events(trace));
    pthread_mutex_lock(&sender->mutex);
    if (item == NULL || sender->waiting + item_cost(item) > sender->ceiling) {
        log = count_drop(sender);
        free(item);
    } else {
        sender->waiting += item_cost(item);
        DL_APPEND(sender->items, item);
    }
    uint64_t dropped = sender->dropped;
    pthread_mutex_unlock(&sender->mutex);
    trace_clear(trace);
    if (log) {
        LOG_ERROR("traces are dropped: the ledger does not take them", LOG_STR("id", id),
                  LOG_INT("dropped", dropped));
    }
    pump_now(sender);
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
