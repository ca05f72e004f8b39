/* The cache of one message: over a zone, and over a channel whose other end is this test. */
#include "dns/source_cache.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dns/source_channel.h"
#include "dns/source_zone.h"
#include "ipc/packet.h"

#define ARENA_MAX (1u << 20)

static const char zone_text[] = "{\"a.example\": [{\"type\": \"TXT\", \"strings\": [\"one\"]}],"
                                " \"slow.example\": [{\"type\": \"TXT\", \"strings\": [\"two\"]}],"
                                " \"sick.example\": [{\"type\": \"SERVFAIL\"}]}";

/* A loop in a thread of its own with our end of the channel; the resolver is another thread. */
struct world {
    struct arena *arena;
    struct dns_zone *zone;
    struct dns_source zone_source;
    struct event_base *loop;
    struct channel *channel;
    struct dns_source_channel over_channel;
    struct dns_source channel_source;
    pthread_t loop_thread;
    pthread_t resolver_thread;
    int far_end;
    atomic_uint packets;
    atomic_uint questions;
    atomic_bool silent; /* the resolver answers nothing */
    atomic_bool stingy; /* it leaves out the last answer of a batch */
    atomic_bool mad;    /* it answers a batch with something else */
    pthread_mutex_t zone_mutex;
};

/* ---- the resolver's end */

static struct record_answer
answer_of(struct world *world, struct arena *arena, struct str name, uint16_t type)
{
    struct dns_answer answer = {0};
    atomic_fetch_add(&world->questions, 1);
    pthread_mutex_lock(&world->zone_mutex);
    assert_int_equal(dns_resolve(&world->zone_source, arena, name, type, &answer), STATUS_OK);
    pthread_mutex_unlock(&world->zone_mutex);
    struct record_rdata *records =
        arena_alloc_array(arena, answer.record_count + 1, sizeof *records);
    for (size_t i = 0; i < answer.record_count; i++) {
        records[i].octets = answer.records[i];
    }
    return (struct record_answer){(uint8_t)answer.outcome,
                                  (uint8_t)answer.security,
                                  answer.canonical,
                                  answer.detail,
                                  answer.ttl,
                                  {records, answer.record_count}};
}

/* With the answer to a single question. */
static void
answer_otherwise(struct world *world, struct ipc_message *message)
{
    struct msg_resolve_reply reply = {
        .outcome = DNS_OUTCOME_NODATA, .canonical = STR("mad.example"), .detail = STR("")};
    assert_int_equal(
        channel_plain_send(world->far_end, MSG_RESOLVE_REPLY, message->request, &reply), STATUS_OK);
}

static void
answer_batch(struct world *world, struct arena *arena, struct ipc_message *message)
{
    struct record_answer answers[DNS_BATCH_MAX];
    const struct msg_resolve_batch *batch = MSG_BODY(message, resolve_batch);
    for (size_t i = 0; i < batch->questions.n; i++) {
        struct record_question *q = &batch->questions.items[i];
        bool slow = str_starts_with(q->name, STR("slow"));
        answers[i] = slow ? (struct record_answer){.outcome = DNS_BATCH_UNANSWERED,
                                                   .canonical = STR(""),
                                                   .detail = STR("")}
                          : answer_of(world, arena, q->name, q->type);
    }
    if (atomic_load(&world->mad)) {
        answer_otherwise(world, message);
        return;
    }
    size_t const n = batch->questions.n - (atomic_load(&world->stingy) ? 1 : 0);
    struct msg_resolve_batch_reply reply = {.answers = {answers, n}};
    assert_int_equal(
        channel_plain_send(world->far_end, MSG_RESOLVE_BATCH_REPLY, message->request, &reply),
        STATUS_OK);
}

static void
answer_single(struct world *world, struct arena *arena, struct ipc_message *message)
{
    const struct msg_resolve *q = MSG_BODY(message, resolve);
    struct record_answer answer = answer_of(world, arena, q->name, q->type);
    struct msg_resolve_reply reply = {answer.outcome, answer.security, answer.canonical,
                                      answer.detail,  answer.ttl,      {0}};
    reply.records.items = answer.records.items;
    reply.records.n = answer.records.n;
    assert_int_equal(
        channel_plain_send(world->far_end, MSG_RESOLVE_REPLY, message->request, &reply), STATUS_OK);
}

