/*
 * internal.h - the inside of the spool role: its state, and what its files do for each other.
 *
 *   spool.c     the role: start, stop, peers, metrics
 *   worker.c    the threads that own the database and the large files
 *   parcel.c    a message in memory
 *   intake.c    a message comes in (MSG_COMMIT, or a notice of our own) and is scheduled
 *   dispatch.c  what is due goes to the relay; leases and their reports
 *   destination.c  destinations are taken up, their windows filled, and let go
 *   load.c      a message is read from the database; who works on which message
 *   damage.c    a message that cannot be read is put aside
 *   outcome.c   what became of recipients is written down
 *   outcome_split.c  what was delivered is written without what failed beside it
 *   tell.c      who is told of it
 *   outcome_log.c  one line of the log for each recipient and outcome
 *   postmaster.c  messages to the postmaster, and how many of them
 *   notice.c    makes the notices (RFC 3464)
 *   notice_sign.c  has the vault sign them
 *   age.c       delay warnings and expiry for mail that nobody tries
 *   control.c   the commands: list, show, act
 *   standing.c  how destinations stand; pauses
 *   text.c      the octets of a message, for an administrator
 *
 * Everything runs in the loop's thread but the `run` functions of jobs. The loop's state is the
 * authority on who is being delivered: a message on which several could work at once (a delivery,
 * an administrator, its expiry) is claimed first.
 */
#ifndef POSTERN_ROLES_SPOOL_INTERNAL_H
#define POSTERN_ROLES_SPOOL_INTERNAL_H

#include "base/hash.h"
#include "ipc/channel.h"
#include "mail/dsn.h"
#include "roles/role.h"
#include "roles/spool/worker.h"
#include "roles/trace_sender.h"
#include "store/spool_schedule.h"

/* Octets of messages kept in memory until they are delivered; the others are read again. */
#define SPOOL_CACHE_OCTETS     (64u * 1024u * 1024u)
/* A cached message that nobody fetched for so long gives way to new ones. */
#define SPOOL_CACHE_AGE_MS     60000
/* Identifiers of messages that left the queue lately: a commit that is repeated is recognised. */
#define SPOOL_FINISHED_IDS     65536u
/* Recipients of one delivery, and octets of their texts (it is one packet between roles). */
#define SPOOL_LEASE_RECIPIENTS 1000u
#define SPOOL_LEASE_OCTETS     (96u * 1024u)
/* Arena of a message: recipients and texts; its octets come on top. */
#define SPOOL_PARCEL_CEILING   (32u * 1024u * 1024u)

/* Limits of the histogram of delivery latencies. */
#define SPOOL_LATENCY_BUCKETS 12u

/* ---- a message in memory */

struct parcel {
    unsigned refs;
    struct spool_message m; /* head and content are views; `content` begins with the body */
    struct ipc_body head;
    struct ipc_body content;
    uint64_t content_offset;
    struct arena *arena;
    struct ipc_message *commit; /* what head and content borrow from, or NULL */
    struct ipc_body_view head_view;
    struct ipc_body_view content_view;
    int head_fd; /* memfds of our own, or -1 */
    int content_fd;
    int64_t cached_ms;
    bool cached;
    struct str only;   /* it has only the recipients of this destination; empty: all */
    UT_hash_handle hh; /* role->cache, by m.key */
};

/* Of a new message; takes `commit` over, also on failure. STATUS_SYNTAX: it makes no sense. */
[[nodiscard]] enum status parcel_from_commit(struct ipc_message *commit,
                                             struct parcel **parcel_out);
/* Of a notice: `m` with all it points to is in `arena`, which becomes the parcel's. */
struct parcel *parcel_from_arena(struct arena *arena, const struct spool_message *m);
/* Makes head and content fit for sending (long ones as memfds). `content_fd`: a memfd with the
 * content, which becomes the parcel's, or -1. */
[[nodiscard]] enum status parcel_prepare(struct parcel *parcel, int content_fd);
/* Puts fields on top of a prepared parcel's head. Not while it is in the cache. */
[[nodiscard]] enum status parcel_put_fields(struct parcel *parcel, struct str fields);
struct parcel *parcel_ref(struct parcel *parcel);
void parcel_unref(struct parcel **parcel);

/* ---- the role's state */

struct lease {
    uint64_t id;
    struct parcel *parcel;
    struct schedule_destination *destination;
    uint32_t *indexes; /* into parcel->m.recipients; owned */
    size_t count;
    bool partial; /* the message has more recipients for this destination */
    int64_t deadline_ms;
    UT_hash_handle hh;
};

/* A message on which somebody works: deliveries (to different destinations) or one claimant. */
struct busy {
    int64_t key;
    unsigned deliveries;
    bool claimed;
    UT_hash_handle hh;
};

