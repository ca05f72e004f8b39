/*
 * test_zone.h - a small DNS for tests, written as a table.
 */
#ifndef POSTERN_AUTH_TEST_ZONE_H
#define POSTERN_AUTH_TEST_ZONE_H

#include "dns/source_zone.h"

/*
 * One record; those of one owner stand together. The type is a record type, "TIMEOUT" or
 * "SERVFAIL", or "" for an owner without records. MX has preference 1. The value is plain text; for
 * TXT the strings of one record are parted by '|'.
 */
struct test_record {
    const char *owner;
    const char *type;
    const char *value;
};

/* The zone of a table; a table that is wrong fails the test. */
struct dns_zone *test_zone_create(const struct test_record *records, size_t count);

#endif
