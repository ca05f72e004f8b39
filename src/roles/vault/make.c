/* New keys: RSA takes a tenth of a second to a few seconds, so a thread makes them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/vault/internal.h"

#define ALGORITHMS    2u
/* Selectors that are tried within one month. */
#define SELECTORS_MAX 1000u

struct make_job {
    struct work_job job; /* first */
    struct vault *vault;
    struct make_order order;
    struct private_key *keys[ALGORITHMS]; /* by algorithm */
    enum status status;
    bool ran;
    vault_on_made *on_made;
    void *context;
};

bool
vault_make_selector(struct vault *vault, const char *domain, enum crypto_algorithm algorithm,
                    char selector_out[static VAULT_SELECTOR_MAX + 1])
{
    char selector[VAULT_SELECTOR_MAX + 1];
    time_t const now = (time_t)(clock_wall_ms() / 1000);
    struct tm date;
    gmtime_r(&now, &date);
    char const letter = algorithm == CRYPTO_RSA_SHA256 ? 'r' : 'e';
    for (unsigned i = 1; i <= SELECTORS_MAX; i++) {
        int n = snprintf(selector, sizeof selector, "p%04d%02d%c", date.tm_year + 1900,
                         date.tm_mon + 1, letter);
        if (i > 1) {
            snprintf(selector + n, sizeof selector - (size_t)n, "%u", i);
        }
        if (!vault_file_selector_is_used(vault->file, str_from_cstr(domain),
                                         str_from_cstr(selector))) {
            memcpy(selector_out, selector, sizeof selector);
            return true;
        }
    }
    return false;
}

enum status
vault_describe(const struct private_key *private_key, struct vault_key *key)
{
    struct arena *arena = arena_create(8u * VAULT_PUBLIC_MAX);
    struct str octets;
    enum status status = private_key_public(private_key, arena, &octets);
    if (status == STATUS_OK && octets.n > sizeof key->public_key) {
        status = STATUS_DENIED; /* an exponent of a size that nobody uses */
    }
    if (status == STATUS_OK) {
        key->algorithm = private_key_algorithm(private_key);
        key->bits = private_key_bits(private_key);
        key->state = KEY_PENDING;
        key->created_ms = clock_wall_ms();
        memcpy(key->public_key, octets.p, octets.n);
        key->public_size = octets.n;
    }
    arena_destroy(&arena);
    return status;
}

static void
make_run(struct work_job *job, void *context)
{
    struct make_job *make = (struct make_job *)job;
    (void)context;
    make->ran = true;
    for (unsigned i = 0; i < ALGORITHMS && make->status == STATUS_OK; i++) {
        if ((make->order.algorithms & 1u << i) != 0) {
            make->status =
                private_key_generate((enum crypto_algorithm)i, make->order.bits, &make->keys[i]);
        }
    }
}

static enum status
keep(struct make_job *make, unsigned algorithm, uint64_t *number_out)
{
    struct vault_key key = {.number = 0};
    const struct make_order *order = &make->order;
    memcpy(key.domain, order->domain, sizeof key.domain);
    memcpy(key.selector, order->selector, sizeof key.selector);
    if (key.selector[0] == '\0' &&
        !vault_make_selector(make->vault, key.domain, (enum crypto_algorithm)algorithm,
                             key.selector)) {
        return STATUS_DENIED;
    }
    enum status status = vault_describe(make->keys[algorithm], &key);
    if (status == STATUS_OK) {
        status = vault_add(make->vault, &key, make->keys[algorithm]);
    }
    if (status == STATUS_OK) {
        *number_out = key.number;
    }
    return status;
}

static void
make_finish(struct work_job *job)
{
    struct make_job *make = (struct make_job *)job;
    uint64_t numbers[ALGORITHMS];
    size_t count = 0;
    enum status status = make->ran ? make->status : STATUS_TEMPORARY;
    for (unsigned i = 0; i < ALGORITHMS && status == STATUS_OK; i++) {
        if (make->keys[i] != NULL) {
            status = keep(make, i, &numbers[count]);
            count += status == STATUS_OK;
        }
    }
    if (status != STATUS_OK) {
        LOG_ERROR("a key could not be made", LOG_CSTR("domain", make->order.domain),
                  LOG_CSTR("status", status_name(status)));
    }
    make->on_made(make->context, status, numbers, count);
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        private_key_destroy(&make->keys[i]);
    }
    free(make);
}

bool
vault_make(struct vault *vault, const struct make_order *order, vault_on_made *on_made,
           void *context)
{
    struct make_job *make = calloc(1, sizeof *make);
    if (make == NULL) {
        return false;
    }
    make->job = (struct work_job){.run = make_run, .finish = make_finish};
    make->vault = vault;
    make->order = *order;
    make->status = STATUS_OK;
    make->on_made = on_made;
    make->context = context;
    if (!work_add(vault->makers, &make->job)) {
        free(make);
        return false;
    }
    return true;
}
