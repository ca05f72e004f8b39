/*
 * clients.h - the counts of clients (tally.h), which the processes of one role share.
 */
#ifndef POSTERN_ROLES_PARENT_CLIENTS_H
#define POSTERN_ROLES_PARENT_CLIENTS_H

#include "config/config.h"

/*
 * The counts for so many processes, as large as limits.connections asks for; the caller closes
 * *fd_out. STATUS_IO with a log line.
 */
[[nodiscard]] enum status clients_make(const struct config *config, uint32_t processes,
                                       int *fd_out);

#endif