/* A command that waits for its answer; its channel may go away meanwhile. */
struct asker {
    struct channel *channel; /* NULL: it has gone */
    uint64_t request;
    struct asker *prev;
    struct asker *next;
};

struct finished_id {
    char id[ID_LENGTH];
    UT_hash_handle hh;
};

/* What the postmaster is told of failures within some time (postmaster.c). */
struct postmaster_window {
    int64_t since_ms;  /* monotonic; 0: nothing lately */
    unsigned single;   /* notices of one message each */
    uint64_t messages; /* gathered in the database */
    size_t octets;     /* of what is said of them */
    bool overdue;      /* gathered before a restart: told at once */
    bool telling;      /* a message about what was gathered is being made */
};

struct spool_role {
    struct role_runtime *runtime;
    struct spool *spool; /* until the worker has it */
    struct worker *worker;
    struct queue_clock clock;
    struct schedule *schedule;
    struct trace_sender *traces;
    struct vault_client *vault; /* signs notices */
    unsigned signing;           /* outcomes that wait for it */
    struct outcome_job *parked; /* hash: failures that wait for other deliveries of their message */
    struct event *timer;
    int64_t started_ms;    /* the queue's clock */
    unsigned damaged_logs; /* copies of them, when the queue was opened */
    bool stopping;
    int64_t stop_by_ms; /* monotonic */

    struct parcel *cache; /* hash by key, in order of arrival */
    size_t cache_octets;
    struct finished_id *finished; /* hash; also a ring, oldest first */

    uint32_t filter_epoch; /* counts the filter's lives: who died gets no answer */

    bool relay_up;
    uint32_t relay_total; /* deliveries that it takes in all */
    bool relay_paused;    /* it could not be sent one; until it says what it takes */
    uint32_t outstanding; /* loads and leases */
    uint64_t last_lease;
    struct lease *leases; /* hash by id, in order of age */
    size_t fills;         /* questions for due messages that are under way */

    struct spool_destination wake_cursor;
    char wake_name[SPOOL_DESTINATION_MAX + 1];
    bool waking;

    struct busy *busy; /* hash by key */
    struct asker *askers;

    int64_t expire_cursor;
    int64_t warn_cursor;
    int64_t age_next_ms;
    int64_t damage_told_ms; /* when the postmaster was told of damage; monotonic, 0: never */
    bool ageing;
    struct postmaster_window postmaster;

    struct {
        /* Of delivered recipients: how many took at most so long (outcome_log.c), not cumulated;
         * the last one took longer. */
        uint64_t latency[SPOOL_LATENCY_BUCKETS + 1];
        uint64_t latency_ms; /* of all of them together */
        uint64_t committed, refused, duplicates, notices, notices_suppressed, deferrals, delivered,
            failed, expired;
    } counts;
};

static inline int64_t
role_now(const struct spool_role *role)
{
    return queue_clock_now(&role->clock);
}

/* The wall clock's time for a moment of the queue's clock, for people. */
int64_t role_wall(const struct spool_role *role, int64_t queue_ms);

/* ---- parcel.c: the cache */

/* Keeps a message until it is delivered, unless there is no room. */
void cache_add(struct spool_role *role, struct parcel *parcel);
/* The message with its recipients of that destination; borrowed; NULL: it must be loaded. */
struct parcel *cache_find(struct spool_role *role, int64_t key, struct str destination);
void cache_drop(struct spool_role *role, int64_t key);
void cache_clear(struct spool_role *role);

/* ---- intake.c */

/* Where a new message goes; made before its insertion, used after it. */
struct target {
    struct str name;
    struct schedule_destination *destination; /* pinned; NULL: there was no room */
    bool wake;                                /* the database needs a row for it */
    UT_hash_handle hh;
};

struct intake {
    struct parcel *parcel;
    struct target *targets; /* in the parcel's arena */
    struct target *by_name; /* hash of them, while they are made */
    size_t target_count;
    bool duplicate;
};

/* MSG_COMMIT; owns the message. Answered when it is on disk. */
void intake_commit(struct spool_role *role, struct channel *channel, struct ipc_message *message);
/* Finds out the destinations of the parcel's recipients. The parcel becomes the intake's. */
void intake_prepare(struct spool_role *role, struct intake *intake, struct parcel *parcel);
/* In the worker's thread, within a transaction. */
[[nodiscard]] enum status intake_insert(struct intake *intake, struct spool *spool, int64_t now_ms);
/* After the commit, or with `committed` false after it failed. */
void intake_finish(struct spool_role *role, struct intake *intake, bool committed);
bool finished_contains(struct spool_role *role, struct str id);
void finished_add(struct spool_role *role, struct str id);

