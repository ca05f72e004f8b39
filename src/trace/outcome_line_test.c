/* The log line of a recipient and its outcome. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace/outcome_line.h"

static char written[LOG_LINE_MAX + 1];

/* The line without its time. */
static const char *
line_of(const struct outcome_line *line)
{
    int ends[2];
    int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_init("spool", LOG_LEVEL_INFO, LOG_FORMAT_KEYVALUE);
    outcome_line_write(line);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    ssize_t n = read(ends[0], written, LOG_LINE_MAX);
    close(ends[0]);
    assert_true(n > 0);
    written[n] = '\0';
    const char *level = strstr(written, " level=");
    assert_non_null(level);
    return level + 1;
}

static void
test_the_fields_that_every_line_has(void **state)
{
    (void)state;
    const struct outcome_line delivered = {
        .event = "delivered",
        .id = STR("01KB2M9QJ8T3XW7A"),
        .from = STR("ann@peers.example"),
        .to = STR("bob@kartapuce.com"),
        .orig = STR("bob@kartapuce.com"),
        .relay = STR("mx.kartapuce.com[192.0.2.1]:25"),
        .delay_ms = 1250,
        .code = 250,
        .enhanced = STR("2.0.0"),
        .reply = STR("Ok: queued as 7"),
    };
    assert_string_equal(line_of(&delivered),
                        "level=info role=spool event=delivered id=01KB2M9QJ8T3XW7A "
                        "from=ann@peers.example to=bob@kartapuce.com "
                        "relay=mx.kartapuce.com[192.0.2.1]:25 delay=1.250 code=250 status=2.0.0 "
                        "reply=\"Ok: queued as 7\"\n");
    const struct outcome_line nothing = {.event = "expired"};
    assert_string_equal(line_of(&nothing), "level=info role=spool event=expired id=\"\" from=<> "
                                           "to=\"\" relay=none delay=0.000 code=0 reply=\"\"\n");
}

static void
test_the_fields_that_some_lines_have(void **state)
{
    (void)state;
    const struct outcome_line line = {
        .event = "deferred",
        .id = STR("A"),
        .from = STR("a@b"),
        .to = STR("c@d"),
        .orig = STR("alias@d"),
        .code = 451,
        .client = STR("192.0.2.7"),
        .helo = STR("h"),
        .user = STR("u@d"),
        .stage = "RCPT",
        .reason = "greylisted",
        .by = STR("root"),
        .attempts = 3,
        .next_ms = 300000,
    };
    assert_string_equal(
        line_of(&line),
        "level=info role=spool event=deferred id=A from=a@b to=c@d orig_to=alias@d "
        "relay=none delay=0.000 code=451 reply=\"\" client=192.0.2.7 helo=h user=u@d "
        "stage=RCPT reason=greylisted by=root attempts=3 next=300.000\n");
}

/* A reply stays one line, is bounded, and cannot pass for a field. */
static void
test_a_reply_from_a_stranger(void **state)
{
    static char room[3000];
    (void)state;
    struct outcome_line line = {.event = "bounced",
                                .reply = STR("no\nevent=delivered\r\n\" event=delivered to=\"x")};
    assert_non_null(strstr(line_of(&line),
                           "reply=\"no event=delivered  \\u0022 event=delivered to=\\u0022x\"\n"));
    memset(room, 'x', sizeof room);
    line.reply = str_make(room, sizeof room);
    line.to = str_make(room, sizeof room);
    const char *text = line_of(&line);
    assert_true(strlen(text) < 1200);
    assert_null(strstr(text, "cut=true"));
    assert_non_null(strstr(text, "reply=xxx"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fields_that_every_line_has),
        cmocka_unit_test(test_the_fields_that_some_lines_have),
        cmocka_unit_test(test_a_reply_from_a_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
