/*
 * keys.h - the keys of listeners' certificates, by their ids; shared by the signer's threads.
 *
 * The parent hands them out before the start and again at each reload: what comes is offered, and
 * with `adopt` becomes the set in force. What is no longer in it signs on for KEYS_RETIRED_MS,
 * because a connection that began before a reload keeps the certificate it began with.
 */
#ifndef POSTERN_ROLES_SIGNER_KEYS_H
#define POSTERN_ROLES_SIGNER_KEYS_H

#include "tls/signing_key.h"

/* In force; as many as certificates, TLS_IDENTITIES_MAX in tls/server.h. */
#define KEYS_MAX        1000u
/* Longer than a client may take from its greeting to STARTTLS by the default time-outs. */
#define KEYS_RETIRED_MS (15 * 60 * 1000)

struct key_store;

/* Never NULL. */
struct key_store *key_store_create(void);
/* Sets *store to NULL; NULL is allowed. No thread may use it any more. */
void key_store_destroy(struct key_store **store);

/*
 * The store takes the caller's reference over. STATUS_LIMIT for more than KEYS_MAX of one set (the
 * reference is given back then).
 */
[[nodiscard]] enum status key_store_offer(struct key_store *store, struct tls_signing_key *key);
/* What was offered since the last call is in force now; what was in force and is not retires. */
void key_store_adopt(struct key_store *store, int64_t now_ms);
/* Forgets what has been retired long enough; to be called now and then. */
void key_store_expire(struct key_store *store, int64_t now_ms);

/* One reference to the key of that id, or NULL. Any thread. */
struct tls_signing_key *key_store_find(struct key_store *store, const struct tls_key_id *id);
/* Those in force. Any thread. */
size_t key_store_count(struct key_store *store);

#endif
