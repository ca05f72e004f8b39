/* The queue store: what goes in comes out, and what is settled goes. */
#include "store/spool.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/spool_test_world.h"

static const struct spool_choice everything = {
    .due_ms = INT64_MAX, .finals = true, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};

static void
assert_str(struct str got, struct str want)
{
    if (!str_eq(got, want)) {
        print_error("got \"%.*s\", want \"%.*s\"\n", STR_ARG(got), STR_ARG(want));
    }
    assert_true(str_eq(got, want));
}

static void
begin(struct world *w)
{
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
}

static void
commit(struct world *w)
{
    assert_int_equal(spool_commit(w->spool, 1000), STATUS_OK);
}

static void
test_gives_back_what_it_took(void **state)
{
    struct world *w = *state;
    struct spool_message got;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 2);
    m.received_ms = 77;
    m.ret = 2;
    m.envid = STR("E 1");
    m.flags = 5;
    m.priority = SPOOL_PRIORITY_BULK;
    m.hold = STR("odd");
    m.content = str_make("nul\0 and \xff octets", 17);
    m.recipients[1].orcpt = STR("rfc822;x");
    m.recipients[1].notify = 7;
    m.recipients[1].original = STR("alias@a.example");
    m.recipients[1].state = SPOOL_HELD;
    int64_t key = world_insert(w, &m);
    world_reopen(w);
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got), STATUS_OK);
    assert_str(got.id, m.id);
    assert_int_equal(got.received_ms, 77);
    assert_int_equal(got.queued_ms, m.queued_ms);
    assert_str(got.sender, m.sender);
    assert_int_equal(got.ret, 2);
    assert_str(got.envid, m.envid);
    assert_int_equal(got.flags, 5);
    assert_int_equal(got.priority, SPOOL_PRIORITY_BULK);
    assert_str(got.hold, m.hold);
    assert_str(got.head, m.head);
    assert_str(got.content, m.content);
    assert_int_equal(got.total, 2);
    assert_int_equal(got.recipient_count, 2);
    assert_str(got.recipients[1].address, m.recipients[1].address);
    assert_str(got.recipients[1].original, m.recipients[1].original);
    assert_str(got.recipients[1].orcpt, m.recipients[1].orcpt);
    assert_str(got.recipients[1].destination, STR("a.example"));
    assert_int_equal(got.recipients[1].notify, 7);
    assert_int_equal(got.recipients[1].state, SPOOL_HELD);
    assert_int_equal(got.recipients[0].state, SPOOL_QUEUED);
    assert_int_equal(got.recipients[0].due_ms, 1000);
}

static void
test_knows_a_duplicate(void **state)
{
    struct world *w = *state;
    bool duplicate = false;
    struct spool_message first = world_message(w, "0000000000000001", "a.example", 1);
    struct spool_message again = world_message(w, "0000000000000001", "a.example", 3);
    int64_t key = world_insert(w, &first);
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_insert(w->spool, &again, &duplicate), STATUS_OK);
    assert_true(duplicate);
    assert_int_equal(again.key, key);
    assert_int_equal(spool_commit(w->spool, 1), STATUS_OK);
    assert_int_equal(spool_counts(w->spool).messages, 1);
    assert_int_equal(spool_counts(w->spool).recipients, 1);
}

static void
test_counts(void **state)
{
    struct world *w = *state;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 4);
    struct spool_message n = world_message(w, "0000000000000002", "a.example", 1);
    m.recipients[3].state = SPOOL_HELD;
    int64_t key = world_insert(w, &m);
    world_insert(w, &n);
    world_settle(w, key, 4, 0, SPOOL_DEFERRED, 5000);
    assert_false(world_settle(w, key, 4, 1, SPOOL_DELIVERED, 0).gone);
    struct spool_counts c = spool_counts(w->spool);
    assert_int_equal(c.messages, 2);
    assert_int_equal(c.recipients, 4);
    assert_int_equal(c.deferred, 1);
    assert_int_equal(c.held, 1);
    assert_int_equal(c.bytes, 48);
    world_reopen(w);
    assert_memory_equal(&c, &(struct spool_counts[]){spool_counts(w->spool)}[0], sizeof c);
    /* What is rolled back was never counted. */
    struct spool_end end;
    struct spool_result result = {.number = 0, .state = SPOOL_DELIVERED};
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_settle(w->spool, key, 4, &result, 1, &end), STATUS_OK);
    spool_rollback(w->spool);
    begin(w);
    commit(w);
    world_reopen(w);
    assert_memory_equal(&c, &(struct spool_counts[]){spool_counts(w->spool)}[0], sizeof c);
}

