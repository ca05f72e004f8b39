/* Fetches from real servers on the loopback: right, wrong, slow, hostile. */
#include "fetch/source_curl.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns/source_zone.h"
#include "fetch/test_server.h"
#include "tls/library.h"

#define HOST  "mta-sts.example.com"
#define OK    "HTTP/1.1 200 OK\r\n"
#define PLAIN "Content-Type: text/plain\r\n"
#define DAY_S 86400L

static const char zone_text[] =
    "{\"" HOST "\": [{\"type\": \"A\", \"value\": \"127.0.0.1\"}],"
    " \"alias.example.com\": [{\"type\": \"CNAME\", \"value\": \"" HOST "\"}],"
    " \"six.example.com\": [{\"type\": \"A\", \"value\": \"127.0.0.1\"},"
    "                       {\"type\": \"AAAA\", \"value\": \"::1\"}],"
    " \"half.example.com\": [{\"type\": \"A\", \"value\": \"127.0.0.1\"},"
    "                        {\"type\": \"AAAA\", \"error\": \"TIMEOUT\"}],"
    " \"some.example.com\": [{\"type\": \"A\", \"value\": \"10.1.2.3\"},"
    "                        {\"type\": \"A\", \"value\": \"127.0.0.1\"}],"
    " \"private.example.com\": [{\"type\": \"A\", \"value\": \"10.1.2.3\"}],"
    " \"cloud.example.com\": [{\"type\": \"A\", \"value\": \"169.254.169.254\"},"
    "                         {\"type\": \"AAAA\", \"value\": \"fe80::1\"}],"
    " \"text.example.com\": [{\"type\": \"TXT\", \"strings\": [\"a\"]}],"
    " \"sick.example.com\": [{\"type\": \"SERVFAIL\"}],"
    " \"forged.example.com\": [{\"type\": \"A\", \"value\": \"127.0.0.1\", \"secure\": "
    "\"bogus\"}]}";

struct world {
    struct arena *arena;
    struct dns_source in_zone;
    struct dns_zone *zone;
    struct dns_source dns;
    struct test_certificate certificate; /* good for all names above */
};

static struct world world;

/* The zone, and a mapped address, which the zone's format does not have. */
static enum status
resolve(void *ctx, struct arena *arena, struct str name, uint16_t type, struct dns_answer *out)
{
    static const struct str mapped[] = {STR_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01")};
    const struct world *w = ctx;
    if (type != DNS_TYPE_AAAA || !str_eq(name, STR("mapped.example.com"))) {
        return dns_resolve(&w->in_zone, arena, name, type, out);
    }
    *out = (struct dns_answer){.records = mapped, .record_count = 1, .canonical = name};
    return STATUS_OK;
}

static int
world_open(void **state)
{
    struct str error;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    setenv("CURL_HOME", "/nonexistent", 1);
    assert_int_equal(tls_library_init(), STATUS_OK);
    assert_int_equal(fetch_curl_init(), STATUS_OK);
    world.arena = arena_create(4u << 20);
    if (dns_zone_create(world.arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE, &world.zone,
                        &error) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(error));
    }
    world.in_zone = dns_source_from_zone(world.zone);
    world.dns = (struct dns_source){.resolve = resolve, .ctx = &world};
    test_certificate_make("none", "DNS:example.com,DNS:*.example.com", -DAY_S, DAY_S,
                          &world.certificate);
    return 0;
}

static int
world_close(void **state)
{
    (void)state;
    test_certificate_free(&world.certificate);
    dns_zone_destroy(&world.zone);
    arena_destroy(&world.arena);
    return 0;
}

/* ---- one fetch */

static const struct str plain[] = {STR_INIT("text/plain")};
/* A time that no test should need, and one for servers that never end. */
#define PATIENT_MS 20000
#define SHORT_MS   600

static struct fetch_request
request_for(const char *url)
{
    return (struct fetch_request){.url = str_from_cstr(url),
                                  .size_max = 64 * 1024,
                                  .timeout_ms = PATIENT_MS,
                                  .media_types = plain,
                                  .media_type_count = 1};
}

