#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/message.h"

struct encoded {
    struct buf packet;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
};

static enum status
encode(struct encoded *e, enum msg_type type, const void *fields)
{
    buf_init(&e->packet, IPC_PACKET_MAX + 4096);
    e->fd_count = 0;
    return ipc_encode(type, 7, fields, &e->packet, e->fds, &e->fd_count);
}

static struct msg_commit
sample_commit(struct record_recipient *recipients)
{
    recipients[0] = (struct record_recipient){.address = STR("jack@kartapuce.com"),
                                              .original = STR("Jack@kartapuce.com"),
                                              .notify = 3,
                                              .local = true};
    recipients[1] = (struct record_recipient){.address = STR("tom@example.net"),
                                              .orcpt = STR("rfc822;tom@example.net")};
    return (struct msg_commit){
        .id = STR("01KB2M9QJ8T3XW7A"),
        .received_ms = -5,
        .sender = STR("bob@kartapuce.com"),
        .flags = 0xdeadbeef,
        .recipients = {recipients, 2},
        .head = ipc_body_inline(STR("Subject: x\r\n\r\n")),
        .content = ipc_body_inline(STR("Subject: x\r\n\r\nbody\r\n")),
        .content_offset = 14,
    };
}

static void
test_round_trip(void **state)
{
    struct record_recipient recipients[2];
    struct msg_commit in = sample_commit(recipients);
    struct encoded e;
    struct ipc_message *message = NULL;
    (void)state;
    assert_int_equal(encode(&e, MSG_COMMIT, &in), STATUS_OK);
    assert_int_equal(ipc_decode(buf_str(&e.packet), NULL, 0, ROLE_FILTER, ROLE_SPOOL, &message),
                     STATUS_OK);
    const struct msg_commit *out = MSG_BODY(message, commit);
    assert_int_equal(message->type, MSG_COMMIT);
    assert_int_equal(message->request, 7);
    assert_false(message->is_reply);
    assert_true(str_eq(out->id, in.id));
    assert_int_equal(out->received_ms, -5);
    assert_int_equal(out->flags, 0xdeadbeef);
    assert_int_equal(out->recipients.n, 2);
    assert_true(out->recipients.items[0].local);
    assert_false(out->recipients.items[1].local);
    assert_true(str_eq(out->recipients.items[1].orcpt, STR("rfc822;tom@example.net")));
    assert_int_equal(out->content.fd, -1);
    assert_true(str_eq(out->content.octets, in.content.octets));
    assert_int_equal(out->content.size, in.content.octets.n);
    ipc_message_free(&message);
    assert_null(message);
    buf_free(&e.packet);
}

static void
test_every_cut_is_refused(void **state)
{
    struct record_recipient recipients[2];
    struct msg_commit in = sample_commit(recipients);
    struct encoded e;
    (void)state;
    assert_int_equal(encode(&e, MSG_COMMIT, &in), STATUS_OK);
    struct str whole = buf_str(&e.packet);
    for (size_t n = 0; n < whole.n; n++) {
        struct ipc_message *message = NULL;
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, whole.p, n);
        if (n >= 8) { /* a length that agrees with the cut must not help */
            uint32_t length = n > 16 ? (uint32_t)(n - 16) : 0;
            memcpy(copy + 4, &length, sizeof length);
        }
        assert_int_equal(ipc_decode(str_make(copy, n), NULL, 0, ROLE_FILTER, ROLE_SPOOL, &message),
                         STATUS_SYNTAX);
        assert_null(message);
        free(copy);
    }
    buf_free(&e.packet);
}

static void
test_octets_left_over_are_refused(void **state)
{
    struct msg_ready in = {.generation = 1};
    struct encoded e;
    struct ipc_message *message = NULL;
    (void)state;
    assert_int_equal(encode(&e, MSG_READY, &in), STATUS_OK);
    assert_int_equal(buf_append_char(&e.packet, 0), STATUS_OK);
    uint32_t length = sizeof(uint64_t) + 1;
    memcpy(e.packet.data + 4, &length, sizeof length);
    assert_int_equal(ipc_decode(buf_str(&e.packet), NULL, 0, ROLE_EDGE, ROLE_PARENT, &message),
                     STATUS_SYNTAX);
    buf_free(&e.packet);
}

static void
test_sender_and_receiver_are_checked(void **state)
{
    static const struct {
        enum role sender;
        enum role receiver;
        enum status want;
    } cases[] = {
        {ROLE_FILTER, ROLE_SPOOL, STATUS_OK},     {ROLE_EDGE, ROLE_SPOOL, STATUS_DENIED},
        {ROLE_CLI, ROLE_SPOOL, STATUS_DENIED},    {ROLE_FILTER, ROLE_LEDGER, STATUS_DENIED},
        {ROLE_SPOOL, ROLE_FILTER, STATUS_DENIED},
    };
    struct record_recipient recipients[2];
    struct msg_commit in = sample_commit(recipients);
    struct encoded e;
    (void)state;
    assert_int_equal(encode(&e, MSG_COMMIT, &in), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ipc_message *message = NULL;
        enum status got =
            ipc_decode(buf_str(&e.packet), NULL, 0, cases[i].sender, cases[i].receiver, &message);
        assert_int_equal(got, cases[i].want);
        ipc_message_free(&message);
    }
    buf_free(&e.packet);
}

