/*
 * ledger_bench - how many messages a second the ledger's store can take, on one thread.
 *
 *     ledger_bench DIRECTORY [MESSAGES [BATCH]]
 *
 * Each message is what a delivered mail leaves behind, as the roles send it: the filter's part with
 * what the edge had recorded before, the edge's with its answer, one of the session, one of the
 * relay, one of the spool. Each role's parts come in batches of its own, some messages later than
 * the filter's, and BATCH parts or more are committed together. The processor time is the store's
 * alone: what it takes to record the traces is measured before, and subtracted. Also prints octets
 * a message, and how long some searches take afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "store/ledger_search.h"
#include "store/ledger_traces.h"

/* Parts that a role gathers before it sends them. */
#define GATHER 32u

/* Who sends, and by how many messages it is behind the filter. */
static const unsigned long lags[] = {0, 3, 20, 24};

enum role { ROLE_FILTER, ROLE_EDGE, ROLE_RELAY, ROLE_SPOOL, ROLES };

/* Messages whose identifiers are remembered for the roles that come later. */
#define MESSAGES_UNDER_WAY 32u

struct part {
    char id[ID_LENGTH + 1];
    char session[ID_LENGTH + 1];
    struct trace trace;
};

struct sender {
    size_t count;
    struct part parts[GATHER];
};

struct message {
    char session[ID_LENGTH + 1];
    char id[ID_LENGTH + 1];
    struct ip_address client;
};

struct bench {
    struct trace_store *store;
    struct trace_store_limits limits;
    size_t batch;
    size_t in_batch;
    uint64_t octets;
    struct message under_way[MESSAGES_UNDER_WAY];
    struct sender senders[ROLES];
};

static void
check(enum status status, const char *what)
{
    if (status != STATUS_OK) {
        fprintf(stderr, "%s: %s\n", what, status_name(status));
        exit(EXIT_FAILURE);
    }
}

/* All that a role has gathered; nobody takes it while there is no store. */
static void
send_parts(struct bench *bench, struct sender *sender)
{
    for (size_t i = 0; i < sender->count; i++) {
        struct part *part = &sender->parts[i];
        struct str events = trace_events(&part->trace);
        if (bench->store != NULL) {
            bench->octets += events.n;
            check(trace_store_append(bench->store, str_from_cstr(part->id),
                                     str_from_cstr(part->session), events),
                  "append");
        }
        trace_clear(&part->trace);
    }
    bench->in_batch += sender->count;
    sender->count = 0;
    if (bench->store != NULL && bench->in_batch >= bench->batch) {
        check(trace_store_commit(bench->store), "commit");
        bench->in_batch = 0;
    }
}

/* The trace of a part that the role will send, empty. */
static struct trace *
add_part(struct bench *bench, enum role role, const char *id, const char *session)
{
    struct sender *sender = &bench->senders[role];
    if (sender->count == GATHER) {
        send_parts(bench, sender);
    }
    struct part *part = &sender->parts[sender->count++];
    memcpy(part->id, id, sizeof part->id);
    snprintf(part->session, sizeof part->session, "%s", session);
    return &part->trace;
}

static void
record_session(struct trace *trace, const struct ip_address *client)
{
    TRACE(trace, connection_opened, .client = *client, .client_port = 51234, .server = *client,
          .server_port = 25, .listener = STR("mx"));
    TRACE(trace, greeted, .code = 220, .text = STR("mx.kartapuce.com ESMTP Postern"));
    TRACE(trace, helo, .verb = STR("EHLO"), .name = STR("mail.provider.example"),
          .form = STR("domain"));
    TRACE(trace, tls_started, .version = STR("TLSv1.3"), .cipher = STR("TLS_AES_256_GCM_SHA384"),
          .bits = 256);
    TRACE(trace, connection_closed, .reason = STR("quit"), .state = STR("closing"), .commands = 6);
}

static int
recipient_text(unsigned long number, char out[static 64])
{
    return snprintf(out, 64, "user%lu@kartapuce.com", number * 104729 % 5000);
}

