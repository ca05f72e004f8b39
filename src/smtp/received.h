/*
 * received.h - the trace field that a server puts above each message it takes (RFC 5321 4.4, RFC
 * 3848, RFC 6531 3.7.3).
 */
#ifndef POSTERN_SMTP_RECEIVED_H
#define POSTERN_SMTP_RECEIVED_H

#include "base/arena.h"
#include "base/ip.h"

struct smtp_received {
    struct str helo;          /* as the client gave it */
    struct ip_address client; /* shown as an address literal */
    bool hide_client;         /* leaves the whole `from` clause out: a user's home address */
    struct str hostname;      /* ours */
    struct str id;            /* of the message */
    struct str tls;           /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in the clear */
    bool esmtp;               /* EHLO, not HELO */
    bool authenticated;
    bool smtputf8;      /* announced for this message */
    struct str address; /* what RCPT said, where it was one address only; else empty */
    int64_t received_ms;
};

/*
 * The value of the field, folded, in the arena; {NULL,0} when that is full. Octets of the client
 * that could end a comment, a word or the field become "?".
 */
struct str smtp_received_value(struct arena *arena, const struct smtp_received *received);

/* "SMTP", "ESMTPSA", "UTF8SMTPS", ...; static. */
const char *smtp_received_protocol(const struct smtp_received *received);

#endif
