/*
 * spool_test_world.h - for tests of the queue store: a directory of its own and short ways to fill
 * it.
 */
#ifndef POSTERN_STORE_SPOOL_TEST_WORLD_H
#define POSTERN_STORE_SPOOL_TEST_WORLD_H

#include "store/spool.h"

struct world {
    char directory[64];
    struct arena *arena;
    struct spool *spool;
};

/* cmocka's setup and teardown: an open, empty queue. */
int world_setup(void **state);
int world_teardown(void **state);
/* Closes (if open) and opens again; fails the test when that does not work. */
void world_reopen(struct world *world);
/* Tries to open; *reason_out as spool_open. */
enum status world_open(struct world *world, struct str *reason_out);

/* Whether what spool_open gave as its reason has `part` in it; else both are printed. */
bool world_says(struct str reason, const char *part);

/* A message from s@out.example with recipients r0@<destination> ... in state queued, due at 1000.
 */
struct spool_message world_message(struct world *world, const char *id, const char *destination,
                                   size_t recipients);
/* Inserts it in a transaction of its own and returns its key. */
int64_t world_insert(struct world *world, struct spool_message *message);
/* Settles recipient `number` with a state in a transaction of its own. */
struct spool_end world_settle(struct world *world, int64_t key, uint32_t total, uint32_t number,
                              enum spool_state state, int64_t due_ms);

/* A message of `size` octets with that number as its id; its octets are like no other number's. */
struct spool_message world_numbered(struct world *world, unsigned number, size_t size);
/* Loads all of a message. */
enum status world_load(struct world *world, const struct spool_message *m,
                       struct spool_message *got);
/* Fails the test unless the queue has this message with these octets. */
void world_assert_same(struct world *world, const struct spool_message *m);
/* Delivers a message with one recipient: it is gone afterwards. */
void world_deliver(struct world *world, const struct spool_message *m);
/* Files of the body log. */
size_t world_count_bodies(const struct world *world);
/* The name of one. */
void world_segment_path(const struct world *world, int64_t number, char path[static 128]);

#endif
