/* A message that cannot be read is put aside: nobody gets a part of it, and nothing waits for it.
 */
#include <stdlib.h>

#include "base/log.h"
#include "roles/spool/internal.h"

struct damaged {
    int64_t key;
};

static void
on_held(struct spool_role *role, void *context, struct parcel *parcel, bool written)
{
    struct damaged *damaged = context;
    (void)parcel;
    (void)written; /* if not, it is found to be damaged again */
    claim_release(role, damaged->key);
    free(damaged);
}

static void
on_envelope(struct spool_role *role, void *context, enum status status, struct parcel *parcel)
{
    struct damaged *damaged = context;
    size_t n = 0;
    size_t count = status == STATUS_OK ? parcel->m.recipient_count : 0;
    struct verdict *verdicts = calloc(count + 1, sizeof *verdicts);
    for (size_t i = 0; verdicts != NULL && i < count; i++) {
        enum spool_state state = parcel->m.recipients[i].state;
        if (state == SPOOL_QUEUED || state == SPOOL_DEFERRED) {
            verdicts[n++] =
                (struct verdict){.index = (uint32_t)i,
                                 .kind = VERDICT_DAMAGED,
                                 .last = {.at_ms = role_now(role),
                                          .text = STR("its octets in the queue are damaged")}};
        }
    }
    if (n > 0) {
        const struct verdict_list list = {.items = verdicts, .count = n};
        LOG_ERROR("a queued message is damaged on the disk and is held; bounce or remove it",
                  LOG_STR("id", parcel->m.id), LOG_STR("sender", parcel->m.sender),
                  LOG_INT("size", parcel->m.size));
        outcome_write(role, parcel, &list, on_held, damaged);
    } else {
        on_held(role, damaged, parcel, false);
    }
    free(verdicts);
    parcel_unref(&parcel);
}

bool
damage_hold(struct spool_role *role, int64_t key)
{
    const struct spool_choice all = {
        .due_ms = INT64_MAX, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};
    if (!claim_take(role, key)) {
        return false;
    }
    struct damaged *damaged = calloc(1, sizeof *damaged);
    if (damaged == NULL) {
        abort();
    }
    damaged->key = key;
    load_parcel(role, key, &all, LOAD_ENVELOPE, on_envelope, damaged);
    return true;
}
