/*
 * test_message.h - a message for tests of checks: settings that are in order, a content that the
 * test gives, and the findings as one line of text.
 */
#ifndef POSTERN_CHECK_TEST_MESSAGE_H
#define POSTERN_CHECK_TEST_MESSAGE_H

#include "check/check.h"

struct test_message {
    struct arena *arena;
    const struct config *config;
    struct mail_head head;
    struct check_input input; /* tests change it before they run a check */
    struct finding_list findings;
    char text[1024];
};

/*
 * An inbound message from 192.0.2.9, helo mail.example, for bob@kartapuce.example, received on
 * 23 November 2026, 17:48:14 UTC. The gateway is mx.kartapuce.example on 198.51.100.1.
 */
void test_message_open(struct test_message *message, struct str content);
void test_message_close(struct test_message *message);

/* Runs a check; "name(key=value key=value) name(...)", empty when it found nothing. */
const char *test_message_check(struct test_message *message, check_function *check);

#endif
