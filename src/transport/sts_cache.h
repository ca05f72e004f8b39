/*
 * sts_cache.h - MTA-STS policies that are known, and what to do about a domain now: use what is
 * known, fetch, fetch ahead of need, or go on without (RFC 8461 3.3, 5.1, 10.2).
 *
 * The rules: a policy that lives applies, whatever the DNS or the web server says meanwhile; only a
 * newer policy or its age ends it. A policy is fetched when a record shows up, when the id changes,
 * and again each day, or after half of its life where that is shorter, so that it never runs out
 * while its server answers; the times are spread by domain. A fetch that fails is tried again after
 * five minutes, then ever later. Only one fetch of a domain runs at a time.
 *
 * No input or output: who owns a cache fetches, keeps the rows (store/sts_policies.h), and gives
 * the time. Not for several threads. Times are seconds since 1970.
 */
#ifndef POSTERN_TRANSPORT_STS_CACHE_H
#define POSTERN_TRANSPORT_STS_CACHE_H

#include "transport/sts_policy.h"
#include "transport/sts_record.h"
#include "transport/tls_result.h"

/* Seconds. A policy is fetched again after a day at the latest. */
#define STS_REFRESH_MAX    86400
/* The first wait after a fetch that failed, the longest, and the longest while a policy lives. */
#define STS_RETRY_MIN      300
#define STS_RETRY_MAX      86400
#define STS_RETRY_LIVE_MAX 3600
/* A policy that no mail asked for in this time is not fetched ahead any more. */
#define STS_UNUSED_MAX     (60 * 86400)
/* Memory for reading one policy: all its names at their longest. */
#define STS_POLICY_ARENA   (1u << 20)
/* Octets of a row: a policy and what stands around it. */
#define STS_ROW_MAX        (STS_POLICY_SIZE_MAX + 1024u)
#define STS_DOMAIN_MAX     253u

/* What is known of a domain. Only the functions below change it. */
struct sts_entry {
    char domain[STS_DOMAIN_MAX + 1];
    char id[STS_ID_MAX + 1];        /* of the record that led to the policy; "" without policy */
    char failed_id[STS_ID_MAX + 1]; /* of the record that led to the last fetch that failed */
    struct str policy;              /* owned: as sts_policy_text; empty: there is none */
    enum sts_mode mode;             /* of the policy */
    uint32_t max_age;               /* of the policy */
    int64_t fetched_s;              /* when; 0: never */
    int64_t expires_s;              /* the policy applies before this */
    int64_t attempted_s;            /* the last fetch, whatever became of it; 0: never */
    int64_t used_s;                 /* when mail last asked for it */
    unsigned failures;              /* fetches that failed since the last that went well */
    enum tls_result failure;        /* of the last one; SUCCESS: none failed */
    bool is_fetching;
};

/* ---- what to do */

enum sts_fetch {
    STS_FETCH_NO,
    STS_FETCH_AHEAD, /* in the background; mail need not wait */
    STS_FETCH_NOW,   /* mail waits for it, as long as it may */
};

enum sts_why {
    STS_WHY_NO_RECORD,      /* no policy is known and there is no record */
    STS_WHY_NO_ANSWER,      /* no policy is known and the DNS does not answer */
    STS_WHY_FIRST,          /* a record, and no policy yet */
    STS_WHY_WAITS,          /* the same, but a fetch failed a short time ago */
    STS_WHY_LIVE,           /* a policy lives and the record has its id */
    STS_WHY_RECORD_GONE,    /* a policy lives, there is no record any more */
    STS_WHY_RECORD_UNKNOWN, /* a policy lives, the DNS does not answer */
    STS_WHY_NEW_ID,         /* a policy lives, the record has another id */
    STS_WHY_COUNT_,         /* not a reason */
};

struct sts_advice {
    bool applies;         /* the policy of the entry applies, unless the fetch brings another */
    enum sts_fetch fetch; /* without one, or when it fails or takes too long: see `applies` */
    enum sts_why why;
};

