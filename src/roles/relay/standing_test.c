/* Which of the failures of several hosts is told, and how many hosts may put a recipient off. */
#include "roles/relay/standing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ARENA ((size_t)65536)

static struct ip_address
address(unsigned last)
{
    return (struct ip_address){
        {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = (uint8_t)last}};
}

static void
hosts_that_put_off_are_counted(void **state)
{
    struct {
        struct relay_standing standing;
        unsigned behind; /* is not written to */
    } s = {.behind = 4711};
    (void)state;
    for (unsigned i = 1; i <= STANDING_REFUSALS_MAX + 2; i++) {
        struct ip_address ip = address(i);
        assert_int_equal(relay_standing_refused(&s.standing, &ip), i < STANDING_REFUSALS_MAX);
        assert_int_equal(relay_standing_was_refused_by(&s.standing, &ip),
                         i <= STANDING_REFUSALS_MAX);
    }
    assert_int_equal(s.standing.refusals, STANDING_REFUSALS_MAX);
    assert_int_equal(s.behind, 4711);
    struct ip_address other = address(99);
    assert_false(relay_standing_was_refused_by(&s.standing, &other));
}

/* Failures as they come, and what is told in the end. */
static const struct relay_failure
    nowhere = {.rank = FAILURE_RESOLVE, .reply = SMTP_REPLY(0, 4, 4, 3, "no address")},
    closed = {.rank = FAILURE_CONNECT, .reply = SMTP_REPLY(0, 4, 4, 1, "mx2: refused")},
    slow = {.rank = FAILURE_TIME, .reply = SMTP_REPLY(0, 4, 4, 7, "too long")},
    later = {.rank = FAILURE_REPLY, .reply = SMTP_REPLY(451, 4, 7, 1, "greylisted")},
    again = {.rank = FAILURE_REPLY, .reply = SMTP_REPLY(452, 4, 2, 2, "full")},
    no = {.rank = FAILURE_REPLY,
          .permanent = true,
          .reply = SMTP_REPLY(554, 5, 7, 1, "not you"),
          .remote = STR_INIT("mx1")},
    lacks = {.rank = FAILURE_SESSION,
             .permanent = true,
             .lacks_feature = true,
             .reply = SMTP_REPLY(0, 5, 6, 7, "no SMTPUTF8"),
             .remote = STR_INIT("mx3")};

static const struct {
    const struct relay_failure *failures[3];
    bool more_hosts;
    bool permanent;
    uint16_t code;
    const char *text;
} rows[] = {
    {{NULL}, false, false, 0, "no address of the destination could be used"},
    {{&nowhere}, false, false, 0, "no address"},
    {{&nowhere, &closed}, false, false, 0, "mx2: refused"}, /* it says more */
    {{&closed, &nowhere}, false, false, 0, "mx2: refused"},
    {{&later, &closed}, false, false, 451, "greylisted"},
    {{&later, &again}, false, false, 451, "greylisted"}, /* the first of two alike */
    {{&no}, false, true, 554, "not you"},
    {{&no}, true, true, 554, "not you"},
    /* Where somebody may still take it, nothing is for good; both are told. */
    {{&no, &closed}, false, false, 0, "mx1 said 554 5.7.1 not you; mx2: refused"},
    {{&lacks, &closed}, false, false, 0, "mx3: no SMTPUTF8; mx2: refused"},
    {{&no, &later}, false, false, 451, "greylisted"},
    {{&no, &slow}, false, false, 0, "too long"},
    /* What one host lacks another may have, unless it was the last. */
    {{&lacks}, true, false, 0, "no SMTPUTF8"},
    {{&lacks}, false, true, 0, "no SMTPUTF8"},
    {{&lacks, &no}, true, true, 554, "not you"},
    {{&no, &lacks}, true, true, 554, "not you"},
};

static void
the_best_failure_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(ARENA);
        struct relay_standing standing = {0};
        struct relay_failure told;
        for (size_t k = 0; k < 3 && rows[i].failures[k] != NULL; k++) {
            relay_standing_note(&standing, relay_failure_make(arena, rows[i].failures[k]));
        }
        relay_standing_note(&standing, NULL);
        relay_standing_conclude(arena, &standing, rows[i].more_hosts, &told);
        if (told.permanent != rows[i].permanent || told.reply.code != rows[i].code ||
            !str_eq(told.reply.text, str_from_cstr(rows[i].text))) {
            fail_msg("row %zu: %d %u %.*s", i, told.permanent, told.reply.code,
                     STR_ARG(told.reply.text));
        }
        assert_int_equal(told.reply.enhanced.class, told.permanent ? 5 : 4);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_that_put_off_are_counted),
        cmocka_unit_test(the_best_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
