/*
 * report.h - collects what is wrong with a configuration, each error with its place.
 *
 * The loader goes on after an error, so that one run tells all of them. Private to src/config.
 */
#ifndef POSTERN_CONFIG_REPORT_H
#define POSTERN_CONFIG_REPORT_H

#include "config/config.h"
#include "config/suggest.h"

struct report {
    struct arena *arena; /* the caller's; holds the texts */
    struct config_errors *errors;
};

/* A place in the file; line 0 is the file as a whole. */
struct place {
    unsigned line;
    unsigned column;
};

/* Adds one error; past CONFIG_ERRORS_MAX only notes that there are more. */
void report_add(struct report *report, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* True when the room for errors is used up: going on is of no use. */
bool report_is_full(const struct report *report);
/* Brings the errors into the order of the file. */
void report_sort(struct report *report);

/*
 * Input as it can be shown in an error: in double quotes, control and non-ASCII octets escaped, cut
 * after 60 octets. In the report's arena.
 */
struct str report_quote(struct report *report, struct str input);

#endif
