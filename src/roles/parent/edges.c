#include "roles/parent/edges.h"

#include <errno.h>
#include <unistd.h>

#include "roles/role.h"
#include "roles/tally.h"

/* Two entries a connection, and as many again so that the table is never crowded. */
#define ENTRIES_PER_CONNECTION 4ull

uint32_t
edges_count(const struct config *config)
{
    uint32_t wanted = config->workers.edge;
    if (wanted == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        wanted = cores > 0 ? (uint32_t)cores : 1;
    }
    return wanted < ROLE_INSTANCES_MAX ? wanted : ROLE_INSTANCES_MAX;
}

enum status
edges_make_clients(const struct config *config, uint32_t edges, int *fd_out)
{
    uint64_t entries = ENTRIES_PER_CONNECTION * config->limits.connections;
    uint32_t wanted = entries < TALLY_ENTRIES_MAX ? (uint32_t)entries : TALLY_ENTRIES_MAX;
    enum status status = tally_create(wanted, edges, fd_out);
    if (status != STATUS_OK) {
        LOG_ERROR("no memory for counting clients", LOG_CSTR("reason", strerror(errno)));
    }
    return status;
}
