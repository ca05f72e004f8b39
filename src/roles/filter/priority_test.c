#include "roles/filter/priority.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct config_zone zones[] = {
    {.name = STR_INIT("alerts"), .priority = CONFIG_PRIORITY_HIGH},
    {.name = STR_INIT("shop"), .priority = CONFIG_PRIORITY_BULK},
    {.name = STR_INIT("inside"), .priority = CONFIG_PRIORITY_NORMAL},
};

static const struct {
    const char *zone;
    const char *sender;
    const char *head;
    enum spool_priority want;
} rows[] = {
    {"", "a@b.example", "Subject: x\r\n", SPOOL_PRIORITY_NORMAL},
    {"inside", "a@b.example", "Subject: x\r\n", SPOOL_PRIORITY_NORMAL},
    {"gone", "a@b.example", "Subject: x\r\n", SPOOL_PRIORITY_NORMAL},
    {"", "", "Subject: x\r\n", SPOOL_PRIORITY_BULK},
    {"", "a@b.example", "precedence:BULK \r\n", SPOOL_PRIORITY_BULK},
    {"inside", "a@b.example", "Precedence: list\r\n", SPOOL_PRIORITY_BULK},
    {"", "a@b.example", "Precedence: junk\r\n", SPOOL_PRIORITY_BULK},
    {"", "a@b.example", "Precedence: first-class\r\n", SPOOL_PRIORITY_NORMAL},
    {"", "a@b.example", "List-ID: <dev.example.org>\r\n", SPOOL_PRIORITY_BULK},
    {"alerts", "a@b.example", "Subject: x\r\n", SPOOL_PRIORITY_HIGH},
    {"alerts", "", "Precedence: bulk\r\n", SPOOL_PRIORITY_HIGH},
    {"shop", "a@b.example", "Subject: x\r\n", SPOOL_PRIORITY_BULK},
};

static void
zones_come_first_then_the_message(void **state)
{
    static const struct mail_head_limits limits = {.size = 4096, .fields = 10};
    static const struct config config = {.zones = {zones, sizeof zones / sizeof zones[0]}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(65536);
        struct mail_head head;
        struct str text = arena_printf(arena, "%s\r\n", rows[i].head);
        struct msg_submit submit = {.zone = str_from_cstr(rows[i].zone),
                                    .sender = str_from_cstr(rows[i].sender)};
        assert_int_equal(mail_head_parse(arena, text, &limits, &head), STATUS_OK);
        enum spool_priority got = filter_priority(&config, &submit, &head);
        if (got != rows[i].want) {
            fail_msg("row %zu: got %d", i, (int)got);
        }
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones_come_first_then_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
