/*
 * sendmail_session.h - sendmail's conversation with the running Postern, over its Unix socket.
 *
 * Plain SMTP, one command and one reply at a time. All or nothing: when any recipient is refused,
 * nothing is sent, so that an exit status other than 0 always means that no mail has left.
 */
#ifndef POSTERN_CLI_SENDMAIL_SESSION_H
#define POSTERN_CLI_SENDMAIL_SESSION_H

#include "base/arena.h"
#include "smtp/client_reply.h"

struct sendmail_envelope {
    struct str sender; /* "" : the null path */
    const struct str *recipients;
    size_t recipient_count;
    const char *notify; /* as in struct sendmail_options, as the next two; NULL: not given */
    const char *return_part;
    const char *envelope_id;
    struct str content; /* lines with CRLF, not yet dot-stuffed */
};

struct sendmail_session {
    int fd;
    struct arena *arena; /* borrowed */
    struct smtp_reply_reader reader;
    struct smtp_reply reply; /* the last one */
    struct str domain;       /* of addresses without one: the name that the server greets with */
    char buffer[4096];       /* what has been read and not used yet */
    size_t buffer_used;
    size_t buffer_n;
};

/*
 * Connects to the socket at `path` and greets. EX_OK, or the status to exit with, after a message
 * on standard error. The session is to be closed in either case.
 */
int sendmail_session_open(struct sendmail_session *session, struct arena *arena, const char *path);
void sendmail_session_close(struct sendmail_session *session);

/* Submits one message; EX_OK once it is in the queue, else as above. */
int sendmail_session_send(struct sendmail_session *session,
                          const struct sendmail_envelope *envelope);

/*
 * Connects and copies octets between standard input, standard output and the socket until the
 * server ends the session (-bs). EX_OK, or the status to exit with, after a message.
 */
int sendmail_session_copy(const char *path);

/*
 * What a refusal means to the caller: EX_TEMPFAIL for 4yz; for 5yz EX_NOUSER (a recipient does not
 * exist), EX_NOPERM (it is not allowed), EX_DATAERR (the message cannot be taken as it is), else
 * EX_UNAVAILABLE. EX_OK for other replies.
 */
int sendmail_exit_status(const struct smtp_reply *reply);

#endif
