#include "roles/edge/transaction.h"

#include <stdlib.h>

#include "base/clock.h"
#include "roles/edge/rcpt.h"

#define TARGETS_FIRST       4u
/* Lengths and numbers of a recipient in a packet. */
#define TARGET_FIXED_OCTETS 24u

struct transaction *
transaction_begin(struct connection *connection)
{
    struct transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL) {
        return NULL;
    }
    trace_init(&transaction->trace, NULL);
    body_init(&transaction->body);
    id_make(clock_wall_ms(), transaction->id);
    connection->transaction = transaction;
    return transaction;
}

void
transaction_destroy(struct connection *connection)
{
    struct transaction *transaction = connection->transaction;
    if (transaction == NULL) {
        return;
    }
    /* Empty when it went with the message: then the filter's copy is the only one. */
    trace_sender_add(connection->edge->traces, str_from_cstr(transaction->id),
                     str_from_cstr(connection->id), &transaction->trace);
    rcpt_forget(transaction);
    body_reset(&transaction->body);
    trace_free(&transaction->trace);
    arena_destroy(&transaction->arena);
    free(transaction);
    connection->transaction = NULL;
}

static struct arena *
arena_of(struct transaction *transaction)
{
    if (transaction->arena == NULL) {
        transaction->arena = arena_create(TRANSACTION_CEILING);
    }
    return transaction->arena;
}

void
transaction_keep_sender(struct transaction *transaction, struct str sender)
{
    transaction->sender = arena_str_dup(arena_of(transaction), sender);
}

uint64_t
transaction_memory(const struct transaction *transaction)
{
    uint64_t content = transaction->body.memory.size;
    content = transaction->body.size > content ? transaction->body.size : content;
    return sizeof *transaction + content + arena_held(transaction->arena) +
           trace_held(&transaction->trace) + rcpt_memory(transaction);
}

/* Room for one more target. */
static bool
targets_grow(struct transaction *transaction)
{
    if (transaction->target_count < transaction->target_room) {
        return true;
    }
    size_t room = transaction->target_room > 0 ? 2 * transaction->target_room : TARGETS_FIRST;
    struct record_recipient *grown = arena_alloc_array(transaction->arena, room, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    if (transaction->target_count > 0) {
        memcpy(grown, transaction->targets, transaction->target_count * sizeof *grown);
    }
    transaction->targets = grown;
    transaction->target_room = room;
    return true;
}

static bool
copy_text(struct arena *arena, struct str *text)
{
    struct str copy = arena_str_dup(arena, *text);
    bool done = copy.p != NULL || text->n == 0;
    *text = copy;
    return done;
}

/* Local parts of other domains are theirs to compare: letter for letter (RFC 5321 2.4). */
static bool
is_same_place(const struct record_recipient *a, const struct record_recipient *b)
{
    if (a->address.n != b->address.n || a->local != b->local) {
        return false;
    }
    size_t domain = a->local ? 0 : str_rfind_char(a->address, '@');
    return str_eq(str_head(a->address, domain), str_head(b->address, domain)) &&
           str_eq_nocase(str_skip(a->address, domain), str_skip(b->address, domain));
}

/* A linear search: TRANSACTION_TARGETS_OCTETS keeps the list to a few thousand. */
static bool
goes_there_already(const struct transaction *transaction, const struct record_recipient *target)
{
    for (size_t i = 0; i < transaction->target_count; i++) {
        if (is_same_place(&transaction->targets[i], target)) {
            return true;
        }
    }
    return false;
}

enum status
transaction_add_target(struct transaction *transaction, const struct record_recipient *target)
{
    struct record_recipient copy = *target;
    if (goes_there_already(transaction, target)) {
        return STATUS_OK;
    }
    size_t octets = target->address.n + target->original.n + target->orcpt.n + TARGET_FIXED_OCTETS;
    if (transaction->target_count >= TRANSACTION_TARGETS_MAX ||
        octets > TRANSACTION_TARGETS_OCTETS - transaction->target_octets) {
        return STATUS_LIMIT;
    }
    struct arena *arena = arena_of(transaction);
    if (!targets_grow(transaction) || !copy_text(arena, &copy.address) ||
        !copy_text(arena, &copy.original) || !copy_text(arena, &copy.orcpt)) {
        return STATUS_LIMIT;
    }
    transaction->targets[transaction->target_count++] = copy;
    transaction->target_octets += octets;
    return STATUS_OK;
}
