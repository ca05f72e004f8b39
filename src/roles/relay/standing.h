/*
 * standing.h - how a recipient stands while no server has settled it: what went wrong so far at the
 * hosts that were tried, and which of it is told in the end.
 *
 * A recipient fails only when every host has said so: one that might take it later outweighs the
 * others (RFC 5321 5.1). What is told is what helps most: a server's reply before our own words,
 * and of two alike the better host's, so that a dead backup hides nothing.
 */
#ifndef POSTERN_ROLES_RELAY_STANDING_H
#define POSTERN_ROLES_RELAY_STANDING_H

#include "base/arena.h"
#include "base/ip.h"
#include "smtp/reply.h"

/* Hosts that may put a recipient off in one attempt; a greylisting domain is not hammered. */
#define STANDING_REFUSALS_MAX 4u

/* How much a failure tells, from little to much. */
enum relay_failure_rank {
    FAILURE_RESOLVE, /* no address */
    FAILURE_CONNECT, /* no connection */
    FAILURE_SESSION, /* our own words about a session that went wrong */
    FAILURE_TIME,    /* the attempt took too long */
    FAILURE_REPLY,   /* the server's reply */
};

struct relay_failure {
    enum relay_failure_rank rank;
    bool permanent;
    bool lacks_feature; /* permanent at this host only: another may offer what is missing */
    struct smtp_reply reply;
    struct str remote;
    struct str tls;
};

struct relay_standing {
    const struct relay_failure *temporary; /* the best of each kind; NULL: none */
    const struct relay_failure *permanent;
    bool resting; /* has been answered by the present host: waits for the next one */
    unsigned refusals;
    struct ip_address refused_by[STANDING_REFUSALS_MAX];
};

/* A copy of a failure in the arena, its text on one line; NULL when the arena is full. */
const struct relay_failure *relay_failure_make(struct arena *arena,
                                               const struct relay_failure *failure);

/* Takes a failure into account; it is borrowed until the end. NULL is allowed. */
void relay_standing_note(struct relay_standing *standing, const struct relay_failure *failure);

/* The host at ip has put the recipient off. False: it was the last one that may be asked. */
[[nodiscard]] bool relay_standing_refused(struct relay_standing *standing,
                                          const struct ip_address *ip);
bool relay_standing_was_refused_by(const struct relay_standing *standing,
                                   const struct ip_address *ip);

/*
 * What becomes of a recipient that nobody has settled: *told_out is the failure to be told, with
 * `permanent` when it has failed for good. With `more_hosts` some were not asked: a feature that is
 * missing is then no reason to fail. Texts are in the arena, static, or those that were noted.
 */
void relay_standing_conclude(struct arena *arena, const struct relay_standing *standing,
                             bool more_hosts, struct relay_failure *told_out);

#endif
