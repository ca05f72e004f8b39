/*
 * test_world.h - for the tests of deliveries: servers that answer by a few settings, zones and
 * routes that lead to them, and a delivery to make. What goes wrong here fails the test.
 */
#ifndef POSTERN_ROLES_RELAY_TEST_WORLD_H
#define POSTERN_ROLES_RELAY_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dns/source_zone.h"
#include "roles/relay/deliver.h"
#include "roles/relay/test_server.h"

#define TEST_SERVERS_MAX    3
#define TEST_RECIPIENTS_MAX 6

#define PLAIN_EHLO "250 mx.example\r\n"
#define PIPE_EHLO  "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
#define OK         "250 2.0.0 ok\r\n"
#define TLS_EHLO   "250-mx.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n"

/* How a server answers. */
struct manner {
    const char *greeting; /* NULL: "220 mx.example" */
    const char *ehlo;     /* what EHLO is answered; NULL: plain */
    const char *ehlo_tls; /* the second one, behind TLS; NULL: the same */
    const char *starttls; /* NULL: a handshake */
    const char *auth;     /* NULL: not known */
    const char *mail;     /* these four: NULL is 250 */
    const char *rcpt;
    const char *rcpt_of; /* `rcpt` is for recipients with this text in their command; NULL: all */
    const char *data;    /* NULL: 354 */
    const char *verdict;
    const char *bdat;          /* NULL: as verdict */
    unsigned rcpt_most;        /* more are answered 452; 0: any number */
    bool closes_after_verdict; /* the next MAIL finds the connection closed */
    bool tls_fails;            /* STARTTLS is answered with nonsense */
    unsigned rcpt_now;         /* counted */
    unsigned verdicts;         /* counted */
    bool said_ehlo;            /* on this connection */
    bool lmtp;
    const struct manner *first; /* how the first connection is answered, if it is another way */
};

struct world {
    struct arena *arena;
    struct manner manners[TEST_SERVERS_MAX];
    struct test_server *servers[TEST_SERVERS_MAX];
    const struct config *config;
    struct dns_zone *zone;
    struct tls_client *tls;
    struct relay_world relay;
    struct trace trace;
    struct relay_delivery delivery;
    struct msg_deliver message;
    struct record_delivery_recipient recipients[TEST_RECIPIENTS_MAX];
    char unix_path[64];
    unsigned connections;
    const char *in_queue; /* more of `queue` in the configuration, with ", " at its end */
    uint32_t flags;       /* of the message */
    int64_t time_ms;      /* for a delivery */
    struct str head, body;
};

/* Setup and teardown of a test: *state is a struct world, the first two servers SMTP, at 127.0.0.1
 * and 127.0.0.2 with the same port, the third LMTP. */
int world_setup(void **state);
int world_teardown(void **state);

/* Loads the configuration of the world, with `more` at its end, into w->config. */
void world_load_config(struct world *w, const char *more);
/* Delivers to the addresses (NULL ends them); the results are in w->delivery. */
void world_deliver(struct world *w, const char *const *addresses);
/* Compares the results with "delivered 250 2.0.0" and so on, one a recipient (NULL ends them). */
void world_expect(struct world *w, const char *const *want);

#define TO(...)      ((const char *const[]){__VA_ARGS__, NULL})
#define DELIVER(...) world_deliver(w, TO(__VA_ARGS__))
#define EXPECT(...)  world_expect(w, TO(__VA_ARGS__))
#define TEST(name)   cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif
