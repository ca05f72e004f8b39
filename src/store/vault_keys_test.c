/* The file of the vault's keys: what is written is there again, what is destroyed is not. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/ledger_database.h"
#include "store/ledger_test_directory.h"
#include "store/vault_keys.h"

#define PEM_TEXT "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LW9jdGV0cy1vZi1hLWtleQ==\n-----END"
#define PEM      STR(PEM_TEXT)

static struct vault_file *
open_file(const struct test_directory *directory)
{
    struct vault_file *file = NULL;
    assert_int_equal(vault_file_open(directory->path, &file), STATUS_OK);
    return file;
}

static struct vault_key
make_key(const char *domain, const char *selector)
{
    struct vault_key key = {
        .algorithm = CRYPTO_ED25519_SHA256,
        .bits = 256,
        .state = KEY_PENDING,
        .created_ms = 1,
        .public_size = 3,
        .public_key = {1, 0, 3},
    };
    snprintf(key.domain, sizeof key.domain, "%s", domain);
    snprintf(key.selector, sizeof key.selector, "%s", selector);
    return key;
}

struct collected {
    struct vault_key keys[4];
    size_t count;
};

static bool
collect(void *context, const struct vault_key *key)
{
    struct collected *collected = context;
    collected->keys[collected->count++] = *key;
    return collected->count < 4;
}

static struct collected
read_all(struct vault_file *file)
{
    struct collected collected = {.count = 0};
    assert_int_equal(vault_file_each(file, collect, &collected), STATUS_OK);
    return collected;
}

static enum status
read_private(struct vault_file *file, uint64_t number, struct buf *out)
{
    buf_init(out, 4096);
    return vault_file_private(file, number, out);
}

static void
what_is_written_is_there_again(void **state)
{
    struct vault_file *file = open_file(*state);
    struct vault_key key = make_key("kartapuce.com", "a");
    struct buf pem;
    assert_int_equal(vault_file_add(file, &key, PEM), STATUS_OK);
    assert_true(key.number > 0);
    key.state = KEY_ACTIVE;
    key.seen = KEY_SEEN_TESTING;
    key.published_ms = 2;
    key.activated_ms = 3;
    key.retiring_ms = 4;
    key.shown_ms = 6;
    key.checked_ms = 7;
    key.missing_ms = 8;
    assert_int_equal(vault_file_update(file, &key, 1), STATUS_OK);
    vault_file_close(&file);
    file = open_file(*state);
    struct collected all = read_all(file);
    assert_int_equal(all.count, 1);
    assert_memory_equal(&all.keys[0], &key, sizeof key);
    assert_int_equal(read_private(file, key.number, &pem), STATUS_OK);
    assert_true(str_eq(buf_str(&pem), PEM));
    buf_free(&pem);
    assert_int_equal(read_private(file, key.number + 1, &pem), STATUS_NOT_FOUND);
    vault_file_close(&file);
}

static void
a_selector_is_given_once(void **state)
{
    struct vault_file *file = open_file(*state);
    struct vault_key key = make_key("kartapuce.com", "a");
    struct vault_key again = make_key("kartapuce.com", "a");
    struct vault_key elsewhere = make_key("far.example", "a");
    assert_int_equal(vault_file_add(file, &key, PEM), STATUS_OK);
    assert_int_equal(vault_file_add(file, &again, PEM), STATUS_DENIED);
    assert_int_equal(again.number, 0);
    assert_int_equal(vault_file_add(file, &elsewhere, PEM), STATUS_OK);
    key.state = KEY_REMOVED;
    assert_int_equal(vault_file_update(file, &key, 1), STATUS_OK);
    assert_int_equal(read_all(file).count, 1);
    assert_int_equal(vault_file_add(file, &again, PEM), STATUS_DENIED);
    assert_true(vault_file_selector_is_used(file, STR("kartapuce.com"), STR("a")));
    assert_false(vault_file_selector_is_used(file, STR("kartapuce.com"), STR("b")));
    vault_file_close(&file);
}

/* True when a file holds the octets of the private key's middle. */
static bool
holds_secret(const char *path)
{
    static char octets[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, octets, sizeof octets) : 0;
    if (fd >= 0) {
        close(fd);
    }
    assert_true(n >= 0 && n < (ssize_t)sizeof octets);
    return str_find(str_make(octets, (size_t)n), STR("c2VjcmV0LW9jdGV0cy1vZi1hLWtleQ==")) !=
           STR_NPOS;
}

static bool
is_anywhere(const struct test_directory *directory)
{
    return holds_secret(test_directory_file(directory, "keys.db")) ||
           holds_secret(test_directory_file(directory, "keys.db-wal"));
}

