/*
 * test_server.h - a DNS server for tests, over UDP and TCP on a loopback port of its own. What it
 * answers is in the first label of the asked name:
 *
 *     a            one address; nodata and none (NXDOMAIN) with an SOA, servfail, refused
 *     alias        a CNAME to a, which it gives too
 *     large        truncated over UDP, 30 TXT records over TCP
 *     many         truncated over UDP, 300 addresses over TCP: over DNS_RECORDS_MAX
 *     silent       nothing
 *     late         one address, after LATE_MS
 */
#ifndef POSTERN_ROLES_RESOLVER_TEST_SERVER_H
#define POSTERN_ROLES_RESOLVER_TEST_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

#define TEST_SERVER_LATE_MS 250
#define TEST_SERVER_TTL     300u

struct test_server {
    uint16_t port;
    atomic_uint udp; /* questions so far */
    atomic_uint tcp;
    atomic_uint edns_octets; /* what the last question over UDP said it can take; 0: no EDNS */
    /* private */
    int udp_fd;
    int tcp_fd;
    int stop_fd;
    unsigned long thread;
};

/* Ends the program when it cannot start. */
void test_server_start(struct test_server *server);
void test_server_stop(struct test_server *server);

#endif
