/*
 * spool.h - the mail queue on disk: messages, their recipients and what is planned for them, in an
 * SQLite database. It knows no roles, no sockets and no threads.
 *
 * Who uses it: the spool role, from the one thread that owns the database (src/roles/spool/). All
 * times are milliseconds of the queue's clock (spool_clock_start), which never goes back.
 *
 * Durability: WAL with synchronous=FULL. Changes are made between spool_begin and spool_commit;
 * when spool_commit returns STATUS_OK they survive a power cut. Many messages share one commit
 * (measured here: 2,800 messages/s one by one, over 15,000/s at 40 a commit). The database is
 * opened in exclusive mode: a second process that opens the same queue gets STATUS_DENIED.
 *
 * The octets of small messages are in the database. From SPOOL_LOG_FROM on they are in the body log
 * (store/spool_bodies.h), which spool_commit writes and syncs before it commits. Content above
 * SPOOL_FILE_ABOVE is in <directory>/large/<id>, written and synced by the caller before the commit
 * that mentions it (spool_file_write); files without a message are deleted at start.
 *
 * Layout: `message` and `recipient` are small rows in order of age, `body` holds the octets of
 * small messages and the heads of large ones, `segment` says what is in use of the body log,
 * `destination` one row for each destination with something to do and when to look at it next. The
 * index recipient_due serves the only question that is asked often, "what is due for this
 * destination"; nothing at start reads more than a few rows, however long the queue is. Leases are
 * not stored: after a crash everything that was leased is due again.
 *
 * A database that is damaged is never silently replaced: spool_open says what is wrong and leaves
 * it where it is (doc/decisions/0003-mail-queue.md); so is one whose log has lost transactions that
 * were acknowledged, for SQLite would drop them without a word. A database of an older schema
 * version is upgraded, one of a newer version refused.
 *
 * Errors: STATUS_LIMIT: no room on the disk; STATUS_IO: the disk or the database failed (also
 * spool_error); STATUS_NOT_FOUND; STATUS_BUG. After an error in a transaction call spool_rollback.
 */
#ifndef POSTERN_STORE_SPOOL_H
#define POSTERN_STORE_SPOOL_H

#include "base/arena.h"
#include "base/random.h"
#include "store/delivery.h"

/* Messages with so many octets of head and content go to the body log (store/spool_bodies.h). */
#ifndef SPOOL_LOG_FROM
#define SPOOL_LOG_FROM 8192u
#endif
/* Content above this goes to a file of its own. */
#define SPOOL_FILE_ABOVE      (1024u * 1024u)
/* A whole-file check is made at start up to this size of the database; above it only the parts
 * that are needed to begin are read, unless an earlier run has seen damage. */
#define SPOOL_CHECK_MAX       (256u * 1024u * 1024u)
/* Recipients of one message. */
#define SPOOL_RECIPIENTS_MAX  10000u
/* Longest text of a reply that is kept with a recipient, its status, and who gave it. */
#define SPOOL_REPLY_TEXT_MAX  480u
#define SPOOL_ENHANCED_MAX    12u
#define SPOOL_REMOTE_MAX      300u
/* Longest path of the directory. */
#define SPOOL_DIRECTORY_MAX   3500u
#define SPOOL_DESTINATION_MAX 300u

/* Where a recipient stands. Numbers are in databases and messages: never change them. */
enum spool_state {
    SPOOL_QUEUED = 0,   /* not tried yet */
    SPOOL_DEFERRED = 1, /* tried, will be tried again */
    SPOOL_HELD = 2,     /* waits for an administrator */
    SPOOL_DELIVERED = 3,
    SPOOL_RELAYED = 4,
    SPOOL_FAILED = 5,
    SPOOL_EXPIRED = 6,
    SPOOL_REMOVED = 7, /* by an administrator, nobody was told */
    SPOOL_LEASED = 8,  /* being delivered now; only shown, never stored */
};
#define SPOOL_STATE_COUNT 9u

