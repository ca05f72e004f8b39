/*
 * resolver.h - the role that asks the DNS for all others: libunbound with DNSSEC validation and one
 * cache.
 *
 * It answers MSG_RESOLVE with MSG_RESOLVE_REPLY. Names are looked up from the root on, or through
 * resolver.forwarders, or in a root of one's own (resolver.stub_root). Answers are validated from
 * the trust anchors of the configuration, else from the root's own two keys, which are part of the
 * program. libunbound is used through its event interface only: its waiting one is sixty times
 * slower from the cache.
 */
#ifndef POSTERN_ROLES_RESOLVER_H
#define POSTERN_ROLES_RESOLVER_H

#include "roles/role.h"

extern const struct role_definition resolver_role;

#endif
