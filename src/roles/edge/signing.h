/*
 * signing.h - the edge's way to the signer: a signature for a handshake, over a socket of its own.
 *
 * OpenSSL asks in the middle of a handshake, and the edge waits for the answer: as long as the
 * signature takes, which it would have had to make itself otherwise. A signer that says nothing for
 * SIGNING_WAIT_MS is left alone for SIGNING_REST_MS, in which handshakes fail at once, so that an
 * edge never stands still for longer than the one wait. When the signer has gone, everything fails
 * until the parent brings a socket to the next one.
 */
#ifndef POSTERN_ROLES_EDGE_SIGNING_H
#define POSTERN_ROLES_EDGE_SIGNING_H

#include "tls/remote_key.h"

/* A busy machine answers late; an RSA signature itself takes a millisecond, or 50 at the most. */
#define SIGNING_WAIT_MS 1000
#define SIGNING_REST_MS 2000

struct signing {
    int fd; /* owned; -1: there is no signer */
    uint64_t request;
    int64_t rest_until_ms;
    bool stalled; /* so the log has said */
    int64_t failures;
};

void signing_init(struct signing *signing);
void signing_fini(struct signing *signing);
/* A socket to the signer, which becomes the edge's. */
void signing_connect(struct signing *signing, int fd);
/* Whether a handshake may hope for a signature now. */
bool signing_is_up(const struct signing *signing);
/* The socket is readable between two handshakes: answers that came too late are dropped. False when
 * the signer has gone; the socket is closed then. */
bool signing_drain(struct signing *signing);

/*
 * tls_signer.sign (remote_key.h); the context is a struct signing. STATUS_TEMPORARY: nobody
 * answered; STATUS_DENIED, STATUS_NOT_FOUND, STATUS_IO as the signer says; STATUS_SYNTAX for an
 * answer that is none, after which the line is closed.
 */
enum status signing_sign(void *context, const struct tls_key_id *key, uint16_t scheme,
                         struct str input, struct tls_signature *signature_out);

#endif
