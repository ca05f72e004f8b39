/* Fuzz target: TLS reports, plain and in gzip; what was read is written and read as the same. */
#include <stdlib.h>

#include "transport/tlsrpt_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

static void
check(struct arena *arena, const struct tlsrpt_report *report)
{
    struct tlsrpt_report again;
    const char *problem = NULL;
    size_t failures = 0;
    require(report->policy_count <= TLSRPT_POLICIES_MAX);
    for (size_t i = 0; i < report->policy_count; i++) {
        require(report->policies[i].domain.n > 0);
        failures += report->policies[i].failure_count;
    }
    require(failures <= TLSRPT_FAILURES_MAX);
    struct str text = tlsrpt_report_write(arena, report);
    if (text.p != NULL && tlsrpt_report_read(arena, text, &again, &problem) == STATUS_OK) {
        require(again.policy_count == report->policy_count);
        require(again.start_s == report->start_s && again.end_s == report->end_s);
    } else {
        require(text.p == NULL || problem == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report;
    const char *problem = NULL;
    enum status status =
        tlsrpt_report_read(arena, str_make((const char *)data, size), &report, &problem);
    if (status == STATUS_OK) {
        check(arena, &report);
    }
    require(status != STATUS_SYNTAX || problem != NULL);
    arena_destroy(&arena);
    return 0;
}
