/*
 * wheel.h - deadlines of very many connections: a timer wheel with one turn of a minute.
 *
 * Setting, moving and clearing a deadline costs a few pointers, whatever the number of entries. An
 * entry is due at the first turn that is not before its deadline, so up to WHEEL_TICK_MS late and
 * never early. Entries lie in the objects they belong to. Time comes in as a parameter.
 */
#ifndef POSTERN_ROLES_EDGE_WHEEL_H
#define POSTERN_ROLES_EDGE_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK_MS 50
#define WHEEL_SLOTS   1024u

struct wheel_entry {
    struct wheel_entry *next; /* NULL: no deadline is set */
    struct wheel_entry **back;
    int64_t deadline_ms;
};

struct wheel {
    struct wheel_entry *slots[WHEEL_SLOTS];
    int64_t tick; /* the last one that was turned past */
    size_t count;
};

/* Called for each entry that is due; its deadline is cleared and may be set anew. */
typedef void wheel_on_due(void *context, struct wheel_entry *entry);

void wheel_init(struct wheel *wheel, int64_t now_ms);
/* Sets or moves a deadline. One in the past is due at the next turn. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, int64_t deadline_ms);
void wheel_clear(struct wheel *wheel, struct wheel_entry *entry);
/* Turns to now_ms. on_due may set and clear any entry. */
void wheel_turn(struct wheel *wheel, int64_t now_ms, wheel_on_due *on_due, void *context);

#endif
