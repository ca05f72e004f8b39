/*
 * address_list.h - the addresses in From, Sender, To and their like (RFC 5322 3.4, RFC 6854, RFC
 * 6532).
 *
 * Read strictly but for what other software writes every day: dots in display names and empty
 * places in lists (RFC 5322 4.1, 4.4). A source route (4.4) is skipped and noted. Whether the parts
 * are good for SMTP is told by smtp/address.h.
 */
#ifndef POSTERN_MAIL_ADDRESS_LIST_H
#define POSTERN_MAIL_ADDRESS_LIST_H

#include "base/arena.h"

/* Views of the value that was parsed. */
struct mail_mailbox {
    struct str display; /* as written, with quotes, folding and encoded words; may be empty */
    struct str local;   /* as written, with quotes if it has them */
    struct str domain;  /* or a literal with its brackets */
    bool routed;        /* a source route stood before it */
};

struct mail_address_list {
    struct mail_mailbox *items; /* in the arena; those of groups too */
    size_t count;
    size_t group_count;
    size_t capacity;
};

/*
 * Reads the whole of a raw value. At least one address or group must be there. STATUS_SYNTAX: it is
 * no address list; STATUS_LIMIT: more than `most` mailboxes, or the arena is full.
 */
[[nodiscard]] enum status mail_address_list_parse(struct arena *arena, struct str value,
                                                  size_t most, struct mail_address_list *list_out);

/*
 * The identifier in a Message-ID field's raw value, with its angle brackets (RFC 5322 3.6.4).
 * STATUS_SYNTAX when there is anything but one identifier. Its two halves may be any visible
 * characters: software has made identifiers of all kinds.
 */
[[nodiscard]] enum status mail_message_id_parse(struct str value, struct str *id_out);

#endif
