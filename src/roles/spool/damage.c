/* A message that cannot be read is put aside: nobody gets a part of it, and nothing waits for it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/spool/internal.h"

/* A failing disk damages many: the postmaster hears of the first, and then once in so long. */
#define TELL_AGAIN_MS 3600000
#define TELL_CEILING  4096u

struct damaged {
    int64_t key;
};

struct spool_attempt
damage_attempt(const struct spool_role *role, bool final)
{
    return (struct spool_attempt){
        .at_ms = role_now(role),
        .enhanced = final ? STR("5.3.0") : STR("4.3.0"),
        .text = final ? STR("the message was damaged on our disk; please send it again")
                      : STR("the message is damaged on our disk and is held"),
    };
}

/* ---- the postmaster */

static void
tell_postmaster(struct spool_role *role, const struct spool_message *m)
{
    int64_t now = clock_monotonic_ms();
    bool told_lately = role->damage_told_ms > 0 && now - role->damage_told_ms < TELL_AGAIN_MS;
    if (role_config(role->runtime)->bounce.postmaster.text.n == 0 || told_lately) {
        return;
    }
    struct arena *arena = arena_create(TELL_CEILING);
    struct str text = arena_printf(
        arena,
        "A message in the mail queue is damaged on the disk. It is held, and nobody gets it.\r\n"
        "\r\n"
        "  Message  %.*s\r\n"
        "  Size     %llu octets\r\n"
        "\r\n"
        "There may be more: see \"postern status\" and the log. Look after the disk first. Then\r\n"
        "put a backup of the message in its place and release it, or give it up; if you do\r\n"
        "neither, its sender is told at the end of its lifetime.\r\n"
        "\r\n"
        "  postern queue show %.*s\r\n"
        "  postern queue release %.*s\r\n"
        "  postern queue bounce %.*s\r\n",
        STR_ARG(m->id), (unsigned long long)m->size, STR_ARG(m->id), STR_ARG(m->id),
        STR_ARG(m->id));
    if (postmaster_tell(role, STR("A queued message is damaged on the disk"), text)) {
        role->damage_told_ms = now;
    }
    arena_destroy(&arena);
}

/* ---- the message */

static void
on_held(struct spool_role *role, void *context, struct parcel *parcel, bool written)
{
    struct damaged *damaged = context;
    (void)written; /* if not, it is found to be damaged again */
    (void)parcel;
    claim_release(role, damaged->key);
    free(damaged);
}

static void
hold(struct spool_role *role, struct parcel *parcel, struct damaged *damaged)
{
    const struct spool_message *m = &parcel->m;
    struct verdict *verdicts = calloc(m->recipient_count, sizeof *verdicts);
    size_t n = 0;
    for (size_t i = 0; verdicts != NULL && i < m->recipient_count; i++) {
        enum spool_state state = m->recipients[i].state;
        if (state == SPOOL_QUEUED || state == SPOOL_DEFERRED) {
            verdicts[n++] = (struct verdict){
                .index = (uint32_t)i, .kind = VERDICT_DAMAGED, .last = damage_attempt(role, false)};
        }
    }
    if (n > 0) {
        const struct verdict_list list = {.items = verdicts, .count = n};
        LOG_ERROR("a queued message is damaged on the disk and is held: put a backup in its place "
                  "and release it, or bounce or remove it",
                  LOG_STR("id", m->id), LOG_STR("sender", m->sender), LOG_INT("size", m->size));
        outcome_write(role, parcel, &list, on_held, damaged);
        tell_postmaster(role, m);
    } else {
        on_held(role, damaged, parcel, false);
    }
    free(verdicts);
}

static void
on_envelope(struct spool_role *role, void *context, enum status status, struct parcel *parcel)
{
    struct damaged *damaged = context;
    if (status == STATUS_OK) {
        hold(role, parcel, damaged);
    } else {
        LOG_ERROR("a queued message is damaged on the disk, and cannot be held now",
                  LOG_INT("key", damaged->key), LOG_CSTR("status", status_name(status)));
        on_held(role, damaged, parcel, false);
    }
    parcel_unref(&parcel);
}

void
damage_hold(struct spool_role *role, int64_t key)
{
    const struct spool_choice all = {
        .due_ms = INT64_MAX, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};
    if (!claim_take(role, key)) {
        return;
    }
    struct damaged *damaged = calloc(1, sizeof *damaged);
    if (damaged == NULL) {
        abort();
    }
    damaged->key = key;
    load_parcel(role, key, &all, LOAD_ENVELOPE, on_envelope, damaged);
}
