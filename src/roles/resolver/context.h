/*
 * context.h - a libunbound context set up as the configuration says.
 *
 * The role has one at a time for all questions; a reload, or other trust anchors, make a new one
 * while questions to the old one end. A second kind lives for one question: it has libunbound look
 * after the keys of one zone (RFC 5011).
 */
#ifndef POSTERN_ROLES_RESOLVER_CONTEXT_H
#define POSTERN_ROLES_RESOLVER_CONTEXT_H

#include "config/config.h"
#include "roles/resolver/anchors.h"

#define CLASS_IN 1

struct event_base;
struct ub_ctx;

struct context {
    struct ub_ctx *ub;
    const struct config *config; /* one reference */
    size_t users;                /* questions that libunbound still holds */
    bool retired;
    struct context *next; /* retired ones */
};

/*
 * A context in `loop` that validates from what the zones trust. NULL, with the reason in the log,
 * when libunbound refuses it. context_destroy only when nothing uses it, and never from within a
 * callback of libunbound.
 */
[[nodiscard]] struct context *context_create(struct event_base *loop, const struct config *config,
                                             const struct anchor_zone *zones, size_t count);
void context_destroy(struct context *context);

/* A context for one question in `zone`, whose state file it will update. NULL as above. */
[[nodiscard]] struct ub_ctx *context_create_probe(struct event_base *loop,
                                                  const struct config *config,
                                                  const struct anchor_zone *zone);

#endif
