/*
 * line.h - one edge's socket to the signer: a thread of its own reads a question, answers it, and
 * reads the next. Edges do not wait for each other's signatures.
 */
#ifndef POSTERN_ROLES_SIGNER_LINE_H
#define POSTERN_ROLES_SIGNER_LINE_H

#include <stdatomic.h>

#include "roles/signer/keys.h"
#include "roles/signer/signer.h"

/* What happened on all lines since the start. */
struct signer_counts {
    atomic_llong signatures;
    atomic_llong refused; /* what was to be signed was no handshake's */
    atomic_llong unknown_keys;
    atomic_llong failures;
};

struct signer_line;

struct signer_line_settings {
    struct key_store *keys; /* outlives the line, as the next two */
    struct signer_counts *counts;
    /* An edge has sent what no edge may send; called in the line's thread, at its end. */
    void (*on_breach)(void *context, uint32_t instance);
    void *context;
    uint32_t instance; /* of the edge */
};

/*
 * Serves an edge over a connected SOCK_SEQPACKET socket, which becomes the line's. It ends by
 * itself when the edge goes or breaks the rules. STATUS_IO when there is no thread; the socket is
 * closed then.
 */
[[nodiscard]] enum status signer_line_open(const struct signer_line_settings *settings, int fd,
                                           struct signer_line **line_out);
/* Ends it, after the answer that is under way; sets *line to NULL. NULL is allowed. */
void signer_line_close(struct signer_line **line);

#endif
