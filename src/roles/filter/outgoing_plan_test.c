#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "roles/filter/outgoing.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define ID          "01MESSAGE0000001"
#define UNTOUCHED   77u

#define LOCAL                                                                                      \
    {                                                                                              \
        .address = STR_INIT("bob@own.example"), .original = STR_INIT("bob@own.example"),           \
        .local = true                                                                              \
    }
#define ELSEWHERE                                                                                  \
    {                                                                                              \
        .address = STR_INIT("sue@far.example"), .original = STR_INIT("sue@own.example")            \
    }

static const struct config config; /* no SRS */

/* Plans for recipients with `octets` of memory, over copies that hold anything. */
static enum status
plan(struct record_recipient *recipients, size_t n, enum check_direction direction, size_t octets,
     struct outgoing_copy copies[OUTGOING_COPIES_MAX], size_t *count)
{
    struct arena *arena = arena_create(octets);
    const struct check_input checked = {.direction = direction};
    struct msg_submit submit = {
        .id = STR(ID), .sender = STR("tom@x.example"), .recipients = {recipients, n}};
    const struct outgoing_input input = {
        .arena = arena, .config = &config, .submit = &submit, .checked = &checked};
    memset(copies, 0xa5, OUTGOING_COPIES_MAX * sizeof copies[0]);
    *count = UNTOUCHED;
    enum status status = outgoing_plan(&input, copies, count);
    for (size_t i = 0; status == STATUS_OK && i < *count; i++) {
        assert_true(copies[i].recipient_count > 0);
        assert_int_equal(buf_length(&copies[i].encoded), 0);
        copies[i].recipients = NULL; /* of the arena */
    }
    arena_destroy(&arena);
    return status;
}

static void
test_copies(void **state)
{
    struct record_recipient both[] = {LOCAL, ELSEWHERE};
    struct outgoing_copy copies[OUTGOING_COPIES_MAX];
    size_t count;
    (void)state;
    assert_int_equal(plan(both, 1, CHECK_INBOUND, 65536, copies, &count), STATUS_OK);
    assert_int_equal(count, 1);
    assert_false(copies[0].is_forwarded);
    assert_int_equal(plan(both + 1, 1, CHECK_INBOUND, 65536, copies, &count), STATUS_OK);
    assert_int_equal(count, 1);
    assert_true(copies[0].is_forwarded);
    assert_string_equal(copies[0].id, ID);
    assert_int_equal(plan(both, 2, CHECK_INBOUND, 65536, copies, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_true(!copies[0].is_forwarded && copies[1].is_forwarded);
    assert_string_equal(copies[0].id, ID);
    assert_string_not_equal(copies[1].id, ID);
    /* what our users send is not forwarded */
    assert_int_equal(plan(both, 2, CHECK_OUTBOUND, 65536, copies, &count), STATUS_OK);
    assert_int_equal(count, 1);
}

/* Whatever there is memory for: there are copies and a count, or neither. */
static void
test_full_arena(void **state)
{
    struct record_recipient many[] = {LOCAL, ELSEWHERE, LOCAL, ELSEWHERE};
    struct outgoing_copy copies[OUTGOING_COPIES_MAX];
    size_t failures = 0;
    (void)state;
    for (size_t octets = 16; octets < 4096; octets += 16) {
        size_t count;
        enum status status = plan(many, COUNT_OF(many), CHECK_INBOUND, octets, copies, &count);
        assert_int_equal(count, status == STATUS_OK ? 2 : UNTOUCHED);
        failures += status == STATUS_LIMIT;
    }
    assert_true(failures > 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_full_arena),
    };
    return cmocka_run_group_tests_name("filter outgoing_plan", tests, NULL, NULL);
}
