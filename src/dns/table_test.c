/* The resolver's table of answers, written and read; and what an entry looks like inside. */
#include "dns/table.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns/table_entry.h"

#define ARENA_MAX (1u << 20)
#define NOW       1000000

struct world {
    struct arena *arena;
    struct dns_table *table;
    struct dns_view *view;
};

static int
setup(void **state)
{
    static struct world world;
    world = (struct world){arena_create(ARENA_MAX), dns_table_create(), dns_view_create()};
    assert_non_null(world.table);
    assert_int_equal(dns_view_attach(world.view, dup(dns_table_fd(world.table))), STATUS_OK);
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    dns_view_destroy(&world->view);
    dns_table_destroy(&world->table);
    arena_destroy(&world->arena);
    return 0;
}

static const struct str two_records[] = {STR_INIT("\003one"), STR_INIT("\003two")};

static struct dns_answer
answer_with(uint32_t ttl)
{
    return (struct dns_answer){
        .security = DNS_SECURITY_SECURE,
        .canonical = STR("real.example"),
        .detail = STR(""),
        .ttl = ttl,
        .records = two_records,
        .record_count = 2,
    };
}

static enum status
find(struct world *world, const char *name, uint16_t type, int64_t now_ms,
     struct dns_answer *answer_out)
{
    return dns_view_find(world->view, world->arena, str_from_cstr(name), type, now_ms, answer_out);
}

static bool
is_there(struct world *world, const char *name, uint16_t type, int64_t now_ms)
{
    struct dns_answer answer;
    return find(world, name, type, now_ms, &answer) == STATUS_OK;
}

static bool
put(struct world *world, const char *name, struct dns_answer answer)
{
    return dns_table_put(world->table, str_from_cstr(name), DNS_TYPE_TXT, &answer, NOW);
}

/* ---- tests */

static void
test_an_answer_comes_as_it_went(void **state)
{
    struct world *world = *state;
    struct dns_answer answer;
    assert_int_equal(find(world, "a.example", DNS_TYPE_TXT, NOW, &answer), STATUS_NOT_FOUND);
    assert_true(put(world, "a.example", answer_with(60)));
    assert_int_equal(find(world, "a.example", DNS_TYPE_TXT, NOW, &answer), STATUS_OK);
    assert_int_equal(answer.outcome, DNS_OUTCOME_ANSWER);
    assert_int_equal(answer.security, DNS_SECURITY_SECURE);
    assert_int_equal(answer.ttl, 60);
    assert_true(str_eq(answer.canonical, STR("real.example")));
    assert_int_equal(answer.detail.n, 0);
    assert_int_equal(answer.record_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(str_eq(answer.records[i], two_records[i]));
    }
    assert_int_equal(dns_view_found(world->view), 1);
    assert_false(is_there(world, "a.example", DNS_TYPE_A, NOW));
    assert_false(is_there(world, "b.example", DNS_TYPE_TXT, NOW));
}

static void
test_what_is_kept(void **state)
{
    static char large[DNS_TABLE_ENTRY_SIZE];
    static const struct str large_records[] = {{large, sizeof large}};
    static const struct {
        const char *name;
        struct dns_answer answer;
        bool kept;
    } cases[] = {
        {"nodata", {.outcome = DNS_OUTCOME_NODATA, .ttl = 5}, true},
        {"nxdomain", {.outcome = DNS_OUTCOME_NXDOMAIN, .ttl = 5}, true},
        {"no time", {.outcome = DNS_OUTCOME_NXDOMAIN, .ttl = 0}, false},
        {"servfail", {.outcome = DNS_OUTCOME_SERVFAIL, .ttl = 5}, false},
        {"bogus",
         {.outcome = DNS_OUTCOME_SERVFAIL, .security = DNS_SECURITY_BOGUS, .ttl = 5},
         false},
        {"timeout", {.outcome = DNS_OUTCOME_TIMEOUT, .ttl = 5}, false},
        {"refused", {.outcome = DNS_OUTCOME_REFUSED, .ttl = 5}, false},
        {"too large", {.ttl = 5, .records = large_records, .record_count = 1}, false},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool kept = put(world, cases[i].name, cases[i].answer);
        if (kept != cases[i].kept ||
            is_there(world, cases[i].name, DNS_TYPE_TXT, NOW) != cases[i].kept) {
            fail_msg("%s", cases[i].name);
        }
    }
}

