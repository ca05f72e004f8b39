/*
 * txt_fields.h - the form that the TXT records of MTA-STS and TLS reports share (RFC 8461 3.1,
 * RFC 8460 3): a version, then "; name=value" once or more, and a last ";" that may be missing.
 *
 * Stricter than the lists of DKIM and DMARC (auth/tag_list.h): blanks stand around ";" only, and
 * letter case counts.
 */
#ifndef POSTERN_TRANSPORT_TXT_FIELDS_H
#define POSTERN_TRANSPORT_TXT_FIELDS_H

#include "base/str.h"

/* Octets of a record that are read; a longer one is none of these. */
#define TXT_FIELDS_SIZE_MAX 65535u

/* True when the text begins with `version` ("v=STSv1") and a ";", blanks allowed before it. */
bool txt_fields_is_ours(struct str text, struct str version);

/*
 * Takes the next field off *rest, which begins as what follows the version (txt_fields_after).
 * STATUS_END: there is none left; STATUS_SYNTAX: what comes is no field. The value has no blanks at
 * its ends; what may stand in it is the caller's business.
 */
[[nodiscard]] enum status txt_fields_next(struct str *rest, struct str *name_out,
                                          struct str *value_out);

/* What follows the version of a text that is ours. */
struct str txt_fields_after(struct str text, struct str version);

/* True when it can be the name of an extension: (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_-."). */
bool txt_fields_is_name(struct str name);
/* True when it can be the value of one: visible ASCII, no "=" and no ";", not empty. */
bool txt_fields_is_value(struct str value);

#endif
