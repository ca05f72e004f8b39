/*
 * transaction.h - one message as the edge sees it, from MAIL to the answer.
 *
 * The SMTP core keeps the envelope; here is what the edge adds: the message's id and its trace
 * (everything from MAIL on is recorded under that id, refused mail too), where each recipient goes
 * now, and the content. It ends with the core's transaction.
 */
#ifndef POSTERN_ROLES_EDGE_TRANSACTION_H
#define POSTERN_ROLES_EDGE_TRANSACTION_H

#include "ipc/messages.h"
#include "roles/edge/body.h"
#include "roles/edge/connection.h"
#include "smtp/server.h"

/* Bound of MSG_SUBMIT.recipients: what aliases may make of the recipients of one message. */
#define TRANSACTION_TARGETS_MAX    10000u
/*
 * Octets that the recipients may take in MSG_SUBMIT: with the events and the other fields they fit
 * into one packet (IPC_PACKET_MAX), the content in a memfd then. A client that has more recipients
 * is told 452 and sends the rest in another transaction (RFC 5321 4.5.3.1.10).
 */
#define TRANSACTION_TARGETS_OCTETS (256u * 1024u)
/* Arena: the above, with addresses twice and room for growing lists. */
#define TRANSACTION_CEILING        (6u * 1024u * 1024u)

struct resolution;

struct transaction {
    char id[ID_LENGTH + 1]; /* of the message */
    struct arena *arena;    /* of the targets; NULL until there is one */
    struct trace trace;
    struct str sender; /* in the arena; for the log when the core's envelope is gone */
    struct record_recipient *targets; /* in the arena */
    size_t target_count;
    size_t target_room;
    size_t target_octets;
    struct resolution *resolution; /* of the recipient in question; in its own arena */
    struct body body;
    bool content_started;
    bool submitted; /* the filter has it, or was asked to take it */
    bool answered;  /* the client has been told what became of it */
    uint64_t content_size;
};

/* At MAIL. NULL when there is no memory. Replaces nothing: there is none. */
struct transaction *transaction_begin(struct connection *connection);
/* The core's transaction is over: what was recorded goes to the ledger, all is freed. */
void transaction_destroy(struct connection *connection);

/* Octets of memory that it holds, its content included. */
uint64_t transaction_memory(const struct transaction *transaction);

/* The sender was accepted: a copy of it is kept, unless there is no memory. */
void transaction_keep_sender(struct transaction *transaction, struct str sender);

/*
 * One more place where the message goes; nothing changes when it goes there already, as through two
 * aliases, so that nobody gets it twice. STATUS_LIMIT past the bounds above; then nothing is added.
 * Texts are copied.
 */
[[nodiscard]] enum status transaction_add_target(struct transaction *transaction,
                                                 const struct record_recipient *target);

#endif
