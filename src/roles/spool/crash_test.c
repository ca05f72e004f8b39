/*
 * Kills the spool with SIGKILL at random moments under load, many times, and compares: what was
 * acknowledged must all be delivered at least once. What is delivered twice is counted and told:
 * a delivery whose report was not on disk when the spool died is made again, which SMTP allows.
 *
 * The number of kills: the argument, else KILLS. The random moments come from POSTERN_TEST_SEED or
 * the clock; the seed is printed.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/spool/harness.h"
#include "store/spool.h"

#define KILLS         40
#define MESSAGES_MAX  100000
/* Commits that wait for their answer at one time. */
#define UNDER_WAY_MAX 64u

struct sent {
    char id[ID_LENGTH + 1];
    uint64_t request;
    size_t recipients;
    size_t content; /* octets; 0: the usual ones */
    bool acknowledged;
    unsigned delivered; /* a bit for each recipient */
    unsigned twice;
};

struct run {
    struct harness harness;
    struct sent *sent; /* in the order of their ids */
    size_t count;
    size_t under_way;
    struct str large;
};

static int kills = KILLS;

static void
send_one(struct run *run)
{
    static const char *const recipients[] = {"a@one.example", "b@two.example", "c@one.example"};
    struct sent *sent = &run->sent[run->count];
    struct harness_mail mail = {.recipients = recipients,
                                .recipient_count = 1 + (size_t)rand() % 3};
    if (rand() % 50 == 0) {
        mail.content = run->large;
    } else if (rand() % 3 == 0) { /* of the body log */
        mail.content = str_head(run->large, 9000 + (size_t)rand() % 100000);
    }
    assert_true(run->count < MESSAGES_MAX);
    sent->request = harness_commit_send(&run->harness, &mail, sent->id);
    sent->recipients = mail.recipient_count;
    sent->content = mail.content.n;
    if (sent->request != 0) {
        run->count++;
        run->under_way++;
    }
}

static struct sent *
find_request(struct run *run, uint64_t request)
{
    for (size_t i = run->count; i > 0; i--) {
        if (run->sent[i - 1].request == request) {
            return &run->sent[i - 1];
        }
    }
    return NULL;
}

static struct sent *
find_id(struct run *run, struct str id)
{
    for (size_t i = 0; i < run->count; i++) {
        if (str_eq(str_from_cstr(run->sent[i].id), id)) {
            return &run->sent[i];
        }
    }
    return NULL;
}

/* False when the spool is gone. */
static bool
take_answer(struct run *run)
{
    uint64_t request;
    int outcome = harness_commit_receive(&run->harness, &request);
    if (outcome < 0) {
        return false;
    }
    struct sent *sent = find_request(run, request);
    if (sent == NULL) {
        fail_msg("an answer to what was never asked");
        return false;
    }
    sent->acknowledged = outcome == SPOOL_COMMITTED;
    run->under_way--;
    return true;
}

static bool
take_delivery(struct run *run)
{
    struct ipc_message *message = harness_deliver(&run->harness, 0);
    if (message == NULL) {
        return false;
    }
    const struct msg_deliver *d = MSG_BODY(message, deliver);
    struct sent *sent = find_id(run, d->id);
    if (sent == NULL || d->recipients.n > 3) {
        fail_msg("a delivery of what was never sent");
        return false;
    }
    assert_true(sent->content == 0 || d->content.size == sent->content);
    struct record_delivery_result results[3];
    for (size_t i = 0; i < d->recipients.n; i++) {
        unsigned bit = 1u << d->recipients.items[i].number;
        sent->twice |= sent->delivered & bit;
        sent->delivered |= bit;
        results[i] = (struct record_delivery_result){
            .number = d->recipients.items[i].number, .outcome = DELIVERY_DELIVERED, .code = 250};
    }
    struct msg_delivery_report report = {
        .lease = d->lease, .connected = true, .results = {results, d->recipients.n}};
    enum status ignored = channel_plain_send(run->harness.relay, MSG_DELIVERY_REPORT, 0, &report);
    (void)ignored; /* the spool may have died */
    ipc_message_free(&message);
    return true;
}

/* Load until the moment has come, then SIGKILL. */
static void
run_and_kill(struct run *run, int64_t until_ms)
{
    harness_start(&run->harness, 0);
    harness_capacity(&run->harness, 20);
    run->under_way = 0;
    while (clock_monotonic_ms() < until_ms) {
        while (run->under_way < UNDER_WAY_MAX && rand() % 4 != 0) {
            send_one(run);
        }
        struct pollfd fds[2] = {{.fd = run->harness.filter, .events = POLLIN},
                                {.fd = run->harness.relay, .events = POLLIN}};
        poll(fds, 2, 1);
        if (fds[0].revents != 0 && !take_answer(run)) {
            break;
        }
        if (fds[1].revents != 0) {
            take_delivery(run);
        }
    }
    kill(run->harness.pid, SIGKILL);
    while (take_answer(run)) { /* what it still said is true */
    }
    harness_kill(&run->harness);
}

/* Runs until the queue is empty. */
static void
drain(struct run *run)
{
    harness_start(&run->harness, 0);
    harness_capacity(&run->harness, 20);
    int64_t end = clock_monotonic_ms() + 60000;
    while (harness_count(&run->harness) > 0) {
        struct pollfd fd = {.fd = run->harness.relay, .events = POLLIN};
        poll(&fd, 1, 100);
        while (take_delivery(run)) {
        }
        assert_true(clock_monotonic_ms() < end);
    }
}

static void
test_acknowledged_is_delivered(void **state)
{
    struct run run = {.sent = calloc(MESSAGES_MAX, sizeof *run.sent)};
    char *large = malloc(1500000);
    const char *seed_text = getenv("POSTERN_TEST_SEED");
    unsigned seed =
        seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)clock_wall_ms();
    size_t acknowledged = 0;
    size_t lost = 0;
    size_t twice = 0;
    (void)state;
    assert_non_null(run.sent);
    assert_non_null(large);
    memset(large, 'z', 1500000);
    run.large = str_make(large, 1500000);
    srand(seed);
    harness_create(&run.harness, NULL);
    for (int i = 0; i < kills; i++) {
        run_and_kill(&run, clock_monotonic_ms() + 5 + rand() % 80);
    }
    drain(&run);
    for (size_t i = 0; i < run.count; i++) {
        acknowledged += run.sent[i].acknowledged;
        twice += run.sent[i].twice != 0;
        lost +=
            run.sent[i].acknowledged && run.sent[i].delivered != (1u << run.sent[i].recipients) - 1;
    }
    print_message("seed=%u kills=%d sent=%zu acknowledged=%zu lost=%zu twice=%zu\n", seed, kills,
                  run.count, acknowledged, lost, twice);
    assert_int_equal(lost, 0);
    assert_true(acknowledged > 0);
    harness_destroy(&run.harness);
    free(run.sent);
    free(large);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_acknowledged_is_delivered)};
    kills = argc > 1 ? (int)strtol(argv[1], NULL, 10) : KILLS;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
