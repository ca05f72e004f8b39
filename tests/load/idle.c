/*
 * idle - opens many SMTP connections to loopback, holds them, and tells what they cost a server.
 *
 *     idle --connections 10000 --to 127.0.0.1:2525 --pid PID [--pid PID ...] [--tls | --starttls]
 *          [--hold SECONDS] [--json]
 *
 * Each connection is greeted and says EHLO (over TLS with the options), so that the server holds a
 * whole session; then nothing more is said. They come from many addresses of 127/8, below the
 * limits that a gateway has for one address and one network by default. Memory is the resident set
 * and the proportional set (shared pages divided among their processes) of the named processes,
 * before and after. Exit status 1 when a connection was refused or lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIDS_MAX        64
#define LINE_MAX_       2048
/* Opening at one time: below the server's listen backlog. */
#define WINDOW          400
#define PER_ADDRESS     40
#define PER_NETWORK     160
#define EVENTS_MAX      256
#define GIVE_UP_SECONDS 120

enum tls_choice { TLS_NO, TLS_AT_ONCE, TLS_BY_COMMAND };

struct options {
    unsigned connections;
    struct sockaddr_in to;
    enum tls_choice tls;
    unsigned hold_seconds;
    bool json;
    long pids[PIDS_MAX];
    size_t pid_count;
};

enum step { STEP_CONNECT, STEP_TLS, STEP_GREETING, STEP_EHLO, STEP_STARTTLS, STEP_HELD, STEP_LOST };

struct connection {
    int fd;
    enum step step;
    SSL *ssl;
    char input[LINE_MAX_];
    size_t length;
};

/* What is kept of a connection that is held: the rest would measure ourselves. */
struct held {
    int fd;
    SSL *ssl;
};

struct run {
    const struct options *options;
    SSL_CTX *tls;
    int epoll;
    struct connection *opening[WINDOW];
    struct held *held;
    unsigned started;
    unsigned established;
    unsigned lost;
};

/* ---- memory of the processes */

struct memory {
    uint64_t rss_kib;
    uint64_t pss_kib;
};

static uint64_t
read_field(const char *path, const char *name)
{
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtoull(line + strlen(name), NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

static struct memory
measure(const struct options *options)
{
    struct memory sum = {0, 0};
    for (size_t i = 0; i < options->pid_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", options->pids[i]);
        sum.rss_kib += read_field(path, "Rss:");
        sum.pss_kib += read_field(path, "Pss:");
    }
    return sum;
}

/* ---- one connection */

static void
watch(struct run *run, size_t slot, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.u64 = slot};
    epoll_ctl(run->epoll, operation, run->opening[slot]->fd, &event);
}

/* The n-th source address: 127.100.0.1 and on, so many connections each. */
static struct sockaddr_in
source_address(unsigned n)
{
    unsigned network = n / PER_NETWORK;
    unsigned host = 1 + n % PER_NETWORK / PER_ADDRESS;
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f640000u + (network << 8) + host),
    };
}

static bool
connection_start(struct run *run, size_t slot)
{
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in from = source_address(run->started);
    int on = 1;
    if (c == NULL) {
        return false;
    }
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        (connect(c->fd, (const struct sockaddr *)&run->options->to, sizeof run->options->to) != 0 &&
         errno != EINPROGRESS)) {
        perror("idle: connect");
        free(c);
        return false;
    }
    run->opening[slot] = c;
    run->started++;
    watch(run, slot, EPOLLOUT, EPOLL_CTL_ADD);
    return true;
}