/* "queued", "deferred", ...; static, never NULL. */
const char *spool_state_name(enum spool_state state);
/* The state of that name, or SPOOL_STATE_COUNT. */
unsigned spool_state_find(struct str name);
/* Nothing more will happen to this recipient. */
static inline bool
spool_state_is_final(enum spool_state state)
{
    return state >= SPOOL_DELIVERED && state <= SPOOL_REMOVED;
}

/* MSG_QUEUE_ACT.action */
enum spool_action {
    SPOOL_ACT_FLUSH = 0,   /* try now */
    SPOOL_ACT_HOLD = 1,    /* wait until released */
    SPOOL_ACT_RELEASE = 2, /* the opposite */
    SPOOL_ACT_BOUNCE = 3,  /* fail now, the sender is told */
    SPOOL_ACT_REMOVE = 4,  /* forget, nobody is told */
    SPOOL_ACT_REROUTE = 5, /* to another next hop, now */
};

/* What was done last for a recipient. */
struct spool_attempt {
    int64_t at_ms; /* 0: never */
    uint16_t code; /* SMTP reply, 0: none */
    struct str enhanced;
    struct str text;
    struct str remote;
};

/* The same with its texts, for what outlives an arena. */
struct spool_failure {
    int64_t at_ms; /* 0: there was none */
    uint16_t code;
    uint8_t enhanced_n;
    uint16_t text_n;
    uint16_t remote_n;
    char enhanced[SPOOL_ENHANCED_MAX];
    char text[SPOOL_REPLY_TEXT_MAX];
    char remote[SPOOL_REMOTE_MAX];
};
/* Copies; what is too long is cut. */
void spool_failure_set(struct spool_failure *failure, const struct spool_attempt *attempt);
/* A view of it. */
struct spool_attempt spool_failure_view(const struct spool_failure *failure);

struct spool_recipient {
    uint32_t number; /* within the message, from 0 */
    struct str address;
    struct str original;
    struct str orcpt; /* as received (xtext) */
    uint8_t notify;   /* set of enum smtp_dsn_notify */
    struct str destination;
    enum spool_state state;
    int64_t due_ms; /* queued, deferred: when it is tried; else not used */
    uint32_t attempts;
    bool warned;   /* the sender was told of the delay */
    bool rerouted; /* `destination` is what an administrator chose: the routes do not count */
    bool altered;  /* set by reading: these are not the octets that were written */
    struct spool_attempt last;
    struct spool_attempt behind; /* set by the role: why its destination could not be reached */
};

/* Where the body log has a message; for the store alone. */
struct spool_place {
    int64_t segment; /* 0: it is not there */
    uint32_t block;
    uint64_t head_size; /* octets; the content is the rest */
};

struct spool_message {
    int64_t key; /* in order of age; set by spool_insert */
    struct str id;
    int64_t received_ms; /* wall clock, as the edge said */
    int64_t queued_ms;   /* the queue's clock; age counts from here */
    struct str sender;
    uint8_t ret; /* enum smtp_dsn_ret */
    struct str envid;
    uint32_t flags;
    enum spool_priority priority;
    struct str hold;          /* why all of it is held; empty: it is not */
    uint64_t size;            /* octets of head and content */
    uint32_t total;           /* recipients at the beginning */
    bool in_file;             /* content is in its own file and not here */
    bool damaged;             /* that was noticed: it is held, unless released since */
    bool altered;             /* set by reading: this is not the row that was written, ... */
    bool recipients_altered;  /* ... or not a recipient who waits */
    uint64_t head_sum;        /* spool_sum; 0: none; both set by spool_insert, ... */
    uint64_t content_sum;     /* ... but that of content in a file by the caller */
    struct spool_place place; /* set by spool_insert and by reading */
    struct str head;
    struct str content; /* from the body on: the original header section is not kept */
    struct spool_recipient *recipients;
    size_t recipient_count; /* that are here; `total` may be more */
};

struct spool_counts {
    int64_t messages;
    int64_t recipients; /* not final */
    int64_t deferred;
    int64_t held;
    int64_t bytes;
    int64_t damaged; /* messages */
};

