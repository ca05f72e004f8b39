/*
 * deliver.h - one message to its recipients at one destination: called by a worker thread, reads
 * from top to bottom, returns when every recipient has a result.
 *
 * Recipients with the same next hop share transactions. An idle session to the hop is used first,
 * then its addresses are called in order (RFC 5321 5.1). A recipient is settled when a server has
 * taken it or refused it for good, and deferred when the verdict on the content never came, because
 * the message may have arrived. It goes on to the next address when the server failed before that,
 * put it off (4yz), or cannot take the message for want of a feature.
 *
 * A reused session that answers MAIL or DATA with 4yz may have had all the messages that its server
 * allows: it is left, and a fresh one is asked at once.
 */
#ifndef POSTERN_ROLES_RELAY_DELIVER_H
#define POSTERN_ROLES_RELAY_DELIVER_H

#include "ipc/message.h"
#include "mail/downgrade.h"
#include "mail/header_downgrade.h"
#include "roles/relay/call.h"
#include "roles/relay/reply_text.h"
#include "roles/relay/standing.h"

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
    int64_t deadline_ms;      /* monotonic: who has no result by then is deferred; 0: no limit */
    struct relay_needs needs; /* of the message */

    /* the outcome; texts in the arena or static */
    struct record_delivery_result *results; /* in the order of deliver->recipients */
    bool connected; /* some server of the destination was reached and did not end with 421 */

    /* private */
    bool *settled;
    struct relay_standing *standings; /* of those that are not settled */
    bool skip_host;                   /* no other address of the present host will do */
    bool tls_closed; /* the present host refused STARTTLS and closed the connection */
    struct smtp_content_form form;
    struct relay_seven_bits seven_bits;
    struct relay_ascii_head ascii_head;
};

/* Delivers. STATUS_LIMIT: there was no memory even for results; nothing was sent. */
[[nodiscard]] enum status relay_delivery_run(struct relay_delivery *delivery);

#endif