enum sts_advise_flag {
    STS_LAST_CHANCE = 1 << 0, /* mail would be returned now: fetch even if one failed lately */
};

/*
 * What to do about mail for a domain (5.1). `entry` is NULL where nothing is known. `flags` are of
 * enum sts_advise_flag.
 */
struct sts_advice sts_advise(const struct sts_entry *entry, const struct sts_lookup *lookup,
                             int64_t now_s, unsigned flags);

/* True when the policy of the entry applies now. */
bool sts_entry_is_live(const struct sts_entry *entry, int64_t now_s);
/* When it is to be fetched again, mail or not; while it lives. */
int64_t sts_entry_refresh_at(const struct sts_entry *entry);
/* Before this no fetch is tried again; 0: none has failed. */
int64_t sts_entry_retry_at(const struct sts_entry *entry, int64_t now_s);
/* "the policy lives", ...; for people; static, never NULL. */
const char *sts_why_text(enum sts_why why);

/* ---- the cache */

struct sts_cache;

/*
 * An empty cache of at most `entries_max` domains (at least 1) and about `octets_max` octets of
 * memory. Past that, what is least worth goes: domains without a policy, then those that mail
 * has not asked for longest.
 */
[[nodiscard]] struct sts_cache *sts_cache_create(size_t entries_max, size_t octets_max);
/* Frees all and sets *cache to NULL. NULL is allowed. */
void sts_cache_destroy(struct sts_cache **cache);

/* What is known of a domain in normal form; NULL: nothing. Borrowed until the next change. */
const struct sts_entry *sts_cache_find(const struct sts_cache *cache, struct str domain);
/* The same for mail, which keeps it from being forgotten. */
const struct sts_entry *sts_cache_use(struct sts_cache *cache, struct str domain, int64_t now_s);

/*
 * Says that a fetch begins. False: one is running already, or `domain` is no name, or there is no
 * room since all other entries are being fetched. Ends with one of the two below.
 */
[[nodiscard]] bool sts_cache_begin(struct sts_cache *cache, struct str domain, int64_t now_s);
/*
 * The fetch brought a policy, which takes the place of the one before. `id` is of the record that
 * was seen; empty: of none, the id of before stays. Returns the entry, NULL: no memory.
 */
const struct sts_entry *sts_cache_fetched(struct sts_cache *cache, struct str domain, struct str id,
                                          const struct sts_policy *policy, int64_t now_s);
/*
 * The fetch failed, or what it brought is no policy: what lives goes on to. `why` is one of the
 * results of MTA-STS (tls_result.def). Returns the entry; NULL: there is none.
 */
const struct sts_entry *sts_cache_failed(struct sts_cache *cache, struct str domain, struct str id,
                                         enum tls_result why, int64_t now_s);

/*
 * A domain whose policy is to be fetched ahead of its end; NULL: none is due. Begin the fetch
 * (sts_cache_begin) before asking for the next.
 */
const struct sts_entry *sts_cache_due(const struct sts_cache *cache, int64_t now_s);
/* Forgets what is of no use any more: no live policy, and no fetch that failed lately. */
void sts_cache_expire(struct sts_cache *cache, int64_t now_s);

size_t sts_cache_count(const struct sts_cache *cache);
/* Memory that the entries take, octets. */
size_t sts_cache_octets(const struct sts_cache *cache);
/* Calls `visit` for each entry, in no order; `visit` changes nothing. */
void sts_cache_each(const struct sts_cache *cache,
                    void (*visit)(void *context, const struct sts_entry *entry), void *context);

/* ---- rows */

/* The entry as octets for a store or a message; {NULL,0}: the arena is full. */
struct str sts_entry_encode(struct arena *arena, const struct sts_entry *entry);
/*
 * Puts a row into the cache, unless the domain is there already. STATUS_SYNTAX: it is no row, or
 * what it holds is not valid; STATUS_LIMIT: there is no room.
 */
[[nodiscard]] enum status sts_cache_restore(struct sts_cache *cache, struct str row);

#endif
