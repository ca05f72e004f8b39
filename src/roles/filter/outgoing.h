/*
 * outgoing.h - a message as it leaves: which copies of it there are, and each one's sender, header
 * section, signatures and seal.
 *
 * There is one copy, but for a message from outside some of whose recipients are forwarded to other
 * domains by an alias: those get a copy of their own, because its sender is another one (SRS) and
 * it is sealed (ARC).
 */
#ifndef POSTERN_ROLES_FILTER_OUTGOING_H
#define POSTERN_ROLES_FILTER_OUTGOING_H

#include "auth/results.h"
#include "base/random.h"
#include "check/check.h"
#include "policy/decision.h"
#include "roles/filter/vault.h"
#include "trace/trace.h"

/* The message for our domains, and the one that is forwarded. */
#define OUTGOING_COPIES_MAX 2u

struct outgoing_input {
    struct arena *arena;
    const struct config *config;
    const struct msg_submit *submit;
    const struct check_input *checked; /* with its head and what authentication has found */
    const struct decision *decision;
    struct vault_client *vault;
    const struct key_ring *keys;
    uint32_t flags;      /* set of enum smtp_message_flag */
    struct trace *trace; /* the message's own, which tells of its copies too */
};

struct outgoing_copy {
    char id[ID_LENGTH + 1];
    struct str sender;
    uint32_t flags; /* those of the message, and whether its sender was rewritten */
    struct record_recipient *recipients; /* in the arena */
    size_t recipient_count;
    bool is_forwarded;  /* to other domains, by an alias of ours */
    struct str domain;  /* of the alias; empty unless forwarded */
    struct str head;    /* set by outgoing_make, as what follows */
    struct str body;    /* what comes after the head */
    struct buf encoded; /* what the body points to when it is not the one that came */
};

/*
 * Divides the recipients into copies. STATUS_LIMIT: the arena is full; STATUS_TEMPORARY: the vault
 * does not answer. On failure *count_out is untouched, and what the copies hold means nothing.
 */
[[nodiscard]] enum status outgoing_plan(const struct outgoing_input *input,
                                        struct outgoing_copy copies_out[OUTGOING_COPIES_MAX],
                                        size_t *count_out);

/*
 * Makes the header section of a copy: edited, then signed (mail of our users) or sealed (mail that
 * is forwarded, as configured); what is to be signed may get another body (encode.h). What is done
 * is written into `trace`. Errors as above.
 */
[[nodiscard]] enum status outgoing_make(const struct outgoing_input *input,
                                        struct outgoing_copy *copy, struct trace *trace);

/* Frees what copies hold beside the arena. */
void outgoing_free(struct outgoing_copy *copies, size_t count);

/* The text for Authentication-Results and ARC: see auth_results_collect. */
struct str outgoing_disposition(const struct decision *decision);

#endif
