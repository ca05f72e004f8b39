/* The spool role from the outside: commits, deliveries, notices, commands. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

static int
setup(void **state)
{
    struct harness *harness = calloc(1, sizeof *harness);
    harness_create(harness, NULL);
    harness_start(harness, 0);
    *state = harness;
    return 0;
}

static int
teardown(void **state)
{
    struct harness *harness = *state;
    harness_destroy(harness);
    free(harness);
    return 0;
}

static const struct msg_deliver *
deliver_of(const struct ipc_message *message)
{
    assert_non_null(message);
    return MSG_BODY(message, deliver);
}

static void
assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_from_cstr(want))) {
        print_error("got \"%.*s\", want \"%s\"\n", STR_ARG(got), want);
    }
    assert_true(str_eq(got, str_from_cstr(want)));
}

static bool
has(struct str text, const char *part)
{
    return str_find(text, str_from_cstr(part)) != STR_NPOS;
}

static void
test_delivers_what_is_committed(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.envid = "E1"}, id), SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = deliver_of(message);
    assert_str(d->id, id);
    assert_str(d->sender, "sender@out.example");
    assert_str(d->envid, "E1");
    assert_str(d->destination, "lmtp://127.0.0.1:24");
    assert_int_equal(d->recipients.n, 1);
    assert_str(d->recipients.items[0].address, "bob@inside.example");
    assert_str(d->head.octets, "Received: by mx\r\nSubject: original\r\n\r\n");
    assert_str(str_skip(d->content.octets, (size_t)d->content_offset),
               "The body of a message.\r\n");
    assert_int_equal(harness_count(h), 1);
    harness_report(h, message, true, DELIVERY_DELIVERED, 250, "2.0.0", "ok");
    harness_wait_count(h, 0);
    harness_stop(h);
}

static void
test_knows_a_repeated_commit(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = id}, NULL), SPOOL_DUPLICATE);
    harness_kill(h);
    harness_start(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = id}, NULL), SPOOL_DUPLICATE);
    assert_int_equal(harness_count(h), 1);
    harness_capacity(h, 10);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_RELAYED, 250, "", "");
    harness_wait_count(h, 0);
    /* also when it is gone already */
    assert_int_equal(harness_commit(h, &(struct harness_mail){.id = id}, NULL), SPOOL_DUPLICATE);
    assert_int_equal(harness_count(h), 0);
}

static void
test_refuses_a_malformed_commit(void **state)
{
    struct harness *h = *state;
    const struct harness_mail bad_id = {.id = "../../etc/passwd"};
    assert_int_equal(harness_commit(h, &bad_id, NULL), SPOOL_REFUSED);
    assert_int_equal(harness_count(h), 0);
}

static void
test_tries_again_later(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    for (unsigned attempts = 0; attempts < 3; attempts++) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        assert_int_equal(deliver_of(message)->recipients.items[0].attempts, attempts);
        harness_report(h, message, true, DELIVERY_DEFERRED, 450, "4.2.0", "mailbox busy");
        assert_null(harness_deliver(h, 500)); /* not before its time */
    }
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct record_queue_message *m = &MSG_BODY(reply, queue_list_reply)->messages.items[0];
    assert_int_equal(m->recipients.items[0].state, SPOOL_DEFERRED);
    assert_int_equal(m->recipients.items[0].attempts, 3);
    assert_int_equal(m->recipients.items[0].code, 450);
    assert_str(m->recipients.items[0].text, "mailbox busy");
    assert_true(m->recipients.items[0].next_attempt_ms > clock_wall_ms());
    ipc_message_free(&reply);
}

