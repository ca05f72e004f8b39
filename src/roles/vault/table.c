/* The keys in memory, as they are on disk: looked up, added, changed, loaded for signing. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "roles/vault/internal.h"

/* Keys in one message to the filter: with names of full length it stays within IPC_PACKET_MAX. */
#define TOLD_AT_ONCE   1000u
/* Questions about keys from before are spread over this time after a start. */
#define FIRST_CHECK_MS 30000u

static void
make_name(struct str domain, struct str selector, char out[static VAULT_NAME_MAX])
{
    snprintf(out, VAULT_NAME_MAX, "%.*s._domainkey.%.*s", STR_ARG(selector), STR_ARG(domain));
}

/* ---- entries */

static struct entry *
entry_add(struct vault *vault, const struct vault_key *key)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->key = *key;
    entry->written_ms = key->checked_ms;
    make_name(str_from_cstr(key->domain), str_from_cstr(key->selector), entry->name);
    HASH_ADD(by_number, vault->by_number, key.number, sizeof entry->key.number, entry);
    HASH_ADD_KEYPTR(by_name, vault->by_name, entry->name, strlen(entry->name), entry);
    return entry;
}

static void
entry_unload(struct vault *vault, struct entry *entry)
{
    if (entry->loaded != NULL) {
        vault_give_back(&entry->loaded);
        vault->loaded_count--;
    }
}

static void
entry_remove(struct vault *vault, struct entry *entry)
{
    entry_unload(vault, entry);
    HASH_DELETE(by_number, vault->by_number, entry);
    HASH_DELETE(by_name, vault->by_name, entry);
    free((void *)(uintptr_t)entry->shown.p);
    free(entry);
}

static bool
load_one(void *context, const struct vault_key *key)
{
    struct vault *vault = context;
    if (HASH_CNT(by_number, vault->by_number) >= VAULT_KEYS_MAX) {
        LOG_ERROR("there are too many keys; the rest is not used", LOG_INT("most", VAULT_KEYS_MAX));
        return false;
    }
    struct entry *entry = entry_add(vault, key);
    if (entry != NULL) {
        entry->next_check_ms = clock_monotonic_ms() + (int64_t)random_below(FIRST_CHECK_MS);
    }
    return entry != NULL;
}

enum status
vault_table_load(struct vault *vault)
{
    return vault_file_each(vault->file, load_one, vault);
}

void
vault_table_free(struct vault *vault)
{
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        entry_remove(vault, entry);
    }
}

struct entry *
vault_find_number(struct vault *vault, uint64_t number)
{
    struct entry *entry;
    HASH_FIND(by_number, vault->by_number, &number, sizeof number, entry);
    return entry;
}

struct entry *
vault_find_name(struct vault *vault, struct str domain, struct str selector)
{
    char name[VAULT_NAME_MAX];
    struct entry *entry;
    if (domain.n > VAULT_DOMAIN_MAX || selector.n > VAULT_SELECTOR_MAX) {
        return NULL;
    }
    make_name(domain, selector, name);
    HASH_FIND(by_name, vault->by_name, name, strlen(name), entry);
    return entry;
}

/* ---- changes: first on disk */

