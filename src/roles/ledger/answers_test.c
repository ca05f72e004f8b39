/* Logins and changes of users at a real ledger: who is kept out, and what is decided meanwhile. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "roles/ledger/test_world.h"
#include "roles/role_test_parent.h"
#include "store/credential.h"
#include "store/ledger_users.h"

#define BOB      "bob@kartapuce.com"
#define PASSWORD "geheim und lang"

/* ---- users and logins */

static void
send_change(struct ledger_world *world, uint8_t action, struct str name, struct str password)
{
    struct msg_user_change fields = {.action = action, .name = name, .password = password};
    role_test_send(world->command, MSG_USER_CHANGE, 7, &fields);
}

static enum user_outcome
take_change(struct ledger_world *world)
{
    struct ipc_message *reply =
        ledger_world_receive(world->command, ROLE_CLI, MSG_USER_CHANGE_REPLY);
    enum user_outcome outcome = MSG_BODY(reply, user_change_reply)->outcome;
    ipc_message_free(&reply);
    return outcome;
}

static enum user_outcome
change(struct ledger_world *world, enum user_action action, const char *name, const char *password)
{
    send_change(world, (uint8_t)action, str_from_cstr(name), str_from_cstr(password));
    return take_change(world);
}

static void
send_login(struct ledger_world *world, uint64_t request, const char *user, const char *password,
           const char *client)
{
    struct ip_address ip;
    assert_int_equal(ip_parse(str_from_cstr(client), &ip), STATUS_OK);
    struct msg_auth_password fields = {.user = str_from_cstr(user),
                                       .password = str_from_cstr(password),
                                       .client_ip =
                                           str_make((const char *)ip.octets, sizeof ip.octets)};
    role_test_send(world->edge, MSG_AUTH_PASSWORD, request, &fields);
}

static enum smtp_auth_outcome
login(struct ledger_world *world, const char *user, const char *password, const char *client)
{
    uint64_t request;
    send_login(world, 9, user, password, client);
    enum smtp_auth_outcome outcome = ledger_world_take_login(world, &request);
    assert_int_equal(request, 9);
    return outcome;
}

/* One question and its answer: whatever was sent before has been taken then. */
static bool
exists(struct ledger_world *world, const char *name)
{
    struct msg_recipient_lookup fields = {.name = str_from_cstr(name)};
    role_test_send(world->edge, MSG_RECIPIENT_LOOKUP, 3, &fields);
    struct ipc_message *reply =
        ledger_world_receive(world->edge, ROLE_EDGE, MSG_RECIPIENT_LOOKUP_REPLY);
    bool found = MSG_BODY(reply, recipient_lookup_reply)->exists;
    ipc_message_free(&reply);
    return found;
}

static enum smtp_auth_outcome
begin_scram(struct ledger_world *world, const char *user, uint8_t salt_out[static CREDENTIAL_SALT])
{
    struct ip_address ip;
    assert_int_equal(ip_parse(STR("192.0.2.200"), &ip), STATUS_OK);
    struct msg_scram_begin begin = {.user = str_from_cstr(user),
                                    .client_ip =
                                        str_make((const char *)ip.octets, sizeof ip.octets)};
    role_test_send(world->edge, MSG_SCRAM_BEGIN, 4, &begin);
    struct ipc_message *message =
        ledger_world_receive(world->edge, ROLE_EDGE, MSG_SCRAM_BEGIN_REPLY);
    const struct msg_scram_begin_reply *reply = MSG_BODY(message, scram_begin_reply);
    enum smtp_auth_outcome outcome = reply->outcome;
    if (outcome == SMTP_AUTH_OK) {
        assert_int_equal(reply->salt.n, CREDENTIAL_SALT);
        memcpy(salt_out, reply->salt.p, CREDENTIAL_SALT);
    }
    ipc_message_free(&message);
    return outcome;
}

