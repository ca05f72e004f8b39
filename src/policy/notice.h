/*
 * notice.h - how much the sender of a message may be told about it.
 *
 * Called by the spool, which makes the notices, and by the relay, which asks the next hop for no
 * more than would be told here. A pure function; any thread.
 */
#ifndef POSTERN_POLICY_NOTICE_H
#define POSTERN_POLICY_NOTICE_H

#include "config/config.h"

/*
 * A notice to a forged address is spam of our making (backscatter). RFC 3834 2 and RFC 5321 6.2
 * want none where the return path is likely to be forged; RFC 5321 6.1 wants failures told.
 */
enum notice_extent {
    /* Our users and hosts: what they asked for, with all that is known (RFC 3461, 3464). */
    NOTICE_EXTENT_FULL,
    /*
     * A stranger whose domain is authenticated: failures only, and nothing that was not known
     * outside: no name or word of the servers behind, no targets of aliases, no body.
     */
    NOTICE_EXTENT_FAILURES,
    NOTICE_EXTENT_NONE_STRANGER, /* a stranger, as configured: nothing */
    NOTICE_EXTENT_NONE_UNPROVEN, /* a stranger whose return path may be forged: nothing */
};

/* flags: set of enum smtp_message_flag, as the filter has set them. */
enum notice_extent notice_extent_of(const struct config *config, uint32_t flags);

/* "stranger", "sender_unproven"; NULL for extents in which something is told. Static. */
const char *notice_extent_reason(enum notice_extent extent);

/*
 * What is asked of the next hop in NOTIFY (RFC 3461 5.2.1) for a recipient whose sender asked for
 * `notify` (set of enum smtp_dsn_notify): the same in full extent, otherwise the failures of it, or
 * NEVER.
 */
uint8_t notice_extent_notify(enum notice_extent extent, uint8_t notify);

#endif
