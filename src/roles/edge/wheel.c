#include "roles/edge/wheel.h"

#include <stdbool.h>

/* The end of each list, so that `next` is NULL only in entries that are in none. */
static struct wheel_entry wheel_end;

void
wheel_init(struct wheel *wheel, int64_t now_ms)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        wheel->slots[i] = &wheel_end;
    }
    wheel->tick = now_ms / WHEEL_TICK_MS;
    wheel->count = 0;
}

static void
slot_insert(struct wheel_entry **slot, struct wheel_entry *entry)
{
    entry->next = *slot;
    entry->back = slot;
    if (*slot != &wheel_end) {
        (*slot)->back = &entry->next;
    }
    *slot = entry;
}

static void
slot_remove(struct wheel_entry *entry)
{
    *entry->back = entry->next;
    if (entry->next != &wheel_end) {
        entry->next->back = entry->back;
    }
    entry->next = NULL;
}

void
wheel_set(struct wheel *wheel, struct wheel_entry *entry, int64_t deadline_ms)
{
    int64_t tick = (deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    int64_t const first = wheel->tick + 1;
    int64_t const last = wheel->tick + (int64_t)WHEEL_SLOTS; /* is looked at again there */
    wheel_clear(wheel, entry);
    tick = tick < first ? first : tick > last ? last : tick;
    entry->deadline_ms = deadline_ms;
    slot_insert(&wheel->slots[(uint64_t)tick % WHEEL_SLOTS], entry);
    wheel->count++;
}

void
wheel_clear(struct wheel *wheel, struct wheel_entry *entry)
{
    if (entry->next != NULL) {
        slot_remove(entry);
        wheel->count--;
    }
}

/*
 * The slot's entries are moved to a list of their own first: what on_due sets anew may come into
 * the same slot, a whole turn ahead, and what it clears must find its place.
 */
static void
wheel_turn_slot(struct wheel *wheel, size_t slot, int64_t now_ms, wheel_on_due *on_due,
                void *context)
{
    struct wheel_entry *list = wheel->slots[slot];
    wheel->slots[slot] = &wheel_end;
    if (list != &wheel_end) {
        list->back = &list;
    }
    while (list != &wheel_end) {
        struct wheel_entry *entry = list;
        wheel_clear(wheel, entry);
        if (entry->deadline_ms <= now_ms) {
            on_due(context, entry);
        } else {
            wheel_set(wheel, entry, entry->deadline_ms);
        }
    }
}

void
wheel_turn(struct wheel *wheel, int64_t now_ms, wheel_on_due *on_due, void *context)
{
    int64_t const target = now_ms / WHEEL_TICK_MS;
    /* After a long pause one whole turn meets every entry; more would meet them again. */
    if (target - wheel->tick > (int64_t)WHEEL_SLOTS) {
        wheel->tick = target - (int64_t)WHEEL_SLOTS;
    }
    while (wheel->tick < target) {
        wheel->tick++;
        wheel_turn_slot(wheel, (size_t)((uint64_t)wheel->tick % WHEEL_SLOTS), now_ms, on_due,
                        context);
    }
}
