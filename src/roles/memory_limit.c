#include "roles/memory_limit.h"

#include "roles/role.h"
#include "roles/tally.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/*
 * Program, libraries, the arenas of malloc (64 MiB of addresses each, four at most), configuration
 * of the largest size, channels: measured 20 to 280 MiB.
 */
#define BASE           (768 * MIB)
/* A thread with the usual stack (8 MiB of addresses) and its scratch. */
#define THREAD         (16 * MIB)
/* A message is mapped where it came in, and once more where it is edited. */
#define MESSAGE_COPIES 3u
/* An entry of the queue in memory, its recipients and places in the schedule. */
#define QUEUE_ENTRY    1024u
/* An entry of the counts of clients, with a column for each edge. */
#define CLIENT_ENTRY   (32u + 4u * TALLY_PROCESSES_MAX)
/* Messages that the spool has in hand beside those of the relay's deliveries. */
#define SPOOL_INTAKE   64u

/* limits.memory counts what clients hold; what surrounds it is at most as much again. */
static uint64_t
edge_limit(const struct config *config)
{
    uint64_t entries = 8ull * config->limits.connections;
    uint64_t clients = (entries < TALLY_ENTRIES_MAX ? entries : TALLY_ENTRIES_MAX) * CLIENT_ENTRY;
    return BASE + 2 * config->limits.memory + clients;
}

static uint64_t
filter_limit(const struct config *config)
{
    uint64_t message = MESSAGE_COPIES * config->limits.message_size;
    /* Mail of our own has workers beside these (FILTER_OWN_SHARE). */
    uint64_t const workers = (uint64_t)config->workers.filter + config->workers.filter / 4 + 1;
    return BASE + workers * (THREAD + message);
}

static uint64_t
relay_limit(const struct config *config)
{
    uint64_t message = MESSAGE_COPIES * config->limits.message_size;
    return BASE + (uint64_t)config->queue.connections * (THREAD + message);
}

/* libunbound keeps several caches, and each may be copied while it is resized. */
static uint64_t
resolver_limit(const struct config *config)
{
    return BASE + 8 * config->resolver.cache_size;
}

static uint64_t
spool_limit(const struct config *config)
{
    uint64_t parcels = (uint64_t)config->queue.connections + SPOOL_INTAKE;
    return BASE + (uint64_t)config->queue.max_messages * QUEUE_ENTRY +
           parcels * MESSAGE_COPIES * config->limits.message_size;
}

uint64_t
role_memory_limit(enum role role, const struct config *config)
{
    switch ((int)role) {
    case ROLE_EDGE:
        return edge_limit(config);
    case ROLE_FILTER:
        return filter_limit(config);
    case ROLE_RELAY:
        return relay_limit(config);
    case ROLE_RESOLVER:
        return resolver_limit(config);
    case ROLE_SPOOL:
        return spool_limit(config);
    case ROLE_LEDGER: /* a million users and their hashing fit */
    case ROLE_VAULT:
    case ROLE_PARENT: /* reads a configuration beside the old one, 1 GiB each at the very most */
        return 4 * GIB;
    default:
        return 2 * GIB;
    }
}
