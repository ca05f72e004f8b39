#include "auth/srs.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define SECONDS_PER_DAY 86400
/* Base 32 characters of the day. */
#define DAY_SIZE        2u
/* "SRS0=" */
#define TAG_SIZE        5u

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

const char *
srs_result_name(enum srs_result result)
{
    static const char *const names[] = {"rewritten", "not_needed", "too_long",
                                        "malformed", "forged",     "expired"};
    return (unsigned)result <= SRS_EXPIRED ? names[result] : "unknown";
}

/* ---- hash and day */

/*
 * The HMAC covers the kind ('0' or '1') and the rest with ASCII letters folded: a hash of one kind
 * is never good for the other.
 */
static enum status
hash_make(struct arena *arena, struct str secret, char kind, struct str rest,
          char hash_out[static SRS_HASH_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    char *text = arena_alloc(arena, rest.n + 1);
    if (text == NULL) {
        return STATUS_LIMIT;
    }
    text[0] = kind;
    for (size_t i = 0; i < rest.n; i++) {
        text[i + 1] = char_lower(rest.p[i]);
    }
    if (HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)text, rest.n + 1, digest,
             &digest_size) == NULL) {
        return STATUS_BUG;
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof bits; i++) {
        bits = bits << 8 | digest[i];
    }
    for (size_t i = 0; i < SRS_HASH_SIZE; i++) {
        hash_out[i] = base32[bits >> (64 - 5 * (i + 1)) & 31];
    }
    return STATUS_OK;
}

/* Compares with what each secret gives, in constant time. */
static enum status
hash_check(struct arena *arena, const struct srs_settings *settings, char kind, struct str hash,
           struct str rest, bool *good_out)
{
    char got[SRS_HASH_SIZE];
    int differs = 1;
    for (size_t i = 0; i < SRS_HASH_SIZE; i++) {
        got[i] = hash.n == SRS_HASH_SIZE ? char_lower(hash.p[i]) : '\0';
    }
    for (size_t i = 0; i < settings->secret_count; i++) {
        char want[SRS_HASH_SIZE];
        enum status status = hash_make(arena, settings->secrets[i], kind, rest, want);
        if (status != STATUS_OK) {
            return status;
        }
        differs &= CRYPTO_memcmp(got, want, SRS_HASH_SIZE) != 0;
    }
    *good_out = differs == 0;
    return STATUS_OK;
}

static unsigned
day_of(int64_t now)
{
    int64_t day = now / SECONDS_PER_DAY % SRS_DAYS_MODULO;
    return (unsigned)(day < 0 ? day + SRS_DAYS_MODULO : day);
}

static bool
day_parse(struct str text, unsigned *day_out)
{
    unsigned day = 0;
    for (size_t i = 0; i < text.n; i++) {
        size_t value = str_find_char(str_make(base32, 32), char_lower(text.p[i]));
        if (value == STR_NPOS) {
            return false;
        }
        day = day << 5 | (unsigned)value;
    }
    *day_out = day;
    return text.n == DAY_SIZE;
}

/* The clocks of several gateways may differ by what makes it tomorrow. */
static bool
day_is_valid(unsigned day, unsigned today, unsigned valid_days)
{
    unsigned age = (today + SRS_DAYS_MODULO - day) % SRS_DAYS_MODULO;
    return age <= valid_days || age == SRS_DAYS_MODULO - 1;
}

/* ---- forms */

/* '0' or '1' for "SRS0=", "SRS1+", ... in any letter case; '\0' for anything else. */
static char
kind_of(struct str local)
{
    if (local.n < TAG_SIZE || !str_starts_with_nocase(local, STR("SRS")) ||
        (local.p[3] != '0' && local.p[3] != '1') ||
        !str_contains_char(STR("=+-"), local.p[TAG_SIZE - 1])) {
        return '\0';
    }
    return local.p[3];
}

bool
srs_is_rewritten(struct str local)
{
    return kind_of(local) != '\0';
}

