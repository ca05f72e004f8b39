/*
 * dsn.h - composes delivery status notifications: bounces, delay warnings, "delivered", "relayed".
 *
 * RFC 3461 (who is told what), RFC 3462 and 6522 (multipart/report), RFC 3464 (delivery-status),
 * RFC 6533 (addresses and messages in UTF-8), RFC 3834 (Auto-Submitted). Pure: everything comes in
 * as a parameter, the result lives in the arena. Who is to be told, and that nobody is when the
 * sender is the null path, decides the caller (the spool); these messages are sent from the null
 * path.
 *
 * Nothing that is quoted can forge a field or a line: control characters become "?", and octets
 * above 127 too unless the notice is one in UTF-8. Everything is bounded: recipients by
 * DSN_RECIPIENTS_MAX (more are counted in a sentence), each text by the line length, the copy of
 * the original by returned_max.
 */
#ifndef POSTERN_MAIL_DSN_H
#define POSTERN_MAIL_DSN_H

#include "base/arena.h"

/* Recipients that one notice speaks of. */
#define DSN_RECIPIENTS_MAX 1000u

enum dsn_kind {
    DSN_FAILURE, /* some recipients will not get it */
    DSN_DELAY,   /* some have not got it yet */
    DSN_SUCCESS, /* delivered, or relayed to where nobody will tell (RFC 3461 5.2) */
};

/* RFC 3464 2.3.3 */
enum dsn_action {
    DSN_FAILED,
    DSN_DELAYED,
    DSN_DELIVERED,
    DSN_RELAYED,
};

struct dsn_recipient {
    struct str address;  /* where it went */
    struct str original; /* what the sender wrote; the same when nothing was changed */
    struct str orcpt;    /* ORCPT as received, "rfc822;..." in xtext; empty: none */
    enum dsn_action action;
    struct str status;  /* enhanced code; empty or of another class: a general one is used, not in
                           the quote */
    bool expired;       /* it was given up because of its age: 4.4.7 where there is no `status` */
    bool untried;       /* no attempt was made for it: `text` is about its destination */
    uint16_t code;      /* SMTP reply, 0: none */
    struct str text;    /* of the reply, or what was wrong */
    struct str remote;  /* name of the next hop; empty: nobody was reached */
    int64_t attempt_ms; /* wall clock; 0: never */
    int64_t retry_until_ms; /* wall clock, for DELAYED; 0: it waits for somebody, not for a time */
};

struct dsn_request {
    enum dsn_kind kind;
    struct str hostname;   /* ours */
    struct str postmaster; /* who is responsible here; stands in From (RFC 3464 2) */
    struct str id;         /* of the notice; unique, becomes part of its Message-ID */
    struct str about_id;   /* of the message that it speaks of */
    int64_t now_ms;        /* wall clock */
    int64_t arrival_ms;    /* wall clock; when the original was received */
    struct str sender;     /* who is told, usually the sender of the original; not empty */
    /* Why it is the postmaster who is told of a failure, in words behind "because"; empty: it is
     * the sender who is told. */
    struct str why_postmaster;
    struct str original_sender; /* for the postmaster; empty: the null path */
    struct str envid;           /* ENVID, decoded; empty: none */
    bool return_full;           /* RET=FULL */
    bool return_headers;        /* RET=HDRS */
    struct str head;            /* the original's header section with its empty line */
    struct str content;         /* the original's body */
    uint64_t returned_max;      /* octets of the original that may be returned; above: its header */
    const struct dsn_recipient *recipients;
    size_t recipient_count; /* at least 1 */
};

struct dsn_message {
    struct str head;       /* header section with its empty line */
    struct str content;    /* body */
    struct str subject;    /* as in head */
    struct str message_id; /* with angle brackets */
    bool utf8_header;      /* octets above 127 in its header: needs SMTPUTF8 */
    bool has_8bit;         /* octets above 127 anywhere: needs 8BITMIME */
};

/* STATUS_LIMIT: the arena is full (returned_max plus 2 KiB a recipient, and 64 KiB, is ample). */
[[nodiscard]] enum status dsn_compose(struct arena *arena, const struct dsn_request *request,
                                      struct dsn_message *message_out);

#endif