/* The loopback is allowed. */
static struct fetch_curl *
client_make(const char *trust, uint16_t port)
{
    struct ip_network loopback[2];
    struct fetch_curl *curl = NULL;
    assert_int_equal(ip_network_parse(STR("127.0.0.0/8"), &loopback[0]), STATUS_OK);
    assert_int_equal(ip_network_parse(STR("::1"), &loopback[1]), STATUS_OK);
    struct fetch_curl_settings settings = {.dns = &world.dns,
                                           .trust_pem = str_from_cstr(trust),
                                           .also_allowed = loopback,
                                           .also_allowed_count = 2,
                                           .port = port};
    assert_int_equal(fetch_curl_create(&settings, &curl), STATUS_OK);
    return curl;
}

static struct fetch_response
get(struct fetch_curl *curl, const struct fetch_request *request)
{
    struct fetch_response response;
    struct fetch_source source = fetch_source_from_curl(curl);
    arena_reset(world.arena);
    assert_int_equal(fetch_get(&source, world.arena, request, &response), STATUS_OK);
    return response;
}

static void
expect(const char *name, const struct fetch_response *response, enum fetch_outcome outcome)
{
    if (response->outcome != outcome) {
        fail_msg("%s: %s, not %s (%.*s)", name, fetch_outcome_name(response->outcome),
                 fetch_outcome_name(outcome), STR_ARG(response->detail));
    }
    assert_int_equal(outcome == FETCH_OUTCOME_OK, response->detail.n == 0);
    assert_true(outcome == FETCH_OUTCOME_OK || response->body.n == 0);
    assert_true(response->detail.n <= FETCH_DETAIL_MAX);
}

/* ---- answers */