static void
test_goes_when_the_last_recipient_is_settled(void **state)
{
    struct world *w = *state;
    struct spool_message got;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 3);
    int64_t key = world_insert(w, &m);
    assert_false(world_settle(w, key, 3, 2, SPOOL_DELIVERED, 0).gone);
    assert_false(world_settle(w, key, 3, 2, SPOOL_FAILED, 0).gone); /* final stays as it was */
    assert_false(world_settle(w, key, 3, 0, SPOOL_FAILED, 0).gone);
    assert_false(world_settle(w, key, 3, 1, SPOOL_DEFERRED, 9).gone);
    struct spool_end end = world_settle(w, key, 3, 1, SPOOL_RELAYED, 0);
    assert_true(end.gone);
    assert_int_equal(end.delivered, 2);
    assert_int_equal(end.failed, 1);
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got),
                     STATUS_NOT_FOUND);
    struct spool_counts none = {0};
    struct spool_counts c = spool_counts(w->spool);
    assert_memory_equal(&c, &none, sizeof c);
    /* settling what is gone changes nothing */
    assert_false(world_settle(w, key, 3, 1, SPOOL_DEFERRED, 9).gone);
    /* keys are never used again, so that a late reader finds nothing of another message */
    world_reopen(w);
    struct spool_message next = world_message(w, "0000000000000002", "a.example", 1);
    assert_true(world_insert(w, &next) > key);
}

static void
test_due_by_destination_and_rank(void **state)
{
    struct world *w = *state;
    static struct spool_due due;
    const size_t limits[SPOOL_RANKS] = {2, 2, 2};
    struct spool_message m[6];
    int64_t keys[6];
    for (int i = 0; i < 6; i++) {
        char id[17];
        snprintf(id, sizeof id, "000000000000000%d", i);
        m[i] = world_message(w, id, i == 5 ? "b.example" : "a.example", 2);
        m[i].priority = i == 1 ? SPOOL_PRIORITY_HIGH : SPOOL_PRIORITY_NORMAL;
        m[i].recipients[0].due_ms = m[i].recipients[1].due_ms = 1000 - i * 10;
        keys[i] = world_insert(w, &m[i]);
    }
    world_settle(w, keys[4], 2, 0, SPOOL_HELD, 0);
    world_settle(w, keys[4], 2, 1, SPOOL_DEFERRED, 7000);
    assert_int_equal(spool_due(w->spool, STR("a.example"), 1000, limits, &due), STATUS_OK);
    assert_int_equal(due.count[0], 1);
    assert_int_equal(due.messages[0][0], keys[1]);
    assert_int_equal(due.count[1], 2);
    assert_int_equal(due.messages[1][0], keys[3]); /* due longest */
    assert_int_equal(due.messages[1][1], keys[2]);
    assert_int_equal(due.count[2], 0);
    assert_true(due.more);
    assert_int_equal(due.next_ms, 7000);
    assert_int_equal(spool_due(w->spool, STR("b.example"), 1000, limits, &due), STATUS_OK);
    assert_int_equal(due.count[1], 1);
    assert_false(due.more);
    assert_int_equal(due.next_ms, INT64_MAX);
    assert_int_equal(spool_due(w->spool, STR("b.example"), 949, limits, &due), STATUS_OK);
    assert_int_equal(due.count[1], 0);
    assert_int_equal(due.next_ms, 950);
}

static void
test_chooses_recipients(void **state)
{
    struct world *w = *state;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 6);
    m.recipients[2].destination = STR("b.example");
    m.recipients[3].due_ms = 9000;
    int64_t key = world_insert(w, &m);
    world_settle(w, key, 6, 4, SPOOL_DELIVERED, 0);
    const struct {
        struct spool_choice choice;
        const char *want; /* numbers */
    } cases[] = {
        {everything, "012345"},
        {{.due_ms = INT64_MAX, .most = 10, .octets = SIZE_MAX}, "01235"},
        {{.due_ms = 1000, .most = 10, .octets = SIZE_MAX}, "0125"},
        {{.destination = STR("a.example"), .due_ms = 1000, .most = 10, .octets = SIZE_MAX}, "015"},
        {{.destination = STR("a.example"), .due_ms = 9000, .most = 2, .octets = SIZE_MAX}, "01"},
        {{.due_ms = 1000, .first = 2, .most = 10, .octets = SIZE_MAX}, "25"},
        {{.due_ms = 1000, .most = 10, .octets = 1}, "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spool_message got;
        char numbers[8] = "";
        assert_int_equal(spool_load(w->spool, w->arena, key, &cases[i].choice, false, &got),
                         STATUS_OK);
        for (size_t r = 0; r < got.recipient_count && r < sizeof numbers - 1; r++) {
            numbers[r] = (char)('0' + got.recipients[r].number);
        }
        assert_string_equal(numbers, cases[i].want);
    }
}