static void
scram_is_throttled_too(void **state)
{
    struct ledger_world *world = *state;
    uint8_t salt[CREDENTIAL_SALT];
    assert_int_equal(begin_scram(world, "eve@kartapuce.com", salt), SMTP_AUTH_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ledger_world_fail_scram(world, "eve@kartapuce.com", "192.0.2.1"),
                         SMTP_AUTH_FAILED);
    }
    assert_int_equal(ledger_world_fail_scram(world, "eve@kartapuce.com", "192.0.2.2"),
                     SMTP_AUTH_THROTTLED);
    assert_int_equal(begin_scram(world, "eve@kartapuce.com", salt), SMTP_AUTH_THROTTLED);
    assert_int_equal(begin_scram(world, "jack@kartapuce.com", salt), SMTP_AUTH_OK);
}

/* What a user who does not exist seems to have differs by name, and by machine. */
static void
salts_cannot_be_foreseen(void **state)
{
    static const char *const files[] = {"ledger/users.db", "ledger/users.db-wal",
                                        "ledger/users.db-shm"};
    struct ledger_world *world = *state;
    uint8_t eve[CREDENTIAL_SALT];
    uint8_t other[CREDENTIAL_SALT];
    assert_int_equal(begin_scram(world, "eve@kartapuce.com", eve), SMTP_AUTH_OK);
    assert_int_equal(begin_scram(world, "jack@kartapuce.com", other), SMTP_AUTH_OK);
    assert_memory_not_equal(eve, other, sizeof eve);
    assert_int_equal(ledger_world_stop(world), 0);
    ledger_world_start(world);
    assert_int_equal(begin_scram(world, "eve@kartapuce.com", other), SMTP_AUTH_OK);
    assert_memory_equal(eve, other, sizeof eve);
    assert_int_equal(ledger_world_stop(world), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        unlink(test_directory_file(world->directory, files[i]));
    }
    ledger_world_start(world); /* as good as another machine */
    assert_int_equal(begin_scram(world, "eve@kartapuce.com", other), SMTP_AUTH_OK);
    assert_memory_not_equal(eve, other, sizeof eve);
}

/* Failures in a zone without limits count against their user at that address alone. */
static void
zones_decide_what_failures_count(void **state)
{
    static const struct {
        const char *client;
        enum smtp_auth_outcome sixth;  /* of another user, after five failures */
        enum smtp_auth_outcome fourth; /* of the same user at another address, after three */
    } rows[] = {
        {"198.51.100.7", SMTP_AUTH_FAILED, SMTP_AUTH_FAILED},
        {"203.0.113.7", SMTP_AUTH_THROTTLED, SMTP_AUTH_THROTTLED},
    };
    struct ledger_world *world = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char user[32];
        for (int k = 0; k < 3; k++) {
            snprintf(user, sizeof user, "one%zu", i);
            assert_int_equal(ledger_world_fail_scram(world, user, rows[i].client),
                             SMTP_AUTH_FAILED);
        }
        for (int k = 0; k < 2; k++) {
            snprintf(user, sizeof user, "two%zu", i);
            assert_int_equal(ledger_world_fail_scram(world, user, rows[i].client),
                             SMTP_AUTH_FAILED);
        }
        snprintf(user, sizeof user, "three%zu", i);
        assert_int_equal(ledger_world_fail_scram(world, user, rows[i].client), rows[i].sixth);
        snprintf(user, sizeof user, "one%zu", i);
        assert_int_equal(ledger_world_fail_scram(world, user, "192.0.2.99"), rows[i].fourth);
    }
}

/* A login is decided by what holds when it is decided: the old password may be over by then. */
static void
a_password_that_changes_meanwhile_is_wrong(void **state)
{
    struct ledger_world *world = *state;
    unsigned left = 5;
    assert_int_equal(change(world, USER_ADD, BOB, PASSWORD), USER_DONE);
    send_change(world, USER_PASSWORD, STR(BOB), STR("neu und anders"));
    exists(world, BOB);
    /* Hashes that stand before the login's, so that the change is written first. */
    for (uint64_t i = 1; i <= 4; i++) {
        char client[32];
        snprintf(client, sizeof client, "192.0.2.%d", 10 + (int)i);
        send_login(world, i, "nobody@kartapuce.com", "guess and guess", client);
    }
    send_login(world, 99, BOB, PASSWORD, "192.0.2.1");
    while (left-- > 0) {
        uint64_t request;
        enum smtp_auth_outcome outcome = ledger_world_take_login(world, &request);
        if (request == 99) {
            assert_int_equal(outcome, SMTP_AUTH_FAILED);
        }
    }
    assert_int_equal(take_change(world), USER_DONE);
    assert_int_equal(login(world, BOB, "neu und anders", "192.0.2.1"), SMTP_AUTH_OK);
}

