/*
 * table.h - the resolver's answers in memory that those who ask can read: a question whose answer
 * is there needs no message to the resolver and back.
 *
 * The resolver alone makes the table and writes it, and hands it to the roles that ask much; they
 * map it and can only read. So there is one cache, and reading it costs a microsecond. Nobody holds
 * a lock: an entry that is written while it is read counts as not found (a sequence number before
 * and after tells), and a role that is killed holds up nobody.
 *
 * What is in the table is an answer of the resolver like one that came in a message, and no more
 * is believed of it: it is copied out first and then read with every length checked. A reader that
 * was broken into cannot change it, since the memory is sealed against writing by others.
 *
 * Kept are answers and proofs that there is none, for as long as their TTL says; never failures.
 * Names are in normal form (dns_name_normalize). Entries are found by a keyed hash: who chooses
 * names cannot aim at the entries of others. Time comes in as a parameter, milliseconds of the
 * monotonic clock, which all processes share.
 */
#ifndef POSTERN_DNS_TABLE_H
#define POSTERN_DNS_TABLE_H

#include "dns/dns.h"

/* Entries; a power of two. Each takes DNS_TABLE_ENTRY_SIZE octets of memory once it is used. */
#define DNS_TABLE_ENTRIES    16384u
/* Octets of an entry. Questions and answers that do not fit are not kept. */
#define DNS_TABLE_ENTRY_SIZE 1024u

/* ---- the resolver's side; one thread */

struct dns_table;

/* An empty table. NULL, with errno set, when the system has no memory for it. */
[[nodiscard]] struct dns_table *dns_table_create(void);
/* Those who have mapped it keep what they see. Sets *table to NULL; NULL is allowed. */
void dns_table_destroy(struct dns_table **table);
/* For a reader's dns_view_attach; stays the table's. */
int dns_table_fd(const struct dns_table *table);

/*
 * Keeps an answer, in the place of an older one. What is not to be kept, or has no room, is left
 * out: a failure, a TTL of 0. True when it was kept. `table` may be NULL: nothing is.
 */
bool dns_table_put(struct dns_table *table, struct str name, uint16_t type,
                   const struct dns_answer *answer, int64_t now_ms);
/* Forgets everything: who is asked, or who is trusted, has changed. NULL is allowed. */
void dns_table_clear(struct dns_table *table);

/* ---- a reader's side; any thread */

struct dns_view;

/* A view of no table yet, in which nothing is found. */
[[nodiscard]] struct dns_view *dns_view_create(void);
/* No other thread uses it any more. NULL is allowed. */
void dns_view_destroy(struct dns_view **view);
/*
 * Looks at another table from now on. Closes fd in any case. STATUS_DENIED: others could write that
 * memory or shrink it, STATUS_SYNTAX: it is not of a table's size, STATUS_IO: it cannot be mapped;
 * the view then is as before.
 */
[[nodiscard]] enum status dns_view_attach(struct dns_view *view, int fd);
/*
 * The answer to a question, its ttl what is left of it. STATUS_NOT_FOUND when it is not there (ask
 * the resolver), STATUS_LIMIT when the arena is full. `name` is in normal form; `view` may be NULL.
 */
[[nodiscard]] enum status dns_view_find(struct dns_view *view, struct arena *arena, struct str name,
                                        uint16_t type, int64_t now_ms,
                                        struct dns_answer *answer_out);
/* How many answers were found, in all. */
uint64_t dns_view_found(const struct dns_view *view);

#endif
