/*
 * admission.h - who may come in: open connections and rates by address and by network.
 *
 * A network is a /24 of IPv4 or a /56 of IPv6: what one customer usually has. The counts are those
 * of all edge processes together (roles/tally.h), so a limit is what the configuration says however
 * connections fall among them. Refused attempts are not counted, so a client that goes on trying is
 * served at its rate. Time comes in as a parameter. One thread.
 */
#ifndef POSTERN_ROLES_EDGE_ADMISSION_H
#define POSTERN_ROLES_EDGE_ADMISSION_H

#include "roles/tally.h"

#define ADMISSION_V4_PREFIX 24u
#define ADMISSION_V6_PREFIX 56u

/* Of all edges; 0 means no limit for the rates, which are a minute. */
struct admission_limits {
    uint32_t connections;
    uint32_t connections_per_address;
    uint32_t connections_per_network;
    uint32_t connection_rate;
    uint32_t connection_rate_per_network;
    uint32_t message_rate;
    uint32_t message_rate_per_network;
};

enum admission_verdict {
    ADMISSION_OK,
    ADMISSION_CONNECTIONS,
    ADMISSION_ADDRESS,
    ADMISSION_NETWORK,
    ADMISSION_ADDRESS_RATE,
    ADMISSION_NETWORK_RATE,
    ADMISSION_TABLE_FULL,
    ADMISSION_ADDRESS_MESSAGES, /* of admission_message only, as the next */
    ADMISSION_NETWORK_MESSAGES,
    ADMISSION_VERDICT_COUNT, /* not a verdict */
};

/* The limit's name in the configuration ("limits.connections_per_address"); static. */
const char *admission_limit_name(enum admission_verdict verdict);
/* What it is set to; 0 for the size of the table. */
uint32_t admission_limit_value(const struct admission_limits *limits,
                               enum admission_verdict verdict);

/* What an admitted connection holds. */
struct admission_place {
    struct tally_entry *address;
    struct tally_entry *network;
};

/*
 * One more connection from `ip`: counts it and fills *place_out, or says which limit forbids it.
 * Neither rates nor counts by address and network apply when `rated` is false (a zone without rate
 * limits); it is counted all the same.
 */
[[nodiscard]] enum admission_verdict admission_enter(struct tally *tally,
                                                     const struct admission_limits *limits,
                                                     const struct ip_address *ip, bool rated,
                                                     int64_t now_ms,
                                                     struct admission_place *place_out);
/* The connection has ended; the place is empty then. An empty place is allowed. */
void admission_leave(struct tally *tally, struct admission_place *place);
/* One more message on this connection: counts it, or says which rate forbids it. */
[[nodiscard]] enum admission_verdict admission_message(const struct admission_limits *limits,
                                                       const struct admission_place *place,
                                                       int64_t now_ms);

#endif
