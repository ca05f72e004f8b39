/*
 * encoded_word.h - header text for people: RFC 2047 encoded words turned into UTF-8.
 *
 * For showing only (trace, explain, lists): no verdict rests on it, since readers of mail differ in
 * how they decode. Lenient where RFC 2047 is strict: an encoded word may be longer than 75 octets
 * and may stand next to other text without a blank. Decoded are UTF-8, US-ASCII, ISO-8859-1,
 * ISO-8859-15 and windows-1252; of other character sets only the ASCII octets, each other one
 * becoming U+FFFD: iconv would have to open its tables from within a sandbox that has no files.
 */
#ifndef POSTERN_MAIL_ENCODED_WORD_H
#define POSTERN_MAIL_ENCODED_WORD_H

#include "base/arena.h"

/*
 * The text of an unfolded field value, as well-formed UTF-8 of at most `most` octets, cut between
 * characters. Control characters become U+FFFD, HT a blank: the result is one line. {NULL,0} when
 * the arena is full.
 */
struct str mail_text_decode(struct arena *arena, struct str value, size_t most);

#endif
