/* Who may send as whom: sender, From and Sender of users who have logged in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/own_address.h"
#include "check/test_message.h"

#define FROM "From: Bob <bob@kartapuce.example>\r\n"

static const char settings[] =
    "hostname: mx.kartapuce.example\n"
    "listeners: [{address: 198.51.100.1, port: 25, kind: mx}]\n"
    "bounce: {postmaster: bob@kartapuce.example}\n"
    "domains:\n"
    "  - name: kartapuce.example\n"
    "    delivery: lmtp:/run/lmtp\n"
    "    catch_all: bob@kartapuce.example\n"
    "    aliases:\n"
    "      - {name: sales, to: [jack@kartapuce.example, Bob+sales@kartapuce.example]}\n"
    "      - {name: all, to: [sales@kartapuce.example, x@far.example]}\n"
    "      - {name: jacks, to: [jack@kartapuce.example]}\n"
    "      - {name: gone, to: [bob@far.example]}\n"
    "  - {name: other.example, delivery: lmtp:/run/lmtp, plus_addressing: false,\n"
    "     aliases: [{name: robert, to: [bob@kartapuce.example]}]}\n"
    "submission:\n"
    "  senders:\n"
    "    - {user: \"b*@kartapuce.example\", may: [boss@kartapuce.example, \"*@news.example\"]}\n"
    "    - {user: robot, may: [\"*@kartapuce.example\"]}\n"
    "    - {user: anybody, may: [\"*\"]}\n"
    "    - {user: \"*@docomo.example\", may: [.x..@far.example]}\n"
    "%s";

static const struct config *
load(struct arena *arena, const char *more)
{
    static struct config_errors errors;
    const struct config *config = NULL;
    struct str text = arena_printf(arena, settings, more);
    if (config_load_text(arena, text, &config, &errors) != STATUS_OK) {
        fail_msg("%u: %.*s", errors.items[0].line, STR_ARG(errors.items[0].text));
    }
    return config;
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *user;
        const char *address;
        bool own;
    } cases[] = {
        {"bob@kartapuce.example", "bob@kartapuce.example", true},
        {"bob@kartapuce.example", "BOB@Kartapuce.EXAMPLE", true},
        {"bob@kartapuce.example", "\"bob\"@kartapuce.example", true},
        {"bob@kartapuce.example", "bob+news@kartapuce.example", true},
        {"bob@kartapuce.example", "jack@kartapuce.example", false},
        {"bob@kartapuce.example", "bo@kartapuce.example", false},
        {"bob@kartapuce.example", "bobb@kartapuce.example", false},
        {"bob@kartapuce.example", "bob@far.example", false},
        {"bob@kartapuce.example", "bob@sub.kartapuce.example", false},
        {"bob@kartapuce.example", "bob+x@other.example", false},
        /* aliases */
        {"bob@kartapuce.example", "sales@kartapuce.example", true},
        {"jack@kartapuce.example", "Sales+x@kartapuce.example", true},
        {"bob@kartapuce.example", "all@kartapuce.example", true},
        {"bob@kartapuce.example", "robert@other.example", true},
        {"bob@kartapuce.example", "robert+x@other.example", false},
        {"bob@kartapuce.example", "jacks@kartapuce.example", false},
        {"bob@kartapuce.example", "gone@kartapuce.example", false},
        {"bob@kartapuce.example", "whoever@kartapuce.example", false}, /* by catch-all only */
        /* as configured */
        {"bob@kartapuce.example", "boss@kartapuce.example", true},
        {"bob@kartapuce.example", "daily@news.example", true},
        {"jack@kartapuce.example", "boss@kartapuce.example", false},
        {"robot", "anybody@kartapuce.example", true},
        {"robot", "robot@other.example", false},
        {"anybody", "x@far.example", true},
        {"anybody", "x@[192.0.2.1]", false},
        /* dots that need quotes */
        {"\".a..b.\"@kartapuce.example", ".a..b.@kartapuce.example", true},
        {"\".a..b.\"@kartapuce.example", "\".a..b.\"@kartapuce.example", true},
        {"\".a..b.\"@kartapuce.example", ".a..b@kartapuce.example", false},
        {"\"x.\"@docomo.example", "\".x..\"@far.example", true},
        {"\"x.\"@docomo.example", ".x.@far.example", false},
        /* no addresses */
        {"bob@kartapuce.example", "bob", false},
        {"bob@kartapuce.example", "", false},
        {"bob@kartapuce.example", "bob@[192.0.2.1]", false},
        {"bob@kartapuce.example", "bob@kartapuce.example,x@y", false},
    };
    (void)state;
    struct arena *arena = arena_create(4u << 20);
    const struct config *config = load(arena, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (own_address_is(arena, config, str_from_cstr(cases[i].user),
                           str_from_cstr(cases[i].address)) != cases[i].own) {
            fail_msg("%s as %s: want %d", cases[i].user, cases[i].address, cases[i].own);
        }
    }
    config_unref(&config);
    arena_destroy(&arena);
}

