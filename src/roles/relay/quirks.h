/*
 * quirks.h - hosts that were seen not to do what they offer, so that it is not asked of them again.
 *
 * Today that is CHUNKING: offered, and BDAT is answered as an unknown command, or not at all. A
 * host is remembered for QUIRK_MS, after which it may have been repaired, and forgotten when the
 * relay ends or when there are more than QUIRKS_MAX. Thread-safe.
 */
#ifndef POSTERN_ROLES_RELAY_QUIRKS_H
#define POSTERN_ROLES_RELAY_QUIRKS_H

#include "base/str.h"

#define QUIRKS_MAX 4096u
#define QUIRK_MS   ((int64_t)24 * 3600 * 1000)

struct relay_quirks;

[[nodiscard]] struct relay_quirks *relay_quirks_create(void);
/* NULL is allowed; sets *quirks to NULL. */
void relay_quirks_destroy(struct relay_quirks **quirks);

/* The host (relay_target_text) breaks CHUNKING. False: that was known, or there is no memory. */
bool relay_quirks_add(struct relay_quirks *quirks, struct str host, int64_t now_ms);
/* Whether it was seen to. */
bool relay_quirks_has(struct relay_quirks *quirks, struct str host, int64_t now_ms);

#endif
