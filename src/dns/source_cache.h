/*
 * source_cache.h - the answers of one message: each question is asked once, and those that will be
 * needed are asked up front, all at one time, while the checks still read.
 *
 *     struct dns_cache *cache = dns_cache_create(&settings);
 *     struct dns_source source = dns_source_from_cache(cache);
 *     dns_prefetch(&source, STR("_dmarc.example.com"), DNS_TYPE_TXT);
 *     dns_prefetch_send(&source);
 *     ...
 *     dns_resolve(&source, ...);   // waits only for what is left
 *
 * Failures are remembered like answers, so that a message whose sender's servers are silent waits
 * for them once. One thread uses a cache; the replies to what was asked up front come in the
 * channel's loop thread, and what is still under way when the cache ends is forgotten there.
 *
 * What is in the resolver's table (table.h) is there at once and asks nobody; it counts in the
 * budget like what is asked, so that a message's result does not hang on who wrote before it.
 *
 * No question that goes to the resolver is waited for longer than the budget lasts, and one that
 * was asked up front and had no reply in time is answered with TIMEOUT: it is not asked again.
 *
 * Questions above DNS_CACHE_QUESTIONS_MAX are asked each time anew. The answers that are kept take
 * at most DNS_CACHE_OCTETS_MAX, and those that were asked up front a packet for each DNS_BATCH_MAX.
 */
#ifndef POSTERN_DNS_SOURCE_CACHE_H
#define POSTERN_DNS_SOURCE_CACHE_H

#include "dns/budget.h"
#include "dns/table.h"
#include "ipc/channel.h"

#define DNS_CACHE_QUESTIONS_MAX 256u
#define DNS_CACHE_OCTETS_MAX    (4u * 1024u * 1024u)

struct dns_cache_settings {
    const struct dns_source *source; /* asks one question and waits; borrowed */
    struct channel *resolver;        /* asked instead of it, and up front; NULL: there is none */
    struct dns_view *view;           /* looked at before the resolver is asked; may be NULL */
    int timeout_ms;                  /* for one question; above the resolver's own limit */
    struct dns_budget *budget;       /* what may be asked; NULL: everything; borrowed */
    bool patient; /* what is asked up front is answered when all of it is: nobody waits in a thread
                   */
};

struct dns_cache;

/* An empty cache, the caller's. Its settings are copied. */
[[nodiscard]] struct dns_cache *dns_cache_create(const struct dns_cache_settings *settings);
/* Does not wait for questions under way. NULL is allowed. */
void dns_cache_destroy(struct dns_cache **cache);

/* A source over the cache, which must outlive it. Errors as in dns_resolve. */
struct dns_source dns_source_from_cache(struct dns_cache *cache);

/*
 * Calls `ready` when every question that has gone out up front is answered, or will not be: at once
 * when there is none. For the channel's loop thread, once, right after dns_prefetch_send; the cache
 * may go to another thread when `ready` is called. Until then it must stay.
 */
void dns_cache_when_ready(struct dns_cache *cache, void (*ready)(void *context), void *context);

/*
 * The answer to a question if it is there already; STATUS_NOT_FOUND otherwise. Asks nothing and
 * waits for nothing. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status dns_cache_peek(struct dns_cache *cache, struct arena *arena,
                                         struct str name, uint16_t type,
                                         struct dns_answer *answer_out);

/* For traces and tests. */
struct dns_cache_counts {
    size_t asked;      /* questions that went out alone */
    size_t prefetched; /* that went out up front */
    size_t known;      /* that were to go out up front, and had their answer in the view */
    size_t reused;     /* dns_resolve answered from what was there */
    size_t refused;    /* for which the budget had no room */
};
struct dns_cache_counts dns_cache_count(const struct dns_cache *cache);

#endif