static void
record_message(struct trace *trace, unsigned long number, const struct ip_address *client)
{
    char sender[64];
    char recipient[64];
    char message_id[64];
    int n = snprintf(sender, sizeof sender, "sender%lu@provider%lu.example", number * 7919 % 50000,
                     number % 300);
    int m = recipient_text(number, recipient);
    int k = snprintf(message_id, sizeof message_id, "<%lx.%lu@mail.provider.example>",
                     number * 2654435761UL % 4294967296UL, number);
    TRACE(trace, mail_accepted, .sender = str_make(sender, (size_t)n), .client = *client,
          .helo = STR("mail.provider.example"), .size = 4321);
    TRACE(trace, recipient_accepted, .address = str_make(recipient, (size_t)m), .why = STR("user"));
    TRACE(trace, content_received, .size = 4321, .lines = 80, .longest_line = 76);
    TRACE(trace, message_header, .from = str_make(sender, (size_t)n),
          .to = str_make(recipient, (size_t)m), .subject = STR("A subject of common length, about"),
          .message_id = str_make(message_id, (size_t)k),
          .date = STR("Mon, 23 Nov 2026 17:48:14 +0000"));
    TRACE(trace, decision, .action = STR("accept"));
    TRACE(trace, header_edited, .action = STR("added"), .name = STR("Received"),
          .value = STR("from mail.provider.example ([192.0.2.1]) by mx.kartapuce.com (Postern) "
                       "with ESMTPS id 1M84WVCTAEZ0YHXN; Mon, 23 Nov 2026 17:48:14 +0000"));
    TRACE(trace, queued, .recipients = 1, .size = 4500);
}

static void
record_answer(struct trace *trace)
{
    TRACE(trace, message_answered, .code = 250, .enhanced = STR("2.0.0"),
          .text = STR("Ok: queued as 1M84WVCTAEZ0YHXN"));
}

static void
record_delivery(struct trace *trace, unsigned long number, const struct ip_address *host)
{
    char recipient[64];
    int m = recipient_text(number, recipient);
    TRACE(trace, attempt_started, .destination = STR("lmtp://127.0.10.2:24"),
          .protocol = STR("lmtp"), .host = STR("127.0.10.2"), .address = *host, .port = 24,
          .attempt = 1);
    TRACE(trace, delivered, .recipient = str_make(recipient, (size_t)m), .code = 250,
          .enhanced = STR("2.0.0"), .text = STR("<user@kartapuce.com> Saved"),
          .remote = STR("127.0.10.2"));
}

