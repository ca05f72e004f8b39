/*
 * test_client.h - SMTP clients of a test's edge, in the clear and over TLS.
 */
#ifndef POSTERN_ROLES_EDGE_TEST_CLIENT_H
#define POSTERN_ROLES_EDGE_TEST_CLIENT_H

#include "roles/edge/test_world.h"

#define CLIENT_REPLY_MAX 4096

#define TEST_HEADER "From: a@theirs.example\r\nSubject: x\r\n\r\n"

struct client {
    struct world *world;
    int fd;
    struct ssl_st *ssl; /* NULL: in the clear */
    struct ssl_ctx_st *context;
    char reply[CLIENT_REPLY_MAX]; /* the last one, all lines */
    char input[CLIENT_REPLY_MAX];
    size_t input_length;
};

/* Connects from 127.0.0.`host`. */
void client_connect(struct client *client, struct world *world, enum world_listener listener,
                    unsigned host);
/* Connects to WORLD_LOCAL as the user `uid`, who is oneself unless this is root. */
void client_connect_local(struct client *client, struct world *world, uid_t uid);
void client_close(struct client *client);
void client_starttls(struct client *client);
void client_send(struct client *client, const char *text);
/* Also when the edge closes before it has read all: what it said is there to be read. */
void client_send_octets(struct client *client, struct str octets);
/* Reads one whole reply and checks that it begins with `prefix`. */
void client_expect(struct client *client, const char *prefix);
/* The server has closed. */
void client_expect_end(struct client *client);
/* Sends a line (CRLF is added) and expects a reply. */
void client_say(struct client *client, const char *line, const char *prefix);

/* Reads the greeting and says EHLO client.example. */
void client_greet(struct client *client);
/* MAIL from a@theirs.example, RCPT to bob@ours.example. */
void client_begin_message(struct client *client);
/* A whole small message; `prefix` is how the answer to it begins. */
void client_send_message(struct client *client, const char *prefix);

/* Encoded events hold one of that number; its field `field` is `want` unless that is NULL. */
void assert_event(const struct buf *events, uint16_t number, const char *field, const char *want);

#endif
