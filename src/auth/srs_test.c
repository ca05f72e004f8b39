#include "auth/srs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define DAY         86400
/* Some day of 2026, whose number modulo 1024 is not near the turn. */
#define NOW         (INT64_C(20784) * DAY + 1000)

static const struct str secrets[] = {STR_INIT("new secret"), STR_INIT("old secret")};

static const struct srs_settings settings = {
    .secrets = secrets, .secret_count = 1, .domain = STR_INIT("us.example"), .valid_days = 7};

/* "local@domain" or the result's name. */
static const char *
text_of(struct arena *arena, enum srs_result result, const struct srs_address *address)
{
    return result == SRS_REWRITTEN
               ? arena_printf(arena, "%.*s@%.*s", STR_ARG(address->local), STR_ARG(address->domain))
                     .p
               : srs_result_name(result);
}

static struct srs_address
address_of(struct str text)
{
    struct srs_address address = {.local = STR(""), .domain = STR("")};
    size_t at = str_rfind_char(text, '@');
    if (at != STR_NPOS) {
        address =
            (struct srs_address){.local = str_head(text, at), .domain = str_skip(text, at + 1)};
    }
    return address;
}

static const char *
forward(struct arena *arena, const struct srs_settings *s, const char *sender, int64_t now)
{
    struct srs_address address = address_of(str_from_cstr(sender));
    struct srs_address out = {0};
    enum srs_result result;
    assert_int_equal(srs_forward(arena, s, &address, now, &result, &out), STATUS_OK);
    return text_of(arena, result, &out);
}

static const char *
reverse(struct arena *arena, const struct srs_settings *s, struct str local, int64_t now)
{
    struct srs_address out = {0};
    enum srs_result result;
    assert_int_equal(srs_reverse(arena, s, local, now, &result, &out), STATUS_OK);
    return text_of(arena, result, &out);
}

/* What stands before "@". */
static struct str
local_of(const char *address)
{
    return address_of(str_from_cstr(address)).local;
}

static void
test_there_and_back(void **state)
{
    static const char *const senders[] = {
        "bob@a.example",    "b=o=b@a.example",    "Bob+x@a-b.example",
        "SRS2=x@a.example", "\xc3\xb6@a.example", "SRS1=x@a.example",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(senders); i++) {
        struct arena *arena = arena_create(65536);
        const char *there = forward(arena, &settings, senders[i], NOW);
        assert_true(str_starts_with(str_from_cstr(there), STR("SRS0=")));
        assert_true(str_ends_with(str_from_cstr(there), STR("@us.example")));
        assert_string_equal(reverse(arena, &settings, local_of(there), NOW), senders[i]);
        arena_destroy(&arena);
    }
}

/* A known address: other versions of the program must be able to read it. */
static void
test_known_address(void **state)
{
    struct arena *arena = arena_create(65536);
    (void)state;
    assert_string_equal(forward(arena, &settings, "bob@a.example", NOW),
                        "SRS0=murd5c=jq=a.example=bob@us.example");
    arena_destroy(&arena);
}

static void
test_not_needed(void **state)
{
    struct arena *arena = arena_create(65536);
    (void)state;
    assert_string_equal(forward(arena, &settings, "", NOW), "not_needed");
    assert_string_equal(forward(arena, &settings, "bob@US.example", NOW), "not_needed");
    assert_string_equal(forward(arena, &settings, "bob@[192.0.2.1]", NOW), "not_needed");
    assert_string_equal(reverse(arena, &settings, STR("bob"), NOW), "not_needed");
    assert_string_equal(reverse(arena, &settings, STR("srs"), NOW), "not_needed");
    assert_string_equal(reverse(arena, &settings, STR("SRS0x"), NOW), "not_needed");
    assert_string_equal(reverse(arena, &settings, STR("SRS2=a=b=c=d"), NOW), "not_needed");
    arena_destroy(&arena);
}