/* "name(evidence)" of a message from bob, or from nobody who has logged in. */
static void
check_case(const struct config *config, const char *user, const char *sender, const char *head,
           const char *want)
{
    struct test_message message;
    test_message_open(&message, str_from_cstr(head));
    message.input.config = config;
    message.input.direction = CHECK_OUTBOUND;
    message.input.user = str_from_cstr(user);
    message.input.sender = str_from_cstr(sender);
    assert_string_equal(test_message_check(&message, check_submission_identity), want);
    test_message_close(&message);
}

static void
test_messages(void **state)
{
    static const struct {
        const char *sender;
        const char *head;
        const char *want;
    } cases[] = {
        {"bob@kartapuce.example", FROM "\r\n", ""},
        {"", FROM "\r\n", ""},
        {"bob+x@kartapuce.example", "From: sales@kartapuce.example\r\n\r\n", ""},
        {"jack@kartapuce.example", FROM "\r\n",
         "sender_not_own(user=bob@kartapuce.example sender=jack@kartapuce.example)"},
        {"bob@kartapuce.example", "From: jack@kartapuce.example\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=From address=jack@kartapuce.example)"},
        {"bob@kartapuce.example", "From: \"bob@kartapuce.example\" <x@far.example>\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=From address=x@far.example)"},
        {"bob@kartapuce.example", "From: bob@kartapuce.example, jack@kartapuce.example\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=From address=jack@kartapuce.example)"},
        {"bob@kartapuce.example", "From: bob@kartapuce.example, x@far.example\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=From address=x@far.example)"},
        {"bob@kartapuce.example", FROM "From: jack@kartapuce.example\r\n\r\n",
         "author_unclear(field=From reason=several_fields)"},
        {"bob@kartapuce.example", FROM "Sender: team:;\r\n\r\n",
         "author_unclear(field=Sender reason=malformed)"},
        /* every address that somebody could read out of it */
        {"bob@kartapuce.example", "From: jack@kartapuce.example <bob@kartapuce.example>\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=From address=jack@kartapuce.example)"},
        {"bob@kartapuce.example", "From: bob@kartapuce.example <bob@kartapuce.example>\r\n\r\n",
         ""},
        {"bob@kartapuce.example", "Subject: x\r\n\r\n", "author_unclear(field=From reason=none)"},
        {"bob@kartapuce.example", "From: <bob\r\n\r\n",
         "author_unclear(field=From reason=malformed)"},
        {"bob@kartapuce.example", "From: <@far.example:bob@kartapuce.example>\r\n\r\n",
         "author_unclear(field=From reason=route)"},
        {"bob@kartapuce.example", FROM "Sender: all@kartapuce.example\r\n\r\n", ""},
        {"bob@kartapuce.example", FROM "Sender: jack@kartapuce.example\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=Sender address=jack@kartapuce.example)"},
        {"bob@kartapuce.example",
         FROM "Sender: bob@kartapuce.example\r\nSender: x@far.example\r\n\r\n",
         "author_not_own(user=bob@kartapuce.example field=Sender address=x@far.example)"},
        {"bob@kartapuce.example", FROM "Sender: \r\n\r\n",
         "author_unclear(field=Sender reason=malformed)"},
    };
    (void)state;
    struct arena *arena = arena_create(4u << 20);
    const struct config *config = load(arena, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(config, "bob@kartapuce.example", cases[i].sender, cases[i].head, cases[i].want);
    }
    config_unref(&config);
    arena_destroy(&arena);
}

/* Hosts that relay have no user; and it can be switched off. */
static void
test_who_is_not_asked(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4u << 20);
    const struct config *config = load(arena, "");
    check_case(config, "", "x@far.example", "From: y@far.example\r\n\r\n", "");
    config_unref(&config);
    config = load(arena, "  own_sender: false\n");
    check_case(config, "bob@kartapuce.example", "x@far.example", "From: y@far.example\r\n\r\n", "");
    config_unref(&config);
    arena_destroy(&arena);
}

/* Of a header that was not read nothing is said. */
static void
test_header_over_the_limit(void **state)
{
    struct test_message message;
    (void)state;
    test_message_open(&message, STR(""));
    message.head = (struct mail_head){0};
    message.input.head_over_limit = true;
    message.input.direction = CHECK_OUTBOUND;
    message.input.user = message.input.sender = STR("bob@kartapuce.example");
    assert_string_equal(test_message_check(&message, check_submission_identity), "");
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_over_the_limit),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_who_is_not_asked),
    };
    return cmocka_run_group_tests_name("check submission_identity", tests, NULL, NULL);
}