static void
test_destinations_are_found_in_time(void **state)
{
    struct world *w = *state;
    struct spool_destination cursor = {.look_ms = INT64_MIN};
    struct spool_destination_list found;
    struct spool_destination one;
    begin(w);
    assert_int_equal(spool_destination_wake(w->spool, STR("a"), 500), STATUS_OK);
    assert_int_equal(spool_destination_wake(w->spool, STR("a"), 900), STATUS_OK); /* not later */
    assert_int_equal(spool_destination_put(w->spool, STR("b"), 800, 3), STATUS_OK);
    assert_int_equal(spool_destination_wake(w->spool, STR("b"), 100), STATUS_OK); /* blocked */
    assert_int_equal(spool_destination_put(w->spool, STR("c"), 2000, 0), STATUS_OK);
    assert_int_equal(spool_destination_wake(w->spool, STR("d"), 400), STATUS_OK);
    assert_int_equal(spool_destination_delete(w->spool, STR("d")), STATUS_OK);
    commit(w);
    assert_int_equal(spool_destinations_due(w->spool, w->arena, &cursor, 1000, 10, &found),
                     STATUS_OK);
    assert_int_equal(found.count, 2);
    assert_str(found.items[0].name, STR("a"));
    assert_int_equal(found.items[0].look_ms, 500);
    assert_str(found.items[1].name, STR("b"));
    assert_int_equal(found.items[1].look_ms, 800);
    assert_int_equal(found.items[1].failures, 3);
    assert_int_equal(spool_destinations_due(w->spool, w->arena, &found.items[0], 1000, 10, &found),
                     STATUS_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(spool_destination_get(w->spool, STR("c"), &one), STATUS_OK);
    assert_int_equal(one.look_ms, 2000);
    assert_int_equal(spool_destination_get(w->spool, STR("d"), &one), STATUS_NOT_FOUND);
}

static void
test_lists_by_pages_and_filters(void **state)
{
    struct world *w = *state;
    struct spool_page page;
    struct spool_filter all = {0};
    for (int i = 0; i < 25; i++) {
        char id[17];
        snprintf(id, sizeof id, "00000000000000%02d", i);
        struct spool_message m =
            world_message(w, id, i % 2 == 0 ? "even.example" : "odd.example", 3);
        m.sender = i % 5 == 0 ? STR("") : STR("Some.One@out.example");
        m.queued_ms = 1000 + i;
        for (size_t k = 0; i == 24 && k < m.recipient_count; k++) {
            m.recipients[k].destination = STR("smtp://hop.example:25"); /* of even.example */
        }
        world_insert(w, &m);
    }
    size_t seen = 0;
    int64_t after = 0;
    do {
        assert_int_equal(spool_list(w->spool, w->arena, &all, after, 10, &page), STATUS_OK);
        seen += page.count;
        after = page.next;
    } while (after != 0);
    assert_int_equal(seen, 25);
    const struct {
        struct spool_filter filter;
        size_t messages;
        size_t recipients; /* of the first */
    } cases[] = {
        {{.sender = STR("<>")}, 5, 3},
        {{.sender = STR("some.one@*")}, 20, 3},
        {{.destination = STR("odd*")}, 12, 3},
        {{.destination = STR("EVEN.example")}, 13, 3},
        {{.destination = STR("smtp://hop*")}, 1, 3},
        {{.destination = STR("hop.example")}, 0, 0},
        {{.recipient = STR("r1@*")}, 25, 1},
        {{.recipient = STR("*@odd.example"), .sender = STR("<>")}, 2, 3},
        {{.queued_before_ms = 1004}, 5, 3},
        {{.states = 1u << SPOOL_HELD}, 0, 0},
        {{.id = STR("0000000000000007")}, 1, 3},
        {{.id = STR("0000000000000007"), .sender = STR("<>")}, 0, 0},
        {{.id = STR("none")}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(spool_list(w->spool, w->arena, &cases[i].filter, 0, 100, &page),
                         STATUS_OK);
        assert_int_equal(page.count, cases[i].messages);
        if (page.count > 0) {
            assert_int_equal(page.messages[0].recipient_count, cases[i].recipients);
        }
    }
}

static void
test_finds_the_aged(void **state)
{
    struct world *w = *state;
    int64_t keys[5];
    int64_t found[8];
    struct spool_age age = {.before_ms = 1300};
    size_t n;
    bool end;
    for (int i = 0; i < 5; i++) {
        char id[17];
        snprintf(id, sizeof id, "000000000000000%d", i);
        struct spool_message m = world_message(w, id, "a.example", 1);
        m.queued_ms = 1000 + i * 100;
        m.recipients[0].state = i == 1 ? SPOOL_HELD : SPOOL_QUEUED;
        keys[i] = world_insert(w, &m);
    }
    struct spool_end ignored;
    struct spool_result warned = {.number = 0, .state = SPOOL_DEFERRED, .warned = true};
    begin(w);
    assert_int_equal(spool_settle(w->spool, keys[2], 1, &warned, 1, &ignored), STATUS_OK);
    commit(w);
    assert_int_equal(spool_aged(w->spool, &age, 8, found, &n, &end), STATUS_OK);
    assert_int_equal(n, 3); /* 0, 2, 3: not the held one, not the young one */
    assert_int_equal(found[1], keys[2]);
    assert_true(end);
    assert_int_equal(age.cursor, keys[3]);
    age = (struct spool_age){.before_ms = 1300, .unwarned = true};
    assert_int_equal(spool_aged(w->spool, &age, 8, found, &n, &end), STATUS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(found[1], keys[3]);
    age = (struct spool_age){.before_ms = 9999};
    assert_int_equal(spool_aged(w->spool, &age, 2, found, &n, &end), STATUS_OK);
    assert_int_equal(n, 2);
    assert_false(end);
}

static size_t
count_files(const struct world *w)
{
    char path[128];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/large", w->directory);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(directory);
    return n;
}

static void
test_large_content_has_its_own_file(void **state)
{
    struct world *w = *state;
    size_t size = 3 * 1024 * 1024;
    char *octets = malloc(size);
    struct spool_message got;
    int fd;
    assert_non_null(octets);
    memset(octets, 'q', size);
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 1);
    struct str content = str_make(octets, size);
    assert_int_equal(spool_file_write(w->directory, m.id, content), STATUS_OK);
    assert_int_equal(spool_file_write(w->directory, STR("ORPHAN0000000000"), content), STATUS_OK);
    m.in_file = true;
    m.content = content;
    m.size = size;
    int64_t key = world_insert(w, &m);
    assert_int_equal(count_files(w), 2);
    world_reopen(w);
    assert_int_equal(count_files(w), 1);
    assert_true(spool_size(w->spool) > size);
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got), STATUS_OK);
    assert_true(got.in_file);
    assert_int_equal(got.content.n, 0);
    assert_int_equal(spool_file_read(w->directory, m.id, &fd), STATUS_OK);
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_memory_equal(map, octets, size);
    munmap(map, size);
    close(fd);
    assert_true(world_settle(w, key, 1, 0, SPOOL_DELIVERED, 0).gone);
    assert_int_equal(count_files(w), 0);
    assert_int_equal(spool_file_read(w->directory, m.id, &fd), STATUS_NOT_FOUND);
    free(octets);
}

