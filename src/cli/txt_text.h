/*
 * txt_text.h - TXT records as people have them: in the quotes and pieces in which tools and zone
 * files write them, with a line end behind.
 */
#ifndef POSTERN_CLI_TXT_TEXT_H
#define POSTERN_CLI_TXT_TEXT_H

#include "base/arena.h"

/* Longest text that is taken for a record. */
#define TXT_TEXT_MAX 65536u

/*
 * The record that the text stands for: blanks and line ends around it cut; of "a" "b" the pieces
 * without their quotes, joined. In the arena or borrowed; the text itself when that is full.
 */
struct str txt_text_of(struct arena *arena, struct str text);
/* True when the text, however written, begins as a record does: "v=" and a letter. */
bool txt_text_is_record(struct str text);

#endif
