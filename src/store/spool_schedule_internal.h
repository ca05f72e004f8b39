/*
 * spool_schedule_internal.h - the inside of the schedule: its destinations and ring
 * (spool_schedule.c), and the windows on what is due for each of them (spool_window.c).
 */
#ifndef POSTERN_STORE_SPOOL_SCHEDULE_INTERNAL_H
#define POSTERN_STORE_SPOOL_SCHEDULE_INTERNAL_H

#include <uthash.h>

#include "store/spool_schedule.h"

enum entry_state {
    ENTRY_READY,  /* in its destination's window */
    ENTRY_ACTIVE, /* being delivered, or its results on their way to the database */
};

struct entry_key {
    int64_t message;
    struct schedule_destination *destination;
};

struct entry {
    struct entry_key key;
    enum entry_state state;
    unsigned rank;
    struct entry *prev;
    struct entry *next;
    UT_hash_handle hh;
};

/* In the order in which they came; the oldest first. */
struct entry_list {
    struct entry *first;
    struct entry *last;
};

struct schedule_destination {
    struct entry_list ready[SPOOL_RANKS];
    size_t ready_count;
    size_t entry_count; /* ready and active */
    unsigned turn;      /* of the ranks' pattern */
    unsigned running;   /* deliveries now */
    double limit;
    uint32_t failures;
    int64_t blocked_until_ms;
    int64_t next_due_ms;   /* of what is only in the database */
    int64_t idle_since_ms; /* last time that something happened */
    unsigned pins;
    bool has_row;
    bool known;       /* it was filled once: what the database knew of it is in here */
    bool more;        /* the database has due messages that are not in the window */
    bool filling;     /* the database is being asked */
    bool late_comers; /* something was committed while it was being asked */
    bool fill_waits;  /* the last fill brought nothing new: ask again after something settled */
    bool in_ring;
    bool paused;
    struct spool_failure *failure;     /* why it could not be reached; NULL: it could */
    struct schedule_destination *prev; /* the ring */
    struct schedule_destination *next;
    UT_hash_handle hh;
    size_t name_length;
    char name[];
};

struct schedule_pause {
    struct spool_pause pause; /* its texts are those that follow */
    char name_text[SPOOL_DESTINATION_MAX];
    char by_text[320];
    UT_hash_handle hh;
};

struct schedule {
    struct schedule_settings settings;
    struct schedule_destination *destinations; /* hash by name, in order of arrival */
    struct schedule_destination *ring;         /* those that can be served now */
    struct entry *entries;
    struct schedule_pause *pauses;          /* hash by name */
    struct schedule_destination *fill_from; /* where the search for fills goes on */
    bool fill_wanted;                       /* perhaps */
};

/* ---- spool_schedule.c */

/* Puts the destination into the ring or takes it out, as it is now. */
void schedule_ring_update(struct schedule *schedule, struct schedule_destination *d,
                          int64_t now_ms);

/* ---- spool_schedule_pause.c */

void schedule_forget_pauses(struct schedule *schedule);

/* ---- spool_window.c */

/* The entry of a message for a destination, or NULL. */
struct entry *window_find(struct schedule *schedule, struct schedule_destination *d,
                          int64_t message);
/* Takes the next one to be served out of a window; it is active from then on. NULL: it is empty. */
struct entry *window_take(struct schedule_destination *d);
/* Puts an active entry back to the front. */
void window_put_back(struct schedule_destination *d, struct entry *e);
/* Forgets an entry, wherever it is. */
void window_forget(struct schedule *schedule, struct entry *e);
/* Forgets all that wait in a destination's window. */
void window_clear(struct schedule *schedule, struct schedule_destination *d);

#endif
