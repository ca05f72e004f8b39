#include "roles/relay/deliver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "dns/source_zone.h"
#include "roles/relay/callout.h"
#include "roles/relay/test_server.h"
#include "store/delivery.h"

#define SERVERS_MAX    3
#define RECIPIENTS_MAX 6

/* ---- a server that answers by a few settings */

struct manner {
    const char *greeting; /* NULL: "220 mx.example" */
    const char *ehlo;     /* what EHLO is answered; NULL: plain */
    const char *mail;     /* these four: NULL is 250 */
    const char *rcpt;
    const char *data; /* NULL: 354 */
    const char *verdict;
    unsigned rcpt_most;        /* more are answered 452; 0: any number */
    bool closes_after_verdict; /* the next MAIL finds the connection closed */
    bool tls_fails;            /* STARTTLS is answered with nonsense */
    unsigned rcpt_now;         /* counted */
    unsigned verdicts;         /* counted */
    bool lmtp;
};

#define PLAIN_EHLO "250 mx.example\r\n"
#define PIPE_EHLO  "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
#define TLS_EHLO   "250-mx.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n"
#define OK         "250 2.0.0 ok\r\n"

static const char *
or_else(const char *answer, const char *otherwise)
{
    return answer != NULL ? answer : otherwise;
}

static const char *
answer_verdict(struct manner *m)
{
    static const char *const lmtp[] = {"", OK, OK OK, OK OK OK};
    m->verdicts++;
    unsigned n = m->rcpt_now < 3 ? m->rcpt_now : 3;
    return or_else(m->verdict, m->lmtp ? lmtp[n] : OK);
}

static const char *
answer(void *context, unsigned connection, const char *line)
{
    struct manner *m = context;
    (void)connection;
    if (line[0] == '\0') {
        return or_else(m->greeting, "220 mx.example\r\n");
    }
    if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "LHLO", 4) == 0) {
        return or_else(m->ehlo, PLAIN_EHLO);
    }
    if (strcmp(line, "STARTTLS") == 0) {
        return m->tls_fails ? "220 go\r\n" : "<TLS>";
    }
    if (strncmp(line, "MAIL", 4) == 0) {
        m->rcpt_now = 0;
        return m->closes_after_verdict && m->verdicts > 0 ? "<CLOSE>" : or_else(m->mail, OK);
    }
    if (strncmp(line, "RCPT", 4) == 0) {
        if (m->rcpt_most > 0 && m->rcpt_now >= m->rcpt_most) {
            return "452 4.5.3 enough\r\n";
        }
        m->rcpt_now++;
        return strstr(line, "bad@") != NULL ? "550 5.1.1 no such user\r\n" : or_else(m->rcpt, OK);
    }
    if (strcmp(line, "DATA") == 0) {
        return or_else(m->data, "354 go\r\n");
    }
    if (strcmp(line, ".") == 0 || strcmp(line, "BDAT") == 0) {
        return answer_verdict(m);
    }
    if (strcmp(line, "QUIT") == 0) {
        return "221 bye\r\n";
    }
    if (m->tls_fails) {
        return "<CLOSE>"; /* the client's half of a handshake */
    }
    return strcmp(line, "RSET") == 0 ? OK : "500 what\r\n";
}

/* ---- the relay's side */

struct world {
    struct arena *arena;
    struct manner manners[SERVERS_MAX];
    struct test_server *servers[SERVERS_MAX];
    const struct config *config;
    struct dns_zone *zone;
    struct tls_client *tls;
    struct relay_world relay;
    struct trace trace;
    struct relay_delivery delivery;
    struct msg_deliver message;
    struct record_delivery_recipient recipients[RECIPIENTS_MAX];
    char unix_path[64];
    unsigned connections;
    int64_t time_ms; /* for a delivery */
    struct str head, body;
};

