/* Signatures: asked for in the loop, made in threads, several of them at one time. */
#include <stdlib.h>

#include "base/log.h"
#include "roles/vault/internal.h"

struct sign_job {
    struct work_job job; /* first */
    struct vault *vault;
    struct asker asker;
    struct ipc_message *message;
    struct loaded_key *keys[VAULT_SIGN_ITEMS]; /* NULL: there is none */
    struct buf signatures[VAULT_SIGN_ITEMS];
    size_t count;
    bool failed;
};

static void
sign_run(struct work_job *job, void *context)
{
    struct sign_job *sign = (struct sign_job *)job;
    const struct msg_sign *fields = MSG_BODY(sign->message, sign);
    (void)context;
    for (size_t i = 0; i < sign->count; i++) {
        if (sign->keys[i] != NULL &&
            private_key_sign(sign->keys[i]->key, fields->items.items[i].digest,
                             &sign->signatures[i]) != STATUS_OK) {
            sign->failed = true;
        }
    }
}

static void
sign_finish(struct work_job *job)
{
    struct sign_job *sign = (struct sign_job *)job;
    struct vault *vault = sign->vault;
    struct record_signature signatures[VAULT_SIGN_ITEMS];
    for (size_t i = 0; i < sign->count; i++) {
        bool made = buf_length(&sign->signatures[i]) > 0;
        signatures[i].octets = buf_str(&sign->signatures[i]);
        /* With a key and without a signature: OpenSSL refused, or the queue ended before. */
        sign->failed |= sign->keys[i] != NULL && !made;
        vault->counters.signatures += made;
        vault->counters.signatures_refused += sign->keys[i] == NULL;
    }
    vault->counters.signatures_failed += sign->failed;
    struct msg_sign_reply reply = {.signatures = {signatures, sign->count}, .failed = sign->failed};
    asker_end(&vault->askers, &sign->asker, MSG_SIGN_REPLY, &reply);
    for (size_t i = 0; i < sign->count; i++) {
        vault_give_back(&sign->keys[i]);
        buf_free(&sign->signatures[i]);
    }
    ipc_message_free(&sign->message);
    free(sign);
}

static void
find_keys(struct sign_job *sign, const struct msg_sign *fields)
{
    sign->count = fields->items.n;
    for (size_t i = 0; i < sign->count; i++) {
        const struct record_sign_item *item = &fields->items.items[i];
        struct entry *entry = vault_find_name(sign->vault, item->domain, item->selector);
        bool right = entry != NULL && (uint8_t)entry->key.algorithm == item->algorithm;
        enum status status = vault_load(sign->vault, right ? entry : NULL, &sign->keys[i]);
        sign->failed |= status != STATUS_OK && status != STATUS_NOT_FOUND;
        buf_init(&sign->signatures[i], CRYPTO_SIGNATURE_MAX);
    }
}

static bool
digests_are_right(const struct msg_sign *fields)
{
    for (size_t i = 0; i < fields->items.n; i++) {
        if (fields->items.items[i].digest.n != VAULT_DIGEST_SIZE) {
            return false;
        }
    }
    return true;
}

/* There is no memory, which is not the peer's fault: it hears "not now". */
static void
refuse(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    static const struct msg_sign_reply reply = {.failed = true};
    enum status status = channel_send(channel, MSG_SIGN_REPLY, message->request, &reply);
    vault->counters.signatures_failed++;
    LOG_WARN("nothing is signed", LOG_CSTR("reason", "out of memory"),
             LOG_CSTR("answered", status_name(status)));
    ipc_message_free(&message);
}

void
vault_on_sign(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_sign *fields = MSG_BODY(message, sign);
    if (!digests_are_right(fields)) {
        ipc_message_free(&message);
        role_peer_misbehaved(vault->runtime, channel);
        return;
    }
    struct sign_job *sign = calloc(1, sizeof *sign);
    if (sign == NULL) {
        refuse(vault, channel, message);
        return;
    }
    sign->job = (struct work_job){.run = sign_run, .finish = sign_finish};
    sign->vault = vault;
    sign->message = message;
    asker_begin(&vault->askers, &sign->asker, channel, message);
    find_keys(sign, fields);
    if (!work_add(vault->signers, &sign->job)) {
        sign->failed = true;
        sign_finish(&sign->job);
    }
}
