#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "dns/packet.h"
#include "dns/rdata.h"

/* mx.example MX -> alias.example CNAME mail.example MX 10 a.mail.example, 20 b.mail.example */
static const char mx_packet[] = "\x12\x34\x81\x80\x00\x01\x00\x03\x00\x00\x00\x00"
                                "\x05"
                                "alias"
                                "\x07"
                                "example"
                                "\x00"
                                "\x00\x0f\x00\x01"
                                "\xc0\x0c"
                                "\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x07"
                                "\x04"
                                "mail"
                                "\xc0\x12"
                                "\xc0\x2b"
                                "\x00\x0f\x00\x01\x00\x00\x0e\x10\x00\x06"
                                "\x00\x0a"
                                "\x01"
                                "a"
                                "\xc0\x2b"
                                "\xc0\x2b"
                                "\x00\x0f\x00\x01\x00\x00\x0e\x10\x00\x06"
                                "\x00\x14"
                                "\x01"
                                "b"
                                "\xc0\x2b";

/* nothing.example A: NXDOMAIN with an SOA of TTL 900 and minimum 60 */
static const char nx_packet[] = "\x12\x34\x81\x83\x00\x01\x00\x00\x00\x01\x00\x00"
                                "\x07"
                                "nothing"
                                "\x07"
                                "example"
                                "\x00"
                                "\x00\x01\x00\x01"
                                "\xc0\x14"
                                "\x00\x06\x00\x01\x00\x00\x03\x84\x00\x1a"
                                "\x02"
                                "ns"
                                "\xc0\x14"
                                "\x00"
                                "\x00\x00\x00\x01"
                                "\x00\x00\x00\x02"
                                "\x00\x00\x00\x03"
                                "\x00\x00\x00\x04"
                                "\x00\x00\x00\x3c";

static enum status
read_answer(struct arena *arena, struct str packet, struct str name, uint16_t type,
            struct dns_answer *answer)
{
    *answer = (struct dns_answer){.security = DNS_SECURITY_SECURE};
    return dns_packet_answer(arena, packet, name, type, answer);
}

static void
test_aliases_and_compressed_names(void **state)
{
    struct arena *arena = arena_create(65536);
    struct dns_answer answer;
    struct dns_mx mx;
    (void)state;
    assert_int_equal(read_answer(arena, str_make(mx_packet, sizeof mx_packet - 1),
                                 STR("Alias.Example"), DNS_TYPE_MX, &answer),
                     STATUS_OK);
    assert_int_equal(answer.outcome, DNS_OUTCOME_ANSWER);
    assert_int_equal(answer.security, DNS_SECURITY_SECURE);
    assert_true(str_eq(answer.canonical, STR("mail.example")));
    assert_int_equal(answer.ttl, 60); /* the alias' is the smaller one */
    assert_int_equal(answer.record_count, 2);
    assert_int_equal(dns_rdata_mx(arena, answer.records[1], &mx), STATUS_OK);
    assert_int_equal(mx.preference, 20);
    assert_true(str_eq(mx.exchange, STR("b.mail.example")));
    arena_destroy(&arena);
}

static void
test_another_question_is_refused(void **state)
{
    struct arena *arena = arena_create(65536);
    struct dns_answer answer;
    struct str packet = str_make(mx_packet, sizeof mx_packet - 1);
    (void)state;
    assert_int_equal(read_answer(arena, packet, STR("other.example"), DNS_TYPE_MX, &answer),
                     STATUS_SYNTAX);
    assert_int_equal(read_answer(arena, packet, STR("alias.example"), DNS_TYPE_A, &answer),
                     STATUS_SYNTAX);
    arena_destroy(&arena);
}

static void
test_negative_answer(void **state)
{
    struct arena *arena = arena_create(65536);
    struct dns_answer answer;
    (void)state;
    assert_int_equal(read_answer(arena, str_make(nx_packet, sizeof nx_packet - 1),
                                 STR("nothing.example"), DNS_TYPE_A, &answer),
                     STATUS_OK);
    assert_int_equal(answer.outcome, DNS_OUTCOME_NXDOMAIN);
    assert_int_equal(answer.record_count, 0);
    assert_int_equal(answer.ttl, 60);
    arena_destroy(&arena);
}

/* What an alias of 5 seconds leads to holds for 5 seconds, an hour's SOA or not. */
static void
test_an_alias_to_nothing(void **state)
{
    static const char packet[] = "\x12\x34\x81\x83\x00\x01\x00\x01\x00\x01\x00\x00"
                                 "\x01"
                                 "a"
                                 "\x01"
                                 "x"
                                 "\x00"
                                 "\x00\x10\x00\x01"
                                 "\xc0\x0c"
                                 "\x00\x05\x00\x01\x00\x00\x00\x05\x00\x05"
                                 "\x01"
                                 "b"
                                 "\x01"
                                 "y"
                                 "\x00"
                                 "\x01"
                                 "y"
                                 "\x00"
                                 "\x00\x06\x00\x01\x00\x00\x0e\x10\x00\x16"
                                 "\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\x0e\x10";
    struct arena *arena = arena_create(65536);
    struct dns_answer answer;
    (void)state;
    assert_int_equal(
        read_answer(arena, str_make(packet, sizeof packet - 1), STR("a.x"), DNS_TYPE_TXT, &answer),
        STATUS_OK);
    assert_int_equal(answer.outcome, DNS_OUTCOME_NXDOMAIN);
    assert_true(str_eq(answer.canonical, STR("b.y")));
    assert_int_equal(answer.ttl, 5);
    arena_destroy(&arena);
}

static void
test_every_cut_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof mx_packet - 1; n++) {
        struct arena *arena = arena_create(65536);
        struct dns_answer answer;
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, mx_packet, n);
        assert_int_equal(
            read_answer(arena, str_make(copy, n), STR("alias.example"), DNS_TYPE_MX, &answer),
            STATUS_SYNTAX);
        free(copy);
        arena_destroy(&arena);
    }
}

static void
test_a_pointer_must_lead_back(void **state)
{
    /* the owner of the first answer points at itself */
    static const char loop[] = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
                               "\x01"
                               "a"
                               "\x00"
                               "\x00\x01\x00\x01"
                               "\xc0\x13"
                               "\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04"
                               "\x7f\0\0\1";
    struct arena *arena = arena_create(65536);
    struct dns_answer answer;
    (void)state;
    assert_int_equal(
        read_answer(arena, str_make(loop, sizeof loop - 1), STR("a"), DNS_TYPE_A, &answer),
        STATUS_SYNTAX);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aliases_and_compressed_names),
        cmocka_unit_test(test_another_question_is_refused),
        cmocka_unit_test(test_negative_answer),
        cmocka_unit_test(test_an_alias_to_nothing),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_a_pointer_must_lead_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