static void
load_config(struct world *w, const char *more)
{
    struct str text = arena_printf(
        w->arena,
        "hostname: gw.ours.example\n"
        "bounce: {postmaster: bob@ours.example}\n"
        "listeners: [{address: 127.0.0.1, port: 1, kind: mx}]\n"
        "queue: {connections: %u, timeouts: {connect: 2s, greeting: 1s, command: 1s, data_init: 1s,"
        " data_end: 1s, tls_handshake: 1s, idle: 1m}}\n"
        "domains:\n"
        "  - {name: ours.example, delivery: \"lmtp://127.0.0.1:%u\"}\n"
        "  - {name: unix.example, delivery: \"lmtp:%s\"}\n"
        "  - {name: self.example, delivery: \"smtp://loop.example:1\"}\n"
        "routes:\n"
        "  - {domain: one.example, to: \"smtp://127.0.0.1:%u\"}\n"
        "  - {domain: two.example, to: \"smtp://127.0.0.1:%u\"}\n"
        "  - {domain: clear.example, to: \"smtp://127.0.0.1:%u\", tls: none}\n"
        "  - {domain: tls.example, to: \"smtp://127.0.0.1:%u\", tls: required}\n"
        "  - {domain: nohost.example, to: \"smtp://absent.example:25\"}\n"
        "%s",
        w->connections, test_server_port(w->servers[0]), w->unix_path,
        test_server_port(w->servers[0]), test_server_port(w->servers[1]),
        test_server_port(w->servers[0]), test_server_port(w->servers[0]), more);
    static struct config_errors errors;
    if (config_load_text(w->arena, text, &w->config, &errors) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(config_error_format(w->arena, STR("test"), &errors.items[0])));
    }
}

static const char zone_text[] =
    "{\"mx.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"dead.example\"},"
    "                  {\"type\": \"MX\", \"pref\": 20, \"value\": \"alive.example\"}],"
    " \"twice.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"alive.example\"},"
    "                     {\"type\": \"MX\", \"pref\": 20, \"value\": \"alive.example\"}],"
    " \"alive.example\": [{\"type\": \"A\", \"value\": \"127.0.0.1\"}],"
    " \"loop.example\": [{\"type\": \"A\", \"value\": \"127.0.0.1\"}],"
    " \"dead.example\": [{\"type\": \"A\", \"value\": \"127.255.255.254\"}],"
    " \"null.example\": [{\"type\": \"MX\", \"pref\": 0, \"value\": \"\"}],"
    " \"sick.example\": [{\"type\": \"SERVFAIL\"}],"
    " \"halfsick.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"gone.example\"},"
    "                        {\"type\": \"MX\", \"pref\": 20, \"value\": \"sick.example\"}]}";

static uint64_t
pick_last(uint64_t bound)
{
    return bound - 1;
}

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct tls_client_settings tls = {0};
    char error[TLS_ERROR_MAX];
    struct str zone_error = STR("");
    w->arena = arena_create(DELIVERY_CEILING);
    w->manners[2].lmtp = true;
    w->connections = 200;
    w->time_ms = 60000;
    w->head = STR("Subject: s\r\n\r\n");
    w->body = STR("text\r\n");
    snprintf(w->unix_path, sizeof w->unix_path, "/tmp/postern-deliver-test-%d", (int)getpid());
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        w->servers[i] = test_server_start(answer, &w->manners[i], i == 2 ? w->unix_path : NULL);
    }
    load_config(w, "");
    assert_int_equal(tls_client_create(&tls, &w->tls, error), STATUS_OK);
    assert_int_equal(dns_zone_create(w->arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE,
                                     &w->zone, &zone_error),
                     STATUS_OK);
    w->relay.route = (struct relay_route_world){.dns = dns_source_from_zone(w->zone),
                                                .random_below = pick_last,
                                                .smtp_port = test_server_port(w->servers[0])};
    w->relay.idle = relay_idle_create();
    relay_idle_set(w->relay.idle, 10, 60000);
    trace_init(&w->trace, NULL);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;
    relay_idle_destroy(&w->relay.idle);
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        test_server_stop(&w->servers[i]);
    }
    trace_free(&w->trace);
    dns_zone_destroy(&w->zone);
    tls_client_unref(&w->tls);
    config_unref(&w->config);
    arena_destroy(&w->arena);
    free(w);
    return 0;
}

/* Delivers to the addresses (NULL ends them). */
static void
deliver(struct world *w, const char *const *addresses)
{
    size_t n = 0;
    for (; addresses[n] != NULL; n++) {
        w->recipients[n] = (struct record_delivery_recipient){
            .number = n,
            .address = str_from_cstr(addresses[n]),
            .original = str_from_cstr(addresses[n]),
        };
    }
    w->message = (struct msg_deliver){.id = STR("0123456789ABCDEF"),
                                      .sender = STR("a@sender.example"),
                                      .destination = STR("test"),
                                      .concurrency = 2,
                                      .recipients = {w->recipients, n}};
    w->delivery = (struct relay_delivery){.world = &w->relay,
                                          .config = w->config,
                                          .tls = w->tls,
                                          .arena = w->arena,
                                          .trace = &w->trace,
                                          .deliver = &w->message,
                                          .head = w->head,
                                          .body = w->body,
                                          .deadline_ms = clock_monotonic_ms() + w->time_ms};
    assert_int_equal(relay_delivery_run(&w->delivery), STATUS_OK);
}