static void
test_bounces_once(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    static const char *const to[] = {"gone@far.example"};
    const struct harness_mail mail = {.recipients = to,
                                      .recipient_count = 1,
                                      .envid = "QQ314",
                                      .orcpt = "rfc822;go+2Bne@far.example"};
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &mail, id), SPOOL_COMMITTED);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_FAILED, 550, "5.1.1",
                   "no such user");
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    const struct msg_deliver *d = deliver_of(message);
    assert_int_equal(d->sender.n, 0);
    assert_str(d->recipients.items[0].address, "sender@out.example");
    assert_true(has(d->head.octets, "Auto-Submitted: auto-replied\r\n"));
    assert_true(has(d->head.octets, "report-type=delivery-status"));
    assert_true(has(d->content.octets, "\r\nFinal-Recipient: rfc822; gone@far.example\r\n"));
    assert_true(has(d->content.octets, "\r\nOriginal-Recipient: rfc822;go+ne@far.example\r\n"));
    assert_true(has(d->content.octets, "\r\nOriginal-Envelope-Id: QQ314\r\n"));
    assert_true(has(d->content.octets, "\r\nStatus: 5.1.1\r\n"));
    assert_true(has(d->content.octets, "\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_true(has(d->content.octets, "The body of a message."));
    assert_int_equal(harness_count(h), 1); /* the notice only */
    /* The notice fails too: that is the end of it (RFC 5321 6.1). */
    harness_report(h, message, true, DELIVERY_FAILED, 550, "5.1.1", "no such user");
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 300));
}

static void
test_tells_what_was_asked_for(void **state)
{
    static const struct {
        uint8_t notify;
        uint8_t outcome;
        const char *action; /* NULL: nobody is told */
    } cases[] = {
        {0, DELIVERY_DELIVERED, NULL},
        {1, DELIVERY_FAILED, NULL}, /* NEVER */
        {2, DELIVERY_FAILED, NULL}, /* SUCCESS only */
        {4, DELIVERY_FAILED, "failed"},
        {2, DELIVERY_DELIVERED, "delivered"},
        {2, DELIVERY_RELAYED, NULL}, /* the next hop tells */
        {2, DELIVERY_RELAYED_WITHOUT_DSN, "relayed"},
        {4, DELIVERY_RELAYED_WITHOUT_DSN, NULL},
    };
    struct harness *h = *state;
    harness_capacity(h, 10);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct harness_mail mail = {.notify = cases[i].notify};
        char action[64];
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
        harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, cases[i].outcome,
                       cases[i].outcome == DELIVERY_FAILED ? 550 : 250, "", "said");
        if (cases[i].action != NULL) {
            struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
            snprintf(action, sizeof action, "\r\nAction: %s\r\n", cases[i].action);
            assert_true(has(deliver_of(notice)->content.octets, action));
            harness_report(h, notice, true, DELIVERY_DELIVERED, 250, "", "");
        }
        harness_wait_count(h, 0);
        assert_null(harness_deliver(h, 50));
    }
}

static void
test_survives_its_own_death(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    harness_capacity(h, 10);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, id), SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    ipc_message_free(&message); /* leased, never reported */
    harness_kill(h);
    harness_start(h, 0);
    harness_capacity(h, 10);
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_str(deliver_of(message)->id, id);
    assert_int_equal(deliver_of(message)->recipients.items[0].attempts, 0);
    assert_str(deliver_of(message)->content.octets, "The body of a message.\r\n");
    assert_int_equal(deliver_of(message)->content_offset, 0);
    harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

static struct str
big_content(size_t n)
{
    char *octets = malloc(n);
    assert_non_null(octets);
    for (size_t i = 0; i < n; i++) {
        octets[i] = (char)('a' + i % 23);
    }
    return str_make(octets, n);
}

static void
test_keeps_large_messages(void **state)
{
    static const size_t sizes[] = {100000, 200000, 1048576, 3000000};
    struct harness *h = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct str content = big_content(sizes[i]);
        struct ipc_body_view view;
        assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, NULL),
                         SPOOL_COMMITTED);
        for (unsigned restart = 0; restart < 2; restart++) {
            harness_capacity(h, 10);
            struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
            const struct msg_deliver *d = deliver_of(message);
            assert_int_equal(ipc_body_view_open(&d->content, &view), STATUS_OK);
            assert_true(str_eq(view.octets, content));
            ipc_body_view_close(&view);
            if (restart == 0) {
                ipc_message_free(&message);
                harness_kill(h);
                harness_start(h, 0);
            } else {
                harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
            }
        }
        harness_wait_count(h, 0);
        free((void *)(uintptr_t)content.p);
    }
    /* no file is left */
    char command[128];
    snprintf(command, sizeof command, "test -z \"$(ls -A %s/large)\"", h->directory);
    assert_int_equal(system(command), 0);
}

