/*
 * vault_keys.h - the keys of the vault on disk: <state>/vault/keys.db, SQLite.
 *
 * A change is on disk when its call returns (synchronous=FULL), so a key is safe before anybody is
 * told of it. The private half is read only when it is needed for signing, and overwritten when the
 * key has retired (secure_delete, and the write-ahead log is cut back at once). A selector is never
 * given to a second key of its domain, even when the first is long gone: mail signed with that one
 * may still be on its way.
 *
 * One thread uses a file. Errors are those of ledger_database.h; a damaged file is STATUS_SYNTAX,
 * and is left as it is: keys are not thrown away.
 */
#ifndef POSTERN_STORE_VAULT_KEYS_H
#define POSTERN_STORE_VAULT_KEYS_H

#include "auth/crypto.h"

/* Most keys, each about 1 KB of memory. */
#define VAULT_KEYS_MAX       20000u
#define VAULT_DOMAIN_MAX     253u
#define VAULT_SELECTOR_MAX   63u
/* SubjectPublicKeyInfo of RSA with 4096 bits and a long exponent. */
#define VAULT_PUBLIC_MAX     640u
/* Secrets of SRS that are kept, and octets of each. */
#define VAULT_SRS_SECRETS    64u
#define VAULT_SRS_SECRET_LEN 32u

/* The stages of a key (roles/vault/rotation.h). In messages and on disk: never renumbered. */
enum key_state {
    KEY_PENDING = 1,   /* made; the DNS does not show it yet */
    KEY_PUBLISHED = 2, /* the DNS shows it; not used until that is everywhere */
    KEY_ACTIVE = 3,    /* signs */
    KEY_RETIRING = 4,  /* signs no more; mail on its way still needs its record */
    KEY_RETIRED = 5,   /* its private half is destroyed; its record may go */
    KEY_REMOVED = 6,   /* gone from the DNS as well: forgotten but for its selector */
};
#define KEY_STATE_COUNT 7u

/* What the DNS showed in the place of a key. In messages and on disk: never renumbered. */
enum key_seen {
    KEY_SEEN_NOT_ASKED = 0,
    KEY_SEEN_SHOWN = 1,
    KEY_SEEN_TESTING = 2,    /* shown, with t=y: receivers may overlook its failures */
    KEY_SEEN_ABSENT = 3,     /* no such name, or no TXT record there */
    KEY_SEEN_DIFFERENT = 4,  /* another key */
    KEY_SEEN_REVOKED = 5,    /* an empty p= */
    KEY_SEEN_UNREADABLE = 6, /* no key record */
    KEY_SEEN_UNUSABLE = 7,   /* the key, but h= or s= forbid what we sign */
    KEY_SEEN_SEVERAL = 8,    /* more than one record: what receivers do then is undefined */
    KEY_SEEN_FAILED = 9,     /* no answer: nothing is known */
    KEY_SEEN_BOGUS = 10,     /* an answer that DNSSEC proves wrong: nothing is known */
};
#define KEY_SEEN_COUNT 11u

/* All that may be told of a key. Times are wall clock ms; 0: not yet. */
struct vault_key {
    uint64_t number; /* given by vault_file_add, never 0 */
    char domain[VAULT_DOMAIN_MAX + 1];
    char selector[VAULT_SELECTOR_MAX + 1];
    enum crypto_algorithm algorithm;
    unsigned bits;
    enum key_state state;
    enum key_seen seen; /* last answer */
    bool imported;
    int64_t created_ms;
    int64_t published_ms; /* since when the DNS has shown it without a gap */
    int64_t activated_ms;
    int64_t retiring_ms;
    int64_t retired_ms;
    int64_t shown_ms;   /* last time the DNS showed it */
    int64_t checked_ms; /* last time it was asked */
    int64_t missing_ms; /* active: since when the DNS has not shown it */
    size_t public_size;
    uint8_t public_key[VAULT_PUBLIC_MAX]; /* what p= holds, before base 64 */
};

struct vault_file;

/* Opens or makes <directory>/keys.db and reads it through once. */
[[nodiscard]] enum status vault_file_open(const char *directory, struct vault_file **file_out);
void vault_file_close(struct vault_file **file);

