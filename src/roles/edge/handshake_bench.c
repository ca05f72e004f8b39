/*
 * handshake_bench - TLS handshakes a second at an edge's port 25, with the key in the signer, as
 * the program does it, and with the key in the edge, which only this bench can do (the linker puts
 * a function of its own before tls_identity_parse_remote).
 *
 *     handshake_bench [ROUNDS]
 *
 * Two real edge processes and a real signer; clients connect, say EHLO and STARTTLS, do a whole
 * handshake of TLS 1.3, and go. The edges take turns. Prints a line of JSON for each type of key:
 * the medians of both, and how many times the second the first is.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ipc/body.h"
#include "roles/edge.h"
#include "roles/edge/test_signer.h"
#include "roles/role_test_parent.h"
#include "tls/identity.h"
#include "tls/test_material.h"

#define CLIENTS    4
#define ROUND_MS   2000
#define ROUNDS     5
#define ROUNDS_MAX 99
#define REPLY_MAX  4096

static const char configuration[] =
    "hostname: mx.bench.example\n"
    "workers: {edge: 1}\n"
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
    "tls: {session_tickets: false}\n"
    "logging: {level: warn}\n"
    "limits: {pregreet_delay: 0ms, connection_rate: 0, connection_rate_per_network: 0}\n";

/* ---- the key in the edge */

static struct str key_in_edge; /* of the next edge that is launched; empty: it asks the signer */

enum status __wrap_tls_identity_parse_remote(struct str chain_pem, const struct tls_signer *signer,
                                             struct tls_identity **identity_out, char *error_out);
enum status __real_tls_identity_parse_remote(struct str chain_pem, const struct tls_signer *signer,
                                             struct tls_identity **identity_out, char *error_out);

enum status
__wrap_tls_identity_parse_remote(struct str chain_pem, const struct tls_signer *signer,
                                 struct tls_identity **identity_out, char *error_out)
{
    return key_in_edge.n > 0
               ? tls_identity_parse(chain_pem, key_in_edge, identity_out, error_out)
               : __real_tls_identity_parse_remote(chain_pem, signer, identity_out, error_out);
}

/* ---- edges */

struct edge_process {
    pid_t pid;
    int control;
    uint16_t port;
};

static int
listening_socket(uint16_t *port_out)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 &&
                getsockname(fd, (struct sockaddr *)&sa, &length) == 0 && listen(fd, 128) == 0);
    *port_out = ntohs(sa.sin_port);
    return fd;
}

static void
edge_open(struct edge_process *edge, const struct test_pem *pem, struct test_signer *signer)
{
    struct msg_start start = {.generation = 1};
    struct msg_certificate certificate = {.name = STR("bench")};
    struct msg_listener listener = {.index = 0};
    edge->pid = role_test_launch(&edge_role, &edge->control);
    role_test_configure(edge->control, "/tmp", configuration);
    assert_int_equal(ipc_memfd_create("chain", pem->chain, &certificate.chain_pem), STATUS_OK);
    role_test_send(edge->control, MSG_CERTIFICATE, 0, &certificate);
    close(certificate.chain_pem);
    listener.socket = listening_socket(&edge->port);
    role_test_send(edge->control, MSG_LISTENER, 0, &listener);
    close(listener.socket);
    test_signer_join(signer, edge->control);
    role_test_send(edge->control, MSG_START, 0, &start);
    role_test_ready(edge->control, ROLE_EDGE);
}

static void
edge_close(struct edge_process *edge)
{
    kill(edge->pid, SIGKILL);
    waitpid(edge->pid, NULL, 0);
    close(edge->control);
}

/* ---- clients */

/* Sends a line (NULL: nothing) and reads a whole reply that begins with the code. */
static bool
say(int fd, const char *line, const char *code)
{
    char reply[REPLY_MAX];
    size_t n = 0;
    if (line != NULL && send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
        return false;
    }
    for (;;) {
        ssize_t got = recv(fd, reply + n, sizeof reply - 1 - n, 0);
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        reply[n] = '\0';
        if (reply[n - 1] != '\n') {
            continue;
        }
        char *line_end = memrchr(reply, '\n', n - 1);
        const char *last = line_end != NULL ? line_end + 1 : reply;
        if (strlen(last) > 3 && last[3] == ' ') {
            return strncmp(last, code, 3) == 0;
        }
    }
}

