#include "roles/vault/vault.h"

#include <stdlib.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "roles/vault/internal.h"

/* ---- messages */

void
vault_tell_keys(struct vault *vault)
{
    struct channel *filter = role_channel(vault->runtime, ROLE_FILTER, 0);
    struct msg_vault_keys fields = {.more = false};
    if (channel_is_connected(filter) &&
        channel_send(filter, MSG_VAULT_KEYS, 0, &fields) != STATUS_OK) {
        LOG_ERROR("the filter cannot be told of the keys");
    }
}

void
vault_on_sign(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    struct record_signature signatures[16] = {{.octets = STR_INIT("")}};
    struct msg_sign_reply reply = {{signatures, MSG_BODY(message, sign)->items.n}};
    vault->signatures_refused += (int64_t)reply.signatures.n;
    if (channel_send(channel, MSG_SIGN_REPLY, message->request, &reply) != STATUS_OK) {
        LOG_DEBUG("who wanted a signature has gone");
    }
    ipc_message_free(&message);
}

void
vault_on_srs(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    struct msg_srs_reply reply = {.outcome = VAULT_SRS_FAILED};
    (void)vault;
    if (channel_send(channel, MSG_SRS_REPLY, message->request, &reply) != STATUS_OK) {
        LOG_DEBUG("who wanted an address has gone");
    }
    ipc_message_free(&message);
}

static const struct {
    enum msg_type type;
    void (*handle)(struct vault *vault, struct channel *channel, struct ipc_message *message);
} handlers[] = {
    {MSG_SIGN, vault_on_sign},
    {MSG_SRS, vault_on_srs},
};

static void
vault_on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct vault *vault = context;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type == message->type) {
            handlers[i].handle(vault, channel, message);
            return;
        }
    }
    ipc_message_free(&message);
    role_peer_misbehaved(vault->runtime, channel);
}

static void
vault_on_peer(void *state, struct channel *channel, bool up)
{
    if (up && channel_peer(channel) == ROLE_FILTER) {
        vault_tell_keys(state);
    }
}

/* ---- start and end */

static enum status
vault_open(struct role_runtime *runtime, void **state_out)
{
    struct vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL) {
        return STATUS_LIMIT;
    }
    vault->runtime = runtime;
    /* Neither core files nor other processes of the same user may see this memory. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        free(vault);
        return STATUS_IO;
    }
    *state_out = vault;
    return STATUS_OK;
}

static enum status
vault_start(struct role_runtime *runtime, void *state)
{
    (void)runtime;
    vault_tell_keys(state); /* the filter may have been there before the loop */
    return STATUS_OK;
}

static void
vault_metrics(void *state, struct role_metrics *metrics_out)
{
    const struct vault *vault = state;
    role_metric_add(metrics_out, "signatures_total", vault->signatures);
    role_metric_add(metrics_out, "signatures_refused_total", vault->signatures_refused);
}

static void
vault_close(void *state)
{
    free(state);
}

static const struct sandbox_profile profile = {
    .name = "vault",
    .allow = SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_ACCEPT,
    .descriptors = 256,
    .memory_bytes = 2ULL << 30,
};

const struct role_definition vault_role = {
    .role = ROLE_VAULT,
    .sandbox = &profile,
    .open = vault_open,
    .start = vault_start,
    .on_message = vault_on_message,
    .on_peer = vault_on_peer,
    .metrics = vault_metrics,
    .close = vault_close,
};
