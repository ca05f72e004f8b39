/*
 * Notices of our own are signed like the mail of our users (RFC 6376), with the keys of the host
 * name, in which they are written, or of a domain above it. The vault is asked once for all
 * signatures of a notice; the loop goes on meanwhile. A notice that cannot be signed goes out
 * unsigned: it is not worth more with a signature than in time.
 */
#include <stdlib.h>

#include "auth/dkim_sign.h"
#include "base/clock.h"
#include "base/log.h"
#include "roles/filter/vault.h"
#include "roles/spool/internal.h"

/* For headers and hashes of one notice. */
#define SIGN_CEILING (1u << 20)

/* One of the keys that sign, and what it is to sign. */
struct signature {
    const struct key_ring_entry *entry;
    char digest[64];
    size_t digest_n;
    struct str octets; /* of the vault's answer; empty: not yet */
};

struct notice_signing {
    struct spool_role *role;
    struct parcel **notices; /* in the caller's memory */
    size_t count;
    size_t at;
    notice_signed *done;
    void *context;
    struct key_ring *ring;
    struct signature signatures[VAULT_SIGNERS_MAX];
    size_t signature_count;
    int64_t time_s;
    struct str domain;
};

static void sign_next(struct notice_signing *s);

/* The first time round it notes the hash, the second time it gives the vault's signature. */
static enum status
sign_with_answer(void *context, struct str hash, struct buf *signature_out)
{
    struct signature *signature = context;
    if (signature->octets.n > 0) {
        return buf_append(signature_out, signature->octets);
    }
    signature->digest_n = hash.n < sizeof signature->digest ? hash.n : sizeof signature->digest;
    memcpy(signature->digest, hash.p, signature->digest_n);
    return buf_append_char(signature_out, '?');
}

/* The fields of all signatures; they are good once the vault has answered. */
static enum status
make_fields(struct notice_signing *s, struct arena *arena, struct buf *fields_out)
{
    const struct mail_head_limits limits = {SIZE_MAX, SIZE_MAX};
    const struct spool_message *m = &s->notices[s->at]->m;
    struct dkim_sign_key keys[VAULT_SIGNERS_MAX];
    struct mail_head head;
    enum status status = mail_head_parse(arena, m->head, &limits, &head);
    for (size_t i = 0; i < s->signature_count; i++) {
        keys[i] = (struct dkim_sign_key){
            s->signatures[i].entry->selector,
            {s->signatures[i].entry->algorithm, sign_with_answer, &s->signatures[i]}};
    }
    const struct dkim_sign_request request = {
        .head = &head,
        .body = m->content,
        .domain = s->domain,
        .keys = keys,
        .key_count = s->signature_count,
        .head_form = CANONICAL_RELAXED,
        .body_form = CANONICAL_RELAXED,
        .time = s->time_s,
        .expires = DKIM_NO_TIME,
    };
    return status == STATUS_OK ? dkim_sign(arena, &request, fields_out) : status;
}

/* Puts the fields on top of the notice. */
static void
put_fields(struct notice_signing *s)
{
    struct parcel *notice = s->notices[s->at];
    struct arena *arena = arena_create(SIGN_CEILING);
    struct trace trace;
    struct buf fields;
    buf_init(&fields, DKIM_SIGN_FIELDS_MAX);
    if (make_fields(s, arena, &fields) == STATUS_OK &&
        parcel_put_fields(notice, buf_str(&fields)) == STATUS_OK) {
        trace_init(&trace, NULL);
        for (size_t i = 0; i < s->signature_count; i++) {
            const struct key_ring_entry *entry = s->signatures[i].entry;
            TRACE(&trace, signed, .domain = s->domain, .selector = entry->selector,
                  .algorithm = str_from_cstr(crypto_algorithm_name(entry->algorithm)));
        }
        trace_sender_add(s->role->traces, notice->m.id, str_make(NULL, 0), &trace);
        trace_free(&trace);
    }
    buf_free(&fields);
    arena_destroy(&arena);
}