static void *
run_resolver(void *context)
{
    struct world *world = context;
    struct ipc_message *message;
    while (channel_plain_receive(world->far_end, ROLE_FILTER, ROLE_RESOLVER, -1, &message) ==
           STATUS_OK) {
        struct arena *arena = arena_create(ARENA_MAX);
        atomic_fetch_add(&world->packets, 1);
        if (!atomic_load(&world->silent) && message->type == MSG_RESOLVE_BATCH) {
            answer_batch(world, arena, message);
        } else if (!atomic_load(&world->silent)) {
            answer_single(world, arena, message);
        }
        ipc_message_free(&message);
        arena_destroy(&arena);
    }
    return NULL;
}

/* ---- our end */

static void
on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    (void)context;
    (void)channel;
    ipc_message_free(&message);
}

static void *
run_loop(void *context)
{
    event_base_loop(((struct world *)context)->loop, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static int
setup(void **state)
{
    static struct world world;
    struct str error;
    int pair[2];
    world = (struct world){.arena = arena_create(ARENA_MAX)};
    pthread_mutex_init(&world.zone_mutex, NULL);
    assert_int_equal(dns_zone_create(world.arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE,
                                     &world.zone, &error),
                     STATUS_OK);
    world.zone_source = dns_source_from_zone(world.zone);
    assert_int_equal(evthread_use_pthreads(), 0);
    world.loop = event_base_new();
    struct channel_settings settings = {
        .loop = world.loop, .self = ROLE_FILTER, .peer = ROLE_RESOLVER, .on_message = on_message};
    world.channel = channel_create(&settings);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(packet_prepare_socket(pair[1]), STATUS_OK);
    assert_int_equal(channel_connect(world.channel, pair[0]), STATUS_OK);
    world.far_end = pair[1];
    world.over_channel = (struct dns_source_channel){world.channel, NULL, 5000};
    world.channel_source = dns_source_from_channel(&world.over_channel);
    assert_int_equal(pthread_create(&world.loop_thread, NULL, run_loop, &world), 0);
    assert_int_equal(pthread_create(&world.resolver_thread, NULL, run_resolver, &world), 0);
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    shutdown(world->far_end, SHUT_RDWR);
    pthread_join(world->resolver_thread, NULL);
    event_base_loopexit(world->loop, NULL); /* holds even when the loop has not begun */
    pthread_join(world->loop_thread, NULL);
    channel_destroy(&world->channel);
    event_base_free(world->loop);
    close(world->far_end);
    dns_zone_destroy(&world->zone);
    arena_destroy(&world->arena);
    pthread_mutex_destroy(&world->zone_mutex);
    return 0;
}

static enum dns_outcome
ask(struct dns_cache *cache, const char *name)
{
    struct dns_source source = dns_source_from_cache(cache);
    struct arena *arena = arena_create(ARENA_MAX);
    struct dns_answer answer;
    assert_int_equal(dns_resolve(&source, arena, str_from_cstr(name), DNS_TYPE_TXT, &answer),
                     STATUS_OK);
    assert_int_equal(answer.record_count, answer.outcome == DNS_OUTCOME_ANSWER);
    arena_destroy(&arena);
    return answer.outcome;
}

static void
prefetch(struct dns_cache *cache, const char *name)
{
    struct dns_source source = dns_source_from_cache(cache);
    dns_prefetch(&source, str_from_cstr(name), DNS_TYPE_TXT);
}

static struct dns_cache *
over_channel(struct world *world, int timeout_ms, struct dns_budget *budget)
{
    struct dns_cache_settings settings = {.source = &world->channel_source,
                                          .resolver = world->channel,
                                          .view = world->over_channel.view,
                                          .timeout_ms = timeout_ms,
                                          .budget = budget};
    return dns_cache_create(&settings);
}

/* ---- tests */

static void
test_each_question_is_asked_once(void **state)
{
    struct world *world = *state;
    struct dns_cache_settings settings = {.source = &world->zone_source};
    struct dns_cache *cache = dns_cache_create(&settings);
    prefetch(cache, "a.example"); /* nothing to ask up front with: asked when needed */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(cache, "A.example."), DNS_OUTCOME_ANSWER);
        assert_int_equal(ask(cache, "none.example"), DNS_OUTCOME_NXDOMAIN);
        assert_int_equal(ask(cache, "sick.example"), DNS_OUTCOME_SERVFAIL);
    }
    assert_int_equal(dns_zone_questions(world->zone), 3);
    assert_int_equal(dns_cache_count(cache).reused, 6);
    dns_cache_destroy(&cache);
    assert_null(cache);
    dns_cache_destroy(&cache);
}

