/*
 * arena.h - memory that lives and dies together: one arena a connection, a message, a command.
 *
 * Nothing in an arena is freed alone. Each arena has a ceiling in bytes: an allocation past it
 * returns NULL, so hostile input meets a limit and not the machine's memory. Objects of foreign
 * libraries are tied to an arena with a destructor. An arena is used by one thread at a time.
 */
#ifndef POSTERN_BASE_ARENA_H
#define POSTERN_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

/* A new arena that will hold at most `ceiling` bytes; aborts only when the system has no memory. */
[[nodiscard]] struct arena *arena_create(size_t ceiling);
/* Runs the destructors, newest first, frees all and sets *arena to NULL. NULL is allowed. */
void arena_destroy(struct arena **arena);
/* The same for an arena that held secrets, and was never reset: its memory is overwritten first. */
void arena_destroy_wiped(struct arena **arena);
/* Empties the arena for use again: destructors run, the newest block is kept. */
void arena_reset(struct arena *arena);
/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);
/* Bytes it has from the system: what it costs. 0 for NULL. */
size_t arena_held(const struct arena *arena);

/* Zeroed memory, aligned for any type. NULL past the ceiling. */
[[nodiscard]] void *arena_alloc(struct arena *arena, size_t size);
/* The same for `count` objects of `size`; NULL too when the product overflows. */
[[nodiscard]] void *arena_alloc_array(struct arena *arena, size_t count, size_t size);

/* A copy of s in the arena (always followed by a NUL that is not counted); {NULL,0} past the
 * ceiling. */
struct str arena_str_dup(struct arena *arena, struct str s);
/* The parts one behind the other, followed by a NUL that is not counted; {NULL,0} past the ceiling.
 */
struct str arena_concat(struct arena *arena, const struct str *parts, size_t count);
/* A NUL-terminated copy of s for a library; NULL past the ceiling. */
[[nodiscard]] char *arena_cstr(struct arena *arena, struct str s);
/* Formatted text in the arena; {NULL,0} past the ceiling. */
struct str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Calls destroy(object) when the arena ends. STATUS_LIMIT past the ceiling (then not registered).
 */
[[nodiscard]] enum status arena_on_destroy(struct arena *arena, void (*destroy)(void *object),
                                           void *object);

#endif
