/*
 * spool_bench - how fast the queue store takes and forgets messages, on the disk it is given.
 *
 *     spool_bench [-d DIRECTORY] [-s OCTETS] [-b BATCH] [-n MESSAGES] [-q QUEUED]
 *
 * Commits n messages of s octets in batches of b (each batch: b new messages in and b earlier ones
 * out, in one commit, as in the running spool) and prints messages a second and what one message
 * costs: microseconds of processor time, KiB written to the disk, calls that read and write. With
 * -q it first fills the queue with that many messages that wait, says how long opening such a queue
 * takes, and then measures with them there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/spool.h"

#define DESTINATIONS 1000u

struct bench {
    char directory[SPOOL_DIRECTORY_MAX];
    size_t octets;
    size_t batch;
    size_t messages;
    size_t queued;
    struct str head;
    struct str content;
    struct spool *spool;
};

static void
check(struct bench *bench, enum status status, const char *what)
{
    if (status != STATUS_OK) {
        fprintf(stderr, "%s: %s (%s)\n", what, status_name(status),
                bench->spool != NULL ? spool_error(bench->spool) : "not open");
        exit(EXIT_FAILURE);
    }
}

static int64_t
insert(struct bench *bench, uint64_t number, int64_t due_ms)
{
    char id[ID_LENGTH + 1];
    char domain[64];
    bool duplicate;
    snprintf(domain, sizeof domain, "d%llu.example", (unsigned long long)(number % DESTINATIONS));
    id_make(clock_wall_ms(), id);
    struct spool_recipient recipient = {
        .address = STR("somebody@recipient.example"),
        .original = STR("somebody@recipient.example"),
        .destination = str_from_cstr(domain),
        .due_ms = due_ms,
    };
    struct spool_message message = {
        .id = str_from_cstr(id),
        .received_ms = due_ms,
        .queued_ms = due_ms,
        .sender = STR("sender@sender.example"),
        .size = bench->head.n + bench->content.n,
        .head = bench->head,
        .content = bench->content,
        .recipients = &recipient,
        .recipient_count = 1,
    };
    check(bench, spool_insert(bench->spool, &message, &duplicate), "insert");
    if (number < DESTINATIONS) {
        check(bench, spool_destination_wake(bench->spool, recipient.destination, due_ms), "wake");
    }
    return message.key;
}

static void
open_spool(struct bench *bench)
{
    struct str reason = {0};
    struct arena *arena = arena_create(65536);
    enum status status = spool_open(bench->directory, arena, &bench->spool, &reason);
    if (status != STATUS_OK) {
        fprintf(stderr, "%.*s\n", STR_ARG(reason));
        exit(EXIT_FAILURE);
    }
    arena_destroy(&arena);
}

static void
fill(struct bench *bench)
{
    int64_t start = clock_monotonic_ms();
    for (size_t done = 0; done < bench->queued;) {
        check(bench, spool_begin(bench->spool), "begin");
        for (size_t i = 0; i < 2000 && done < bench->queued; i++, done++) {
            insert(bench, done, clock_wall_ms() + 3600000);
        }
        check(bench, spool_commit(bench->spool, clock_wall_ms()), "commit");
        spool_tidy(bench->spool);
    }
    printf("queue filled with %zu messages in %.1f s, %.0f MiB on disk\n", bench->queued,
           (double)(clock_monotonic_ms() - start) / 1000.0,
           (double)spool_size(bench->spool) / 1048576.0);
    spool_close(&bench->spool);
    start = clock_monotonic_ms();
    open_spool(bench);
    printf("queue opened in %lld ms\n", (long long)(clock_monotonic_ms() - start));
}

static void
forget(struct bench *bench, int64_t key)
{
    struct spool_end end;
    struct spool_result result = {.number = 0, .state = SPOOL_DELIVERED};
    check(bench, spool_settle(bench->spool, key, 1, &result, 1, &end), "settle");
}

/* What this process has used so far. */
struct usage {
    double user_us;
    double system_us;
    double written; /* octets that go to the disk */
    double reads;   /* calls */
    double writes;
};

