/*
 * resolver_bench - cached answers a second through the boundary of the resolver role.
 *
 *     resolver_bench STATE_DIRECTORY SETTINGS NAMES [SECONDS]
 *
 * Starts the role with SETTINGS (the map under `resolver:`), asks for the TXT records of NAMES
 * ("n%u.bench.example" for 0, 1, ... up to the number) once to warm the cache, and then over and
 * over: one question a packet with 64 on the way, in batches of 8 and 64, and read in the table
 * that the role shares ("batch": 0). Prints a line of JSON for each: answers a second on the clock,
 * and a second of processor time of the role, which is what counts where others use the machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "dns/dns.h"
#include "dns/source_channel.h"
#include "roles/resolver/test_process.h"

#define NAMES_MAX    100000u
#define NAME_OCTETS  32u
#define WINDOW       64u
#define DEFAULT_TIME 3.0
#define TIMEOUT_MS   20000

struct bench {
    struct test_process process;
    unsigned names;
    unsigned next;
    unsigned long answers;
    unsigned long failures;
};

static void
fail(const char *what)
{
    fprintf(stderr, "resolver_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

/* Processor seconds of a process so far, all its threads. */
static double
cpu_seconds(pid_t pid)
{
    char path[64];
    char text[1024];
    unsigned long user;
    unsigned long kernel;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) {
        fail("no /proc of the role");
    }
    fclose(file);
    const char *after = strrchr(text, ')');
    if (after == NULL ||
        sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", /* NOLINT */
               &user, &kernel) != 2) {
        fail("a stat that cannot be read");
    }
    long const ticks = sysconf(_SC_CLK_TCK);
    return (double)(user + kernel) / (double)(ticks > 0 ? ticks : 100);
}

static struct str
next_name(struct bench *bench, char room[static NAME_OCTETS])
{
    int n = snprintf(room, NAME_OCTETS, "n%u.bench.example", bench->next);
    bench->next = bench->next + 1 < bench->names ? bench->next + 1 : 0;
    return str_make(room, (size_t)n);
}

static void
send_questions(struct bench *bench, unsigned batch)
{
    static char names[DNS_BATCH_MAX][NAME_OCTETS];
    static struct record_question questions[DNS_BATCH_MAX];
    enum status status;
    for (unsigned i = 0; i < batch; i++) {
        questions[i] = (struct record_question){next_name(bench, names[i]), DNS_TYPE_TXT};
    }
    if (batch == 1) {
        struct msg_resolve fields = {questions[0].name, questions[0].type};
        status = channel_plain_send(bench->process.filter, MSG_RESOLVE, ++bench->process.request,
                                    &fields);
    } else {
        struct msg_resolve_batch fields = {.questions = {questions, batch}};
        status = channel_plain_send(bench->process.filter, MSG_RESOLVE_BATCH,
                                    ++bench->process.request, &fields);
    }
    if (status != STATUS_OK) {
        fail("a question cannot be sent");
    }
}

static void
count(struct bench *bench, uint8_t outcome, size_t records)
{
    bench->answers++;
    bench->failures += outcome != DNS_OUTCOME_ANSWER || records != 1;
}

static void
take_reply(struct bench *bench)
{
    struct ipc_message *reply;
    if (channel_plain_receive(bench->process.filter, ROLE_RESOLVER, ROLE_FILTER, TIMEOUT_MS,
                              &reply) != STATUS_OK) {
        fail("a question has no answer");
    }
    if (reply->type == MSG_RESOLVE_REPLY) {
        const struct msg_resolve_reply *single = MSG_BODY(reply, resolve_reply);
        count(bench, single->outcome, single->records.n);
    } else {
        const struct msg_resolve_batch_reply *batch = MSG_BODY(reply, resolve_batch_reply);
        for (size_t i = 0; i < batch->answers.n; i++) {
            count(bench, batch->answers.items[i].outcome, batch->answers.items[i].records.n);
        }
    }
    ipc_message_free(&reply);
}

