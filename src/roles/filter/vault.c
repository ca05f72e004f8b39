#include "roles/filter/vault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "roles/vault/vault.h"

/* Memory for the texts of a ring. */
#define RING_ARENA_MAX (64u * 1024u * 1024u)

struct key_ring {
    atomic_uint references;
    bool known; /* a complete list of the vault */
    struct arena *arena;
    struct key_ring_entry *entries; /* by domain */
    size_t count;
    size_t room;
};

struct vault_client {
    struct channel *channel;
    pthread_mutex_t mutex;
    struct key_ring *ring; /* never NULL */
    struct key_ring *next; /* loop thread only: a list that is not complete yet */
};

/* ---- rings */

static struct key_ring *
ring_create(void)
{
    struct key_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        abort();
    }
    atomic_init(&ring->references, 1);
    ring->arena = arena_create(RING_ARENA_MAX);
    return ring;
}

void
key_ring_unref(struct key_ring **ring)
{
    struct key_ring *r = *ring;
    *ring = NULL;
    if (r != NULL && atomic_fetch_sub(&r->references, 1) == 1) {
        arena_destroy(&r->arena);
        free(r->entries);
        free(r);
    }
}

static bool
ring_add(struct key_ring *ring, const struct record_vault_key *key)
{
    if (ring->count == VAULT_KEYS_MAX) {
        return false;
    }
    if (ring->count == ring->room) {
        size_t room = ring->room > 0 ? 2 * ring->room : 16;
        struct key_ring_entry *entries = realloc(ring->entries, room * sizeof *entries);
        if (entries == NULL) {
            return false;
        }
        ring->entries = entries;
        ring->room = room;
    }
    struct key_ring_entry entry = {
        .domain = arena_str_dup(ring->arena, key->domain),
        .selector = arena_str_dup(ring->arena, key->selector),
        .algorithm = (enum crypto_algorithm)key->algorithm,
    };
    if (entry.domain.p == NULL || entry.selector.p == NULL) {
        return false;
    }
    ring->entries[ring->count++] = entry;
    return true;
}

/* By domain, then by algorithm: RSA, which everybody verifies, signs first. */
static int
compare(const void *a, const void *b)
{
    const struct key_ring_entry *x = a;
    const struct key_ring_entry *y = b;
    int order = str_cmp(x->domain, y->domain);
    return order != 0 ? order : (int)x->algorithm - (int)y->algorithm;
}

bool
key_ring_is_known(const struct key_ring *ring)
{
    return ring == NULL || ring->known;
}

size_t
key_ring_find(const struct key_ring *ring, struct str domain,
              const struct key_ring_entry **keys_out, size_t most)
{
    size_t low = 0;
    size_t high = ring != NULL ? ring->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(ring->entries[middle].domain, domain) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t n = 0;
    while (ring != NULL && n < most && low < ring->count &&
           str_eq(ring->entries[low].domain, domain)) {
        keys_out[n++] = &ring->entries[low++];
    }
    return n;
}

/* ---- the client */

struct vault_client *
vault_client_create(struct channel *channel)
{
    struct vault_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        abort();
    }
    client->channel = channel;
    client->ring = ring_create();
    client->ring->known = channel == NULL;
    pthread_mutex_init(&client->mutex, NULL);
    return client;
}

void
vault_client_destroy(struct vault_client **client)
{
    struct vault_client *c = *client;
    *client = NULL;
    if (c != NULL) {
        key_ring_unref(&c->ring);
        key_ring_unref(&c->next);
        pthread_mutex_destroy(&c->mutex);
        free(c);
    }
}

void
vault_client_on_peer(struct vault_client *client)
{
    key_ring_unref(&client->next);
}

