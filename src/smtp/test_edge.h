/*
 * test_edge.h - an edge for tests: does what the server core asks, without sockets.
 *
 * It answers each action at once and by fixed rules, and writes down what happened in one line of
 * text that a table can hold:
 *
 *     220, 250, 250 2.1.0, 250 2.1.5, 354, [a@b.example -> c@d.example: 17], 250 2.0.0, closed
 *
 * Rules: recipients whose local part begins with "no" get 550 5.1.1, with "later" 451 4.3.0; a
 * sender whose local part begins with "bad" gets 550 5.7.1; a message whose content holds "REFUSE"
 * gets 554 5.7.1; the one user is "user" with the password "secret", known as "user@mx.example"; a
 * user named "down" gets a temporary failure and "guess" is throttled.
 */
#ifndef POSTERN_SMTP_TEST_EDGE_H
#define POSTERN_SMTP_TEST_EDGE_H

#include "smtp/server.h"

/* Messages that are kept; what comes above takes the place of the last. */
#define TEST_EDGE_MESSAGES_MAX 16u

struct test_message {
    struct str sender;
    struct str recipients; /* separated by commas */
    struct str content;
    struct smtp_content_facts facts;
};

struct test_edge {
    struct smtp_server_settings settings;
    struct smtp_server *server;
    struct arena *arena;
    struct buf log;   /* the line of text */
    struct buf wire;  /* everything the server wrote */
    struct buf body;  /* of the message that is coming in */
    struct buf trace; /* events, a line each */
    struct test_message messages[TEST_EDGE_MESSAGES_MAX];
    size_t message_count;
    size_t discards;
    bool closed;
    bool tls_wanted; /* START_TLS was returned; the next feed is behind the handshake */
    bool defer;      /* leave results to the test */
    bool permissive; /* accept every sender, recipient and message */
    bool hasty;      /* feed without waiting */
    bool waiting;    /* what the server is told of input that feed was not given */
    struct str user; /* the one user; "user" and "secret" unless the test sets others */
    struct str password;
    struct smtp_action deferred;
};

/* Settings of a kind for "mx.example", with `tweak` (may be NULL) applied; nothing is fed yet. */
void test_edge_open(struct test_edge *edge, enum smtp_listener_kind kind,
                    void (*tweak)(struct smtp_server_settings *settings));
void test_edge_close(struct test_edge *edge);
/* TLS before the greeting. */
void test_edge_tls(struct test_edge *edge);
/* The greeting. */
void test_edge_start(struct test_edge *edge);
/*
 * Feeds all of input, `step` octets at a time (0: at once), as a socket would bring it from a
 * client that waits where it has to: behind EHLO, DATA, AUTH and so on, and behind each line before
 * EHLO. With `hasty` it does not wait.
 */
void test_edge_feed(struct test_edge *edge, struct str input, size_t step);
/* Answers an action by the rules above. */
void test_edge_answer(struct test_edge *edge, const struct smtp_action *action);
/* Takes what the server wrote into log and wire. */
void test_edge_collect(struct test_edge *edge);

/* The keys of "user": what a client needs to prove itself, and what the server's side answers. */
#define TEST_EDGE_SALT       "0123456789abcdef"
#define TEST_EDGE_ITERATIONS 4096u
#define TEST_EDGE_EXPORTER   "exporter exporter exporter expor"
void test_edge_scram_proof(struct str password, struct str auth_message, uint8_t proof_out[32],
                           uint8_t signature_out[32]);

#endif