/* "delivered 250 2.0.0" and so on, one a recipient. */
static void
expect(struct world *w, const char *const *want)
{
    static const char *const outcomes[] = {"delivered", "relayed", "relayed-", "deferred",
                                           "failed"};
    for (size_t i = 0; want[i] != NULL; i++) {
        const struct record_delivery_result *r = &w->delivery.results[i];
        char got[64];
        snprintf(got, sizeof got, "%s %u %.*s", outcomes[r->outcome], r->code,
                 STR_ARG(r->enhanced));
        assert_int_equal(r->number, i);
        if (strcmp(got, want[i]) != 0) {
            fail_msg("recipient %zu: got \"%s\" (%.*s), want \"%s\"", i, got, STR_ARG(r->text),
                     want[i]);
        }
    }
}

static void
deliver_8bit(struct world *w, struct str head)
{
    w->head = head;
    w->body = STR("Gr\xc3\xbc"
                  "n\r\n");
    deliver(w, (const char *const[]){"a@one.example", NULL});
}

#define TO(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define EXPECT(...) expect(w, TO(__VA_ARGS__))

/* ---- tests */

static void
test_lmtp(void **state)
{
    struct world *w = *state;
    w->manners[0].lmtp = true;
    w->manners[0].verdict = OK "452 4.2.2 full\r\n";
    deliver(w, TO("a@ours.example", "bad@ours.example", "b@ours.example"));
    EXPECT("delivered 250 2.0.0", "failed 550 5.1.1", "deferred 452 4.2.2");
    assert_true(w->delivery.connected);
    assert_true(str_contains_char(w->delivery.results[0].remote, ':'));
}

static void
test_unix_socket(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@unix.example"));
    EXPECT("delivered 250 2.0.0");
    assert_true(str_eq(w->delivery.results[0].remote, str_from_cstr(w->unix_path)));
}

static void
test_time_is_over(void **state)
{
    struct world *w = *state;
    w->manners[1].rcpt = "<HANG>";
    w->time_ms = 600; /* less than the time-out of a command */
    deliver(w, TO("a@one.example", "b@two.example", "c@twice.example"));
    EXPECT("relayed- 250 2.0.0", "deferred 0 4.4.7", "deferred 0 4.4.7");
    assert_int_equal(w->manners[0].verdicts, 1);
}

static void
test_content_arrives(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@one.example"));
    EXPECT("relayed- 250 2.0.0");
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_true(str_eq(test_server_content(w->servers[0]), STR("Subject: s\r\n\r\ntext\r\n")));
    assert_true(str_eq(test_server_commands(w->servers[0]),
                       STR("EHLO gw.ours.example\nMAIL FROM:<a@sender.example>\n"
                           "RCPT TO:<a@one.example>\nDATA\n")) ||
                str_ends_with(test_server_commands(w->servers[0]), STR("DATA\nQUIT\n")));
}

static void
test_dsn_is_left_to_the_next_hop(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250 DSN\r\n";
    deliver(w, TO("a@one.example"));
    EXPECT("relayed 250 2.0.0");
}

static void
test_connection_is_reused(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = PIPE_EHLO;
    for (int i = 0; i < 5; i++) {
        deliver(w, TO("a@one.example"));
        EXPECT("relayed- 250 2.0.0");
    }
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(atomic_load(&w->relay.counters.connections_reused), 4);
}

static void
test_limit_of_reuse(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250 LIMITS MAILMAX=2\r\n";
    for (int i = 0; i < 5; i++) {
        deliver(w, TO("a@one.example"));
        EXPECT("relayed- 250 2.0.0");
    }
    assert_int_equal(test_server_connections(w->servers[0]), 3);
}

static void
test_connection_that_died_while_idle(void **state)
{
    struct world *w = *state;
    w->manners[0].closes_after_verdict = true;
    deliver(w, TO("a@one.example"));
    w->manners[0].verdicts = 1;
    deliver(w, TO("a@one.example"));
    /* The old connection was closed at MAIL, unanswered; so was the new one. */
    EXPECT("deferred 0 4.4.2");
    w->manners[0].closes_after_verdict = false;
    deliver(w, TO("a@one.example"));
    EXPECT("relayed- 250 2.0.0");
}

