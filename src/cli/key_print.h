/*
 * key_print.h - keys as `postern key` shows them: a table, records for the DNS, JSON.
 */
#ifndef POSTERN_CLI_KEY_PRINT_H
#define POSTERN_CLI_KEY_PRINT_H

#include <jansson.h>

#include "ipc/message.h"

/* The head of the table, and a line of it. */
void key_print_head(void);
void key_print_row(const struct record_key_record *key);
/* The record to publish, in zone file form, with a comment above. */
void key_print_record(const struct record_key_record *key);
/* What the DNS shows against what it should, on a few lines. */
void key_print_comparison(const struct record_key_record *key);
/* All of it, with the record; the caller's. */
json_t *key_to_json(const struct record_key_record *key);

#endif
