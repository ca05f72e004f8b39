/*
 * findings_page.h - the list of findings for people, made from the tables: doc/findings.md and
 * `postern config findings`.
 */
#ifndef POSTERN_POLICY_FINDINGS_PAGE_H
#define POSTERN_POLICY_FINDINGS_PAGE_H

#include "base/buf.h"

/* Ample for the page. */
#define FINDINGS_PAGE_MAX (1u << 20)

/* Appends the page in Markdown. STATUS_LIMIT when the buffer is full. */
[[nodiscard]] enum status findings_page_write(struct buf *out);

#endif
