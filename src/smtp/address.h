/*
 * address.h - mail addresses as SMTP has them (RFC 5321 4.1.2, RFC 6531 3.3), read into one form.
 *
 * One reading serves everybody: the server core, the configuration, the command line and the client
 * all parse with these functions and compare the normal form. What RFC 5322 allows in header fields
 * only (comments, folding, display names) is an error here.
 *
 * Two things that the grammar does not have are taken, because mailboxes have such names: dots at
 * the beginning, at the end and side by side in a local part without quotes (a carrier with
 * millions of customers let them choose such), and underscores in a domain. The first is the same
 * mailbox as the quoted string with these octets, which the grammar has, and is written as that.
 *
 * The normal form: the local part in its shortest spelling ("a"@x and a@x are the same mailbox, and
 * so are a..b@x and "a..b"@x, which needs its quotes), its letter case kept; the domain in lower
 * case with A-labels (RFC 5890), so that a domain never needs SMTPUTF8; an address literal as
 * "[192.0.2.1]" or "[IPv6:2001:db8::1]" in canonical text. A source route (RFC 5321 C) is checked,
 * then ignored.
 *
 * All text of a result lives in the arena that was passed in.
 */
#ifndef POSTERN_SMTP_ADDRESS_H
#define POSTERN_SMTP_ADDRESS_H

#include "base/arena.h"
#include "base/ip.h"

/* RFC 5321 4.5.3.1.1 to 4.5.3.1.3; the path counts its angle brackets. */
#define SMTP_LOCAL_PART_MAX 64u
#define SMTP_DOMAIN_MAX     255u
#define SMTP_LABEL_MAX      63u
#define SMTP_PATH_MAX       256u

enum smtp_domain_kind {
    SMTP_DOMAIN_NONE, /* the null path, or <postmaster> without a domain */
    SMTP_DOMAIN_NAME,
    SMTP_DOMAIN_LITERAL, /* IPv4 or IPv6 address literal */
};

struct smtp_address {
    struct str text;           /* the normal form; empty for the null path */
    struct str local;          /* the local part without quotes and backslashes */
    struct str domain;         /* lower case, A-labels; or the literal with its brackets */
    struct ip_address literal; /* when kind is SMTP_DOMAIN_LITERAL */
    enum smtp_domain_kind kind;
    bool utf8; /* the local part is not ASCII: it travels only where SMTPUTF8 is offered */
};

enum smtp_address_flag {
    SMTP_ADDRESS_UTF8 = 1 << 0, /* RFC 6531: UTF-8 in the local part, U-labels in the domain */
    SMTP_ADDRESS_NULL = 1 << 1, /* <> is allowed (a reverse path) */
    SMTP_ADDRESS_POSTMASTER = 1 << 2, /* <postmaster> without a domain is allowed (4.1.1.3) */
    SMTP_ADDRESS_LONG_LOCAL =
        1 << 3, /* local parts above 64 octets, as some mailing lists make them */
    SMTP_ADDRESS_UNBRACKETED = 1 << 4, /* a path may come without its angle brackets */
    SMTP_ADDRESS_UNDERSCORE = 1 << 5,  /* of smtp_domain_parse: as the domain of a mailbox may be */
};

/*
 * Parses the whole of s as a mailbox, local-part "@" ( domain / address-literal ).
 * `flags` are of enum smtp_address_flag. STATUS_SYNTAX: not a mailbox; STATUS_LIMIT: longer than
 * the sizes above, or the arena is full; STATUS_DENIED: not ASCII, and SMTP_ADDRESS_UTF8 is not
 * set.
 */
[[nodiscard]] enum status smtp_mailbox_parse(struct arena *arena, struct str s, unsigned flags,
                                             struct smtp_address *address_out);

/*
 * Parses a path at the beginning of s, "<" [ source-route ":" ] mailbox ">"; *rest_out is what
 * follows it (borrowed from s), which is empty or begins with a blank. Errors as above.
 */
[[nodiscard]] enum status smtp_path_parse(struct arena *arena, struct str s, unsigned flags,
                                          struct smtp_address *address_out, struct str *rest_out);

/*
 * The normal form of a domain name: letters, digits, hyphens and dots in lower case, U-labels
 * turned into A-labels (RFC 5891 5). A-labels are taken as they come: names made under older rules
 * (emoji) exist and send mail. With SMTP_ADDRESS_UTF8 not set, a name that is not ASCII is
 * STATUS_DENIED. No final dot.
 */
[[nodiscard]] enum status smtp_domain_parse(struct arena *arena, struct str s, unsigned flags,
                                            struct str *domain_out);

/* An address literal with its brackets, RFC 5321 4.1.3: only IPv4 and IPv6. */
[[nodiscard]] enum status smtp_literal_parse(struct str s, struct ip_address *ip_out);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". {NULL,0} past the arena's ceiling. */
struct str smtp_literal_format(struct arena *arena, const struct ip_address *ip);

/*
 * Composes an address from a local part (unquoted; quoted here if it must be) and a domain in
 * normal form. STATUS_SYNTAX when no mailbox can have this local part (control characters, empty).
 */
[[nodiscard]] enum status smtp_address_make(struct arena *arena, struct str local,
                                            struct str domain, struct smtp_address *address_out);

/*
 * Does an address in normal form fit a pattern (str_fits)? One that has quotes for its dots alone
 * fits without them too, as people write it.
 */
bool smtp_address_fits(struct str text, struct str pattern);

/* The same mailbox: local parts octet for octet, domains in normal form (RFC 5321 2.4). */
bool smtp_address_eq(const struct smtp_address *a, const struct smtp_address *b);
bool smtp_address_is_null(const struct smtp_address *address);
/* True for "postmaster" in any letter case, with or without a domain (RFC 5321 4.5.1). */
bool smtp_address_is_postmaster(const struct smtp_address *address);
/* A copy with all its text in `arena`. STATUS_LIMIT past the ceiling. */
[[nodiscard]] enum status smtp_address_dup(struct arena *arena, const struct smtp_address *address,
                                           struct smtp_address *copy_out);

#endif