static void
test_a_dead_destination_starves_nobody(void **state)
{
    struct harness *h = *state;
    static const char *const dead[] = {"a@dead.example"};
    static const char *const live[] = {"b@live.example"};
    unsigned to_dead = 0;
    for (unsigned i = 0; i < 300; i++) {
        const struct harness_mail mail = {.recipients = dead, .recipient_count = 1};
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    }
    for (unsigned i = 0; i < 20; i++) {
        const struct harness_mail mail = {.recipients = live, .recipient_count = 1};
        assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    }
    harness_capacity(h, 4);
    for (unsigned delivered = 0; delivered < 20;) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        bool is_live = has(deliver_of(message)->destination, "live");
        delivered += is_live;
        to_dead += !is_live;
        harness_report(h, message, is_live, is_live ? DELIVERY_DELIVERED : DELIVERY_DEFERRED,
                       is_live ? 250 : 0, "", "no route");
    }
    assert_in_range(to_dead, 1, 20);
    harness_wait_count(h, 300);
}

static void
test_a_lost_relay_gives_back_its_leases(void **state)
{
    struct harness *h = *state;
    char first[ID_LENGTH + 1];
    const struct harness_mail held = {.hold = "looks odd"};
    harness_capacity(h, 1);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, first), SPOOL_COMMITTED);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    ipc_message_free(&message);
    /* one at a time, and never what is held */
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &held, NULL), SPOOL_COMMITTED);
    assert_null(harness_deliver(h, 300));
    harness_stop(h);
    harness_start(h, 0);
    harness_capacity(h, 5);
    for (unsigned i = 0; i < 2; i++) {
        message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        assert_true(i > 0 || str_eq(deliver_of(message)->id, str_from_cstr(first)));
        harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
    }
    assert_null(harness_deliver(h, 300));
    harness_wait_count(h, 1);
}

static struct msg_queue_act_reply
act(struct harness *h, enum spool_action action, const char *id,
    const struct record_queue_filter *filter)
{
    struct record_queue_id ids[1] = {{.id = str_from_cstr(id)}};
    struct record_queue_filter filters[1];
    struct msg_queue_act message = {.action = (uint8_t)action,
                                    .ids = {ids, 1},
                                    .by = STR("tester"),
                                    .reason = STR("not wanted here")};
    if (filter != NULL) {
        filters[0] = *filter;
        message.filters.items = filters;
        message.filters.n = 1;
    }
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_ACT, &message);
    struct msg_queue_act_reply result = *MSG_BODY(reply, queue_act_reply);
    assert_int_equal(result.error.n, 0);
    ipc_message_free(&reply);
    return result;
}

