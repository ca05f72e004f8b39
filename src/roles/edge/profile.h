/*
 * profile.h - one generation of the configuration as the edge's listeners need it: settings of the
 * SMTP core and TLS contexts. Read-only and counted: a connection keeps the profile it began with,
 * so a reload changes nothing for it.
 */
#ifndef POSTERN_ROLES_EDGE_PROFILE_H
#define POSTERN_ROLES_EDGE_PROFILE_H

#include "config/config.h"
#include "smtp/server.h"
#include "tls/server.h"

struct profile_listener {
    const struct config_listener *config; /* in the profile's configuration */
    char label[64];                       /* "mx 127.0.10.1:25" */
    struct tls_server *tls;               /* NULL: no TLS here */
    bool broken;                          /* there should be TLS, and there is none */
    struct smtp_server_settings settings;
    struct smtp_server_settings *by_zone; /* by the zone's place in the configuration */
};

struct profile {
    unsigned references;
    const struct config *config; /* one reference */
    size_t listener_count;
    /* By their place in config->listeners; behind them, if there is one, that for local users. */
    struct profile_listener *listeners;
};

/*
 * A new profile; takes its own references to configuration and identities. Never fails: a listener
 * that should have TLS and cannot is `broken` (said in log and status). It takes no mail, because a
 * client that is offered no STARTTLS would send in the clear. The caller owns one reference.
 */
struct profile *profile_create(const struct config *config, struct tls_identity *const *identities,
                               size_t identity_count);
struct profile *profile_ref(struct profile *profile);
/* Gives one reference back and sets *profile to NULL; NULL is allowed. */
void profile_unref(struct profile **profile);

/* The core's settings for a client in `zone` of the profile's configuration (NULL: none). */
const struct smtp_server_settings *profile_settings(const struct profile *profile,
                                                    const struct profile_listener *listener,
                                                    const struct config_zone *zone);

#endif
