/* Senders of forwarded mail: the secrets of SRS stay here, the addresses are made and read here. */
#include "auth/srs.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "roles/vault/internal.h"
#include "smtp/address.h"

#define SRS_ARENA     16384u
#define DAY_MS        (24 * 60 * 60 * 1000LL)
/* A new secret this often; less often where addresses are valid for so long that there would be
 * more than SRS_SECRETS_MAX secrets to try. */
#define SECRET_AGE_MS (30 * DAY_MS)

static int64_t
secret_period(int64_t validity_ms)
{
    int64_t const longest = validity_ms / (SRS_SECRETS_MAX - 2);
    return longest > SECRET_AGE_MS ? longest : SECRET_AGE_MS;
}

enum status
vault_srs_prepare(struct vault *vault)
{
    int64_t const validity = role_config(vault->runtime)->authentication.srs.validity_ms;
    int64_t const now = clock_wall_ms();
    enum status status = STATUS_OK;
    if (vault->srs_count == 0) {
        status = vault_file_srs_read(vault->file, vault->srs, &vault->srs_count);
    }
    if (status != STATUS_OK ||
        (vault->srs_count > 0 && now - vault->srs[0].created_ms < secret_period(validity))) {
        return status;
    }
    struct vault_srs_secret fresh = {.created_ms = now};
    random_bytes(fresh.octets, sizeof fresh.octets);
    /* An address of its last day is read by the secret that was new when it was made. */
    status =
        vault_file_srs_add(vault->file, &fresh, now - validity - secret_period(validity) - DAY_MS);
    explicit_bzero(&fresh, sizeof fresh);
    if (status == STATUS_OK) {
        LOG_INFO("a new secret signs the senders of forwarded mail");
        status = vault_file_srs_read(vault->file, vault->srs, &vault->srs_count);
    }
    return status;
}

/* ---- one address */

static enum vault_srs_outcome
outcome_of(enum status status, enum srs_result result)
{
    if (status != STATUS_OK) {
        return VAULT_SRS_FAILED;
    }
    switch (result) {
    case SRS_REWRITTEN:
        return VAULT_SRS_DONE;
    case SRS_NOT_NEEDED:
        return VAULT_SRS_FOREIGN;
    case SRS_MALFORMED:
    case SRS_FORGED:
        return VAULT_SRS_FORGED;
    case SRS_EXPIRED:
        return VAULT_SRS_EXPIRED;
    case SRS_TOO_LONG:
        break;
    }
    return VAULT_SRS_FAILED;
}

static enum status
rewrite(struct arena *arena, const struct srs_settings *settings, const struct msg_srs *fields,
        enum srs_result *result_out, struct str *address_out)
{
    struct smtp_address address;
    struct srs_address rewritten;
    int64_t const now = clock_wall_ms() / 1000;
    enum status status = smtp_mailbox_parse(arena, fields->address,
                                            SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL, &address);
    if (status != STATUS_OK) {
        return status;
    }
    if (fields->direction == VAULT_SRS_FORWARD) {
        struct srs_address const sender = {address.local, address.domain};
        status = srs_forward(arena, settings, &sender, now, result_out, &rewritten);
    } else {
        status = srs_reverse(arena, settings, address.local, now, result_out, &rewritten);
    }
    if (status != STATUS_OK || *result_out != SRS_REWRITTEN) {
        return status;
    }
    status = smtp_address_make(arena, rewritten.local, rewritten.domain, &address);
    if (status == STATUS_OK) {
        *address_out = address.text;
    }
    return status;
}

static enum vault_srs_outcome
answer(struct vault *vault, struct arena *arena, const struct msg_srs *fields,
       struct str *address_out)
{
    const struct config_srs *config = &role_config(vault->runtime)->authentication.srs;
    struct str secrets[SRS_SECRETS_MAX];
    struct srs_settings settings = {
        .secrets = secrets,
        .domain = fields->domain,
        .valid_days = (unsigned)(config->validity_ms / DAY_MS),
    };
    for (size_t i = 0; i < vault->srs_count && i < SRS_SECRETS_MAX; i++) {
        secrets[i] = str_make((const char *)vault->srs[i].octets, sizeof vault->srs[i].octets);
        settings.secret_count++;
    }
    /* What was made while it was switched on finds its way back. */
    if (fields->direction == VAULT_SRS_FORWARD && !config->enabled) {
        return VAULT_SRS_FAILED;
    }
    enum srs_result result = SRS_NOT_NEEDED;
    enum status status = rewrite(arena, &settings, fields, &result, address_out);
    if (status == STATUS_SYNTAX || status == STATUS_DENIED) {
        return VAULT_SRS_FOREIGN;
    }
    return outcome_of(status, result);
}

void
vault_on_srs(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_srs *fields = MSG_BODY(message, srs);
    if (fields->direction != VAULT_SRS_FORWARD && fields->direction != VAULT_SRS_REVERSE) {
        ipc_message_free(&message);
        role_peer_misbehaved(vault->runtime, channel);
        return;
    }
    struct arena *arena = arena_create(SRS_ARENA);
    struct str address = STR("");
    enum vault_srs_outcome outcome = answer(vault, arena, fields, &address);
    struct msg_srs_reply reply = {.outcome = (uint8_t)outcome, .address = address};
    struct asker asker;
    vault->counters.srs_made += outcome == VAULT_SRS_DONE && fields->direction == VAULT_SRS_FORWARD;
    vault->counters.srs_read += outcome == VAULT_SRS_DONE && fields->direction == VAULT_SRS_REVERSE;
    vault->counters.srs_refused += outcome != VAULT_SRS_DONE;
    asker_begin(&vault->askers, &asker, channel, message);
    asker_end(&vault->askers, &asker, MSG_SRS_REPLY, &reply);
    arena_destroy(&arena);
    ipc_message_free(&message);
}