/* ---- dispatch.c */

/* Sends what may be sent; call whenever something has changed. */
void dispatch(struct spool_role *role);
/* MSG_DELIVERY_REPORT; owns the message. */
void dispatch_report(struct spool_role *role, struct channel *channel, struct ipc_message *message);
/* The relay has gone: everything that was leased to it is due again. */
void dispatch_relay_lost(struct spool_role *role);
/* Leases that have lasted too long, destinations to look at; once a tick. */
void dispatch_tick(struct spool_role *role);

/* ---- load.c: who works on what */

/* A delivery begins: false when the message is claimed. */
bool delivery_enter(struct spool_role *role, int64_t key);
void delivery_leave(struct spool_role *role, int64_t key);
/* Claims a message for something other than delivery; false when somebody has it. */
bool claim_take(struct spool_role *role, int64_t key);
void claim_release(struct spool_role *role, int64_t key);
bool is_being_delivered(const struct spool_role *role, int64_t key);
unsigned deliveries_under_way(const struct spool_role *role, int64_t key);
/* Being delivered or claimed. */
bool is_busy(const struct spool_role *role, int64_t key);

/* ---- damage.c */

/* What stands with a recipient of it. `final`: it will not be delivered. RFC 3463 3.4: X.3.0. */
struct spool_attempt damage_attempt(const struct spool_role *role, bool final);
/*
 * Holds all of a message of which the octets on disk are damaged, unless somebody has it now; its
 * sender is told of the delay, and the postmaster. It stays until an administrator repairs and
 * releases it, bounces or removes it, or until its lifetime ends: then its sender gets it back.
 */
void damage_hold(struct spool_role *role, int64_t key);

/* ---- destination.c */

/* Where mail for this address goes: by the configuration, but to its own domain while that is
 * paused. Written to out. */
struct str destination_of(const struct spool_role *role, struct str address,
                          char out[static SPOOL_DESTINATION_MAX]);
/* Why a recipient has not got its mail: its own last attempt, or that its destination could not be
 * reached. Empty when there was neither. The texts are borrowed, at most until the loop goes on. */
struct spool_attempt destination_reason(const struct spool_role *role,
                                        const struct spool_recipient *recipient);

/* Asks the database for what is due where windows run dry. */
void destinations_fill(struct spool_role *role);
/* Takes up destinations whose time has come. */
void destinations_wake(struct spool_role *role);
/* Lets go of those that have nothing to do. */
void destinations_evict(struct spool_role *role);
/* Recipients of a loaded message that by the configuration of now belong to other destinations get
 * them, here and in the database. */
void destinations_rehome(struct spool_role *role, struct parcel *parcel);

/* ---- outcome.c */

enum verdict_kind {
    VERDICT_DELIVERED,
    VERDICT_RELAYED,
    VERDICT_RELAYED_WITHOUT_DSN,
    VERDICT_DEFERRED, /* expires or is warned about when it is time */
    VERDICT_FAILED,
    VERDICT_EXPIRED, /* by age alone, without an attempt */
    VERDICT_WARN,    /* the delay is told, nothing else changes */
    VERDICT_HELD,
    VERDICT_RELEASED,
    VERDICT_FLUSHED,
    VERDICT_REMOVED,
    VERDICT_DAMAGED, /* it is held */
    VERDICT_REROUTED,
};

struct verdict {
    uint32_t index; /* into parcel->m.recipients */
    enum verdict_kind kind;
    struct spool_attempt last; /* for attempts; else empty */
};

/* Called when the results are on disk, or with false when they never will be. */
typedef void outcome_done(struct spool_role *role, void *context, struct parcel *parcel,
                          bool written);

struct verdict_list {
    const struct verdict *items; /* at most one for a recipient */
    size_t count;
    struct str by; /* the administrator, for commands */
    struct str to; /* VERDICT_REROUTED: where; empty: as the configuration says */
    /* After an attempt, or NULL: what is known of the destination from now on has to be kept. */
    const struct schedule_destination *attempted;
};

/*
 * Writes down what became of recipients, together with the notices that follow from it, and traces
 * it. The parcel and the list stay the caller's.
 */
void outcome_write(struct spool_role *role, struct parcel *parcel,
                   const struct verdict_list *verdicts, outcome_done *done, void *context);
/* The same for a list whose failures may wait, all of it, for other deliveries of the message. */
void outcome_write_part(struct spool_role *role, struct parcel *parcel,
                        const struct verdict_list *verdicts, outcome_done *done, void *context);

/* ---- outcome_log.c: the log lines (trace/outcome_line.h), and how long deliveries took */

