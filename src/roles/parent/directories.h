/*
 * directories.h - the places on disk: made by the parent, each role's own given to its user.
 */
#ifndef POSTERN_ROLES_PARENT_DIRECTORIES_H
#define POSTERN_ROLES_PARENT_DIRECTORIES_H

#include "config/config.h"

/* Makes a directory and those above it (0755), as `mkdir -p`. STATUS_IO with errno set. */
[[nodiscard]] enum status directories_make(struct str path);

/*
 * Makes state, run and one directory a role (its user's, also the files already in it;
 * closed to others, but that of the ledger lets its group through to the file it keeps for
 * Dovecot), locks the state so that no second Postern works on it, and writes run/postern.pid. On
 * failure *reason_out (in `arena`) says why. *lock_fd_out holds the lock.
 */
[[nodiscard]] enum status directories_prepare(const struct config *config, struct arena *arena,
                                              int *lock_fd_out, struct str *reason_out);
/* Takes the process file and the sockets away, and the lock. */
void directories_forget(const struct config *config, int lock_fd);

#endif
