/* The signer as a process of its own, in its sandbox, with this test as its parent and its edges.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/body.h"
#include "roles/role_test_parent.h"
#include "roles/signer/signer.h"
#include "tls/signing_key.h"
#include "tls/test_material.h"

#define RSA_PSS_SHA256 0x0804
#define ECDSA_SHA256   0x0403

struct world {
    pid_t pid;
    int control;
    int edge;
    struct test_pem pems[2]; /* P-256 */
    struct tls_key_id ids[2];
};

static const char configuration[] = "hostname: mx.example\n"
                                    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";

/* ---- the parent's part */

static void
send_key(struct world *world, struct str pem)
{
    struct msg_signing_key fields = {.name = STR("/etc/postern/mx.key")};
    assert_int_equal(ipc_memfd_create("key", pem, &fields.key_pem), STATUS_OK);
    role_test_send(world->control, MSG_SIGNING_KEY, 0, &fields);
    close(fields.key_pem);
}

/* One generation, with those of the two keys whose bits are set. */
static void
hand_out(struct world *world, unsigned keys)
{
    struct msg_start start = {.generation = 1};
    role_test_configure(world->control, "/tmp", configuration);
    for (size_t i = 0; i < 2; i++) {
        if ((keys >> i & 1) != 0) {
            send_key(world, world->pems[i].key);
        }
    }
    role_test_send(world->control, MSG_START, 0, &start);
    role_test_ready(world->control, ROLE_SIGNER);
}

static int
world_open(void **state)
{
    static struct world world;
    char error[TLS_ERROR_MAX] = "";
    world = (struct world){.pid = 0};
    world.pid = role_test_launch(&signer_role, &world.control);
    for (size_t i = 0; i < 2; i++) {
        struct tls_signing_key *key = NULL;
        world.pems[i] = test_pem_make("DNS:mx.example", false);
        assert_int_equal(tls_signing_key_parse(world.pems[i].key, &key, error), STATUS_OK);
        world.ids[i] = *tls_signing_key_id(key);
        tls_signing_key_unref(&key);
    }
    world.edge = role_test_peer(world.control, ROLE_EDGE);
    hand_out(&world, 1);
    *state = &world;
    return 0;
}

static int
world_close(void **state)
{
    struct world *world = *state;
    kill(world->pid, SIGKILL);
    waitpid(world->pid, NULL, 0);
    close(world->control);
    close(world->edge);
    for (size_t i = 0; i < 2; i++) {
        arena_destroy_wiped(&world->pems[i].arena);
    }
    return 0;
}

/* ---- the edge's part */

static struct str
certificate_verify(void)
{
    static char input[130];
    memset(input, ' ', 64);
    memcpy(input + 64, "TLS 1.3, server CertificateVerify", 34);
    memset(input + 98, 0x5a, 32);
    return str_make(input, sizeof input);
}

static void
ask(int edge, uint64_t request, const struct tls_key_id *id, uint16_t scheme, struct str input)
{
    struct msg_tls_sign fields = {
        .key = str_make((const char *)id->octets, sizeof id->octets),
        .scheme = scheme,
        .input = input,
    };
    role_test_send(edge, MSG_TLS_SIGN, request, &fields);
}

/* The outcome; the length of the signature in *length_out, where it is wanted. */
static enum signer_outcome
answer(int edge, uint64_t request, size_t *length_out)
{
    struct ipc_message *message = NULL;
    assert_int_equal(
        channel_plain_receive(edge, ROLE_SIGNER, ROLE_EDGE, ROLE_TEST_WAIT_MS, &message),
        STATUS_OK);
    assert_int_equal(message->type, MSG_TLS_SIGNED);
    assert_int_equal(message->request, request);
    const struct msg_tls_signed *signed_ = MSG_BODY(message, tls_signed);
    enum signer_outcome outcome = signed_->outcome;
    if (length_out != NULL) {
        *length_out = signed_->signature.n;
    }
    ipc_message_free(&message);
    return outcome;
}

static enum signer_outcome
asked(int edge, const struct tls_key_id *id, uint16_t scheme, struct str input)
{
    static uint64_t request;
    size_t length = 0;
    ask(edge, ++request, id, scheme, input);
    enum signer_outcome outcome = answer(edge, request, &length);
    assert_int_equal(outcome == SIGNER_SIGNED, length > 0);
    return outcome;
}

/* ---- tests */