/* The ledger has taken the login, and its edge goes: the next one gets no answer to it. */
static void
an_answer_is_for_who_asked(void **state)
{
    struct ledger_world *world = *state;
    assert_int_equal(change(world, USER_ADD, BOB, PASSWORD), USER_DONE);
    send_login(world, 1, BOB, PASSWORD, "192.0.2.1");
    exists(world, BOB);
    close(world->edge);
    world->edge = role_test_peer(world->control, ROLE_EDGE);
    assert_int_equal(login(world, BOB, "wrong and long", "192.0.2.1"), SMTP_AUTH_FAILED);
}

static void
what_is_no_password_is_refused(void **state)
{
    struct ledger_world *world = *state;
    send_change(world, USER_ADD, STR(BOB), STR("geheim\0und lang"));
    assert_int_equal(take_change(world), USER_BAD_PASSWORD);
    send_change(world, USER_ADD, STR(BOB), STR("geheim und \xff lang"));
    assert_int_equal(take_change(world), USER_BAD_PASSWORD);
    assert_false(exists(world, BOB));
}

/* Who is shut out stays so with a new password. */
static void
a_new_password_enables_nobody(void **state)
{
    struct ledger_world *world = *state;
    assert_int_equal(change(world, USER_ADD, BOB, PASSWORD), USER_DONE);
    assert_int_equal(change(world, USER_DISABLE, BOB, NULL), USER_DONE);
    assert_int_equal(change(world, USER_PASSWORD, BOB, "neu und anders"), USER_DONE);
    assert_int_equal(login(world, BOB, "neu und anders", "192.0.2.1"), SMTP_AUTH_FAILED);
    assert_int_equal(ledger_world_stop(world), 0);
    ledger_world_start(world);
    assert_int_equal(login(world, BOB, "neu und anders", "192.0.2.1"), SMTP_AUTH_FAILED);
}

static void
an_unknown_action_is_not_answered(void **state)
{
    struct ledger_world *world = *state;
    send_change(world, USER_REMOVE + 1, STR(BOB), STR(PASSWORD));
    /* It is no command of ours: the first answer is that to the next one. */
    assert_int_equal(change(world, USER_ADD, BOB, PASSWORD), USER_DONE);
}

/* Whether Dovecot's file comes to hold `text`, or not to hold it. */
static bool
dovecot_has(struct ledger_world *world, const char *text, bool wanted)
{
    const int64_t end = clock_monotonic_ms() + ROLE_TEST_WAIT_MS;
    bool has = !wanted;
    while (has != wanted && clock_monotonic_ms() < end) {
        char got[4096] = "";
        int fd = open(test_directory_file(world->directory, "ledger/dovecot-users"), O_RDONLY);
        has = fd >= 0 && read(fd, got, sizeof got - 1) > 0 && strstr(got, text) != NULL;
        close(fd);
        usleep(10000);
    }
    return has;
}

static void
dovecot_hears_of_changes(void **state)
{
    struct ledger_world *world = *state;
    assert_int_equal(change(world, USER_ADD, BOB, PASSWORD), USER_DONE);
    assert_true(dovecot_has(world, BOB ":{ARGON2ID}", true));
    assert_int_equal(change(world, USER_DISABLE, BOB, NULL), USER_DONE);
    assert_true(dovecot_has(world, BOB ":{CRYPT}!", true));
    assert_int_equal(change(world, USER_REMOVE, BOB, NULL), USER_DONE);
    assert_false(dovecot_has(world, BOB, false));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(scram_is_throttled_too),
        LEDGER_TEST(salts_cannot_be_foreseen),
        LEDGER_TEST(zones_decide_what_failures_count),
        LEDGER_TEST(a_password_that_changes_meanwhile_is_wrong),
        LEDGER_TEST(an_answer_is_for_who_asked),
        LEDGER_TEST(what_is_no_password_is_refused),
        LEDGER_TEST(a_new_password_enables_nobody),
        LEDGER_TEST(an_unknown_action_is_not_answered),
        LEDGER_TEST(dovecot_hears_of_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