struct outcome_log {
    uint32_t recipient; /* index into the message's recipients */
    enum verdict_kind kind;
    const struct spool_result *result; /* as it was written */
    int64_t now_ms;                    /* when it was decided; the queue's clock */
};

/* After the results are on disk. `by`: the administrator, or empty. */
void outcome_log_write(struct spool_role *role, const struct spool_message *m,
                       const struct outcome_log *lines, size_t count, struct str by);
/* A message that policy holds has come in: one line for each of its recipients. */
void outcome_log_quarantined(struct spool_role *role, const struct spool_message *m);
/* The histogram. */
void outcome_log_latency(const struct spool_role *role, struct role_metrics *out);

/* Writes what has waited long enough for other deliveries of its message, or all of it. */
void outcome_tick(struct spool_role *role, bool all);
/* A copy in the arena; its text is cut at SPOOL_REPLY_TEXT_MAX. */
struct spool_attempt attempt_copy(struct arena *arena, const struct spool_attempt *attempt);

/* ---- notice.c */

/* What one notice speaks of. */
struct notice_subject {
    const struct parcel *about;
    enum dsn_kind kind;
    struct str sender;         /* of `about`, where that is another one than it says itself */
    struct str why_postmaster; /* empty: to the sender of `about`; else to the postmaster (dsn.h) */
    const struct dsn_recipient *recipients;
    size_t count;
};

/* True when the sender of a message is one of our rewriting that only the vault can read. */
bool notice_sender_is_short(const struct spool_message *m);

/* A notice as a parcel; NULL (logged) when it cannot be made. */
struct parcel *notice_make(struct spool_role *role, const struct notice_subject *subject);

/* A mail to our postmaster, as a parcel with its recipients; NULL (logged) when it cannot be made.
 */
struct parcel *notice_to_postmaster(struct spool_role *role, struct str subject, struct str text);

/* ---- postmaster.c */

/* A mail of our own to the postmaster; false (logged) when it cannot be made. */
bool postmaster_tell(struct spool_role *role, struct str subject, struct str text);
/* Tells what is gathered when it is time, or at once; true when there was something to tell. */
bool postmaster_tick(struct spool_role *role, bool at_once);

/* ---- notice_sign.c */

typedef void notice_signed(struct spool_role *role, void *context);
/*
 * Puts DKIM signatures on notices, as far as the vault has keys for the host name or a domain above
 * it, then calls `done`, at once when there is nothing to ask. The array stays the caller's, and
 * must live until then.
 */
void notice_sign(struct spool_role *role, struct parcel **notices, size_t count,
                 notice_signed *done, void *context);

/* ---- age.c, control.c */

void age_tick(struct spool_role *role);
void control_message(struct spool_role *role, struct channel *channel, struct ipc_message *message);
/* A command waits for its answer; it is answered, if its channel is still there, and forgotten. */
void asker_enter(struct spool_role *role, struct asker *asker, struct channel *channel,
                 uint64_t request);
void asker_answer(struct spool_role *role, struct asker *asker, enum msg_type type,
                  const void *fields);
/* standing.c: MSG_QUEUE_STANDING and MSG_QUEUE_PAUSE; text.c: MSG_QUEUE_TEXT. */
void standing_message(struct spool_role *role, struct channel *channel,
                      struct ipc_message *message);
void text_message(struct spool_role *role, struct channel *channel, struct ipc_message *message);
/* The channel is about to be destroyed, or belongs to another process from now on. */
void control_asker_gone(struct spool_role *role, const struct channel *channel);

/* ---- jobs that load a message */

typedef void loaded(struct spool_role *role, void *context, enum status status,
                    struct parcel *parcel);
enum load_what {
    LOAD_ENVELOPE, /* no octets */
    LOAD_NOTICE, /* what a notice may return: not content that is in a file, nor what is damaged */
    LOAD_ALL,
};
/* In the worker's thread: a parcel as load_parcel gives it, but that content in a file is not there
 * yet. */
[[nodiscard]] enum status load_in_worker(struct spool *spool, int64_t key,
                                         const struct spool_choice *choice, enum load_what what,
                                         struct parcel **parcel_out);
/* The recipients that one delivery may take. */
struct spool_choice load_choice_due(struct str destination, int64_t now_ms);
/* Loads a message with the chosen recipients; `destination` of the choice is copied. The callee
 * owns the parcel. STATUS_NOT_FOUND: it is not there, or none of its recipients fits;
 * STATUS_SYNTAX: its octets on disk are damaged. */
void load_parcel(struct spool_role *role, int64_t key, const struct spool_choice *choice,
                 enum load_what what, loaded *on_loaded, void *context);

#endif