static void
test_bounds_hold_when_encoding(void **state)
{
    static char long_text[400];
    struct msg_recipient_lookup in = {.name = {long_text, 320}};
    struct encoded e;
    (void)state;
    memset(long_text, 'x', sizeof long_text);
    assert_int_equal(encode(&e, MSG_RECIPIENT_LOOKUP, &in), STATUS_OK);
    buf_free(&e.packet);
    in.name.n = 321;
    assert_int_equal(encode(&e, MSG_RECIPIENT_LOOKUP, &in), STATUS_LIMIT);
    assert_int_equal(buf_length(&e.packet), 0);
    buf_free(&e.packet);
}

static void
test_descriptors_travel_and_are_counted(void **state)
{
    int fd = -1;
    struct encoded e;
    struct ipc_message *message = NULL;
    (void)state;
    assert_int_equal(ipc_memfd_create("test", STR("hello"), &fd), STATUS_OK);
    struct msg_configure in = {.file_name = STR("x"), .text = fd};
    assert_int_equal(encode(&e, MSG_CONFIGURE, &in), STATUS_OK);
    assert_int_equal(e.fd_count, 1);
    /* announced but not there */
    assert_int_equal(ipc_decode(buf_str(&e.packet), NULL, 0, ROLE_PARENT, ROLE_EDGE, &message),
                     STATUS_SYNTAX);
    int received = dup(fd);
    assert_int_equal(ipc_decode(buf_str(&e.packet), &received, 1, ROLE_PARENT, ROLE_EDGE, &message),
                     STATUS_OK);
    assert_int_equal(MSG_BODY(message, configure)->text, received);
    int taken = ipc_message_take_fd(message, &MSG_BODY(message, configure)->text);
    assert_int_equal(taken, received);
    ipc_message_free(&message);
    assert_int_not_equal(fcntl(taken, F_GETFD), -1); /* ours now */
    close(taken);
    received = dup(fd);
    assert_int_equal(ipc_decode(buf_str(&e.packet), &received, 1, ROLE_PARENT, ROLE_EDGE, &message),
                     STATUS_OK);
    ipc_message_free(&message);
    assert_int_equal(fcntl(received, F_GETFD), -1); /* closed with the message */
    close(fd);
    buf_free(&e.packet);
}

static void
test_body_view_demands_seals_and_size(void **state)
{
    int fd = -1;
    struct ipc_body_view view;
    (void)state;
    assert_int_equal(ipc_memfd_create("test", STR("content"), &fd), STATUS_OK);
    struct ipc_body body = ipc_body_fd(fd, 7);
    assert_int_equal(ipc_body_view_open(&body, &view), STATUS_DENIED);
    assert_int_equal(ipc_memfd_seal(fd), STATUS_OK);
    assert_int_equal(ipc_body_view_open(&body, &view), STATUS_OK);
    assert_true(str_eq(view.octets, STR("content")));
    ipc_body_view_close(&view);
    body.size = 8;
    assert_int_equal(ipc_body_view_open(&body, &view), STATUS_SYNTAX);
    close(fd);
}

static void
test_memfd_is_copied_up_to_a_limit(void **state)
{
    int fd = -1;
    int pair[2];
    struct arena *arena = arena_create(4096);
    (void)state;
    assert_int_equal(ipc_memfd_create("test", STR("content"), &fd), STATUS_OK);
    struct str got = ipc_memfd_read(arena, fd, 7);
    assert_true(str_eq(got, STR("content")));
    assert_int_equal(got.p[got.n], '\0');
    assert_null(ipc_memfd_read(arena, fd, 6).p);
    close(fd);
    assert_int_equal(ipc_memfd_create("test", STR(""), &fd), STATUS_OK);
    assert_int_equal(ipc_memfd_read(arena, fd, 7).n, 0);
    close(fd);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(ipc_memfd_read(arena, pair[0], 7).n, 0); /* not a file */
    close(pair[0]);
    close(pair[1]);
    arena_destroy(&arena);
}

static void
test_print_hides_secrets(void **state)
{
    struct msg_auth_password in = {.user = STR("bob"), .password = STR("hunter2")};
    struct encoded e;
    struct ipc_message *message = NULL;
    struct buf text;
    (void)state;
    buf_init(&text, 4096);
    assert_int_equal(encode(&e, MSG_AUTH_PASSWORD, &in), STATUS_OK);
    assert_int_equal(ipc_decode(buf_str(&e.packet), NULL, 0, ROLE_EDGE, ROLE_LEDGER, &message),
                     STATUS_OK);
    assert_int_equal(ipc_message_print(message, &text), STATUS_OK);
    assert_true(str_find(buf_str(&text), STR("user=bob")) != STR_NPOS);
    assert_true(str_find(buf_str(&text), STR("hunter2")) == STR_NPOS);
    ipc_message_free(&message);
    buf_free(&text);
    buf_free(&e.packet);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_octets_left_over_are_refused),
        cmocka_unit_test(test_sender_and_receiver_are_checked),
        cmocka_unit_test(test_bounds_hold_when_encoding),
        cmocka_unit_test(test_descriptors_travel_and_are_counted),
        cmocka_unit_test(test_body_view_demands_seals_and_size),
        cmocka_unit_test(test_memfd_is_copied_up_to_a_limit),
        cmocka_unit_test(test_print_hides_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