static void
test_administrators_act(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    static const char *const to[] = {"a@one.example", "b@two.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 2};
    const struct record_queue_filter two = {.recipient = STR("*@two.example")};
    assert_int_equal(harness_commit(h, &mail, id), SPOOL_COMMITTED);
    assert_int_equal(act(h, SPOOL_ACT_HOLD, id, &two).done, 1);
    assert_int_equal(act(h, SPOOL_ACT_HOLD, id, &two).missing, 1); /* it is held already */
    assert_int_equal(act(h, SPOOL_ACT_REMOVE, "0000000000000000", NULL).missing, 1);
    harness_capacity(h, 5);
    struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_str(deliver_of(message)->destination, "one.example");
    assert_int_equal(act(h, SPOOL_ACT_RELEASE, id, NULL).busy, 1);
    harness_report(h, message, false, DELIVERY_DEFERRED, 0, "4.4.1", "no answer");
    while (act(h, SPOOL_ACT_FLUSH, id, NULL).done == 0) {
    }
    message = harness_deliver(h, 900); /* before the second that it would wait */
    assert_str(deliver_of(message)->destination, "one.example");
    harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
    while (act(h, SPOOL_ACT_RELEASE, id, NULL).done == 0) {
    }
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_str(deliver_of(message)->destination, "two.example");
    harness_report(h, message, true, DELIVERY_DEFERRED, 450, "", "later");
    while (act(h, SPOOL_ACT_BOUNCE, id, NULL).done == 0) {
    }
    message = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(has(deliver_of(message)->content.octets, "b@two.example"));
    assert_false(has(deliver_of(message)->content.octets, "a@one.example"));
    assert_true(has(deliver_of(message)->content.octets, "not wanted here"));
    harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_int_equal(harness_commit(h, &(struct harness_mail){.hold = "x"}, id), SPOOL_COMMITTED);
    assert_int_equal(act(h, SPOOL_ACT_REMOVE, id, NULL).done, 1);
    assert_int_equal(harness_count(h), 0);
    assert_null(harness_deliver(h, 100));
}

static void
test_shows_and_filters(void **state)
{
    struct harness *h = *state;
    char id[ID_LENGTH + 1];
    static const char *const one[] = {"a@one.example"};
    static const char *const two[] = {"b@two.example"};
    const struct harness_mail mails[] = {
        {.sender = "x@s.example", .recipients = one, .recipient_count = 1},
        {.sender = "y@s.example", .recipients = two, .recipient_count = 1},
        {.sender = "y@s.example", .recipients = one, .recipient_count = 1, .hold = "rule"},
    };
    static const struct {
        struct record_queue_filter filter;
        size_t want;
    } cases[] = {
        {{.sender = STR_INIT("y@*")}, 2},
        {{.recipient = STR_INIT("A@ONE.example")}, 2},
        {{.destination = STR_INIT("two.example")}, 1},
        {{.states = 1u << SPOOL_HELD}, 1},
        {{.states = 1u << SPOOL_HELD | 1u << SPOOL_QUEUED}, 3},
        {{.sender = STR_INIT("y@*"), .states = 1u << SPOOL_QUEUED}, 1},
        {{.older_than_ms = 3600000}, 0},
        {{.id = STR_INIT("0000000000000000")}, 0},
        {{.states = 1u << SPOOL_LEASED}, 0},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(harness_commit(h, &mails[i], id), SPOOL_COMMITTED);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_queue_filter filter = cases[i].filter;
        struct msg_queue_list list = {.filters = {&filter, 1}, .limit = 100};
        struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
        assert_int_equal(MSG_BODY(reply, queue_list_reply)->messages.n, cases[i].want);
        ipc_message_free(&reply);
    }
    struct msg_queue_show show = {.id = str_from_cstr(id)};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_SHOW, &show);
    const struct msg_queue_show_reply *r = MSG_BODY(reply, queue_show_reply);
    assert_int_equal(r->messages.n, 1);
    assert_str(r->messages.items[0].hold, "rule");
    assert_str(r->messages.items[0].recipients.items[0].address, "a@one.example");
    assert_int_equal(r->messages.items[0].recipients.items[0].state, SPOOL_HELD);
    assert_int_equal(r->next, 0);
    ipc_message_free(&reply);
}

static void
test_many_recipients(void **state)
{
    struct harness *h = *state;
    enum { COUNT = 2500 };
    static char names[COUNT][40];
    static const char *to[COUNT];
    static bool seen[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "user%u@%s.example", i, i % 2 == 0 ? "even" : "odd");
        to[i] = names[i];
    }
    const struct harness_mail mail = {.recipients = to, .recipient_count = COUNT};
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    harness_capacity(h, 10);
    for (unsigned done = 0; done < COUNT;) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        const struct msg_deliver *d = deliver_of(message);
        for (size_t i = 0; i < d->recipients.n; i++) {
            uint64_t number = d->recipients.items[i].number;
            assert_true(number < COUNT && !seen[number]);
            seen[number] = true;
            assert_str(d->recipients.items[i].address, names[number]);
            assert_true(has(d->destination, number % 2 == 0 ? "even" : "odd"));
        }
        done += (unsigned)d->recipients.n;
        harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
    }
    harness_wait_count(h, 0);
}

