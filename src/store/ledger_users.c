#include "store/ledger_users.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "smtp/address.h"

/* A name's form: see the head of ledger_users.h for the characters that are left out. */
static bool
name_char_is_allowed(char c)
{
    return (unsigned char)c >= 0x80 || char_is_alnum(c) ||
           str_contains_char(STR("!#$&'*+-.=?^_~"), c);
}

static bool
local_is_allowed(struct str local)
{
    for (size_t i = 0; i < local.n; i++) {
        if (!name_char_is_allowed(local.p[i])) {
            return false;
        }
    }
    /* No empty atoms (RFC 5321 4.1.2 Dot-string); so never "." or ".." as a directory. */
    return local.n > 0 && local.p[0] != '.' && local.p[local.n - 1] != '.' &&
           str_find(local, STR("..")) == STR_NPOS;
}

static struct str
lower_case(struct arena *arena, struct str s)
{
    char *copy = arena_cstr(arena, s);
    for (size_t i = 0; copy != NULL && i < s.n; i++) {
        copy[i] = char_lower(copy[i]);
    }
    return str_make(copy, copy != NULL ? s.n : 0);
}

enum status
user_name_normalise(struct arena *arena, struct str name, struct str *name_out)
{
    struct smtp_address address = {.text = name, .local = name};
    if (name.n > USER_NAME_MAX) {
        return STATUS_LIMIT;
    }
    if (str_contains_char(name, '@')) {
        enum status status = smtp_mailbox_parse(arena, name, SMTP_ADDRESS_UTF8, &address);
        if (status != STATUS_OK) {
            return status == STATUS_LIMIT ? STATUS_LIMIT : STATUS_SYNTAX;
        }
        if (address.kind != SMTP_DOMAIN_NAME) {
            return STATUS_SYNTAX;
        }
    }
    if (!local_is_allowed(address.local) || !str_is_utf8(name)) {
        return STATUS_SYNTAX;
    }
    struct str text = lower_case(arena, address.text);
    if (text.p == NULL || text.n > USER_NAME_MAX) {
        return STATUS_LIMIT;
    }
    *name_out = text;
    return STATUS_OK;
}

/* ---- the table in memory */

struct entry {
    struct user user;
    UT_hash_handle hh; /* by user.name */
};

struct user_table {
    struct entry *entries;
};

struct user_table *
user_table_create(void)
{
    return calloc(1, sizeof(struct user_table));
}

void
user_table_destroy(struct user_table **table)
{
    if (*table == NULL) {
        return;
    }
    HASH_FREE_ALL((*table)->entries);
    free(*table);
    *table = NULL;
}

static struct entry *
entry_find(const struct user_table *table, struct str name)
{
    struct entry *entry = NULL;
    if (name.n > 0) {
        HASH_FIND(hh, table->entries, name.p, name.n, entry);
    }
    return entry;
}

enum status
user_table_put(struct user_table *table, const struct user *user)
{
    struct str name = str_from_cstr(user->name);
    struct entry *entry = entry_find(table, name);
    if (entry != NULL) {
        entry->user = *user;
        return STATUS_OK;
    }
    entry = HASH_COUNT(table->entries) < USERS_MAX ? calloc(1, sizeof *entry) : NULL;
    if (entry == NULL) {
        return STATUS_LIMIT;
    }
    entry->user = *user;
    HASH_ADD_KEYPTR(hh, table->entries, entry->user.name, name.n, entry);
    return STATUS_OK;
}

struct load {
    struct user_table *table;
    enum status status;
};

static bool
load_one(void *context, const struct user *user)
{
    struct load *load = context;
    load->status = user_table_put(load->table, user);
    return load->status == STATUS_OK;
}

enum status
user_table_load(struct user_table *table, struct user_file *file)
{
    struct load load = {table, STATUS_OK};
    enum status status = user_file_each(file, load_one, &load);
    return status != STATUS_OK ? status : load.status;
}

void
user_table_remove(struct user_table *table, struct str name)
{
    struct entry *entry = entry_find(table, name);
    if (entry != NULL) {
        HASH_DEL(table->entries, entry);
        free(entry);
    }
}

size_t
user_table_count(const struct user_table *table)
{
    return HASH_COUNT(table->entries);
}

struct user *
user_table_find(const struct user_table *table, struct str name)
{
    struct entry *entry = entry_find(table, name);
    return entry != NULL ? &entry->user : NULL;
}

/* Puts a user into its place among the `count` first ones, dropping the last when there are `most`.
 */
static size_t
page_insert(const struct user **out, size_t count, size_t most, const struct user *user)
{
    size_t place = count;
    while (place > 0 && strcmp(out[place - 1]->name, user->name) > 0) {
        place--;
    }
    if (place == most) {
        return count;
    }
    size_t moved = (count < most ? count : most - 1) - place;
    memmove(&out[place + 1], &out[place], moved * sizeof out[0]);
    out[place] = user;
    return count < most ? count + 1 : most;
}

size_t
user_table_page(const struct user_table *table, struct str after, const struct user **out,
                size_t most)
{
    size_t count = 0;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(hh, table->entries, entry, next)
    {
        if (str_cmp(str_from_cstr(entry->user.name), after) > 0) {
            count = page_insert(out, count, most, &entry->user);
        }
    }
    return count;
}
