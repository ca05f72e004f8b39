#include "base/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BIG (3u << 20)

static void
encode(struct str octets, struct buf *out)
{
    buf_init(out, 4u << 20);
    assert_int_equal(gzip_encode(octets, out), STATUS_OK);
    assert_true(gzip_is(buf_str(out)));
}

static void
test_round(void **state)
{
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, BIG};
    char *text = malloc(BIG);
    (void)state;
    for (size_t i = 0; i < BIG; i++) {
        text[i] = (char)(unsigned char)((i * i >> 7) ^ i);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf coded;
        struct buf plain;
        struct str want = str_make(text, sizes[i]);
        encode(want, &coded);
        /* a ceiling that is just large enough, and one octet less */
        buf_init(&plain, sizes[i]);
        assert_int_equal(gzip_decode(buf_str(&coded), &plain), STATUS_OK);
        assert_true(str_eq(buf_str(&plain), want));
        buf_free(&plain);
        if (sizes[i] > 0) {
            buf_init(&plain, sizes[i] - 1);
            assert_int_equal(gzip_decode(buf_str(&coded), &plain), STATUS_LIMIT);
            buf_free(&plain);
        }
        buf_free(&coded);
    }
    free(text);
}

/* 60: three megabytes of one octet are a few kilobytes. */
static void
test_bomb(void **state)
{
    char *text = calloc(1, BIG);
    struct buf coded;
    struct buf plain;
    (void)state;
    encode(str_make(text, BIG), &coded);
    assert_true(buf_length(&coded) < 5000);
    buf_init(&plain, 100000);
    assert_int_equal(gzip_decode(buf_str(&coded), &plain), STATUS_LIMIT);
    assert_true(buf_length(&plain) <= 100000);
    buf_free(&plain);
    buf_free(&coded);
    free(text);
}

static void
test_damage(void **state)
{
    struct buf coded;
    struct buf plain;
    (void)state;
    encode(STR("some text, some text, some text"), &coded);
    buf_init(&plain, 1000);
    for (size_t n = 0; n < buf_length(&coded); n++) {
        assert_int_equal(gzip_decode(str_head(buf_str(&coded), n), &plain), STATUS_SYNTAX);
        buf_clear(&plain);
    }
    assert_int_equal(gzip_decode(STR("plain"), &plain), STATUS_SYNTAX);
    /* the check sum */
    coded.data[coded.end - 8] ^= 1;
    assert_int_equal(gzip_decode(buf_str(&coded), &plain), STATUS_SYNTAX);
    buf_free(&plain);
    buf_free(&coded);
}

/* Members one behind the other, and what is none. */
static void
test_members(void **state)
{
    struct buf coded;
    struct buf plain;
    (void)state;
    buf_init(&plain, 1000);
    encode(STR("one "), &coded);
    assert_int_equal(gzip_encode(STR("two"), &coded), STATUS_OK);
    assert_int_equal(buf_append(&coded, STR("\r\n")), STATUS_OK);
    assert_int_equal(gzip_decode(buf_str(&coded), &plain), STATUS_OK);
    assert_true(str_eq(buf_str(&plain), STR("one two")));
    buf_free(&plain);
    buf_free(&coded);
}

static void
test_ceiling(void **state)
{
    struct buf coded;
    (void)state;
    buf_init(&coded, 10);
    assert_int_equal(gzip_encode(STR("some text"), &coded), STATUS_LIMIT);
    buf_free(&coded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),   cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_damage),  cmocka_unit_test(test_members),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests_name("base gzip", tests, NULL, NULL);
}
