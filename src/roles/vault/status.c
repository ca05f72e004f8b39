/* What `postern status` and the metrics tell of the keys. */
#include <stdlib.h>

#include "base/clock.h"
#include "roles/vault/internal.h"

/* A key that has waited for its record so long is worth a warning. */
#define WAIT_WARN_MS (60 * 60 * 1000LL)
#define TIME_ARENA   256u

/* Keys of one kind of trouble: the first, and how many. */
struct trouble {
    const struct vault_key *first;
    int64_t count;
};

struct overview {
    int64_t states[KEY_STATE_COUNT];
    struct trouble missing; /* active, and not in the DNS */
    struct trouble stopped; /* was active, and is not in the DNS */
    struct trouble waiting; /* never was, and still is not */
    struct trouble testing; /* active, with t=y */
};

static void
note(struct trouble *trouble, const struct vault_key *key)
{
    if (trouble->count++ == 0) {
        trouble->first = key;
    }
}

static void
look_at(struct overview *overview, const struct vault_key *key, int64_t now)
{
    overview->states[key->state]++;
    if (key->state == KEY_ACTIVE && key->missing_ms != 0) {
        note(&overview->missing, key);
    } else if (key->state == KEY_ACTIVE && key->seen == KEY_SEEN_TESTING) {
        note(&overview->testing, key);
    } else if (key->state == KEY_PENDING && key->activated_ms != 0) {
        note(&overview->stopped, key);
    } else if (key->state == KEY_PENDING && now - key->created_ms >= WAIT_WARN_MS) {
        note(&overview->waiting, key);
    }
}

static void
warn(struct role_metrics *metrics, const struct trouble *trouble, const char *what, int64_t since)
{
    if (trouble->count == 0) {
        return;
    }
    char more[64] = "";
    struct arena *arena = arena_create(TIME_ARENA);
    if (trouble->count > 1) {
        snprintf(more, sizeof more, " (and %lld more: postern key list)",
                 (long long)trouble->count - 1);
    }
    role_warn(metrics, "the key %s of %s %s since %.16s: %s%s", trouble->first->selector,
              trouble->first->domain, what, clock_format_rfc3339(arena, since).p,
              key_seen_text(trouble->first->seen), more);
    arena_destroy(&arena);
}

/* Domains of ours for which nothing signs: a fact, and no fault; small sites do without keys. */
static int64_t
domains_without_key(const struct vault *vault)
{
    const struct config *config = role_config(vault->runtime);
    bool *has_key = calloc(config->domains.count + 1, sizeof *has_key);
    int64_t count = 0;
    struct entry *entry;
    struct entry *next;
    if (!config->authentication.dkim.sign || has_key == NULL) {
        free(has_key);
        return 0;
    }
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        const struct config_domain *domain =
            entry->key.state == KEY_ACTIVE
                ? config_domain_find(config, str_from_cstr(entry->key.domain))
                : NULL;
        if (domain != NULL) {
            has_key[domain - config->domains.items] = true;
        }
    }
    for (size_t i = 0; i < config->domains.count; i++) {
        count += !has_key[i];
    }
    free(has_key);
    return count;
}

void
vault_metrics(void *state, struct role_metrics *metrics_out)
{
    const struct vault *vault = state;
    const struct vault_counters *c = &vault->counters;
    struct overview o = {.states = {0}};
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        look_at(&o, &entry->key, clock_wall_ms());
    }
    const struct {
        enum role_metric metric;
        int64_t value;
    } rows[] = {
        {ROLE_METRIC_KEYS_PENDING, o.states[KEY_PENDING]},
        {ROLE_METRIC_KEYS_PUBLISHED, o.states[KEY_PUBLISHED]},
        {ROLE_METRIC_KEYS_ACTIVE, o.states[KEY_ACTIVE]},
        {ROLE_METRIC_KEYS_RETIRING, o.states[KEY_RETIRING]},
        {ROLE_METRIC_KEYS_RETIRED, o.states[KEY_RETIRED]},
        {ROLE_METRIC_KEYS_ACTIVE_NOT_IN_DNS, o.missing.count},
        {ROLE_METRIC_KEYS_STOPPED, o.stopped.count},
        {ROLE_METRIC_DOMAINS_WITHOUT_ACTIVE_KEY, domains_without_key(vault)},
        {ROLE_METRIC_KEYS_IN_MEMORY, (int64_t)vault->loaded_count},
        {ROLE_METRIC_KEY_DNS_CHECKS_TOTAL, c->dns_checks},
        {ROLE_METRIC_SIGNATURES_TOTAL, c->signatures},
        {ROLE_METRIC_SIGNATURES_REFUSED_TOTAL, c->signatures_refused},
        {ROLE_METRIC_SIGNATURES_FAILED_TOTAL, c->signatures_failed},
        {ROLE_METRIC_SIGNATURES_WAITING, (int64_t)work_pending(vault->signers)},
        {ROLE_METRIC_SRS_MADE_TOTAL, c->srs_made},
        {ROLE_METRIC_SRS_READ_TOTAL, c->srs_read},
        {ROLE_METRIC_SRS_REFUSED_TOTAL, c->srs_refused},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        role_metric_add(metrics_out, rows[i].metric, rows[i].value);
    }
    warn(metrics_out, &o.missing, "signs, but is not in the DNS",
         o.missing.count > 0 ? o.missing.first->missing_ms : 0);
    warn(metrics_out, &o.stopped, "signs no more: it has not been in the DNS",
         o.stopped.count > 0 ? o.stopped.first->missing_ms : 0);
    warn(metrics_out, &o.waiting, "waits for its record in the DNS",
         o.waiting.count > 0 ? o.waiting.first->created_ms : 0);
    warn(metrics_out, &o.testing, "signs", o.testing.count > 0 ? o.testing.first->activated_ms : 0);
}