static bool
one_handshake(SSL_CTX *context, uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    struct linger at_once = {1, 0}; /* no port stays in TIME_WAIT */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(context);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* else late ACKs are measured */
    bool done = fd >= 0 && ssl != NULL && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 &&
                say(fd, NULL, "220") && say(fd, "EHLO client.example\r\n", "250") &&
                say(fd, "STARTTLS\r\n", "220") && SSL_set_fd(ssl, fd) == 1 &&
                SSL_connect(ssl) == 1 && SSL_write(ssl, "NOOP\r\n", 6) == 6;
    char reply[64];
    done = done && SSL_read(ssl, reply, sizeof reply) > 0;
    SSL_free(ssl);
    close(fd);
    return done;
}

_Noreturn static void
client_loop(uint16_t port, int64_t end_ms, atomic_llong *count, atomic_llong *failures)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    while (clock_monotonic_ms() < end_ms) {
        atomic_fetch_add(one_handshake(context, port) ? count : failures, 1);
    }
    _exit(0);
}

/* Handshakes a second in one round. */
static double
round_of(const struct edge_process *edge, atomic_llong *counts)
{
    int64_t const begin_ms = clock_monotonic_ms();
    pid_t pids[CLIENTS];
    atomic_store(&counts[0], 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            client_loop(edge->port, begin_ms + ROUND_MS, &counts[0], &counts[1]);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        waitpid(pids[i], NULL, 0);
    }
    return (double)atomic_load(&counts[0]) * 1000 / (double)(clock_monotonic_ms() - begin_ms);
}

/* ---- the whole */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
measure(const char *name, bool rsa, unsigned rounds, atomic_llong *counts)
{
    struct test_pem pem = test_pem_make("DNS:mx.bench.example", rsa);
    struct test_signer signers[2];
    struct edge_process edges[2]; /* with the signer, with the key (and a signer that is idle) */
    double rates[2][ROUNDS_MAX];
    for (size_t i = 0; i < 2; i++) {
        test_signer_start(&signers[i]);
        test_signer_hand_out(&signers[i], pem.key);
        key_in_edge = i == 1 ? pem.key : STR("");
        edge_open(&edges[i], &pem, &signers[i]);
        (void)round_of(&edges[i], counts); /* to be warm */
    }
    atomic_store(&counts[1], 0);
    for (unsigned r = 0; r < rounds; r++) {
        rates[0][r] = round_of(&edges[0], counts);
        rates[1][r] = round_of(&edges[1], counts);
    }
    for (size_t i = 0; i < 2; i++) {
        qsort(rates[i], rounds, sizeof rates[i][0], compare);
        edge_close(&edges[i]);
        test_signer_end(&signers[i]);
    }
    arena_destroy_wiped(&pem.arena);
    double const with_signer = rates[0][rounds / 2];
    double const with_key = rates[1][rounds / 2];
    printf("{\"key\": \"%s\", \"signer\": %.0f, \"edge\": %.0f, \"ratio\": %.3f, "
           "\"failures\": %lld}\n",
           name, with_signer, with_key, with_signer / with_key, (long long)atomic_load(&counts[1]));
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    uint64_t rounds = ROUNDS;
    atomic_llong *counts = mmap(NULL, 2 * sizeof *counts, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* handshakes, failures */
    bool understood = argc < 2 || (argc == 2 && str_parse_u64(str_from_cstr(argv[1]), ROUNDS_MAX,
                                                              &rounds) == STATUS_OK);
    if (!understood || rounds == 0 || counts == MAP_FAILED) {
        fprintf(stderr, "usage: handshake_bench [ROUNDS], 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    measure("P-256", false, (unsigned)rounds, counts);
    measure("RSA-2048", true, (unsigned)rounds, counts);
    return 0;
}
