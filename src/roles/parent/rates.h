/*
 * rates.h - how many messages a minute: the counters of the roles, looked at every few seconds.
 *
 * Pure: values and the clock come in. A counter that is smaller than it was belongs to a process
 * that was started again; what it shows is new then. Memory is fixed.
 */
#ifndef POSTERN_ROLES_PARENT_RATES_H
#define POSTERN_ROLES_PARENT_RATES_H

#include "ipc/message.h"

/* How often the caller takes a sample. */
#define RATES_INTERVAL_MS   5000
#define RATES_LONG_MS       (5 * 60 * 1000)
#define RATES_SHORT_MS      (60 * 1000)
/* Samples of the long window, and the one before it. */
#define RATES_SAMPLES       (RATES_LONG_MS / RATES_INTERVAL_MS + 2)
/* Processes whose counters are followed: as many as a report has. */
#define RATES_PROCESSES_MAX 80u

enum rate_kind {
    RATE_RECEIVED,  /* messages answered 250 */
    RATE_REFUSED,   /* connections, recipients and messages refused or put off */
    RATE_DELIVERED, /* recipients whose message the next hop has taken */
    RATE_DEFERRED,  /* attempts that ended in another attempt */
    RATE_REJECTED,  /* messages and recipients refused or put off; no connections */
    RATE_FAILED,    /* recipients given up, at once or after their time */
    RATE_COUNT,
};

struct rates_sample {
    int64_t at_ms;
    uint64_t totals[RATE_COUNT];
};

struct rates {
    uint64_t seen[RATES_PROCESSES_MAX][RATE_COUNT]; /* a process's counters when last told */
    uint64_t totals[RATE_COUNT];
    uint64_t day_totals[RATE_COUNT]; /* when the day began */
    int64_t day;                     /* any number that changes with the day; 0: none yet */
    struct rates_sample samples[RATES_SAMPLES]; /* a ring */
    size_t next;
    size_t count;
};

/* All zero is a good beginning; the first sample is taken at once. */

/* Process number `place` has told its metrics. */
void rates_note(struct rates *rates, size_t place, const struct record_metric *metrics, size_t n);
/* Keeps the totals as they are. */
void rates_take(struct rates *rates, int64_t now_ms);
/*
 * Events a minute, in thousandths, in the last window_ms up to now; over the time since the first
 * sample while that is shorter; 0 without a sample.
 */
uint64_t rates_per_minute(const struct rates *rates, enum rate_kind kind, int64_t window_ms,
                          int64_t now_ms);
/* Begins to count anew when the day is another. `day` is not 0. */
void rates_day(struct rates *rates, int64_t day);
/* Events since the day began. */
uint64_t rates_today(const struct rates *rates, enum rate_kind kind);
/* "received", ...; static. */
const char *rate_name(enum rate_kind kind);

#endif
