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
    case VERDICT_REROUTED:
        break;
    }
    return NULL;
}

/* ---- the histogram */

struct bucket {
    int64_t most_ms;
    const char *name;
};

#define BUCKET(ms, le)                                                                             \
    {                                                                                              \
        (ms), "delivery_latency_seconds_bucket{le=\"" le "\"}"                                     \
    }
static const struct bucket buckets[SPOOL_LATENCY_BUCKETS] = {
    BUCKET(100, "0.1"),      BUCKET(500, "0.5"),        BUCKET(1000, "1"),
    BUCKET(5000, "5"),       BUCKET(10000, "10"),       BUCKET(30000, "30"),
    BUCKET(60000, "60"),     BUCKET(300000, "300"),     BUCKET(900000, "900"),
    BUCKET(3600000, "3600"), BUCKET(14400000, "14400"), BUCKET(86400000, "86400"),
};

static void
note_latency(struct spool_role *role, int64_t ms)
{
    size_t i = 0;
    while (i < SPOOL_LATENCY_BUCKETS && ms > buckets[i].most_ms) {
        i++;
    }
    role->counts.latency[i]++;
    role->counts.latency_ms += ms > 0 ? (uint64_t)ms : 0;
}

void
outcome_log_latency(const struct spool_role *role, struct role_metrics *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SPOOL_LATENCY_BUCKETS; i++) {
        sum += role->counts.latency[i];
        role_metric_add_named(out, buckets[i].name, (int64_t)sum);
    }
    sum += role->counts.latency[SPOOL_LATENCY_BUCKETS];
    role_metric_add_named(out, "delivery_latency_seconds_bucket{le=\"+Inf\"}", (int64_t)sum);
    role_metric_add_named(out, "delivery_latency_seconds_sum", (int64_t)role->counts.latency_ms);
    role_metric_add_named(out, "delivery_latency_seconds_count", (int64_t)sum);
}

/* ---- lines */

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
        if (result->state == SPOOL_DELIVERED || result->state == SPOOL_RELAYED) {
            note_latency(role, line.delay_ms);
        }
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
