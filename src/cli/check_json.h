/*
 * check_json.h - what the authentication libraries found, as JSON; the form in which the operations
 * of `postern check` answer. Every function returns a value that the caller releases.
 */
#ifndef POSTERN_CLI_CHECK_JSON_H
#define POSTERN_CLI_CHECK_JSON_H

#include "auth/arc_verify.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/iprev.h"
#include "auth/spf.h"
#include "cli/check_op.h"
#include "mail/author.h"

/* {"result", "identity", "domain", "mechanism", "explanation", "problem", "lookups", "void"} */
json_t *check_json_spf(struct check_op *op, const struct spf_outcome *outcome);
/* An array of what check_op_dkim.c lists under "signatures". */
json_t *check_json_dkim(struct check_op *op, const struct dkim_outcomes *outcomes);
/* {"result", "temporary", "reason", "sets", ...}, see check_op_arc.c. */
json_t *check_json_arc(struct check_op *op, const struct arc_verification *verification);
/* {"result", "author_domain", "author_kind", "record_domain", ...}, see check_op_dmarc.c. */
json_t *check_json_dmarc(struct check_op *op, const struct mail_author *author,
                         const struct dmarc_outcome *outcome);
/* {"kind", "doubt", "domain", "fields", "mailboxes"} */
json_t *check_json_author(struct check_op *op, const struct mail_author *author);
/* {"result", "name", "problem"} */
json_t *check_json_iprev(struct check_op *op, const struct iprev_outcome *outcome);

#endif