static void
test_a_full_disk_loses_nothing(void **state)
{
    struct harness *h = *state;
    unsigned accepted = 0;
    struct str content = big_content(60000);
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    harness_kill(h);
    harness_start(h, 2 * 1024 * 1024);
    int outcome = SPOOL_COMMITTED;
    for (unsigned i = 0; i < 200 && outcome == SPOOL_COMMITTED; i++) {
        outcome = harness_commit(h, &(struct harness_mail){.content = content}, NULL);
        accepted += outcome == SPOOL_COMMITTED;
    }
    assert_int_equal(outcome == SPOOL_FULL || outcome == SPOOL_UNAVAILABLE, 1);
    assert_in_range(accepted, 5, 100);
    /* Results that cannot be written are kept until they can. */
    harness_capacity(h, 1);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_DELIVERED, 250, "",
                   "");
    assert_int_equal(prlimit(h->pid, RLIMIT_FSIZE, &none, NULL), 0);
    for (unsigned i = 1; i < accepted; i++) {
        harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_DELIVERED, 250, "",
                       "");
    }
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 200));
    assert_int_equal(harness_commit(h, &(struct harness_mail){.content = content}, NULL),
                     SPOOL_COMMITTED);
    free((void *)(uintptr_t)content.p);
}

/* Changes the database while the role is down. */
static void
change(struct harness *h, const char *sql)
{
    char path[128];
    sqlite3 *db;
    harness_stop(h);
    snprintf(path, sizeof path, "%s/queue.db", h->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        print_error("%s\n", sqlite3_errmsg(db));
    }
    assert_int_equal(code, SQLITE_OK);
    sqlite3_close(db);
    harness_start(h, 0);
}

/* Five days and more ago, in the queue's time. */
static const char make_old[] = "UPDATE message SET queued_ms = queued_ms - 500000000";

static void
test_expires_after_its_last_attempt(void **state)
{
    struct harness *h = *state;
    const struct harness_mail null_sender = {.sender = ""};
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    assert_int_equal(harness_commit(h, &null_sender, NULL), SPOOL_COMMITTED);
    change(h, make_old);
    harness_capacity(h, 1);
    for (unsigned i = 0; i < 2; i++) { /* each is tried once more, however old it is */
        harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_DEFERRED, 452,
                       "4.2.2", "full");
    }
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_str(deliver_of(notice)->sender, "");
    assert_true(has(deliver_of(notice)->content.octets, "\r\nStatus: 4.4.7\r\n"));
    assert_true(has(deliver_of(notice)->content.octets, "smtp; 452 4.2.2 full"));
    harness_report(h, notice, true, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
    assert_null(harness_deliver(h, 200));
}

static void
test_warns_of_a_delay_once(void **state)
{
    struct harness *h = *state;
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    change(h, "UPDATE message SET queued_ms = queued_ms - 15000000"); /* over four hours */
    harness_capacity(h, 1);
    unsigned notices = 0;
    for (unsigned i = 0; i < 3;) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        bool is_notice = deliver_of(message)->sender.n == 0;
        if (is_notice) {
            assert_true(has(deliver_of(message)->content.octets, "\r\nAction: delayed\r\n"));
            assert_true(has(deliver_of(message)->content.octets, "\r\nWill-Retry-Until: "));
        }
        notices += is_notice;
        i += !is_notice;
        harness_report(h, message, true, is_notice ? DELIVERY_DELIVERED : DELIVERY_DEFERRED,
                       is_notice ? 250 : 450, "", "later");
    }
    assert_int_equal(notices, 1);
}

