/* Senders of forwarded mail: the secrets of SRS stay here, the addresses are made and read here. */
#include "auth/srs.h"

#include <openssl/sha.h>
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

/* One question while it is answered. */
struct request {
    struct vault *vault;
    struct arena *arena;
    struct srs_settings settings;
};

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

/* The code of an address: the same each time, so that a sender of much mail takes one place. */
static struct str
code_of(struct str address, char code[static VAULT_SHORT_CODE_LEN])
{
    static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)address.p, address.n, digest);
    for (size_t i = 0; i < VAULT_SHORT_CODE_LEN; i++) {
        code[i] = base32[digest[i] & 31];
    }
    return str_make(code, VAULT_SHORT_CODE_LEN);
}

/* The short form of a sender, which is kept as long as what is made of it may come back. */
static enum status
make_short(struct request *request, struct str sender, enum srs_result *result_out,
           struct srs_address *rewritten_out)
{
    char text[VAULT_SHORT_CODE_LEN];
    int64_t const now_ms = clock_wall_ms();
    struct srs_address short_form = {code_of(sender, text), STR(SRS_SHORT_DOMAIN)};
    int64_t const valid_ms = (int64_t)request->settings.valid_days * DAY_MS;
    /* Renewed each day, and kept for two more than it may be used. */
    enum status status =
        vault_file_short_put(request->vault->file, short_form.local, sender, now_ms,
                             now_ms - DAY_MS, now_ms - valid_ms - 2 * DAY_MS);
    return status == STATUS_OK ? srs_forward(request->arena, &request->settings, &short_form,
                                             now_ms / 1000, result_out, rewritten_out)
                               : status;
}

/* What a code that came back stands for. */
static enum status
read_short(struct request *request, struct str code, enum srs_result *result_out,
           struct str *address_out)
{
    struct buf kept;
    char *folded = arena_cstr(request->arena, code);
    if (folded == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < code.n; i++) {
        folded[i] = char_lower(folded[i]); /* hosts on the way change the case of letters */
    }
    buf_init(&kept, VAULT_SHORT_ADDRESS);
    enum status status =
        vault_file_short_get(request->vault->file, str_make(folded, code.n), &kept);
    if (status == STATUS_NOT_FOUND) {
        *result_out = SRS_EXPIRED;
        status = STATUS_OK;
    } else if (status == STATUS_OK) {
        *address_out = arena_str_dup(request->arena, buf_str(&kept));
        status = address_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    buf_free(&kept);
    return status;
}

static enum status
rewrite(struct request *request, const struct msg_srs *fields, enum srs_result *result_out,
        struct str *address_out)
{
    struct arena *arena = request->arena;
    const struct srs_settings *settings = &request->settings;
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
        if (status == STATUS_OK && *result_out == SRS_TOO_LONG) {
            status = make_short(request, address.text, result_out, &rewritten);
        }
    } else {
        status = srs_reverse(arena, settings, address.local, now, result_out, &rewritten);
    }
    if (status != STATUS_OK || *result_out != SRS_REWRITTEN) {
        return status;
    }
    if (fields->direction == VAULT_SRS_REVERSE && srs_is_short(&rewritten)) {
        return read_short(request, rewritten.local, result_out, address_out);
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
    struct request request = {
        .vault = vault,
        .arena = arena,
        .settings = {.secrets = secrets,
                     .domain = fields->domain,
                     .valid_days = (unsigned)(config->validity_ms / DAY_MS)},
    };
    for (size_t i = 0; i < vault->srs_count && i < SRS_SECRETS_MAX; i++) {
        secrets[i] = str_make((const char *)vault->srs[i].octets, sizeof vault->srs[i].octets);
        request.settings.secret_count++;
    }
    /* What was made while it was switched on finds its way back. */
    if (fields->direction == VAULT_SRS_FORWARD && !config->enabled) {
        return VAULT_SRS_FAILED;
    }
    enum srs_result result = SRS_NOT_NEEDED;
    enum status status = rewrite(&request, fields, &result, address_out);
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
