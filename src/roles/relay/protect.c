#include "roles/relay/protect.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* What is told: MX, addresses, the steps of DANE and its reason, the key exchange, a policy. */
#define EVIDENCE_MAX      (5u + DANE_STEPS_MAX)
/* Octets of one of them: a name, a type, two words; or a reason. */
#define EVIDENCE_TEXT_MAX (DNS_NAME_TEXT_MAX + 64u)
#define CHAIN_TEXT_MAX    (TLS_CHAIN_TOLD_MAX * (2 * TLS_FINGERPRINT_SIZE + 1))

/* ---- the demand */

static enum transport_wish
wish_of(enum config_tls_mode mode)
{
    switch (mode) {
    case CONFIG_TLS_NONE:
        return TRANSPORT_WISH_NO_TLS;
    case CONFIG_TLS_OPPORTUNISTIC:
        return TRANSPORT_WISH_OPPORTUNISTIC;
    case CONFIG_TLS_REQUIRED:
        break;
    }
    return TRANSPORT_WISH_ENCRYPTION;
}

static enum transport_wish
floor_of(const struct config *config, const struct relay_target *target)
{
    const struct config_zone *zone =
        target->is_unix ? NULL : config_zone_for_ip(config, &target->ip);
    return zone != NULL ? wish_of(zone->minimum_tls) : TRANSPORT_WISH_NO_TLS;
}

struct transport_demand
relay_demand_make(const struct config *config, const struct next_hop *hop,
                  const struct relay_target *target, const struct relay_needs *needs,
                  const struct relay_sts *sts)
{
    const struct transport_facts facts = {
        .is_local = target->is_unix,
        .host = target->host,
        .origin = target->origin,
        .configured = wish_of(hop->tls),
        .floor = floor_of(config, target),
        .dane = target->dane,
        .sts = {.known = sts->policy != NULL,
                .mode = sts->policy != NULL ? sts->policy->mode : STS_MODE_NONE,
                .matches = sts->policy != NULL && sts_policy_matches(sts->policy, target->host),
                .id = sts->id},
        .requiretls = needs->requiretls,
        .tls_required_no = needs->tls_required_no,
    };
    return transport_decide(&facts);
}

struct str
relay_session_key(struct arena *arena, const struct next_hop *hop, const struct relay_needs *needs,
                  const struct relay_sts *sts)
{
    const char *class = needs->requiretls ? "requiretls" : "tls-required-no";
    if (!needs->requiretls && !needs->tls_required_no && sts->policy == NULL) {
        return hop->key;
    }
    return arena_printf(arena, "%.*s %s %s %.*s", STR_ARG(hop->key),
                        needs->requiretls || needs->tls_required_no ? class : "-",
                        sts->policy != NULL ? sts_mode_name(sts->policy->mode) : "-",
                        STR_ARG(sts->id));
}

/* ---- evidence */

struct evidence {
    char texts[EVIDENCE_MAX][EVIDENCE_TEXT_MAX];
    struct str items[EVIDENCE_MAX];
    size_t count;
    char chain[CHAIN_TEXT_MAX];
    char matched[TLSA_TEXT_MAX];
};

__attribute__((format(printf, 2, 3))) static void
add(struct evidence *evidence, const char *format, ...)
{
    char *text = evidence->texts[evidence->count];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, EVIDENCE_TEXT_MAX, format, arguments);
    va_end(arguments);
    evidence->items[evidence->count++] = str_from_cstr(text);
}

static void
add_exception(struct evidence *evidence, const struct config_dane_exception *exception)
{
    time_t last = (time_t)(exception->until_ms / 1000) - 1;
    char day[sizeof "2027-01-31"] = "";
    struct tm tm;
    (void)strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&last, &tm));
    add(evidence, "no DANE: %s until %s%s%.*s", dane_reason_text(DANE_REASON_EXCEPTION), day,
        exception->reason.n > 0 ? ": " : "", STR_ARG(exception->reason));
}

static void
add_dane(struct evidence *evidence, const struct relay_target *target)
{
    const struct dane *dane = target->dane;
    for (size_t i = 0; dane != NULL && i < dane->step_count; i++) {
        const struct dane_step *step = &dane->steps[i];
        add(evidence, "%s %.*s: %s, %s", dns_type_name(step->type), STR_ARG(step->name),
            dns_outcome_name(step->outcome), dns_security_name(step->security));
    }
    if (target->exception != NULL) {
        add_exception(evidence, target->exception);
    } else if (dane != NULL && dane->state == DANE_NOT_ASKED) {
        add(evidence, "no DANE: %s", dane_reason_text(dane->reason));
    } else if (dane != NULL && dane->state == DANE_FAILED && dane->detail.n > 0) {
        add(evidence, "%.*s", STR_ARG(dane->detail));
    }
}

