/*
 * author_loose.h - a From field that breaks the grammar, but names one domain whoever reads it.
 *
 * People's programs write "a@b <a@b>", names with commas, colons and brackets but without quotes,
 * and a semicolon behind it all. Readers differ in what they make of such a field, and it does not
 * matter: every "@" that anybody could take for one of an address has the same domain behind it. As
 * soon as one has not, there is no author. Used by author.c only.
 */
#ifndef POSTERN_MAIL_AUTHOR_LOOSE_H
#define POSTERN_MAIL_AUTHOR_LOOSE_H

#include "mail/address_list.h"
#include "mail/fields.h"

/*
 * Every mailbox that somebody could read out of the field, as written and with its encoded words
 * decoded; at least one, all of one domain. STATUS_SYNTAX: there is none, or readers may differ
 * about the domain; STATUS_LIMIT: more than `most`, or the arena is full.
 */
[[nodiscard]] enum status mail_author_read_loosely(struct arena *arena,
                                                   const struct mail_field *field, size_t most,
                                                   struct mail_address_list *list_out);

/*
 * True when the "@" at text[at] only calls somebody by a name ("@bob"): no local part touches it,
 * and no domain with a dot follows, however the dot is written.
 */
bool mail_author_is_handle(struct str text, size_t at);

#endif
