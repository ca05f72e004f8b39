/*
 * own_certificate.h - the self-signed certificate in the state directory: made where there is none,
 * and made anew when it can no longer be used.
 *
 * Key and certificate are replaced as whole files (written beside, synced, renamed). A crash
 * between the two leaves a pair that does not fit, which the next start sees and replaces.
 */
#ifndef POSTERN_ROLES_PARENT_OWN_CERTIFICATE_H
#define POSTERN_ROLES_PARENT_OWN_CERTIFICATE_H

#include "config/config.h"

/* Its name in the state directory, with .pem and .key. */
#define OWN_CERTIFICATE_NAME       "self-signed"
/* So long before its end it is made anew. */
#define OWN_CERTIFICATE_RENEW_DAYS 30

struct own_certificate {
    struct str path; /* of the certificate */
    struct str chain;
    struct str key; /* secret: wipe the arena */
    int64_t not_after_ms;
};

/*
 * The pair in directories.state. A new one is made when a file is missing or cannot be read as what
 * it should be, when the two do not belong together, when it is for another host name, not valid
 * yet, or at its end; the log says so. Texts in `arena` (64 KiB is ample). STATUS_IO with errno
 * set when it cannot be written.
 */
[[nodiscard]] enum status own_certificate_obtain(const struct config *config, int64_t wall_ms,
                                                 struct arena *arena,
                                                 struct own_certificate *own_out);

/* Whether own_certificate_obtain would make a new one now. */
bool own_certificate_is_due(const struct config *config, int64_t wall_ms);

#endif
