/*
 * next_hop.h - where mail for a recipient goes next, by configuration alone (no DNS).
 *
 * A domain of ours goes where its `delivery` says; any other by its route, else the smart host,
 * else the MX of its domain (RFC 5321 5.1); an address literal to that address.
 */
#ifndef POSTERN_ROLES_RELAY_NEXT_HOP_H
#define POSTERN_ROLES_RELAY_NEXT_HOP_H

#include "config/config.h"

enum next_hop_kind {
    NEXT_HOP_UNIX,    /* a Unix socket; LMTP */
    NEXT_HOP_ADDRESS, /* one IP address */
    NEXT_HOP_HOST,    /* the addresses of a host; no MX lookup */
    NEXT_HOP_MX,      /* the MX of a domain */
};

struct next_hop {
    enum next_hop_kind kind;
    bool lmtp;
    bool configured; /* named in the configuration: what is wrong with it is for us to repair */
    enum config_tls_mode tls;
    const struct config_login *login; /* NULL: none */
    unsigned ignore; /* set of 1 << enum smtp_client_keyword, offered there in vain */
    struct str name; /* host, domain or path */
    struct ip_address ip;
    uint16_t port;  /* 0: that of SMTP */
    struct str key; /* names the hop; equal keys may share connections */
};

/*
 * The hop for mail to `address` (normal form; without a domain it is our own, RFC 5321 4.1.1.3).
 * Texts are borrowed from config or address, the key is in the arena. STATUS_SYNTAX: an address
 * that leads nowhere; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status next_hop_find(struct arena *arena, const struct config *config,
                                        struct str address, struct next_hop *hop_out);

/*
 * The same for mail that an administrator sends another way: to `text`, written as `delivery` in
 * the configuration, with the demands on TLS that its own way has. Where that is the smart host or
 * the server of a route with a login, what the configuration says of it holds as well.
 * STATUS_SYNTAX also when the text names no next hop.
 */
[[nodiscard]] enum status next_hop_find_rerouted(struct arena *arena, const struct config *config,
                                                 struct str address, struct str text,
                                                 struct next_hop *hop_out);

/*
 * True when something listens at ip and port that is a listener of this configuration: mail sent
 * there would come back. `own` are the addresses of this machine, for listeners on all of them.
 */
bool next_hop_is_self(const struct config *config, const struct ip_address *own, size_t own_count,
                      const struct ip_address *ip, uint16_t port);

#endif
