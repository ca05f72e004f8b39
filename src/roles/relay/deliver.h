/*
 * deliver.h - one message to its recipients at one destination: called by a worker thread, reads
 * from top to bottom, returns when every recipient has a result.
 *
 * Recipients with the same next hop share transactions. An idle session to the hop is used first,
 * then its addresses are called in order. A recipient that a server has clearly taken or refused is
 * settled; one whose server failed before the verdict on the content goes on to the next address;
 * one whose verdict never came is deferred, because the message may have arrived.
 *
 * What TLS must be comes from the next hop (domain, route, smart host) and from the zone of the
 * address that is called, whichever is stricter. Opportunistic: when anything fails between
 * STARTTLS and the end of the handshake, the same address is called anew and used in the clear, and
 * that is recorded. Who can make a handshake fail could have taken STARTTLS out of the offer as
 * well.
 */
#ifndef POSTERN_ROLES_RELAY_DELIVER_H
#define POSTERN_ROLES_RELAY_DELIVER_H

#include "ipc/message.h"
#include "mail/downgrade.h"
#include "mail/header_downgrade.h"
#include "roles/relay/call.h"

/* Memory of one delivery: results, names, answers of the DNS, commands. */
#define DELIVERY_CEILING (16u * 1024u * 1024u)

/* The message in 7 bits, for servers without 8BITMIME; made when the first of them is met. */
struct relay_seven_bits {
    bool made;
    const char *why; /* it cannot be made; NULL: it was */
    struct buf head;
    struct buf body;
    struct smtp_content_form form;
};

/* The header section in ASCII, for servers without SMTPUTF8; made when the first is met. */
struct relay_ascii_head {
    bool made;
    unsigned flags;  /* of mail_header_downgrade */
    const char *why; /* it cannot be made; NULL: it was */
    struct buf head;
    struct smtp_content_form form; /* of the message with this head */
};

struct relay_delivery {
    /* set by the caller; all borrowed */
    struct relay_world *world;
    const struct config *config;
    struct tls_client *tls;
    struct arena *arena;
    struct trace *trace;
    const struct msg_deliver *deliver;
    struct str head;
    struct str body;
    int64_t deadline_ms; /* monotonic: who has no result by then is deferred; 0: no limit */

    /* the outcome; texts in the arena or static */
    struct record_delivery_result *results; /* in the order of deliver->recipients */
    bool connected;                         /* some server of the destination was reached */

    /* private */
    bool *settled;
    struct smtp_content_form form;
    struct relay_seven_bits seven_bits;
    struct relay_ascii_head ascii_head;
};

/* Delivers. STATUS_LIMIT: there was no memory even for results; nothing was sent. */
[[nodiscard]] enum status relay_delivery_run(struct relay_delivery *delivery);

/*
 * "5.1.1"; {NULL, 0} where the reply has none: what is quoted as the server's words (RFC
 * 3464 2.3.6) has nothing that it did not say. In the arena; {NULL, 0} when it is full.
 */
struct str relay_enhanced_text(struct arena *arena, const struct smtp_reply *reply);
/* The reply's text on one line of at most SMTP_CLIENT_TEXT_MAX octets; errors as above. */
struct str relay_reply_text(struct arena *arena, const struct smtp_reply *reply);

#endif