struct spool;

/*
 * Opens or creates the queue in `directory` (which exists). On failure *reason_out says in a
 * sentence what is wrong and what to do (in `arena`). STATUS_SYNTAX: damaged; STATUS_DENIED: in use
 * by another process, or not ours to open; STATUS_LIMIT: of a newer version; STATUS_IO.
 */
[[nodiscard]] enum status spool_open(const char *directory, struct arena *arena,
                                     struct spool **spool_out, struct str *reason_out);
/* Writes everything to its place and closes; NULL is allowed. */
void spool_close(struct spool **spool);
/* What SQLite said last; for logs. */
const char *spool_error(const struct spool *spool);
/* True when the database was found damaged; the next spool_open then checks all of it. */
bool spool_is_damaged(const struct spool *spool);
/* Copies of damaged logs beside the database, until somebody removes them. */
unsigned spool_log_copies(const struct spool *spool);
struct spool_counts spool_counts(const struct spool *spool);
/* When the oldest message was queued, on the queue's clock; 0: there is none, or it cannot be read.
 */
int64_t spool_oldest_ms(struct spool *spool);
/* Octets on disk that hold queue data (free pages not counted), large files included. */
uint64_t spool_size(const struct spool *spool);
/* Octets that are free for us: on the disk, and where the database has room already. UINT64_MAX:
 * not known. */
uint64_t spool_disk_free(const struct spool *spool);
/* What the queue's clock showed when it was last used; 0: never. */
int64_t spool_clock_last(const struct spool *spool);

/* One transaction at a time. STATUS_IO when the database refuses, as for all that follow. */
[[nodiscard]] enum status spool_begin(struct spool *spool);
/* `now_ms`: the queue's clock, kept for spool_clock_last. */
[[nodiscard]] enum status spool_commit(struct spool *spool, int64_t now_ms);
void spool_rollback(struct spool *spool);
/* Moves the log's content to its place when it has grown; call when nobody waits. */
void spool_tidy(struct spool *spool);

/* ---- changes, within a transaction */

/*
 * Stores a message with its recipients; sets message->key and place. Head and content must live
 * until the transaction ends. With message->in_file the content was written by spool_file_write.
 * *duplicate_out: this id is there already, nothing was changed and message->key is that of the one
 * that is there.
 */
[[nodiscard]] enum status spool_insert(struct spool *spool, struct spool_message *message,
                                       bool *duplicate_out);

/* What became of one recipient. */
struct spool_result {
    uint32_t number;
    enum spool_state state;
    int64_t due_ms; /* for queued and deferred */
    uint32_t attempts;
    bool warned;
    struct spool_attempt last;
};

/* Whether a message has left the queue, and how its recipients ended, from first to last. */
struct spool_end {
    bool gone;
    uint32_t delivered; /* or relayed */
    uint32_t failed;    /* or expired */
};

/*
 * Writes down results for recipients of a message; those that are final already stay as they are.
 * When no recipient is left the message is deleted with its content. `total` is the message's,
 * which saves the look when all recipients come at once.
 */
[[nodiscard]] enum status spool_settle(struct spool *spool, int64_t key, uint32_t total,
                                       const struct spool_result *results, size_t count,
                                       struct spool_end *end_out);
/* Moves a recipient to the destination that it has: the routes have changed, or an administrator
 * has chosen one (rerouted). */
[[nodiscard]] enum status spool_rehome(struct spool *spool, int64_t key,
                                       const struct spool_recipient *recipient);
/* Notes that a message is known to be damaged, or no longer thought to be. */
[[nodiscard]] enum status spool_mark_message(struct spool *spool, int64_t key, bool damaged);

/*
 * Makes sure that a destination is looked at no later than look_ms, unless it is blocked by
 * failures.
 */
[[nodiscard]] enum status spool_destination_wake(struct spool *spool, struct str name,
                                                 int64_t look_ms);
/* Replaces what is known of a destination. */
[[nodiscard]] enum status spool_destination_put(struct spool *spool, struct str name,
                                                int64_t look_ms, uint32_t failures);
