/*
 * ledger_users.h - the table of users: who may log in and receive, and what is kept of passwords.
 *
 * Two parts for two threads. struct user_file is the database; its changes are on disk when a call
 * returns (synchronous=FULL). struct user_table is all of it in memory, for lookups that must not
 * wait. The ledger role changes the file in its writer's thread and then the table in its loop.
 *
 * A name is a full address, "bob@kartapuce.com", in lower case with A-labels (user_name_normalise);
 * a bare name without "@" is allowed too. Of names only such are taken that no mail store can
 * misread: no quotes, blanks, ":" or "/" (Dovecot's passwd-file and directories).
 */
#ifndef POSTERN_STORE_LEDGER_USERS_H
#define POSTERN_STORE_LEDGER_USERS_H

#include "store/credential.h"

/* Most users: each costs about 600 octets of memory. */
#define USERS_MAX     1000000u
/* Longest name, RFC 5321 4.5.3.1. */
#define USER_NAME_MAX 254u

/* In messages: never renumbered. */
enum user_action {
    USER_ADD = 1,
    USER_PASSWORD = 2,
    USER_DISABLE = 3, /* may not log in; mail for it still arrives */
    USER_ENABLE = 4,
    USER_REMOVE = 5,
};

enum user_outcome {
    USER_DONE = 0,
    USER_EXISTS = 1,
    USER_UNKNOWN = 2,
    USER_BAD_NAME = 3,
    USER_BAD_PASSWORD = 4,
    USER_FAILED = 5, /* the database or memory */
};

struct user {
    char name[USER_NAME_MAX + 1]; /* normal form, ends in NUL */
    bool disabled;
    int64_t created_ms;
    int64_t last_login_ms; /* 0: never */
    struct credential credential;
};

/*
 * The normal form of a name. STATUS_SYNTAX: it cannot be a user's name; STATUS_LIMIT: too long, or
 * the arena is full.
 */
[[nodiscard]] enum status user_name_normalise(struct arena *arena, struct str name,
                                              struct str *name_out);

/* ---- on disk */

struct user_file;

/*
 * Opens or makes <directory>/users.db. A damaged file is STATUS_SYNTAX, and is left as it is: users
 * are not thrown away. Other errors as in ledger_database.h.
 */
[[nodiscard]] enum status user_file_open(const char *directory, struct user_file **file_out);
void user_file_close(struct user_file **file);

/* The installation's own secret, made when the file was (credential_fake_salt). */
const uint8_t *user_file_secret(const struct user_file *file);

/* Calls on_user for each user, by name; stops when it returns false. */
[[nodiscard]] enum status user_file_each(struct user_file *file,
                                         bool (*on_user)(void *context, const struct user *user),
                                         void *context);

/* Durable changes. STATUS_DENIED: a user of that name exists; STATUS_NOT_FOUND: none does. */
[[nodiscard]] enum status user_file_add(struct user_file *file, const struct user *user);
[[nodiscard]] enum status user_file_set_credential(struct user_file *file, const char *name,
                                                   const struct credential *credential);
[[nodiscard]] enum status user_file_set_disabled(struct user_file *file, const char *name,
                                                 bool disabled);
[[nodiscard]] enum status user_file_set_last_login(struct user_file *file, const char *name,
                                                   int64_t wall_ms);
[[nodiscard]] enum status user_file_remove(struct user_file *file, const char *name);

/*
 * Writes all users to <directory>/dovecot-users for Dovecot's passwd-file driver, readable by the
 * group, replaced at once: a reader sees the old or the new file. Disabled users are there without
 * a password that could match, so that their mail is still delivered.
 */
[[nodiscard]] enum status user_file_write_dovecot(struct user_file *file, const char *directory);

/* ---- in memory */

struct user_table;

/* NULL without memory. */
[[nodiscard]] struct user_table *user_table_create(void);
void user_table_destroy(struct user_table **table);
/* Fills it from the file. STATUS_LIMIT above USERS_MAX. */
[[nodiscard]] enum status user_table_load(struct user_table *table, struct user_file *file);
/* Adds or replaces. STATUS_LIMIT above USERS_MAX. */
[[nodiscard]] enum status user_table_put(struct user_table *table, const struct user *user);
void user_table_remove(struct user_table *table, struct str name);
size_t user_table_count(const struct user_table *table);
/* NULL when there is none; borrowed until the table changes. `name` in normal form. */
struct user *user_table_find(const struct user_table *table, struct str name);
/*
 * At most `most` users whose names come after `after`, by name; the number found. For lists, which
 * are rare: it looks at all.
 */
size_t user_table_page(const struct user_table *table, struct str after, const struct user **out,
                       size_t most);

#endif
