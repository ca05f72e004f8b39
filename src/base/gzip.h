/*
 * gzip.h - the gzip format (RFC 1952), in and out, whole texts at a time.
 */
#ifndef POSTERN_BASE_GZIP_H
#define POSTERN_BASE_GZIP_H

#include "base/buf.h"

/* True when the octets begin as gzip does. */
bool gzip_is(struct str octets);

/*
 * Appends what the octets stand for to *out, at most up to its ceiling: a few octets can stand for
 * gigabytes, so choose it (STATUS_LIMIT past it). Several members are read one behind the other
 * (2.2); what follows the last and is no member is ignored. STATUS_SYNTAX: no gzip, damaged, or cut
 * off. *out may hold a part then.
 */
[[nodiscard]] enum status gzip_decode(struct str octets, struct buf *out);

/*
 * Appends the octets in this format to *out. The header has no name and no time, so that the same
 * octets always give the same. STATUS_LIMIT: past its ceiling.
 */
[[nodiscard]] enum status gzip_encode(struct str octets, struct buf *out);

#endif
