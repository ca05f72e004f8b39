/*
 * tell.h - who is told what of the ends and delays of one message's recipients: the notices of one
 * outcome are collected here and made together, one for all recipients that share a fate.
 *
 * Called by outcome.c, in the loop's thread. What each end asks for is in policy/end.h.
 */
#ifndef POSTERN_ROLES_SPOOL_TELL_H
#define POSTERN_ROLES_SPOOL_TELL_H

#include "policy/end.h"
#include "roles/spool/internal.h"

/* The notices that one outcome can bring: those of enum dsn_kind to the sender, and one of a
 * failure that the sender is not told, to the postmaster. */
enum notice_slot {
    NOTICE_FAILURE = DSN_FAILURE,
    NOTICE_DELAY = DSN_DELAY,
    NOTICE_SUCCESS = DSN_SUCCESS,
    NOTICE_POSTMASTER,
    NOTICE_SLOTS,
};

/* The recipients of one kind of notice, while they are collected. */
struct notice_list {
    struct dsn_recipient *items;
    size_t n;
    struct spool_result **failed; /* the ends that it tells of */
    size_t failed_n;
    enum end why; /* of the first of them */
};

struct teller {
    struct spool_role *role;
    const struct parcel *about;
    struct arena *arena; /* of the outcome; what is told lives there */
    struct trace *trace; /* of the message */
    enum notice_extent extent;
    struct str sender; /* who sent it, where the message does not say (notice_sender_is_short) */
    bool by_command;   /* an administrator asked for this */
    struct notice_list lists[NOTICE_SLOTS];
    bool gathers;        /* failures are told to the postmaster later (postmaster_list) ... */
    struct str gathered; /* ... in these words */
    bool gathered_cut;
};

/* For an outcome with at most `count` recipients; the first five members are the caller's. */
void teller_start(struct teller *teller, size_t count);
/* Of delivery (kind SUCCESS) or delay, when the sender asked and may be told. */
void teller_tell(struct teller *teller, const struct spool_recipient *recipient,
                 const struct spool_result *result, enum dsn_kind kind, enum dsn_action action);
/* Why a recipient has not got its mail: its attempt of just now, else what destination_reason says.
 * In the teller's arena. */
struct spool_attempt teller_reason(struct teller *teller, const struct spool_recipient *recipient,
                                   const struct spool_result *result);
/*
 * The end of a recipient that failed or expired; `state` says which. Sets result->state, to HELD
 * where nobody can be told.
 */
void teller_end(struct teller *teller, const struct spool_recipient *recipient,
                struct spool_result *result, enum spool_state state);
/* True when a notice is to be made; when one of failures is. */
bool teller_has_notices(const struct teller *teller);
bool teller_has_failures(const struct teller *teller);
/*
 * What an earlier outcome of the same message would tell is told by this one; the texts stay the
 * earlier one's.
 */
void teller_join(struct teller *teller, const struct teller *earlier);
/*
 * Makes the notices, at most NOTICE_SLOTS, ready to be inserted; how many. What a notice that
 * cannot be made would have told of is held instead.
 */
size_t teller_make(struct teller *teller, struct intake notices_out[NOTICE_SLOTS]);

/* ---- postmaster.c */

/* Whether a notice of one message's failures may go to the postmaster now; it counts. */
bool postmaster_admits(struct spool_role *role);
/*
 * Failures of `message` that are told later, together with others: what the list says of them, in
 * the arena. Empty when the list is full; *cut_out: it is not complete. It is for spool_gather.
 */
struct str postmaster_list(struct spool_role *role, const struct spool_message *message,
                           const struct notice_list *failures, struct arena *arena, bool *cut_out);
/* So many messages' failures are gathered in the database; `at_once`: since before a restart. */
void postmaster_gathered(struct spool_role *role, uint64_t messages, bool at_once);

#endif
