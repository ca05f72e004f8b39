/*
 * author.h - who a message says it is from: the one reading of the From field that every check and
 * every signature rests on (RFC 5322 3.6.2, RFC 6854, RFC 6532, RFC 9989 5.3.1).
 *
 * The threat: one reader authenticates attack.example, another shows the person legitimate.example.
 * So the field is read strictly, and where readers of mail are known to differ in what they make of
 * it, it has no author at all: the kind says why, and there is no domain that could be used by
 * mistake. Readers that differ about anything but the domain do no harm: a field that breaks the
 * grammar has an author where only one domain can be read out of it (author_loose.h).
 *
 * The views are borrowed from the head that was read; what is made is in the arena.
 */
#ifndef POSTERN_MAIL_AUTHOR_H
#define POSTERN_MAIL_AUTHOR_H

#include "mail/address_list.h"
#include "mail/fields.h"

/* Mailboxes of one From field; more are no real From field, and MALFORMED. */
#define MAIL_AUTHORS_MAX      1000u
/* Octets of a From field with its name and line ends; a longer one is MALFORMED. */
#define MAIL_AUTHOR_FIELD_MAX 65536u

enum mail_author_kind {
    MAIL_AUTHOR_ONE,             /* one mailbox */
    MAIL_AUTHOR_SEVERAL,         /* several mailboxes, all of one domain */
    MAIL_AUTHOR_SEVERAL_DOMAINS, /* of more than one domain */
    MAIL_AUTHOR_NONE,            /* no From field that everybody sees */
    MAIL_AUTHOR_SEVERAL_FIELDS,  /* several, or one and a line that some take for another */
    MAIL_AUTHOR_MALFORMED,       /* no list of addresses, none with a usable domain, too large */
    MAIL_AUTHOR_AMBIGUOUS,       /* readable, but readers differ; see the doubt */
    MAIL_AUTHOR_COUNT_,          /* not a kind */
};

/* Why readers differ. */
enum mail_author_doubt {
    MAIL_DOUBT_NONE,
    MAIL_DOUBT_HIDDEN_FIELD,   /* a line that is no From field looks like one to some */
    MAIL_DOUBT_HEADER_END,     /* what stands before it may end the header for some */
    MAIL_DOUBT_CONTROL,        /* control characters in it */
    MAIL_DOUBT_ROUTE,          /* a source route (RFC 5322 4.4) with another domain */
    MAIL_DOUBT_GROUP,          /* a group (RFC 6854) in whose name is another domain */
    MAIL_DOUBT_ENCODED_WORD,   /* in an address, or holding one (RFC 2047 5) */
    MAIL_DOUBT_LOCAL_PART,     /* a quoted local part that holds what ends one elsewhere */
    MAIL_DOUBT_COMMENT,        /* a comment with the address of another domain */
    MAIL_DOUBT_QUOTED_ADDRESS, /* the same in a quoted string with backslashes */
    MAIL_DOUBT_COUNT_,         /* not a doubt */
};

struct mail_author {
    enum mail_author_kind kind;
    enum mail_author_doubt doubt; /* of NONE, SEVERAL_FIELDS and AMBIGUOUS */
    bool irregular;    /* read loosely; `mailboxes` are all that somebody could read out of it */
    struct str domain; /* lower case, A-labels; empty unless ONE or SEVERAL */
    const struct mail_field *field;
    size_t field_count; /* From fields; not the hidden ones */
    /* Of the first field, where it could be read; also when the kind is not ONE. In the arena. */
    const struct mail_mailbox *mailboxes;
    size_t mailbox_count;
};

/* Reads it, in time that grows with the header and no faster. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status mail_author_read(struct arena *arena, const struct mail_head *head,
                                           struct mail_author *author_out);

/* True when there is one domain that can be authenticated: kind ONE or SEVERAL. */
bool mail_author_is_known(const struct mail_author *author);

/*
 * The normal form of a domain in a header field or a signature: lower case, U-labels turned into
 * A-labels (RFC 5890 2.3). Underscores are allowed: such names send mail. STATUS_SYNTAX: it is no
 * name of a host (an address literal neither); STATUS_LIMIT: too long, or the arena is full.
 */
[[nodiscard]] enum status mail_domain_normalize(struct arena *arena, struct str domain,
                                                struct str *domain_out);

/* "one", "several_domains", ...; static, never NULL. */
const char *mail_author_kind_name(enum mail_author_kind kind);
/* "none", "route", ...; static, never NULL. */
const char *mail_author_doubt_name(enum mail_author_doubt doubt);

#endif
