/*
 * test_world.h - for the tests of the filter: a filter whose edge, spool and ledger the test plays,
 * in one loop. What goes wrong here fails the test.
 */
#ifndef POSTERN_ROLES_FILTER_TEST_WORLD_H
#define POSTERN_ROLES_FILTER_TEST_WORLD_H

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dns/source_zone.h"
#include "roles/filter/job.h"
#include "store/delivery.h"

/* Most octets of what is committed. */
#define WORLD_TEXT_MAX 400000u

struct world {
    struct event_base *loop;
    struct channel *edge[2]; /* 0: the filter's end, 1: the other's */
    struct channel *spool[2];
    struct channel *ledger[2];
    struct arena *arena;
    struct filter_shared shared;
    struct dns_zone *zone; /* has no names */
    struct filter_settings *settings;
    enum spool_outcome outcome; /* what the spool will say */
    /* What the others saw. */
    enum status create_status;
    size_t commits;
    int job_ms;         /* what is left of the job's time; 0: what it is given */
    bool silent;        /* the spool does not answer */
    char *committed;    /* head, "|", then the content from its offset on; NUL at the end */
    char results[2048]; /* what stood above: Authentication-Results and the verdict */
    bool head_was_fd;
    char hold[64];
    uint32_t flags; /* of the last commit */
    unsigned code;
    char reply[256];     /* "5.6.0 text" */
    char trace[16384];   /* the message's first or last, others with their ids before */
    char envelopes[512]; /* of the commits: "sender>recipient recipient;" */
};

/* Setup and teardown of a test: *state is a struct world. */
int world_open(void **state);
int world_close(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

/* The recipient of an ordinary message. */
extern struct record_recipient world_bob;
/* An ordinary message from outside; tests change what they are about. */
struct msg_submit world_ordinary(struct str content);
/* Sends it through the filter; the trace is the last thing to arrive. */
void world_submit(struct world *w, const struct msg_submit *fields);
/* There was one commit, with this head, "|" and this content. */
void world_expect_commit(struct world *w, const char *want);
/* The trace has this in it. */
void world_expect_trace(struct world *w, const char *part);

#endif
