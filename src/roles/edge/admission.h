/*
 * admission.h - who may come in: open connections and rates by address and by network.
 *
 * A network is a /24 of IPv4 or a /56 of IPv6: what one customer usually has. Rates are counted
 * evenly over time (the generic cell rate algorithm): a whole minute's worth may come at once, then
 * one at a time as the minute goes on. Refused attempts are not counted, so a client that goes on
 * trying is served at its rate.
 *
 * The table holds an entry for each address and network with an open connection or a rate that is
 * not at rest, at most ADMISSION_ENTRIES_MAX; idle ones make room, oldest first. The hash is keyed:
 * nobody outside can aim at one chain. Time comes in as a parameter. One thread.
 */
#ifndef POSTERN_ROLES_EDGE_ADMISSION_H
#define POSTERN_ROLES_EDGE_ADMISSION_H

#include "base/ip.h"

#define ADMISSION_ENTRIES_MAX 131072u
#define ADMISSION_V4_PREFIX   24u
#define ADMISSION_V6_PREFIX   56u

/*
 * Of this process; 0 means no limit for the rates. The configuration's limits are for all edge
 * processes together: each counts alone, against an equal share, rounded up. So the whole is never
 * exceeded by more than one a process, and a client whose connections happen to fall unevenly may
 * be sent away (421, try again) a little early. Counting in shared memory was rejected: a broken or
 * hijacked process could lock out clients everywhere, and counts of a killed one would stay.
 */
struct admission_limits {
    uint32_t connections;
    uint32_t connections_per_address;
    uint32_t connections_per_network;
    uint32_t connection_rate; /* a minute */
    uint32_t connection_rate_per_network;
    uint32_t message_rate; /* of an address, a minute */
};

enum admission_verdict {
    ADMISSION_OK,
    ADMISSION_CONNECTIONS,
    ADMISSION_ADDRESS,
    ADMISSION_NETWORK,
    ADMISSION_ADDRESS_RATE,
    ADMISSION_NETWORK_RATE,
    ADMISSION_TABLE_FULL,
    ADMISSION_VERDICT_COUNT, /* not a verdict */
};

/* The limit's name in the configuration ("limits.connections_per_address"); static. */
const char *admission_limit_name(enum admission_verdict verdict);
/* What it is set to. */
uint32_t admission_limit_value(const struct admission_limits *limits,
                               enum admission_verdict verdict);

struct admission;
struct admission_entry;

/* What an admitted connection holds. */
struct admission_place {
    struct admission_entry *address;
    struct admission_entry *network;
};

/* NULL without memory. */
[[nodiscard]] struct admission *admission_create(void);
void admission_destroy(struct admission **admission);

/*
 * One more connection from `ip`: counts it and fills *place_out, or says which limit forbids it.
 * Rates do not apply when `rated` is false (a zone without rate limits).
 */
[[nodiscard]] enum admission_verdict admission_enter(struct admission *admission,
                                                     const struct admission_limits *limits,
                                                     const struct ip_address *ip, bool rated,
                                                     int64_t now_ms,
                                                     struct admission_place *place_out);
/* The connection has ended; the place is empty then. An empty place is allowed. */
void admission_leave(struct admission *admission, struct admission_place *place);
/* One more message on this connection: counts it, or false when the rate forbids it. */
[[nodiscard]] bool admission_message(const struct admission_limits *limits,
                                     const struct admission_place *place, int64_t now_ms);

/* Connections that are open; addresses and networks that are remembered. */
size_t admission_open(const struct admission *admission);
size_t admission_entries(const struct admission *admission);

#endif
