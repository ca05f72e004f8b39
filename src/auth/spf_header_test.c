#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/spf.h"

static struct spf_input
example_input(struct arena *arena)
{
    struct spf_input input = {
        .arena = arena,
        .identity = SPF_IDENTITY_MAILFROM,
        .helo = STR("mail.example"),
        .sender = STR("jack@forger.example"),
        .receiver = STR("mx.kartapuce.example"),
    };
    assert_int_equal(ip_parse(STR("2001:db8::1"), &input.client), STATUS_OK);
    return input;
}

static void
test_field(void **state)
{
    struct arena *arena = arena_create(65536);
    struct spf_input input = example_input(arena);
    struct spf_outcome outcome = {
        .result = SPF_RESULT_FAIL,
        .identity = SPF_IDENTITY_MAILFROM,
        .domain = STR("forger.example"),
        .sender = STR("jack@forger.example"),
        .mechanism = STR("-all"),
    };
    (void)state;
    assert_string_equal(spf_received_header(&input, &outcome).p,
                        "fail (mx.kartapuce.example: domain of jack@forger.example does not "
                        "designate 2001:db8::1 as permitted sender)\r\n"
                        "\treceiver=mx.kartapuce.example;\r\n"
                        "\tclient-ip=\"2001:db8::1\";\r\n"
                        "\tenvelope-from=\"jack@forger.example\";\r\n"
                        "\thelo=mail.example;\r\n"
                        "\tidentity=mailfrom;\r\n"
                        "\tmechanism=-all");
    arena_destroy(&arena);
}

/* Nothing that a client says leaves its quotes or its comment. */
static void
test_hostile_values(void **state)
{
    struct arena *arena = arena_create(65536);
    struct spf_input input = example_input(arena);
    struct spf_outcome outcome = {
        .result = SPF_RESULT_PERMERROR,
        .identity = SPF_IDENTITY_HELO,
        .sender = STR("postmaster@x) smtp.auth=(y\\"),
        .mechanism = STR(""),
        .problem = STR("a \"b\" c"),
    };
    (void)state;
    input.helo = STR("x\"; helo=y\r\nSubject: z\x80\\");
    input.sender = STR("");
    input.receiver = STR("");
    assert_string_equal(spf_received_header(&input, &outcome).p,
                        "permerror (unknown: domain of postmaster@x\\) smtp.auth=\\(y\\\\ has a "
                        "record that cannot be used)\r\n"
                        "\treceiver=unknown;\r\n"
                        "\tclient-ip=\"2001:db8::1\";\r\n"
                        "\tenvelope-from=\"<>\";\r\n"
                        "\thelo=\"x\\\"; helo=y??Subject: z?\\\\\";\r\n"
                        "\tidentity=helo;\r\n"
                        "\tmechanism=default;\r\n"
                        "\tproblem=\"a \\\"b\\\" c\"");
    input.helo = STR("caf\xc3\xa9..example");
    assert_true(str_find(spf_received_header(&input, &outcome),
                         STR("helo=\"caf\xc3\xa9..example\"")) != STR_NPOS);
    arena_destroy(&arena);
    struct arena *tiny = arena_create(64);
    input.arena = tiny;
    assert_null(spf_received_header(&input, &outcome).p);
    arena_destroy(&tiny);
}

static void
test_authres_values(void **state)
{
    struct spf_input input = example_input(NULL);
    struct spf_outcome outcome = {.identity = SPF_IDENTITY_MAILFROM, .domain = STR("d.example")};
    (void)state;
    assert_string_equal(spf_authres_property(&outcome), "mailfrom");
    assert_string_equal(spf_authres_value(&input, &outcome).p, "jack@forger.example");
    input.sender = STR("");
    assert_string_equal(spf_authres_value(&input, &outcome).p, "d.example");
    outcome.identity = SPF_IDENTITY_HELO;
    assert_string_equal(spf_authres_property(&outcome), "helo");
    assert_string_equal(spf_authres_value(&input, &outcome).p, "mail.example");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field),
        cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_authres_values),
    };
    return cmocka_run_group_tests_name("spf header fields", tests, NULL, NULL);
}