static const struct {
    const char *name;
    struct test_script script;
    enum fetch_outcome outcome;
    unsigned status;
    const char *body;
} answers[] = {
    {"plain", {.text = OK PLAIN "Content-Length: 5\r\n\r\nhello"}, FETCH_OUTCOME_OK, 200, "hello"},
    {"until the end", {.text = OK PLAIN "\r\nhello"}, FETCH_OUTCOME_OK, 200, "hello"},
    {"HTTP/1.0", {.text = "HTTP/1.0 200 OK\r\n" PLAIN "\r\nhello"}, FETCH_OUTCOME_OK, 200, "hello"},
    {"empty", {.text = OK PLAIN "Content-Length: 0\r\n\r\n"}, FETCH_OUTCOME_OK, 200, ""},
    {"charset",
     {.text = OK "content-type:\ttext/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi"},
     FETCH_OUTCOME_OK,
     200,
     "hi"},
    {"chunked",
     {.text = OK PLAIN
      "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: y\r\n\r\n"},
     FETCH_OUTCOME_OK,
     200,
     "hello"},
    {"interim answers",
     {.text =
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: a/b\r\n\r\n" OK
              PLAIN "Content-Length: 5\r\n\r\nhello"},
     FETCH_OUTCOME_OK,
     200,
     "hello"},
    {"identity",
     {.text = OK PLAIN "Content-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi"},
     FETCH_OUTCOME_OK,
     200,
     "hi"},
    {"at the bound",
     {.text = OK PLAIN "Content-Length: 65536\r\n\r\n", .more = 65536},
     FETCH_OUTCOME_OK,
     200,
     NULL},
    {"above the bound, told",
     {.text = OK PLAIN "Content-Length: 65537\r\n\r\n", .more = 65537},
     FETCH_OUTCOME_TOO_LARGE,
     200,
     NULL},
    {"above the bound, untold",
     {.text = OK PLAIN "\r\n", .more = 65537},
     FETCH_OUTCOME_TOO_LARGE,
     200,
     NULL},
    {"10 MB", {.text = OK PLAIN "\r\n", .more = 10u << 20}, FETCH_OUTCOME_TOO_LARGE, 200, NULL},
    {"10 MB in one chunk",
     {.text = OK PLAIN "Transfer-Encoding: chunked\r\n\r\nA00000\r\n", .more = 10u << 20},
     FETCH_OUTCOME_TOO_LARGE,
     200,
     NULL},
    {"10 MB of not found",
     {.text = "HTTP/1.1 404 No\r\n" PLAIN "\r\n", .more = 10u << 20},
     FETCH_OUTCOME_NOT_FOUND,
     404,
     NULL},
    {"large header line",
     {.text = OK PLAIN "X: ", .more = 10u << 20},
     FETCH_OUTCOME_TOO_LARGE,
     200,
     NULL},
    {"many header lines",
     {.text = OK PLAIN, .more = 10u << 10, .more_lines = true},
     FETCH_OUTCOME_TOO_LARGE,
     200,
     NULL},
    {"many trailers",
     {.text = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n0\r\n",
      .more = 10u << 10,
      .more_lines = true},
     FETCH_OUTCOME_TOO_LARGE,
     200,
     NULL},
    {"html",
     {.text = OK "Content-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>"},
     FETCH_OUTCOME_WRONG_TYPE,
     200,
     NULL},
    {"no type", {.text = OK "Content-Length: 3\r\n\r\nabc"}, FETCH_OUTCOME_WRONG_TYPE, 200, NULL},
    {"two types",
     {.text = OK PLAIN "Content-Type: text/html\r\nContent-Length: 3\r\n\r\nabc"},
     FETCH_OUTCOME_WRONG_TYPE,
     200,
     NULL},
    {"html, empty",
     {.text = OK "Content-Type: text/html\r\nContent-Length: 0\r\n\r\n"},
     FETCH_OUTCOME_WRONG_TYPE,
     200,
     NULL},
    {"gzip unasked",
     {.text = OK PLAIN "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"},
     FETCH_OUTCOME_WRONG_TYPE,
     200,
     NULL},
    {"gzip in transfer",
     {.text = OK PLAIN "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\n\x1f\x8b\x08\r\n0\r\n\r\n"},
     FETCH_OUTCOME_BROKEN,
     200,
     NULL},
    {"redirect",
     {.text = "HTTP/1.1 301 Moved\r\nLocation: https://" HOST "/b\r\nContent-Length: 0\r\n\r\n"},
     FETCH_OUTCOME_REDIRECT,
     301,
     NULL},
    {"temporary redirect with a page",
     {.text = "HTTP/1.1 307 Moved\r\nLocation: /b\r\n" PLAIN "Content-Length: 3\r\n\r\nabc"},
     FETCH_OUTCOME_REDIRECT,
     307,
     NULL},
    {"no content", {.text = "HTTP/1.1 204 No\r\n" PLAIN "\r\n"}, FETCH_OUTCOME_STATUS, 204, NULL},
    {"partial",
     {.text = "HTTP/1.1 206 Part\r\n" PLAIN "Content-Length: 2\r\n\r\nab"},
     FETCH_OUTCOME_STATUS,
     206,
     NULL},
    {"not modified", {.text = "HTTP/1.1 304 No\r\n\r\n"}, FETCH_OUTCOME_STATUS, 304, NULL},
    {"failure",
     {.text = "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nab"},
     FETCH_OUTCOME_STATUS,
     503,
     NULL},
    {"login",
     {.text =
          "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 0\r\n\r\n"},
     FETCH_OUTCOME_STATUS,
     401,
     NULL},
    {"nothing", {.text = NULL}, FETCH_OUTCOME_BROKEN, 0, NULL},
    {"no HTTP", {.text = "hello\r\n\r\n"}, FETCH_OUTCOME_BROKEN, 0, NULL},
    {"another protocol", {.text = "220 mx ESMTP\r\n"}, FETCH_OUTCOME_BROKEN, 0, NULL},
    {"closes early",
     {.text = OK PLAIN "Content-Length: 10\r\n\r\nhello"},
     FETCH_OUTCOME_BROKEN,
     200,
     NULL},
    {"closes within a chunk",
     {.text = OK PLAIN "Transfer-Encoding: chunked\r\n\r\nA\r\nhello"},
     FETCH_OUTCOME_BROKEN,
     200,
     NULL},
    {"closes before the last chunk",
     {.text = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
     FETCH_OUTCOME_BROKEN,
     200,
     NULL},
    {"no chunk",
     {.text = OK PLAIN "Transfer-Encoding: chunked\r\n\r\nhello"},
     FETCH_OUTCOME_BROKEN,
     200,
     NULL},
    {"cut without a word",
     {.text = OK PLAIN "\r\nmode: none", .cut = true},
     FETCH_OUTCOME_BROKEN,
     200,
     NULL},
    {"no TLS",
     {.text = "HTTP/1.1 400 Bad\r\n\r\n", .clear = true},
     FETCH_OUTCOME_TLS_OTHER,
     0,
     NULL},
};

static void
test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct test_server server;
        test_server_start(&server, &world.certificate, &answers[i].script);
        struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
        struct fetch_request request = request_for("https://" HOST "/a");
        struct fetch_response response = get(curl, &request);
        expect(answers[i].name, &response, answers[i].outcome);
        assert_int_equal(response.http_status, answers[i].status);
        if (answers[i].body != NULL) {
            assert_true(str_eq(response.body, str_from_cstr(answers[i].body)));
        }
        test_server_stop(&server);
        assert_int_equal(atomic_load(&server.connections), 1); /* never tried again */
        fetch_curl_unref(&curl);
    }
}

