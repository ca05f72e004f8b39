/* Who is kept out after failed logins: told, and let in again. */
#include "base/clock.h"
#include "base/log.h"
#include "roles/ledger/internal.h"

/* Locks in one answer (ipc/messages.def). */
#define LOCKS_MAX 500u

void
ledger_on_locks(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct msg_locks *fields = MSG_BODY(message, locks);
    struct throttle_limits limits = ledger_throttle_limits(ledger, NULL);
    struct throttle_lock locks[LOCKS_MAX];
    struct record_lock records[LOCKS_MAX];
    struct msg_locks_reply reply = {.lifted = 0};
    struct asker asker;
    int64_t now_ms = clock_monotonic_ms();
    if (fields->lift) {
        reply.lifted = (uint32_t)throttle_lift(ledger->throttle, fields->who);
        LOG_INFO("locks of failed logins were lifted", LOG_STR("who", fields->who),
                 LOG_INT("lifted", reply.lifted));
    }
    size_t found = throttle_locks(ledger->throttle, &limits, now_ms, LOCKS_MAX, locks);
    size_t shown = found < LOCKS_MAX ? found : LOCKS_MAX;
    for (size_t i = 0; i < shown; i++) {
        records[i] = (struct record_lock){
            .user = locks[i].user,
            .address = locks[i].address,
            .failures = locks[i].failures,
            .until_ms = clock_wall_ms() + locks[i].until_ms - now_ms,
        };
    }
    reply.locks.items = records;
    reply.locks.n = shown;
    reply.more = (uint32_t)(found - shown);
    asker_begin(&ledger->askers, &asker, channel, message);
    asker_end(&ledger->askers, &asker, MSG_LOCKS_REPLY, &reply);
    ipc_message_free(&message);
}
