/*
 * resolver.h - the role that asks the DNS for all others: libunbound with DNSSEC validation and one
 * cache.
 *
 * It answers MSG_RESOLVE and MSG_RESOLVE_BATCH. Names are looked up from the root on, or through
 * resolver.forwarders, or in a root of one's own (resolver.stub_root); over UDP with EDNS, and over
 * TCP where an answer was truncated. Answers are validated from the trust anchors of the
 * configuration, else from the root's own two keys, which are part of the program; when a zone of
 * an anchor changes its keys, the role follows (RFC 5011) and keeps what it has learnt in its
 * directory. At its start and from time to time it looks whether validation works, and says so in
 * `postern status`. libunbound is used through its event interface only: its waiting one is sixty
 * times slower from the cache.
 */
#ifndef POSTERN_ROLES_RESOLVER_H
#define POSTERN_ROLES_RESOLVER_H

#include "roles/role.h"

extern const struct role_definition resolver_role;

#endif