static bool
take_signatures(struct notice_signing *s, const struct msg_sign_reply *reply)
{
    if (reply->failed || reply->signatures.n != s->signature_count) {
        return false;
    }
    for (size_t i = 0; i < s->signature_count; i++) {
        s->signatures[i].octets = reply->signatures.items[i].octets;
        if (s->signatures[i].octets.n == 0) {
            return false;
        }
    }
    return true;
}

static void
on_signed(void *context, enum status status, struct ipc_message *reply)
{
    struct notice_signing *s = context;
    if (status == STATUS_OK && reply->type == MSG_SIGN_REPLY &&
        take_signatures(s, MSG_BODY(reply, sign_reply))) {
        put_fields(s);
    } else {
        LOG_WARN("a notice leaves unsigned", LOG_STR("id", s->notices[s->at]->m.id),
                 LOG_STR("domain", s->domain));
    }
    ipc_message_free(&reply);
    s->at++;
    sign_next(s);
}

/* Sends what is to be signed; false: this notice stays as it is. */
static bool
ask_vault(struct notice_signing *s)
{
    struct record_sign_item items[VAULT_SIGNERS_MAX];
    struct arena *arena = arena_create(SIGN_CEILING);
    struct buf unsigned_fields;
    buf_init(&unsigned_fields, DKIM_SIGN_FIELDS_MAX);
    for (size_t i = 0; i < s->signature_count; i++) {
        s->signatures[i].octets = str_make(NULL, 0);
    }
    enum status status = make_fields(s, arena, &unsigned_fields);
    for (size_t i = 0; i < s->signature_count; i++) {
        const struct signature *signature = &s->signatures[i];
        items[i] = (struct record_sign_item){
            .domain = signature->entry->domain,
            .selector = signature->entry->selector,
            .algorithm = (uint8_t)signature->entry->algorithm,
            .digest = str_make(signature->digest, signature->digest_n),
        };
    }
    struct msg_sign fields = {.items = {items, s->signature_count}};
    if (status == STATUS_OK) {
        status = channel_request(role_channel(s->role->runtime, ROLE_VAULT, 0), MSG_SIGN, &fields,
                                 VAULT_TIMEOUT_MS, on_signed, s);
    }
    buf_free(&unsigned_fields);
    arena_destroy(&arena);
    return status == STATUS_OK;
}

static void
finish(struct notice_signing *s)
{
    s->role->signing--;
    s->done(s->role, s->context);
    key_ring_unref(&s->ring);
    free(s);
}

static void
sign_next(struct notice_signing *s)
{
    while (s->at < s->count) {
        if (ask_vault(s)) {
            return; /* on_signed goes on */
        }
        s->at++;
    }
    finish(s);
}

/* The keys of the nearest domain that has some: its signature is aligned in relaxed mode. */
static void
find_keys(struct notice_signing *s)
{
    const struct key_ring_entry *found[VAULT_SIGNERS_MAX];
    for (struct str name = s->domain; name.n > 0 && s->signature_count == 0;) {
        s->signature_count = key_ring_find(s->ring, name, found, VAULT_SIGNERS_MAX);
        s->domain = name;
        size_t dot = str_find_char(name, '.');
        name = dot != STR_NPOS ? str_skip(name, dot + 1) : str_make(NULL, 0);
    }
    for (size_t i = 0; i < s->signature_count; i++) {
        s->signatures[i].entry = found[i];
    }
}

void
notice_sign(struct spool_role *role, struct parcel **notices, size_t count, notice_signed *done,
            void *context)
{
    const struct config *config = role_config(role->runtime);
    struct notice_signing *s = count > 0 ? calloc(1, sizeof *s) : NULL;
    if (s == NULL) {
        done(role, context);
        return;
    }
    s->role = role;
    s->notices = notices;
    s->count = count;
    s->done = done;
    s->context = context;
    s->ring = vault_client_keys(role->vault);
    s->time_s = clock_wall_ms() / 1000;
    s->domain = config->hostname;
    if (config->authentication.dkim.sign) {
        find_keys(s);
    }
    role->signing++;
    if (s->signature_count == 0) {
        s->at = s->count;
    }
    sign_next(s);
}