/* Calls on_key for each key, by number; stops when it returns false. */
[[nodiscard]] enum status
vault_file_each(struct vault_file *file, bool (*on_key)(void *context, const struct vault_key *key),
                void *context);

/*
 * Writes a new key with its private half (PKCS #8 as PEM) and gives it a number. STATUS_DENIED: the
 * domain has, or had, a key with that selector.
 */
[[nodiscard]] enum status vault_file_add(struct vault_file *file, struct vault_key *key,
                                         struct str private_pem);
/* True when the domain has, or had, a key with that selector; also when that cannot be told. */
bool vault_file_selector_is_used(struct vault_file *file, struct str domain, struct str selector);
/*
 * Writes state, times and what was seen; in one transaction for all of them. Private halves of keys
 * that have retired are destroyed, removed keys are forgotten.
 */
[[nodiscard]] enum status vault_file_update(struct vault_file *file, const struct vault_key *keys,
                                            size_t count);
/*
 * Appends the private half to a buffer, which the caller wipes. STATUS_NOT_FOUND: there is none,
 * the key has retired.
 */
[[nodiscard]] enum status vault_file_private(struct vault_file *file, uint64_t number,
                                             struct buf *pem_out);

/* ---- secrets of SRS */

struct vault_srs_secret {
    int64_t created_ms;
    uint8_t octets[VAULT_SRS_SECRET_LEN];
};

/* Reads all, the newest first; at most VAULT_SRS_SECRETS. */
[[nodiscard]] enum status vault_file_srs_read(struct vault_file *file,
                                              struct vault_srs_secret *secrets_out,
                                              size_t *count_out);
/* Writes a new one and destroys those made before `keep_from_ms`. */
[[nodiscard]] enum status vault_file_srs_add(struct vault_file *file,
                                             const struct vault_srs_secret *secret,
                                             int64_t keep_from_ms);

/* ---- senders that are too long for SRS */

/* Most that are kept; above, the oldest go. */
#define VAULT_SHORT_MAX      100000u
/* Characters of a code, and octets of an address. */
#define VAULT_SHORT_CODE_LEN 16u
#define VAULT_SHORT_ADDRESS  320u

/*
 * Keeps the address that a code stands for from now on; one that is there, and younger than
 * `renew_from_ms`, is not written again. Those made before `keep_from_ms` are forgotten.
 */
[[nodiscard]] enum status vault_file_short_put(struct vault_file *file, struct str code,
                                               struct str address, int64_t now_ms,
                                               int64_t renew_from_ms, int64_t keep_from_ms);
/* Appends the address of a code. STATUS_NOT_FOUND: there is none. */
[[nodiscard]] enum status vault_file_short_get(struct vault_file *file, struct str code,
                                               struct buf *address_out);

/* ---- passwords for other servers */

/* Longest host name and user, octets. */
#define VAULT_LOGIN_NAME_MAX 255u

/* All that may be listed of a login. */
struct vault_login {
    char host[VAULT_LOGIN_NAME_MAX + 1]; /* lower case */
    char user[VAULT_LOGIN_NAME_MAX + 1];
    int64_t changed_ms; /* wall clock */
};

/* Writes the password of a user at a host, in place of an earlier one. */
[[nodiscard]] enum status
vault_file_login_set(struct vault_file *file, const struct vault_login *login, struct str password);
/* Destroys it. STATUS_NOT_FOUND: there is none. */
[[nodiscard]] enum status vault_file_login_remove(struct vault_file *file, struct str host,
                                                  struct str user);
/* Appends the password to a buffer, which the caller wipes. STATUS_NOT_FOUND: there is none. */
[[nodiscard]] enum status vault_file_login_find(struct vault_file *file, struct str host,
                                                struct str user, struct buf *password_out);
/* Calls on_login for each, by host and user; stops when it returns false. */
[[nodiscard]] enum status vault_file_login_each(struct vault_file *file,
                                                bool (*on_login)(void *context,
                                                                 const struct vault_login *login),
                                                void *context);

#endif
