#include "roles/vault/vault.h"

#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "roles/vault/internal.h"
#include "tls/library.h"

/* Threads that sign: one a core, within these bounds. */
#define SIGNERS_LEAST   2
#define SIGNERS_MOST    8
#define TICK_S          1
/* How often a stopping vault looks whether its work is done. */
#define STOPPING_US     20000
/* Smallest piece of OpenSSL's secure heap. */
#define SECURE_HEAP_MIN 32

/* ---- opening */

/* Neither core files nor other processes of the same user may see this memory. */
static enum status
close_memory(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return STATUS_IO;
    }
    int made = CRYPTO_secure_malloc_init(VAULT_SECURE_HEAP, SECURE_HEAP_MIN);
    if (made == 0) {
        LOG_ERROR("OpenSSL has no memory for keys", LOG_INT("octets", VAULT_SECURE_HEAP));
        return STATUS_LIMIT;
    }
    if (made == 2) {
        LOG_WARN("the memory of the keys cannot be locked and may be swapped out: allow the "
                 "service to lock more (LimitMEMLOCK=)",
                 LOG_INT("octets", VAULT_SECURE_HEAP));
    }
    return STATUS_OK;
}

static enum status
open_keys(struct vault *vault, const char *directory)
{
    enum status status = vault_file_open(directory, &vault->file);
    if (status == STATUS_OK) {
        status = vault_table_load(vault);
    }
    if (status == STATUS_OK) {
        status = vault_srs_prepare(vault);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("the keys cannot be used: restore <state>/vault/keys.db from a backup, or move it"
                  " away and make new keys (postern key generate)",
                  LOG_CSTR("directory", directory), LOG_CSTR("status", status_name(status)));
    }
    return status;
}

static void vault_close(void *state);

static enum status
vault_open(struct role_runtime *runtime, void **state_out)
{
    struct vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL) {
        return STATUS_LIMIT;
    }
    vault->runtime = runtime;
    enum status status = close_memory();
    if (status == STATUS_OK) {
        status = tls_library_init();
    }
    if (status == STATUS_OK) {
        status = open_keys(vault, role_directory(runtime));
    }
    if (status != STATUS_OK) {
        vault_close(vault);
        return status;
    }
    LOG_INFO("the vault is open", LOG_INT("keys", HASH_CNT(by_number, vault->by_number)));
    *state_out = vault;
    return STATUS_OK;
}

/* ---- starting and stopping */

static void
on_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    vault_tick(context);
}

static void
on_stopping(evutil_socket_t fd, short what, void *context)
{
    struct vault *vault = context;
    (void)fd;
    (void)what;
    if (work_pending(vault->signers) + work_pending(vault->makers) == 0) {
        role_stopped(vault->runtime);
    }
}

static enum status
start_threads(struct vault *vault)
{
    long const cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct work_settings settings = {
        .loop = role_loop(vault->runtime),
        .threads = cores < SIGNERS_LEAST  ? SIGNERS_LEAST
                   : cores > SIGNERS_MOST ? SIGNERS_MOST
                                          : (unsigned)cores,
        .batch = 1,
        .most_jobs = VAULT_SIGN_JOBS,
        .most_octets = SIZE_MAX,
    };
    vault->signers = work_create(&settings);
    settings.threads = 1;
    settings.most_jobs = VAULT_MAKE_JOBS;
    vault->makers = work_create(&settings);
    return vault->signers != NULL && vault->makers != NULL ? STATUS_OK : STATUS_LIMIT;
}

static enum status
vault_start(struct role_runtime *runtime, void *state)
{
    struct vault *vault = state;
    struct timeval interval = {TICK_S, 0};
    vault->tick = event_new(role_loop(runtime), -1, EV_PERSIST, on_tick, vault);
    vault->stopping = event_new(role_loop(runtime), -1, EV_PERSIST, on_stopping, vault);
    if (vault->tick == NULL || vault->stopping == NULL || event_add(vault->tick, &interval) != 0) {
        return STATUS_LIMIT;
    }
    enum status status = start_threads(vault);
    if (status != STATUS_OK) {
        LOG_ERROR("the vault's threads cannot be started");
        return status;
    }
    vault_tell_keys(vault); /* the filter may have been there before the loop */
    return STATUS_OK;
}

static void
vault_stop(void *state, int grace_ms)
{
    struct vault *vault = state;
    struct timeval interval = {0, STOPPING_US};
    (void)grace_ms;
    event_del(vault->tick);
    event_add(vault->stopping, &interval);
}

static void
vault_close(void *state)
{
    struct vault *vault = state;
    work_destroy(&vault->signers);
    work_destroy(&vault->makers);
    if (vault->tick != NULL) {
        event_free(vault->tick);
    }
    if (vault->stopping != NULL) {
        event_free(vault->stopping);
    }
    vault_table_free(vault);
    vault_file_close(&vault->file);
    explicit_bzero(vault, sizeof *vault);
    free(vault);
}

/* ---- messages */

static const struct {
    enum msg_type type;
    void (*handle)(struct vault *vault, struct channel *channel, struct ipc_message *message);
} handlers[] = {
    {MSG_SIGN, vault_on_sign},
    {MSG_SRS, vault_on_srs},
    {MSG_KEY_LIST, vault_on_key_list},
    {MSG_KEY_GENERATE, vault_on_key_generate},
    {MSG_KEY_IMPORT, vault_on_key_import},
    {MSG_KEY_ACT, vault_on_key_act},
    {MSG_LOGIN_SET, vault_on_login_set},
    {MSG_LOGIN_LIST, vault_on_login_list},
    {MSG_LOGIN_FIND, vault_on_login_find},
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
    struct vault *vault = state;
    if (!up) {
        asker_forget(&vault->askers, channel);
    } else if (channel_peer(channel) == ROLE_FILTER || channel_peer(channel) == ROLE_SPOOL) {
        vault_tell_keys(vault);
    }
}

const struct role_definition vault_role = {
    .role = ROLE_VAULT,
    .open = vault_open,
    .start = vault_start,
    .on_message = vault_on_message,
    .on_peer = vault_on_peer,
    .stop = vault_stop,
    .metrics = vault_metrics,
    .close = vault_close,
};
