/*
 * vault.h - the filter's way to the vault: which keys are active, hashes to be signed, senders to
 * be rewritten. No key is here, only names of keys.
 *
 * The list of keys comes from the vault by itself and may change at any time; a message works with
 * the ring that it took at its beginning. Workers wait for signatures (channel_call).
 */
#ifndef POSTERN_ROLES_FILTER_VAULT_H
#define POSTERN_ROLES_FILTER_VAULT_H

#include "auth/crypto.h"
#include "ipc/channel.h"

/* How long a worker waits for the vault; then the message is deferred. */
#define VAULT_TIMEOUT_MS  5000
/* Keys in a ring; the vault does not tell of more. */
#define VAULT_KEYS_MAX    100000u
/* Keys of one domain that sign a message. */
#define VAULT_SIGNERS_MAX 4u

/* The active keys at one time; immutable, counted. */
struct key_ring;

struct key_ring_entry {
    struct str domain;
    struct str selector;
    enum crypto_algorithm algorithm;
};

struct vault_client;

/* `channel` is borrowed and may be NULL where there is no vault: then nothing is signed. Below, a
 * client and a ring may be NULL with the same meaning. */
struct vault_client *vault_client_create(struct channel *channel);
void vault_client_destroy(struct vault_client **client);

/* Loop thread: the vault has come or gone. A list that was not complete is dropped. */
void vault_client_on_peer(struct vault_client *client);
/* Loop thread: a MSG_VAULT_KEYS, which stays the caller's. */
void vault_client_take_keys(struct vault_client *client, const struct msg_vault_keys *keys);

/* The ring now, one reference; never NULL, empty before the vault has told. Thread-safe. */
struct key_ring *vault_client_keys(struct vault_client *client);
void key_ring_unref(struct key_ring **ring);
/*
 * False while the vault has not told which keys are active: then nobody can say that a domain has
 * none. True where there is no vault.
 */
bool key_ring_is_known(const struct key_ring *ring);
/* The keys of a domain (normal form), at most `most` of them; how many. */
size_t key_ring_find(const struct key_ring *ring, struct str domain,
                     const struct key_ring_entry **keys_out, size_t most);

/* A signer that has the vault sign with one key. `entry` and its ring must outlive it. */
struct vault_signer {
    struct vault_client *client;
    const struct key_ring_entry *entry;
};
struct crypto_signer vault_signer_make(struct vault_signer *signer);

/*
 * The sender that a forwarded message gets (SRS): an address at `domain`, in the arena. STATUS_OK
 * with the sender as it was where it is not to be rewritten. STATUS_TEMPORARY: the vault does not
 * answer; STATUS_NOT_FOUND: it cannot be rewritten.
 */
[[nodiscard]] enum status vault_srs_forward(struct vault_client *client, struct arena *arena,
                                            struct str sender, struct str domain,
                                            struct str *sender_out);

#endif
