/*
 * encode.h - what is to be signed in a form that every server takes (RFC 6376 5.3): no server on
 * the way has to encode it anew and break the signature.
 */
#ifndef POSTERN_ROLES_FILTER_ENCODE_H
#define POSTERN_ROLES_FILTER_ENCODE_H

#include "roles/filter/outgoing.h"

/*
 * Encodes 8-bit octets in copy->head as encoded words where nothing is lost by it
 * (mail/header_downgrade.h), and then copy->body, with copy->head to fit, when it has 8-bit octets
 * and authentication.dkim.encode_8bit says so. What may not be changed (mail/downgrade.h), or would
 * grow past limits.message_size, stays as it is, and `trace` tells why. STATUS_LIMIT: the arena is
 * full.
 */
[[nodiscard]] enum status filter_encode(const struct outgoing_input *input,
                                        struct outgoing_copy *copy, struct trace *trace);

/*
 * Makes lines of more than 998 octets fit (RFC 5322 2.1.1): fields are folded, parts of the body
 * are encoded, before anything is signed. For what our users send; mail of others that comes in, or
 * goes on, keeps its octets, which its signatures cover. What may not be changed stays as it is,
 * and `trace` tells why. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status filter_fit_lines(const struct outgoing_input *input,
                                           struct outgoing_copy *copy, struct trace *trace);

#endif
