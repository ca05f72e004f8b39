/*
 * internal.h - the state of the vault role and its parts; for the files of this folder only.
 *
 * Everything belongs to the loop's thread, the database too: changes of keys are rare and small.
 * Only what takes long goes to threads: signing, and making RSA keys. Their jobs hold references to
 * keys, so that one may retire while it still signs.
 */
#ifndef POSTERN_ROLES_VAULT_INTERNAL_H
#define POSTERN_ROLES_VAULT_INTERNAL_H

#include <uthash.h>

#include "auth/private_key.h"
#include "roles/asker.h"
#include "roles/role.h"
#include "roles/vault/rotation.h"
#include "roles/vault/vault.h"
#include "roles/work.h"

/* SHA-256: what is signed. */
#define VAULT_DIGEST_SIZE 32u
/* Items of one request to sign, as in messages.def. */
#define VAULT_SIGN_ITEMS  16u
/* Requests to sign that may wait. A filter has one or two a message under way. */
#define VAULT_SIGN_JOBS   8192u
/* Keys that may wait to be made. */
#define VAULT_MAKE_JOBS   16u
/*
 * Private keys in memory at one time; others are read again when they are needed. OpenSSL keeps
 * them in its secure heap: locked, left out of core files, overwritten when freed. A key of 4096
 * bits takes 2 KB of it, and the heap has as much as a service may lock without privileges.
 */
#define VAULT_LOADED_MAX  2048u
#define VAULT_SECURE_HEAP (8u << 20)
/* Keys that one step changes: the fresh one, and those it replaces. */
#define VAULT_CHANGE_MAX  16u
/* Questions to the DNS under way at one time. */
#define VAULT_ASKING_MAX  32u
/* Keys in an answer to a command, as in messages.def. */
#define VAULT_LIST_MAX    64u
/* "SELECTOR._domainkey.DOMAIN" with a NUL. */
#define VAULT_NAME_MAX    (VAULT_SELECTOR_MAX + sizeof "._domainkey." + VAULT_DOMAIN_MAX)
/* What the DNS shows in the place of a key is kept to this length. */
#define VAULT_SHOWN_MAX   2048u

/* A private key that may be in use by jobs. */
struct loaded_key {
    struct private_key *key;
    unsigned references;
};

struct entry {
    struct vault_key key;
    char name[VAULT_NAME_MAX];
    UT_hash_handle by_number; /* in the order of numbers */
    UT_hash_handle by_name;
    struct loaded_key *loaded; /* NULL: not in memory */
    int64_t used_ms;           /* monotonic: last signature, for making room */
    int64_t next_check_ms;     /* monotonic */
    int64_t written_ms;        /* wall: when times were last written */
    unsigned missing_checks;
    bool asking;
    struct str shown; /* allocated: what the DNS shows in its place */
};

struct vault_counters {
    int64_t signatures;
    int64_t signatures_refused; /* no such key */
    int64_t signatures_failed;
    int64_t dns_checks;
    int64_t srs_made;
    int64_t srs_read;
    int64_t srs_refused;
};

struct vault {
    struct role_runtime *runtime;
    struct vault_file *file;
    struct entry *by_number;
    struct entry *by_name;
    size_t loaded_count;
    size_t asking;
    struct asker *askers;
    struct work_queue *signers;
    struct work_queue *makers;
    struct event *tick;
    struct event *stopping;
    int64_t next_slow_ms; /* monotonic: the next look at what takes days */
    struct vault_srs_secret srs[VAULT_SRS_SECRETS];
    size_t srs_count;
    struct vault_counters counters;
};

/* Handlers of messages; each owns its message. */
void vault_on_sign(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_srs(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_key_list(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_key_generate(struct vault *vault, struct channel *channel,
                           struct ipc_message *message);
void vault_on_key_import(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_key_act(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_login_set(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_login_list(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_login_find(struct vault *vault, struct channel *channel, struct ipc_message *message);

/* ---- table.c: the keys in memory, as they are on disk */

[[nodiscard]] enum status vault_table_load(struct vault *vault);
void vault_table_free(struct vault *vault);
/* NULL: there is none. */
struct entry *vault_find_number(struct vault *vault, uint64_t number);
struct entry *vault_find_name(struct vault *vault, struct str domain, struct str selector);
/*
 * Writes a new pending key to disk, then to the table; its number is in *key then. STATUS_DENIED:
 * its selector is used; STATUS_LIMIT: VAULT_KEYS_MAX, or no room on disk.
 */
[[nodiscard]] enum status vault_add(struct vault *vault, struct vault_key *key,
                                    const struct private_key *private_key);
/*
 * Writes changed copies of keys to disk, then to the table; keys that have retired lose their
 * private half, removed ones their entry. When other keys are active than before, the filter is
 * told.
 */
[[nodiscard]] enum status vault_change(struct vault *vault, const struct vault_key *keys,
                                       size_t count);
/* The private half of an active or retiring key. STATUS_NOT_FOUND: there is none. Give it back. */
[[nodiscard]] enum status vault_load(struct vault *vault, struct entry *entry,
                                     struct loaded_key **loaded_out);
void vault_give_back(struct loaded_key **loaded);
/* Tells the filter which keys are active. */
void vault_tell_keys(struct vault *vault);

/* ---- watch.c: the DNS, and time */

struct rotation_settings vault_settings(struct vault *vault);
/* Called once when the DNS has been asked and its answer has had its effect. */
typedef void vault_on_checked(void *context, uint64_t number);
/* Asks the DNS about a key. False: it cannot be asked now, and on_checked is not called. */
bool vault_check(struct vault *vault, struct entry *entry, vault_on_checked *on_checked,
                 void *context);
/* Retires a key by an administrator's wish. */
[[nodiscard]] enum status vault_retire(struct vault *vault, struct entry *entry, bool at_once);
/* Every second. */
void vault_tick(struct vault *vault);

/* ---- make.c: new keys */

/* What to make; a kind is an algorithm. */
struct make_order {
    char domain[VAULT_DOMAIN_MAX + 1];
    char selector[VAULT_SELECTOR_MAX + 1]; /* empty: it is made; else for one algorithm only */
    unsigned algorithms;                   /* bits 1 << enum crypto_algorithm */
    unsigned bits;                         /* of RSA; 0: PRIVATE_KEY_RSA_BITS */
};

/* Called once: the numbers of the keys that were made, or a status as from vault_add. */
typedef void vault_on_made(void *context, enum status status, const uint64_t *numbers,
                           size_t count);
/* False when too much waits; on_made is not called then. */
bool vault_make(struct vault *vault, const struct make_order *order, vault_on_made *on_made,
                void *context);
/* A selector of its own: "p202611r". False: none could be found. */
bool vault_make_selector(struct vault *vault, const char *domain, enum crypto_algorithm algorithm,
                         char selector_out[static VAULT_SELECTOR_MAX + 1]);
/* Fills in what follows from the private key. */
[[nodiscard]] enum status vault_describe(const struct private_key *private_key,
                                         struct vault_key *key);

/* ---- status.c */

void vault_metrics(void *state, struct role_metrics *metrics_out);

/* ---- srs.c */

/* Reads the secrets, makes one where there is none or the newest is old. */
[[nodiscard]] enum status vault_srs_prepare(struct vault *vault);

#endif