static void
test_questions_up_front_travel_together(void **state)
{
    struct world *world = *state;
    struct dns_cache *cache = over_channel(world, 5000, NULL);
    struct dns_source source = dns_source_from_cache(cache);
    prefetch(cache, "a.example");
    prefetch(cache, "A.EXAMPLE"); /* the same */
    prefetch(cache, "none.example");
    prefetch(cache, "sick.example");
    prefetch(cache, "not..a.name");
    dns_prefetch_send(&source);
    dns_prefetch_send(&source); /* nothing is left */
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(ask(cache, "none.example"), DNS_OUTCOME_NXDOMAIN);
    assert_int_equal(ask(cache, "sick.example"), DNS_OUTCOME_SERVFAIL);
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(atomic_load(&world->packets), 1);
    assert_int_equal(atomic_load(&world->questions), 3);
    assert_int_equal(dns_cache_count(cache).prefetched, 3);
    assert_int_equal(dns_cache_count(cache).asked, 0);
    dns_cache_destroy(&cache);
}

/* What the resolver has told somebody already needs no message; it counts in the budget all the
 * same. */
static void
test_what_is_in_the_table_is_not_asked(void **state)
{
    struct world *world = *state;
    struct dns_table *table = dns_table_create();
    struct dns_answer known = {.outcome = DNS_OUTCOME_NXDOMAIN, .ttl = 60};
    struct dns_budget budget;
    dns_table_put(table, STR("known.example"), DNS_TYPE_TXT, &known, clock_monotonic_ms());
    dns_table_put(table, STR("alone.example"), DNS_TYPE_TXT, &known, clock_monotonic_ms());
    world->over_channel.view = dns_view_create();
    assert_int_equal(dns_view_attach(world->over_channel.view, dup(dns_table_fd(table))),
                     STATUS_OK);
    dns_budget_init(&budget, 5000, 3, clock_monotonic_ms);
    struct dns_cache *cache = over_channel(world, 5000, &budget);
    prefetch(cache, "Known.example.");
    prefetch(cache, "a.example");
    assert_int_equal(ask(cache, "known.example"), DNS_OUTCOME_NXDOMAIN);
    assert_int_equal(ask(cache, "alone.example"), DNS_OUTCOME_NXDOMAIN);
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(atomic_load(&world->questions), 1);               /* that one */
    assert_int_equal(ask(cache, "none.example"), DNS_OUTCOME_TIMEOUT); /* the fourth */
    assert_int_equal(dns_cache_count(cache).known, 1);
    assert_int_equal(dns_cache_count(cache).prefetched, 1);
    dns_cache_destroy(&cache);
    dns_view_destroy(&world->over_channel.view);
    dns_table_destroy(&table);
}

