/*
 * memory.h - final results that the spool may not have written down yet.
 *
 * A report can be lost: the spool dies before it has committed it. It then leases the recipient
 * again, and without this memory a message that was delivered would be delivered twice. Kept are
 * the last RELAY_MEMORY_MAX results that are final; the spool commits within a fraction of a
 * second, this is many seconds of the fastest traffic. Thread-safe.
 */
#ifndef POSTERN_ROLES_RELAY_MEMORY_H
#define POSTERN_ROLES_RELAY_MEMORY_H

#include "base/arena.h"
#include "ipc/message.h"

#define RELAY_MEMORY_MAX      16384u
/* Octets of a text that are remembered. */
#define RELAY_MEMORY_TEXT_MAX 160u

struct relay_memory;

/* NULL without memory. All functions but these two may be called from every thread. */
[[nodiscard]] struct relay_memory *relay_memory_create(void);
void relay_memory_destroy(struct relay_memory **memory);

/* Remembers a final result of a recipient of message `id` (16 octets); others are not taken. */
void relay_memory_add(struct relay_memory *memory, struct str id,
                      const struct record_delivery_result *result);
/* The result of a recipient, its texts in the arena. False: it is not known. */
bool relay_memory_find(struct relay_memory *memory, struct arena *arena, struct str id,
                       uint64_t number, struct record_delivery_result *result_out);

#endif
