/* The table of users: names, file, memory, what Dovecot gets. */
#include "store/ledger_users.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/ledger_database.h"
#include "store/ledger_test_directory.h"

static const struct {
    const char *name;
    enum status status;
    const char *want;
} names[] = {
    {"bob@kartapuce.com", STATUS_OK, "bob@kartapuce.com"},
    {"Bob.Smith+x@KartaPuce.COM", STATUS_OK, "bob.smith+x@kartapuce.com"},
    {"bob@m\xc3\xbcnchen.example", STATUS_OK, "bob@xn--mnchen-3ya.example"},
    {"\"bob\"@kartapuce.com", STATUS_OK, "bob@kartapuce.com"}, /* the same mailbox */
    {"bob", STATUS_OK, "bob"},
    {"BOB", STATUS_OK, "bob"},
    {"", STATUS_SYNTAX, NULL},
    {".", STATUS_SYNTAX, NULL},
    {"..", STATUS_SYNTAX, NULL},
    {".bob", STATUS_SYNTAX, NULL},
    {"bob.", STATUS_SYNTAX, NULL},
    {"a..b", STATUS_SYNTAX, NULL},
    {"@kartapuce.com", STATUS_SYNTAX, NULL},
    {"bob@", STATUS_SYNTAX, NULL},
    {"bob@[192.0.2.1]", STATUS_SYNTAX, NULL},
    {"bob smith@kartapuce.com", STATUS_SYNTAX, NULL},
    {"\"bob smith\"@kartapuce.com", STATUS_SYNTAX, NULL},
    {"\"a:b\"@kartapuce.com", STATUS_SYNTAX, NULL},
    {"a/b@kartapuce.com", STATUS_SYNTAX, NULL},
    {"a:b", STATUS_SYNTAX, NULL},
    {"bob\n", STATUS_SYNTAX, NULL},
    {"bob\xff", STATUS_SYNTAX, NULL},
    {"\"..\"@kartapuce.com", STATUS_SYNTAX, NULL},
    {"%u@kartapuce.com", STATUS_SYNTAX, NULL}, /* Dovecot's variables */
};

static void
names_are_normalised(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct arena *arena = arena_create(4096);
        struct str got = STR("untouched");
        enum status status = user_name_normalise(arena, str_from_cstr(names[i].name), &got);
        struct str want = str_from_cstr(names[i].want != NULL ? names[i].want : "untouched");
        if (status != names[i].status || !str_eq(got, want)) {
            fail_msg("%s: %s '%.*s', want %s '%.*s'", names[i].name, status_name(status),
                     STR_ARG(got), status_name(names[i].status), STR_ARG(want));
        }
        arena_destroy(&arena);
    }
}

/* A domain of 90 octets that has 247 in the DNS: what was short enough is too long in the end. */
static void
long_names_are_refused(void **state)
{
    struct arena *arena = arena_create(65536);
    struct buf name;
    struct str got = STR("untouched");
    (void)state;
    buf_init(&name, 1000);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(buf_append_char(&name, 'a'), STATUS_OK);
    }
    assert_int_equal(buf_append_char(&name, '@'), STATUS_OK);
    for (int i = 0; i < 28; i++) {
        assert_int_equal(buf_append(&name, STR("\xc3\xbc.")), STATUS_OK); /* xn--tda. */
    }
    assert_int_equal(buf_append(&name, STR("example")), STATUS_OK);
    assert_true(buf_length(&name) < USER_NAME_MAX);
    assert_int_equal(user_name_normalise(arena, buf_str(&name), &got), STATUS_LIMIT);
    assert_true(str_eq(got, STR("untouched")));
    char plain[USER_NAME_MAX + 1];
    memset(plain, 'a', sizeof plain);
    assert_int_equal(user_name_normalise(arena, str_make(plain, sizeof plain), &got), STATUS_LIMIT);
    assert_int_equal(user_name_normalise(arena, str_make(plain, USER_NAME_MAX), &got), STATUS_OK);
    buf_free(&name);
    arena_destroy(&arena);
}

static struct user
make_user(const char *name)
{
    struct user user = {.created_ms = 1795456094123, .credential = {.iterations = 20000}};
    snprintf(user.name, sizeof user.name, "%s", name);
    snprintf(user.credential.argon2, sizeof user.credential.argon2, "$argon2id$of %.40s", name);
    memset(user.credential.salt, name[0], sizeof user.credential.salt);
    memset(user.credential.stored_key, name[0] + 1, sizeof user.credential.stored_key);
    memset(user.credential.server_key, name[0] + 2, sizeof user.credential.server_key);
    return user;
}

static struct user_file *
open_file(const struct test_directory *directory)
{
    struct user_file *file = NULL;
    assert_int_equal(user_file_open(directory->path, &file), STATUS_OK);
    return file;
}

