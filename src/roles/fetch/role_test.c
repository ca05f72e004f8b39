/* The whole role in a process of its own; the test is its parent, the resolver and the relay. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns/dns.h"
#include "fetch/source_channel.h"
#include "fetch/test_server.h"
#include "roles/fetch/fetch.h"
#include "roles/role_test_parent.h"

#define HOST  "mta-sts.example.com"
#define URL   "https://" HOST "/.well-known/mta-sts.txt"
#define DAY_S 86400L

struct world {
    char directory[64];
    pid_t pid;
    int control, resolver, relay;
    struct test_certificate certificate;
    struct test_server server;
    unsigned questions;
    struct arena *arena;
};

/* ---- life */

static void
send_roots(struct world *world)
{
    struct msg_certificate fields = {.name = STR("roots")};
    assert_int_equal(
        ipc_memfd_create("roots", str_from_cstr(world->certificate.pem), &fields.chain_pem),
        STATUS_OK);
    role_test_send(world->control, MSG_CERTIFICATE, 0, &fields);
    close(fields.chain_pem);
}

static void
begin(struct world *world, const char *settings)
{
    char text[512];
    struct msg_start start = {.generation = 1};
    snprintf(text, sizeof text,
             "hostname: gw.example.com\n"
             "listeners: [{address: 127.0.0.1, port: 1, kind: mx}]\n"
             "logging: {level: error}\n"
             "fetch: {port: %u%s}\n",
             world->server.port, settings);
    role_test_configure(world->control, world->directory, text);
    world->resolver = role_test_peer(world->control, ROLE_RESOLVER);
    world->relay = role_test_peer(world->control, ROLE_RELAY);
    send_roots(world);
    role_test_send(world->control, MSG_START, 0, &start);
    role_test_ready(world->control, ROLE_FETCH);
}

