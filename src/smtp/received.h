/*
 * received.h - the Received field that a server puts on top of what it takes (RFC 5321 4.4).
 */
#ifndef POSTERN_SMTP_RECEIVED_H
#define POSTERN_SMTP_RECEIVED_H

#include "smtp/server.h"

/* All text is borrowed. */
struct smtp_received {
    struct str helo; /* as the client gave it */
    enum smtp_helo_form helo_form;
    struct ip_address client;
    struct str client_name; /* verified reverse name in normal form; empty: none */
    /* Leaves out who the client is: for submission, where its address is nobody's business. */
    bool hide_client;
    struct str
        local_user; /* "33": it came from this user of the machine itself; empty: it did not */
    struct str by;  /* our host name */
    struct str id;  /* printable ASCII; empty: no `id` clause */
    bool esmtp;
    bool authenticated;
    bool smtputf8; /* SMTPUTF8 was on the MAIL command */
    bool tls;
    struct str tls_version; /* "TLSv1.3" */
    struct str tls_cipher;
    unsigned tls_bits;    /* 0: not known */
    struct str recipient; /* the only recipient; empty when there are several (RFC 5321 7.2) */
    int64_t wall_ms;      /* when the end of data came */
};

/*
 * The keyword of the `with` clause: SMTP, ESMTP, ESMTPA, ESMTPS, ESMTPSA (RFC 3848), or UTF8SMTP
 * with the same endings (RFC 6531 4.3). A static string.
 */
const char *smtp_with_keyword(bool esmtp, bool tls, bool authenticated, bool smtputf8);

/*
 * The field, folded, in lines that end in CRLF. Nothing a client sent can add a line or end a
 * comment. {NULL,0} past the arena's ceiling.
 */
struct str smtp_received_format(struct arena *arena, const struct smtp_received *received);

#endif
