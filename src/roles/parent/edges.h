/*
 * edges.h - how many edges there are, and what they share.
 */
#ifndef POSTERN_ROLES_PARENT_EDGES_H
#define POSTERN_ROLES_PARENT_EDGES_H

#include "config/config.h"

/* workers.edge, or one for each processor; at most ROLE_INSTANCES_MAX. */
uint32_t edges_count(const struct config *config);
/*
 * The counts of clients (tally.h) for so many edges, as large as limits.connections asks for; the
 * caller closes *fd_out. STATUS_IO with a log line.
 */
[[nodiscard]] enum status edges_make_clients(const struct config *config, uint32_t edges,
                                             int *fd_out);

#endif
