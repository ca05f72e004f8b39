/*
 * reference.h - the schema table as text: a commented file, pages for people, a schema for editors.
 *
 * Used by `postern config`. Each function appends to `out`; STATUS_LIMIT when that reaches its
 * ceiling (CONFIG_REFERENCE_MAX is ample).
 */
#ifndef POSTERN_CONFIG_REFERENCE_H
#define POSTERN_CONFIG_REFERENCE_H

#include "base/buf.h"

#define CONFIG_REFERENCE_MAX ((size_t)1 << 20)

/* A complete configuration with every key, its meaning and its default; can be loaded as it is. */
[[nodiscard]] enum status config_write_defaults(struct buf *out);
/* The reference page in Markdown (doc/configuration.md). */
[[nodiscard]] enum status config_write_markdown(struct buf *out);
/* The manual page postern.yaml(5) in mdoc (doc/man/postern.yaml.5). */
[[nodiscard]] enum status config_write_manual(struct buf *out);
/* The JSON schema, draft 2020-12. */
[[nodiscard]] enum status config_write_json_schema(struct buf *out);

#endif