/* Asks until `seconds` have passed, or for `count` answers; keeps `window` packets on the way. */
static void
ask_for(struct bench *bench, unsigned batch, unsigned window, double seconds, unsigned long count)
{
    int64_t const end = clock_monotonic_ms() + (int64_t)(seconds * 1000);
    unsigned long const target = bench->answers + count;
    unsigned under_way = 0;
    bool more = true;
    while (more || under_way > 0) {
        more = more && (count > 0 ? bench->answers + under_way * batch < target
                                  : clock_monotonic_ms() < end);
        while (more && under_way < window) {
            send_questions(bench, batch);
            under_way++;
        }
        if (under_way > 0) {
            take_reply(bench);
            under_way--;
        }
    }
}

static void
measure(struct bench *bench, unsigned batch, double seconds)
{
    unsigned const window = batch == 1 ? WINDOW : 4;
    double const cpu = cpu_seconds(bench->process.pid);
    int64_t const start = clock_monotonic_ms();
    bench->answers = bench->failures = 0;
    ask_for(bench, batch, window, seconds, 0);
    double const took = (double)(clock_monotonic_ms() - start) / 1000;
    double const used = cpu_seconds(bench->process.pid) - cpu;
    printf("{\"batch\": %u, \"answers\": %lu, \"failures\": %lu, \"per_second\": %.0f, "
           "\"per_cpu_second\": %.0f}\n",
           batch, bench->answers, bench->failures, (double)bench->answers / took,
           (double)bench->answers / (used > 0 ? used : took));
    fflush(stdout);
}

/* Answers that are read in the table, as the filter does before it asks. */
static void
measure_reading(struct bench *bench, double seconds)
{
    struct arena *arena = arena_create(1u << 20);
    int64_t const start = clock_monotonic_ms();
    int64_t const end = start + (int64_t)(seconds * 1000);
    bench->answers = bench->failures = 0;
    for (int64_t now = start; now < end; now = clock_monotonic_ms()) {
        char room[NAME_OCTETS];
        struct dns_answer answer = {.outcome = DNS_OUTCOME_TIMEOUT};
        struct str name = next_name(bench, room);
        (void)!dns_view_find(bench->process.view, arena, name, DNS_TYPE_TXT, now, &answer);
        count(bench, (uint8_t)answer.outcome, answer.record_count);
        arena_reset(arena);
    }
    arena_destroy(&arena);
    double const took = (double)(clock_monotonic_ms() - start) / 1000;
    printf("{\"batch\": 0, \"answers\": %lu, \"failures\": %lu, \"per_second\": %.0f, "
           "\"per_cpu_second\": %.0f}\n",
           bench->answers, bench->failures, (double)bench->answers / took,
           (double)bench->answers / took);
}

int
main(int argc, char **argv)
{
    static struct bench bench;
    static const unsigned batches[] = {1, 8, 64};
    bench.names = argc >= 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    double const seconds = argc == 5 ? strtod(argv[4], NULL) : DEFAULT_TIME;
    if (bench.names == 0 || bench.names > NAMES_MAX || seconds <= 0) {
        fprintf(stderr, "usage: resolver_bench STATE_DIRECTORY SETTINGS NAMES [SECONDS]\n");
        return 2;
    }
    test_process_launch(&bench.process, argv[1]);
    test_process_begin(&bench.process, argv[2]);
    ask_for(&bench, 1, 16, 0, bench.names);
    if (bench.failures > 0) {
        fail("the names are not there");
    }
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        measure(&bench, batches[i], seconds);
    }
    measure_reading(&bench, seconds);
    struct ipc_message *status = test_process_status(&bench.process);
    fprintf(stderr, "questions in all: %lld\n",
            (long long)test_process_metric(status, "dns_questions"));
    ipc_message_free(&status);
    test_process_stop(&bench.process);
    return 0;
}