static void
connection_finish(struct run *run, size_t slot, bool lost)
{
    struct connection *c = run->opening[slot];
    epoll_ctl(run->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    if (lost) {
        run->lost++;
        SSL_free(c->ssl);
        close(c->fd);
    } else {
        run->held[run->established++] = (struct held){c->fd, c->ssl};
    }
    free(c);
    run->opening[slot] = NULL;
}

static int
raw_read(struct connection *c)
{
    char *at = c->input + c->length;
    size_t room = sizeof c->input - 1 - c->length;
    if (c->ssl == NULL) {
        ssize_t n = recv(c->fd, at, room, 0);
        return n < 0 && errno == EAGAIN ? -1 : n <= 0 ? 0 : (int)n;
    }
    int n = SSL_read(c->ssl, at, (int)room);
    return n > 0 ? n : SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* A whole reply that is positive: 1; not there yet: 0; anything else: -1. */
static int
reply_state(struct connection *c)
{
    char *line = c->input;
    for (;;) {
        char *end = strstr(line, "\r\n");
        if (end == NULL) {
            return 0;
        }
        if (line[0] != '2') {
            fprintf(stderr, "idle: the server says %.*s\n", (int)(end - line), line);
            return -1;
        }
        if (line[3] != '-') {
            c->length = 0;
            return 1;
        }
        line = end + 2;
    }
}

static bool
say(struct connection *c, const char *text)
{
    int n = (int)strlen(text);
    return c->ssl != NULL ? SSL_write(c->ssl, text, n) == n : send(c->fd, text, (size_t)n, 0) == n;
}

static bool
handshake(struct run *run, struct connection *c)
{
    if (c->ssl == NULL) {
        c->ssl = SSL_new(run->tls);
        SSL_set_fd(c->ssl, c->fd);
    }
    int result = SSL_connect(c->ssl);
    if (result != 1) {
        return SSL_get_error(c->ssl, result) == SSL_ERROR_WANT_READ;
    }
    c->step = run->options->tls == TLS_AT_ONCE ? STEP_GREETING : STEP_EHLO;
    return c->step == STEP_GREETING || say(c, "EHLO idle.example\r\n");
}

/* After a whole reply. */
static bool
next_step(struct run *run, struct connection *c)
{
    bool starttls = run->options->tls == TLS_BY_COMMAND && c->ssl == NULL;
    switch (c->step) {
    case STEP_GREETING:
        c->step = STEP_EHLO;
        return say(c, "EHLO idle.example\r\n");
    case STEP_EHLO:
        c->step = starttls ? STEP_STARTTLS : STEP_HELD;
        return !starttls || say(c, "STARTTLS\r\n");
    case STEP_STARTTLS:
        c->step = STEP_TLS;
        return handshake(run, c);
    case STEP_CONNECT:
    case STEP_TLS:
    case STEP_HELD:
    case STEP_LOST:
        break;
    }
    return false;
}

static bool
read_replies(struct run *run, struct connection *c)
{
    while (c->step != STEP_HELD && c->step != STEP_TLS) {
        int n = raw_read(c);
        if (n <= 0) {
            return n < 0;
        }
        c->length += (size_t)n;
        c->input[c->length] = '\0';
        int state = reply_state(c);
        if (state < 0 || (state > 0 && !next_step(run, c))) {
            return false;
        }
    }
    return true;
}

static void
connection_go_on(struct run *run, size_t slot)
{
    struct connection *c = run->opening[slot];
    bool good = true;
    if (c->step == STEP_CONNECT) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        good = error == 0;
        c->step = run->options->tls == TLS_AT_ONCE ? STEP_TLS : STEP_GREETING;
        watch(run, slot, EPOLLIN, EPOLL_CTL_MOD);
    }
    if (good && c->step == STEP_TLS) {
        good = handshake(run, c);
    }
    if (good && c->step != STEP_TLS) {
        good = read_replies(run, c);
    }
    if (!good || c->step == STEP_HELD) {
        connection_finish(run, slot, !good);
    }
}

/* ---- all of them */

static bool
open_all(struct run *run)
{
    time_t const deadline = time(NULL) + GIVE_UP_SECONDS;
    struct epoll_event events[EVENTS_MAX];
    while (run->established + run->lost < run->options->connections) {
        for (size_t slot = 0; slot < WINDOW && run->started < run->options->connections; slot++) {
            if (run->opening[slot] == NULL && !connection_start(run, slot)) {
                return false;
            }
        }
        int n = epoll_wait(run->epoll, events, EVENTS_MAX, 1000);
        for (int i = 0; i < n; i++) {
            connection_go_on(run, events[i].data.u64);
        }
        if (time(NULL) > deadline) {
            fprintf(stderr, "idle: given up after %d seconds\n", GIVE_UP_SECONDS);
            return false;
        }
    }
    return true;
}

/* Those that the server has closed while they were held. */
static unsigned
count_dead(const struct run *run)
{
    unsigned dead = 0;
    for (unsigned i = 0; i < run->established; i++) {
        char octet;
        ssize_t n = recv(run->held[i].fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
        dead += n == 0 || (n < 0 && errno != EAGAIN) ? 1 : 0;
    }
    return dead;
}

static void
report(const struct run *run, struct memory before, struct memory after, unsigned dead)
{
    double each_kib = run->established > 0 ? ((double)after.pss_kib - (double)before.pss_kib) /
                                                 (double)run->established
                                           : 0;
    if (run->options->json) {
        printf("{\"connections\": %u, \"refused\": %u, \"lost\": %u, \"rss_before_kib\": %llu, "
               "\"rss_kib\": %llu, \"pss_before_kib\": %llu, \"pss_kib\": %llu, "
               "\"each_kib\": %.2f}\n",
               run->established, run->lost, dead, (unsigned long long)before.rss_kib,
               (unsigned long long)after.rss_kib, (unsigned long long)before.pss_kib,
               (unsigned long long)after.pss_kib, each_kib);
        return;
    }
    printf("connections held   %u (refused %u, lost while held %u)\n", run->established, run->lost,
           dead);
    printf("resident set       %.1f MiB before, %.1f MiB with them\n",
           (double)before.rss_kib / 1024, (double)after.rss_kib / 1024);
    printf("proportional set   %.1f MiB before, %.1f MiB with them\n",
           (double)before.pss_kib / 1024, (double)after.pss_kib / 1024);
    printf("each connection    %.2f KiB\n", each_kib);
}

static int
run_all(const struct options *options)
{
    struct run run = {.options = options, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    run.tls = SSL_CTX_new(TLS_client_method());
    run.held = calloc(options->connections, sizeof *run.held);
    if (run.tls == NULL || run.held == NULL || run.epoll < 0) {
        fputs("idle: no memory\n", stderr);
        return 1;
    }
    struct memory before = measure(options);
    bool opened = open_all(&run);
    sleep(options->hold_seconds);
    struct memory after = measure(options);
    unsigned dead = count_dead(&run);
    report(&run, before, after, dead);
    for (unsigned i = 0; i < run.established; i++) {
        SSL_free(run.held[i].ssl);
        close(run.held[i].fd);
    }
    free(run.held);
    SSL_CTX_free(run.tls);
    return opened && run.lost == 0 && dead == 0 ? 0 : 1;
}

/* ---- the command line */

static bool
parse_to(const char *text, struct sockaddr_in *to)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    unsigned long port = strtoul(colon + 1, NULL, 10);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)port);
    return port <= UINT16_MAX && inet_pton(AF_INET, host, &to->sin_addr) == 1;
}

