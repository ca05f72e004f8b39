/*
 * recipient.h - what becomes of a recipient: accepted, expanded, asked about, or refused.
 *
 * The edge calls this at RCPT. It is a pure function of the configuration and of answers: whether a
 * user exists (the ledger knows), whether the server behind takes an address (a call-out). When an
 * answer is missing, the outcome says what to ask; ask, keep the answers, and call again with the
 * same request. Since only known answers are used, calling again is cheap and gives the same
 * result.
 *
 * For an address in one of our domains, in this order:
 *   1. an alias of that name, else one of the name before the plus separator: its targets, each
 *      resolved in turn; an alias among its own targets is the mailbox of that name;
 *   2. the mailbox, as the domain's `recipients` says: a user, in the list, known to the server
 *      behind, or anybody; with plus-addressing also the name before the separator;
 *   3. an address of SRS (auth/srs.h): the sender whose mail was forwarded under it. Where a server
 *      behind decides what exists this is looked at before 2: it would take them all, or none;
 *      and one whose hash is not ours goes on to 2 there: that server may rewrite senders too;
 *   4. for postmaster and abuse (RFC 5321 4.5.1, RFC 2142): abuse becomes postmaster of the domain,
 *      and that becomes bounce.postmaster;
 *   5. the domain's catch_all;
 *   6. unknown; for postmaster and abuse NO_POSTMASTER instead, which is never a refusal for good:
 *      their mail waits at the sender until the operator has named somebody who exists.
 * <postmaster> without a domain, and postmaster and abuse at the gateway's host name and at the
 * address of one of its listeners are bounce.postmaster, else the same name in the first domain.
 *
 * Never an open relay: an address outside is accepted only when the caller says that the client may
 * relay (authenticated, or in a zone with relay), as the target of an alias, or as what an address
 * of SRS stands for whose hash the vault has found to be its own. Local parts with
 * "@", "%" or "!" in domains where the server behind decides are refused otherwise too: an old
 * server there would take them for a route onwards.
 *
 * Bounds: CONFIG_ALIAS_DEPTH_MAX, CONFIG_ALIAS_TARGETS_MAX. No state; any thread.
 */
#ifndef POSTERN_POLICY_RECIPIENT_H
#define POSTERN_POLICY_RECIPIENT_H

#include "base/arena.h"
#include "config/config.h"
#include "smtp/address.h"
#include "smtp/reply.h"

enum recipient_verdict {
    RECIPIENT_ACCEPT,        /* outcome->targets, at least one */
    RECIPIENT_ASK,           /* outcome->questions, at least one; then resolve again */
    RECIPIENT_UNKNOWN,       /* our domain, but nobody there */
    RECIPIENT_NO_RELAY,      /* not our domain, and the client may not relay */
    RECIPIENT_TRY_LATER,     /* an answer cannot be had now */
    RECIPIENT_NO_POSTMASTER, /* postmaster or abuse of ours, and nobody there: a mistake of ours */
    RECIPIENT_LIMIT,         /* aliases come to more, or go deeper, than the bounds allow */
    RECIPIENT_FORGED,        /* an address of SRS that was not made here, or was changed */
    RECIPIENT_EXPIRED,       /* an address of SRS that was made here too long ago */
};

enum recipient_question_kind {
    RECIPIENT_QUESTION_USER,    /* is `address` a user of the ledger; a disabled one too */
    RECIPIENT_QUESTION_CALLOUT, /* does the delivery of `domain` take `address` at RCPT */
    RECIPIENT_QUESTION_SRS,     /* whom does `address`, made by SRS at `domain`, stand for */
};

struct recipient_question {
    enum recipient_question_kind kind;
    struct str address; /* USER: lower case, as the ledger has it; others: normal form */
    const struct config_domain *domain;
};

enum recipient_answer {
    RECIPIENT_ANSWER_PENDING, /* not known yet */
    RECIPIENT_ANSWER_YES,
    RECIPIENT_ANSWER_NO,
    RECIPIENT_ANSWER_FAILED,  /* could not be found out */
    RECIPIENT_ANSWER_FORGED,  /* SRS: nothing of ours, or changed */
    RECIPIENT_ANSWER_EXPIRED, /* SRS: too old */
};

/* Where the message goes for this recipient. */
struct recipient_target {
    struct str address; /* normal form; with what stands after the plus separator */
    struct str user;    /* the user of the ledger who it belongs to; empty for others */
    const struct config_domain *domain; /* NULL: outside */
};

struct recipient_request {
    const struct config *config; /* must live as long as the outcome */
    const struct smtp_address *address;
    bool may_relay; /* the client has logged in or is in a zone with relay */
    /*
     * What is known about a question; called many times for the same one. SRS with the answer YES
     * sets *address_out, which must live as long as the outcome; others leave it alone.
     */
    enum recipient_answer (*answer)(void *context, const struct recipient_question *question,
                                    struct str *address_out);
    void *context;
};

struct recipient_outcome {
    enum recipient_verdict verdict;
    const struct recipient_target
        *targets; /* ACCEPT: no address twice (our own: ASCII case folded) */
    size_t target_count;
    const struct recipient_question *questions; /* ASK */
    size_t question_count;
    /* ACCEPT: targets of aliases that do not exist and were left out; worth a warning. */
    const struct str *missing;
    size_t missing_count;
    bool is_expanded; /* ACCEPT: an alias, a catch-all, postmaster or SRS led to the targets */
    bool is_reversed; /* ACCEPT: SRS did, and the target is the sender of something forwarded */
};

/*
 * Resolves one recipient; everything in *outcome_out is in `arena` or the configuration.
 * STATUS_LIMIT: the arena is full (answer 452).
 */
[[nodiscard]] enum status recipient_resolve(const struct recipient_request *request,
                                            struct arena *arena,
                                            struct recipient_outcome *outcome_out);

/* The reply to RCPT for a verdict; not for ASK. Text static. */
struct smtp_reply recipient_reply(enum recipient_verdict verdict);
/* "accept", "ask", "unknown", "no_relay", ...; static, never NULL. */
const char *recipient_verdict_name(enum recipient_verdict verdict);

#endif
