/*
 * trace_sender.h - how a role hands its traces to the ledger, and keeps them until it has them.
 *
 * What is added waits in memory until the ledger has acknowledged it (MSG_TRACE_ACK: committed to
 * its database); when the ledger dies or does not answer, it is sent again, and the ledger takes a
 * repetition for what it is. Memory has a ceiling: past it new traces are dropped, counted and
 * logged; mail never waits for its trace.
 *
 * Adding is allowed from any thread; all else belongs to the loop's thread.
 */
#ifndef POSTERN_ROLES_TRACE_SENDER_H
#define POSTERN_ROLES_TRACE_SENDER_H

#include "ipc/channel.h"
#include "trace/trace.h"

/* What a role should give as `ceiling` when it has no better reason. */
#define TRACE_SENDER_CEILING (64u * 1024u * 1024u)

struct event_base;
struct trace_sender;

/*
 * A sender over the role's channel to the ledger (borrowed, connected now or later) that holds at
 * most `ceiling` octets. NULL when there is no memory. Threads must be enabled in libevent when
 * other threads add (role_main has done so).
 */
[[nodiscard]] struct trace_sender *trace_sender_create(struct event_base *loop,
                                                       struct channel *ledger, size_t ceiling);
/* Forgets what has not been acknowledged. Before or after the channel, as it comes. */
void trace_sender_destroy(struct trace_sender **sender);

/*
 * Hands over what the trace holds and clears the trace; does nothing when it is empty. `id`: of the
 * message, or of the session for what belongs to no message; `session` may be empty where there is
 * none (a notice of our own). Both are copied.
 */
void trace_sender_add(struct trace_sender *sender, struct str id, struct str session,
                      struct trace *trace);

/* Octets that wait for their acknowledgement; traces dropped at the ceiling since the start. */
size_t trace_sender_waiting(struct trace_sender *sender);
uint64_t trace_sender_dropped(struct trace_sender *sender);

/*
 * Calls on_empty once, from the loop, as soon as nothing waits (perhaps at once, within this call):
 * for a role that is to stop.
 */
void trace_sender_on_empty(struct trace_sender *sender, void (*on_empty)(void *context),
                           void *context);

#endif