static void
test_what_is_late_is_asked_alone(void **state)
{
    struct world *world = *state;
    struct dns_cache *cache = over_channel(world, 5000, NULL);
    prefetch(cache, "slow.example");
    prefetch(cache, "a.example");
    assert_int_equal(ask(cache, "slow.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(ask(cache, "slow.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(atomic_load(&world->packets), 2);
    assert_int_equal(dns_cache_count(cache).asked, 1);
    dns_cache_destroy(&cache);
}

static void
test_a_full_batch_goes_by_itself(void **state)
{
    struct world *world = *state;
    struct dns_cache *cache = over_channel(world, 5000, NULL);
    struct dns_source source = dns_source_from_cache(cache);
    for (unsigned i = 0; i < 2 * DNS_CACHE_QUESTIONS_MAX; i++) {
        struct str name = arena_printf(world->arena, "n%u.example", i);
        dns_prefetch(&source, name, DNS_TYPE_TXT);
    }
    assert_int_equal(dns_cache_count(cache).prefetched, DNS_CACHE_QUESTIONS_MAX);
    assert_int_equal(ask(cache, "n0.example"), DNS_OUTCOME_NXDOMAIN);
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER); /* no place: asked, not kept */
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(dns_cache_count(cache).asked, 2);
    dns_cache_destroy(&cache);
}

/* What there is no place for is not asked up front, and costs nothing then. */
static void
test_what_has_no_place_is_not_counted(void **state)
{
    struct world *world = *state;
    struct dns_budget budget;
    dns_budget_init(&budget, 60000, DNS_CACHE_QUESTIONS_MAX + 1, clock_monotonic_ms);
    struct dns_cache *cache = over_channel(world, 5000, &budget);
    struct dns_source source = dns_source_from_cache(cache);
    for (unsigned i = 0; i < DNS_CACHE_QUESTIONS_MAX + 10; i++) {
        dns_prefetch(&source, arena_printf(world->arena, "n%u.example", i), DNS_TYPE_TXT);
    }
    assert_int_equal(dns_cache_count(cache).refused, 0);
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER); /* with what is left: one */
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_TIMEOUT);
    dns_cache_destroy(&cache);
}

/* A resolver that answers less, or something else, is not believed: it is asked again. */
static void
test_answers_that_do_not_fit_are_none(void **state)
{
    struct world *world = *state;
    for (int mad = 0; mad < 2; mad++) {
        atomic_store(&world->stingy, mad == 0);
        atomic_store(&world->mad, mad == 1);
        struct dns_cache *cache = over_channel(world, 5000, NULL);
        prefetch(cache, "sick.example");
        prefetch(cache, "a.example");
        assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
        assert_int_equal(ask(cache, "sick.example"), DNS_OUTCOME_SERVFAIL);
        assert_int_equal(dns_cache_count(cache).asked, mad == 0 ? 1 : 2);
        dns_cache_destroy(&cache);
    }
}

static void
test_the_budget_ends_the_waiting(void **state)
{
    struct world *world = *state;
    struct dns_budget budget;
    atomic_store(&world->silent, true);
    dns_budget_init(&budget, 100, 50, NULL);
    struct dns_cache *cache = over_channel(world, 60000, &budget);
    prefetch(cache, "a.example");
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_TIMEOUT);
    assert_true(budget.exhausted);
    assert_int_equal(dns_cache_count(cache).refused, 1);
    dns_cache_destroy(&cache); /* its reply never comes: the channel forgets it */
}

/* Nothing was asked up front: the question that is waited for ends with the budget, too. */
static void
test_a_question_is_waited_for_as_long_as_the_budget_lasts(void **state)
{
    struct world *world = *state;
    struct dns_budget budget;
    int64_t const start = clock_monotonic_ms();
    atomic_store(&world->silent, true);
    dns_budget_init(&budget, 200, 50, NULL);
    struct dns_cache *cache = over_channel(world, 60000, &budget);
    assert_true(dns_outcome_is_temporary(ask(cache, "a.example")));
    assert_int_equal(ask(cache, "none.example"), DNS_OUTCOME_TIMEOUT);
    assert_true(clock_monotonic_ms() - start < 4000); /* below over_channel's own 5000 */
    assert_int_equal(atomic_load(&world->packets), 1);
    assert_true(budget.exhausted);
    dns_cache_destroy(&cache);
}

static void
test_what_timed_out_is_not_asked_again(void **state)
{
    struct world *world = *state;
    struct dns_budget budget;
    atomic_store(&world->silent, true);
    dns_budget_init(&budget, 60000, 50, NULL);
    struct dns_cache *cache = over_channel(world, 100, &budget);
    prefetch(cache, "a.example");
    prefetch(cache, "none.example");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_TIMEOUT);
        assert_int_equal(ask(cache, "none.example"), DNS_OUTCOME_TIMEOUT);
    }
    assert_int_equal(atomic_load(&world->packets), 1);
    assert_int_equal(dns_cache_count(cache).asked, 0);
    assert_false(budget.exhausted);
    dns_cache_destroy(&cache);
}

