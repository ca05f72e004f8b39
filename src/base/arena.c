#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The first block comes with the arena, in 1 KB together: so much malloc keeps at hand for each
 * thread, and many arenas need no more. Later ones double up to the largest, or fit what was asked.
 */
#define ARENA_FIRST         1024u
#define ARENA_BLOCK_SECOND  2048u
#define ARENA_BLOCK_LARGEST (256u * 1024u)

struct block {
    struct block *next;
    size_t size; /* usable bytes */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

struct destructor {
    struct destructor *next;
    void (*destroy)(void *);
    void *object;
};

struct arena {
    alignas(struct block) struct block *blocks; /* newest first; the last is behind the arena */
    struct destructor *destructors;
    size_t ceiling;
    size_t used;
    size_t next_block_size;
};

static struct block *
arena_first_block(struct arena *arena)
{
    return (void *)(arena + 1);
}

struct arena *
arena_create(size_t ceiling)
{
    struct arena *arena = malloc(ARENA_FIRST);
    if (arena == NULL) {
        abort();
    }
    struct block *block = arena_first_block(arena);
    *block = (struct block){.size = ARENA_FIRST - sizeof *arena - sizeof *block};
    *arena =
        (struct arena){.blocks = block, .ceiling = ceiling, .next_block_size = ARENA_BLOCK_SECOND};
    return arena;
}

static void
arena_run_destructors(struct arena *arena)
{
    while (arena->destructors != NULL) {
        struct destructor *d = arena->destructors;
        arena->destructors = d->next;
        d->destroy(d->object);
    }
}

/* Frees the blocks from `block` on but the first one, which is the arena's. */
static void
arena_free_blocks(struct arena *arena, struct block *block, bool wipe)
{
    while (block != NULL) {
        struct block *next = block->next;
        if (wipe) {
            explicit_bzero(block->data, block->size);
        }
        if (block != arena_first_block(arena)) {
            free(block);
        }
        block = next;
    }
}

static void
arena_destroy_common(struct arena **arena, bool wipe)
{
    if (arena == NULL || *arena == NULL) {
        return;
    }
    arena_run_destructors(*arena);
    arena_free_blocks(*arena, (*arena)->blocks, wipe);
    free(*arena);
    *arena = NULL;
}

void
arena_destroy(struct arena **arena)
{
    arena_destroy_common(arena, false);
}

void
arena_destroy_wiped(struct arena **arena)
{
    arena_destroy_common(arena, true);
}

void
arena_reset(struct arena *arena)
{
    arena_run_destructors(arena);
    struct block *keep = arena->blocks;
    arena_free_blocks(arena, keep->next, false);
    keep->next = NULL;
    keep->used = 0;
    arena->used = 0;
}

size_t
arena_used(const struct arena *arena)
{
    return arena->used;
}

size_t
arena_held(const struct arena *arena)
{
    size_t held = 0;
    for (const struct block *block = arena != NULL ? arena->blocks : NULL; block != NULL;
         block = block->next) {
        held += sizeof *block + block->size;
    }
    return arena != NULL ? held + sizeof *arena : 0;
}

static struct block *
arena_add_block(struct arena *arena, size_t at_least)
{
    size_t size = arena->next_block_size;
    if (size < at_least) {
        size = at_least;
    }
    if (arena->next_block_size < ARENA_BLOCK_LARGEST) {
        arena->next_block_size *= 2;
    }
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

/* As arena_alloc, of memory that holds anything. */
static void *
arena_take(struct arena *arena, size_t size)
{
    size_t const align = alignof(max_align_t);
    if (size > SIZE_MAX - align) {
        return NULL;
    }
    size_t rounded = (size + align - 1) / align * align;
    if (rounded > arena->ceiling || arena->used > arena->ceiling - rounded) {
        return NULL;
    }
    struct block *block = arena->blocks;
    if (block->size - block->used < rounded) {
        block = arena_add_block(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *p = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    return p;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    void *p = arena_take(arena, size);
    if (p != NULL) {
        memset(p, 0, size);
    }
    return p;
}

void *
arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return arena_alloc(arena, total);
}

struct str
arena_concat(struct arena *arena, const struct str *parts, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(total, parts[i].n, &total)) {
            return str_make(NULL, 0);
        }
    }
    char *text = total < SIZE_MAX ? arena_take(arena, total + 1) : NULL;
    if (text == NULL) {
        return str_make(NULL, 0);
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > 0) {
            memcpy(text + at, parts[i].p, parts[i].n);
            at += parts[i].n;
        }
    }
    text[total] = '\0';
    return str_make(text, total);
}

char *
arena_cstr(struct arena *arena, struct str s)
{
    char *copy = s.n < SIZE_MAX ? arena_take(arena, s.n + 1) : NULL;
    if (copy != NULL) {
        if (s.n > 0) {
            memcpy(copy, s.p, s.n);
        }
        copy[s.n] = '\0';
    }
    return copy;
}

struct str
arena_str_dup(struct arena *arena, struct str s)
{
    char *copy = arena_cstr(arena, s);
    return copy != NULL ? (struct str){copy, s.n} : (struct str){NULL, 0};
}

struct str
arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    struct block *block = arena->blocks;
    char *room = (char *)block->data + block->used;
    va_list again;
    va_copy(again, args);
    /* Where it will stand if the block has room for it. */
    int n = vsnprintf(room, block->size - block->used, format, args);
    char *p = n >= 0 ? arena_take(arena, (size_t)n + 1) : NULL;
    if (p != NULL && p != room) {
        vsnprintf(p, (size_t)n + 1, format, again);
    }
    va_end(again);
    return p != NULL ? (struct str){p, (size_t)n} : (struct str){NULL, 0};
}

struct str
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

enum status
arena_on_destroy(struct arena *arena, void (*destroy)(void *object), void *object)
{
    struct destructor *d = arena_alloc(arena, sizeof *d);
    if (d == NULL) {
        return STATUS_LIMIT;
    }
    d->destroy = destroy;
    d->object = object;
    d->next = arena->destructors;
    arena->destructors = d;
    return STATUS_OK;
}
