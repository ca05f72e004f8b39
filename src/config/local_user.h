/*
 * local_user.h - users of this machine who submit mail without a password (the group `sendmail`).
 *
 * The kernel says who is at the other end of a Unix socket, so nobody has to prove it. Such a user
 * is "uid:33" wherever one who has logged in is an address: in the trace, in the log and in
 * submission.senders. No account can have that name, because accounts are addresses.
 */
#ifndef POSTERN_CONFIG_LOCAL_USER_H
#define POSTERN_CONFIG_LOCAL_USER_H

#include "config/config.h"

/* "uid:4294967295" and its NUL. */
#define LOCAL_USER_MAX    16u
/* The socket, below directories.run. */
#define LOCAL_USER_SOCKET "sendmail.sock"

/* "uid:33" into `out`, which is returned as text. */
struct str local_user_name(uint32_t uid, char out[static LOCAL_USER_MAX]);
/* True when `user` is such a name; *uid_out is its number. */
bool local_user_parse(struct str user, uint32_t *uid_out);

/* Whether he may submit at all (sendmail.users). */
bool local_user_may_submit(const struct config *config, struct str user);
/* Whether he may use any sender: root, and who is in sendmail.any_sender. */
bool local_user_may_use_any_sender(const struct config *config, struct str user);
/* Whether every local user may write as somebody of this domain: one of ours, or this host. */
bool local_user_may_use_domain(const struct config *config, struct str domain);

/*
 * The domain of addresses without one: sendmail.domain; else the domain of ours that hostname is in
 * or directly below; else the first by name; else hostname. A view of the configuration.
 */
struct str local_user_domain(const struct config *config);

#endif
