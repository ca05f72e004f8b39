/*
 * client_scram.h - SCRAM-SHA-256 from the client's side (RFC 5802, RFC 7677), without channel
 * binding. Messages in and out, not yet in base 64; all of it lives in the caller's arena, which is
 * wiped, because the keys are as good as the password.
 */
#ifndef POSTERN_SMTP_CLIENT_SCRAM_H
#define POSTERN_SMTP_CLIENT_SCRAM_H

#include "base/arena.h"
#include "smtp/client.h"

/* What a server may have us compute (RFC 7677 4 asks for 4096 at least). */
#define SCRAM_CLIENT_ITERATIONS_MIN 4096u
#define SCRAM_CLIENT_ITERATIONS_MAX 1000000u

/* The members are the exchange's own. */
struct scram_client {
    struct str password;
    struct str nonce;
    struct str first_bare;
    uint8_t server_signature[32];
    bool answered; /* the proof was sent: the server's is awaited */
    bool proven;
};

/*
 * The client's first message for `login`, with our nonce (printable, without commas); {NULL, 0}
 * past the arena's ceiling.
 */
struct str scram_client_begin(struct scram_client *scram, struct arena *arena,
                              const struct smtp_client_login *login, struct str nonce);

/*
 * What to answer to the server's first message, or, with an empty answer, to its final one.
 * STATUS_SYNTAX: not such a message, or not for our nonce; STATUS_DENIED: the server's proof is
 * wrong, or it reports an error; STATUS_LIMIT: iterations out of bounds, or the arena is full.
 */
[[nodiscard]] enum status scram_client_answer(struct scram_client *scram, struct arena *arena,
                                              struct str challenge, struct str *answer_out);

/* The server has proven that it knows the password. */
bool scram_client_is_proven(const struct scram_client *scram);

#endif
