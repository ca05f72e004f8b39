/*
 * unbound_setup.h - how libunbound is set up and read here: the same for the resolver role, which
 * asks with events, and for commands, which ask from their own process (source_unbound.h).
 */
#ifndef POSTERN_DNS_UNBOUND_SETUP_H
#define POSTERN_DNS_UNBOUND_SETUP_H

#include "config/config.h"
#include "dns/dns.h"

struct ub_ctx;

/* The root zone's keys as published by IANA, a DS record a line; static. */
struct str unbound_root_anchors(void);

/*
 * Puts the settings into a context that has not been asked anything: whom to ask, cache (of
 * `cache_size` octets), limits, and no validation where it is off. False, with the reason in the
 * log, when libunbound refuses one.
 */
[[nodiscard]] bool unbound_set_up(struct ub_ctx *ub, const struct config_resolver *settings,
                                  uint64_t cache_size);

/* Sets one option, "name:"; false as above. */
[[nodiscard]] bool unbound_set_option(struct ub_ctx *ub, const char *name, const char *value);
[[nodiscard]] bool unbound_set_number(struct ub_ctx *ub, const char *name, uint64_t number);

/*
 * Adds trust anchors, a DS or DNSKEY record a line, each shorter than UNBOUND_RECORD_MAX. False,
 * with the reason in the log, for what is none.
 */
#define UNBOUND_RECORD_MAX 4096u
[[nodiscard]] bool unbound_add_anchors(struct ub_ctx *ub, struct str records);

/*
 * Has special-use names (resolver.local_zones) looked up like others. The context must have
 * settled: with events, only the first question does that.
 */
void unbound_open_local_zones(struct ub_ctx *ub, const struct config_resolver *settings);

/* What libunbound tells of one question. */
struct unbound_result {
    int rcode;
    struct str packet;          /* the whole DNS message; meaningless unless rcode is 0 */
    enum dns_security security; /* from "bogus" and "secure" */
    const char *why;            /* it is bogus; may be NULL */
};

/*
 * The answer to (name, type) in such a result. Every failure is an outcome; texts and records are
 * in the arena or borrowed from `name` and `result`.
 */
void unbound_read_answer(struct arena *arena, const struct unbound_result *result, struct str name,
                         uint16_t type, struct dns_answer *answer_out);

#endif
