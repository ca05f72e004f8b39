#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "dns/name.h"
#include "dns/packet.h"
#include "dns/rdata.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

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

/* ---- packets that are made piece by piece */

struct packet {
    char octets[65536];
    size_t n;
    unsigned answers;
    unsigned authority;
};

static void
put(struct packet *p, struct str octets)
{
    assert_true(p->n + octets.n <= sizeof p->octets);
    memcpy(p->octets + p->n, octets.p, octets.n);
    p->n += octets.n;
}

static void
put_u16(struct packet *p, unsigned number)
{
    const char octets[] = {(char)(number >> 8), (char)number};
    put(p, str_make(octets, 2));
}

/* A label of `n` letters. */
static void
put_label(struct packet *p, size_t n)
{
    char label[64];
    memset(label, 'a', sizeof label);
    label[0] = (char)n;
    put(p, str_make(label, 1 + n));
}

/* A packet that answers the question for `type` of the wire name; what was asked is at octet 12. */
static void
begin(struct packet *p, struct str name, unsigned type)
{
    *p = (struct packet){0};
    put(p, STR("\x12\x34\x81\x80\0\1\0\0\0\0\0\0"));
    put(p, name);
    put_u16(p, type);
    put_u16(p, 1);
}

/* A record of a name that stands at octet `owner`, whose rdata says that it has `rdlength` octets.
 */
static void
put_record(struct packet *p, unsigned owner, unsigned type, unsigned class, struct str rdata,
           size_t rdlength)
{
    put_u16(p, 0xc000 | owner);
    put_u16(p, type);
    put_u16(p, class);
    put(p, STR("\0\0\0\x3c"));
    put_u16(p, (unsigned)rdlength);
    put(p, rdata);
    p->answers++;
}

static enum status
answer_of(struct packet *p, struct str name, uint16_t type, struct arena *arena,
          struct dns_answer *answer)
{
    p->octets[6] = (char)(p->answers >> 8);
    p->octets[7] = (char)p->answers;
    /* Exactly as large as it is: what reads past its end is seen by the sanitizer. */
    char *copy = malloc(p->n);
    assert_non_null(copy);
    memcpy(copy, p->octets, p->n);
    enum status status = read_answer(arena, str_make(copy, p->n), name, type, answer);
    free(copy);
    return status;
}

/* RFC 1035 2.3.4: 255 octets for a name, wherever its pieces stand. */
static void
test_long_names(void **state)
{
    static const struct {
        size_t label; /* in front of `last`, which is in front of a name of 191 octets */
        size_t last;
        enum status want;
    } cases[] = {{0, 63, STATUS_OK},     {1, 61, STATUS_OK},     {1, 62, STATUS_SYNTAX},
                 {1, 63, STATUS_SYNTAX}, {2, 63, STATUS_SYNTAX}, {63, 63, STATUS_SYNTAX}};
    char name[192];
    (void)state;
    memset(name, 'a', sizeof name);
    name[63] = name[127] = '.';
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct dns_answer answer;
        struct packet p;
        begin(&p, STR(""), 0);
        p.n = 12;
        put_label(&p, 63);
        put_label(&p, 63);
        put_label(&p, 61);
        put_label(&p, 0);
        put_u16(&p, DNS_TYPE_PTR);
        put_u16(&p, 1);
        struct packet rdata = {0};
        if (cases[i].label > 0) {
            put_label(&rdata, cases[i].label);
        }
        put_label(&rdata, cases[i].last);
        put_u16(&rdata, 0xc00c);
        put_record(&p, 12, DNS_TYPE_PTR, 1, str_make(rdata.octets, rdata.n), rdata.n);
        enum status status =
            answer_of(&p, str_make(name, 63 + 1 + 63 + 1 + 61), DNS_TYPE_PTR, arena, &answer);
        if (status != cases[i].want) {
            fail_msg("labels of %zu and %zu more: %s", cases[i].label, cases[i].last,
                     status_name(status));
        }
        assert_true(status != STATUS_OK || answer.records[0].n == DNS_NAME_WIRE_MAX);
        arena_destroy(&arena);
    }
}

/* A record ends where it says: names do not go on in the next, and it does not end behind the
 * packet. */