static void
add_origin(struct evidence *evidence, const struct relay_target *target)
{
    const struct transport_origin *origin = &target->origin;
    if (origin->way == TRANSPORT_WAY_MX || origin->way == TRANSPORT_WAY_IMPLICIT) {
        add(evidence, "%s %.*s: %s", origin->way == TRANSPORT_WAY_MX ? "MX" : "no MX",
            STR_ARG(origin->domain), dns_security_name(origin->security));
    }
    if (origin->way != TRANSPORT_WAY_ADDRESS) {
        add(evidence, "address %.*s: %s", STR_ARG(target->host),
            dns_security_name(target->security.security));
    }
}

static void
add_tls(struct evidence *evidence, const struct tls_facts *tls)
{
    size_t n = 0;
    if (tls->group[0] != '\0') {
        add(evidence, "key exchange %s", tls->group);
    }
    for (size_t i = 0; i < tls->chain_count; i++) {
        for (size_t k = 0; k < TLS_FINGERPRINT_SIZE; k++) {
            n += (size_t)snprintf(evidence->chain + n, CHAIN_TEXT_MAX - n, "%s%02x",
                                  k == 0 && i > 0 ? " " : "", tls->chain[i][k]);
        }
    }
    if (tls->dane_matched && tls->tlsa.data.n > 0) {
        (void)tlsa_format(&tls->tlsa, evidence->matched);
    }
}

static void
evidence_gather(struct evidence *evidence, const struct relay_target *target,
                const struct transport_demand *demand, const struct tls_facts *tls)
{
    evidence->count = 0;
    evidence->chain[0] = evidence->matched[0] = '\0';
    add_origin(evidence, target);
    add_dane(evidence, target);
    if (demand->policy_id.n > 0) {
        add(evidence, "MTA-STS policy %.*s", STR_ARG(demand->policy_id));
    }
    if (tls != NULL) {
        add_tls(evidence, tls);
    }
}

/* ---- the events */

/* "dane", "sts", or what the configuration says. */
static struct str
policy_text(const struct next_hop *hop, const struct transport_demand *demand)
{
    switch (demand->policy) {
    case TLS_POLICY_TLSA:
        return STR("dane");
    case TLS_POLICY_STS:
        return STR("sts");
    case TLS_POLICY_NONE:
    case TLS_POLICY_COUNT_:
        break;
    }
    return str_from_cstr(
        config_tls_mode_name(demand->level == TRANSPORT_NOTHING ? hop->tls : CONFIG_TLS_REQUIRED));
}

static bool
is_verified(const struct tls_facts *tls)
{
    return tls != NULL && (tls->dane_matched || (tls->trusted && tls->name_matches));
}

void
relay_protection_trace(struct trace *trace, const struct next_hop *hop,
                       const struct relay_target *target, const struct transport_demand *demand,
                       const struct relay_protection *got)
{
    const struct tls_facts *tls = got->tls;
    struct str version = str_from_cstr(tls != NULL ? tls->version : NULL);
    struct str cipher = str_from_cstr(tls != NULL ? tls->cipher : NULL);
    struct str policy = policy_text(hop, demand);
    struct str wanted = str_from_cstr(transport_level_name(demand->level));
    struct str by = str_from_cstr(transport_by_name(demand->by));
    struct str why = str_from_cstr(transport_reason_name(demand->reason));
    struct str result = str_from_cstr(tls_result_name(got->result));
    struct str error = str_from_cstr(got->error);
    struct evidence e;
    evidence_gather(&e, target, demand, tls);
    if (got->used) {
        TRACE(trace, attempt_tls, .host = target->host, .version = version, .cipher = cipher,
              .policy = policy, .verified = is_verified(tls), .error = error, .wanted = wanted,
              .by = by, .why = why, .result = result, .tlsa = str_from_cstr(e.matched),
              .chain = str_from_cstr(e.chain), .evidence = {e.items, e.count});
    } else {
        TRACE(trace, attempt_insecure, .host = target->host, .address = target->ip,
              .policy = policy, .wanted = wanted, .by = by, .why = why, .result = result,
              .version = version, .cipher = cipher, .error = error, .chain = str_from_cstr(e.chain),
              .evidence = {e.items, e.count});
    }
}