static void
test_an_answer_lasts_as_long_as_its_ttl(void **state)
{
    struct world *world = *state;
    struct dns_answer answer;
    assert_true(put(world, "a.example", answer_with(60)));
    assert_int_equal(find(world, "a.example", DNS_TYPE_TXT, NOW + 20000, &answer), STATUS_OK);
    assert_int_equal(answer.ttl, 40);
    assert_int_equal(find(world, "a.example", DNS_TYPE_TXT, NOW + 59999, &answer), STATUS_OK);
    assert_int_equal(answer.ttl, 1);
    assert_false(is_there(world, "a.example", DNS_TYPE_TXT, NOW + 60000));
    assert_true(put(world, "a.example", answer_with(100))); /* asked anew */
    assert_true(is_there(world, "a.example", DNS_TYPE_TXT, NOW + 60000));
    assert_true(put(world, "forever.example", answer_with(UINT32_MAX)));
    assert_true(is_there(world, "forever.example", DNS_TYPE_TXT, NOW));
}

static void
test_a_cleared_table_knows_nothing(void **state)
{
    struct world *world = *state;
    assert_true(put(world, "a.example", answer_with(60)));
    dns_table_clear(world->table);
    assert_false(is_there(world, "a.example", DNS_TYPE_TXT, NOW));
    assert_true(put(world, "a.example", answer_with(60)));
    assert_true(is_there(world, "a.example", DNS_TYPE_TXT, NOW));
}

/* Twice what it holds: the later half is there, but for what shares its places. */
static void
test_a_full_table_takes_the_next(void **state)
{
    struct world *world = *state;
    size_t there = 0;
    char name[32];
    for (uint32_t i = 0; i < 2 * DNS_TABLE_ENTRIES; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        assert_true(put(world, name, answer_with(1000 + i)));
        assert_true(is_there(world, name, DNS_TYPE_TXT, NOW));
        arena_reset(world->arena);
    }
    for (uint32_t i = DNS_TABLE_ENTRIES; i < 2 * DNS_TABLE_ENTRIES; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        there += is_there(world, name, DNS_TYPE_TXT, NOW);
        arena_reset(world->arena);
    }
    assert_in_range(there, DNS_TABLE_ENTRIES / 2, DNS_TABLE_ENTRIES);
}

/* How many of `count` answers are still there when all have been put. */
static size_t
put_and_find(struct world *world, const char *prefix, uint32_t count)
{
    size_t there = 0;
    char name[40];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%u.example", prefix, i);
        assert_true(put(world, name, answer_with(60)));
    }
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%u.example", prefix, i);
        there += is_there(world, name, DNS_TYPE_TXT, NOW);
        arena_reset(world->arena);
    }
    return there;
}

/* Who says that his answers hold for a day does not keep out those of others, nor do forgotten
 * ones. */
static void
test_long_answers_do_not_keep_others_out(void **state)
{
    struct world *world = *state;
    char name[40];
    for (uint32_t i = 0; i < 4 * DNS_TABLE_ENTRIES; i++) {
        snprintf(name, sizeof name, "n%u.flood.example", i);
        assert_true(put(world, name, answer_with(86400)));
    }
    assert_true(put_and_find(world, "a", DNS_TABLE_ENTRIES / 8) > DNS_TABLE_ENTRIES / 10);
    dns_table_clear(world->table);
    assert_true(put_and_find(world, "b", DNS_TABLE_ENTRIES / 8) > DNS_TABLE_ENTRIES / 8 - 50);
}