static void
test_the_end_of_a_record(void **state)
{
    static const struct {
        uint16_t type;
        struct str rdata;
        size_t rdlength;
        enum status want;
    } cases[] = {
        {DNS_TYPE_PTR, STR_INIT("\1b\0"), 3, STATUS_OK},
        {DNS_TYPE_PTR, STR_INIT("\1b\0"), 2, STATUS_SYNTAX},
        {DNS_TYPE_PTR, STR_INIT("\1b\0"), 1, STATUS_SYNTAX},
        {DNS_TYPE_PTR, STR_INIT("\1b\0"), 4, STATUS_SYNTAX},
        {DNS_TYPE_PTR, STR_INIT("\xc0\x0c"), 2, STATUS_OK},
        {DNS_TYPE_PTR, STR_INIT("\xc0\x0c"), 1, STATUS_SYNTAX},
        {DNS_TYPE_MX, STR_INIT("\0\1\1b\0"), 5, STATUS_OK},
        {DNS_TYPE_MX, STR_INIT("\0\1\1b\0"), 4, STATUS_SYNTAX},
        {DNS_TYPE_MX, STR_INIT("\0\1"), 2, STATUS_SYNTAX},
        {DNS_TYPE_MX, STR_INIT("\0"), 1, STATUS_SYNTAX},
        {DNS_TYPE_MX, STR_INIT(""), 0, STATUS_SYNTAX},
        {DNS_TYPE_A, STR_INIT("\xc0\0\2\1"), 4, STATUS_OK},
        {DNS_TYPE_A, STR_INIT("\xc0\0\2\1"), 5, STATUS_SYNTAX},
        {DNS_TYPE_A, STR_INIT("\xc0\0\2\1"), 65535, STATUS_SYNTAX},
        {DNS_TYPE_SOA, STR_INIT("\xc0\x0c\xc0\x0c\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"), 24,
         STATUS_OK},
        {DNS_TYPE_SOA, STR_INIT("\xc0\x0c\xc0"), 3, STATUS_SYNTAX},
        {DNS_TYPE_SOA, STR_INIT("\xc0\x0c"), 2, STATUS_SYNTAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct dns_answer answer;
        struct packet p;
        begin(&p, STR("\1a\0"), cases[i].type);
        put_record(&p, 12, cases[i].type, 1, cases[i].rdata, cases[i].rdlength);
        enum status status = answer_of(&p, STR("a"), cases[i].type, arena, &answer);
        if (status != cases[i].want) {
            fail_msg("case %zu: %s", i, status_name(status));
        }
        arena_destroy(&arena);
    }
    /* both names of an SOA are written out */
    struct arena *arena = arena_create(65536);
    struct dns_answer answer;
    struct packet p;
    begin(&p, STR("\1a\0"), DNS_TYPE_SOA);
    put_record(&p, 12, DNS_TYPE_SOA, 1, cases[14].rdata, cases[14].rdlength);
    assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_SOA, arena, &answer), STATUS_OK);
    assert_int_equal(answer.records[0].n, 3 + 3 + 20);
    arena_destroy(&arena);
}

/* RFC 1035 4.1.4: pointers lead backwards, in 14 bits, and not without end. */
static void
test_pointers(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct dns_answer answer;
    struct packet p;
    (void)state;
    /* to itself, to one that leads back here, and to what follows */
    static const struct str loops[] = {STR_INIT("\xc0\x1f"), STR_INIT("\1b\xc0\x1f"),
                                       STR_INIT("\xc0\x21"), STR_INIT("\xc0\xff")};
    for (size_t i = 0; i < COUNT_OF(loops); i++) {
        begin(&p, STR("\1a\0"), DNS_TYPE_PTR);
        put_record(&p, 12, DNS_TYPE_PTR, 1, loops[i], loops[i].n);
        assert_int_equal(p.n, 31 + loops[i].n);
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_PTR, arena, &answer), STATUS_SYNTAX);
    }
    /* one far behind the beginning */
    begin(&p, STR("\1a\0"), DNS_TYPE_PTR);
    for (size_t i = 0; i < 30; i++) {
        char filler[250] = {0};
        put_record(&p, 12, DNS_TYPE_TXT, 1, str_make(filler, sizeof filler), sizeof filler);
    }
    size_t far = p.n + 12;
    assert_true(far > 0x1000);
    put_record(&p, 12, DNS_TYPE_TXT, 1, STR("\1f\0"), 3);
    const char pointer[] = {(char)(0xc0 | far >> 8), (char)far};
    put_record(&p, 12, DNS_TYPE_PTR, 1, str_make(pointer, 2), 2);
    assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_PTR, arena, &answer), STATUS_OK);
    assert_true(str_eq(answer.records[0], STR("\1f\0")));
    /* a chain of them: as many as are followed, and one more */
    for (unsigned more = 0; more < 2; more++) {
        begin(&p, STR("\1a\0"), DNS_TYPE_PTR);
        unsigned last = 12;
        for (unsigned i = 0; i + 1 < DNS_POINTER_MAX + more; i++) {
            const char back[] = {(char)(0xc0 | last >> 8), (char)last};
            last = (unsigned)p.n + 12;
            put_record(&p, 12, DNS_TYPE_TXT, 1, str_make(back, 2), 2);
        }
        const char back[] = {(char)(0xc0 | last >> 8), (char)last};
        put_record(&p, 12, DNS_TYPE_PTR, 1, str_make(back, 2), 2);
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_PTR, arena, &answer),
                         more > 0 ? STATUS_SYNTAX : STATUS_OK);
    }
    arena_destroy(&arena);
}

