#include "roles/parent/rates.h"

#include "roles/metrics.h"

static const struct {
    enum role_metric metric;
    enum rate_kind kind;
} rows[] = {
    {ROLE_METRIC_EDGE_MESSAGES_ACCEPTED_TOTAL, RATE_RECEIVED},
    {ROLE_METRIC_EDGE_MESSAGES_REFUSED_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_RECIPIENTS_REFUSED_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_MESSAGES_REFUSED_TOTAL, RATE_REJECTED},
    {ROLE_METRIC_EDGE_RECIPIENTS_REFUSED_TOTAL, RATE_REJECTED},
    {ROLE_METRIC_EDGE_REFUSED_CONNECTIONS_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_ADDRESS_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_NETWORK_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_ADDRESS_RATE_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_NETWORK_RATE_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_TABLE_FULL_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_MEMORY_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_NO_TLS_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_EARLY_TALK_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_EDGE_REFUSED_PROXY_TOTAL, RATE_REFUSED},
    {ROLE_METRIC_RECIPIENTS_DELIVERED_TOTAL, RATE_DELIVERED},
    {ROLE_METRIC_RECIPIENTS_DEFERRED_TOTAL, RATE_DEFERRED},
    {ROLE_METRIC_RECIPIENTS_FAILED_TOTAL, RATE_FAILED},
    {ROLE_METRIC_RECIPIENTS_EXPIRED_TOTAL, RATE_FAILED},
};

const char *
rate_name(enum rate_kind kind)
{
    static const char *const names[RATE_COUNT] = {"received", "refused",  "delivered",
                                                  "deferred", "rejected", "failed"};
    return names[kind];
}

void
rates_note(struct rates *rates, size_t place, const struct record_metric *metrics, size_t n)
{
    uint64_t now[RATE_COUNT] = {0};
    if (place >= RATES_PROCESSES_MAX) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            if (str_eq(metrics[i].name, str_from_cstr(role_metric_row(rows[k].metric)->name))) {
                now[rows[k].kind] += (uint64_t)metrics[i].value;
            }
        }
    }
    for (size_t kind = 0; kind < RATE_COUNT; kind++) {
        uint64_t *seen = &rates->seen[place][kind];
        rates->totals[kind] += now[kind] >= *seen ? now[kind] - *seen : now[kind];
        *seen = now[kind];
    }
}

void
rates_day(struct rates *rates, int64_t day)
{
    if (rates->day != 0 && rates->day != day) {
        memcpy(rates->day_totals, rates->totals, sizeof rates->totals);
    }
    rates->day = day;
}

uint64_t
rates_today(const struct rates *rates, enum rate_kind kind)
{
    return rates->totals[kind] - rates->day_totals[kind];
}

void
rates_take(struct rates *rates, int64_t now_ms)
{
    struct rates_sample *sample = &rates->samples[rates->next];
    sample->at_ms = now_ms;
    memcpy(sample->totals, rates->totals, sizeof sample->totals);
    rates->next = (rates->next + 1) % RATES_SAMPLES;
    rates->count += rates->count < RATES_SAMPLES;
}

uint64_t
rates_per_minute(const struct rates *rates, enum rate_kind kind, int64_t window_ms, int64_t now_ms)
{
    const struct rates_sample *from = NULL;
    for (size_t i = 1; i <= rates->count; i++) {
        from = &rates->samples[(rates->next + RATES_SAMPLES - i) % RATES_SAMPLES];
        if (now_ms - from->at_ms >= window_ms) {
            break;
        }
    }
    if (from == NULL || now_ms <= from->at_ms) {
        return 0;
    }
    uint64_t span_ms = (uint64_t)(now_ms - from->at_ms);
    return (rates->totals[kind] - from->totals[kind]) * 60u * 1000u * 1000u / span_ms;
}
