/*
 * callout.h - asking the next hop whether it takes a recipient, and remembering what it said.
 *
 * MAIL with the null sender, RCPT, and no message. A clear yes is kept for callout.positive_cache,
 * a clear no for callout.negative_cache; anything else is asked again the next time. Thread-safe.
 *
 * Also asked is what a hop offers: whether addresses that are not ASCII can be said to it (RFC 6531
 * 3.2). That needs no more than its answer to EHLO, and is kept for the hop.
 */
#ifndef POSTERN_ROLES_RELAY_CALLOUT_H
#define POSTERN_ROLES_RELAY_CALLOUT_H

#include "roles/relay/deliver.h"

/* Answers that are kept; above, the oldest go. */
#define RELAY_CALLOUT_CACHE_MAX 20000u

struct relay_callout_cache;

struct relay_callout_answer {
    uint16_t code; /* what RCPT was answered; 0: it could not be asked */
    struct str enhanced;
    struct str text;
};

/* NULL without memory. All functions but these two may be called from every thread. */
[[nodiscard]] struct relay_callout_cache *relay_callout_cache_create(void);
void relay_callout_cache_destroy(struct relay_callout_cache **cache);
/* Forgets all: the configuration may send elsewhere now. */
void relay_callout_cache_clear(struct relay_callout_cache *cache);
size_t relay_callout_cache_count(struct relay_callout_cache *cache);

/* An answer that is still good, its texts in the arena. False: ask. */
bool relay_callout_find(struct relay_callout_cache *cache, struct arena *arena, struct str address,
                        int64_t now_ms, struct relay_callout_answer *answer_out);
/* Keeps an answer as long as `config` says. */
void relay_callout_keep(struct relay_callout_cache *cache, const struct config *config,
                        struct str address, int64_t now_ms,
                        const struct relay_callout_answer *answer);

/* The key of what a hop offers in the cache; {NULL, 0}: `address` leads nowhere. */
struct str relay_callout_utf8_key(struct arena *arena, const struct config *config,
                                  struct str address);
/*
 * Whether some host on the way to `address` offers SMTPUTF8: code 250, or 553 with 5.6.7; 0 when
 * none could be asked.
 */
void relay_callout_ask_utf8(struct relay_world *world, const struct config *config,
                            struct tls_client *tls, struct arena *arena, struct str address,
                            struct relay_callout_answer *answer_out);

/* Asks, within callout.timeout. Texts are in the arena or static. */
void relay_callout_ask(struct relay_world *world, const struct config *config,
                       struct tls_client *tls, struct arena *arena, struct str address,
                       struct relay_callout_answer *answer_out);

#endif