/* The process is made before the server's thread: what a thread has locked stays locked in it. */
static void
world_open(struct world *world, const struct test_script *script, const char *settings)
{
    *world = (struct world){.arena = arena_create(1u << 20)};
    snprintf(world->directory, sizeof world->directory, "/tmp/postern-fetch-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    world->pid = role_test_launch(&fetch_role, &world->control);
    test_certificate_make("x", "DNS:" HOST, -DAY_S, DAY_S, &world->certificate);
    test_server_start(&world->server, &world->certificate, script);
    begin(world, settings);
}

static void
stop(struct world *world)
{
    struct msg_stop fields = {.grace_ms = 10000};
    role_test_send(world->control, MSG_STOP, 0, &fields);
}

static void
world_close(struct world *world)
{
    int status = 0;
    stop(world);
    assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
    assert_int_equal(status, 0);
    test_server_stop(&world->server);
    test_certificate_free(&world->certificate);
    close(world->control);
    close(world->resolver);
    close(world->relay);
    rmdir(world->directory);
    arena_destroy(&world->arena);
}

/* ---- the other roles */

static void
ask(struct world *world, uint64_t number, const char *url)
{
    static const struct str types[] = {STR_INIT("text/plain")};
    struct record_media_type records[FETCH_MEDIA_TYPES_MAX];
    struct msg_fetch fields;
    struct fetch_request request = {.url = str_from_cstr(url),
                                    .size_max = 1000,
                                    .timeout_ms = 20000,
                                    .media_types = types,
                                    .media_type_count = 1};
    fetch_request_to_message(&request, records, &fields);
    role_test_send(world->relay, MSG_FETCH, number, &fields);
}

/* The host has the loopback's address, and no other. */
static void
resolve_next(struct world *world)
{
    static struct record_rdata loopback[] = {{.octets = STR_INIT("\x7f\0\0\x01")}};
    struct ipc_message *message;
    assert_int_equal(channel_plain_receive(world->resolver, ROLE_FETCH, ROLE_RESOLVER,
                                           ROLE_TEST_WAIT_MS, &message),
                     STATUS_OK);
    assert_int_equal(message->type, MSG_RESOLVE);
    const struct msg_resolve *question = MSG_BODY(message, resolve);
    struct msg_resolve_reply reply = {.outcome = DNS_OUTCOME_NODATA,
                                      .security = DNS_SECURITY_INSECURE,
                                      .canonical = question->name,
                                      .ttl = 60};
    assert_true(str_eq(question->name, STR(HOST)));
    if (question->type == DNS_TYPE_A) {
        reply.outcome = DNS_OUTCOME_ANSWER;
        reply.records.items = loopback;
        reply.records.n = 1;
    }
    world->questions++;
    role_test_send(world->resolver, MSG_RESOLVE_REPLY, message->request, &reply);
    ipc_message_free(&message);
}

/* The next answer; the text is in the world's arena. */
static struct fetch_response
take_answer(struct world *world, uint64_t *number_out)
{
    struct fetch_response response;
    struct ipc_message *message;
    assert_int_equal(
        channel_plain_receive(world->relay, ROLE_FETCH, ROLE_RELAY, ROLE_TEST_WAIT_MS, &message),
        STATUS_OK);
    assert_int_equal(message->type, MSG_FETCH_REPLY);
    *number_out = message->request;
    assert_int_equal(
        fetch_response_from_reply(world->arena, MSG_BODY(message, fetch_reply), &response),
        STATUS_OK);
    ipc_message_free(&message);
    return response;
}

static int64_t
metric(struct world *world, const char *name)
{
    struct ipc_message *message;
    int64_t value = -1;
    role_test_send(world->control, MSG_STATUS_REQUEST, 9, NULL);
    assert_int_equal(
        channel_plain_receive(world->control, ROLE_FETCH, ROLE_PARENT, ROLE_TEST_WAIT_MS, &message),
        STATUS_OK);
    assert_int_equal(message->type, MSG_STATUS_REPLY);
    const struct msg_status_reply *reply = MSG_BODY(message, status_reply);
    for (size_t i = 0; i < reply->metrics.n; i++) {
        if (str_eq(reply->metrics.items[i].name, str_from_cstr(name))) {
            value = reply->metrics.items[i].value;
        }
    }
    ipc_message_free(&message);
    return value;
}

/* ---- tests */

#define POLICY "version: STSv1\nmode: none\n"

static const struct test_script policy = {
    .text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n\r\n" POLICY};

#define LAB ", private_addresses: [127.0.0.0/8]"

static void
test_askers_share_a_fetch(void **state)
{
    struct world world;
    bool seen[4] = {0};
    (void)state;
    world_open(&world, &policy, LAB);
    for (uint64_t i = 1; i <= 3; i++) {
        ask(&world, i, URL);
    }
    resolve_next(&world); /* not before: so all three are there when the fetch begins */
    resolve_next(&world);
    for (int i = 0; i < 3; i++) {
        uint64_t number = 0;
        struct fetch_response response = take_answer(&world, &number);
        assert_int_equal(response.outcome, FETCH_OUTCOME_OK);
        assert_int_equal(response.http_status, 200);
        assert_true(str_eq(response.body, STR(POLICY)));
        assert_true(str_eq(response.content_type, STR("text/plain")));
        assert_in_range(number, 1, 3);
        assert_false(seen[number]);
        seen[number] = true;
    }
    assert_int_equal(metric(&world, "fetches_total{outcome=\"ok\"}"), 1);
    assert_int_equal(metric(&world, "fetches_shared_total"), 2);
    assert_int_equal(metric(&world, "fetches_under_way"), 0);
    world_close(&world);
    assert_int_equal(atomic_load(&world.server.connections), 1);
}

/* Nothing is kept: that is the asker's part. */
static void
test_next_fetch_is_another(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, &policy, LAB);
    for (uint64_t i = 1; i <= 2; i++) {
        uint64_t number = 0;
        ask(&world, i, URL);
        resolve_next(&world);
        resolve_next(&world);
        struct fetch_response response = take_answer(&world, &number);
        assert_int_equal(response.outcome, FETCH_OUTCOME_OK);
        assert_int_equal(number, i);
    }
    world_close(&world);
    assert_int_equal(atomic_load(&world.server.connections), 2);
}

static void
test_private_address(void **state)
{
    struct world world;
    uint64_t number = 0;
    (void)state;
    world_open(&world, &policy, "");
    ask(&world, 1, URL);
    resolve_next(&world);
    resolve_next(&world);
    struct fetch_response response = take_answer(&world, &number);
    assert_int_equal(response.outcome, FETCH_OUTCOME_ADDRESS);
    assert_true(response.detail.n > 0);
    world_close(&world);
    assert_int_equal(atomic_load(&world.server.connections), 0);
}

/* A hanging server does not hold up the end. */
static void
test_stop_gives_up(void **state)
{
    static const struct test_script hang = {.hang = true};
    struct world world;
    uint64_t number = 0;
    (void)state;
    world_open(&world, &hang, LAB);
    ask(&world, 1, URL);
    resolve_next(&world);
    resolve_next(&world);
    while (atomic_load(&world.server.connections) == 0) {
        usleep(1000);
    }
    stop(&world);
    struct fetch_response response = take_answer(&world, &number);
    assert_int_equal(response.outcome, FETCH_OUTCOME_BUSY);
    int status = 0;
    assert_int_equal(waitpid(world.pid, &status, 0), world.pid);
    assert_int_equal(status, 0);
    test_server_stop(&world.server);
    test_certificate_free(&world.certificate);
    close(world.control);
    close(world.resolver);
    close(world.relay);
    rmdir(world.directory);
    arena_destroy(&world.arena);
}

/* Our own code checks before it asks: who asks for such a thing has been taken over. */
static void
test_no_url_ends_the_asker(void **state)
{
    struct world world;
    struct ipc_message *message;
    (void)state;
    world_open(&world, &policy, LAB);
    ask(&world, 1, "https://127.0.0.1/");
    assert_int_equal(
        channel_plain_receive(world.control, ROLE_FETCH, ROLE_PARENT, ROLE_TEST_WAIT_MS, &message),
        STATUS_OK);
    assert_int_equal(message->type, MSG_MISBEHAVED);
    assert_int_equal(MSG_BODY(message, misbehaved)->role, ROLE_RELAY);
    ipc_message_free(&message);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_askers_share_a_fetch),  cmocka_unit_test(test_next_fetch_is_another),
        cmocka_unit_test(test_private_address),       cmocka_unit_test(test_stop_gives_up),
        cmocka_unit_test(test_no_url_ends_the_asker),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