static void
test_recipients_are_split(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n";
    deliver(
        w, TO("1@one.example", "2@one.example", "3@one.example", "4@one.example", "5@one.example"));
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0",
           "relayed- 250 2.0.0");
    assert_int_equal(w->manners[0].verdicts, 3);
    assert_int_equal(test_server_connections(w->servers[0]), 1);
}

static void
test_too_many_recipients_for_the_server(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt_most = 2;
    deliver(w, TO("1@one.example", "2@one.example", "3@one.example"));
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_int_equal(w->manners[0].verdicts, 2);
}

static void
test_two_hops_in_one_lease(void **state)
{
    struct world *w = *state;
    w->manners[1].rcpt = "450 4.2.1 later\r\n";
    deliver(w, TO("a@one.example", "a@two.example", "b@one.example"));
    EXPECT("relayed- 250 2.0.0", "deferred 450 4.2.1", "relayed- 250 2.0.0");
}

static void
test_lost_after_the_dot(void **state)
{
    struct world *w = *state;
    w->manners[0].verdict = "<CLOSE>";
    deliver(w, TO("a@twice.example"));
    /* The next host is not asked: the message may have arrived. */
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(w->manners[0].verdicts, 1);
}

static void
test_lost_before_the_dot(void **state)
{
    struct world *w = *state;
    w->manners[0].data = "<CLOSE>";
    deliver(w, TO("a@twice.example"));
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

static void
test_no_answer(void **state)
{
    struct world *w = *state;
    w->manners[0].greeting = "<HANG>";
    deliver(w, TO("a@one.example"));
    EXPECT("deferred 0 4.4.2");
    assert_false(w->delivery.connected);
}

static void
test_next_mx(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@mx.example"));
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(atomic_load(&w->relay.counters.connections_failed), 1);
}

static void
test_greeting_is_a_refusal(void **state)
{
    struct world *w = *state;
    w->manners[0].greeting = "554 5.7.1 no mail from you\r\n";
    deliver(w, TO("a@one.example"));
    EXPECT("failed 554 ");
    /* A host that could not be reached may take it later: that outweighs the refusal. */
    deliver(w, TO("a@mx.example"));
    EXPECT("deferred 0 4.4.1");
    w->manners[0].greeting = "421 4.3.2 full\r\n";
    deliver(w, TO("a@one.example"));
    EXPECT("deferred 421 ");
}

static void
test_names_that_lead_nowhere(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@null.example", "a@absent.example", "a@sick.example", "a@halfsick.example",
                  "a@self.example", "a@nohost.example"));
    EXPECT("failed 556 5.1.10", "failed 0 5.1.2", "deferred 0 4.4.3", "deferred 0 4.4.3",
           "deferred 0 4.4.6", "deferred 0 4.4.4");
    assert_false(w->delivery.connected);
}

