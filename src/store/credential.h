/*
 * credential.h - what is kept of a password, and how a login is checked against it.
 *
 * Kept are an Argon2id hash (RFC 9106) for mechanisms that show the password to the server, and the
 * keys of SCRAM-SHA-256 (RFC 5802 3, RFC 7677), from which neither the password nor a login
 * elsewhere can be made without much guessing. Nothing here does I/O or logs.
 *
 * Passwords are taken octet for octet. RFC 4013 (SASLprep) would fold some characters outside of
 * ASCII first; as both sides of Postern's own clients send UTF-8 in NFC this differs only for
 * passwords with compatibility characters.
 */
#ifndef POSTERN_STORE_CREDENTIAL_H
#define POSTERN_STORE_CREDENTIAL_H

#include <stdint.h>

#include "base/arena.h"

/* Longest password in octets (MSG_AUTH_PASSWORD); shortest that is taken for a new one. */
#define CREDENTIAL_PASSWORD_MAX  1024u
#define CREDENTIAL_PASSWORD_MIN  8u
/*
 * Argon2id: 3 passes over 32 MiB, about 50 ms of one core. More than the least that OWASP's sheet
 * asks for, and with a few at one time still a bounded part of the machine's memory.
 */
#define CREDENTIAL_ARGON2_PASSES 3u
#define CREDENTIAL_ARGON2_MEMORY (32u * 1024u * 1024u)
/* Longest "$argon2id$..." text with its NUL. */
#define CREDENTIAL_ARGON2_TEXT   128u
/* RFC 7677 4 asks for 4096 at least, and for more as computers become faster. */
#define CREDENTIAL_ITERATIONS    20000u
#define CREDENTIAL_SALT          16u
#define CREDENTIAL_KEY           32u /* SHA-256 */

struct credential {
    char argon2[CREDENTIAL_ARGON2_TEXT]; /* text with salt and parameters, ends in NUL */
    uint32_t iterations;
    uint8_t salt[CREDENTIAL_SALT];
    uint8_t stored_key[CREDENTIAL_KEY];
    uint8_t server_key[CREDENTIAL_KEY];
};

/* Once a process, before the others. STATUS_BUG when the library refuses. */
[[nodiscard]] enum status credential_init(void);

/*
 * Makes the credential of a password with fresh salts; takes about 70 ms. STATUS_LIMIT: there is no
 * memory for Argon2id now, or the password is longer than CREDENTIAL_PASSWORD_MAX.
 */
[[nodiscard]] enum status credential_make(struct str password, struct credential *credential_out);

/* The SCRAM half alone, with a given salt and count (RFC 5802 3: SaltedPassword and its keys). */
[[nodiscard]] enum status credential_scram_keys(struct str password, struct str salt,
                                                uint32_t iterations,
                                                struct credential *credential_out);

/* True when `password` is the one of the Argon2id text; takes about 50 ms either way. */
bool credential_check_password(const char *argon2, struct str password);

/*
 * Checks the proof of a SCRAM client (RFC 5802 3). True when it knows the password; then
 * *signature_out is the server's answer. The comparison takes the same time either way.
 */
bool credential_check_scram(const struct credential *credential, struct str auth_message,
                            struct str client_proof, uint8_t signature_out[static CREDENTIAL_KEY]);

/*
 * The salt that a user who does not exist seems to have: always the same for a name, unpredictable
 * without `secret` (RFC 5802 9: names are not to be found out).
 */
void credential_fake_salt(const uint8_t secret[static CREDENTIAL_KEY], struct str name,
                          uint8_t salt_out[static CREDENTIAL_SALT]);

#endif
