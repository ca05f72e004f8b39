/*
 * channel.h - one role's end of its line to another role: messages out, messages in, requests
 * paired with their replies.
 *
 * A channel outlives its socket: when the peer dies the channel is disconnected, what was asked of
 * it fails with STATUS_TEMPORARY, and the parent's new socket is put in with channel_connect. A
 * channel belongs to a loop (libevent base); its handler and its callbacks run in the loop's
 * thread. Sending and calling are allowed from any thread; what the socket does not take at once
 * waits in a queue of at most CHANNEL_QUEUE_MAX octets, so a sender never blocks on a slow peer.
 *
 * channel_call waits for its reply and is for worker threads only: in the loop's thread it would
 * wait for itself.
 */
#ifndef POSTERN_IPC_CHANNEL_H
#define POSTERN_IPC_CHANNEL_H

#include "ipc/message.h"

#define CHANNEL_QUEUE_MAX   (128u * 1024u * 1024u)
/* Requests to one peer that may be without an answer. */
#define CHANNEL_PENDING_MAX 65536u

struct event_base;
struct channel;

/* A message that is not a reply has come; the handler owns it (ipc_message_free). */
typedef void channel_on_message(void *context, struct channel *channel,
                                struct ipc_message *message);
/*
 * The line has changed: up when a socket was put in, down when the peer has gone. `status` on the
 * way down: STATUS_END (closed), STATUS_SYNTAX or STATUS_DENIED (it broke the rules), STATUS_IO.
 */
typedef void channel_on_change(void *context, struct channel *channel, bool up, enum status status);
/* The reply to a request (owned by the callee), or NULL with the reason. */
typedef void channel_on_reply(void *context, enum status status, struct ipc_message *reply);

struct channel_settings {
    struct event_base *loop; /* must outlive the channel */
    enum role self;
    enum role peer;
    uint32_t instance; /* of the peer, where a role has several processes */
    channel_on_message *on_message;
    channel_on_change *on_change; /* may be NULL */
    void *context;                /* for both */
};

/* A disconnected channel. Destroying closes the socket and fails what is pending. */
[[nodiscard]] struct channel *channel_create(const struct channel_settings *settings);
void channel_destroy(struct channel **channel);

/* Puts in a connected SOCK_SEQPACKET socket, which becomes the channel's. Loop thread only. */
[[nodiscard]] enum status channel_connect(struct channel *channel, int fd);
bool channel_is_connected(struct channel *channel);
enum role channel_peer(const struct channel *channel);
uint32_t channel_instance(const struct channel *channel);
void *channel_context(const struct channel *channel);
/* Octets that wait to be sent. */
size_t channel_queued(struct channel *channel);

/*
 * Sends a notice, or with `request` a reply to that request. STATUS_TEMPORARY when disconnected,
 * STATUS_LIMIT when a field is over its bound or the queue is full.
 */
[[nodiscard]] enum status channel_send(struct channel *channel, enum msg_type type,
                                       uint64_t request, const void *fields);

/*
 * Sends a request; on_reply is called once in the loop's thread: with the reply, or with
 * STATUS_TEMPORARY when the peer goes away or `timeout_ms` passes. When channel_request itself does
 * not return STATUS_OK, on_reply is not called.
 */
[[nodiscard]] enum status channel_request(struct channel *channel, enum msg_type type,
                                          const void *fields, int timeout_ms,
                                          channel_on_reply *on_reply, void *context);

/* Sends a request and waits. The reply is the caller's. Errors as above. */
[[nodiscard]] enum status channel_call(struct channel *channel, enum msg_type type,
                                       const void *fields, int timeout_ms,
                                       struct ipc_message **reply_out);

/*
 * For programs without a loop (the commands): sends and receives on a plain connected socket,
 * waiting. `self` and `peer` as in the settings.
 */
[[nodiscard]] enum status channel_plain_send(int fd, enum msg_type type, uint64_t request,
                                             const void *fields);
[[nodiscard]] enum status channel_plain_receive(int fd, enum role peer, enum role self,
                                                int timeout_ms, struct ipc_message **message_out);

#endif