/* A second and a third forwarder: the way back goes to the first at once. */
static void
test_rewritten_before(void **state)
{
    static const char *const first = "SRS0+x7yz+AB=orig.example=bob@first.example";
    struct srs_settings third = settings;
    struct arena *arena = arena_create(65536);
    (void)state;
    third.local_max = 128;
    third.domain = STR("third.example");
    struct srs_settings second = third;
    second.domain = STR("us.example");
    const char *ours = forward(arena, &second, first, NOW);
    assert_non_null(strstr(ours, "=first.example=+x7yz+AB=orig.example=bob@us.example"));
    assert_string_equal(reverse(arena, &second, local_of(ours), NOW + 900 * DAY), first);
    const char *theirs = forward(arena, &third, ours, NOW);
    assert_non_null(strstr(theirs, "=first.example=+x7yz+AB=orig.example=bob@third.example"));
    assert_string_equal(reverse(arena, &third, local_of(theirs), NOW), first);
    arena_destroy(&arena);
}

static void
test_time_limit(void **state)
{
    static const struct {
        int64_t now;
        bool good;
    } rows[] = {
        {NOW, true},
        {NOW + 7 * DAY, true},
        {NOW + 8 * DAY, false},
        {NOW - DAY, true}, /* another gateway's clock */
        {NOW - 2 * DAY, false},
        {NOW + 1000 * DAY, false},
        {NOW + 1024 * DAY, true}, /* modulo: too far away to matter */
    };
    struct arena *arena = arena_create(65536);
    (void)state;
    /* On each day of a turn, so that the modulus is crossed. */
    for (int64_t shift = 0; shift < SRS_DAYS_MODULO; shift++) {
        const char *there = forward(arena, &settings, "bob@a.example", NOW + shift * DAY);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            assert_string_equal(
                reverse(arena, &settings, local_of(there), rows[i].now + shift * DAY),
                rows[i].good ? "bob@a.example" : "expired");
        }
        arena_reset(arena);
    }
    arena_destroy(&arena);
}

static void
test_rotation(void **state)
{
    struct arena *arena = arena_create(65536);
    struct srs_settings old = settings;
    struct srs_settings both = settings;
    (void)state;
    old.secrets = &secrets[1];
    both.secret_count = 2;
    const char *there = forward(arena, &old, "bob@a.example", NOW);
    assert_string_equal(reverse(arena, &both, local_of(there), NOW), "bob@a.example");
    assert_string_equal(reverse(arena, &settings, local_of(there), NOW), "forged");
    assert_string_equal(forward(arena, &both, "bob@a.example", NOW),
                        forward(arena, &settings, "bob@a.example", NOW));
    arena_destroy(&arena);
}

/* Letter case may change on the way; nothing else may. */
static void
test_changes(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct str there = local_of(forward(arena, &settings, "bob@a.example", NOW));
    (void)state;
    char *text = arena_cstr(arena, there);
    for (size_t i = 0; i < there.n; i++) {
        char kept = text[i];
        text[i] = char_is_alpha(kept) ? (char)(kept ^ 32) : kept;
        assert_true(strcasecmp(reverse(arena, &settings, str_make(text, there.n), NOW),
                               "bob@a.example") == 0);
        text[i] = kept == 'z' ? 'y' : 'z';
        assert_string_not_equal(reverse(arena, &settings, str_make(text, there.n), NOW),
                                "bob@a.example");
        assert_null(strchr(reverse(arena, &settings, str_make(text, there.n), NOW), '@'));
        text[i] = kept;
        /* cut short */
        assert_null(strchr(reverse(arena, &settings, str_make(text, i), NOW), '@'));
    }
    arena_destroy(&arena);
}

