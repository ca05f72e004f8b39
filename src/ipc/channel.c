#include "ipc/channel.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/random.h"
#include "ipc/packet.h"

/* How often time-outs of requests are looked for. */
#define SWEEP_INTERVAL_MS 250
/* Packets read from one channel before others get their turn. */
#define READ_BATCH        64

/* A packet that the socket did not take at once. */
struct outgoing {
    struct outgoing *next;
    size_t length;
    size_t fd_count;
    int fds[IPC_FDS_MAX]; /* duplicates, ours */
    char octets[];
};

/* A request without its answer yet: of channel_request (on_reply) or of channel_call (waiter). */
struct pending {
    uint64_t request;
    int64_t deadline_ms;
    channel_on_reply *on_reply;
    void *context;
    struct waiter *waiter;
    UT_hash_handle hh;
};

struct waiter {
    pthread_cond_t cond;
    bool done;
    enum status status;
    struct ipc_message *reply;
};

struct channel {
    struct channel_settings settings;
    struct event *readable;
    struct event *writable;
    struct event *sweep;
    pthread_mutex_t mutex; /* everything below */
    int fd;                /* -1: disconnected */
    uint64_t generation;   /* counts sockets, to notice a change during a callback */
    struct outgoing *queue_head;
    struct outgoing **queue_tail;
    size_t queued;
    struct pending *pending; /* by request */
    uint64_t last_request;
    struct buf scratch; /* for encoding */
};

static void channel_disconnect(struct channel *channel, enum status status);

struct channel *
channel_create(const struct channel_settings *settings)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        abort();
    }
    channel->settings = *settings;
    channel->fd = -1;
    channel->queue_tail = &channel->queue_head;
    pthread_mutex_init(&channel->mutex, NULL);
    buf_init(&channel->scratch, IPC_PACKET_MAX + 4096);
    /* A process that was started again must not take a late reply to its forerunner for its own:
     * that would be an "accepted" for the wrong message. */
    random_bytes(&channel->last_request, sizeof channel->last_request);
    channel->last_request >>= 1;
    return channel;
}

enum role
channel_peer(const struct channel *channel)
{
    return channel->settings.peer;
}

uint32_t
channel_instance(const struct channel *channel)
{
    return channel->settings.instance;
}

void *
channel_context(const struct channel *channel)
{
    return channel->settings.context;
}

bool
channel_is_connected(struct channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    bool connected = channel->fd >= 0;
    pthread_mutex_unlock(&channel->mutex);
    return connected;
}

size_t
channel_queued(struct channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    size_t queued = channel->queued;
    pthread_mutex_unlock(&channel->mutex);
    return queued;
}

/* ---- replies */

/* Hands a result to whoever asked, and frees the pending request. Called without the mutex. */
static void
pending_finish(struct channel *channel, struct pending *pending, enum status status,
               struct ipc_message *reply)
{
    if (pending->waiter != NULL) {
        pthread_mutex_lock(&channel->mutex);
        pending->waiter->status = status;
        pending->waiter->reply = reply;
        pending->waiter->done = true;
        pthread_cond_signal(&pending->waiter->cond);
        pthread_mutex_unlock(&channel->mutex);
    } else {
        pending->on_reply(pending->context, status, reply);
    }
    free(pending);
}

static void
channel_take_reply(struct channel *channel, struct ipc_message *reply)
{
    struct pending *pending;
    pthread_mutex_lock(&channel->mutex);
    HASH_FIND(hh, channel->pending, &reply->request, sizeof reply->request, pending);
    if (pending != NULL) {
        HASH_DEL(channel->pending, pending);
    }
    pthread_mutex_unlock(&channel->mutex);
    if (pending == NULL) {
        ipc_message_free(&reply); /* its time-out has passed */
        return;
    }
    pending_finish(channel, pending, STATUS_OK, reply);
}

/* Takes out one request whose deadline is not after `now_ms` (INT64_MAX: any). */
static struct pending *
channel_pop_due(struct channel *channel, int64_t now_ms)
{
    struct pending *due = NULL;
    struct pending *next;
    pthread_mutex_lock(&channel->mutex);
    for (struct pending *p = channel->pending; p != NULL; p = next) {
        next = p->hh.next;
        if (p->deadline_ms <= now_ms) {
            HASH_DEL(channel->pending, p);
            due = p;
            break;
        }
    }
    pthread_mutex_unlock(&channel->mutex);
    return due;
}

static void
channel_fail_due(struct channel *channel, int64_t now_ms)
{
    struct pending *due;
    while ((due = channel_pop_due(channel, now_ms)) != NULL) {
        pending_finish(channel, due, STATUS_TEMPORARY, NULL);
    }
}

static void
on_sweep(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    channel_fail_due(context, clock_monotonic_ms());
}

/* ---- reading */

