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
        const char *name;
        int64_t value;
    } rows[] = {
        {"keys_pending", o.states[KEY_PENDING]},
        {"keys_published", o.states[KEY_PUBLISHED]},
        {"keys_active", o.states[KEY_ACTIVE]},
        {"keys_retiring", o.states[KEY_RETIRING]},
        {"keys_retired", o.states[KEY_RETIRED]},
        {"keys_active_not_in_dns", o.missing.count},
        {"keys_stopped", o.stopped.count},
        {"domains_without_active_key", domains_without_key(vault)},
        {"keys_in_memory", (int64_t)vault->loaded_count},
        {"key_dns_checks_total", c->dns_checks},
        {"signatures_total", c->signatures},
        {"signatures_refused_total", c->signatures_refused},
        {"signatures_failed_total", c->signatures_failed},
        {"signatures_waiting", (int64_t)work_pending(vault->signers)},
        {"srs_made_total", c->srs_made},
        {"srs_read_total", c->srs_read},
        {"srs_refused_total", c->srs_refused},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        role_metric_add(metrics_out, rows[i].name, rows[i].value);
    }
    warn(metrics_out, &o.missing, "signs, but is not in the DNS",
         o.missing.count > 0 ? o.missing.first->missing_ms : 0);
    warn(metrics_out, &o.stopped, "signs no more: it has not been in the DNS",
         o.stopped.count > 0 ? o.stopped.first->missing_ms : 0);
    warn(metrics_out, &o.waiting, "waits for its record in the DNS",
         o.waiting.count > 0 ? o.waiting.first->created_ms : 0);
    warn(metrics_out, &o.testing, "signs", o.testing.count > 0 ? o.testing.first->activated_ms : 0);
}
