#include "roles/resolver/test_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAX  65535u
#define HEADER_SIZE  12u
#define TYPE_A       1
#define TYPE_CNAME   5
#define TYPE_SOA     6
#define TYPE_TXT     16
#define TYPE_OPT     41
#define FLAGS_ANSWER 0x8580u /* response, authoritative, recursion desired and available */
#define FLAG_TC      0x0200u

struct message {
    unsigned char octets[MESSAGE_MAX];
    size_t n;
    size_t name_end; /* of the question's name */
};

static void
must(bool done, const char *what)
{
    if (!done) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

static void
put_u16(struct message *m, unsigned value)
{
    m->octets[m->n++] = (unsigned char)(value >> 8);
    m->octets[m->n++] = (unsigned char)value;
}

static void
set_u16(struct message *m, size_t at, unsigned value)
{
    m->octets[at] = (unsigned char)(value >> 8);
    m->octets[at + 1] = (unsigned char)value;
}

static unsigned
get_u16(const struct message *m, size_t at)
{
    return (unsigned)m->octets[at] << 8 | m->octets[at + 1];
}

/* A record whose owner is the name at `owner` in the message. */
static void
put_record(struct message *m, size_t owner, unsigned type, const void *rdata, size_t n)
{
    put_u16(m, 0xc000u | (unsigned)owner);
    put_u16(m, type);
    put_u16(m, 1);
    put_u16(m, 0);
    put_u16(m, TEST_SERVER_TTL);
    put_u16(m, (unsigned)n);
    memcpy(m->octets + m->n, rdata, n);
    m->n += n;
}

static void
put_soa(struct message *m)
{
    static const unsigned char rdata[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0,
                                          0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 60};
    /* the zone is the name without its first label */
    put_record(m, HEADER_SIZE + 1u + m->octets[HEADER_SIZE], TYPE_SOA, rdata, sizeof rdata);
    set_u16(m, 8, 1);
}

static void
put_addresses(struct message *m, size_t owner, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const unsigned char rdata[] = {192, 0, (unsigned char)(i >> 8), (unsigned char)i};
        put_record(m, owner, TYPE_A, rdata, sizeof rdata);
    }
    set_u16(m, 6, get_u16(m, 6) + count);
}

static void
put_texts(struct message *m, unsigned count)
{
    unsigned char rdata[201] = {200};
    for (unsigned i = 0; i < count; i++) {
        memset(rdata + 1, 'a' + (int)i % 26, 199);
        rdata[200] = (unsigned char)('0' + i);
        put_record(m, HEADER_SIZE, TYPE_TXT, rdata, sizeof rdata);
    }
    set_u16(m, 6, count);
}

static void
put_alias(struct message *m)
{
    const unsigned char zone = (unsigned char)(HEADER_SIZE + 1u + m->octets[HEADER_SIZE]);
    const unsigned char target[] = {1, 'a', 0xc0, zone};
    put_record(m, HEADER_SIZE, TYPE_CNAME, target, sizeof target);
    set_u16(m, 6, 1);
    put_addresses(m, m->n - sizeof target, 1);
}

/* Turns a question into its answer; false: there is none. */
static bool
answer(struct message *m, bool tcp)
{
    char label[64] = "";
    memcpy(label, m->octets + HEADER_SIZE + 1, m->octets[HEADER_SIZE]);
    unsigned rcode = strcmp(label, "none") == 0       ? 3
                     : strcmp(label, "servfail") == 0 ? 2
                     : strcmp(label, "refused") == 0  ? 5
                                                      : 0;
    bool large = strcmp(label, "large") == 0 || strcmp(label, "many") == 0;
    unsigned const type = get_u16(m, m->name_end);
    m->n = m->name_end + 4;
    set_u16(m, 2, FLAGS_ANSWER | rcode | (large && !tcp ? FLAG_TC : 0));
    memset(m->octets + 6, 0, 6);
    if (strcmp(label, "late") == 0) {
        usleep(TEST_SERVER_LATE_MS * 1000);
    }
    if (strcmp(label, "none") == 0 || strcmp(label, "nodata") == 0) {
        put_soa(m);
    } else if (strcmp(label, "alias") == 0) {
        put_alias(m);
    } else if (large && tcp && type == TYPE_TXT) {
        put_texts(m, 30);
    } else if (large && tcp) {
        put_addresses(m, HEADER_SIZE, 300);
    } else if (rcode == 0 && !large) {
        put_addresses(m, HEADER_SIZE, 1);
    }
    return strcmp(label, "silent") != 0;
}

