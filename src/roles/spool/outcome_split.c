/*
 * What was delivered is written at once. Failures of a message wait a moment for its other
 * deliveries, to share a notice (outcome.c); if a power cut came in that moment, what was delivered
 * beside them would be delivered again.
 */
#include <stdlib.h>

#include "roles/spool/internal.h"

/* A list that is written in two parts; done when both are. */
struct split {
    outcome_done *done;
    void *context;
    unsigned left;
    bool written;
};

static void
on_part(struct spool_role *role, void *context, struct parcel *parcel, bool written)
{
    struct split *split = context;
    split->written &= written;
    if (--split->left == 0) {
        split->done(role, split->context, parcel, split->written);
        free(split);
    }
}

static bool
is_delivered(const struct verdict *v)
{
    return v->kind == VERDICT_DELIVERED || v->kind == VERDICT_RELAYED ||
           v->kind == VERDICT_RELAYED_WITHOUT_DSN;
}

static size_t
count_delivered(const struct verdict_list *verdicts)
{
    size_t n = 0;
    for (size_t i = 0; i < verdicts->count; i++) {
        n += is_delivered(&verdicts->items[i]);
    }
    return n;
}

static void
write_two(struct spool_role *role, struct parcel *parcel, const struct verdict_list *verdicts,
          size_t delivered, struct split *split)
{
    struct verdict *items = calloc(verdicts->count, sizeof *items);
    if (items == NULL) {
        abort();
    }
    struct verdict_list good = *verdicts, rest = *verdicts;
    size_t good_n = 0, rest_n = delivered;
    for (size_t i = 0; i < verdicts->count; i++) {
        items[is_delivered(&verdicts->items[i]) ? good_n++ : rest_n++] = verdicts->items[i];
    }
    good.items = items;
    good.count = delivered;
    rest.items = items + delivered;
    rest.count = verdicts->count - delivered;
    rest.attempted = NULL; /* it is written with the first part */
    outcome_write_part(role, parcel, &good, on_part, split);
    outcome_write_part(role, parcel, &rest, on_part, split);
    free(items);
}

void
outcome_write(struct spool_role *role, struct parcel *parcel, const struct verdict_list *verdicts,
              outcome_done *done, void *context)
{
    size_t delivered = count_delivered(verdicts);
    bool mixed = delivered > 0 && delivered < verdicts->count;
    if (!mixed || deliveries_under_way(role, parcel->m.key) < 2) {
        outcome_write_part(role, parcel, verdicts, done, context); /* nothing will wait */
        return;
    }
    struct split *split = calloc(1, sizeof *split);
    if (split == NULL) {
        abort();
    }
    *split = (struct split){.done = done, .context = context, .left = 2, .written = true};
    write_two(role, parcel, verdicts, delivered, split);
}
