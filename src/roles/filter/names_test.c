/* What is asked before a worker has the message, and where that ends. */
#include "roles/filter/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dns/source_zone.h"

static void
ready(void *context)
{
    bool *done = context;
    *done = true;
}

/* A record of SPF that leads to more names than are followed: the first ones are, and no other. */
static void
test_the_sixty_fifth_question(void **state)
{
    struct arena *arena = arena_create(4u << 20);
    struct config config = {.resolver = {.message_timeout_ms = 60000, .message_questions = 1000}};
    struct filter_shared shared = {0};
    struct ip_address client;
    struct dns_zone *zone;
    struct str error;
    struct dns_answer answer;
    struct buf text;
    bool done = false;
    (void)state;
    buf_init(&text, 65536);
    assert_int_equal(buf_append(&text, STR("{\"mail.example\": [{\"type\": \"TXT\", \"value\": "
                                           "\"v=spf1")),
                     STATUS_OK);
    for (unsigned i = 0; i < NAMES_QUESTIONS_MAX + 20; i++) {
        assert_int_equal(buf_printf(&text, " include:a%u.example", i), STATUS_OK);
    }
    assert_int_equal(buf_append(&text, STR(" -all\"}]}")), STATUS_OK);
    assert_int_equal(dns_zone_create(arena, buf_str(&text), DNS_SECURITY_INSECURE, &zone, &error),
                     STATUS_OK);
    shared.dns = dns_source_from_zone(zone);
    struct names *names = names_open(&shared, &config);
    /* Answered already, as by the first round. */
    assert_int_equal(dns_resolve(&names->source, arena, STR("mail.example"), DNS_TYPE_TXT, &answer),
                     STATUS_OK);
    assert_int_equal(ip_parse(STR("192.0.2.9"), &client), STATUS_OK);
    struct msg_submit submit = {
        .sender = STR("jack@mail.example"),
        .helo = STR("mail.example"),
        .client_ip = str_make((const char *)&client, sizeof client),
    };
    names_prefetch(names, &submit, ready, &done);
    assert_true(done);
    assert_int_equal(names->count, NAMES_QUESTIONS_MAX);
    assert_true(names->followed <= NAMES_QUESTIONS_MAX);
    assert_true(names->rounds <= NAMES_ROUNDS_MAX);
    for (size_t i = 0; i < names->count; i++) {
        assert_true(names->questions[i].name.n > 0);
        for (size_t k = 0; k < i; k++) {
            assert_false(names->questions[i].type == names->questions[k].type &&
                         str_eq_nocase(names->questions[i].name, names->questions[k].name));
        }
    }
    names_close(&names);
    dns_zone_destroy(&zone);
    buf_free(&text);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sixty_fifth_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
