/*
 * asker.h - who waits for an answer that is being worked on elsewhere (in a thread, by the DNS).
 *
 * The line can go down before there is one; then the answer goes nowhere: sent over the next line
 * with the same number it would be taken for the answer to another request. Loop thread only.
 */
#ifndef POSTERN_ROLES_ASKER_H
#define POSTERN_ROLES_ASKER_H

#include "ipc/channel.h"

/* Part of the job; must stay where it is between asker_begin and asker_end. */
struct asker {
    struct asker *prev;
    struct asker *next;
    struct channel *channel; /* NULL: gone */
    uint64_t request;
};

/* Notes in the role's list who sent the message. */
void asker_begin(struct asker **list, struct asker *asker, struct channel *channel,
                 const struct ipc_message *message);
/* Sends the answer, if there still is who asked. `type` MSG_TYPE_COUNT: no answer. */
void asker_end(struct asker **list, struct asker *asker, enum msg_type type, const void *fields);
/* The line is down: forgets all who asked over it. */
void asker_forget(struct asker **list, const struct channel *channel);

#endif