/* Keeps why it could not be reached, with its row, which is made when it is not there. */
[[nodiscard]] enum status spool_destination_failed(struct spool *spool, struct str name,
                                                   int64_t look_ms,
                                                   const struct spool_failure *failure);
[[nodiscard]] enum status spool_destination_delete(struct spool *spool, struct str name);

/* ---- reading; texts are in `arena`; STATUS_LIMIT also when the arena is full */

struct spool_destination {
    struct str name;
    int64_t look_ms;
    uint32_t failures; /* in a row, when the destination as a whole could not be reached */
    struct spool_failure failure; /* the last; not set by spool_destinations_due */
};

/* STATUS_NOT_FOUND: nothing is known of it. */
[[nodiscard]] enum status spool_destination_get(struct spool *spool, struct str name,
                                                struct spool_destination *out);

/* Mail to it waits until it is resumed. */
struct spool_pause {
    struct str name;  /* a destination, or a domain of recipients in lower case */
    int64_t since_ms; /* wall clock */
    struct str by;
};
/* Pauses at one time. */
#define SPOOL_PAUSES_MAX 1000u
/* Within a transaction; one that is there already stays as it is. */
[[nodiscard]] enum status spool_pause_put(struct spool *spool, const struct spool_pause *pause);
[[nodiscard]] enum status spool_pause_delete(struct spool *spool, struct str name);
/* All of them; `items` has room for SPOOL_PAUSES_MAX. */
[[nodiscard]] enum status spool_pauses(struct spool *spool, struct arena *arena,
                                       struct spool_pause *items, size_t *count_out);

/* Failures that the postmaster has not been told of, and is told of together. */
struct spool_gathered {
    uint64_t messages; /* that failed */
    uint64_t unlisted; /* of them, those that `text` does not name */
    bool cut;          /* the text is not complete */
    struct str text;   /* of all of them, oldest first; in the arena */
    int64_t last;      /* what spool_gathered_forget goes by */
};
/*
 * Within a transaction, that of the failure: one message more, with what the list says of it; an
 * empty text is only counted. The caller bounds what is kept.
 */
[[nodiscard]] enum status spool_gather(struct spool *spool, struct str text, bool cut);
/* All of them, but of the texts `most` octets: what is behind them stays for the next time. */
[[nodiscard]] enum status spool_gathered(struct spool *spool, struct arena *arena, size_t most,
                                         struct spool_gathered *out);
/* Within a transaction: the postmaster is told of what spool_gathered gave. */
[[nodiscard]] enum status spool_gathered_forget(struct spool *spool,
                                                const struct spool_gathered *told);

struct spool_destination_list {
    struct spool_destination *items; /* in the arena */
    size_t count;
};

/*
 * At most `limit` destinations to look at now, after *cursor in the order of look_ms and name. The
 * caller moves the cursor to the last one that it took.
 */
[[nodiscard]] enum status spool_destinations_due(struct spool *spool, struct arena *arena,
                                                 const struct spool_destination *cursor,
                                                 int64_t now_ms, size_t limit,
                                                 struct spool_destination_list *out);

/* 0 goes first. */
#define SPOOL_RANKS   3u
/* Most messages of a rank that spool_due gives at once. */
#define SPOOL_DUE_MAX 1024u
/* The rank of a priority, less than SPOOL_RANKS. */
unsigned spool_rank(enum spool_priority priority);

struct spool_due {
    int64_t messages[SPOOL_RANKS][SPOOL_DUE_MAX];
    size_t count[SPOOL_RANKS];
    bool more;       /* at least one rank was cut at the limit */
    int64_t next_ms; /* when the next one that is not due yet will be; INT64_MAX: none */
};

/* The messages with something due for a destination, oldest first; at most limits[rank] of each
 * rank.
 */
[[nodiscard]] enum status spool_due(struct spool *spool, struct str destination, int64_t now_ms,
                                    const size_t limits[SPOOL_RANKS], struct spool_due *out);

