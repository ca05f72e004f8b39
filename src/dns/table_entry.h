/*
 * table_entry.h - how a question and its answer are written in an entry of the table (table.h).
 *
 *     u16 type, u8 outcome, u8 security, u32 ttl, then each with its length as u16 before it: the
 *     name, the canonical name, the detail; u16 count of the records, and each record
 *
 * All numbers as the machine has them: an entry never leaves it.
 */
#ifndef POSTERN_DNS_TABLE_ENTRY_H
#define POSTERN_DNS_TABLE_ENTRY_H

#include "dns/dns.h"

/* Writes an entry into `room` octets. Returns its length, 0 when it does not fit. */
size_t dns_table_entry_write(char *out, size_t room, struct str name, uint16_t type,
                             const struct dns_answer *answer);

/*
 * Reads the entry of a question. STATUS_NOT_FOUND: it is of another question, STATUS_SYNTAX: it is
 * no entry, STATUS_LIMIT: the arena is full. The answer's text and octets are copied to the arena.
 */
[[nodiscard]] enum status dns_table_entry_read(struct str octets, struct arena *arena,
                                               struct str name, uint16_t type,
                                               struct dns_answer *answer_out);

#endif
