/*
 * test_server.h - an SMTP or LMTP server that answers as a test says, in a thread of its own.
 */
#ifndef POSTERN_ROLES_RELAY_TEST_SERVER_H
#define POSTERN_ROLES_RELAY_TEST_SERVER_H

#include "base/buf.h"

struct test_server;

/*
 * What to answer to a line; `connection` counts from 0. The line is "" for the greeting, "." for
 * the end of DATA, and "BDAT" after a chunk. Answers end in CRLF but for these: "<CLOSE>" closes at
 * once, "<TLS>" does a handshake after "220 go", "<HANG>" never answers, "<DRIP>" and "<DRIP
 * LINES>" answer octet by octet or line by line without end and close after some seconds. "<SLOW>"
 * before an answer keeps it back for a while.
 */
typedef const char *test_answer(void *context, unsigned connection, const char *line);

/* Listens on 127.0.0.1, or on the Unix socket `path`. Aborts on failure. */
struct test_server *test_server_start(test_answer *answer, void *context, const char *path);
/* The same at an address (host order) and port of IPv4; port 0 is any. NULL: the port is taken. */
struct test_server *test_server_start_at(test_answer *answer, void *context, uint32_t ip,
                                         uint16_t port);
/* The port it listens on. */
uint16_t test_server_port(const struct test_server *server);
/* Ends its threads; what it has recorded stays. */
void test_server_end(struct test_server *server);
/* Ends it and frees it. */
void test_server_stop(struct test_server **server);

/* The certificate of all servers, for mx.example and signed by itself; PEM. */
struct str test_server_certificate(void);

/* What came, once it has ended: commands (each with LF), and contents. */
struct str test_server_commands(struct test_server *server);
struct str test_server_content(struct test_server *server);
unsigned test_server_connections(struct test_server *server);

#endif
