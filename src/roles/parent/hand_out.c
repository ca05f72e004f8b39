#include "roles/parent/hand_out.h"

#include <signal.h>

#include "ipc/role_table.h"

bool
child_is_up(const struct child *child)
{
    return child->pid > 0 && !child->stopping;
}

static void
hand_over(const struct generation *generation, struct child *child)
{
    child->owed = false;
    if (child_send_material(child, generation->material, generation->listeners) != STATUS_OK ||
        child_send_start(child, generation->number) != STATUS_OK) {
        kill(child->pid, SIGKILL); /* it starts again with the new configuration */
    }
}

void
hand_out(const struct generation *generation, struct child *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct child *child = &children[i];
        if (!child_is_up(child)) {
            continue;
        }
        child->ready = false;
        if ((role_row(child->role)->gets & ROLE_GETS_CERTIFICATES) != 0) {
            child->owed = true;
        } else {
            hand_over(generation, child);
        }
    }
}

void
hand_out_owed(const struct generation *generation, const struct child *ready, uint64_t number,
              struct child *children, size_t count)
{
    if ((role_row(ready->role)->gets & ROLE_GETS_KEYS) == 0 || number != generation->number) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (children[i].owed && child_is_up(&children[i])) {
            hand_over(generation, &children[i]);
        }
    }
}
