/*
 * source_channel.h - files through the fetch role, for worker threads (channel_call waits).
 */
#ifndef POSTERN_FETCH_SOURCE_CHANNEL_H
#define POSTERN_FETCH_SOURCE_CHANNEL_H

#include "fetch/fetch.h"
#include "ipc/channel.h"

/* The role may need this much longer than the request's time to say that it ran out. */
#define FETCH_MARGIN_MS 3000

/* A source over the channel to the fetch role, which must outlive it; may be shared by threads. */
struct fetch_source fetch_source_from_channel(struct channel *fetch);

/*
 * For callers that use channel_request themselves, with a valid request (fetch_request_is_valid;
 * the role ends who sends another): fills a MSG_FETCH, whose media types are put into *types, room
 * for FETCH_MEDIA_TYPES_MAX; all of it borrowed from the request.
 */
void fetch_request_to_message(const struct fetch_request *request, struct record_media_type *types,
                              struct msg_fetch *message_out);
/*
 * Turns a MSG_FETCH_REPLY into a response whose text is copied into the arena. A number that no
 * enum has makes it BUSY. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status fetch_response_from_reply(struct arena *arena,
                                                    const struct msg_fetch_reply *reply,
                                                    struct fetch_response *response_out);

#endif
