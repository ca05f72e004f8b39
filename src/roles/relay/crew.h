/*
 * crew.h - worker threads of the relay: started when there is work for them, kept afterwards.
 *
 * A delivery mostly waits for somebody else's server, so there are as many workers as connections
 * are allowed; most gateways never need them all.
 */
#ifndef POSTERN_ROLES_RELAY_CREW_H
#define POSTERN_ROLES_RELAY_CREW_H

#include "base/arena.h"

struct relay_crew;

/* One piece of work; the crew chains it, all else is its maker's. */
struct relay_task {
    struct relay_task *next;
    /* Called in a worker thread with an empty arena, or with NULL when the crew ends before its
     * turn came. Owns the task. */
    void (*run)(struct relay_task *task, struct arena *arena);
};

/* At most `most` threads; the arenas hold `arena_ceiling` octets each. */
[[nodiscard]] struct relay_crew *relay_crew_create(size_t most, size_t arena_ceiling);
/* More or fewer threads from now on; those that run stay. */
void relay_crew_set_most(struct relay_crew *crew, size_t most);
/* From any thread. */
void relay_crew_add(struct relay_crew *crew, struct relay_task *task);
/* Gives back what has not been begun (run with NULL); what is under way goes on. */
void relay_crew_drop_waiting(struct relay_crew *crew);
/* Waits for what is under way, ends the threads, sets *crew to NULL. NULL is allowed. */
void relay_crew_destroy(struct relay_crew **crew);

struct relay_crew_counts {
    size_t threads;
    size_t working;
    size_t waiting; /* tasks */
};
struct relay_crew_counts relay_crew_counts(struct relay_crew *crew);

#endif
