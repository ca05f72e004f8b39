#include "roles/parent/own_certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "roles/preflight.h"

#define DAY_MS 86400000LL

static const int64_t now_ms = 1793800000000;

struct world {
    char directory[64];
    char chain[128];
    char key[128];
    struct config config;
    struct arena *arena;
};

static int
set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    snprintf(world->directory, sizeof world->directory, "/tmp/own-certificate-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    snprintf(world->chain, sizeof world->chain, "%s/self-signed.pem", world->directory);
    snprintf(world->key, sizeof world->key, "%s/self-signed.key", world->directory);
    world->config.hostname = STR("mx.example.com");
    world->config.directories.state = str_from_cstr(world->directory);
    world->arena = arena_create(16u << 20);
    *state = world;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *world = *state;
    unlink(world->chain);
    unlink(world->key);
    assert_int_equal(rmdir(world->directory), 0); /* nothing else was left there */
    arena_destroy(&world->arena);
    free(world);
    return 0;
}

static struct str
obtain(struct world *world, int64_t at_ms)
{
    struct own_certificate own;
    char error[TLS_ERROR_MAX];
    struct tls_identity *identity = NULL;
    assert_int_equal(own_certificate_obtain(&world->config, at_ms, world->arena, &own), STATUS_OK);
    assert_false(own_certificate_is_due(&world->config, at_ms));
    assert_int_equal(tls_identity_parse(own.chain, own.key, &identity, error), STATUS_OK);
    assert_int_equal(tls_identity_not_after_ms(identity), own.not_after_ms);
    assert_true(str_eq(tls_identity_name(identity, 0), world->config.hostname));
    tls_identity_unref(&identity);
    return own.chain;
}

static void
it_is_made_once_for_its_owner_alone(void **state)
{
    struct world *world = *state;
    struct stat st;
    assert_true(own_certificate_is_due(&world->config, now_ms));
    struct str first = obtain(world, now_ms);
    assert_true(str_eq(first, obtain(world, now_ms + DAY_MS)));
    assert_int_equal(stat(world->key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Each of these leaves a pair that would give no TLS, or the wrong one. */
static void
break_chain(struct world *world)
{
    assert_int_equal(truncate(world->chain, 300), 0);
}

static void
empty_key(struct world *world)
{
    write_file(world->key, "");
}

static void
lose_key(struct world *world)
{
    unlink(world->key);
}

static void
exchange_key(struct world *world)
{
    struct str key;
    char *text;
    assert_int_equal(preflight_read(world->arena, world->key, TLS_PEM_MAX, &key), STATUS_OK);
    text = arena_cstr(world->arena, key);
    unlink(world->chain);
    unlink(world->key);
    obtain(world, now_ms);
    write_file(world->key, text); /* the key of another certificate */
}

static void
rename_host(struct world *world)
{
    world->config.hostname = STR("mail.example.org");
}

static void
it_is_replaced_when_it_is_of_no_use(void **state)
{
    static void (*const faults[])(struct world *) = {break_chain, empty_key, lose_key, exchange_key,
                                                     rename_host};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct str before = obtain(world, now_ms);
        faults[i](world);
        assert_true(own_certificate_is_due(&world->config, now_ms));
        assert_false(str_eq(before, obtain(world, now_ms)));
    }
}

static void
it_is_replaced_at_its_end(void **state)
{
    struct world *world = *state;
    struct str first = obtain(world, now_ms);
    int64_t const late = now_ms + (397 - OWN_CERTIFICATE_RENEW_DAYS) * DAY_MS;
    assert_false(own_certificate_is_due(&world->config, late - DAY_MS));
    assert_true(own_certificate_is_due(&world->config, late + DAY_MS));
    assert_false(str_eq(first, obtain(world, late + DAY_MS)));
    /* And when the clock was set back behind its beginning. */
    assert_true(own_certificate_is_due(&world->config, now_ms));
}

static void
a_closed_directory_is_told(void **state)
{
    struct world *world = *state;
    struct own_certificate own;
    world->config.directories.state = STR("/nonexistent/postern");
    assert_int_equal(own_certificate_obtain(&world->config, now_ms, world->arena, &own), STATUS_IO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_made_once_for_its_owner_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_replaced_when_it_is_of_no_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_replaced_at_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_directory_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