static void
test_a_table_is_only_read(void **state)
{
    struct world *world = *state;
    int const fd = dns_table_fd(world->table);
    char octet = 0;
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(pwrite(fd, &octet, 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
}

/* ---- a table that somebody else has written */

#define WORDS (DNS_TABLE_ENTRY_SIZE / 8)
enum word { WORD_SEQUENCE, WORD_TAG, WORD_EXPIRES, WORD_LENGTH };

/* The words of the one entry that was written; NULL: there is none. */
static uint64_t *
written_entry(uint64_t *words)
{
    for (size_t i = 1; i <= DNS_TABLE_ENTRIES; i++) {
        if (words[i * WORDS + WORD_TAG] != 0) {
            return words + i * WORDS;
        }
    }
    return NULL;
}

/* A copy of the table with one word of its one entry changed, as a broken resolver might do. */
static int
forge(struct world *world, enum word word, uint64_t value)
{
    size_t const size = (DNS_TABLE_ENTRIES + 1) * (size_t)DNS_TABLE_ENTRY_SIZE;
    int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *from = mmap(NULL, size, PROT_READ, MAP_SHARED, dns_table_fd(world->table), 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    void *to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(from, MAP_FAILED);
    assert_ptr_not_equal(to, MAP_FAILED);
    memcpy(to, from, size);
    uint64_t *entry = written_entry(to);
    assert_non_null(entry);
    entry[word] = value;
    munmap(from, size);
    munmap(to, size);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE), 0);
    return fd;
}

/* A reader is not harmed by what stands there, and takes nothing that is being written. */
static void
test_a_forged_table_does_no_harm(void **state)
{
    static const struct {
        enum word word;
        uint64_t value;
        bool there;
    } rows[] = {
        {WORD_SEQUENCE, 2, true},
        {WORD_SEQUENCE, 3, false}, /* in the middle of a change */
        {WORD_TAG, 4711, false},
        {WORD_EXPIRES, NOW, false},
        {WORD_EXPIRES, (uint64_t)INT64_MIN, false},
        {WORD_EXPIRES, INT64_MAX, true},
        {WORD_LENGTH, 0, false},
        {WORD_LENGTH, DNS_TABLE_ENTRY_SIZE, false},
        {WORD_LENGTH, 1u << 20, false},
        {WORD_LENGTH, UINT64_MAX, false},
    };
    struct world *world = *state;
    assert_true(put(world, "a.example", answer_with(60)));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(dns_view_attach(world->view, forge(world, rows[i].word, rows[i].value)),
                         STATUS_OK);
        struct dns_answer answer = {.ttl = 0};
        bool there = find(world, "a.example", DNS_TYPE_TXT, NOW, &answer) == STATUS_OK;
        if (there != rows[i].there) {
            fail_msg("row %zu", i);
        }
        assert_in_range(answer.ttl, 0, 60); /* no longer than the record itself allows */
    }
}

static void
test_what_is_no_table_is_refused(void **state)
{
    struct world *world = *state;
    int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int small = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(put(world, "a.example", answer_with(60)));
    assert_int_equal(ftruncate(small, 4096), 0);
    assert_int_equal(fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE),
                     0);
    assert_int_equal(dns_view_attach(world->view, plain), STATUS_DENIED);
    assert_int_equal(dns_view_attach(world->view, small), STATUS_SYNTAX);
    assert_int_equal(dns_view_attach(world->view, -1), STATUS_DENIED);
    assert_int_equal(fcntl(plain, F_GETFD), -1); /* closed */
    assert_int_equal(fcntl(small, F_GETFD), -1);
    assert_true(is_there(world, "a.example", DNS_TYPE_TXT, NOW)); /* the view is as before */
}

static void
test_a_view_outlives_its_table(void **state)
{
    struct world *world = *state;
    struct dns_view *none = dns_view_create();
    struct dns_answer answer;
    assert_int_equal(dns_view_find(none, world->arena, STR("a.example"), 1, NOW, &answer),
                     STATUS_NOT_FOUND);
    assert_int_equal(dns_view_find(NULL, world->arena, STR("a.example"), 1, NOW, &answer),
                     STATUS_NOT_FOUND);
    dns_view_destroy(&none);
    assert_true(put(world, "a.example", answer_with(60)));
    dns_table_destroy(&world->table); /* the resolver has died */
    assert_true(is_there(world, "a.example", DNS_TYPE_TXT, NOW));
    world->table = dns_table_create();
    assert_int_equal(dns_view_attach(world->view, dup(dns_table_fd(world->table))), STATUS_OK);
    assert_false(is_there(world, "a.example", DNS_TYPE_TXT, NOW));
}

static void
test_an_arena_that_is_full(void **state)
{
    struct world *world = *state;
    struct dns_answer answer;
    assert_true(put(world, "a.example", answer_with(60)));
    while (arena_alloc(world->arena, 64) != NULL) {
    }
    assert_int_equal(find(world, "a.example", DNS_TYPE_TXT, NOW, &answer), STATUS_LIMIT);
}

/* ---- at the same time */