static double
microseconds(struct timeval t)
{
    return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

static struct usage
usage_now(void)
{
    struct rusage spent = {0};
    struct usage usage = {0};
    char line[128];
    getrusage(RUSAGE_SELF, &spent);
    usage.user_us = microseconds(spent.ru_utime);
    usage.system_us = microseconds(spent.ru_stime);
    FILE *io = fopen("/proc/self/io", "re");
    while (io != NULL && fgets(line, sizeof line, io) != NULL) {
        struct str text = str_from_cstr(line);
        size_t colon = str_find_char(text, ':');
        double value = colon != STR_NPOS ? strtod(line + colon + 1, NULL) : 0;
        usage.reads = str_starts_with(text, STR("syscr:")) ? value : usage.reads;
        usage.writes = str_starts_with(text, STR("syscw:")) ? value : usage.writes;
        usage.written = str_starts_with(text, STR("write_bytes:")) ? value : usage.written;
    }
    if (io != NULL) {
        fclose(io);
    }
    return usage;
}

static void
print_usage(const struct bench *bench, const struct usage *from)
{
    struct usage now = usage_now();
    double n = (double)bench->messages;
    printf("each: user_us=%.1f system_us=%.1f written_kib=%.1f reads=%.1f writes=%.1f\n",
           (now.user_us - from->user_us) / n, (now.system_us - from->system_us) / n,
           (now.written - from->written) / 1024 / n, (now.reads - from->reads) / n,
           (now.writes - from->writes) / n);
}

static void
run(struct bench *bench)
{
    struct usage before = usage_now();
    int64_t *keys = calloc(bench->batch, sizeof *keys);
    size_t commits = 0;
    int64_t start = clock_monotonic_ms();
    if (keys == NULL) {
        abort();
    }
    for (size_t done = 0; done < bench->messages; commits++) {
        check(bench, spool_begin(bench->spool), "begin");
        for (size_t i = 0; i < bench->batch; i++, done++) {
            if (keys[i] != 0) {
                forget(bench, keys[i]);
            }
            keys[i] = insert(bench, done, clock_wall_ms());
        }
        check(bench, spool_commit(bench->spool, clock_wall_ms()), "commit");
        spool_tidy(bench->spool);
    }
    double seconds = (double)(clock_monotonic_ms() - start) / 1000.0;
    printf("octets=%zu batch=%zu queued=%zu messages=%zu commits=%zu seconds=%.2f "
           "messages_per_second=%.0f\n",
           bench->octets, bench->batch, bench->queued, bench->messages, commits, seconds,
           (double)bench->messages / seconds);
    print_usage(bench, &before);
    free(keys);
}

static size_t
number(const char *text)
{
    uint64_t value;
    if (str_parse_u64(str_from_cstr(text), 1u << 30, &value) != STATUS_OK || value == 0) {
        fprintf(stderr, "not a number: %s\n", text);
        exit(2);
    }
    return (size_t)value;
}

int
main(int argc, char **argv)
{
    struct bench bench = {.octets = 4096, .batch = 40, .messages = 100000};
    int option;
    snprintf(bench.directory, sizeof bench.directory, "/tmp/spool_bench.XXXXXX");
    const char *given = NULL;
    while ((option = getopt(argc, argv, "d:s:b:n:q:")) != -1) {
        switch (option) {
        case 'd':
            given = optarg;
            break;
        case 's':
            bench.octets = number(optarg);
            break;
        case 'b':
            bench.batch = number(optarg);
            break;
        case 'n':
            bench.messages = number(optarg);
            break;
        case 'q':
            bench.queued = number(optarg);
            break;
        default:
            fprintf(stderr,
                    "usage: %s [-d directory] [-s octets] [-b batch] [-n messages] "
                    "[-q queued]\n",
                    argv[0]);
            return 2;
        }
    }
    if (given != NULL) {
        snprintf(bench.directory, sizeof bench.directory, "%s", given);
    } else if (mkdtemp(bench.directory) == NULL) {
        perror(bench.directory);
        return 1;
    }
    char *octets = malloc(bench.octets + 512);
    if (octets == NULL) {
        abort();
    }
    memset(octets, 'x', bench.octets + 512);
    bench.head = str_make(octets, 512);
    bench.content = str_make(octets + 512, bench.octets);
    open_spool(&bench);
    if (bench.queued > 0) {
        fill(&bench);
    }
    run(&bench);
    spool_close(&bench.spool);
    free(octets);
    return 0;
}
