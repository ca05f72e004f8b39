/*
 * schema_rows.h - how the rows of the schema table are written; for the files schema*.c only.
 */
#ifndef POSTERN_CONFIG_SCHEMA_ROWS_H
#define POSTERN_CONFIG_SCHEMA_ROWS_H

#include "config/config.h"
#include "config/schema.h"

/* The offset of a member, with a compile-time check that it has the type that the row says. */
#define AT(S, member, T)                                                                           \
    (offsetof(struct S, member) +                                                                  \
     0 * sizeof(                                                                                   \
             char[__builtin_types_compatible_p(__typeof__(((struct S *)0)->member), T) ? 1 : -1]))
#define MAP_OF(heading, S, table)                                                                  \
    {                                                                                              \
        .title = (heading), .c_struct = #S, .size = sizeof(struct S), .fields = (table),           \
        .count = sizeof(table) / sizeof((table)[0])                                                \
    }

/* Any row: what it is, what it means, then designated members of struct schema_field. */
#define ROW(S, member, kind, T, text, ...)                                                         \
    {                                                                                              \
        .name = #member, .type = (kind), .offset = AT(S, member, T), .doc = (text), __VA_ARGS__    \
    }
#define BOOL(S, member, standard, text)                                                            \
    {                                                                                              \
        .name = #member, .type = SCHEMA_BOOL, .offset = AT(S, member, bool),                       \
        .fallback = (standard), .doc = (text)                                                      \
    }
#define COUNT(S, member, standard, low, high, text)                                                \
    {                                                                                              \
        .name = #member, .type = SCHEMA_COUNT, .offset = AT(S, member, uint32_t),                  \
        .fallback = (standard), .least = (low), .most = (high), .doc = (text)                      \
    }
#define DURATION(S, member, standard, low, high, text)                                             \
    {                                                                                              \
        .name = #member, .type = SCHEMA_DURATION, .offset = AT(S, member##_ms, int64_t),           \
        .fallback = (standard), .least = (low), .most = (high), .doc = (text)                      \
    }
#define SIZE(S, member, standard, low, high, text)                                                 \
    {                                                                                              \
        .name = #member, .type = SCHEMA_SIZE, .offset = AT(S, member, uint64_t),                   \
        .fallback = (standard), .least = (low), .most = (high), .doc = (text)                      \
    }
#define CHOICE(S, member, T, standard, words, text)                                                \
    {                                                                                              \
        .name = #member, .type = SCHEMA_CHOICE, .offset = AT(S, member, T),                        \
        .fallback = (standard), .choices = (words), .doc = (text)                                  \
    }
#define GROUP(S, member, T, table, text)                                                           \
    {                                                                                              \
        .name = #member, .type = SCHEMA_MAP, .offset = AT(S, member, T), .map = &(table),          \
        .doc = (text)                                                                              \
    }

#define MILLISECOND 1ull
#define SECOND      (1000 * MILLISECOND)
#define MINUTE      (60 * SECOND)
#define HOUR        (60 * MINUTE)
#define DAY         (24 * HOUR)
#define KIB         (1ull << 10)
#define MIB         (1ull << 20)
#define GIB         (1ull << 30)
#define TIB         (1ull << 40)
#define PIB         (1ull << 50)

/* What a server offers in vain. */
#define IGNORE_EHLO(S, text)                                                                       \
    ROW(S, ignore_ehlo, SCHEMA_CHOICE, struct config_ehlo_keywords, text, .is_list = true,         \
        .most = 16, .choices = schema_ehlo_keywords, .unset = "none", .example = "[CHUNKING]")

/* How we log in at a next hop. */
#define LOGIN(S, text)                                                                             \
    ROW(S, login, SCHEMA_MAP, struct config_login, text, .map = &schema_login_map,                 \
        .unset = "no login", .example = "kartapuce")

/* Parts of the table that have files of their own. */
extern const struct schema_map schema_authentication;
extern const struct schema_map schema_dane_map;
extern const struct schema_map schema_login_map;
extern const struct schema_map schema_route_map;
extern const struct schema_map schema_smart_host_map;
extern const struct schema_map schema_sendmail_map;
extern const struct schema_map schema_fetch_map;

#endif
