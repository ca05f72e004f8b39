#include "roles/relay/test_world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/delivery.h"

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
    if (m->first != NULL && connection == 0) {
        m = (struct manner *)(uintptr_t)m->first;
    }
    if (line[0] == '\0') {
        m->said_ehlo = false;
        return or_else(m->greeting, "220 mx.example\r\n");
    }
    if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "LHLO", 4) == 0) {
        bool second = m->said_ehlo;
        m->said_ehlo = true;
        return second && m->ehlo_tls != NULL ? m->ehlo_tls : or_else(m->ehlo, PLAIN_EHLO);
    }
    if (strncmp(line, "HELO", 4) == 0) {
        return or_else(m->ehlo_tls, OK);
    }
    if (strcmp(line, "STARTTLS") == 0) {
        return m->tls_fails ? "220 go\r\n" : or_else(m->starttls, "<TLS>");
    }
    if (strncmp(line, "AUTH", 4) == 0) {
        return or_else(m->auth, "500 what\r\n");
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
        if (strstr(line, "bad@") != NULL) {
            return "550 5.1.1 no such user\r\n";
        }
        return m->rcpt_of == NULL || strstr(line, m->rcpt_of) != NULL ? or_else(m->rcpt, OK) : OK;
    }
    if (strcmp(line, "DATA") == 0) {
        return or_else(m->data, "354 go\r\n");
    }
    if (strcmp(line, "BDAT") == 0 && m->bdat != NULL) {
        return m->bdat;
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

void
world_load_config(struct world *w, const char *more)
{
    struct str text =
        arena_printf(w->arena,
                     "hostname: gw.ours.example\n"
                     "bounce: {postmaster: bob@ours.example}\n"
                     "listeners: [{address: 127.0.0.1, port: 1, kind: mx}]\n"
                     "queue: {%sconnections: %u, timeouts: {connect: 2s, greeting: 1s, command: "
                     "1s, data_init: 1s,"
                     " data_end: 1s, tls_handshake: 1s, idle: 1m}}\n"
                     "domains:\n"
                     "  - {name: ours.example, delivery: \"lmtp://127.0.0.1:%u\"}\n"
                     "  - {name: unix.example, delivery: \"lmtp:%s\"}\n"
                     "  - {name: self.example, delivery: \"smtp://loop.example:1\"}\n"
                     "routes:\n"
                     "  - {domain: one.example, to: \"smtp://127.0.0.1:%u\"}\n"
                     "  - {domain: two.example, to: \"smtp://127.0.0.2:%u\"}\n"
                     "  - {domain: clear.example, to: \"smtp://127.0.0.1:%u\", tls: none}\n"
                     "  - {domain: tls.example, to: \"smtp://127.0.0.1:%u\", tls: required}\n"
                     "  - {domain: nohost.example, to: \"smtp://absent.example:25\"}\n"
                     "%s",
                     w->in_queue, w->connections, test_server_port(w->servers[0]), w->unix_path,
                     test_server_port(w->servers[0]), test_server_port(w->servers[1]),
                     test_server_port(w->servers[0]), test_server_port(w->servers[0]), more);
    static struct config_errors errors;
    config_unref(&w->config); /* that of before; NULL at first */
    if (config_load_text(w->arena, text, &w->config, &errors) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(config_error_format(w->arena, STR("test"), &errors.items[0])));
    }
}

static const char zone_text[] =
    "{\"mx.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"dead.example\"},"
    "                  {\"type\": \"MX\", \"pref\": 20, \"value\": \"alive.example\"}],"
    " \"twice.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"alive.example\"},"
    "                     {\"type\": \"MX\", \"pref\": 20, \"value\": \"alive.example\"}],"
    " \"pair.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"alive.example\"},"
    "                    {\"type\": \"MX\", \"pref\": 20, \"value\": \"second.example\"}],"
    " \"backup.example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"alive.example\"},"
    "                      {\"type\": \"MX\", \"pref\": 20, \"value\": \"dead.example\"}],"
    " \"second.example\": [{\"type\": \"A\", \"value\": \"127.0.0.2\"}],"
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

int
world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct tls_client_settings tls = {0};
    char error[TLS_ERROR_MAX];
    struct str zone_error = STR("");
    w->arena = arena_create(DELIVERY_CEILING);
    w->manners[2].lmtp = true;
    w->connections = 200;
    w->in_queue = "";
    w->time_ms = 60000;
    w->head = STR("Subject: s\r\n\r\n");
    w->body = STR("text\r\n");
    snprintf(w->unix_path, sizeof w->unix_path, "/tmp/postern-deliver-test-%d", (int)getpid());
    while (w->servers[1] == NULL) { /* until a port is free at both addresses */
        test_server_stop(&w->servers[0]);
        w->servers[0] = test_server_start(answer, &w->manners[0], NULL);
        w->servers[1] = test_server_start_at(answer, &w->manners[1], INADDR_LOOPBACK + 1,
                                             test_server_port(w->servers[0]));
    }
    w->servers[2] = test_server_start(answer, &w->manners[2], w->unix_path);
    world_load_config(w, "");
    assert_int_equal(tls_client_create(&tls, &w->tls, error), STATUS_OK);
    assert_int_equal(dns_zone_create(w->arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE,
                                     &w->zone, &zone_error),
                     STATUS_OK);
    w->relay.route = (struct relay_route_world){.dns = dns_source_from_zone(w->zone),
                                                .random_below = pick_last,
                                                .smtp_port = test_server_port(w->servers[0])};
    w->relay.idle = relay_idle_create();
    w->relay.quirks = relay_quirks_create();
    relay_idle_set(w->relay.idle, 10, 60000);
    trace_init(&w->trace, NULL);
    *state = w;
    return 0;
}

int
world_teardown(void **state)
{
    struct world *w = *state;
    relay_idle_destroy(&w->relay.idle);
    relay_quirks_destroy(&w->relay.quirks);
    for (size_t i = 0; i < TEST_SERVERS_MAX; i++) {
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

void
world_deliver(struct world *w, const char *const *addresses)
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
                                      .flags = w->flags,
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

void
world_expect(struct world *w, const char *const *want)
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
