/*
 * arc_field.h - reading the fields of an ARC set one by one, for arc_set.c.
 *
 * Each function returns the instance, 0 when there is none in the range of RFC 8617 4.2.1 or the
 * field cannot be read at all. What is wrong beside that is told in `fault`, which is set too when
 * the arena is full.
 */
#ifndef POSTERN_AUTH_ARC_FIELD_H
#define POSTERN_AUTH_ARC_FIELD_H

#include "auth/arc_set.h"

/* ARC-Authentication-Results: what follows "i=N;" goes to *results_out. */
unsigned arc_results_parse(struct str value, struct str *results_out);
/* ARC-Message-Signature */
unsigned arc_message_signature_parse(struct arena *arena, struct str value,
                                     struct arc_message_signature *signature_out);
/* ARC-Seal. What it says of the chain (cv) counts whatever else is wrong (5.2 step 2). */
unsigned arc_seal_parse(struct arena *arena, struct str value, struct arc_seal_tags *seal_out);

#endif
