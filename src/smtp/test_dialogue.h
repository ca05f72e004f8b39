/*
 * test_dialogue.h - tables of dialogues with the server core: what a client sends, what must come
 * of it.
 *
 * Each row is fed whole, one octet at a time, and cut in two at every place; the outcome must be
 * the same each time.
 */
#ifndef POSTERN_SMTP_TEST_DIALOGUE_H
#define POSTERN_SMTP_TEST_DIALOGUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "smtp/test_edge.h"

struct dialogue {
    const char *name;
    void (*tweak)(struct smtp_server_settings *settings);
    struct str input;
    const char *want; /* test_edge.h says how it is written */
};

#define ROW(name, tweak, input, want)                                                              \
    {                                                                                              \
        (name), (tweak), STR_INIT(input), (want)                                                   \
    }

/* Checks all rows; `tls`: the connection begins inside TLS. */
void dialogues_check(const struct dialogue *rows, size_t count, enum smtp_listener_kind kind,
                     bool tls);
/* got must equal want; says both when not. */
void assert_str_at(struct str got, const char *want, const char *file, int line);
#define assert_str(got, want) assert_str_at(got, want, __FILE__, __LINE__)

#endif