static void
a_retired_key_leaves_no_octet(void **state)
{
    static const enum key_state ends[] = {KEY_RETIRED, KEY_REMOVED};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct vault_file *file = open_file(*state);
        struct vault_key key = make_key("kartapuce.com", i == 0 ? "a" : "b");
        struct buf pem;
        assert_int_equal(vault_file_add(file, &key, PEM), STATUS_OK);
        assert_true(is_anywhere(*state));
        key.state = ends[i];
        assert_int_equal(vault_file_update(file, &key, 1), STATUS_OK);
        assert_false(is_anywhere(*state));
        assert_int_equal(read_private(file, key.number, &pem), STATUS_NOT_FOUND);
        vault_file_close(&file);
        assert_false(is_anywhere(*state));
    }
}

static void
a_change_is_whole_or_not_at_all(void **state)
{
    struct vault_file *file = open_file(*state);
    struct vault_key keys[2] = {make_key("kartapuce.com", "a"), make_key("kartapuce.com", "b")};
    assert_int_equal(vault_file_add(file, &keys[0], PEM), STATUS_OK);
    keys[0].state = KEY_RETIRING;
    keys[1].state = KEY_ACTIVE;
    keys[1].number = 99; /* there is none */
    assert_int_equal(vault_file_update(file, keys, 2), STATUS_NOT_FOUND);
    assert_int_equal(read_all(file).keys[0].state, KEY_PENDING);
    vault_file_close(&file);
}

static void
damage_is_told_and_left(void **state)
{
    const char *path = test_directory_file(*state, "keys.db");
    static const char damage[] = "this is no database, but somebody's only copy of something";
    struct vault_file *file = NULL;
    char back[sizeof damage];
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, damage, sizeof damage), sizeof damage);
    assert_int_equal(vault_file_open(((struct test_directory *)*state)->path, &file),
                     STATUS_SYNTAX);
    assert_null(file);
    assert_int_equal(pread(fd, back, sizeof back, 0), sizeof back);
    assert_memory_equal(back, damage, sizeof damage);
    close(fd);
}

static void
damage_inside_is_found_at_the_start(void **state)
{
    const struct test_directory *directory = *state;
    struct vault_file *file = NULL;
    assert_int_equal(vault_file_open(directory->path, &file), STATUS_OK);
    vault_file_close(&file);
    char garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    int fd = open(test_directory_file(directory, "keys.db"), O_WRONLY);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, sizeof garbage), sizeof garbage);
    close(fd);
    assert_int_equal(vault_file_open(directory->path, &file), STATUS_SYNTAX);
    assert_null(file);
}

