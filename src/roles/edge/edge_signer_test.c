/* TLS at a real edge process whose signer is away, stalls, or answers what it should not. */
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ipc/packet.h"
#include "roles/edge/signing.h"
#include "roles/edge/test_client.h"
#include "roles/role_test_parent.h"
#include "roles/signer/signer.h"

#define NO_DELAY "limits: {pregreet_delay: 0ms}\n"
#define WAIT_MS  20000

/* Until STARTTLS gets such a reply: the edge hears of it in its own time. */
static void
wait_for_starttls(struct world *world, const char *code)
{
    int64_t const end_ms = clock_monotonic_ms() + WAIT_MS;
    for (;;) {
        struct client client;
        client_connect(&client, world, WORLD_MX, 1);
        client_greet(&client);
        client_say(&client, "STARTTLS", "");
        bool found = strncmp(client.reply, code, 3) == 0;
        client_close(&client);
        if (found) {
            return;
        }
        assert_true(clock_monotonic_ms() < end_ms);
        world_wait(world, -1, 20);
    }
}

static void
message_over_tls(struct world *world)
{
    struct client client;
    client_connect(&client, world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "STARTTLS", "220");
    client_starttls(&client);
    client_say(&client, "EHLO client.example", "250-mx.ours.example");
    client_send_message(&client, "250 2.0.0 Accepted");
    client_close(&client);
}

/* Its handshake fails, whatever way; the edge ends the connection. */
static void
handshake_fails(struct world *world)
{
    struct client client;
    client_connect(&client, world, WORLD_SMTPS, 1);
    client.context = SSL_CTX_new(TLS_client_method());
    client.ssl = SSL_new(client.context);
    SSL_set_fd(client.ssl, client.fd);
    int result;
    while ((result = SSL_connect(client.ssl)) != 1 &&
           SSL_get_error(client.ssl, result) == SSL_ERROR_WANT_READ) {
        assert_true(world_wait(world, client.fd, WAIT_MS));
    }
    assert_int_not_equal(result, 1);
    client_close(&client);
}

static void
without_a_signer_starttls_is_put_off(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    message_over_tls(&world);
    world_signer_down(&world);
    wait_for_starttls(&world, "454");
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "STARTTLS", "454 4.7.0 TLS is not available now");
    client_send_message(&client, "250 2.0.0 Accepted"); /* TLS is not demanded here */
    client_close(&client);
    client_connect(&client, &world, WORLD_SUBMISSION, 1);
    client_greet(&client);
    client_say(&client, "STARTTLS", "454 4.7.0");
    client_say(&client, "MAIL FROM:<bob@ours.example>", "530 5.7.0 Must issue a STARTTLS");
    client_close(&client);
    handshake_fails(&world);
    world_signer_up(&world);
    wait_for_starttls(&world, "220");
    message_over_tls(&world);
    assert_true(world_metric(&world, "edge_unsigned_handshakes_total") >= 1);
    world_end(&world);
}

/* A connection that is open while the signer dies and comes back notices nothing. */
static void
open_connections_do_not_need_it(void **state)
{
    struct world world;
    struct client inside;
    struct client before;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&inside, &world, WORLD_MX, 1);
    client_greet(&inside);
    client_say(&inside, "STARTTLS", "220");
    client_starttls(&inside);
    client_connect(&before, &world, WORLD_MX, 2);
    client_greet(&before);
    world_signer_down(&world);
    wait_for_starttls(&world, "454");
    client_say(&inside, "EHLO client.example", "250-mx.ours.example");
    client_send_message(&inside, "250 2.0.0 Accepted");
    client_say(&before, "STARTTLS", "454");
    world_signer_up(&world);
    wait_for_starttls(&world, "220");
    client_say(&before, "STARTTLS", "220");
    client_starttls(&before);
    client_close(&inside);
    client_close(&before);
    world_end(&world);
}

/* The edge waits once, then handshakes fail at once for a while; others are served all the time. */
static void
a_signer_that_stalls_does_not_stop_the_edge(void **state)
{
    struct world world;
    struct client other;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&other, &world, WORLD_MX, 1);
    client_greet(&other);
    kill(world.signer.pid, SIGSTOP);
    handshake_fails(&world);
    client_send_message(&other, "250 2.0.0 Accepted");
    for (unsigned i = 0; i < 5; i++) {
        handshake_fails(&world);
    }
    kill(world.signer.pid, SIGCONT);
    wait_for_starttls(&world, "220");
    message_over_tls(&world); /* what it answered late in between is nobody's */
    message_over_tls(&world);
    client_close(&other);
    world_end(&world);
}

/* ---- a signer that is none */

enum manner {
    RUBBISH,   /* octets that are no message */
    UNASKED,   /* a message that no signer may send */
    EMPTY,     /* a signature without octets */
    FALSE_ONE, /* octets that are no signature */
    UNKNOWN,   /* an outcome that does not exist */
    FAR_AHEAD, /* the answer to another question */
    HANGS_UP,
    MANNER_COUNT,
};

static void
answer(int line, uint64_t request, enum manner manner)
{
    static char octets[2048];
    struct msg_tls_signed reply = {.outcome = SIGNER_SIGNED};
    struct msg_stop stop = {.grace_ms = 1};
    memset(octets, 0x5a, sizeof octets);
    switch (manner) {
    case RUBBISH:
        (void)send(line, octets, sizeof octets, 0);
        return;
    case UNASKED:
        (void)!channel_plain_send(line, MSG_STOP, 0, &stop);
        return;
    case FALSE_ONE:
        reply.signature = str_make(octets, 70);
        break;
    case UNKNOWN:
        reply.outcome = 77;
        break;
    case FAR_AHEAD:
        request += 1000;
        break;
    case EMPTY:
    case HANGS_UP:
    case MANNER_COUNT:
        break;
    }
    (void)!channel_plain_send(line, MSG_TLS_SIGNED, request, &reply);
}

/* In a process of its own: answers one question, then goes. */
static pid_t
play(int line, enum manner manner)
{
    pid_t pid = fork();
    if (pid != 0) {
        close(line);
        return pid;
    }
    struct ipc_message *question;
    if (channel_plain_receive(line, ROLE_EDGE, ROLE_SIGNER, WAIT_MS, &question) == STATUS_OK &&
        manner != HANGS_UP) {
        answer(line, question->request, manner);
        usleep(SIGNING_WAIT_MS * 1500); /* the edge may wait for more */
    }
    _exit(0);
}

static void
a_signer_that_answers_rubbish_is_left(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, NO_DELAY);
    for (unsigned manner = 0; manner < MANNER_COUNT; manner++) {
        int line = role_test_peer(world.control, ROLE_SIGNER);
        pid_t pid = play(line, (enum manner)manner);
        wait_for_starttls(&world, "220");
        handshake_fails(&world);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        test_signer_join(&world.signer, world.control);
        wait_for_starttls(&world, "220");
        message_over_tls(&world);
    }
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_signer_starttls_is_put_off),
        cmocka_unit_test(open_connections_do_not_need_it),
        cmocka_unit_test(a_signer_that_stalls_does_not_stop_the_edge),
        cmocka_unit_test(a_signer_that_answers_rubbish_is_left),
    };
    return cmocka_run_group_tests_name("edge and signer", tests, NULL, NULL);
}
