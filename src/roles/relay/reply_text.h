/*
 * reply_text.h - a server's reply as results, traces and call-outs carry it.
 */
#ifndef POSTERN_ROLES_RELAY_REPLY_TEXT_H
#define POSTERN_ROLES_RELAY_REPLY_TEXT_H

#include "base/arena.h"
#include "smtp/reply.h"

/*
 * "5.1.1"; {NULL, 0} where the reply has none: what is quoted as the server's words (RFC
 * 3464 2.3.6) has nothing that it did not say. In the arena; {NULL, 0} when it is full.
 */
struct str relay_enhanced_text(struct arena *arena, const struct smtp_reply *reply);
/* The reply's text on one line of at most SMTP_CLIENT_TEXT_MAX octets; errors as above. */
struct str relay_reply_text(struct arena *arena, const struct smtp_reply *reply);

#endif