static void
test_a_destination_can_change(void **state)
{
    struct world *w = *state;
    static struct spool_due due;
    const size_t limits[SPOOL_RANKS] = {5, 5, 5};
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 2);
    int64_t key = world_insert(w, &m);
    struct spool_message got;
    m.recipients[1].destination = STR("new.example");
    m.recipients[1].rerouted = true;
    begin(w);
    assert_int_equal(spool_rehome(w->spool, key, &m.recipients[1]), STATUS_OK);
    commit(w);
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got), STATUS_OK);
    assert_str(got.recipients[1].destination, STR("new.example"));
    assert_true(got.recipients[1].rerouted && !got.recipients[0].rerouted);
    assert_int_equal(spool_due(w->spool, STR("new.example"), 1000, limits, &due), STATUS_OK);
    assert_int_equal(due.count[1], 1);
    assert_int_equal(due.messages[1][0], key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_back_what_it_took),
        TEST(knows_a_duplicate),
        TEST(counts),
        TEST(goes_when_the_last_recipient_is_settled),
        TEST(due_by_destination_and_rank),
        TEST(chooses_recipients),
        TEST(destinations_are_found_in_time),
        TEST(lists_by_pages_and_filters),
        TEST(finds_the_aged),
        TEST(large_content_has_its_own_file),
        TEST(a_destination_can_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