/* Servers that never come to an end. */
static void
test_slow_servers(void **state)
{
    static const struct {
        const char *name;
        struct test_script script;
    } cases[] = {
        {"no handshake", {.before_tls = true}},
        {"no answer", {.hang = true}},
        {"half a header", {.text = OK "Content-", .hang = true}},
        {"half a body", {.text = OK PLAIN "Content-Length: 9\r\n\r\nhello", .hang = true}},
        {"interim answers", {.text = "HTTP/1.1 100 Continue\r\n\r\n", .hang = true}},
        {"drips its header", {.text = OK "X: x", .drip = true}},
        {"drips its body", {.text = OK PLAIN "\r\nx", .drip = true}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_server server;
        test_server_start(&server, &world.certificate, &cases[i].script);
        struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
        struct fetch_request request = request_for("https://" HOST "/a");
        request.timeout_ms = SHORT_MS;
        struct fetch_response response = get(curl, &request);
        expect(cases[i].name, &response, FETCH_OUTCOME_TIMED_OUT);
        test_server_stop(&server);
        fetch_curl_unref(&curl);
    }
}

/* ---- certificates */

static void
test_certificates(void **state)
{
    static const struct {
        const char *common_name;
        const char *names;
        long from_s, until_s;
        bool trusted;
        enum fetch_outcome outcome;
    } cases[] = {
        {"x", "DNS:" HOST, -DAY_S, DAY_S, true, FETCH_OUTCOME_OK},
        {"x", "DNS:MTA-STS.Example.COM", -DAY_S, DAY_S, true, FETCH_OUTCOME_OK},
        {"x", "DNS:*.example.com", -DAY_S, DAY_S, true, FETCH_OUTCOME_OK},
        {HOST, "DNS:other.example", -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {HOST, NULL, -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME}, /* RFC 8461 4.2: case 43 */
        {HOST, "IP:127.0.0.1", -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {HOST,
         "email:"
         "a@" HOST,
         -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {"x", "DNS:example.com", -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {"x", "DNS:*.com", -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {"x", "DNS:mta*.example.com", -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {"x", "DNS:*.mta-sts.example.com", -DAY_S, DAY_S, true, FETCH_OUTCOME_TLS_NAME},
        {"x", "DNS:" HOST, -2 * DAY_S, -DAY_S, true, FETCH_OUTCOME_TLS_EXPIRED},
        {"x", "DNS:" HOST, DAY_S, 2 * DAY_S, true, FETCH_OUTCOME_TLS_EXPIRED},
        {"x", "DNS:" HOST, -DAY_S, DAY_S, false, FETCH_OUTCOME_TLS_UNTRUSTED},
    };
    static const struct test_script script = {.text = OK PLAIN "Content-Length: 2\r\n\r\nhi"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_certificate certificate;
        struct test_server server;
        test_certificate_make(cases[i].common_name, cases[i].names, cases[i].from_s,
                              cases[i].until_s, &certificate);
        test_server_start(&server, &certificate, &script);
        struct fetch_curl *curl = client_make(cases[i].trusted ? certificate.pem : "", server.port);
        struct fetch_request request = request_for("https://" HOST "/a");
        struct fetch_response response = get(curl, &request);
        expect(cases[i].names != NULL ? cases[i].names : "no names", &response, cases[i].outcome);
        test_server_stop(&server);
        assert_int_equal(server.request_length > 0, cases[i].outcome == FETCH_OUTCOME_OK);
        fetch_curl_unref(&curl);
        test_certificate_free(&certificate);
    }
}

static void
test_old_tls(void **state)
{
    static const struct test_script script = {.text = OK PLAIN "Content-Length: 2\r\n\r\nhi"};
    struct test_server server;
    (void)state;
    test_server_start(&server, &world.certificate, &script);
    SSL_CTX_set_security_level(server.context, 0);
    SSL_CTX_set_max_proto_version(server.context, TLS1_1_VERSION);
    SSL_CTX_set_min_proto_version(server.context, TLS1_VERSION);
    struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
    struct fetch_request request = request_for("https://" HOST "/a");
    struct fetch_response response = get(curl, &request);
    expect("TLS 1.1", &response, FETCH_OUTCOME_TLS_OTHER);
    test_server_stop(&server);
    fetch_curl_unref(&curl);
}

/* ---- names and addresses */

static void
test_addresses(void **state)
{
    static const struct {
        const char *url;
        enum fetch_outcome outcome;
    } cases[] = {
        {"https://alias.example.com/", FETCH_OUTCOME_OK},
        {"https://six.example.com/", FETCH_OUTCOME_OK}, /* nobody listens on ::1 */
        {"https://half.example.com/", FETCH_OUTCOME_OK},
        {"https://some.example.com/", FETCH_OUTCOME_OK},
        {"https://private.example.com/", FETCH_OUTCOME_ADDRESS},
        {"https://cloud.example.com/", FETCH_OUTCOME_ADDRESS},
        {"https://mapped.example.com/", FETCH_OUTCOME_ADDRESS},
        {"https://text.example.com/", FETCH_OUTCOME_NAME},
        {"https://absent.example.com/", FETCH_OUTCOME_NAME},
        {"https://sick.example.com/", FETCH_OUTCOME_NAME},
        {"https://forged.example.com/", FETCH_OUTCOME_NAME},
        {"https://" HOST ":25/", FETCH_OUTCOME_ADDRESS},
    };
    static const struct test_script script = {.text = OK PLAIN "Content-Length: 2\r\n\r\nhi"};
    struct test_server server;
    (void)state;
    test_server_start(&server, &world.certificate, &script);
    struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetch_request request = request_for(cases[i].url);
        struct fetch_response response = get(curl, &request);
        expect(cases[i].url, &response, cases[i].outcome);
    }
    test_server_stop(&server);
    assert_int_equal(atomic_load(&server.connections), 4);
    fetch_curl_unref(&curl);
}

/* Nothing is connected to where no laboratory allows it. */
static void
test_loopback_is_refused(void **state)
{
    static const struct test_script script = {.text = OK PLAIN "Content-Length: 2\r\n\r\nhi"};
    struct test_server server;
    struct fetch_curl *curl = NULL;
    (void)state;
    test_server_start(&server, &world.certificate, &script);
    struct fetch_curl_settings settings = {
        .dns = &world.dns, .trust_pem = str_from_cstr(world.certificate.pem), .port = server.port};
    assert_int_equal(fetch_curl_create(&settings, &curl), STATUS_OK);
    struct fetch_request request = request_for("https://six.example.com/");
    struct fetch_response response = get(curl, &request);
    expect("loopback", &response, FETCH_OUTCOME_ADDRESS);
    test_server_stop(&server);
    assert_int_equal(atomic_load(&server.connections), 0);
    fetch_curl_unref(&curl);
}

/* A socket of ::1 that takes no more connections: their SYN is dropped, as by a dead network. */
static int
dead_listener(uint16_t port, int full[2])
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port)};
    int const on = 1;
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 0) != 0) {
        if (listener >= 0) {
            close(listener);
        }
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        full[i] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(full[i], (struct sockaddr *)&address, sizeof address);
    }
    return listener;
}

/* transport.md 47. */
static void
test_dead_ipv6(void **state)
{
    static const struct test_script script = {.text = OK PLAIN "Content-Length: 2\r\n\r\nhi"};
    struct test_server server;
    int full[2];
    (void)state;
    test_server_start(&server, &world.certificate, &script);
    int dead = dead_listener(server.port, full);
    if (dead >= 0) {
        struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
        struct fetch_request request = request_for("https://six.example.com/");
        struct fetch_response response = get(curl, &request);
        expect("dead IPv6", &response, FETCH_OUTCOME_OK);
        fetch_curl_unref(&curl);
        close(full[0]);
        close(full[1]);
        close(dead);
    }
    test_server_stop(&server);
    if (dead < 0) {
        skip(); /* this machine has no IPv6 */
    }
}

static void
test_nobody_listens(void **state)
{
    static const struct test_script script = {0};
    struct test_server server;
    (void)state;
    test_server_start(&server, &world.certificate, &script);
    test_server_stop(&server);
    struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
    struct fetch_request request = request_for("https://" HOST "/");
    struct fetch_response response = get(curl, &request);
    expect("nobody", &response, FETCH_OUTCOME_UNREACHABLE);
    fetch_curl_unref(&curl);
}

/* ---- requests */

static void
test_what_is_sent(void **state)
{
    static const struct test_script script = {
        .text = OK "Set-Cookie: a=b\r\nStrict-Transport-Security: max-age=9\r\n" PLAIN
                   "Content-Length: 2\r\n\r\nhi"};
    struct test_server server;
    char want[512];
    (void)state;
    test_server_start(&server, &world.certificate, &script);
    struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
    struct fetch_request request =
        request_for("https://MTA-STS.example.com/.well-known/mta-sts.txt?a=%2e.");
    for (int i = 0; i < 2; i++) { /* nothing is remembered */
        struct fetch_response response = get(curl, &request);
        expect("request", &response, FETCH_OUTCOME_OK);
        assert_true(str_eq(response.content_type, STR("text/plain")));
    }
    test_server_stop(&server);
    assert_int_equal(atomic_load(&server.connections), 2);
    int n = snprintf(want, sizeof want,
                     "GET /.well-known/mta-sts.txt?a=%%2e. HTTP/1.1\r\nHost: " HOST
                     ":%u\r\nUser-Agent: Postern\r\nAccept: text/plain\r\n\r\n",
                     server.port);
    assert_int_equal(server.request_length, n);
    assert_memory_equal(server.request, want, server.request_length);
    fetch_curl_unref(&curl);
}

static void
test_redirects(void **state)
{
    static const struct {
        const char *location;
        enum fetch_outcome outcome;
        unsigned connections;
    } cases[] = {
        {"/b", FETCH_OUTCOME_REDIRECT, 1 + FETCH_REDIRECTS_MAX}, /* for ever */
        {"http://" HOST "/b", FETCH_OUTCOME_REDIRECT, 1},
        {"//" HOST "/b", FETCH_OUTCOME_REDIRECT, 1},
        {"https://127.0.0.1/b", FETCH_OUTCOME_REDIRECT, 1},
        {"file:///etc/passwd", FETCH_OUTCOME_REDIRECT, 1},
        {"", FETCH_OUTCOME_REDIRECT, 1},
        {"https://private.example.com/b", FETCH_OUTCOME_ADDRESS, 1},
        {"https://" HOST ":25/b", FETCH_OUTCOME_ADDRESS, 1},
        {"https://absent.example.com/b", FETCH_OUTCOME_NAME, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_server server;
        char text[512];
        struct test_script script = {.text = text};
        snprintf(text, sizeof text,
                 "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                 cases[i].location);
        test_server_start(&server, &world.certificate, &script);
        struct fetch_curl *curl = client_make(world.certificate.pem, server.port);
        struct fetch_request request = request_for("https://" HOST "/a");
        request.redirects = true;
        struct fetch_response response = get(curl, &request);
        expect(cases[i].location, &response, cases[i].outcome);
        test_server_stop(&server);
        assert_int_equal(atomic_load(&server.connections), cases[i].connections);
        fetch_curl_unref(&curl);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),      cmocka_unit_test(test_slow_servers),
        cmocka_unit_test(test_certificates), cmocka_unit_test(test_old_tls),
        cmocka_unit_test(test_addresses),    cmocka_unit_test(test_loopback_is_refused),
        cmocka_unit_test(test_dead_ipv6),    cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_what_is_sent), cmocka_unit_test(test_redirects),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