/* What waits for a blocked destination is never tried: its age is looked after nonetheless. */
static void
test_age_of_what_is_never_tried(void **state)
{
    static const char block[] = "INSERT OR REPLACE INTO destination VALUES "
                                "('dead.example', 1000000000000000, 5)";
    static const char *const to[] = {"a@dead.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 1};
    struct harness *h = *state;
    char sql[512];
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    snprintf(sql, sizeof sql, "%s; UPDATE message SET queued_ms = queued_ms - 15000000", block);
    change(h, sql);
    harness_capacity(h, 1);
    struct ipc_message *notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(has(deliver_of(notice)->content.octets, "\r\nAction: delayed\r\n"));
    harness_report(h, notice, true, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 1);
    h->uptime_ms = 3600000; /* as if it had been up for long enough for everybody to be tried */
    change(h, make_old);
    harness_capacity(h, 1);
    notice = harness_deliver(h, HARNESS_TIMEOUT_MS);
    assert_true(has(deliver_of(notice)->content.octets, "\r\nStatus: 4.4.7\r\n"));
    harness_report(h, notice, true, DELIVERY_DELIVERED, 250, "", "");
    harness_wait_count(h, 0);
}

/* The wall clock was a year ahead when this was queued, and has been set right since. */
static void
test_a_clock_that_was_ahead_stalls_nothing(void **state)
{
    struct harness *h = *state;
    harness_capacity(h, 1);
    assert_int_equal(harness_commit(h, &(struct harness_mail){0}, NULL), SPOOL_COMMITTED);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_DEFERRED, 450, "",
                   "later");
    change(h, "UPDATE queue SET clock_ms = clock_ms + 31536000000;"
              "UPDATE message SET queued_ms = queued_ms + 31536000000;"
              "UPDATE recipient SET due_ms = due_ms + 31536000000;"
              "UPDATE destination SET look_ms = look_ms + 31536000000");
    harness_capacity(h, 1);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_DEFERRED, 450, "",
                   "later");
    struct msg_queue_list list = {.limit = 10};
    struct ipc_message *reply = harness_ask(h, MSG_QUEUE_LIST, &list);
    const struct record_queue_message *m = &MSG_BODY(reply, queue_list_reply)->messages.items[0];
    int64_t wall = clock_wall_ms();
    /* people see the time of now */
    assert_true(m->queued_ms > wall - 60000 && m->queued_ms <= wall);
    ipc_message_free(&reply);
    harness_report(h, harness_deliver(h, HARNESS_TIMEOUT_MS), true, DELIVERY_DELIVERED, 250, "",
                   "");
    harness_wait_count(h, 0);
}

static void
test_new_routes_hold_for_old_mail(void **state)
{
    static const char other_config[] =
        "hostname: mx.inside.example\n"
        "domains: [{name: inside.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}]\n"
        "routes: [{domain: far.example, to: \"smtp://10.0.0.1:25\"}]\n"
        "queue: {retry_first: 1s, retry_max: 2s, retry_jitter: 0, min_free_disk: 0}\n"
        "bounce: {postmaster: postmaster@inside.example}\n"
        "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";
    static const char *const to[] = {"a@far.example", "b@elsewhere.example"};
    const struct harness_mail mail = {.recipients = to, .recipient_count = 2};
    struct harness *h = *state;
    bool routed = false;
    assert_int_equal(harness_commit(h, &mail, NULL), SPOOL_COMMITTED);
    harness_stop(h);
    h->config = other_config;
    harness_start(h, 0);
    harness_capacity(h, 5);
    for (unsigned i = 0; i < 2; i++) {
        struct ipc_message *message = harness_deliver(h, HARNESS_TIMEOUT_MS);
        const struct msg_deliver *d = deliver_of(message);
        assert_int_equal(d->recipients.n, 1);
        routed = routed || has(d->destination, "smtp://10.0.0.1:25");
        assert_false(has(d->destination, "far.example"));
        harness_report(h, message, true, DELIVERY_DELIVERED, 250, "", "");
    }
    assert_true(routed);
    harness_wait_count(h, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delivers_what_is_committed),
        TEST(knows_a_repeated_commit),
        TEST(refuses_a_malformed_commit),
        TEST(tries_again_later),
        TEST(bounces_once),
        TEST(tells_what_was_asked_for),
        TEST(survives_its_own_death),
        TEST(keeps_large_messages),
        TEST(a_dead_destination_starves_nobody),
        TEST(a_lost_relay_gives_back_its_leases),
        TEST(administrators_act),
        TEST(shows_and_filters),
        TEST(many_recipients),
        TEST(a_full_disk_loses_nothing),
        TEST(expires_after_its_last_attempt),
        TEST(warns_of_a_delay_once),
        TEST(age_of_what_is_never_tried),
        TEST(a_clock_that_was_ahead_stalls_nothing),
        TEST(new_routes_hold_for_old_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
