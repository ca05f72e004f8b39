/* What is said when the queue's clock and the wall clock are apart. */
#include "roles/spool/queue_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define WALL 1795781854000 /* 2026-11-27T12:17:34Z */
#define DAY  86400000LL

/* Starts a clock and returns what was logged meanwhile, up to `size` octets with NUL. */
static struct queue_clock
start_and_listen(int64_t last_ms, int64_t wall_ms, char *log, size_t size)
{
    int to = memfd_create("log", MFD_CLOEXEC);
    int standard_error = dup(STDERR_FILENO);
    assert_true(to >= 0 && standard_error >= 0);
    fflush(stderr);
    dup2(to, STDERR_FILENO);
    struct queue_clock clock = queue_clock_start(last_ms, wall_ms);
    dup2(standard_error, STDERR_FILENO);
    ssize_t n = pread(to, log, size - 1, 0);
    log[n > 0 ? n : 0] = '\0';
    close(standard_error);
    close(to);
    return clock;
}

static void
test_start(void **state)
{
    static const struct {
        const char *name;
        int64_t last;
        int64_t start;
        const char *says; /* NULL: nothing */
        const char *last_time;
    } cases[] = {
        {"new queue", 0, WALL, NULL, NULL},
        {"the same", WALL, WALL, NULL, NULL},
        {"an hour ago", WALL - 3600000, WALL, NULL, NULL},
        {"a little ahead", WALL + QUEUE_CLOCK_AHEAD_MS, WALL + QUEUE_CLOCK_AHEAD_MS, NULL, NULL},
        {"ahead", WALL + 2 * DAY, WALL + 2 * DAY, "is behind", "2026-11-29T12:17:34.000Z"},
        {"just ahead", WALL + QUEUE_CLOCK_AHEAD_MS + 1, WALL + QUEUE_CLOCK_AHEAD_MS + 1,
         "is behind", "2026-11-27T12:18:34.001Z"},
        {"a week ago", WALL - 7 * DAY, WALL, NULL, NULL},
        {"long ago", WALL - 7 * DAY - 1, WALL, "is far ahead", "2026-11-20T12:17:33.999Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char log[4096];
        struct queue_clock clock = start_and_listen(cases[i].last, WALL, log, sizeof log);
        bool right = clock.start_ms == cases[i].start && queue_clock_now(&clock) >= cases[i].start;
        if (cases[i].says == NULL) {
            right = right && log[0] == '\0';
        } else {
            right = right && strstr(log, "level=warn") != NULL &&
                    strstr(log, cases[i].says) != NULL && strstr(log, cases[i].last_time) != NULL &&
                    strstr(log, "wall_clock=2026-11-27T12:17:34.000Z") != NULL;
        }
        if (!right) {
            fail_msg("%s: %s", cases[i].name, log);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_start)};
    log_init("spool", LOG_LEVEL_INFO, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
