/*
 * encode.h - base 64 and hexadecimal (RFC 4648), strict in both directions.
 */
#ifndef POSTERN_BASE_ENCODE_H
#define POSTERN_BASE_ENCODE_H

#include "base/arena.h"

/* Base 64 with padding, no line breaks. {NULL,0} past the arena's ceiling. */
struct str base64_encode(struct arena *arena, struct str octets);
/*
 * Whole groups of four from the standard alphabet, padding only at the end, spare bits zero; no
 * blanks. STATUS_SYNTAX otherwise; STATUS_LIMIT past the arena's ceiling. The result is followed
 * by a NUL that is not counted.
 */
[[nodiscard]] enum status base64_decode(struct arena *arena, struct str text,
                                        struct str *octets_out);
/* The six bits that a character of the standard alphabet stands for; -1: it is not in it. */
int base64_value(char c);
/* Lower case. */
struct str hex_encode(struct arena *arena, struct str octets);
[[nodiscard]] enum status hex_decode(struct arena *arena, struct str text, struct str *octets_out);

#endif
