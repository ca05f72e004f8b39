/*
 * spool_schedule.h - which message is delivered next: fairness among destinations, retries, and how
 * hard one destination is worked. Pure: no files, no clock; `now_ms` is the queue's clock.
 *
 * A destination is the next hop that a recipient's mail takes (spool_destination_key). Destinations
 * with something to do stand in a ring and are served one message each in turn, so a destination
 * with a million messages gets no more turns than one with a single message. Each has
 * - a window: some messages that are due, in memory; the database holds the rest, and the window is
 *   filled again (schedule_wants_fill) before it runs dry;
 * - a limit on deliveries at once, from concurrency_first; it grows with success up to
 *   concurrency_max and shrinks with failure;
 * - a block: when it could not be reached at all, nobody is sent there until a time that grows with
 *   each such failure; then one delivery probes it.
 * Within a destination, of 13 messages 8 are of high priority, 4 normal and 1 bulk, where there are
 * such; the oldest first in each.
 *
 * Memory is bounded: at most `destinations` of them, and windows shrink as their sum grows. Who is
 * idle or blocked can be taken out (schedule_evict) once the database knows when to look again.
 *
 * A message is in here once for each of its destinations, from schedule_offer or schedule_filled
 * until schedule_settled: while it is, it is not taken in again.
 */
#ifndef POSTERN_STORE_SPOOL_SCHEDULE_H
#define POSTERN_STORE_SPOOL_SCHEDULE_H

#include "config/config.h"
#include "store/spool.h"

struct schedule_settings {
    int64_t retry_first_ms;
    int64_t retry_max_ms;
    double retry_factor;
    uint32_t retry_jitter; /* per cent */
    uint32_t concurrency_first;
    uint32_t concurrency_max;
    size_t destinations; /* most in memory */
    size_t entries;      /* messages in all windows, about */
};

/* From the configuration, with the bounds on memory that the program sets itself. */
struct schedule_settings schedule_settings_from(const struct config *config);

/*
 * How long to wait after the attempt number `attempts` (from 1): retry_first times
 * retry_factor^(attempts - 1), at most retry_max, plus or minus retry_jitter per cent. `random`
 * (any number) chooses within the jitter.
 */
int64_t schedule_retry_delay(const struct schedule_settings *settings, uint32_t attempts,
                             uint64_t random);

/*
 * The destination of a recipient: the domain's `delivery`, the route, the smart host, as text, or
 * the recipient's domain where the MX decides. Written to out (at most SPOOL_DESTINATION_MAX
 * octets; what is longer is cut); the returned view is of out.
 */
struct str spool_destination_key(const struct config *config, struct str address,
                                 char out[static SPOOL_DESTINATION_MAX]);

struct schedule;
struct schedule_destination;

/* The settings are copied. NULL without memory. */
[[nodiscard]] struct schedule *schedule_create(const struct schedule_settings *settings);
void schedule_destroy(struct schedule **schedule);
/* New settings after a reload; blocks are lifted, since the routes may have changed. */
void schedule_configure(struct schedule *schedule, const struct schedule_settings *settings);
const struct schedule_settings *schedule_settings(const struct schedule *schedule);

/* Destinations that are remembered; those of them to which nothing is sent now. */
size_t schedule_destination_count(const struct schedule *schedule);
size_t schedule_blocked_count(const struct schedule *schedule, int64_t now_ms);
/* Messages in windows or under way. */
size_t schedule_entry_count(const struct schedule *schedule);

/* NULL: it is not remembered. A destination belongs to the schedule and lasts until evicted. */
struct schedule_destination *schedule_find(struct schedule *schedule, struct str name);
/*
 * The destination, made when it is not there; a new one asks to be filled first. NULL when there is
 * no room: then the database has to remember it.
 */
struct schedule_destination *schedule_get(struct schedule *schedule, struct str name);
struct str schedule_name(const struct schedule_destination *destination);
/* How many deliveries it may have at once. */
uint32_t schedule_concurrency(const struct schedule_destination *destination);
/* Until when nothing is sent there; not after now: not blocked. */
int64_t schedule_blocked_until(const struct schedule_destination *destination);

/* Keeps a destination from being evicted while something that concerns it is on its way to the
 * database. */
void schedule_pin(struct schedule_destination *destination);
void schedule_unpin(struct schedule_destination *destination);
/* Whether the database has a row for it, so that it is found again after a crash. */
bool schedule_has_row(const struct schedule_destination *destination);
void schedule_set_row(struct schedule_destination *destination);

/*
 * A message that has just been committed. True when it went into the window, false when it waits in
 * the database for its turn.
 */