static bool
read_question(struct test_server *server, struct message *m, bool tcp)
{
    size_t at = HEADER_SIZE;
    while (at < m->n && m->octets[at] != 0) {
        at += 1u + m->octets[at];
    }
    m->name_end = at + 1;
    if (at + 5 > m->n || get_u16(m, 4) != 1 || m->octets[HEADER_SIZE] > 63) {
        return false;
    }
    if (!tcp) {
        bool edns = at + 10 < m->n && get_u16(m, at + 6) == TYPE_OPT;
        atomic_store(&server->edns_octets, edns ? get_u16(m, at + 8) : 0);
    }
    atomic_fetch_add(tcp ? &server->tcp : &server->udp, 1);
    return true;
}

static void
serve_udp(struct test_server *server, struct message *m)
{
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t n =
        recvfrom(server->udp_fd, m->octets, sizeof m->octets, 0, (struct sockaddr *)&from, &length);
    m->n = n > 0 ? (size_t)n : 0;
    if (m->n > HEADER_SIZE && read_question(server, m, false) && answer(m, false)) {
        must(sendto(server->udp_fd, m->octets, m->n, 0, (struct sockaddr *)&from, length) > 0,
             "sendto");
    }
}

/* One question a connection is enough for what is tested. */
static void
serve_tcp(struct test_server *server, struct message *m)
{
    unsigned char length[2];
    int fd = accept(server->tcp_fd, NULL, NULL);
    if (fd >= 0 && recv(fd, length, 2, MSG_WAITALL) == 2) {
        m->n = (size_t)length[0] << 8 | length[1];
        if (recv(fd, m->octets, m->n, MSG_WAITALL) == (ssize_t)m->n &&
            read_question(server, m, true) && answer(m, true)) {
            length[0] = (unsigned char)(m->n >> 8);
            length[1] = (unsigned char)m->n;
            must(send(fd, length, 2, MSG_NOSIGNAL | MSG_MORE) == 2, "send");
            must(send(fd, m->octets, m->n, MSG_NOSIGNAL) == (ssize_t)m->n, "send");
        }
    }
    close(fd);
}

static void *
run(void *context)
{
    struct test_server *server = context;
    struct message *m = calloc(1, sizeof *m);
    struct pollfd fds[] = {{.fd = server->udp_fd, .events = POLLIN},
                           {.fd = server->tcp_fd, .events = POLLIN},
                           {.fd = server->stop_fd, .events = POLLIN}};
    must(m != NULL, "memory");
    while (poll(fds, 3, -1) > 0 && fds[2].revents == 0) {
        if (fds[0].revents != 0) {
            serve_udp(server, m);
        }
        if (fds[1].revents != 0) {
            serve_tcp(server, m);
        }
    }
    free(m);
    return NULL;
}

void
test_server_start(struct test_server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof at;
    pthread_t thread;
    memset(server, 0, sizeof *server);
    server->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    must(bind(server->tcp_fd, (struct sockaddr *)&at, sizeof at) == 0 &&
             listen(server->tcp_fd, 16) == 0 &&
             getsockname(server->tcp_fd, (struct sockaddr *)&at, &length) == 0 &&
             bind(server->udp_fd, (struct sockaddr *)&at, sizeof at) == 0,
         "a port for the server");
    server->port = ntohs(at.sin_port);
    must(pthread_create(&thread, NULL, run, server) == 0, "thread");
    server->thread = (unsigned long)thread;
}

void
test_server_stop(struct test_server *server)
{
    uint64_t one = 1;
    must(write(server->stop_fd, &one, sizeof one) == sizeof one, "stop");
    pthread_join((pthread_t)server->thread, NULL);
    close(server->stop_fd);
    close(server->udp_fd);
    close(server->tcp_fd);
}