/* What is not of the Internet, or more than is looked at. */
static void
test_classes_and_amounts(void **state)
{
    struct arena *arena = arena_create(4u << 20);
    struct dns_answer answer;
    struct packet p;
    (void)state;
    begin(&p, STR("\1a\0"), DNS_TYPE_A);
    put_record(&p, 12, DNS_TYPE_A, 3, STR("\1\1\1\1"), 4);
    put_record(&p, 12, DNS_TYPE_CNAME, 3, STR("\1b\0"), 3);
    put_record(&p, 12, DNS_TYPE_A, 1, STR("\2\2\2\2"), 4);
    assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer), STATUS_OK);
    assert_int_equal(answer.record_count, 1);
    assert_true(str_eq(answer.records[0], STR("\2\2\2\2")));
    assert_true(str_eq(answer.canonical, STR("a")));
    /* a question of another class, and more than one */
    p.octets[18] = 3;
    assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer), STATUS_SYNTAX);
    p.octets[18] = 1;
    p.octets[5] = 2;
    assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer), STATUS_SYNTAX);
    p.octets[5] = 0;
    assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer), STATUS_SYNTAX);
    for (unsigned more = 0; more < 2; more++) {
        begin(&p, STR("\1a\0"), DNS_TYPE_A);
        for (unsigned i = 0; i < DNS_RECORDS_MAX + more; i++) {
            put_record(&p, 12, DNS_TYPE_A, 1, STR("\1\1\1\1"), 4);
        }
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer),
                         more > 0 ? STATUS_LIMIT : STATUS_OK);
    }
    for (unsigned more = 0; more < 2; more++) {
        begin(&p, STR("\1a\0"), DNS_TYPE_A);
        for (unsigned i = 0; i < 1024 + more; i++) {
            put_record(&p, 12, DNS_TYPE_TXT, 1, STR("\0"), 1);
        }
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer),
                         more > 0 ? STATUS_LIMIT : STATUS_OK);
    }
    arena_destroy(&arena);
}

/* Aliases: as many as are followed and one more; one of itself leads nowhere. */
static void
test_chains_of_aliases(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct arena *arena = arena_create(1u << 20);
        struct dns_answer answer;
        struct packet p;
        begin(&p, STR("\1a\0"), DNS_TYPE_A);
        unsigned owner = 12;
        for (unsigned i = 0; i < DNS_CNAME_MAX + more; i++) {
            const char name[] = {2, 'n', (char)('a' + i), 0};
            unsigned const next = (unsigned)p.n + 12;
            put_record(&p, owner, DNS_TYPE_CNAME, 1, str_make(name, 4), 4);
            owner = next;
        }
        put_record(&p, owner, DNS_TYPE_A, 1, STR("\1\1\1\1"), 4);
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer),
                         more > 0 ? STATUS_LIMIT : STATUS_OK);
        begin(&p, STR("\1a\0"), DNS_TYPE_A);
        put_record(&p, 12, DNS_TYPE_CNAME, 1, STR("\xc0\x0c"), 2);
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer), STATUS_LIMIT);
        arena_destroy(&arena);
    }
}

/* The response code decides, not what the packet holds beside it. */
static void
test_response_codes(void **state)
{
    static const struct {
        char rcode;
        enum dns_outcome want;
    } cases[] = {{0, DNS_OUTCOME_ANSWER},   {1, DNS_OUTCOME_REFUSED}, {2, DNS_OUTCOME_SERVFAIL},
                 {3, DNS_OUTCOME_NXDOMAIN}, {4, DNS_OUTCOME_REFUSED}, {5, DNS_OUTCOME_REFUSED}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct dns_answer answer;
        struct packet p;
        begin(&p, STR("\1a\0"), DNS_TYPE_A);
        put_record(&p, 12, DNS_TYPE_A, 1, STR("\1\1\1\1"), 4);
        p.octets[3] = (char)(0x80 | cases[i].rcode);
        assert_int_equal(answer_of(&p, STR("a"), DNS_TYPE_A, arena, &answer), STATUS_OK);
        assert_int_equal(answer.outcome, cases[i].want);
        assert_int_equal(answer.record_count, cases[i].want == DNS_OUTCOME_ANSWER);
        arena_destroy(&arena);
    }
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
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_the_end_of_a_record),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_classes_and_amounts),
        cmocka_unit_test(test_chains_of_aliases),
        cmocka_unit_test(test_response_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