static bool
parse_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"connections", required_argument, NULL, 'c'},
        {"to", required_argument, NULL, 't'},
        {"pid", required_argument, NULL, 'p'},
        {"hold", required_argument, NULL, 'h'},
        {"tls", no_argument, NULL, 's'},
        {"starttls", no_argument, NULL, 'S'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int option;
    while (good && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            good = parse_to(optarg, &options->to);
            break;
        case 'p':
            good = options->pid_count < PIDS_MAX;
            if (good) {
                options->pids[options->pid_count++] = strtol(optarg, NULL, 10);
            }
            break;
        case 'h':
            options->hold_seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->tls = TLS_AT_ONCE;
            break;
        case 'S':
            options->tls = TLS_BY_COMMAND;
            break;
        case 'j':
            options->json = true;
            break;
        default:
            good = false;
            break;
        }
    }
    return good && optind == argc && options->connections > 0 && options->to.sin_port != 0;
}

int
main(int argc, char **argv)
{
    struct options options = {.connections = 10000, .hold_seconds = 2};
    struct rlimit files;
    if (!parse_options(argc, argv, &options)) {
        fputs(
            "usage: idle --connections N --to ADDRESS:PORT [--tls | --starttls] [--pid PID]...\n"
            "            [--hold SECONDS] [--json]\n"
            "example: idle --connections 10000 --to 127.0.0.1:2525 --pid $(pgrep -f 'role edge')\n",
            stderr);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return run_all(&options);
}
