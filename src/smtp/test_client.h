/*
 * test_client.h - a client core and the message it is to deliver, for tests, and a runner of
 * dialogues: the server's words go in, what the client answers is compared.
 */
#ifndef POSTERN_SMTP_TEST_CLIENT_H
#define POSTERN_SMTP_TEST_CLIENT_H

#include "base/buf.h"
#include "smtp/client.h"

/* The header section of every message. */
#define TEST_CLIENT_HEAD "Subject: s\r\n\r\n"

/* The server says something, and the client answers exactly this. */
struct client_step {
    const char *server;
    const char *client;
};

enum client_end {
    CLIENT_END_READY,
    CLIENT_END_CLOSED,
};

#define CLIENT_STEPS_MAX   14
#define CLIENT_RESULTS_MAX 4

/* "<TLS>" for the client: it wants a handshake. "<LOST>" for the server: the connection breaks. */
struct client_dialogue {
    const char *name;
    enum smtp_client_protocol protocol;
    enum smtp_client_tls tls;
    unsigned recipients; /* 1@y.example and on; the fourth has UTF-8; 0: no message is sent */
    const char *sender;  /* NULL: "a@x.example" */
    const char *body;    /* NULL: "text\r\n" */
    bool probe;
    bool dsn;
    bool smtputf8;
    unsigned ignore; /* as in the settings */
    struct client_step steps[CLIENT_STEPS_MAX];
    enum client_end end;
    enum smtp_client_problem problem;
    /* "taken 250", "failed 550 5.1.1", "deferred 0 4.4.2": outcome, code, enhanced code */
    const char *results[CLIENT_RESULTS_MAX];
    bool answered;
};

struct test_client {
    const struct client_dialogue *d;
    struct smtp_client *client;
    struct smtp_client_settings settings;
    struct smtp_content_form form;
    struct smtp_client_recipient recipients[CLIENT_RESULTS_MAX];
    struct smtp_client_message message;
    bool sent;
    enum smtp_client_action action;
};

/* A client that has been given nothing yet, and the dialogue's message; ends with its `client`. */
void test_client_start(struct test_client *run, const struct client_dialogue *d);
/* Appends all that the client wants to send to `out`, taken in parts of `step` octets. */
void test_client_drain(struct test_client *run, struct buf *out, size_t step);
/*
 * Runs one dialogue and fails the test where it goes differently. The words of step `split` come in
 * two pieces, cut at `at`, or all words octet by octet when `bytewise`; output is taken in parts of
 * `output_step` octets. False when `at` is past the words of that step.
 */
bool test_client_run(const struct client_dialogue *d, size_t split, size_t at, bool bytewise,
                     size_t output_step);
/* Runs it whole, octet by octet, with output taken octet by octet, and cut at every place. */
void test_client_run_in_all_ways(const struct client_dialogue *d);

#endif