static void
close_fds(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

static enum status
channel_read_one(struct channel *channel)
{
    struct str packet;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    struct ipc_message *message;
    enum status status = packet_receive(channel->fd, &packet, fds, &fd_count);
    if (status != STATUS_OK) {
        return status;
    }
    status =
        ipc_decode(packet, fds, fd_count, channel->settings.peer, channel->settings.self, &message);
    if (status != STATUS_OK) {
        close_fds(fds, fd_count);
        return status;
    }
    if (message->is_reply) {
        channel_take_reply(channel, message);
    } else {
        channel->settings.on_message(channel->settings.context, channel, message);
    }
    return STATUS_OK;
}

static void
on_readable(evutil_socket_t fd, short what, void *context)
{
    struct channel *channel = context;
    uint64_t generation = channel->generation;
    (void)fd;
    (void)what;
    for (int i = 0; i < READ_BATCH && channel->generation == generation; i++) {
        enum status status = channel_read_one(channel);
        if (status == STATUS_AGAIN) {
            return;
        }
        if (status != STATUS_OK && channel->generation == generation) {
            channel_disconnect(channel, status);
            return;
        }
    }
}

/* ---- writing */

static void
channel_drop_queue(struct channel *channel)
{
    while (channel->queue_head != NULL) {
        struct outgoing *o = channel->queue_head;
        channel->queue_head = o->next;
        close_fds(o->fds, o->fd_count);
        free(o);
    }
    channel->queue_tail = &channel->queue_head;
    channel->queued = 0;
}

/* With the mutex held. */
static enum status
channel_enqueue(struct channel *channel, struct str packet, const int *fds, size_t fd_count)
{
    if (channel->queued + packet.n > CHANNEL_QUEUE_MAX) {
        return STATUS_LIMIT;
    }
    struct outgoing *o = calloc(1, sizeof *o + packet.n);
    if (o == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < fd_count; i++) {
        o->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (o->fds[i] < 0) {
            close_fds(o->fds, i);
            free(o);
            return STATUS_IO;
        }
    }
    memcpy(o->octets, packet.p, packet.n);
    o->length = packet.n;
    o->fd_count = fd_count;
    *channel->queue_tail = o;
    channel->queue_tail = &o->next;
    channel->queued += packet.n;
    event_add(channel->writable, NULL);
    return STATUS_OK;
}

static void
on_writable(evutil_socket_t fd, short what, void *context)
{
    struct channel *channel = context;
    enum status status = STATUS_OK;
    (void)fd;
    (void)what;
    pthread_mutex_lock(&channel->mutex);
    while (channel->queue_head != NULL && status == STATUS_OK) {
        struct outgoing *o = channel->queue_head;
        status = packet_send(channel->fd, str_make(o->octets, o->length), o->fds, o->fd_count);
        if (status == STATUS_OK) {
            channel->queue_head = o->next;
            channel->queued -= o->length;
            close_fds(o->fds, o->fd_count);
            free(o);
        }
    }
    if (channel->queue_head == NULL) {
        channel->queue_tail = &channel->queue_head;
        event_del_noblock(channel->writable);
    }
    pthread_mutex_unlock(&channel->mutex);
    /* A broken socket is seen, and told, by the reader. */
}

/* With the mutex held. */
static enum status
channel_send_locked(struct channel *channel, enum msg_type type, uint64_t request,
                    const void *fields)
{
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    if (channel->fd < 0) {
        return STATUS_TEMPORARY;
    }
    enum status status = ipc_encode(type, request, fields, &channel->scratch, fds, &fd_count);
    if (status != STATUS_OK) {
        return status;
    }
    struct str packet = buf_str(&channel->scratch);
    status = channel->queue_head == NULL ? packet_send(channel->fd, packet, fds, fd_count)
                                         : STATUS_AGAIN;
    if (status == STATUS_AGAIN) {
        status = channel_enqueue(channel, packet, fds, fd_count);
    } else if (status != STATUS_OK) {
        status = STATUS_TEMPORARY;
    }
    channel->scratch.start = channel->scratch.end = 0;
    return status;
}

enum status
channel_send(struct channel *channel, enum msg_type type, uint64_t request, const void *fields)
{
    pthread_mutex_lock(&channel->mutex);
    enum status status = channel_send_locked(channel, type, request, fields);
    pthread_mutex_unlock(&channel->mutex);
    return status;
}

/* With the mutex held. */
static enum status
channel_ask_locked(struct channel *channel, enum msg_type type, const void *fields,
                   struct pending *pending)
{
    if (HASH_COUNT(channel->pending) >= CHANNEL_PENDING_MAX) {
        return STATUS_LIMIT;
    }
    pending->request = ++channel->last_request;
    HASH_ADD(hh, channel->pending, request, sizeof pending->request, pending);
    enum status status = channel_send_locked(channel, type, pending->request, fields);
    if (status != STATUS_OK) {
        HASH_DEL(channel->pending, pending);
    }
    return status;
}

enum status
channel_request(struct channel *channel, enum msg_type type, const void *fields, int timeout_ms,
                channel_on_reply *on_reply, void *context)
{
    struct pending *pending = malloc(sizeof *pending);
    if (pending == NULL) {
        return STATUS_LIMIT;
    }
    *pending = (struct pending){
        .deadline_ms = clock_monotonic_ms() + timeout_ms,
        .on_reply = on_reply,
        .context = context,
    };
    pthread_mutex_lock(&channel->mutex);
    enum status status = channel_ask_locked(channel, type, fields, pending);
    pthread_mutex_unlock(&channel->mutex);
    if (status != STATUS_OK) {
        free(pending);
    }
    return status;
}

enum status
channel_call(struct channel *channel, enum msg_type type, const void *fields, int timeout_ms,
             struct ipc_message **reply_out)
{
    struct waiter waiter = {.status = STATUS_TEMPORARY};
    struct pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL) {
        return STATUS_LIMIT;
    }
    pthread_cond_init(&waiter.cond, NULL);
    /* The sweep of the loop ends the wait, as it does for channel_request. */
    pending->deadline_ms = clock_monotonic_ms() + timeout_ms;
    pending->waiter = &waiter;
    pthread_mutex_lock(&channel->mutex);
    enum status status = channel_ask_locked(channel, type, fields, pending);
    if (status == STATUS_OK) {
        while (!waiter.done) {
            pthread_cond_wait(&waiter.cond, &channel->mutex);
        }
        status = waiter.status;
        pending = NULL; /* freed by pending_finish */
    }
    pthread_mutex_unlock(&channel->mutex);
    free(pending);
    pthread_cond_destroy(&waiter.cond);
    if (status == STATUS_OK) {
        *reply_out = waiter.reply;
    }
    return status;
}