/* Which recipients spool_load takes. */
struct spool_choice {
    struct str destination; /* empty: any */
    int64_t due_ms;         /* due at that time; INT64_MAX: all that are not final */
    uint32_t first;         /* from this number on */
    size_t most;            /* so many */
    size_t octets;          /* and so long that their texts have at most so many octets */
    bool finals;            /* also those that are final (with due_ms INT64_MAX) */
};

/*
 * A message with the chosen recipients; with its octets when `with_body` (content in a file is not
 * read: spool_file_read). STATUS_SYNTAX: its octets on disk are damaged, or those of its row or of
 * a recipient that is not final. Without octets all can be read, and what is wrong is marked as
 * altered.
 */
[[nodiscard]] enum status spool_load(struct spool *spool, struct arena *arena, int64_t key,
                                     const struct spool_choice *choice, bool with_body,
                                     struct spool_message *out);
[[nodiscard]] enum status spool_find(struct spool *spool, struct str id, int64_t *key_out);

/* Filters of the commands; empty and 0: no filter. Patterns as in str_fits; the sender
 * "<>" is the null path. */
struct spool_filter {
    struct str id;
    struct str sender;
    struct str recipient;
    struct str destination;
    uint32_t states; /* 1 << enum spool_state; 0: all */
    int64_t queued_before_ms;
};

/* True when the recipient passes the recipient, destination and state filters. */
bool spool_filter_takes(const struct spool_filter *filter, const struct spool_recipient *recipient);

struct spool_page {
    struct spool_message *messages; /* without octets, with the recipients that pass */
    size_t count;
    int64_t next; /* where the next page begins; 0: there is none */
};

/* Up to `limit` messages after `after`, oldest first; looks at SPOOL_PAGE_ROWS rows at most. */
#define SPOOL_PAGE_ROWS 5000u
[[nodiscard]] enum status spool_list(struct spool *spool, struct arena *arena,
                                     const struct spool_filter *filter, int64_t after, size_t limit,
                                     struct spool_page *out);

/* A recipient who is not final. */
struct spool_standing {
    struct str destination; /* the texts are borrowed until the call returns */
    struct str address;
    bool rerouted;
    enum spool_state state;
    uint16_t code;
    struct str enhanced;
    struct str text;
    int64_t queued_ms;
    int64_t last_ms; /* 0: not tried */
};
typedef void spool_standing_row(void *context, const struct spool_standing *row);

struct spool_standing_walk {
    int64_t message; /* 0 at the beginning */
    int64_t number;
    bool end; /* all were seen */
};

/* Calls on_row for recipients that wait or are held, SPOOL_PAGE_ROWS rows at most; the walk moves.
 */
[[nodiscard]] enum status spool_standing(struct spool *spool, struct spool_standing_walk *walk,
                                         spool_standing_row *on_row, void *context);

struct spool_age {
    int64_t before_ms; /* queued no later */
    bool unwarned;     /* only those with a recipient whose sender was not told of the delay */
    int64_t cursor;    /* 0, or the key after which to look; moved */
};

/*
 * Keys of messages that old with recipients that wait (not final; not held, unless the message is
 * damaged): at most `limit`, and no more than SPOOL_PAGE_ROWS rows are looked at. *end_out: nothing
 * that old is left after the cursor.
 */
[[nodiscard]] enum status spool_aged(struct spool *spool, struct spool_age *age, size_t limit,
                                     int64_t *keys_out, size_t *count_out, bool *end_out);

/* ---- large content; these use only the directory and may run in another thread */

/* Writes and syncs the content of message `id`. STATUS_LIMIT: no room. */
[[nodiscard]] enum status spool_file_write(const char *directory, struct str id,
                                           struct str content);
/* A sealed memfd with the content, of which the caller checks the checksum, and which it closes.
 * STATUS_NOT_FOUND; STATUS_SYNTAX: it cannot be read. */
[[nodiscard]] enum status spool_file_read(const char *directory, struct str id, int *fd_out);
/* Deletes the content of a message that was not committed. */
void spool_file_discard(const char *directory, struct str id);

#endif