static void
a_later_schema_is_refused(void **state)
{
    struct vault_file *file = open_file(*state);
    sqlite3 *database;
    vault_file_close(&file);
    assert_int_equal(sqlite3_open(test_directory_file(*state, "keys.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 7", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
    assert_int_equal(vault_file_open(((struct test_directory *)*state)->path, &file),
                     STATUS_DENIED);
}

/* A row that no version of the program writes stops the vault rather than being guessed at. */
static void
an_unknown_state_is_damage(void **state)
{
    struct vault_file *file = open_file(*state);
    struct vault_key key = make_key("kartapuce.com", "a");
    struct collected collected = {.count = 0};
    sqlite3 *database;
    assert_int_equal(vault_file_add(file, &key, PEM), STATUS_OK);
    assert_int_equal(sqlite3_open(test_directory_file(*state, "keys.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "UPDATE key SET state = 42", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
    assert_int_equal(vault_file_each(file, collect, &collected), STATUS_SYNTAX);
    assert_int_equal(collected.count, 0);
    vault_file_close(&file);
}

static void
old_secrets_of_srs_go(void **state)
{
    struct vault_file *file = open_file(*state);
    struct vault_srs_secret secrets[VAULT_SRS_SECRETS];
    size_t count = 0;
    for (int i = 1; i <= 3; i++) {
        struct vault_srs_secret secret = {.created_ms = 100 * i, .octets = {(uint8_t)i}};
        assert_int_equal(vault_file_srs_add(file, &secret, i == 3 ? 150 : 0), STATUS_OK);
    }
    assert_int_equal(vault_file_srs_read(file, secrets, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(secrets[0].created_ms, 300);
    assert_int_equal(secrets[0].octets[0], 3);
    assert_int_equal(secrets[1].created_ms, 200);
    vault_file_close(&file);
}

static void
short_senders_are_kept_and_forgotten(void **state)
{
    struct vault_file *file = open_file(*state);
    struct buf got;
    buf_init(&got, VAULT_SHORT_ADDRESS);
    assert_int_equal(vault_file_short_get(file, STR("a"), &got), STATUS_NOT_FOUND);
    assert_int_equal(vault_file_short_put(file, STR("a"), STR("x@one.example"), 1000, 0, 0),
                     STATUS_OK);
    assert_int_equal(vault_file_short_put(file, STR("b"), STR("y@one.example"), 2000, 0, 0),
                     STATUS_OK);
    vault_file_close(&file);
    file = open_file(*state); /* it is on disk */
    assert_int_equal(vault_file_short_get(file, STR("a"), &got), STATUS_OK);
    assert_true(str_eq(buf_str(&got), STR("x@one.example")));
    /* Not written again while it is young; renewed afterwards, and so it outlives the other. */
    assert_int_equal(vault_file_short_put(file, STR("a"), STR("x@one.example"), 3000, 1000, 1500),
                     STATUS_OK);
    assert_int_equal(vault_file_short_put(file, STR("a"), STR("x@one.example"), 4000, 1001, 1000),
                     STATUS_OK);
    assert_int_equal(vault_file_short_put(file, STR("c"), STR("z@one.example"), 5000, 0, 4000),
                     STATUS_OK);
    buf_clear(&got);
    assert_int_equal(vault_file_short_get(file, STR("b"), &got), STATUS_NOT_FOUND);
    assert_int_equal(vault_file_short_get(file, STR("a"), &got), STATUS_OK);
    buf_free(&got);
    vault_file_close(&file);
}

/* Past the bound the oldest goes. */
static void
short_senders_have_a_bound(void **state)
{
    struct vault_file *file = open_file(*state);
    sqlite3 *database;
    struct buf got;
    char sql[256];
    buf_init(&got, VAULT_SHORT_ADDRESS);
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
             " INSERT INTO short_sender SELECT 'n' || i, i, x'40' FROM n",
             VAULT_SHORT_MAX);
    assert_int_equal(sqlite3_open(test_directory_file(*state, "keys.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    assert_int_equal(
        vault_file_short_put(file, STR("a"), STR("x@one.example"), VAULT_SHORT_MAX + 1, 0, 0),
        STATUS_OK);
    assert_int_equal(vault_file_short_get(file, STR("n1"), &got), STATUS_NOT_FOUND);
    assert_int_equal(vault_file_short_get(file, STR("n2"), &got), STATUS_OK);
    assert_int_equal(vault_file_short_get(file, STR("a"), &got), STATUS_OK);
    buf_free(&got);
    vault_file_close(&file);
}

struct logins {
    struct vault_login items[4];
    size_t count;
};

static bool
collect_login(void *context, const struct vault_login *login)
{
    struct logins *logins = context;
    logins->items[logins->count++] = *login;
    return logins->count < 4;
}

static enum status
find_login(struct vault_file *file, const char *host, const char *user, const char *want)
{
    struct buf password;
    buf_init(&password, 1024);
    enum status status =
        vault_file_login_find(file, str_from_cstr(host), str_from_cstr(user), &password);
    if (status == STATUS_OK) {
        assert_true(str_eq(buf_str(&password), str_from_cstr(want)));
    }
    buf_free_wiped(&password);
    return status;
}

static void
passwords_are_kept_by_host_and_user(void **state)
{
    struct vault_file *file = open_file(*state);
    struct logins logins = {.count = 0};
    const struct vault_login bob = {.host = "smtp.example", .user = "bob", .changed_ms = 5};
    const struct vault_login tom = {.host = "smtp.example", .user = "tom", .changed_ms = 6};
    assert_int_equal(vault_file_login_set(file, &bob, STR("first")), STATUS_OK);
    assert_int_equal(vault_file_login_set(file, &tom, STR("other")), STATUS_OK);
    assert_int_equal(vault_file_login_set(file, &bob, PEM), STATUS_OK);
    vault_file_close(&file);
    file = open_file(*state);
    assert_int_equal(find_login(file, "smtp.example", "bob", PEM_TEXT), STATUS_OK);
    assert_int_equal(find_login(file, "smtp.example", "tom", "other"), STATUS_OK);
    assert_int_equal(find_login(file, "smtp.example", "jack", ""), STATUS_NOT_FOUND);
    assert_int_equal(find_login(file, "other.example", "bob", ""), STATUS_NOT_FOUND);
    assert_int_equal(vault_file_login_each(file, collect_login, &logins), STATUS_OK);
    assert_int_equal(logins.count, 2);
    assert_memory_equal(&logins.items[0], &bob, sizeof bob);
    assert_true(is_anywhere(*state));
    assert_int_equal(vault_file_login_remove(file, STR("smtp.example"), STR("bob")), STATUS_OK);
    assert_int_equal(vault_file_login_remove(file, STR("smtp.example"), STR("bob")),
                     STATUS_NOT_FOUND);
    assert_int_equal(find_login(file, "smtp.example", "bob", ""), STATUS_NOT_FOUND);
    vault_file_close(&file);
    assert_false(is_anywhere(*state)); /* what is removed leaves no octet */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(what_is_written_is_there_again),
        WITH_DIRECTORY(a_selector_is_given_once),
        WITH_DIRECTORY(a_retired_key_leaves_no_octet),
        WITH_DIRECTORY(a_change_is_whole_or_not_at_all),
        WITH_DIRECTORY(damage_is_told_and_left),
        WITH_DIRECTORY(damage_inside_is_found_at_the_start),
        WITH_DIRECTORY(a_later_schema_is_refused),
        WITH_DIRECTORY(an_unknown_state_is_damage),
        WITH_DIRECTORY(old_secrets_of_srs_go),
        WITH_DIRECTORY(short_senders_are_kept_and_forgotten),
        WITH_DIRECTORY(short_senders_have_a_bound),
        WITH_DIRECTORY(passwords_are_kept_by_host_and_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
