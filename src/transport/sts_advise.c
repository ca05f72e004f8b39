#include "transport/sts_cache.h"

/* A number from the domain's name, so that domains that were fetched together part (FNV-1a). */
static uint32_t
spread_of(const char *domain)
{
    uint32_t hash = 2166136261u;
    for (; *domain != '\0'; domain++) {
        hash = (hash ^ (unsigned char)*domain) * 16777619u;
    }
    return hash ^ hash >> 16;
}

/* Up to a quarter of `seconds` less. */
static int64_t
less_by_spread(int64_t seconds, const char *domain)
{
    return seconds - (int64_t)(spread_of(domain) % (uint32_t)(seconds / 4 + 1));
}

bool
sts_entry_is_live(const struct sts_entry *entry, int64_t now_s)
{
    return entry->policy.n > 0 && now_s < entry->expires_s;
}

int64_t
sts_entry_refresh_at(const struct sts_entry *entry)
{
    int64_t half = entry->max_age / 2;
    int64_t wait = half < STS_REFRESH_MAX ? half : STS_REFRESH_MAX;
    return entry->fetched_s + less_by_spread(wait, entry->domain);
}

int64_t
sts_entry_retry_at(const struct sts_entry *entry, int64_t now_s)
{
    int64_t most = sts_entry_is_live(entry, now_s) ? STS_RETRY_LIVE_MAX : STS_RETRY_MAX;
    int64_t wait = STS_RETRY_MIN;
    if (entry->failures == 0) {
        return 0;
    }
    for (unsigned i = 1; i < entry->failures && wait < most; i++) {
        wait *= 2;
    }
    wait = wait < most ? wait : most;
    /* The first wait is what RFC 8461 3.3 suggests; later ones part. */
    return entry->attempted_s + (wait > STS_RETRY_MIN ? less_by_spread(wait, entry->domain) : wait);
}

/* A clock that was set back must not keep a fetch from being tried. */
static bool
may_try(const struct sts_entry *entry, int64_t now_s)
{
    return now_s >= sts_entry_retry_at(entry, now_s) || now_s < entry->attempted_s;
}

/* A policy lives, and its record has not changed as far as is known. */
static struct sts_advice
advise_live(const struct sts_entry *entry, enum sts_why why, int64_t now_s)
{
    bool due = now_s >= sts_entry_refresh_at(entry) || now_s < entry->fetched_s;
    return (struct sts_advice){
        .applies = true,
        .fetch = due && may_try(entry, now_s) ? STS_FETCH_AHEAD : STS_FETCH_NO,
        .why = why,
    };
}

/* Another id: what was known of an earlier failure counts only if it was about this id. */
static struct sts_advice
advise_new_id(const struct sts_entry *entry, struct str id, int64_t now_s, unsigned flags)
{
    bool failed = str_eq(id, str_from_cstr(entry->failed_id));
    bool waits = failed && !may_try(entry, now_s) && (flags & STS_LAST_CHANCE) == 0;
    return (struct sts_advice){
        .applies = true, .fetch = waits ? STS_FETCH_NO : STS_FETCH_NOW, .why = STS_WHY_NEW_ID};
}

/* No policy lives, and there is a record. */
static struct sts_advice
advise_first(const struct sts_entry *entry, struct str id, int64_t now_s, unsigned flags)
{
    bool failed =
        entry != NULL && entry->failures > 0 && str_eq(id, str_from_cstr(entry->failed_id));
    if (failed && !may_try(entry, now_s) && (flags & STS_LAST_CHANCE) == 0) {
        return (struct sts_advice){.why = STS_WHY_WAITS};
    }
    return (struct sts_advice){.fetch = STS_FETCH_NOW, .why = STS_WHY_FIRST};
}

struct sts_advice
sts_advise(const struct sts_entry *entry, const struct sts_lookup *lookup, int64_t now_s,
           unsigned flags)
{
    bool is_temporary = lookup->state == STS_LOOKUP_TEMPORARY;
    bool has_record = lookup->state == STS_LOOKUP_FOUND;
    if (entry == NULL || !sts_entry_is_live(entry, now_s)) {
        return has_record ? advise_first(entry, lookup->id, now_s, flags)
                          : (struct sts_advice){.why = is_temporary ? STS_WHY_NO_ANSWER
                                                                    : STS_WHY_NO_RECORD};
    }
    if (!has_record) {
        return advise_live(entry, is_temporary ? STS_WHY_RECORD_UNKNOWN : STS_WHY_RECORD_GONE,
                           now_s);
    }
    return str_eq(lookup->id, str_from_cstr(entry->id))
               ? advise_live(entry, STS_WHY_LIVE, now_s)
               : advise_new_id(entry, lookup->id, now_s, flags);
}

const char *
sts_why_text(enum sts_why why)
{
    static const char *const texts[STS_WHY_COUNT_] = {
        "the domain has no MTA-STS record",
        "the DNS does not answer for the MTA-STS record, and no policy is known",
        "the domain has an MTA-STS record, and its policy is not known yet",
        "the MTA-STS policy could not be fetched a short time ago",
        "the MTA-STS policy is known",
        "the MTA-STS policy is known and applies although its record is gone",
        "the MTA-STS policy is known and applies although the DNS does not answer",
        "the MTA-STS record has a new id",
    };
    return (unsigned)why < STS_WHY_COUNT_ ? texts[why] : "unknown";
}
