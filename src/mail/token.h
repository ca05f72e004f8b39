/*
 * token.h - the words that structured header fields are made of (RFC 5322 3.2), for the parsers in
 * this folder.
 *
 * A cursor goes over the raw value, folding included. Comments and blanks are skipped together, as
 * the grammar allows them nearly everywhere.
 */
#ifndef POSTERN_MAIL_TOKEN_H
#define POSTERN_MAIL_TOKEN_H

#include "base/str.h"

/* How deep comments may be nested. */
#define MAIL_COMMENT_DEPTH_MAX 16u

/* Skips blanks, folding and comments at the beginning of *rest (CFWS). STATUS_SYNTAX: a comment
 * that does not end, or is nested too deep. */
[[nodiscard]] enum status mail_token_skip_cfws(struct str *rest);
/* The octets of an atom, with dots if `dots`, 8-bit ones allowed (RFC 6532 3.2); empty: none. */
struct str mail_token_atom(struct str *rest, bool dots);
/* A quoted string, its quotes included. STATUS_NOT_FOUND: none here; STATUS_SYNTAX: no end. */
[[nodiscard]] enum status mail_token_quoted(struct str *rest, struct str *quoted_out);
/* True, and moves on, when *rest begins with c. */
bool mail_token_char(struct str *rest, char c);

#endif
