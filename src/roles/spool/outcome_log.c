#include "roles/spool/internal.h"
#include "trace/outcome_line.h"

/* NULL: what happened is no outcome (a delay notice, an attempt asked for). */
static const char *
event_name(enum verdict_kind kind, enum spool_state state)
{
    if (state == SPOOL_HELD && kind != VERDICT_WARN) {
        return "held";
    }
    switch (kind) {
    case VERDICT_DELIVERED:
    case VERDICT_RELAYED:
    case VERDICT_RELAYED_WITHOUT_DSN:
        return "delivered";
    case VERDICT_FAILED:
        return "bounced";
    case VERDICT_DEFERRED:
    case VERDICT_EXPIRED:
        return state == SPOOL_EXPIRED ? "expired" : "deferred";
    case VERDICT_HELD:
    case VERDICT_DAMAGED:
        return "held";
    case VERDICT_RELEASED:
        return "released";
    case VERDICT_REMOVED:
        return "removed";
    case VERDICT_WARN:
    case VERDICT_FLUSHED:
        break;
    }
    return NULL;
}

static struct outcome_line
line_of(struct spool_role *role, const struct spool_message *m, const struct spool_recipient *r,
        int64_t now_ms)
{
    return (struct outcome_line){
        .id = m->id,
        .from = m->sender,
        .to = r->address,
        .orig = r->original,
        .delay_ms = role_wall(role, now_ms) - m->received_ms,
    };
}

void
outcome_log_write(struct spool_role *role, const struct spool_message *m,
                  const struct outcome_log *lines, size_t count, struct str by)
{
    for (size_t i = 0; i < count; i++) {
        const struct spool_result *result = lines[i].result;
        const char *event = event_name(lines[i].kind, result->state);
        if (event == NULL) {
            continue;
        }
        struct outcome_line line =
            line_of(role, m, &m->recipients[lines[i].recipient], lines[i].now_ms);
        line.event = event;
        line.relay = result->last.remote;
        line.code = result->last.code;
        line.enhanced = result->last.enhanced;
        line.reply = result->last.text;
        line.by = by;
        line.reason = lines[i].kind == VERDICT_DAMAGED ? "damaged" : NULL;
        if (result->state == SPOOL_DEFERRED && lines[i].kind == VERDICT_DEFERRED) {
            line.attempts = result->attempts;
            line.next_ms = result->due_ms - lines[i].now_ms;
        }
        outcome_line_write(&line);
    }
}

void
outcome_log_quarantined(struct spool_role *role, const struct spool_message *m)
{
    char reason[64];
    snprintf(reason, sizeof reason, "%.*s", STR_ARG(str_head(m->hold, sizeof reason - 1)));
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct outcome_line line = line_of(role, m, &m->recipients[i], role_now(role));
        line.event = "quarantined";
        line.reason = reason;
        line.by = STR("policy");
        outcome_line_write(&line);
    }
}
