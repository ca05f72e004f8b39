/* Descriptors that travel with messages: whatever becomes of a message, none stays open. */
#include <dirent.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/channel.h"

#define WAIT_MS  10000
/* More than a socket takes at once. */
#define MESSAGES 2000

/* The parent's end of a channel to an edge, and the edge's end as a plain socket. */
struct fixture {
    struct event_base *loop;
    struct channel *channel;
    int edge; /* -1: closed */
    unsigned seen;
    unsigned ups, downs;
    struct fixture *rejoin; /* on the next message, and the one after it */
};

static size_t
open_descriptors(void)
{
    size_t n = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        n++;
    }
    closedir(directory);
    return n;
}

/* A new socket, in place of the one before. */
static void
join(struct fixture *f)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                     0);
    assert_int_equal(channel_connect(f->channel, pair[0]), STATUS_OK);
    int const small = 4096; /* so that it is full soon */
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    if (f->edge >= 0) {
        close(f->edge);
    }
    f->edge = pair[1];
}

static void
on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct fixture *f = context;
    (void)channel;
    f->seen++;
    ipc_message_free(&message);
    if (f->rejoin != NULL) {
        f->rejoin = NULL;
        join(f);
    }
}

static void
on_change(void *context, struct channel *channel, bool up, enum status status)
{
    struct fixture *f = context;
    (void)channel;
    (void)status;
    f->ups += up;
    f->downs += !up;
}

static int
set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.loop = event_base_new(), .edge = -1};
    struct channel_settings settings = {.loop = f.loop,
                                        .self = ROLE_PARENT,
                                        .peer = ROLE_EDGE,
                                        .on_message = on_message,
                                        .on_change = on_change,
                                        .context = &f};
    f.channel = channel_create(&settings);
    join(&f);
    *state = &f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    channel_destroy(&f->channel);
    event_base_free(f->loop);
    if (f->edge >= 0) {
        close(f->edge);
    }
    return 0;
}

/* Sends until some wait in the queue; how many in all. */
static unsigned
fill(struct fixture *f)
{
    struct msg_configure configure = {.generation = 1, .file_name = STR("postern.yaml")};
    unsigned n = 0;
    assert_int_equal(ipc_memfd_create("text", STR("x"), &configure.text), STATUS_OK);
    for (size_t waiting = 0; n < MESSAGES && waiting < 5; n++) {
        assert_int_equal(channel_send(f->channel, MSG_CONFIGURE, 0, &configure), STATUS_OK);
        waiting += channel_queued(f->channel) > 0;
    }
    close(configure.text);
    assert_true(channel_queued(f->channel) > 0);
    return n;
}

static void
what_waits_is_closed_when_it_is_sent(void **state)
{
    struct fixture *f = *state;
    size_t const before = open_descriptors();
    unsigned const sent = fill(f);
    assert_int_equal(open_descriptors(), before + 5);
    for (unsigned i = 0; i < sent; i++) {
        struct ipc_message *message = NULL;
        event_base_loop(f->loop, EVLOOP_NONBLOCK);
        assert_int_equal(channel_plain_receive(f->edge, ROLE_PARENT, ROLE_EDGE, WAIT_MS, &message),
                         STATUS_OK);
        assert_true(MSG_BODY(message, configure)->text >= 0);
        ipc_message_free(&message);
    }
    assert_int_equal(channel_queued(f->channel), 0);
    assert_int_equal(open_descriptors(), before);
}

static void
what_waits_is_closed_when_the_peer_changes(void **state)
{
    struct fixture *f = *state;
    size_t const before = open_descriptors();
    fill(f);
    join(f);
    assert_int_equal(channel_queued(f->channel), 0);
    assert_int_equal(open_descriptors(), before);
}

static void
what_waits_is_closed_with_the_channel(void **state)
{
    struct fixture *f = *state;
    size_t const before = open_descriptors();
    fill(f);
    channel_destroy(&f->channel);
    assert_int_equal(open_descriptors(), before - 1); /* the socket */
}

/* An edge configures nobody: what it sends with such a message is closed, here and there. */
static void
what_is_not_understood_is_closed(void **state)
{
    struct fixture *f = *state;
    struct msg_configure configure = {.generation = 1, .file_name = STR("postern.yaml")};
    struct ipc_message *message = NULL;
    size_t const before = open_descriptors();
    assert_int_equal(ipc_memfd_create("text", STR("x"), &configure.text), STATUS_OK);
    assert_int_equal(channel_plain_send(f->edge, MSG_CONFIGURE, 0, &configure), STATUS_OK);
    event_base_loop(f->loop, EVLOOP_ONCE);
    assert_false(channel_is_connected(f->channel));
    assert_int_equal(f->downs, 1);
    assert_int_equal(f->seen, 0);
    assert_int_equal(open_descriptors(), before); /* the text, and one socket less */
    join(f);
    assert_int_equal(channel_send(f->channel, MSG_CONFIGURE, 0, &configure), STATUS_OK);
    close(configure.text);
    assert_int_equal(channel_plain_receive(f->edge, ROLE_PARENT, ROLE_FILTER, WAIT_MS, &message),
                     STATUS_OK); /* any role may be configured */
    ipc_message_free(&message);
    assert_int_equal(open_descriptors(), before);
}

static void
what_a_plain_reader_does_not_understand_is_closed(void **state)
{
    struct fixture *f = *state;
    struct msg_configure configure = {.generation = 1, .file_name = STR("postern.yaml")};
    struct ipc_message *message = NULL;
    size_t const before = open_descriptors();
    assert_int_equal(ipc_memfd_create("text", STR("x"), &configure.text), STATUS_OK);
    assert_int_equal(channel_send(f->channel, MSG_CONFIGURE, 0, &configure), STATUS_OK);
    close(configure.text);
    /* As if it came from another role. */
    assert_int_not_equal(channel_plain_receive(f->edge, ROLE_LEDGER, ROLE_EDGE, WAIT_MS, &message),
                         STATUS_OK);
    assert_null(message);
    assert_int_equal(open_descriptors(), before);
}

/* Whoever handles a message may get a new socket meanwhile: the rest of the old one is not read. */
static void
a_new_socket_while_a_message_is_handled(void **state)
{
    struct fixture *f = *state;
    struct msg_ready ready = {.generation = 1};
    int const old = dup(f->edge);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(channel_plain_send(f->edge, MSG_READY, 0, &ready), STATUS_OK);
    }
    f->rejoin = f;
    event_base_loop(f->loop, EVLOOP_ONCE);
    assert_int_equal(f->seen, 1);
    assert_int_equal(f->ups, 2);
    assert_int_equal(f->downs, 0);
    assert_int_equal(channel_plain_send(f->edge, MSG_READY, 0, &ready), STATUS_OK);
    event_base_loop(f->loop, EVLOOP_ONCE);
    assert_int_equal(f->seen, 2);
    assert_true(channel_is_connected(f->channel));
    close(old);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_waits_is_closed_when_it_is_sent),
        TEST(what_waits_is_closed_when_the_peer_changes),
        TEST(what_waits_is_closed_with_the_channel),
        TEST(what_is_not_understood_is_closed),
        TEST(what_a_plain_reader_does_not_understand_is_closed),
        TEST(a_new_socket_while_a_message_is_handled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
