/*
 * sts_policies.h - MTA-STS policies on disk, so that what a domain demanded is still known after a
 * restart (RFC 8461 5.1, 10.2): <directory>/mta-sts.db, SQLite, a row for each domain.
 *
 * A row's octets are those of transport/sts_cache.h; here they mean nothing. A power cut may lose
 * the last rows, never the file. A damaged file is set aside as mta-sts.db.damaged, with an error
 * in the log, and policies are gathered anew. One thread uses a file. Errors are those of
 * ledger_database.h.
 */
#ifndef POSTERN_STORE_STS_POLICIES_H
#define POSTERN_STORE_STS_POLICIES_H

#include "base/str.h"

/* Most rows that are read back. */
#define STS_POLICIES_MAX 100000u

struct sts_policies;

/* Opens the file, and makes it if it is not there. */
[[nodiscard]] enum status sts_policies_open(const char *directory,
                                            struct sts_policies **policies_out);
/* Sets *policies to NULL. NULL is allowed. */
void sts_policies_close(struct sts_policies **policies);

/* Keeps a row in the place of the one before. `used_s`: when mail last asked for the domain. */
[[nodiscard]] enum status sts_policies_put(struct sts_policies *policies, struct str domain,
                                           struct str row, int64_t used_s);
/* Forgets a domain; one that is not there is no error. */
[[nodiscard]] enum status sts_policies_remove(struct sts_policies *policies, struct str domain);
/*
 * Calls `visit` for each row, the one that was used last first; borrowed for the call. The rows for
 * which it returns false are of no use, and are removed.
 */
[[nodiscard]] enum status
sts_policies_each(struct sts_policies *policies,
                  bool (*visit)(void *context, struct str domain, struct str row), void *context);

#endif