static struct user_table *
load_table(struct user_file *file)
{
    struct user_table *table = user_table_create();
    assert_non_null(table);
    assert_int_equal(user_table_load(table, file), STATUS_OK);
    return table;
}

static void
users_survive_closing(void **state)
{
    struct user bob = make_user("bob@kartapuce.com");
    struct user jack = make_user("jack@kartapuce.com");
    struct user_file *file = open_file(*state);
    uint8_t secret[CREDENTIAL_KEY];
    memcpy(secret, user_file_secret(file), sizeof secret);
    assert_int_equal(user_file_add(file, &bob), STATUS_OK);
    assert_int_equal(user_file_add(file, &jack), STATUS_OK);
    assert_int_equal(user_file_add(file, &bob), STATUS_DENIED);
    assert_int_equal(user_file_set_disabled(file, "bob@kartapuce.com", true), STATUS_OK);
    assert_int_equal(user_file_set_last_login(file, "bob@kartapuce.com", 7), STATUS_OK);
    assert_int_equal(user_file_set_credential(file, "jack@kartapuce.com", &bob.credential),
                     STATUS_OK);
    assert_int_equal(user_file_set_disabled(file, "eve@kartapuce.com", true), STATUS_NOT_FOUND);
    assert_int_equal(user_file_remove(file, "eve@kartapuce.com"), STATUS_NOT_FOUND);
    user_file_close(&file);

    file = open_file(*state);
    assert_memory_equal(secret, user_file_secret(file), sizeof secret);
    struct user_table *table = load_table(file);
    assert_int_equal(user_table_count(table), 2);
    bob.disabled = true;
    bob.last_login_ms = 7;
    jack.credential = bob.credential;
    assert_memory_equal(user_table_find(table, STR("bob@kartapuce.com")), &bob, sizeof bob);
    assert_memory_equal(user_table_find(table, STR("jack@kartapuce.com")), &jack, sizeof jack);
    assert_null(user_table_find(table, STR("eve@kartapuce.com")));
    assert_null(user_table_find(table, STR("")));
    user_table_destroy(&table);
    assert_int_equal(user_file_remove(file, "bob@kartapuce.com"), STATUS_OK);
    user_file_close(&file);
}

static void
pages_are_in_order(void **state)
{
    (void)state;
    struct user_table *table = user_table_create();
    const struct user *page[7];
    char after[USER_NAME_MAX + 1] = "";
    int seen = 0;
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "user%02d", (i * 37) % 100);
        struct user user = make_user(name);
        assert_int_equal(user_table_put(table, &user), STATUS_OK);
        assert_int_equal(user_table_put(table, &user), STATUS_OK); /* replaces */
    }
    assert_int_equal(user_table_count(table), 100);
    page[6] = NULL; /* behind the page nothing is written */
    assert_int_equal(user_table_page(table, STR(""), page, 6), 6);
    assert_null(page[6]);
    for (size_t n; (n = user_table_page(table, str_from_cstr(after), page, 7)) > 0;) {
        for (size_t i = 0; i < n; i++) {
            char want[32];
            snprintf(want, sizeof want, "user%02d", seen++);
            assert_string_equal(page[i]->name, want);
        }
        snprintf(after, sizeof after, "%s", page[n - 1]->name);
    }
    assert_int_equal(seen, 100);
    user_table_remove(table, STR("user50"));
    user_table_remove(table, STR("user50"));
    assert_int_equal(user_table_count(table), 99);
    user_table_destroy(&table);
}

static void
dovecot_gets_its_file(void **state)
{
    const struct test_directory *directory = *state;
    struct user bob = make_user("bob@kartapuce.com");
    struct user eve = make_user("eve@kartapuce.com");
    struct user_file *file = open_file(directory);
    char text[1024] = "";
    struct stat st;
    eve.disabled = true;
    assert_int_equal(user_file_add(file, &eve), STATUS_OK);
    assert_int_equal(user_file_add(file, &bob), STATUS_OK);
    assert_int_equal(user_file_write_dovecot(file, directory->path), STATUS_OK);
    const char *path = test_directory_file(directory, "dovecot-users");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_string_equal(text, "bob@kartapuce.com:{ARGON2ID}$argon2id$of bob@kartapuce.com::::::\n"
                              "eve@kartapuce.com:{CRYPT}!::::::\n");
    assert_int_not_equal(access(test_directory_file(directory, "dovecot-users.new"), F_OK), 0);
    path = test_directory_file(directory, "dovecot-users"); /* the text was used again */
    /* Written again in the same second: Dovecot looks at the second of the change. */
    for (int i = 1; i <= 3; i++) {
        struct stat again;
        assert_int_equal(user_file_write_dovecot(file, directory->path), STATUS_OK);
        assert_int_equal(stat(path, &again), 0);
        assert_true(again.st_mtim.tv_sec > st.st_mtim.tv_sec);
        st = again;
    }
    user_file_close(&file);
}