static bool
settings_are_valid(const struct srs_settings *settings)
{
    return settings->secret_count > 0 && settings->secret_count <= SRS_SECRETS_MAX &&
           settings->valid_days > 0 && settings->valid_days <= SRS_VALID_MAX &&
           settings->domain.n > 0;
}

/* What is between a domain and a local part must be readable again: neither has this in it. */
static bool
is_domain(struct str domain)
{
    for (size_t i = 0; i < domain.n; i++) {
        if (!char_is_alnum(domain.p[i]) && !str_contains_char(STR(".-_"), domain.p[i])) {
            return false;
        }
    }
    return domain.n > 0;
}

/* "SRS<kind>=<hash>=<rest>" at our domain. */
static enum status
compose(struct arena *arena, const struct srs_settings *settings, char kind, struct str rest,
        enum srs_result *result_out, struct srs_address *out)
{
    char hash[SRS_HASH_SIZE];
    size_t most = settings->local_max > 0 ? settings->local_max : SRS_LOCAL_MAX;
    if (rest.p == NULL) {
        return STATUS_LIMIT;
    }
    if (TAG_SIZE + SRS_HASH_SIZE + 1 + rest.n > most) {
        *result_out = SRS_TOO_LONG;
        return STATUS_OK;
    }
    enum status status = hash_make(arena, settings->secrets[0], kind, rest, hash);
    if (status != STATUS_OK) {
        return status;
    }
    struct str local =
        arena_printf(arena, "SRS%c=%.*s=%.*s", kind, (int)SRS_HASH_SIZE, hash, STR_ARG(rest));
    if (local.p == NULL) {
        return STATUS_LIMIT;
    }
    *result_out = SRS_REWRITTEN;
    *out = (struct srs_address){.local = local, .domain = settings->domain};
    return STATUS_OK;
}

/* ---- forward */

/* The rest of an SRS1 address for one that somebody else rewrote; false: only looks like one. */
static bool
rest_of_rewritten(struct arena *arena, const struct srs_address *sender, struct str *rest_out)
{
    struct str hash;
    struct str after = str_skip(sender->local, TAG_SIZE);
    if (kind_of(sender->local) == '0') {
        /* The separator of the first forwarder is kept in front of what is opaque to us. */
        struct str opaque = str_skip(sender->local, TAG_SIZE - 1);
        *rest_out = arena_printf(arena, "%.*s=%.*s", STR_ARG(sender->domain), STR_ARG(opaque));
        return after.n > 0;
    }
    struct str first;
    struct str opaque;
    if (!str_cut(after, '=', &hash, &after) || !str_cut(after, '=', &first, &opaque) ||
        !is_domain(first) || opaque.n < 2 || !str_contains_char(STR("=+-"), opaque.p[0])) {
        return false;
    }
    *rest_out = after;
    return true;
}

enum status
srs_forward(struct arena *arena, const struct srs_settings *settings,
            const struct srs_address *sender, int64_t now, enum srs_result *result_out,
            struct srs_address *rewritten_out)
{
    if (!settings_are_valid(settings)) {
        return STATUS_BUG;
    }
    /* The null path is nobody's, and our own domain is ours to send from. */
    if (sender->local.n == 0 || str_eq_nocase(sender->domain, settings->domain)) {
        *result_out = SRS_NOT_NEEDED;
        return STATUS_OK;
    }
    if (memchr(sender->local.p, '\0', sender->local.n) != NULL || !is_domain(sender->domain)) {
        *result_out = SRS_NOT_NEEDED; /* a literal has no SPF */
        return STATUS_OK;
    }
    struct str rest;
    if (srs_is_rewritten(sender->local) && rest_of_rewritten(arena, sender, &rest)) {
        return compose(arena, settings, '1', rest, result_out, rewritten_out);
    }
    unsigned day = day_of(now);
    rest = arena_printf(arena, "%c%c=%.*s=%.*s", base32[day >> 5], base32[day & 31],
                        STR_ARG(sender->domain), STR_ARG(sender->local));
    return compose(arena, settings, '0', rest, result_out, rewritten_out);
}

