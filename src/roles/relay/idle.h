/*
 * idle.h - open sessions that wait for the next message to the same hop.
 *
 * A connection, EHLO and TLS cost far more than a message: a session that is READY is kept for
 * queue.timeouts.idle, up to queue.reuse_messages messages. Sessions are found by the hop's key;
 * the newest is used first, so that those too many grow old. Any thread may take and give;
 * relay_idle_tick is for one.
 */
#ifndef POSTERN_ROLES_RELAY_IDLE_H
#define POSTERN_ROLES_RELAY_IDLE_H

#include "roles/relay/session.h"

struct relay_idle;

/* Keeps nothing until relay_idle_set says how much. */
[[nodiscard]] struct relay_idle *relay_idle_create(void);
/* Closes all; NULL is allowed. */
void relay_idle_destroy(struct relay_idle **idle);
/* At most `most` sessions are kept, each for wait_ms. */
void relay_idle_set(struct relay_idle *idle, size_t most, int64_t wait_ms);

/*
 * A session for this key that still seems alive, now the caller's; NULL: there is none. One that
 * was opened under another configuration than the caller's is closed: its TLS may be less than what
 * is demanded now.
 */
struct relay_session *relay_idle_take(struct relay_idle *idle, struct str key,
                                      const struct config *config);

/*
 * Gives a session back: kept when it is READY, may have another message and there are fewer than
 * `most_of_key` for this key; else it is left. Sets *session to NULL.
 */
void relay_idle_give(struct relay_idle *idle, struct relay_session **session, struct str key,
                     size_t most_of_key, int64_t now_ms);

/* Says QUIT to sessions that waited long enough, and closes those that have been answered. */
void relay_idle_tick(struct relay_idle *idle, int64_t now_ms);
/* The same for all of them, at once: before stopping, or when the configuration has changed. */
void relay_idle_leave_all(struct relay_idle *idle, int64_t now_ms);

/* Closes the session that has waited longest, with QUIT but without waiting for its answer: another
 * connection is wanted and there may be no more. False: there is none. */
bool relay_idle_give_way(struct relay_idle *idle);

/* Sessions that wait, and those that are being left. */
size_t relay_idle_count(struct relay_idle *idle);

#endif