struct writing {
    struct dns_table *table;
    atomic_bool stop;
};

/* Answers whose octets are all the same: a torn one would be seen. */
static void *
run_writer(void *context)
{
    struct writing *writing = context;
    char octets[300];
    for (unsigned i = 0; !atomic_load(&writing->stop); i++) {
        struct str record = str_make(octets, 100 + i % 200);
        struct dns_answer answer = {.ttl = 60, .records = &record, .record_count = 1};
        memset(octets, (int)(i % 251), sizeof octets);
        dns_table_put(writing->table, STR("a.example"), DNS_TYPE_TXT, &answer, NOW);
    }
    return NULL;
}

static void
test_no_answer_is_half_of_another(void **state)
{
    struct world *world = *state;
    struct writing writing = {.table = world->table};
    pthread_t writer;
    size_t seen = 0;
    atomic_init(&writing.stop, false);
    assert_true(put(world, "a.example", answer_with(60)));
    assert_int_equal(pthread_create(&writer, NULL, run_writer, &writing), 0);
    for (int i = 0; i < 2000000 && seen < 20000; i++) {
        struct dns_answer answer;
        if (find(world, "a.example", DNS_TYPE_TXT, NOW, &answer) == STATUS_OK) {
            struct str record = answer.records[0];
            for (size_t k = 1; answer.record_count == 1 && k < record.n; k++) {
                assert_int_equal(record.p[k], record.p[0]);
            }
            seen++;
        }
        arena_reset(world->arena);
    }
    atomic_store(&writing.stop, true);
    pthread_join(writer, NULL);
    assert_int_not_equal(seen, 0);
}

/* ---- entries */

static void
test_an_entry_cut_anywhere_is_none(void **state)
{
    struct world *world = *state;
    char octets[200];
    struct dns_answer answer = answer_with(60);
    size_t const n =
        dns_table_entry_write(octets, sizeof octets, STR("a.example"), DNS_TYPE_TXT, &answer);
    assert_int_not_equal(n, 0);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(dns_table_entry_read(str_make(octets, cut), world->arena, STR("a.example"),
                                              DNS_TYPE_TXT, &answer),
                         STATUS_SYNTAX);
        assert_int_equal(
            dns_table_entry_write(octets, cut, STR("a.example"), DNS_TYPE_TXT, &answer), 0);
    }
    octets[n] = 0;
    assert_int_equal(dns_table_entry_read(str_make(octets, n + 1), world->arena, STR("a.example"),
                                          DNS_TYPE_TXT, &answer),
                     STATUS_SYNTAX);
}

static void
test_an_entry_that_makes_no_sense_is_none(void **state)
{
    static const struct {
        const char *what;
        struct dns_answer answer;
    } cases[] = {
        {"outcome", {.outcome = (enum dns_outcome)DNS_OUTCOME_COUNT}},
        {"security",
         {.security = (enum dns_security)DNS_SECURITY_COUNT,
          .records = two_records,
          .record_count = 2}},
        {"an answer without records", {.outcome = DNS_OUTCOME_ANSWER}},
        {"records of a name that is not there",
         {.outcome = DNS_OUTCOME_NXDOMAIN, .records = two_records, .record_count = 2}},
    };
    struct world *world = *state;
    char octets[200];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dns_answer answer;
        size_t const n =
            dns_table_entry_write(octets, sizeof octets, STR("a.example"), 16, &cases[i].answer);
        if (dns_table_entry_read(str_make(octets, n), world->arena, STR("a.example"), 16,
                                 &answer) != STATUS_SYNTAX) {
            fail_msg("%s", cases[i].what);
        }
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_comes_as_it_went),
        TEST(test_what_is_kept),
        TEST(test_an_answer_lasts_as_long_as_its_ttl),
        TEST(test_a_cleared_table_knows_nothing),
        TEST(test_a_full_table_takes_the_next),
        TEST(test_long_answers_do_not_keep_others_out),
        TEST(test_a_table_is_only_read),
        TEST(test_a_forged_table_does_no_harm),
        TEST(test_what_is_no_table_is_refused),
        TEST(test_a_view_outlives_its_table),
        TEST(test_an_arena_that_is_full),
        TEST(test_no_answer_is_half_of_another),
        TEST(test_an_entry_cut_anywhere_is_none),
        TEST(test_an_entry_that_makes_no_sense_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
