/*
 * queue_print.h - how `postern queue` shows messages: lines for people, JSON for programs.
 */
#ifndef POSTERN_CLI_QUEUE_PRINT_H
#define POSTERN_CLI_QUEUE_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "ipc/messages.h"

/* The heading of a list. */
void queue_print_heading(FILE *out);
/* A message of a list: one line, and one for each recipient that is shown. */
void queue_print_listed(FILE *out, const struct record_queue_message *message, int64_t now_ms);
/* A message with all that is known of it, but its recipients. */
void queue_print_message(FILE *out, const struct record_queue_message *message, int64_t now_ms);
/* A recipient with its last attempt. */
void queue_print_recipient(FILE *out, const struct record_queue_recipient *recipient,
                           int64_t now_ms);

/* The caller owns the reference. */
json_t *queue_message_json(const struct record_queue_message *message);
/* null for 0. */
json_t *queue_time_json(int64_t at_ms);
json_t *queue_recipient_json(const struct record_queue_recipient *recipient);

/* "high", "normal" or "bulk"; static. */
const char *queue_priority_name(uint8_t priority);

/* "4.1K", "12M", "45s", "3h 05m"; both return out. */
#define QUEUE_TEXT_MAX 32
const char *queue_format_size(uint64_t octets, char out[static QUEUE_TEXT_MAX]);
const char *queue_format_duration(int64_t ms, char out[static QUEUE_TEXT_MAX]);
/* "90s", "30m", "2h", "1d". STATUS_SYNTAX otherwise. */
[[nodiscard]] enum status queue_parse_duration(struct str text, int64_t *ms_out);

#endif
