/*
 * header_words.h - writes header fields of words, folded, with encoded words (RFC 2047) for text
 * that is not ASCII. For the writers in this folder.
 */
#ifndef POSTERN_MAIL_HEADER_WORDS_H
#define POSTERN_MAIL_HEADER_WORDS_H

#include "base/buf.h"

/* RFC 5322 2.1.1, RFC 2047 2: a line with an encoded word has at most so many octets. */
#define MAIL_HEADER_LINE 76u

/* One field while it is written. */
struct header_words {
    struct buf *out;
    size_t column;
    bool failed;      /* past the buffer's ceiling */
    bool was_encoded; /* the last word was an encoded one: a blank behind it is not shown */
};

/* Begins a field: "Name:". */
void header_words_begin(struct header_words *w, struct buf *out, struct str prefix,
                        struct str name);
/* One word as it is, after a blank or a fold. */
void header_words_put(struct header_words *w, struct str word);
/* Text as encoded words, which may stand in unstructured text and in a phrase (RFC 2047 5). */
void header_words_encode(struct header_words *w, struct str text);
/* Text, folded or not: ASCII words as they are, runs of others encoded. */
void header_words_text(struct header_words *w, struct str text);
/* Octets that belong to the word before, such as a comma. */
void header_words_stick(struct header_words *w, struct str octets);
/* Ends the field. STATUS_LIMIT: past the ceiling. */
[[nodiscard]] enum status header_words_end(struct header_words *w);

#endif
