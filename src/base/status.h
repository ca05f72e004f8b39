/*
 * status.h - how a function of this program tells how it went.
 *
 * Three kinds of outcome stay apart in Postern: this status (what happened to the program),
 * protocol results (an SPF `temperror` is a result, not a status) and SMTP replies
 * (src/smtp/reply.h). One table, in src/smtp/reply.c, maps a status to a reply.
 */
#ifndef POSTERN_BASE_STATUS_H
#define POSTERN_BASE_STATUS_H

enum status {
    STATUS_OK = 0,    /* done */
    STATUS_AGAIN,     /* nothing to do now; call again when there is more input or room */
    STATUS_END,       /* the peer or the input has come to its regular end */
    STATUS_SYNTAX,    /* the input does not follow its grammar */
    STATUS_LIMIT,     /* a named limit was reached */
    STATUS_TEMPORARY, /* a peer or a resource is not available now; trying later may help */
    STATUS_IO,        /* the operating system refused: file, socket, database */
    STATUS_NOT_FOUND, /* there is no such thing */
    STATUS_DENIED,    /* there is, but not for this caller */
    STATUS_BUG,       /* a broken invariant of the program itself */
};

/* The name of a status ("ok", "again", ...), a static string; never NULL. */
const char *status_name(enum status status);

#endif
