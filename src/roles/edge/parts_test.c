/* Parts of the edge without its process: requests and the targets of a transaction. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/channel.h"
#include "roles/edge/request.h"
#include "roles/edge/transaction.h"

#define WAIT_MS 10000

/* ---- requests */

struct asked {
    struct event_base *loop;
    struct channel *ledger; /* of the edge */
    int ledger_end;
    struct edge edge;
    struct connection connection;
};

/* What on_reply was given last. */
static unsigned replies;
static struct connection *replied_to;

static void
on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    (void)context;
    (void)channel;
    ipc_message_free(&message);
    fail();
}

static void
on_reply(void *context, enum status status, struct ipc_message *reply)
{
    replied_to = request_finish(context);
    assert_int_equal(status, STATUS_OK);
    ipc_message_free(&reply);
    replies++;
}

static void
asked_begin(struct asked *asked)
{
    int pair[2];
    struct channel_settings settings = {
        .self = ROLE_EDGE, .peer = ROLE_LEDGER, .on_message = on_message};
    *asked = (struct asked){.loop = event_base_new()};
    settings.loop = asked->loop;
    asked->connection.edge = &asked->edge;
    asked->ledger = channel_create(&settings);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(channel_connect(asked->ledger, pair[0]), STATUS_OK);
    asked->ledger_end = pair[1];
    replies = 0;
}

static void
asked_end(struct asked *asked)
{
    channel_destroy(&asked->ledger);
    event_base_free(asked->loop);
    close(asked->ledger_end);
}

static void
ask(struct asked *asked)
{
    struct msg_recipient_lookup lookup = {.name = STR("bob@ours.example")};
    assert_true(request_send(&asked->connection, asked->ledger, MSG_RECIPIENT_LOOKUP, &lookup,
                             WAIT_MS, on_reply));
    assert_non_null(asked->connection.request);
}

static void
answer(struct asked *asked)
{
    struct msg_recipient_lookup_reply reply = {.exists = 1};
    struct ipc_message *message;
    unsigned const before = replies;
    assert_int_equal(
        channel_plain_receive(asked->ledger_end, ROLE_EDGE, ROLE_LEDGER, WAIT_MS, &message),
        STATUS_OK);
    assert_int_equal(
        channel_plain_send(asked->ledger_end, MSG_RECIPIENT_LOOKUP_REPLY, message->request, &reply),
        STATUS_OK);
    ipc_message_free(&message);
    while (replies == before) {
        assert_int_equal(event_base_loop(asked->loop, EVLOOP_ONCE), 0);
    }
}

static void
an_answer_finds_its_connection(void **state)
{
    struct asked asked;
    (void)state;
    asked_begin(&asked);
    ask(&asked);
    answer(&asked);
    assert_ptr_equal(replied_to, &asked.connection);
    assert_null(asked.connection.request); /* another question may follow */
    asked_end(&asked);
}

/* What the answer would touch is gone. */
static void
an_answer_to_a_connection_that_has_gone_is_for_nobody(void **state)
{
    struct asked asked;
    (void)state;
    asked_begin(&asked);
    request_detach(&asked.connection); /* without a question there is nothing to forget */
    ask(&asked);
    request_detach(&asked.connection);
    assert_null(asked.connection.request);
    answer(&asked);
    assert_null(replied_to);
    asked_end(&asked);
}

static void
a_question_that_cannot_be_sent_is_none(void **state)
{
    struct asked asked;
    struct msg_recipient_lookup lookup = {.name = STR("bob@ours.example")};
    (void)state;
    asked_begin(&asked);
    channel_destroy(&asked.ledger);
    asked.ledger = channel_create(&(struct channel_settings){
        .self = ROLE_EDGE, .peer = ROLE_LEDGER, .loop = asked.loop, .on_message = on_message});
    assert_false(request_send(&asked.connection, asked.ledger, MSG_RECIPIENT_LOOKUP, &lookup,
                              WAIT_MS, on_reply));
    assert_null(asked.connection.request);
    assert_int_equal(asked.edge.counters.peer_failures, 1);
    assert_int_equal(replies, 0);
    asked_end(&asked);
}

/* ---- targets */

static enum status
add(struct transaction *transaction, struct str address, bool local)
{
    struct record_recipient target = {.address = address, .local = local};
    return transaction_add_target(transaction, &target);
}

/* Each target of the filter's message is one of at most so many, however short their names are. */
static void
targets_are_counted(void **state)
{
    struct transaction transaction = {0};
    char name[3];
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; n < TRANSACTION_TARGETS_MAX; i++) {
        name[0] = (char)(i / 256);
        name[1] = (char)(i % 256);
        if (name[0] == name[1]) {
            continue; /* one in a hundred, for the bound beyond */
        }
        n++;
        /* Foreign ones: local parts of others differ by their letters' cases. */
        assert_int_equal(add(&transaction, str_make(name, 2), false), STATUS_OK);
    }
    assert_int_equal(transaction.target_count, TRANSACTION_TARGETS_MAX);
    assert_true(transaction.target_octets < TRANSACTION_TARGETS_OCTETS - 64);
    assert_int_equal(add(&transaction, STR("x"), false), STATUS_LIMIT);
    name[0] = 0;
    name[1] = 1;
    assert_int_equal(add(&transaction, str_make(name, 2), false), STATUS_OK); /* it is there */
    assert_int_equal(transaction.target_count, TRANSACTION_TARGETS_MAX);
    arena_destroy(&transaction.arena);
}

static void
targets_are_told_apart(void **state)
{
    static const struct {
        const char *address;
        bool local;
        size_t want; /* targets with this one */
    } rows[] = {
        {"bob@a.example", true, 1},  {"BOB@A.example", true, 1},  {"bob@a.example", false, 2},
        {"Bob@a.example", false, 3}, {"bob@A.EXAMPLE", false, 3}, {"bo@a.example", true, 4},
    };
    struct transaction transaction = {0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(add(&transaction, str_from_cstr(rows[i].address), rows[i].local),
                         STATUS_OK);
        assert_int_equal(transaction.target_count, rows[i].want);
    }
    arena_destroy(&transaction.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_finds_its_connection),
        cmocka_unit_test(an_answer_to_a_connection_that_has_gone_is_for_nobody),
        cmocka_unit_test(a_question_that_cannot_be_sent_is_none),
        cmocka_unit_test(targets_are_counted),
        cmocka_unit_test(targets_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