/* A hash of one kind is no good for the other. */
static void
test_kinds_are_apart(void **state)
{
    struct arena *arena = arena_create(65536);
    char *text = arena_cstr(arena, local_of(forward(arena, &settings, "bob@a.example", NOW)));
    (void)state;
    text[3] = '1';
    assert_string_equal(reverse(arena, &settings, str_from_cstr(text), NOW), "forged");
    assert_string_equal(reverse(arena, &settings, STR("SRS0=abcdef"), NOW), "malformed");
    assert_string_equal(reverse(arena, &settings, STR("SRS0=abcdef="), NOW), "malformed");
    assert_string_equal(reverse(arena, &settings, STR("SRS0=abcdef=x"), NOW), "forged");
    assert_string_equal(reverse(arena, &settings, STR("SRS0==x"), NOW), "forged");
    arena_destroy(&arena);
}

static void
test_length(void **state)
{
    struct arena *arena = arena_create(65536);
    struct srs_settings longer = settings;
    /* "SRS0=" hash "=TT=" "a.example" "=" local: 25 octets without the local part. */
    struct str good = arena_printf(arena, "%039d@a.example", 0);
    struct str bad = arena_printf(arena, "%040d@a.example", 0);
    (void)state;
    longer.local_max = 65;
    assert_int_equal(local_of(forward(arena, &settings, good.p, NOW)).n, SRS_LOCAL_MAX);
    assert_string_equal(forward(arena, &settings, bad.p, NOW), "too_long");
    assert_int_equal(local_of(forward(arena, &longer, bad.p, NOW)).n, SRS_LOCAL_MAX + 1);
    arena_destroy(&arena);
}

static void
test_settings_out_of_bounds(void **state)
{
    struct arena *arena = arena_create(65536);
    struct srs_address sender = address_of(STR("bob@a.example"));
    struct srs_address out;
    enum srs_result result;
    struct srs_settings bad[4] = {settings, settings, settings, settings};
    (void)state;
    bad[0].secret_count = 0;
    bad[1].valid_days = 0;
    bad[2].valid_days = SRS_VALID_MAX + 1;
    bad[3].domain = STR("");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(srs_forward(arena, &bad[i], &sender, NOW, &result, &out), STATUS_BUG);
        assert_int_equal(srs_reverse(arena, &bad[i], STR("x"), NOW, &result, &out), STATUS_BUG);
    }
    struct arena *small = arena_create(16);
    assert_int_equal(srs_forward(small, &settings, &sender, NOW, &result, &out), STATUS_LIMIT);
    arena_destroy(&small);
    arena_destroy(&arena);
}

/* What was made is undone without secrets, whenever that was. */
static void
test_undo(void **state)
{
    static const char *const senders[][2] = {
        {"bob@a.example", "bob@a.example"},
        {"b=o=b@a.example", "b=o=b@a.example"},
        {"SRS0=HHHHHH=AA=z.example=joe@first.example",
         "SRS0=HHHHHH=AA=z.example=joe@first.example"},
        {"SRS1=HHHHHH=first.example==HHH=AA=z.example=joe@second.example",
         "SRS0=HHH=AA=z.example=joe@first.example"},
    };
    static const char *const none[] = {
        "bob", "SRS0=", "SRS0=HHHHHH", "SRS0=HHHHHH=AA", "SRS1=HHHHHH=", "SRS0=H=AA=a.example="};
    struct arena *arena = arena_create(1u << 20);
    struct srs_address out;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(senders); i++) {
        struct srs_address made =
            address_of(str_from_cstr(forward(arena, &settings, senders[i][0], NOW)));
        assert_int_equal(srs_undo(arena, made.local, &out), STATUS_OK);
        assert_string_equal(text_of(arena, SRS_REWRITTEN, &out), senders[i][1]);
    }
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_int_equal(srs_undo(arena, str_from_cstr(none[i]), &out), STATUS_SYNTAX);
    }
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undo),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_known_address),
        cmocka_unit_test(test_not_needed),
        cmocka_unit_test(test_rewritten_before),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_kinds_are_apart),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_settings_out_of_bounds),
    };
    return cmocka_run_group_tests_name("auth srs", tests, NULL, NULL);
}