/* A change that was answered is there after the process was killed in the middle of the next. */
static void
changes_survive_a_kill(void **state)
{
    for (int round = 0; round < 5; round++) {
        int done[2];
        char name[32];
        int acknowledged = -1;
        assert_int_equal(pipe(done), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct user_file *file = open_file(*state);
            for (int i = 0;; i++) {
                snprintf(name, sizeof name, "r%d-user%d", round, i);
                struct user user = make_user(name);
                if (user_file_add(file, &user) != STATUS_OK ||
                    write(done[1], &i, sizeof i) != sizeof i) {
                    _exit(1);
                }
            }
        }
        close(done[1]);
        for (int i; acknowledged < 5 + round && read(done[0], &i, sizeof i) == sizeof i;) {
            acknowledged = i;
        }
        kill(pid, SIGKILL);
        for (int i; read(done[0], &i, sizeof i) == sizeof i;) {
            acknowledged = i;
        }
        close(done[0]);
        waitpid(pid, NULL, 0);
        struct user_file *file = open_file(*state);
        struct user_table *table = load_table(file);
        assert_true(acknowledged >= 5);
        for (int i = 0; i <= acknowledged; i++) {
            snprintf(name, sizeof name, "r%d-user%d", round, i);
            assert_non_null(user_table_find(table, str_from_cstr(name)));
        }
        user_table_destroy(&table);
        user_file_close(&file);
    }
}

static void
damage_is_told_and_left_alone(void **state)
{
    const struct test_directory *directory = *state;
    struct user_file *file = open_file(directory);
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "user%d", i);
        struct user user = make_user(name);
        assert_int_equal(user_file_add(file, &user), STATUS_OK);
    }
    user_file_close(&file);
    const char *path = test_directory_file(directory, "users.db");
    struct stat before;
    struct stat after;
    int fd = open(path, O_WRONLY);
    char garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, 3 * 4096), sizeof garbage);
    close(fd);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(user_file_open(directory->path, &file), STATUS_SYNTAX);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(user_file_open(directory->path, &file), STATUS_SYNTAX);
}

static void
later_versions_are_refused(void **state)
{
    const struct test_directory *directory = *state;
    struct user_file *file = open_file(directory);
    sqlite3 *database;
    user_file_close(&file);
    assert_int_equal(sqlite3_open(test_directory_file(directory, "users.db"), &database),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 99", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
    assert_int_equal(user_file_open(directory->path, &file), STATUS_DENIED);
}

/* Steps are run one after the other, all or none. */
static void
schemas_are_upgraded(void **state)
{
    const char *path = test_directory_file(*state, "x.db");
    static const char *const steps[] = {"CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);",
                                        "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 5;"};
    const char *const broken[] = {steps[0], steps[1], "UPDATE a SET x = 2; CREATE NONSENSE;"};
    const struct ledger_schema one = {steps, 1};
    const struct ledger_schema two = {steps, 2};
    const struct ledger_schema three = {broken, 3};
    sqlite3 *database = NULL;
    assert_int_equal(ledger_database_open(path, LEDGER_READ_ONLY, &one, &database), STATUS_IO);
    assert_int_equal(ledger_database_open(path, LEDGER_DURABLE, &one, &database), STATUS_OK);
    ledger_database_close(&database);
    assert_int_equal(ledger_database_open(path, LEDGER_READ_ONLY, &two, &database), STATUS_DENIED);
    assert_int_equal(ledger_database_open(path, LEDGER_DURABLE, &three, &database), STATUS_IO);
    assert_int_equal(ledger_database_open(path, LEDGER_BATCHED, &two, &database), STATUS_OK);
    sqlite3_stmt *statement;
    assert_int_equal(ledger_prepare(database, "SELECT x + y FROM a", &statement), STATUS_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 6);
    ledger_database_close(&database);
    assert_int_equal(ledger_database_open(path, LEDGER_BATCHED, &one, &database), STATUS_DENIED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_names_are_refused),      cmocka_unit_test(names_are_normalised),
        cmocka_unit_test(pages_are_in_order),          WITH_DIRECTORY(users_survive_closing),
        WITH_DIRECTORY(dovecot_gets_its_file),         WITH_DIRECTORY(changes_survive_a_kill),
        WITH_DIRECTORY(damage_is_told_and_left_alone), WITH_DIRECTORY(later_versions_are_refused),
        WITH_DIRECTORY(schemas_are_upgraded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