static void
handshakes_are_signed_and_nothing_else(void **state)
{
    const struct world *world = *state;
    static const struct tls_key_id unknown;
    struct str good = certificate_verify();
    const struct {
        const struct tls_key_id *id;
        uint16_t scheme;
        struct str input;
        enum signer_outcome want;
    } rows[] = {
        {&world->ids[0], ECDSA_SHA256, good, SIGNER_SIGNED},
        {&world->ids[0], ECDSA_SHA256, STR("hello"), SIGNER_REFUSED},
        {&world->ids[0], ECDSA_SHA256, STR(""), SIGNER_REFUSED},
        {&world->ids[0], ECDSA_SHA256, str_head(good, good.n - 1), SIGNER_REFUSED},
        {&world->ids[0], RSA_PSS_SHA256, good, SIGNER_REFUSED},
        {&world->ids[0], 0, good, SIGNER_REFUSED},
        {&world->ids[1], ECDSA_SHA256, good, SIGNER_UNKNOWN_KEY},
        {&unknown, ECDSA_SHA256, good, SIGNER_UNKNOWN_KEY},
        {&world->ids[0], ECDSA_SHA256, good, SIGNER_SIGNED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (asked(world->edge, rows[i].id, rows[i].scheme, rows[i].input) != rows[i].want) {
            fail_msg("row %zu", i);
        }
    }
}

static void
a_reload_brings_keys_and_keeps_old_ones_for_a_while(void **state)
{
    struct world *world = *state;
    hand_out(world, 2);
    assert_int_equal(asked(world->edge, &world->ids[1], ECDSA_SHA256, certificate_verify()),
                     SIGNER_SIGNED);
    assert_int_equal(asked(world->edge, &world->ids[0], ECDSA_SHA256, certificate_verify()),
                     SIGNER_SIGNED);
    /* one that cannot be read stops no others */
    send_key(world, STR("-----BEGIN PRIVATE KEY-----\n"));
    hand_out(world, 1);
    assert_int_equal(asked(world->edge, &world->ids[0], ECDSA_SHA256, certificate_verify()),
                     SIGNER_SIGNED);
}

/* Each edge has a thread; what one has asked and not fetched holds up no other. */
static void
edges_do_not_wait_for_each_other(void **state)
{
    struct world *world = *state;
    int pair[2];
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        struct msg_peer peer = {.role = ROLE_EDGE, .instance = i, .socket = pair[1]};
        role_test_send(world->control, MSG_PEER, 0, &peer);
        close(pair[1]);
        for (uint64_t request = 0; request < 10; request++) {
            ask(pair[0], request, &world->ids[0], ECDSA_SHA256, certificate_verify());
        }
        assert_int_equal(asked(world->edge, &world->ids[0], ECDSA_SHA256, certificate_verify()),
                         SIGNER_SIGNED);
        for (uint64_t request = 0; request < 10; request++) {
            assert_int_equal(answer(pair[0], request, NULL), SIGNER_SIGNED);
        }
        close(pair[0]);
    }
}

/* An edge that starts again has a new socket; the old one ends. */
static void
a_new_line_replaces_the_old_one(void **state)
{
    struct world *world = *state;
    struct ipc_message *message = NULL;
    int old = world->edge;
    world->edge = role_test_peer(world->control, ROLE_EDGE);
    assert_int_equal(asked(world->edge, &world->ids[0], ECDSA_SHA256, certificate_verify()),
                     SIGNER_SIGNED);
    assert_int_not_equal(
        channel_plain_receive(old, ROLE_SIGNER, ROLE_EDGE, ROLE_TEST_WAIT_MS, &message), STATUS_OK);
    close(old);
}

/* What no edge may send ends it: the parent is told. */
static void
an_edge_that_breaks_the_rules_is_reported(void **state)
{
    struct world *world = *state;
    struct ipc_message *message = NULL;
    assert_int_equal(send(world->edge, "rubbish", 7, 0), 7);
    assert_int_equal(channel_plain_receive(world->control, ROLE_SIGNER, ROLE_PARENT,
                                           ROLE_TEST_WAIT_MS, &message),
                     STATUS_OK);
    assert_int_equal(message->type, MSG_MISBEHAVED);
    const struct msg_misbehaved *fields = MSG_BODY(message, misbehaved);
    assert_int_equal(fields->role, ROLE_EDGE);
    assert_int_equal(fields->instance, 0);
    ipc_message_free(&message);
}

static void
status_tells_of_refusals(void **state)
{
    struct world *world = *state;
    struct ipc_message *message = NULL;
    assert_int_equal(asked(world->edge, &world->ids[0], ECDSA_SHA256, STR("hello")),
                     SIGNER_REFUSED);
    role_test_send(world->control, MSG_STATUS_REQUEST, 1, NULL);
    assert_int_equal(channel_plain_receive(world->control, ROLE_SIGNER, ROLE_PARENT,
                                           ROLE_TEST_WAIT_MS, &message),
                     STATUS_OK);
    const struct msg_status_reply *reply = MSG_BODY(message, status_reply);
    assert_int_equal(reply->warnings.n, 1);
    assert_true(str_find(reply->warnings.items[0].text, STR("no TLS handshake")) != STR_NPOS);
    ipc_message_free(&message);
}

static void
it_ends_when_it_is_told_to(void **state)
{
    struct world *world = *state;
    struct msg_stop stop = {.grace_ms = 1000};
    int status = 0;
    role_test_send(world->control, MSG_STOP, 0, &stop);
    assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world->pid = fork(); /* for world_close to end */
    if (world->pid == 0) {
        pause();
        _exit(0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handshakes_are_signed_and_nothing_else),
        TEST(a_reload_brings_keys_and_keeps_old_ones_for_a_while),
        TEST(edges_do_not_wait_for_each_other),
        TEST(a_new_line_replaces_the_old_one),
        TEST(an_edge_that_breaks_the_rules_is_reported),
        TEST(status_tells_of_refusals),
        TEST(it_ends_when_it_is_told_to),
    };
    return cmocka_run_group_tests_name("the signer", tests, NULL, NULL);
}