enum status
vault_add(struct vault *vault, struct vault_key *key, const struct private_key *private_key)
{
    struct buf pem;
    if (HASH_CNT(by_number, vault->by_number) >= VAULT_KEYS_MAX) {
        return STATUS_LIMIT;
    }
    buf_init(&pem, PRIVATE_KEY_PEM_MAX);
    enum status status = private_key_to_pem(private_key, &pem);
    if (status == STATUS_OK) {
        status = vault_file_add(vault->file, key, buf_str(&pem));
    }
    buf_free_wiped(&pem);
    if (status != STATUS_OK) {
        return status;
    }
    LOG_INFO("a key was added", LOG_CSTR("domain", key->domain),
             LOG_CSTR("selector", key->selector),
             LOG_CSTR("algorithm", crypto_key_type_name(key->algorithm)),
             LOG_INT("bits", key->bits), LOG_CSTR("from", key->imported ? "import" : "vault"));
    return entry_add(vault, key) != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* Takes over what is on disk now. True when other keys are active than before. */
static bool
take_change(struct vault *vault, const struct vault_key *key)
{
    struct entry *entry = vault_find_number(vault, key->number);
    bool const differs = (entry->key.state == KEY_ACTIVE) != (key->state == KEY_ACTIVE);
    entry->key = *key;
    entry->written_ms = clock_wall_ms();
    if (key->state >= KEY_RETIRED) {
        entry_unload(vault, entry);
    }
    if (key->state == KEY_REMOVED) {
        entry_remove(vault, entry);
    }
    return differs;
}

enum status
vault_change(struct vault *vault, const struct vault_key *keys, size_t count)
{
    bool differs = false;
    enum status status = vault_file_update(vault->file, keys, count);
    if (status != STATUS_OK) {
        LOG_ERROR("a change of keys could not be written; it is tried again",
                  LOG_CSTR("status", status_name(status)));
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        differs |= take_change(vault, &keys[i]);
    }
    if (differs) {
        vault_tell_keys(vault);
    }
    return STATUS_OK;
}

/* ---- private keys in memory */

void
vault_give_back(struct loaded_key **loaded)
{
    if (*loaded != NULL && --(*loaded)->references == 0) {
        private_key_destroy(&(*loaded)->key);
        free(*loaded);
    }
    *loaded = NULL;
}

static void
make_room(struct vault *vault)
{
    struct entry *oldest = NULL;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (entry->loaded != NULL && (oldest == NULL || entry->used_ms < oldest->used_ms)) {
            oldest = entry;
        }
    }
    if (oldest != NULL) {
        entry_unload(vault, oldest);
    }
}

static enum status
load_from_file(struct vault *vault, struct entry *entry)
{
    struct buf pem;
    struct loaded_key *loaded = calloc(1, sizeof *loaded);
    if (loaded == NULL) {
        return STATUS_LIMIT;
    }
    buf_init(&pem, PRIVATE_KEY_PEM_MAX);
    enum status status = vault_file_private(vault->file, entry->key.number, &pem);
    if (status == STATUS_OK) {
        status = private_key_from_pem(buf_str(&pem), &loaded->key);
    }
    buf_free_wiped(&pem);
    if (status != STATUS_OK) {
        LOG_ERROR("a private key cannot be used", LOG_CSTR("name", entry->name),
                  LOG_CSTR("status", status_name(status)));
        free(loaded);
        return status == STATUS_NOT_FOUND ? STATUS_BUG : status;
    }
    loaded->references = 1;
    entry->loaded = loaded;
    vault->loaded_count++;
    return STATUS_OK;
}

enum status
vault_load(struct vault *vault, struct entry *entry, struct loaded_key **loaded_out)
{
    enum status status = STATUS_OK;
    if (entry == NULL || (entry->key.state != KEY_ACTIVE && entry->key.state != KEY_RETIRING)) {
        return STATUS_NOT_FOUND;
    }
    if (entry->loaded == NULL) {
        if (vault->loaded_count >= VAULT_LOADED_MAX) {
            make_room(vault);
        }
        status = load_from_file(vault, entry);
    }
    if (status == STATUS_OK) {
        entry->used_ms = clock_monotonic_ms();
        entry->loaded->references++;
        *loaded_out = entry->loaded;
    }
    return status;
}

/* ---- who signs: the filter, and the spool its notices */

static void
tell(struct channel *peer, struct record_vault_key *keys, size_t count, bool more)
{
    struct msg_vault_keys fields = {.keys = {keys, count}, .more = more};
    if (channel_send(peer, MSG_VAULT_KEYS, 0, &fields) != STATUS_OK) {
        LOG_ERROR("a role cannot be told of the keys",
                  LOG_CSTR("role", ipc_role_name(channel_peer(peer))));
    }
}

static void
tell_all(struct vault *vault, struct channel *peer)
{
    static struct record_vault_key keys[TOLD_AT_ONCE];
    size_t count = 0;
    struct entry *entry;
    struct entry *next;
    if (!channel_is_connected(peer)) {
        return;
    }
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (entry->key.state != KEY_ACTIVE) {
            continue;
        }
        if (count == TOLD_AT_ONCE) {
            tell(peer, keys, count, true);
            count = 0;
        }
        keys[count++] = (struct record_vault_key){str_from_cstr(entry->key.domain),
                                                  str_from_cstr(entry->key.selector),
                                                  (uint8_t)entry->key.algorithm};
    }
    tell(peer, keys, count, false);
}

void
vault_tell_keys(struct vault *vault)
{
    tell_all(vault, role_channel(vault->runtime, ROLE_FILTER, 0));
    tell_all(vault, role_channel(vault->runtime, ROLE_SPOOL, 0));
}