bool schedule_offer(struct schedule *schedule, struct schedule_destination *destination,
                    int64_t message, unsigned rank, int64_t now_ms);

/* The next destination whose window wants filling, and how many of each rank to ask spool_due for;
 * it is then waited for. NULL: none. */
struct schedule_destination *schedule_wants_fill(struct schedule *schedule,
                                                 size_t limits_out[SPOOL_RANKS]);
/*
 * The answer. `stored`: what the database knows of the destination, or NULL. Of *due only those
 * messages are left that were not in yet.
 */
void schedule_filled(struct schedule *schedule, struct schedule_destination *destination,
                     struct spool_due *due, const struct spool_destination *stored, int64_t now_ms);
/* The answer could not be had; it is asked for again later. */
void schedule_fill_failed(struct schedule *schedule, struct schedule_destination *destination,
                          int64_t now_ms);

/* The next delivery; false when there is none now. It counts against the destination's limit. */
bool schedule_next(struct schedule *schedule, int64_t now_ms,
                   struct schedule_destination **destination_out, int64_t *message_out);

/* Whether the message waits in the destination's window. */
bool schedule_is_ready(struct schedule *schedule, struct schedule_destination *destination,
                       int64_t message);

enum schedule_result {
    SCHEDULE_SUCCESS,     /* at least one recipient was taken, or refused for good */
    SCHEDULE_REFUSED,     /* it answered, and all were put off */
    SCHEDULE_UNREACHABLE, /* the destination as a whole could not be reached */
    SCHEDULE_NOTHING,     /* says nothing about the destination: cancelled, or gone */
};
/* A delivery from schedule_next has ended. The message stays until schedule_settled. */
void schedule_ended(struct schedule *schedule, struct schedule_destination *destination,
                    enum schedule_result result, int64_t now_ms);
/* Puts the message of a cancelled delivery back to the front. */
void schedule_put_back(struct schedule *schedule, struct schedule_destination *destination,
                       int64_t message, int64_t now_ms);
/* The results are in the database (or there was nothing to deliver): the message leaves. */
void schedule_settled(struct schedule *schedule, struct schedule_destination *destination,
                      int64_t message);
/* Something of this destination becomes due at due_ms. */
void schedule_due_at(struct schedule *schedule, struct schedule_destination *destination,
                     int64_t due_ms, int64_t now_ms);
/*
 * Why it could not be reached, or what it answered to all; NULL: it is not known, or it has taken
 * something since. Of several deliveries that failed together the one with a server's reply is
 * kept. schedule_note_success tells whether there was a failure to forget.
 */
void schedule_note_failure(struct schedule_destination *destination,
                           const struct spool_attempt *why, int64_t now_ms);
bool schedule_note_success(struct schedule_destination *destination);
/* Whether what the database knows of it has been read. */
bool schedule_is_known(const struct schedule_destination *destination);
const struct spool_failure *schedule_failure(const struct schedule_destination *destination);

/*
 * Pauses: nothing is sent to a destination of that name, whether it is in memory or comes later,
 * until it is resumed. Blocks and windows go on as ever. The texts are copied. False: it is paused
 * already, or there are SPOOL_PAUSES_MAX; it was not paused.
 */
struct schedule_pause;
bool schedule_pause(struct schedule *schedule, const struct spool_pause *pause, int64_t now_ms);
bool schedule_resume(struct schedule *schedule, struct str name, int64_t now_ms);
bool schedule_is_paused(const struct schedule *schedule, struct str name);
bool schedule_has_pauses(const struct schedule *schedule);
size_t schedule_pause_count(const struct schedule *schedule);
/* All of them, one after the other; NULL at the end. */
const struct schedule_pause *schedule_pauses(const struct schedule *schedule);
const struct schedule_pause *schedule_pause_next(const struct schedule_pause *pause);
const struct spool_pause *schedule_pause_get(const struct schedule_pause *pause);

/* Lifts a block (an administrator asks for an attempt now). */
void schedule_unblock(struct schedule *schedule, struct schedule_destination *destination,
                      int64_t now_ms);

/* Ends blocks and notices what has become due; call at least once a second. */
void schedule_tick(struct schedule *schedule, int64_t now_ms);

/*
 * Takes out one destination that has nothing to do for a while: idle for SCHEDULE_IDLE_MS, or, when
 * space is short, any that is idle or blocked. What the database must then be told: with
 * `look_ms_out` INT64_MAX that there is nothing to do for it, else when to look again. False: none.
 */
#define SCHEDULE_IDLE_MS 60000
bool schedule_evict(struct schedule *schedule, int64_t now_ms,
                    char name_out[static SPOOL_DESTINATION_MAX + 1], int64_t *look_ms_out,
                    uint32_t *failures_out);

#endif