/* ---- the socket comes and goes */

static void
channel_free_events(struct channel *channel)
{
    struct event **events[] = {&channel->readable, &channel->writable, &channel->sweep};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (*events[i] != NULL) {
            event_free(*events[i]);
            *events[i] = NULL;
        }
    }
}

static void
channel_close_socket(struct channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    if (channel->fd >= 0) {
        channel_free_events(channel);
        close(channel->fd);
        channel->fd = -1;
        channel->generation++;
    }
    channel_drop_queue(channel);
    pthread_mutex_unlock(&channel->mutex);
    channel_fail_due(channel, INT64_MAX);
}

static void
channel_disconnect(struct channel *channel, enum status status)
{
    channel_close_socket(channel);
    if (channel->settings.on_change != NULL) {
        channel->settings.on_change(channel->settings.context, channel, false, status);
    }
}

enum status
channel_connect(struct channel *channel, int fd)
{
    struct timeval interval = {0, SWEEP_INTERVAL_MS * 1000};
    enum status status = packet_prepare_socket(fd);
    if (status != STATUS_OK) {
        close(fd);
        return status;
    }
    channel_close_socket(channel);
    struct event_base *loop = channel->settings.loop;
    pthread_mutex_lock(&channel->mutex);
    channel->readable = event_new(loop, fd, EV_READ | EV_PERSIST, on_readable, channel);
    channel->writable = event_new(loop, fd, EV_WRITE | EV_PERSIST, on_writable, channel);
    channel->sweep = event_new(loop, -1, EV_PERSIST, on_sweep, channel);
    if (channel->readable == NULL || channel->writable == NULL || channel->sweep == NULL ||
        event_add(channel->readable, NULL) != 0 || event_add(channel->sweep, &interval) != 0) {
        channel_free_events(channel);
        pthread_mutex_unlock(&channel->mutex);
        close(fd);
        return STATUS_IO;
    }
    channel->fd = fd;
    channel->generation++;
    pthread_mutex_unlock(&channel->mutex);
    if (channel->settings.on_change != NULL) {
        channel->settings.on_change(channel->settings.context, channel, true, STATUS_OK);
    }
    return STATUS_OK;
}

void
channel_destroy(struct channel **channel)
{
    if (*channel == NULL) {
        return;
    }
    channel_close_socket(*channel);
    buf_free(&(*channel)->scratch);
    pthread_mutex_destroy(&(*channel)->mutex);
    free(*channel);
    *channel = NULL;
}

/* ---- without a loop */

static enum status
wait_for(int fd, short what, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = what};
    int ready;
    do {
        ready = poll(&p, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? STATUS_OK : ready == 0 ? STATUS_TEMPORARY : STATUS_IO;
}

enum status
channel_plain_send(int fd, enum msg_type type, uint64_t request, const void *fields)
{
    struct buf packet;
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    buf_init(&packet, IPC_PACKET_MAX + 4096);
    enum status status = ipc_encode(type, request, fields, &packet, fds, &fd_count);
    while (status == STATUS_OK) {
        status = packet_send(fd, buf_str(&packet), fds, fd_count);
        if (status != STATUS_AGAIN) {
            break;
        }
        status = wait_for(fd, POLLOUT, -1);
    }
    buf_free(&packet);
    return status;
}

enum status
channel_plain_receive(int fd, enum role peer, enum role self, int timeout_ms,
                      struct ipc_message **message_out)
{
    struct str packet;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    enum status status = wait_for(fd, POLLIN, timeout_ms);
    if (status == STATUS_OK) {
        status = packet_receive(fd, &packet, fds, &fd_count);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = ipc_decode(packet, fds, fd_count, peer, self, message_out);
    if (status != STATUS_OK) {
        close_fds(fds, fd_count);
    }
    return status;
}
