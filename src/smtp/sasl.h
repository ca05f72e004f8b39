/*
 * sasl.h - the server's side of SASL exchanges: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and -PLUS
 * (RFC 5802, 7677, 9266, 5929). No I/O and no keys: an exchange asks its caller to verify.
 *
 * The caller feeds decoded responses; each step says what to do next. What an exchange holds is
 * secret: its arena is destroyed with arena_destroy_wiped.
 */
#ifndef POSTERN_SMTP_SASL_H
#define POSTERN_SMTP_SASL_H

#include "base/arena.h"
#include "smtp/server.h"

/* Longest user name and password in octets; RFC 4616 2 asks for 255 at least. */
#define SASL_USER_MAX       255u
#define SASL_PASSWORD_MAX   1024u
/* Longest nonce a client may choose. */
#define SASL_NONCE_MAX      256u
#define SASL_PROOF_LENGTH   32u /* SHA-256 */
#define SASL_SALT_MAX       64u
#define SASL_ITERATIONS_MIN 4096u /* RFC 7677 4 */

enum sasl_step {
    SASL_CHALLENGE,       /* send `challenge` (not yet base 64) and feed the response */
    SASL_VERIFY_PASSWORD, /* verify `user` and `password` */
    SASL_SCRAM_BEGIN,     /* find the keys of `user`, then sasl_scram_begin */
    SASL_SCRAM_VERIFY,    /* verify `auth_message` and `client_proof`, then sasl_scram_finish */
    SASL_DONE,            /* `user` is authenticated */
    SASL_MALFORMED,       /* the response does not follow the mechanism: 501 */
    SASL_REFUSED, /* well-formed, but cannot succeed (channel binding, other identity): 535 */
    SASL_NO_ROOM, /* the arena's ceiling */
};

/* Where an exchange stands; internal. */
enum sasl_place {
    SASL_AT_START,
    SASL_AT_USER,
    SASL_AT_PASSWORD,
    SASL_AT_CLIENT_FIRST,
    SASL_AT_CLIENT_FINAL,
    SASL_AT_ACKNOWLEDGE,
    SASL_AT_END,
};

struct sasl_exchange {
    struct arena *arena; /* borrowed; everything below is in it */
    enum smtp_auth_mechanism mechanism;
    const struct smtp_tls_info *tls; /* borrowed; NULL without TLS */
    bool plus_offered;               /* -PLUS is among what this server offered */
    void (*random)(void *p, size_t n);
    enum sasl_place place;
    struct str user;
    struct str password;
    struct str challenge;
    struct str auth_message;
    struct str client_proof;
    struct str gs2_header; /* with its two commas */
    struct str binding;    /* channel binding data that the client must prove */
    struct str client_first_bare;
    struct str server_first;
    struct str nonce; /* client's and server's */
};

/* The mechanism's bit for a name in any letter case, or 0. */
unsigned sasl_mechanism_find(struct str name);
const char *sasl_mechanism_name(enum smtp_auth_mechanism mechanism);

/* A response, decoded. `has_response` false: AUTH came without one; the first challenge is made. */
[[nodiscard]] enum sasl_step sasl_respond(struct sasl_exchange *exchange, bool has_response,
                                          struct str response);

/* Salt (1 to SASL_SALT_MAX octets) and iterations of the user: makes the server-first challenge. */
[[nodiscard]] enum sasl_step sasl_scram_begin(struct sasl_exchange *exchange, struct str salt,
                                              unsigned iterations);
/* The proof was right: makes the server-final challenge. */
[[nodiscard]] enum sasl_step sasl_scram_finish(struct sasl_exchange *exchange,
                                               struct str server_signature);

/* The rules by which user names are taken: UTF-8, no control characters, 1 to SASL_USER_MAX. */
bool sasl_user_is_valid(struct str user);

/* SCRAM's steps; called by sasl_respond. */
[[nodiscard]] enum sasl_step scram_client_first(struct sasl_exchange *exchange,
                                                struct str response);
[[nodiscard]] enum sasl_step scram_client_final(struct sasl_exchange *exchange,
                                                struct str response);

#endif
