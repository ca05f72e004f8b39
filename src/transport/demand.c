#include "transport/demand.h"

const char *
transport_level_name(enum transport_level level)
{
    static const char *const names[] = {"nothing", "encryption", "authentication"};
    return (unsigned)level < TRANSPORT_LEVEL_COUNT_ ? names[level] : "unknown";
}

const char *
transport_by_name(enum transport_by by)
{
    static const char *const names[] = {"", "tlsa", "webpki"};
    return (unsigned)by < TRANSPORT_BY_COUNT_ ? names[by] : "unknown";
}

static const struct {
    const char *name;
    const char *text;
} reasons[] = {
#define TRANSPORT_REASON(NAME, word, text) {word, text},
#include "transport/demand_reason.def"
#undef TRANSPORT_REASON
};

const char *
transport_reason_name(enum transport_reason reason)
{
    return (unsigned)reason < TRANSPORT_REASON_COUNT_ ? reasons[reason].name : "unknown";
}

const char *
transport_reason_text(enum transport_reason reason)
{
    return (unsigned)reason < TRANSPORT_REASON_COUNT_ ? reasons[reason].text : "unknown";
}

/* ---- steps; each makes the demand stronger, or leaves it */

static void
raise(struct transport_demand *demand, enum transport_level level, enum transport_by by,
      enum transport_reason reason)
{
    if (level > demand->level) {
        demand->level = level;
        demand->by = by;
        demand->reason = demand->skip ? demand->reason : reason;
    }
}

static void
skip(struct transport_demand *demand, enum transport_reason reason, enum tls_result result)
{
    if (!demand->skip) {
        demand->skip = true;
        demand->reason = reason;
        demand->result = result;
    }
}

static void
raise_to_wish(struct transport_demand *demand, enum transport_wish wish,
              enum transport_reason reason)
{
    if (wish == TRANSPORT_WISH_AUTHENTICATION) {
        raise(demand, TRANSPORT_AUTHENTICATION, TRANSPORT_BY_WEBPKI, reason);
    } else if (wish == TRANSPORT_WISH_ENCRYPTION) {
        raise(demand, TRANSPORT_ENCRYPTION, TRANSPORT_BY_NOBODY, reason);
    }
}

/* RFC 7672 2.2. True: DANE decides, and no MTA-STS policy is looked at (RFC 8461 2). */
static bool
apply_dane(struct transport_demand *demand, const struct transport_facts *facts)
{
    enum dane_state state = facts->dane != NULL ? facts->dane->state : DANE_NOT_ASKED;
    switch (state) {
    case DANE_USABLE:
        /* TLSA records take the place of a name that the configuration wants compared. */
        demand->level = TRANSPORT_AUTHENTICATION;
        demand->by = TRANSPORT_BY_TLSA;
        demand->reason = TRANSPORT_REASON_DANE;
        demand->policy = TLS_POLICY_TLSA;
        demand->server_name = facts->dane->base; /* RFC 7672 8.1 */
        return true;
    case DANE_FAILED:
        skip(demand, TRANSPORT_REASON_DANE_FAILED, facts->dane->result);
        demand->policy = TLS_POLICY_TLSA;
        return true;
    case DANE_UNUSABLE:
        raise(demand, TRANSPORT_ENCRYPTION, TRANSPORT_BY_NOBODY, TRANSPORT_REASON_DANE_UNUSABLE);
        demand->policy = TLS_POLICY_TLSA;
        return false;
    case DANE_NOT_ASKED:
    case DANE_NONE:
    case DANE_INSECURE:
    case DANE_STATE_COUNT_:
        break;
    }
    return false;
}

/* RFC 8461 5. */
static void
apply_sts(struct transport_demand *demand, const struct transport_facts *facts)
{
    if (!facts->sts.known || facts->sts.mode == STS_MODE_NONE) {
        return;
    }
    demand->policy_id = facts->sts.id;
    demand->policy = TLS_POLICY_STS;
    if (facts->sts.mode == STS_MODE_TESTING) {
        demand->testing = true;
        if (demand->level == TRANSPORT_NOTHING) {
            demand->reason = TRANSPORT_REASON_STS_TESTING;
        }
    } else if (facts->sts.matches) {
        raise(demand, TRANSPORT_AUTHENTICATION, TRANSPORT_BY_WEBPKI, TRANSPORT_REASON_STS);
    } else {
        skip(demand, TRANSPORT_REASON_STS_MX, TLS_RESULT_VALIDATION_FAILURE);
    }
}

/* RFC 8689 4.2.1: the host must be known to be the right one, and be authenticated. */
static void
apply_requiretls(struct transport_demand *demand, const struct transport_facts *facts)
{
    bool by_mx =
        facts->origin.way == TRANSPORT_WAY_MX || facts->origin.way == TRANSPORT_WAY_IMPLICIT;
    bool listed = facts->sts.known && facts->sts.mode != STS_MODE_NONE && facts->sts.matches;
    demand->requiretls = true;
    if (demand->no_tls) {
        skip(demand, TRANSPORT_REASON_REQUIRETLS_NO_TLS, TLS_RESULT_VALIDATION_FAILURE);
    } else if (by_mx && facts->origin.security != DNS_SECURITY_SECURE && !listed) {
        skip(demand, TRANSPORT_REASON_REQUIRETLS_MX, TLS_RESULT_VALIDATION_FAILURE);
    } else {
        raise(demand, TRANSPORT_AUTHENTICATION, TRANSPORT_BY_WEBPKI, TRANSPORT_REASON_REQUIRETLS);
    }
}

struct transport_demand
transport_decide(const struct transport_facts *facts)
{
    struct transport_demand demand = {
        .reason = TRANSPORT_REASON_OPPORTUNISTIC, .server_name = facts->host, .dane = facts->dane};
    if (facts->is_local) {
        demand.reason = TRANSPORT_REASON_LOCAL;
        demand.no_tls = demand.may_clear = true;
        return demand;
    }
    demand.no_tls =
        facts->configured == TRANSPORT_WISH_NO_TLS && facts->floor <= TRANSPORT_WISH_OPPORTUNISTIC;
    raise_to_wish(&demand, facts->configured, TRANSPORT_REASON_CONFIGURED);
    raise_to_wish(&demand, facts->floor, TRANSPORT_REASON_ZONE);
    if (demand.no_tls) {
        demand.reason = TRANSPORT_REASON_NO_TLS;
    } else if (facts->tls_required_no && !facts->requiretls) {
        if (demand.level == TRANSPORT_NOTHING) {
            demand.reason = TRANSPORT_REASON_MESSAGE;
        }
    } else if (!apply_dane(&demand, facts)) {
        apply_sts(&demand, facts);
    }
    if (facts->requiretls) {
        apply_requiretls(&demand, facts);
    }
    demand.may_clear = demand.level == TRANSPORT_NOTHING && !demand.skip;
    return demand;
}