static void
test_the_budget_counts_what_goes_out(void **state)
{
    struct world *world = *state;
    struct dns_budget budget;
    dns_budget_init(&budget, 10000, 2, NULL);
    struct dns_cache *cache = over_channel(world, 5000, &budget);
    prefetch(cache, "a.example");
    assert_int_equal(ask(cache, "sick.example"), DNS_OUTCOME_SERVFAIL);
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_ANSWER);
    assert_int_equal(ask(cache, "sick.example"), DNS_OUTCOME_SERVFAIL);
    assert_false(budget.exhausted);
    assert_int_equal(ask(cache, "none.example"), DNS_OUTCOME_TIMEOUT);
    assert_true(budget.exhausted);
    dns_cache_destroy(&cache);
}

static void
test_a_dead_resolver(void **state)
{
    struct world *world = *state;
    shutdown(world->far_end, SHUT_RDWR);
    struct dns_cache *cache = over_channel(world, 1000, NULL);
    prefetch(cache, "a.example");
    assert_int_equal(ask(cache, "a.example"), DNS_OUTCOME_SERVFAIL);
    dns_cache_destroy(&cache);
}

/* One that is told when the answers are there; its questions go out in the loop's thread. */
struct told {
    struct dns_cache *cache;
    const char *name; /* NULL: nothing is asked */
    sem_t ready;
};

static void
on_ready(void *context)
{
    struct told *told = context;
    sem_post(&told->ready);
}

static void
begin_in_loop(evutil_socket_t fd, short what, void *context)
{
    struct told *told = context;
    struct dns_source source = dns_source_from_cache(told->cache);
    (void)fd;
    (void)what;
    if (told->name != NULL) {
        prefetch(told->cache, told->name);
        dns_prefetch_send(&source);
    }
    dns_cache_when_ready(told->cache, on_ready, told);
}

static void
wait_until_told(struct world *world, struct told *told)
{
    sem_init(&told->ready, 0, 0);
    assert_int_equal(event_base_once(world->loop, -1, EV_TIMEOUT, begin_in_loop, told, NULL), 0);
    sem_wait(&told->ready);
    sem_destroy(&told->ready);
}

static void
test_readiness_is_told(void **state)
{
    static const char *const names[] = {"a.example", "none.example", NULL};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct told told = {.cache = over_channel(world, 5000, NULL), .name = names[i]};
        wait_until_told(world, &told);
        unsigned packets = atomic_load(&world->packets);
        if (names[i] != NULL) {
            (void)ask(told.cache, names[i]);
        }
        assert_int_equal(atomic_load(&world->packets), packets); /* it was there */
        dns_cache_destroy(&told.cache);
    }
}

/* A resolver that says nothing: told all the same, when the time is up. */
static void
test_silence_is_told_too(void **state)
{
    struct world *world = *state;
    struct told told = {.cache = over_channel(world, 50, NULL), .name = "a.example"};
    struct dns_budget budget;
    atomic_store(&world->silent, true);
    wait_until_told(world, &told);
    dns_cache_destroy(&told.cache);
    int64_t const start = clock_monotonic_ms();
    dns_budget_init(&budget, 50, 50, NULL);
    told.cache = over_channel(world, 60000, &budget);
    wait_until_told(world, &told);
    assert_true(clock_monotonic_ms() - start < 30000); /* with the budget */
    assert_int_equal(ask(told.cache, "a.example"), DNS_OUTCOME_TIMEOUT);
    assert_true(budget.exhausted);
    dns_cache_destroy(&told.cache);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_question_is_asked_once),
        TEST(test_questions_up_front_travel_together),
        TEST(test_what_is_in_the_table_is_not_asked),
        TEST(test_what_is_late_is_asked_alone),
        TEST(test_a_full_batch_goes_by_itself),
        TEST(test_what_has_no_place_is_not_counted),
        TEST(test_answers_that_do_not_fit_are_none),
        TEST(test_the_budget_ends_the_waiting),
        TEST(test_a_question_is_waited_for_as_long_as_the_budget_lasts),
        TEST(test_what_timed_out_is_not_asked_again),
        TEST(test_the_budget_counts_what_goes_out),
        TEST(test_a_dead_resolver),
        TEST(test_readiness_is_told),
        TEST(test_silence_is_told_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
