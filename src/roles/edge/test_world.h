/*
 * test_world.h - a whole edge process for tests: the real role in a child process, with the test as
 * its parent, filter, ledger, relay and vault, and clients over loopback.
 *
 * One thread: whoever waits for the edge goes through world_wait(), which meanwhile answers what
 * the edge asks. Everything aborts the test on failure.
 */
#ifndef POSTERN_ROLES_EDGE_TEST_WORLD_H
#define POSTERN_ROLES_EDGE_TEST_WORLD_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/random.h"
#include "ipc/message.h"
#include "roles/edge/edge.h"
#include "roles/edge/test_signer.h"

#define WORLD_RECIPIENTS_MAX 16
#define WORLD_PASSWORD       "correct horse"

/* In the order of the configuration; behind them, the Unix socket for users of the machine. */
enum world_listener {
    WORLD_MX,
    WORLD_SUBMISSION,
    WORLD_SMTPS,
    WORLD_PROXIED,
    WORLD_LOCAL,
    WORLD_LISTENERS
};

/* What the filter was given last. */
struct world_submitted {
    unsigned count;
    char id[ID_LENGTH + 1];
    char sender[330];
    char recipients[WORLD_RECIPIENTS_MAX][330];
    size_t recipient_count; /* of those above */
    size_t recipient_total;
    char user[330];
    char tls[170];
    char zone[65];
    char helo[256];
    char client[IP_TEXT_MAX];
    bool by_memfd;
    char *content; /* owned */
    size_t content_size;
    struct buf events; /* of the message, as encoded */
};

struct world {
    pid_t pid;
    int control;
    int filter; /* these four: -1 while that role is "down" */
    int ledger;
    int relay;
    int vault;
    struct test_signer signer;
    struct arena *key_arena; /* owned; of the certificate's key */
    struct str key;
    uint16_t ports[WORLD_LISTENERS];
    struct sockaddr_un local; /* of WORLD_LOCAL: a name without a file (unix(7)) */
    socklen_t local_length;
    bool ready;
    struct world_submitted submitted;
    uint16_t filter_code;  /* what the filter answers */
    bool filter_is_silent; /* it takes messages and does not answer */
    uint64_t unanswered;   /* the request it keeps then */
    unsigned callouts;
    unsigned utf8_callouts; /* of them, about the route */
    uint16_t utf8_code;     /* what these are answered */
    unsigned reversals;     /* addresses of SRS that the vault was asked about */
    char warnings[1024];    /* of the last world_metric */
    char session_id[ID_LENGTH + 1];
    struct buf session_begin;  /* the first part of the last session that was told */
    struct buf session_events; /* its last part */
    struct buf message_events; /* of the last trace under another id */
};

/* Starts an edge; `more` is appended to the configuration ("limits: {...}\n"). */
void world_start(struct world *world, const char *more);
/* Hands out another configuration. */
void world_reload(struct world *world, const char *more);
/* Kills the edge if it still lives, and frees. */
void world_end(struct world *world);
/* Asks the edge to stop. */
void world_stop(struct world *world, uint32_t grace_ms);
/* Waits for its end; the exit status. */
int world_wait_exit(struct world *world);
void world_filter_down(struct world *world);
void world_filter_up(struct world *world);
void world_signer_down(struct world *world);
void world_signer_up(struct world *world);
void world_vault_down(struct world *world);
/* Answers what the silent filter kept. */
void world_filter_answer(struct world *world, uint16_t code);
/* Serves the roles until `fd` is readable (-1: none) or `timeout_ms` are over; true: readable. */
bool world_wait(struct world *world, int fd, int timeout_ms);
/* The value of a metric now. */
int64_t world_metric(struct world *world, const char *name);

#endif