static void
test_8bit_content(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = PIPE_EHLO;
    deliver_8bit(w, STR("MIME-Version: 1.0\r\n\r\n"));
    EXPECT("relayed- 250 2.0.0");
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].ehlo = PLAIN_EHLO;
    deliver_8bit(w, STR("MIME-Version: 1.0\r\n\r\n"));
    EXPECT("relayed- 250 2.0.0");
    deliver_8bit(w, STR("Subject: \xc3\xbc\r\n\r\n"));
    EXPECT("failed 0 5.6.3");
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_true(str_eq(test_server_content(w->servers[0]),
                       STR("MIME-Version: 1.0\r\n\r\nGr\xc3\xbc"
                           "n\r\n"
                           "MIME-Version: 1.0\r\n"
                           "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                           "Gr=C3=BCn\r\n")));
}

static void
test_server_with_our_name(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250 GW.ours.example\r\n";
    deliver(w, TO("a@alive.example"));
    EXPECT("failed 0 5.4.6");
    deliver(w, TO("a@one.example")); /* an inner server may have our name */
    EXPECT("relayed- 250 2.0.0");
}

static void
test_address_literal(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@[127.0.0.1]"));
    EXPECT("relayed- 250 2.0.0");
}

static void
test_tls(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    deliver(w, TO("a@one.example", "a@tls.example", "a@clear.example"));
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_true(str_starts_with(w->delivery.results[0].tls, STR("TLSv1.3 ")));
    assert_true(str_starts_with(w->delivery.results[1].tls, STR("TLSv1.3 ")));
    assert_int_equal(w->delivery.results[2].tls.n, 0);
    assert_int_equal(test_server_connections(w->servers[0]), 3);
}

static void
test_tls_that_fails(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].tls_fails = true;
    deliver(w, TO("a@one.example"));
    EXPECT("relayed- 250 2.0.0"); /* in the clear, over a new connection */
    assert_int_equal(w->delivery.results[0].tls.n, 0);
    assert_int_equal(test_server_connections(w->servers[0]), 2);
    deliver(w, TO("a@tls.example"));
    EXPECT("deferred 0 4.7.5");
    assert_int_equal(test_server_connections(w->servers[0]), 3);
}

static void
test_tls_required_by_a_zone(void **state)
{
    struct world *w = *state;
    config_unref(&w->config);
    load_config(w, "zones: [{name: here, networks: [127.0.0.0/8], minimum_tls: required}]\n");
    deliver(w, TO("a@one.example"));
    EXPECT("deferred 0 4.7.4");
    deliver(w, TO("a@unix.example")); /* no network */
    EXPECT("delivered 250 2.0.0");
}

static void
test_idle_connections_are_left_with_quit(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@one.example"));
    assert_int_equal(relay_idle_count(w->relay.idle), 1);
    relay_idle_leave_all(w->relay.idle, 1000);
    assert_null(relay_idle_take(w->relay.idle, STR("any")));
    for (int64_t i = 0; i < 500 && relay_idle_count(w->relay.idle) > 0; i++) {
        relay_idle_tick(w->relay.idle, 1000 + i);
        usleep(1000);
    }
    assert_int_equal(relay_idle_count(w->relay.idle), 0);
    test_server_end(w->servers[0]);
    assert_true(str_ends_with(test_server_commands(w->servers[0]), STR("QUIT\n")));
}

static void
test_idle_connections_are_bounded(void **state)
{
    struct world *w = *state;
    relay_idle_set(w->relay.idle, 1, 60000);
    deliver(w, TO("a@one.example", "a@two.example"));
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0");
    relay_idle_leave_all(w->relay.idle, clock_monotonic_ms());
    for (int i = 0; i < 500 && relay_idle_count(w->relay.idle) > 0; i++) {
        relay_idle_tick(w->relay.idle, clock_monotonic_ms());
        usleep(1000);
    }
    assert_int_equal(relay_idle_count(w->relay.idle), 0);
}

static void
test_idle_connections_give_way(void **state)
{
    struct world *w = *state;
    config_unref(&w->config);
    w->connections = 1;
    load_config(w, "");
    deliver(w, TO("a@one.example"));
    EXPECT("relayed- 250 2.0.0");
    deliver(w, TO("a@two.example")); /* one connection is all there may be */
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(relay_idle_count(w->relay.idle), 1);
    assert_null(relay_idle_take(w->relay.idle, STR("nobody")));
    deliver(w, TO("b@two.example"));
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(test_server_connections(w->servers[1]), 1);
}

static void
test_idle_connections_grow_old(void **state)
{
    struct world *w = *state;
    deliver(w, TO("a@one.example"));
    int64_t now = clock_monotonic_ms();
    relay_idle_tick(w->relay.idle, now + 50000);
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    deliver(w, TO("a@one.example"));
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    relay_idle_tick(w->relay.idle, clock_monotonic_ms() + 60000);
    deliver(w, TO("a@one.example"));
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

static void
test_trace_tells_the_attempts(void **state)
{
    struct world *w = *state;
    struct trace_reader reader;
    struct trace_event event;
    char names[1024] = "";
    deliver(w, TO("a@mx.example", "bad@mx.example"));
    assert_int_equal(trace_reader_init(&reader, trace_events(&w->trace)), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        strncat(names, event.row->name, sizeof names - strlen(names) - 1);
        strncat(names, " ", sizeof names - strlen(names) - 1);
    }
    assert_string_equal(names, "attempt_started attempt_failed attempt_started attempt_tls "
                               "delivered failed ");
}

/* ---- call-outs */

static struct relay_callout_answer
ask(struct world *w, const char *address)
{
    struct relay_callout_answer answer;
    relay_callout_ask(&w->relay, w->config, w->tls, w->arena, str_from_cstr(address), &answer);
    return answer;
}

static void
test_callout(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask(w, "a@one.example").code, 250);
    assert_int_equal(ask(w, "bad@one.example").code, 550);
    assert_true(str_eq(ask(w, "bad@one.example").enhanced, STR("5.1.1")));
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(w->manners[0].verdicts, 0);
    /* The connection serves deliveries, too. */
    deliver(w, TO("a@one.example"));
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    /* A refused null sender says nothing about the recipient. */
    w->manners[0].mail = "550 5.7.1 no bounces here\r\n";
    assert_int_equal(ask(w, "a@one.example").code, 0);
    assert_int_equal(ask(w, "a@absent.example").code, 0);
    assert_int_equal(ask(w, "\xc3\xbc@two.example").code, 553);
}

static void
test_callout_cache(void **state)
{
    struct world *w = *state;
    struct relay_callout_cache *cache = relay_callout_cache_create();
    struct relay_callout_answer yes = {.code = 250, .text = STR("fine")};
    struct relay_callout_answer no = {.code = 550, .enhanced = STR("5.1.1")};
    struct relay_callout_answer later = {.code = 450};
    struct relay_callout_answer got;
    const struct config_callout *times = &w->config->callout;
    relay_callout_keep(cache, w->config, STR("yes@x"), 1000, &yes);
    relay_callout_keep(cache, w->config, STR("no@x"), 1000, &no);
    relay_callout_keep(cache, w->config, STR("later@x"), 1000, &later);
    assert_int_equal(relay_callout_cache_count(cache), 2);
    assert_true(relay_callout_find(cache, w->arena, STR("yes@x"), 1001, &got));
    assert_int_equal(got.code, 250);
    assert_true(str_eq(got.text, STR("fine")));
    assert_true(relay_callout_find(cache, w->arena, STR("no@x"), 1001, &got));
    assert_int_equal(got.code, 550);
    assert_false(relay_callout_find(cache, w->arena, STR("later@x"), 1001, &got));
    int64_t no_longer = 1000 + times->negative_cache_ms;
    assert_false(relay_callout_find(cache, w->arena, STR("no@x"), no_longer, &got));
    assert_true(relay_callout_find(cache, w->arena, STR("yes@x"), no_longer, &got));
    /* A later answer takes the place of the earlier one; the oldest give way. */
    relay_callout_keep(cache, w->config, STR("yes@x"), 2000, &no);
    assert_true(relay_callout_find(cache, w->arena, STR("yes@x"), 2001, &got));
    assert_int_equal(got.code, 550);
    for (unsigned i = 0; i < RELAY_CALLOUT_CACHE_MAX; i++) {
        char address[32];
        snprintf(address, sizeof address, "%u@x", i);
        relay_callout_keep(cache, w->config, str_from_cstr(address), 3000, &yes);
    }
    assert_int_equal(relay_callout_cache_count(cache), RELAY_CALLOUT_CACHE_MAX);
    assert_false(relay_callout_find(cache, w->arena, STR("yes@x"), 3001, &got));
    relay_callout_cache_clear(cache);
    assert_int_equal(relay_callout_cache_count(cache), 0);
    relay_callout_cache_destroy(&cache);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lmtp),
        TEST(test_unix_socket),
        TEST(test_time_is_over),
        TEST(test_content_arrives),
        TEST(test_dsn_is_left_to_the_next_hop),
        TEST(test_connection_is_reused),
        TEST(test_limit_of_reuse),
        TEST(test_connection_that_died_while_idle),
        TEST(test_recipients_are_split),
        TEST(test_too_many_recipients_for_the_server),
        TEST(test_two_hops_in_one_lease),
        TEST(test_lost_after_the_dot),
        TEST(test_lost_before_the_dot),
        TEST(test_no_answer),
        TEST(test_next_mx),
        TEST(test_greeting_is_a_refusal),
        TEST(test_names_that_lead_nowhere),
        TEST(test_8bit_content),
        TEST(test_server_with_our_name),
        TEST(test_address_literal),
        TEST(test_tls),
        TEST(test_tls_that_fails),
        TEST(test_tls_required_by_a_zone),
        TEST(test_idle_connections_are_left_with_quit),
        TEST(test_idle_connections_are_bounded),
        TEST(test_idle_connections_give_way),
        TEST(test_idle_connections_grow_old),
        TEST(test_trace_tells_the_attempts),
        TEST(test_callout),
        TEST(test_callout_cache),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