static void
begin_message(struct bench *bench, unsigned long number)
{
    struct message *message = &bench->under_way[number % MESSAGES_UNDER_WAY];
    message->client = (struct ip_address){.octets = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
    message->client.octets[13] = (uint8_t)(number * 31 >> 8);
    message->client.octets[14] = (uint8_t)(number * 31);
    id_make(clock_wall_ms(), message->session);
    id_make(clock_wall_ms(), message->id);
}

/* What a role does with a message. */
static void
role_part(struct bench *bench, enum role role, unsigned long number)
{
    const struct message *m = &bench->under_way[number % MESSAGES_UNDER_WAY];
    if (role == ROLE_FILTER) {
        record_message(add_part(bench, role, m->id, m->session), number, &m->client);
    } else if (role == ROLE_EDGE) {
        record_answer(add_part(bench, role, m->id, m->session));
        record_session(add_part(bench, role, m->session, m->session), &m->client);
    } else if (role == ROLE_RELAY) {
        record_delivery(add_part(bench, role, m->id, ""), number, &m->client);
    } else {
        TRACE(add_part(bench, role, m->id, ""), finished, .delivered = 1);
    }
}

static void
init_senders(struct bench *bench)
{
    for (size_t i = 0; i < ROLES; i++) {
        for (size_t k = 0; k < GATHER; k++) {
            trace_init(&bench->senders[i].parts[k].trace, NULL);
        }
    }
}

static void
free_senders(struct bench *bench)
{
    for (size_t i = 0; i < ROLES; i++) {
        for (size_t k = 0; k < GATHER; k++) {
            trace_free(&bench->senders[i].parts[k].trace);
        }
    }
}

/* One message begins, and older ones go on. */
static void
one_message(struct bench *bench, unsigned long number)
{
    begin_message(bench, number);
    for (enum role role = ROLE_FILTER; role < ROLES; role++) {
        if (number >= lags[role]) {
            role_part(bench, role, number - lags[role]);
        }
    }
}

/* What the roles still have of the last messages. */
static void
end_messages(struct bench *bench, unsigned long messages)
{
    for (enum role role = ROLE_FILTER; role < ROLES; role++) {
        unsigned long first = messages > lags[role] ? messages - lags[role] : 0;
        for (unsigned long i = first; i < messages; i++) {
            role_part(bench, role, i);
        }
        send_parts(bench, &bench->senders[role]);
    }
}

static double
processor_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void
run_messages(struct bench *bench, unsigned long messages)
{
    for (unsigned long i = 0; i < messages; i++) {
        one_message(bench, i);
        if (bench->store != NULL && i % 5000 == 4999) {
            check(trace_store_commit(bench->store), "commit");
            trace_store_maintain(bench->store, &bench->limits, clock_wall_ms());
        }
    }
    end_messages(bench, messages);
}

static void
time_search(const char *directory, const char *name, struct trace_query query)
{
    const struct summary *rows;
    size_t count;
    bool more;
    struct trace_search *search = trace_search_create(directory);
    query.limit = 20;
    int64_t begin = clock_monotonic_ms();
    check(trace_search_find(search, &query, &rows, &count, &more), "search");
    printf("search by %-28s %5lld ms, %zu rows\n", name, (long long)(clock_monotonic_ms() - begin),
           count);
    trace_search_destroy(&search);
}

int
main(int argc, char **argv)
{
    unsigned long const messages = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
    static struct bench bench = {
        .limits = {.age_ms = 90LL * 24 * 3600 * 1000, .size = 10ULL << 30}};
    bench.batch = argc > 3 ? strtoul(argv[3], NULL, 10) : 200;
    if (argc < 2 || messages == 0 || bench.batch == 0) {
        fputs("usage: ledger_bench DIRECTORY [MESSAGES [BATCH]]\n", stderr);
        return 2;
    }
    init_senders(&bench);
    double recording_us = processor_us();
    run_messages(&bench, messages);
    recording_us = processor_us() - recording_us;
    check(trace_store_open(argv[1], &bench.limits, clock_wall_ms(), &bench.store), "open");
    int64_t begin = clock_monotonic_ms();
    double begin_us = processor_us();
    run_messages(&bench, messages);
    check(trace_store_commit(bench.store), "commit");
    int64_t ms = clock_monotonic_ms() - begin;
    uint64_t disk = trace_store_maintain(bench.store, &bench.limits, clock_wall_ms());
    printf("%lu messages in %lld ms: %.0f/s; %.1f us of processor, %.0f octets of events, "
           "%.0f octets on disk a message\n",
           messages, (long long)ms, (double)messages * 1000 / (double)(ms > 0 ? ms : 1),
           (processor_us() - begin_us - recording_us) / (double)messages,
           (double)bench.octets / (double)messages, (double)disk / (double)messages);
    trace_store_close(&bench.store);
    free_senders(&bench);
    time_search(argv[1], "nothing: the newest", (struct trace_query){.limit = 20});
    time_search(argv[1], "recipient",
                (struct trace_query){.recipient = STR("user7@kartapuce.com")});
    time_search(argv[1], "sender nobody had", (struct trace_query){.sender = STR("no@no.example")});
    time_search(argv[1], "subject nobody had", (struct trace_query){.subject = STR("*nothing*")});
    return EXIT_SUCCESS;
}
