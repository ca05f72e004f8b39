#include "roles/parent/clients.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "roles/tally.h"

/* Two entries a connection, and as many again so that the table is never crowded. */
#define ENTRIES_PER_CONNECTION 4ull

enum status
clients_make(const struct config *config, uint32_t processes, int *fd_out)
{
    uint64_t entries = ENTRIES_PER_CONNECTION * config->limits.connections;
    uint32_t wanted = entries < TALLY_ENTRIES_MAX ? (uint32_t)entries : TALLY_ENTRIES_MAX;
    enum status status = tally_create(wanted, processes, fd_out);
    if (status != STATUS_OK) {
        LOG_ERROR("no memory for counting clients", LOG_CSTR("reason", strerror(errno)));
    }
    return status;
}
