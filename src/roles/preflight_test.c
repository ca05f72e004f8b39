#include "roles/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tls/self_signed.h"

#define NOW_MS 1793800000000LL
#define HEAD                                                                                       \
    "hostname: mx.example.com\n"                                                                   \
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"

static char directory[64];

static void
write_file(const char *name, struct str text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    fclose(file);
}

static const char *const names[] = {"a.pem", "a.key", "b.pem", "b.key", "root.ds", "root.txt"};

static int
make_files(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1u << 20);
    snprintf(directory, sizeof directory, "/tmp/preflight-XXXXXX");
    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < 4; i += 2) {
        struct str chain;
        struct str key;
        assert_int_equal(tls_self_signed_create(arena, STR("mx.example.com"), NOW_MS, &chain, &key),
                         STATUS_OK);
        write_file(names[i], chain);
        write_file(names[i + 1], key);
    }
    write_file("root.ds", STR("; the root\n.\t172800 IN DS 20326 8 2 E06D44B8\n"));
    write_file("root.txt", STR("; DS and DNSKEY are told of here\n. 1 IN NS a.example.\n"));
    arena_destroy(&arena);
    return 0;
}

static int
remove_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

/* "@" in both texts stands for the directory. */
static struct str
fill_in(struct arena *arena, const char *text)
{
    struct buf out;
    buf_init(&out, 1u << 16);
    for (; *text != '\0'; text++) {
        struct str piece = *text == '@' ? str_from_cstr(directory) : str_make(text, 1);
        assert_int_equal(buf_append(&out, piece), STATUS_OK);
    }
    struct str filled = arena_str_dup(arena, buf_str(&out));
    buf_free(&out);
    return filled;
}

static struct str
all_errors(struct arena *arena, const struct config_errors *errors)
{
    struct str text = STR("");
    for (size_t i = 0; i < errors->count; i++) {
        struct str line = config_error_format(arena, STR("f"), &errors->items[i]);
        text = arena_printf(arena, "%.*s%.*s\n", STR_ARG(text), STR_ARG(line));
    }
    return text;
}

static const struct {
    const char *text;
    bool files;
    const char *want;
} rows[] = {
    {HEAD, true, ""},
    {HEAD "tls:\n  ciphers: ECDHE+AESGMC\n", false,
     "f:4:12: tls.ciphers: OpenSSL knows no \"ECDHE+AESGMC\"; expected a list as under "
     "openssl-ciphers(1)\n"},
    {HEAD "tls: {groups: nowhere}\n", false,
     "f:3:15: tls.groups: OpenSSL knows no \"nowhere\"; expected a list as under "
     "openssl-ciphers(1)\n"},
    {HEAD "tls:\n  certificates:\n    - {certificate: @/a.pem, key: @/a.key}\n"
          "    - {certificate: @/b.pem, key: @/b.key}\n",
     true, ""},
    {HEAD "tls:\n  certificates:\n    - {certificate: @/a.pem, key: @/a.key}\n"
          "    - certificate: @/none.pem\n      key: @/none.key\n",
     true,
     "f:6:20: tls.certificates[1].certificate: @/none.pem cannot be read: No such file or "
     "directory\n"
     "f:7:12: tls.certificates[1].key: @/none.key cannot be read: No such file or directory\n"},
    {HEAD "tls:\n  certificates:\n    - {certificate: @/a.pem, key: @/b.key}\n", true,
     "f:5:7: tls.certificates[0]: @/a.pem with @/b.key: the private key is not that of the "
     "certificate: key values mismatch\n"},
    {HEAD "tls: {trusted_roots: [@/a.pem, @/b.pem]}\n", true, ""},
    {HEAD "tls:\n  trusted_roots:\n    - @/a.pem\n    - @/root.txt\n    - @/none\n    - @/a.key\n",
     true,
     "f:6:7: tls.trusted_roots[1]: @/root.txt holds no certificate in PEM form\n"
     "f:7:7: tls.trusted_roots[2]: @/none cannot be read: No such file or directory\n"
     "f:8:7: tls.trusted_roots[3]: @/a.key holds no certificate in PEM form\n"},
    {HEAD "resolver: {trust_anchors: [@/root.ds]}\n", true, ""},
    {HEAD "resolver:\n  trust_anchors:\n    - @/root.ds\n    - @/root.txt\n    - @/none\n", true,
     "f:6:7: resolver.trust_anchors[1]: @/root.txt holds neither a DS nor a DNSKEY record\n"
     "f:7:7: resolver.trust_anchors[2]: @/none cannot be read: No such file or directory\n"},
};

static void
what_is_wrong_is_told_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(4u << 20);
        struct config_errors *errors = arena_alloc(arena, sizeof *errors);
        const struct config *config = NULL;
        struct str text = fill_in(arena, rows[i].text);
        assert_non_null(errors);
        assert_int_equal(config_load_text(arena, text, &config, errors), STATUS_OK);
        struct preflight preflight = {config, text, arena, errors};
        preflight_settings(&preflight);
        if (rows[i].files) {
            preflight_files(&preflight);
        }
        struct str got = all_errors(arena, errors);
        assert_string_equal(arena_cstr(arena, got), fill_in(arena, rows[i].want).p);
        config_unref(&config);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_wrong_is_told_at_its_place, make_files,
                                        remove_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