void
vault_client_take_keys(struct vault_client *client, const struct msg_vault_keys *keys)
{
    if (client->next == NULL) {
        client->next = ring_create();
    }
    for (size_t i = 0; i < keys->keys.n; i++) {
        if (!ring_add(client->next, &keys->keys.items[i])) {
            LOG_ERROR("the vault has more keys than can be used", LOG_INT("most", VAULT_KEYS_MAX));
            break;
        }
    }
    if (keys->more) {
        return;
    }
    client->next->known = true;
    if (client->next->count > 1) {
        qsort(client->next->entries, client->next->count, sizeof *client->next->entries, compare);
    }
    pthread_mutex_lock(&client->mutex);
    struct key_ring *old = client->ring;
    client->ring = client->next;
    pthread_mutex_unlock(&client->mutex);
    client->next = NULL;
    key_ring_unref(&old);
}

struct key_ring *
vault_client_keys(struct vault_client *client)
{
    pthread_mutex_lock(&client->mutex);
    struct key_ring *ring = client->ring;
    atomic_fetch_add(&ring->references, 1);
    pthread_mutex_unlock(&client->mutex);
    return ring;
}

/* Asks and waits; the caller frees the reply. */
static enum status
ask(struct vault_client *client, enum msg_type type, const void *fields, enum msg_type reply_type,
    struct ipc_message **reply_out)
{
    struct ipc_message *reply = NULL;
    if (client == NULL || client->channel == NULL) {
        return STATUS_NOT_FOUND;
    }
    enum status status = channel_call(client->channel, type, fields, VAULT_TIMEOUT_MS, &reply);
    if (status != STATUS_OK) {
        return STATUS_TEMPORARY;
    }
    if (reply->type != reply_type) {
        ipc_message_free(&reply);
        return STATUS_TEMPORARY;
    }
    *reply_out = reply;
    return STATUS_OK;
}

/* ---- signatures */

static enum status
sign(void *context, struct str hash, struct buf *signature_out)
{
    const struct vault_signer *signer = context;
    struct record_sign_item item = {
        .domain = signer->entry->domain,
        .selector = signer->entry->selector,
        .algorithm = (uint8_t)signer->entry->algorithm,
        .digest = hash,
    };
    struct msg_sign fields = {.items = {&item, 1}};
    struct ipc_message *reply;
    enum status status = ask(signer->client, MSG_SIGN, &fields, MSG_SIGN_REPLY, &reply);
    if (status != STATUS_OK) {
        return status;
    }
    const struct msg_sign_reply *signatures = MSG_BODY(reply, sign_reply);
    if (signatures->failed) {
        status = STATUS_TEMPORARY; /* the key is there, and could not be used */
    } else if (signatures->signatures.n == 1 && signatures->signatures.items[0].octets.n > 0) {
        status = buf_append(signature_out, signatures->signatures.items[0].octets);
    } else {
        status = STATUS_NOT_FOUND;
    }
    ipc_message_free(&reply);
    return status;
}

struct crypto_signer
vault_signer_make(struct vault_signer *signer)
{
    return (struct crypto_signer){
        .algorithm = signer->entry->algorithm, .sign = sign, .ctx = signer};
}

/* ---- senders */

enum status
vault_srs_forward(struct vault_client *client, struct arena *arena, struct str sender,
                  struct str domain, struct str *sender_out)
{
    struct msg_srs fields = {.direction = VAULT_SRS_FORWARD, .address = sender, .domain = domain};
    struct ipc_message *reply;
    enum status status = ask(client, MSG_SRS, &fields, MSG_SRS_REPLY, &reply);
    if (status != STATUS_OK) {
        return status;
    }
    const struct msg_srs_reply *answer = MSG_BODY(reply, srs_reply);
    status = STATUS_NOT_FOUND;
    if (answer->outcome == VAULT_SRS_DONE) {
        struct str rewritten = arena_str_dup(arena, answer->address);
        status = rewritten.p != NULL ? STATUS_OK : STATUS_LIMIT;
        if (status == STATUS_OK) {
            *sender_out = rewritten;
        }
    }
    ipc_message_free(&reply);
    return status;
}