/* ---- reverse */

/* TT=domain=local */
static bool
first_parse(struct str rest, unsigned *day_out, struct srs_address *out)
{
    struct str day_text;
    struct str domain;
    struct str local;
    if (!str_cut(rest, '=', &day_text, &rest) || !str_cut(rest, '=', &domain, &local) ||
        !day_parse(day_text, day_out) || !is_domain(domain) || local.n == 0) {
        return false;
    }
    *out = (struct srs_address){.local = local, .domain = domain};
    return true;
}

static enum srs_result
reverse_first(const struct srs_settings *settings, struct str rest, int64_t now,
              struct srs_address *out)
{
    struct srs_address first;
    unsigned day;
    if (!first_parse(rest, &day, &first)) {
        return SRS_MALFORMED;
    }
    if (!day_is_valid(day, day_of(now), settings->valid_days)) {
        return SRS_EXPIRED;
    }
    *out = first;
    return SRS_REWRITTEN;
}

/* first-domain=<separator>opaque, back to "SRS0<separator>opaque" there. */
static enum status
reverse_later(struct arena *arena, struct str rest, enum srs_result *result_out,
              struct srs_address *out)
{
    struct str domain;
    struct str opaque;
    if (!str_cut(rest, '=', &domain, &opaque) || !is_domain(domain) || opaque.n < 2 ||
        !str_contains_char(STR("=+-"), opaque.p[0])) {
        *result_out = SRS_MALFORMED;
        return STATUS_OK;
    }
    struct str local = arena_printf(arena, "SRS0%.*s", STR_ARG(opaque));
    if (local.p == NULL) {
        return STATUS_LIMIT;
    }
    *result_out = SRS_REWRITTEN;
    *out = (struct srs_address){.local = local, .domain = domain};
    return STATUS_OK;
}

enum status
srs_reverse(struct arena *arena, const struct srs_settings *settings, struct str local, int64_t now,
            enum srs_result *result_out, struct srs_address *address_out)
{
    char kind = kind_of(local);
    struct str hash;
    struct str rest;
    bool good = false;
    if (!settings_are_valid(settings)) {
        return STATUS_BUG;
    }
    if (kind == '\0') {
        *result_out = SRS_NOT_NEEDED;
        return STATUS_OK;
    }
    if (!str_cut(str_skip(local, TAG_SIZE), '=', &hash, &rest) || rest.n == 0 ||
        memchr(local.p, '\0', local.n) != NULL) {
        *result_out = SRS_MALFORMED;
        return STATUS_OK;
    }
    enum status status = hash_check(arena, settings, kind, hash, rest, &good);
    if (status != STATUS_OK) {
        return status;
    }
    if (!good) {
        *result_out = SRS_FORGED;
        return STATUS_OK;
    }
    if (kind == '1') {
        return reverse_later(arena, rest, result_out, address_out);
    }
    *result_out = reverse_first(settings, rest, now, address_out);
    return STATUS_OK;
}

enum status
srs_undo(struct arena *arena, struct str local, struct srs_address *address_out)
{
    char kind = kind_of(local);
    enum srs_result result = SRS_MALFORMED;
    enum status status = STATUS_OK;
    struct str hash;
    struct str rest;
    unsigned day;
    if (kind == '\0' || !str_cut(str_skip(local, TAG_SIZE), '=', &hash, &rest)) {
        return STATUS_SYNTAX;
    }
    if (kind == '1') {
        status = reverse_later(arena, rest, &result, address_out);
    } else if (first_parse(rest, &day, address_out)) {
        result = SRS_REWRITTEN;
    }
    return status == STATUS_OK && result != SRS_REWRITTEN ? STATUS_SYNTAX : status;
}
